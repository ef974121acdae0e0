"""A server on this machine that speaks the protocol of the Hugging Face hub, as far as it is asked.

Large files lie behind a redirect to another host, as they do there, and only they have a SHA-256.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

REPOSITORY = "Xenova/clap-htsat-unfused"
REVISION = "c28f2883575e590e04d3146ff0713c2448d691ba"
_LARGE_BYTES = 10_000
_PIECE_BYTES = 1 << 16


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    user_agent: str
    authorization: str | None


@dataclass
class HubServer:
    """What the hub has, what it is asked, and how it misbehaves.

    ``files`` are by path in the repository. ``instead`` is sent in their place while the hashes
    are still theirs. After ``breaks_after`` bytes of a large file the connection is closed,
    ``n_breaks`` times; then, if ``then_gone`` is set, no request is answered any more.
    """

    files: dict[str, bytes]
    instead: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    revision: str | None = REVISION
    tells_hashes: bool = True
    told_size: int | None = None
    with_ranges: bool = True
    breaks_after: int | None = None
    n_breaks: int = 1
    then_gone: bool = False
    status: int | None = None
    pause_s: float = 0.0
    asked: list[Request] = field(default_factory=list)

    def ranges(self) -> list[str | None]:
        """The parts that large files were asked for in."""
        return [r.range for r in self.asked if r.method == "GET" and r.path.startswith("/cdn/")]


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, hub: HubServer, *args: object) -> None:
        self.hub = hub
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, get = self.hub, self.headers.get
        self.close_connection = True
        if hub.then_gone and not hub.n_breaks:
            return
        hub.asked.append(
            Request(
                self.command,
                self.path,
                get("Range"),
                get("User-Agent", ""),
                get("Authorization"),
            )
        )
        if hub.status:
            self._begin(hub.status)
        elif self.path.startswith("/cdn/"):
            path = unquote(self.path.removeprefix("/cdn/"))
            self._send(hub.instead.get(path, hub.files[path]))
        else:
            self._resolve()

    def _resolve(self) -> None:
        hub = self.hub
        repository, _, rest = self.path.removeprefix("/").partition("/resolve/")
        revision, _, path = unquote(rest).partition("/")
        commit = {"X-Repo-Commit": hub.revision} if hub.revision else {}
        if repository != REPOSITORY or revision != REVISION:
            self._begin(404, {"X-Error-Code": "RevisionNotFound"})
        elif path not in hub.files:
            self._begin(404, {"X-Error-Code": "EntryNotFound"})
        elif len(hub.files[path]) < _LARGE_BYTES:
            tag = hashlib.sha1(hub.files[path]).hexdigest()
            self._send(hub.files[path], {**commit, "ETag": f'"{tag}"'})
        else:
            told = dict(commit)
            if hub.tells_hashes:
                told["X-Linked-Etag"] = f'"{sha256(hub.files[path])}"'
                told["X-Linked-Size"] = str(hub.told_size or len(hub.files[path]))
            # By another name of this machine: a client must take it for another host.
            cdn = hub.url.replace("127.0.0.1", "localhost")
            self._begin(302, {**told, "Location": f"{cdn}/cdn/{path}"})

    def _begin(self, status: int, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes, headers: dict[str, str] | None = None) -> None:
        hub, wanted, start = self.hub, self.headers.get("Range"), 0
        if wanted and hub.with_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self._begin(206 if start else 200, headers, len(data) - start)
        if self.command == "HEAD":
            return
        end = len(data)
        if hub.breaks_after is not None and hub.n_breaks and len(data) >= _LARGE_BYTES:
            end = start + hub.breaks_after
            hub.n_breaks -= 1
        for begin in range(start, min(end, len(data)), _PIECE_BYTES):
            try:
                self.wfile.write(data[begin : min(begin + _PIECE_BYTES, end)])
            except ConnectionError:
                return
            time.sleep(hub.pause_s)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[HubServer]:
    """Serve files until the end of the block."""
    hub = HubServer(files)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, hub))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield hub
    finally:
        http.shutdown()
        thread.join()
        http.server_close()

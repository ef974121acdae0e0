"""Fetching from a real server on this machine."""

import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from indexer.errors import ManifestError
from indexer.fetch import download, fetch
from indexer.manifest import Manifest, read_manifest

CONTENT = {f"audio/{n}.wav": bytes([n]) * 50_000 + bytes(range(256)) * 40 for n in range(4)}


def md5(data: bytes) -> str:
    return "md5:" + hashlib.md5(data).hexdigest()


@dataclass
class Server:
    """Serves a folder; knows what was asked, and can hang up in the middle."""

    folder: Path
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    hang_up_after: int | None = None
    with_ranges: bool = True


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, server_: Server, *args: object, **options: object) -> None:
        self.shared = server_
        super().__init__(*args, directory=str(server_.folder), **options)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.shared.asked.append((self.path, wanted))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = 0
        if wanted and self.shared.with_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        limit, self.shared.hang_up_after = self.shared.hang_up_after, None
        self.wfile.write(data[start:][:limit])
        self.close_connection = True


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    shared = Server(tmp_path / "served")
    shared.folder.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, shared))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    shared.url = f"http://127.0.0.1:{http.server_port}"
    yield shared
    http.shutdown()
    thread.join()
    http.server_close()


def pack(path: Path, files: dict[str, bytes], kind: str = "zip") -> bytes:
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, data in files.items():
                bundle.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as tape:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tape.addfile(member, io.BytesIO(data))
    return path.read_bytes()


def make(
    folder: Path, url: str, *, checksum: str = "", rows: dict[str, bytes] | None = None
) -> Manifest:
    rows = CONTENT if rows is None else rows
    folder.mkdir(exist_ok=True)
    lines = [f"{name},{md5(data)}" for name, data in rows.items()]
    (folder / "set.csv").write_text("\n".join(["path,checksum", *lines]) + "\n")
    (folder / "set.toml").write_text(
        f'[archive]\nurl = "{url}"\nstrip_prefix = "set-1/"\nchecksum = "{checksum}"\n'
    )
    return read_manifest(folder / "set.csv")


def inside(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"set-1/{name}": data for name, data in files.items()}


def held(target: Path) -> dict[str, bytes]:
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_downloaded_checked_and_unpacked(
    kind: str, server: Server, tmp_path: Path
) -> None:
    files = {**inside(CONTENT), "set-1/README": b"not in the manifest", "set-1/audio/x": b""}
    data = pack(server.folder / f"set.{kind}", files, kind)
    manifest = make(tmp_path / "m", f"{server.url}/set.{kind}", checksum=md5(data))
    seen: list[tuple[str, int, int | None]] = []
    target = tmp_path / "target"
    report = fetch(manifest, target, progress=lambda *told: seen.append(told))
    assert held(target) == CONTENT
    assert (report.n_present, report.n_fetched, report.n_unverified) == (0, 4, 0)
    assert report.downloaded_bytes == len(data)
    assert (f"downloading set.{kind}", len(data), len(data)) in seen
    again = fetch(manifest, target)
    assert (again.n_present, again.n_fetched, again.downloaded_bytes) == (4, 0, 0)
    assert len(server.asked) == 1


def test_only_what_is_missing_or_wrong_is_brought(server: Server, tmp_path: Path) -> None:
    pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    target = tmp_path / "target"
    fetch(manifest, target)
    (target / "audio" / "1.wav").write_bytes(b"bitten by a disk")
    (target / "audio" / "2.wav").unlink()
    report = fetch(manifest, target)
    assert (report.n_present, report.n_fetched) == (2, 2)
    assert held(target) == CONTENT


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    data = pack(server.folder / "set.tar.gz", inside(CONTENT), "tar.gz")
    manifest = make(tmp_path / "m", f"{server.url}/set.tar.gz", checksum=md5(data))
    target = tmp_path / "target"
    server.hang_up_after = 300
    with pytest.raises(ManifestError, match="Run the same command again"):
        fetch(manifest, target)
    assert (target / "set.tar.gz.part").read_bytes() == data[:300]
    assert not (target / "set.tar.gz").exists()
    report = fetch(manifest, target)
    assert server.asked == [("/set.tar.gz", None), ("/set.tar.gz", "bytes=300-")]
    assert report.downloaded_bytes == len(data) - 300
    assert held(target) == CONTENT


def test_a_server_without_ranges_is_asked_from_the_beginning(
    server: Server, tmp_path: Path
) -> None:
    data = pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip", checksum=md5(data))
    server.with_ranges, server.hang_up_after = False, 300
    with pytest.raises(ManifestError):
        fetch(manifest, tmp_path / "target")
    assert fetch(manifest, tmp_path / "target").downloaded_bytes == len(data)
    assert held(tmp_path / "target") == CONTENT


def test_halves_that_no_checksum_holds_together_are_not_joined(
    server: Server, tmp_path: Path
) -> None:
    pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    server.hang_up_after = 300
    with pytest.raises(ManifestError):
        fetch(manifest, tmp_path / "target")
    fetch(manifest, tmp_path / "target")
    assert [asked for _, asked in server.asked] == [None, None]


def test_a_finished_part_is_used_without_asking_for_more(server: Server, tmp_path: Path) -> None:
    data = pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip", checksum=md5(data))
    target = tmp_path / "target"
    target.mkdir()
    (target / "set.zip.part").write_bytes(data)
    assert fetch(manifest, target).downloaded_bytes == 0
    assert held(target) == CONTENT


def test_a_wrong_archive_is_refused_before_it_is_opened(server: Server, tmp_path: Path) -> None:
    pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip", checksum="md5:" + "0" * 32)
    with pytest.raises(ManifestError, match="is not the file that the manifest means"):
        fetch(manifest, tmp_path / "target")
    assert held(tmp_path / "target") == {}


def test_a_wrong_file_inside_an_archive_is_refused(server: Server, tmp_path: Path) -> None:
    pack(server.folder / "set.zip", inside({**CONTENT, "audio/2.wav": b"another sound"}))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    with pytest.raises(ManifestError, match=r"audio/2\.wav is not the file"):
        fetch(manifest, tmp_path / "target")
    kept = held(tmp_path / "target")
    assert not any("2.wav" in name for name in kept)
    assert kept["audio/1.wav"] == CONTENT["audio/1.wav"]


def test_a_file_that_is_not_in_the_archive_is_named(server: Server, tmp_path: Path) -> None:
    pack(server.folder / "set.zip", inside({"audio/0.wav": CONTENT["audio/0.wav"]}))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    with pytest.raises(ManifestError, match=r"3 files .* set-1/audio/1\.wav"):
        fetch(manifest, tmp_path / "target")


def test_names_in_an_archive_lead_nowhere(server: Server, tmp_path: Path) -> None:
    evil = {**inside(CONTENT), "set-1/../../evil": b"x", "../evil": b"x", "/tmp/evil-echoic": b"x"}
    pack(server.folder / "set.tar.gz", evil, "tar.gz")
    manifest = make(tmp_path / "m", f"{server.url}/set.tar.gz")
    fetch(manifest, tmp_path / "target")
    assert held(tmp_path / "target") == CONTENT
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil-echoic").exists()


def test_a_link_in_the_target_is_not_followed_out_of_it(server: Server, tmp_path: Path) -> None:
    pack(server.folder / "set.zip", inside(CONTENT))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "audio").symlink_to(outside)
    with pytest.raises(ManifestError, match="leads out of"):
        fetch(manifest, target)
    assert list(outside.iterdir()) == []


def test_a_bomb_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    zeros = bytes(100_000_000)
    pack(server.folder / "set.zip", inside({"audio/0.wav": zeros}))
    manifest = make(tmp_path / "m", f"{server.url}/set.zip", rows={"audio/0.wav": zeros})
    with pytest.raises(ManifestError, match="no audio packs like that"):
        fetch(manifest, tmp_path / "target")


def test_a_member_that_is_larger_than_it_claims_is_refused(server: Server, tmp_path: Path) -> None:
    path = server.folder / "set.zip"
    data = bytearray(pack(path, inside({"audio/0.wav": CONTENT["audio/0.wav"]})))
    size = len(CONTENT["audio/0.wav"]).to_bytes(4, "little")
    while (position := data.find(size)) >= 0:
        data[position : position + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    rows = {"audio/0.wav": CONTENT["audio/0.wav"]}
    manifest = make(tmp_path / "m", f"{server.url}/set.zip", rows=rows)
    with pytest.raises(ManifestError):
        fetch(manifest, tmp_path / "target")
    assert not any(name.startswith("audio/0.wav") for name in held(tmp_path / "target"))


def test_files_with_their_own_address_are_downloaded_one_by_one(
    server: Server, tmp_path: Path
) -> None:
    for name, data in CONTENT.items():
        (server.folder / Path(name).name).write_bytes(data)
    rows = [
        f"{name},{server.url}/{Path(name).name},{md5(data) if '3' not in name else ''}"
        for name, data in CONTENT.items()
    ]
    path = tmp_path / "set.csv"
    path.write_text("\n".join(["path,url,checksum", *rows]) + "\n")
    report = fetch(read_manifest(path), tmp_path / "target")
    assert held(tmp_path / "target") == CONTENT
    assert (report.n_fetched, report.n_unverified) == (4, 1)


def test_without_a_connection_the_message_says_what_to_put_where(tmp_path: Path) -> None:
    manifest = make(tmp_path / "m", "http://127.0.0.1:9/set.zip")
    target = tmp_path / "target"
    with pytest.raises(ManifestError) as caught:
        fetch(manifest, target)
    assert "http://127.0.0.1:9/set.zip could not be downloaded" in str(caught.value)
    assert f"put it at {target / 'set.zip'}" in str(caught.value)
    # The person does so.
    pack(target / "set.zip", inside(CONTENT))
    assert fetch(manifest, target).n_fetched == 4
    assert (target / "set.zip").exists()
    (target / "set.zip").unlink()
    assert held(target) == CONTENT


def test_a_page_that_is_gone_and_a_strange_address_are_errors(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="could not be downloaded: Not Found"):
        download(f"{server.url}/gone", tmp_path / "x", checksum="")
    with pytest.raises(ManifestError, match="begins with http"):
        download(f"file://{tmp_path}/m/set.csv", tmp_path / "x", checksum="")


def test_what_is_no_archive_or_a_damaged_one_is_an_error(server: Server, tmp_path: Path) -> None:
    path = server.folder / "set.zip"
    path.write_text("<html>please log in</html>")
    manifest = make(tmp_path / "m", f"{server.url}/set.zip")
    with pytest.raises(ManifestError, match="neither a zip nor a tar"):
        fetch(manifest, tmp_path / "target")
    shutil.rmtree(tmp_path / "target")
    data = bytearray(pack(path, inside(CONTENT)))
    data[40:90] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(ManifestError, match="damaged"):
        fetch(manifest, tmp_path / "target")


def test_a_manifest_without_any_source_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("path\na.wav\n")
    with pytest.raises(ManifestError, match="does not say where"):
        fetch(read_manifest(tmp_path / "x.csv"), tmp_path / "target")

"""Downloading the files of a manifest, for people with internet.

Everything is checked before it is used, an interrupted download goes on where it stopped, and
what is there already is left alone. Without internet the message says what to put where.
"""

import hashlib
import http.client
import lzma
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from indexer.errors import ManifestError
from indexer.manifest import Manifest, ManifestEntry, check_path

_CHUNK = 1 << 20
_TIMEOUT_S = 60
_MAX_RATIO = 200  # an archive that unpacks to more than this times its size is a bomb
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
)

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done and, if known, the bytes in all."""


@dataclass(frozen=True)
class FetchReport:
    """What `fetch` did.

    Attributes
    ----------
    target : Path
    n_present, n_fetched : int
        Files that were there and right, and files that were brought.
    n_unverified : int
        Of them, those for which the manifest has no checksum.
    downloaded_bytes : int
    """

    target: Path
    n_present: int
    n_fetched: int
    n_unverified: int
    downloaded_bytes: int


def fetch(manifest: Manifest, target: Path, *, progress: Progress | None = None) -> FetchReport:
    """Bring the files of a manifest into a folder.

    Parameters
    ----------
    manifest : Manifest
    target : Path
        The folder; its paths will be the manifest's. It becomes the ``--root`` of an index.
    progress : callable, optional
        See `Progress`.

    Returns
    -------
    FetchReport

    Raises
    ------
    ManifestError
        If something cannot be downloaded, does not match its checksum, or is not in the archive.
        What was brought so far stays, and the next call goes on from there.
    """
    tell = progress or (lambda what, done, total: None)
    try:
        target.mkdir(parents=True, exist_ok=True)
        missing = []
        for index, entry in enumerate(manifest.entries):
            tell("checking", index, len(manifest.entries))
            if not _is_right(_place(target, entry), entry.checksum):
                missing.append(entry)
        downloaded = 0
        from_archive = [entry for entry in missing if not entry.url]
        if from_archive:
            downloaded += _fetch_archive(manifest, from_archive, target, tell)
        for entry in missing:
            if entry.url:
                downloaded += download(
                    entry.url, _place(target, entry), checksum=entry.checksum, progress=tell
                )
    except OSError as error:
        raise ManifestError(f"{error.filename or target}: {error.strerror}") from error
    return FetchReport(
        target=target,
        n_present=len(manifest.entries) - len(missing),
        n_fetched=len(missing),
        n_unverified=sum(not entry.checksum for entry in manifest.entries),
        downloaded_bytes=downloaded,
    )


def _place(target: Path, entry: ManifestEntry) -> Path:
    """Give the place of a file, making sure that no link in the folder leads out of it."""
    place = target / check_path(entry.path, f"line {entry.line}")
    if not place.resolve().is_relative_to(target.resolve()):
        raise ManifestError(f"{place} leads out of {target} through a link: remove the link")
    return place


def _is_right(path: Path, checksum: str) -> bool:
    return path.is_file() and (not checksum or _digest(path, checksum) == checksum)


def _digest(path: Path, checksum: str) -> str:
    kind = checksum.partition(":")[0]
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def _fetch_archive(
    manifest: Manifest, entries: list[ManifestEntry], target: Path, tell: Progress
) -> int:
    archive = manifest.header.archive
    if archive is None:
        raise ManifestError(
            f"{manifest.name} does not say where {entries[0].path} can be downloaded: "
            f"{manifest.header.source or manifest.header.homepage or 'ask its source'}"
        )
    place = target / archive.filename
    downloaded = 0
    brought = not _is_right(place, archive.checksum)
    if brought:
        downloaded = download(archive.url, place, checksum=archive.checksum, progress=tell)
    _extract(place, entries, target, archive.strip_prefix, tell)
    if brought:
        place.unlink()  # what a person put there stays
    return downloaded


def download(url: str, place: Path, *, checksum: str, progress: Progress | None = None) -> int:
    """Download one file, check it, and only then give it its name.

    Parameters
    ----------
    url : str
        http or https.
    place : Path
        While it is incomplete, its name ends in ``.part``. That is gone on with only if there is
        a checksum to tell whether the two halves belong together.
    checksum : str
        As in a manifest; empty for none.
    progress : callable, optional

    Returns
    -------
    int
        Bytes that came over the network.

    Raises
    ------
    ManifestError
    """
    if not url.startswith(("http://", "https://")):
        raise ManifestError(f"'{url}' is not an address that begins with http:// or https://")
    part = place.with_name(place.name + ".part")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        came = _receive(url, part, bool(checksum), progress or (lambda what, done, total: None))
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise ManifestError(
            f"{url} could not be downloaded: {reason}. Run the same command again to go on, or "
            f"download it by other means and put it at {place}"
        ) from error
    if checksum and (found := _digest(part, checksum)) != checksum:
        part.unlink()
        raise ManifestError(
            f"{url} is not the file that the manifest means: its checksum is {found}, not "
            f"{checksum}. Nothing of it was kept"
        )
    part.replace(place)
    return came


def _receive(url: str, part: Path, resumable: bool, tell: Progress) -> int:
    held = part.stat().st_size if resumable and part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "echoic"})
    if held:
        request.add_header("Range", f"bytes={held}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and held:  # nothing lies behind what is held: the checksum will tell
            return 0
        raise
    with response:
        if response.status != 206:
            held = 0
        length = response.headers.get("Content-Length")
        total = held + int(length) if length and length.isdigit() else None
        came = 0
        with part.open("ab" if held else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                came += len(chunk)
                tell(f"downloading {part.name.removesuffix('.part')}", held + came, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and held + came < total:
        raise ConnectionError(f"the connection ended after {held + came} of {total} bytes")
    return came


_Member = tuple[int, Callable[[], IO[bytes] | None]]


@contextmanager
def _members(path: Path) -> Iterator[dict[str, _Member]]:
    """Open an archive; map the names of its plain files to their size and how to open them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle:
            yield {
                info.filename: (info.file_size, partial(bundle.open, info))
                for info in bundle.infolist()
                if not info.is_dir()
            }
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as tape:
            yield {
                info.name: (info.size, partial(tape.extractfile, info))
                for info in tape
                if info.isfile()
            }
    else:
        raise ManifestError(f"{path} is neither a zip nor a tar archive: remove it and try again")


def _extract(
    path: Path, entries: list[ManifestEntry], target: Path, prefix: str, tell: Progress
) -> None:
    """Unpack the manifest's files and no others: names inside the archive choose no place."""
    try:
        with _members(path) as members:
            wanted = [(entry, members.get(prefix + entry.path)) for entry in entries]
            absent = [entry.path for entry, member in wanted if member is None]
            if absent:
                raise ManifestError(
                    f"{path}: {len(absent)} files of the manifest are not in it, the first of them "
                    f"{prefix}{absent[0]}"
                )
            sizes = sum(member[0] for _, member in wanted if member is not None)
            _check_size(path, sizes, target)
            done = 0
            for entry, member in wanted:
                if member is not None:
                    _unpack(member, _place(target, entry), entry, path)
                    done += member[0]
                    tell(f"unpacking {path.name}", done, sizes)
    except _DAMAGED as error:
        raise ManifestError(f"{path} is damaged: {error}. Remove it and try again") from error


def _check_size(path: Path, size: int, target: Path) -> None:
    if size > _MAX_RATIO * path.stat().st_size:
        raise ManifestError(f"{path} claims to unpack to {size} bytes: no audio packs like that")
    free = shutil.disk_usage(target).free
    if size > free:
        raise ManifestError(f"{target}: {size} bytes are needed, {free} are free")


def _unpack(
    member: _Member,
    place: Path,
    entry: ManifestEntry,
    path: Path,
) -> None:
    size, opener = member
    part = place.with_name(place.name + ".part")
    place.parent.mkdir(parents=True, exist_ok=True)
    source = opener()
    if source is None:
        raise ManifestError(f"{path}: {entry.path} cannot be read in it")
    try:
        with source, part.open("wb") as file:
            _copy(source, file, size, f"{path}: {entry.path}")
        if entry.checksum and (found := _digest(part, entry.checksum)) != entry.checksum:
            raise ManifestError(
                f"{path}: {entry.path} is not the file that the manifest means: its checksum is "
                f"{found}, not {entry.checksum}"
            )
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _copy(source: IO[bytes], file: IO[bytes], size: int, name: str) -> None:
    left = size
    while chunk := source.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise ManifestError(f"{name} is larger than the archive says")
        file.write(chunk)

"""Installing a published package: from the hub, or from files that were brought by hand.

Nothing gets into a package before its hash has been checked. What an interrupted download brought
stays under ``.unfinished`` in the models folder until the next try has finished it.
"""

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.encoders.packages import (
    ModelPackage,
    alone,
    models_folder,
    package_folder,
    sha256_of,
    write_package,
)
from indexer.encoders.published import AVAILABLE, HUB, PublishedPackage, endpoint
from indexer.errors import EncoderError
from indexer.fetch import Progress

if TYPE_CHECKING:
    from indexer.encoders.hub import HubFile

_UNFINISHED = ".unfinished"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_SPARE_BYTES = 1_000_000  # for model.json, and for whatever else is written meanwhile


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A download that was interrupted.

    Attributes
    ----------
    id : str
        Of the package that it is of.
    size_bytes : int
        What has come so far.
    """

    id: str
    size_bytes: int


def install(
    published: PublishedPackage,
    *,
    progress: Progress,
    announce: Callable[[Sequence["HubFile"]], None],
) -> ModelPackage:
    """Download a package from the hub, or go on with it, check it and install it.

    Parameters
    ----------
    published : PublishedPackage
    progress : callable
        See `indexer.fetch.Progress`.
    announce : callable
        Called with the files, their sizes and hashes, before the first is downloaded.

    Raises
    ------
    EncoderError
        If it is installed already, cannot be downloaded, is not what it should be, or does not fit
        on the disk.
    """
    from indexer.encoders.hub import download, look_up

    place = _unfinished_folder(published.id)
    parts: dict[HubFile, Path] = {}

    def fill(folder: Path) -> None:
        files = look_up(published)
        announce(files)
        parts.update({file: place / f"{file.name}.{file.sha256[:12]}.part" for file in files})
        with _disk_explained():
            place.mkdir(parents=True, exist_ok=True)
            held = sum(part.stat().st_size for part in parts.values() if part.is_file())
            _need_room(place, sum(file.size_bytes for file in files) - held)
            for file, part in parts.items():
                download(published, file, part, progress=progress)
                progress(f"checking {file.path}", 0, None)
                _check_part(file, part)
            for file, part in parts.items():
                _give_name(part, folder / file.name)

    package = write_package(
        published.id,
        fill,
        licence=published.licence,
        source=_source(published, kind="huggingface") | _mirror(),
        precision=published.precision,
        rescue=lambda folder: _take_back(parts, folder),
    )
    _remove_parts(published.id)
    return package


def install_from(published: PublishedPackage, source: Path, *, progress: Progress) -> ModelPackage:
    """Install a package from a folder with the published files.

    Parameters
    ----------
    published : PublishedPackage
    source : Path
        Holds them under their published paths, or without the folders of these.
    progress : callable

    Raises
    ------
    EncoderError
        If one is missing, or is not the file that is published, or does not fit on the disk; or if
        the package is installed already.
    """
    found = {name: _find(published, name, source) for name in published.files}

    def fill(folder: Path) -> None:
        with _disk_explained():
            _need_room(folder, sum(path.stat().st_size for path in found.values()))
            for name, path in found.items():
                progress(f"copying {path.name}", 0, None)
                shutil.copyfile(path, folder / name)
                wanted = published.files[name].sha256
                if wanted and (sha256 := sha256_of(folder / name)) != wanted:
                    raise EncoderError(
                        f"{path} is not the file that is published: its SHA-256 is {sha256}, not "
                        f"{wanted}. Download it again from {published.address(name)}"
                    )

    package = write_package(
        published.id,
        fill,
        licence=published.licence,
        source=_source(published, kind="folder") | {"folder": str(source.absolute())},
        precision=published.precision,
    )
    _remove_parts(published.id)  # of a download that was begun before
    return package


def unfinished() -> list[Unfinished]:
    """Return the downloads that were interrupted, by id."""
    root = models_folder() / _UNFINISHED
    return [
        Unfinished(
            id="/".join(folder.relative_to(root).parts),
            size_bytes=sum(part.stat().st_size for part in folder.iterdir()),
        )
        for folder in sorted(root.glob("*/*"))
        if folder.is_dir()
    ]


def forget_unfinished(id_: str) -> None:
    """Remove what has come of a package, if anything has.

    Raises
    ------
    EncoderError
        If another process is downloading it.
    """
    with alone(package_folder(id_)):
        _remove_parts(id_)


def _remove_parts(id_: str) -> None:
    shutil.rmtree(_unfinished_folder(id_), ignore_errors=True)


def _unfinished_folder(id_: str) -> Path:
    return models_folder() / _UNFINISHED / package_folder(id_).relative_to(models_folder())


def _source(published: PublishedPackage, *, kind: str) -> dict[str, str]:
    return {"kind": kind, "repository": published.repository, "revision": published.revision}


def _mirror() -> dict[str, str]:
    return {} if endpoint() == HUB else {"endpoint": endpoint()}


def _check_part(file: "HubFile", part: Path) -> None:
    found = sha256_of(part)
    if found != file.sha256:
        part.unlink()
        raise EncoderError(
            f"{file.url} did not bring the file that is meant: its SHA-256 is {found}, not "
            f"{file.sha256}. It was removed; run the same command again to try once more"
        )


def _give_name(part: Path, place: Path) -> None:
    """Put a file into the package; what came is kept until the package is whole."""
    try:
        place.hardlink_to(part)
    except OSError:  # not every disk can; `_take_back` undoes it
        part.rename(place)


def _take_back(parts: Mapping["HubFile", Path], folder: Path) -> None:
    """Move parts back that had to be moved into a package which did not come about."""
    for file, part in parts.items():
        if not part.exists() and (folder / file.name).exists():
            (folder / file.name).rename(part)


def _find(published: PublishedPackage, name: str, source: Path) -> Path:
    path = _place(published, name, source)
    if path is not None:
        return path
    wanted = published.files[name].path
    others = [
        f". It holds {other.id}: echoic models install {other.id} --from {source}"
        for other in AVAILABLE
        if all(_place(other, other_name, source) for other_name in other.files)
    ]
    raise EncoderError(
        f"{source} has neither {wanted} nor {Path(wanted).name}, which is published at "
        f"{published.address(name)}{''.join(others[:1])}"
    )


def _place(published: PublishedPackage, name: str, source: Path) -> Path | None:
    path = source / published.files[name].path
    return next((place for place in (path, source / path.name) if place.is_file()), None)


def _need_room(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes + _SPARE_BYTES:
        raise EncoderError(
            f"{_megabytes(n_bytes + _SPARE_BYTES)} are needed in {models_folder()}, "
            f"{_megabytes(free)} are free: make room, or set ECHOIC_MODELS to a folder on "
            "another disk"
        )


@contextmanager
def _disk_explained() -> Iterator[None]:
    """Turn what the disk does into sentences."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _DISK_FULL:
            raise EncoderError(
                f"there is no room left in {models_folder()} ({reason}). Make room and run the "
                "same command again, or set ECHOIC_MODELS to a folder on another disk"
            ) from error
        if error.errno == errno.EFBIG:
            raise EncoderError(
                f"no file so large can be written to {models_folder()} ({reason}): lift the limit "
                "of your shell (`ulimit -f`), or set ECHOIC_MODELS to a folder on a disk whose "
                "format takes it, and run the same command again"
            ) from error
        raise EncoderError(f"{error.filename or models_folder()}: {reason}") from error


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"

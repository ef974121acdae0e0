"""Walk a folder and find what looks like audio, losing nothing on the way."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from db.records import FileState
from indexer.audio import AUDIO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may hold audio; its path is relative to the collection's root."""

    path: str
    state: FileState


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that should be looked into but cannot be, and why."""

    path: str
    reason: str
    absent: bool = False


@dataclass(slots=True)
class Scanner:
    """Walks a part of a collection in a fixed order.

    Hidden files and folders are passed over; links are followed, each folder once.

    Attributes
    ----------
    root : Path
        The collection's folder; must exist.
    scope : str
        The part of it to walk: ``""`` for all, a folder or one file, relative and with ``/``.
    n_ignored : int
        Files that do not look like audio by their suffix, counted while walking.
    unreadable_folders : list of str
        Folders that could not be opened: nothing may be concluded from the absence of files there.
    """

    root: Path
    scope: str = ""
    n_ignored: int = 0
    unreadable_folders: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Found | Unreadable]:
        start = self.root / self.scope
        if os.path.isdir(start):  # noqa: PTH112  (never raises, where Path.is_dir may)
            yield from self._walk(start, frozenset())
        else:
            yield look_at(start, self.scope)

    def _walk(
        self, folder: Path, above: frozenset[tuple[int, int]]
    ) -> Iterator[Found | Unreadable]:
        try:
            status = folder.stat()
            names = sorted(os.listdir(folder))  # noqa: PTH208  (names only: no stat of each)
        except OSError as error:
            path = readable(folder.relative_to(self.root).as_posix())
            self.unreadable_folders.append(path)
            yield Unreadable(path, f"the folder cannot be opened: {error.strerror}")
            return
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return  # a link back to a folder that contains it
        for name in names:
            if name.startswith("."):
                continue
            entry = folder / name
            if os.path.isdir(entry):  # noqa: PTH112  (never raises, where Path.is_dir may)
                yield from self._walk(entry, above | {identity})
            elif entry.suffix.lower() in AUDIO_SUFFIXES:
                yield look_at(entry, entry.relative_to(self.root).as_posix())
            else:
                self.n_ignored += 1


def look_at(path: Path, relative: str) -> Found | Unreadable:
    """Look at one file without opening it; its path in the collection is `relative`."""
    if not is_utf8(relative):
        return Unreadable(readable(relative), "its name is not valid UTF-8: rename it")
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            return Unreadable(relative, "a broken link")
        return Unreadable(relative, "there is no such file", absent=True)
    except OSError as error:
        return Unreadable(relative, f"cannot be opened: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return Unreadable(relative, "not a regular file")
    return Found(relative, FileState(status.st_size, status.st_mtime_ns))


def is_utf8(name: str) -> bool:
    """Tell whether the bytes of a file's name are text."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def readable(path: str) -> str:
    """Return a path with an escape for each byte that is no text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

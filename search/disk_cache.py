"""Files that can be made again: kept up to a bound, the least recently used go first."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import platformdirs

_ROOM_MADE = 0.8
"""A full cache is emptied to this share of its bound: it need not be looked through each time."""
_NEW = ".new-"
_LONGEST_WRITTEN_S = 3600.0


def cache_folder(name: str) -> Path:
    """Return the folder of one kind of cached files, in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("echoic", appauthor=False)) / name


def plain_name(content_hash: str) -> str:
    """Return a content hash as a part of a file name that every system takes."""
    return content_hash.replace(":", "-")


class DiskCache:
    """A folder of files by name.

    Several threads and processes may share one; a file that two of them make at once is made
    twice, and one stays.

    Parameters
    ----------
    folder : Path
        Made when the first file is.
    max_bytes : int
        The bound; the file made last may exceed it.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._n_bytes: int | None = None

    def find(self, name: str) -> Path | None:
        """Return a file that is kept, as used just now; None if there is none."""
        path = self.folder / name
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def get(self, name: str, make: Callable[[], bytes]) -> Path:
        """Return a file, after making it if it is not kept.

        Parameters
        ----------
        name
            A plain file name that says all the content depends on.
        make
            Gives the content; what it raises passes through, and nothing is kept.
        """
        found = self.find(name)
        if found is not None:
            return found
        content = make()
        return self.write(name, lambda file: file.write(content))

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> Path:
        """Keep a file that is written piece by piece, for it may be larger than the memory.

        Parameters
        ----------
        name
            A plain file name.
        write
            Writes the content; what it raises passes through, and nothing is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=_NEW)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                n_bytes = file.tell()
            path = self.folder / name
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        with self._lock:
            self._make_room(n_bytes, path)
        return path

    def _make_room(self, n_new: int, newest: Path) -> None:
        if self._n_bytes is not None:
            self._n_bytes += n_new
        if self._n_bytes is None or self._n_bytes > self._max_bytes:
            self._n_bytes = self._shrink(newest)

    def _shrink(self, newest: Path) -> int:
        """Delete what was not used for longest, if there is too much; return what is left."""
        kept = []
        for path in self.folder.iterdir():
            try:
                state = path.stat()
            except OSError:
                continue  # another process was quicker
            if path.name.startswith(_NEW) and time.time() - state.st_mtime < _LONGEST_WRITTEN_S:
                continue  # somebody writes it
            kept.append((path == newest, state.st_mtime_ns, state.st_size, path))
        n_bytes = sum(size for _, _, size, _ in kept)
        if n_bytes <= self._max_bytes:
            return n_bytes
        for is_newest, _, size, path in sorted(kept):
            if n_bytes <= _ROOM_MADE * self._max_bytes or is_newest:
                break
            path.unlink(missing_ok=True)
            n_bytes -= size
        return n_bytes

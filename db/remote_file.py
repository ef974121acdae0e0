"""Files in remote storage, read in blocks."""

import errno
import io
import os
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any

from db.errors import StorageError
from db.records import FileState
from db.remote import asking, remote_state, storage_at

_BLOCK = 1 << 18
_AT_ONCE = 32
"""So many blocks are asked for at most: 8 MB. Who jumps about gets single ones."""

_KEPT = 128
"""So many are kept of a file: 32 MB, so that most files are fetched once for all that is read."""


class RemoteFile:
    """A file of a collection that is not in a folder of this machine.

    It is read in blocks, of which some are kept: however long it is, little of it is in memory.
    What fails once fails from then on, so that no time is lost with trying again; another object
    for the same file tries anew.

    Parameters
    ----------
    root : str
        The address of the collection.
    path : str
        Relative to it, with ``/``.
    """

    def __init__(self, root: str, path: str) -> None:
        self.root = root
        self.path = path
        self._name = PurePosixPath(path)
        self._size_bytes: int | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next, self._n_run = -1, 1
        self._fault: StorageError | None = None

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self._name.name

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return self._name.stem

    def with_name(self, name: str) -> "RemoteFile":
        """Return the file of another name beside it."""
        return RemoteFile(self.root, self._name.with_name(name).as_posix())

    def with_suffix(self, suffix: str) -> "RemoteFile":
        """Return the file of the same name with another suffix."""
        return RemoteFile(self.root, self._name.with_suffix(suffix).as_posix())

    def state(self) -> FileState:
        """Ask for its size, and for the mark that tells whether it was changed.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        StorageError
            If the storage cannot be reached, or forbids it.
        """
        with asking(str(self)):
            storage, base = storage_at(self.root)
            storage.invalidate_cache()
            return remote_state(storage.info(f"{base}/{self.path}"))

    def open(self, mode: str = "rb", *, quiet: bool = False) -> io.BufferedReader:
        """Open it for reading bytes.

        Parameters
        ----------
        quiet : bool
            Let the file end where it cannot be read, for libraries in C, which cannot pass on what
            reading raises. `assure_read` raises it then.

        Raises
        ------
        FileNotFoundError, StorageError
            As `state` does; the second also while reading.
        """
        if mode != "rb":
            raise ValueError("remote files are only ever read, as bytes")
        self.assure_read()
        if self._size_bytes is None:
            self._size_bytes = self.state().size_bytes
        return io.BufferedReader(_Reader(self, self._size_bytes, quiet=quiet), 1 << 16)

    def assure_read(self) -> None:
        """Raise what reading has met.

        Raises
        ------
        StorageError
            If a part of the file could not be read.
        """
        if self._fault is not None:
            raise self._fault

    def read_at(self, position: int) -> memoryview:
        """Return the bytes from a position within the file to the end of its block.

        Raises
        ------
        StorageError
            If they cannot be read.
        """
        self.assure_read()
        number = position // _BLOCK
        if number not in self._blocks:
            try:
                self._fetch(number)
            except FileNotFoundError as error:
                self._fault = StorageError(f"{self} is not there any more")
                raise self._fault from error
            except StorageError as error:
                self._fault = error
                raise
        self._blocks.move_to_end(number)
        return memoryview(self._blocks[number])[position - number * _BLOCK :]

    def _fetch(self, number: int) -> None:
        """Fetch a block, and ever more of those that follow while they are asked for in turn."""
        self._n_run = min(2 * self._n_run, _AT_ONCE) if number == self._next else 1
        self._next = number + self._n_run
        first = number * _BLOCK
        end = min(self._next * _BLOCK, self._size_bytes or 0)
        with asking(str(self)):
            storage, base = storage_at(self.root)
            data = storage.cat_file(f"{base}/{self.path}", start=first, end=end)
        if len(data) != end - first:
            raise StorageError(
                f"{self}: {len(data):,} bytes came where {end - first:,} were asked for: it was "
                "changed meanwhile, or this storage cannot give parts of files"
            )
        for start in range(0, len(data), _BLOCK):
            self._blocks[(first + start) // _BLOCK] = data[start : start + _BLOCK]
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)


class _Reader(io.RawIOBase):
    """A place in a remote file."""

    def __init__(self, file: RemoteFile, size_bytes: int, *, quiet: bool) -> None:
        super().__init__()
        self._file = file
        self._size_bytes = size_bytes
        self._quiet = quiet
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}
        if origin[whence] + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = origin[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size_bytes - self._position)
        if wanted <= 0:
            return 0
        try:
            data = self._file.read_at(self._position)[:wanted]
        except StorageError:
            if self._quiet:
                return 0
            raise
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

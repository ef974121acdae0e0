"""The file that a `db.faiss_index.FaissIndex` is kept in.

All numbers are little-endian. The file is an array of arrays and needs no FAISS to be read:

========================  ==============================  =========================================
Bytes                     Type                            What
========================  ==============================  =========================================
0 - 7                     ``ECHOICVX``                    says that it is such a file
8 - 11                    uint32                          version of this layout: 1
12 - 15                   uint32                          `dim`, components of a vector
16 - 23                   uint64                          `count`, number of vectors
24 - 31                   uint64                          `n_trained`: vectors there when the lists
                                                          were made; 0 if there is one list of all
32 - 35                   uint32                          `n_lists`
36 - 63                   zero                            room
then                      uint64 (n_lists)                vectors in each list; their sum is `count`
then                      float32 (n_lists, dim)          the centre of each list
then, for each list       int64 (n)                       segment numbers
\\                         float16 (n, dim)                their vectors
the last 32                                               SHA-256 of all bytes before these
========================  ==============================  =========================================
"""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from db.errors import VectorIndexError
from db.index_folder import write_atomically

_MAGIC = b"ECHOICVX"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQQI28x")
_DIGEST_BYTES = 32
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that an index was saved to.

    Attributes
    ----------
    path : Path
    count : int
        How many vectors it holds.
    checksum : str
        SHA-256 of all of the file but its last 32 bytes, which are the same digest, in hexadecimal.
    size_bytes : int
    """

    path: Path
    count: int
    checksum: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Contents:
    """All of an index file but the lists themselves.

    Attributes
    ----------
    n_trained : int
    list_sizes : ndarray, shape (n_lists,), int64
    centroids : ndarray, shape (n_lists, dim), float32
    """

    n_trained: int
    list_sizes: NDArray[np.int64]
    centroids: NDArray[np.float32]


def write_index_file(
    path: Path,
    contents: Contents,
    lists: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
) -> IndexFile:
    """Write an index file, which appears whole or not at all, even if the power fails.

    Raises
    ------
    VectorIndexError
        If the file cannot be written. What was at `path` is as it was.
    """
    try:
        with write_atomically(path) as file:
            checksum = _write(file, contents, lists)
            size_bytes = file.tell()
    except OSError as error:
        raise VectorIndexError(
            f"the index file {path} cannot be written ({error}): "
            "make room on the disk, or give yourself the right to write there"
        ) from error
    return IndexFile(path, int(contents.list_sizes.sum()), checksum, size_bytes)


@contextmanager
def open_index_file(path: Path, *, checksum: str | None) -> Iterator[tuple[Contents, BinaryIO]]:
    """Verify an index file and open it at its first list.

    Every byte is verified before any is used, so that what comes out of `read_into` is what was
    written.

    Raises
    ------
    VectorIndexError
        If the file is missing, damaged, of a newer version, or not the one of that checksum.
    """
    try:
        with path.open("rb") as file:
            _verify(file, path, checksum)
            yield _read_contents(file, path), file
    except FileNotFoundError as error:
        raise VectorIndexError(
            f"the index file {path} is missing: `echoic repair` makes it again"
        ) from error
    except OSError as error:
        raise VectorIndexError(f"the index file {path} cannot be read ({error})") from error


def read_into(file: BinaryIO, array: NDArray[Any]) -> None:
    """Fill a contiguous array with the next bytes of a file.

    Raises
    ------
    VectorIndexError
        If the file ends before.
    """
    view = _bytes_of(array)
    done = 0
    while done < len(view):
        n_read = file.readinto(view[done:])  # type: ignore[attr-defined]  # BinaryIO lacks it
        if not n_read:
            raise VectorIndexError("the index file ends too early: `echoic repair` makes it again")
        done += n_read


def _write(
    file: BinaryIO,
    contents: Contents,
    lists: Iterable[tuple[NDArray[np.int64], NDArray[np.float16]]],
) -> str:
    n_lists, dim = contents.centroids.shape
    digest = hashlib.sha256()
    count = int(contents.list_sizes.sum())

    def put(data: bytes | memoryview) -> None:
        digest.update(data)
        file.write(data)

    put(_HEADER.pack(_MAGIC, _VERSION, dim, count, contents.n_trained, n_lists))
    put(contents.list_sizes.astype("<u8").tobytes())
    put(contents.centroids.astype("<f4").tobytes())
    for ids, vectors in lists:
        put(_bytes_of(np.ascontiguousarray(ids, dtype="<i8")))
        put(_bytes_of(np.ascontiguousarray(vectors, dtype="<f2")))
    file.write(digest.digest())
    return digest.hexdigest()


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _verify(file: BinaryIO, path: Path, checksum: str | None) -> None:
    left = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
    if left < _HEADER.size or file.read(len(_MAGIC)) != _MAGIC:
        raise _damaged(path, "it is no index file")
    file.seek(0)
    digest = hashlib.sha256()
    while left:
        block = file.read(min(left, _BLOCK_BYTES))
        if not block:
            raise _damaged(path, "it became shorter while it was read")
        digest.update(block)
        left -= len(block)
    if digest.digest() != file.read(_DIGEST_BYTES):
        raise _damaged(path, "its checksum does not match")
    if checksum is not None and digest.hexdigest() != checksum:
        raise VectorIndexError(
            f"the index file {path} is whole but not the one the catalogue recorded: "
            "`echoic repair` makes it again"
        )


def _read_contents(file: BinaryIO, path: Path) -> Contents:
    size_bytes = os.fstat(file.fileno()).st_size
    file.seek(0)
    _, version, dim, count, n_trained, n_lists = _HEADER.unpack(file.read(_HEADER.size))
    if version != _VERSION:
        raise VectorIndexError(
            f"the index file {path} has version {version}, this Echoic reads {_VERSION}: "
            "use a newer Echoic, or let `echoic repair` make the file again"
        )
    # A whole file may still not be one of ours: nothing is allocated from a number that does not
    # agree with the size of the file.
    fixed = _HEADER.size + n_lists * (8 + 4 * dim) + _DIGEST_BYTES
    if not dim or not n_lists or fixed + count * (8 + 2 * dim) != size_bytes:
        raise _damaged(path, "its header does not agree with its size")
    list_sizes = np.empty(n_lists, dtype="<u8")
    read_into(file, list_sizes)
    if list_sizes.max() > count or int(list_sizes.sum()) != count:
        raise _damaged(path, "its lists do not agree with its header")
    centroids = np.empty((n_lists, dim), dtype="<f4")
    read_into(file, centroids)
    return Contents(n_trained, list_sizes.astype(np.int64), centroids.astype(np.float32))


def _damaged(path: Path, why: str) -> VectorIndexError:
    return VectorIndexError(
        f"the index file {path} is damaged ({why}): `echoic repair` makes it again"
    )

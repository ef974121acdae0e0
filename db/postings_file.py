r"""The file that a run of postings is kept in.

All numbers are little-endian; each section begins at the next multiple of 64 bytes:

=============  =================================  =================================================
Bytes          Type                               What
=============  =================================  =================================================
0 - 7          ``ECHOICPL``                       says that it is such a file
8 - 11         uint32                             version of this layout: 1
12             uint8                              `key_bits`
13             uint8                              `bucket_bits`
14             uint8                              `word_bytes`: 4 or 8
15             zero
16 - 23        uint64                             `first_frame`, a frame number of the archive
24 - 31        uint64                             `end_frame`: `span` = `end_frame` - `first_frame`,
                                                  at most 2^32
32 - 39        uint64                             `n_frames`: frames that belonged to a recording
40 - 47        uint64                             `n_postings`
48 - 55        uint64                             `n_landmarks`
56 - 215       5 of 32 bytes                      SHA-256 of each of the sections below
216 - 223      zero
224 - 255      32 bytes                           SHA-256 of the bytes before these
section 1      uint32 (2 ^ bucket_bits + 1)       the word that each bucket begins with
section 2      uint32 or uint64 (n_postings)      words, sorted within their bucket
section 3      uint32 (span / 64, rounded up,     the landmark that each block of 64 frames begins
\              + 1)                               with
section 4      uint8 (n_landmarks)                the frame of each landmark, within its block
section 5      uint16 (n_landmarks)               the frequency of each landmark
=============  =================================  =================================================

A key is scrambled: ``x = key * 0x9E3779B1 mod 2 ^ key_bits``, then ``x ^= x >> (key_bits + 1) / 2``
(rounded down), then ``x * 0x85EBCA6B mod 2 ^ key_bits``. The top `bucket_bits` of that are the
bucket. The rest stands in the word, above the lowest ``max(1, bits of (span - 1))`` bits, which are
the frame, counted from `first_frame`.

The SHA-256 of the header stands for all of the file, since that of each section is in the header.
Opening a file verifies it and the file's size, not the gigabytes of the sections.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.errors import PostingsError
from db.index_folder import write_atomically
from db.postings import PostingsRun
from db.postings_layout import BLOCK_FRAMES, Layout, Positions, encode

SUFFIX: Final = ".postings"

_MAGIC: Final = b"ECHOICPL"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sIBBBxQQQQQ160s8x")
_DIGEST_BYTES: Final = 32
_FIRST_SECTION: Final = _HEADER.size + _DIGEST_BYTES
_ALIGNMENT: Final = 64
_BLOCK_BYTES: Final = 1 << 20

PostingsParts: TypeAlias = Iterable[tuple[int, int, NDArray[np.uint64]]]
"""First bucket, end bucket, and postings as `join` makes them, sorted, of each part of a run."""

LandmarkParts: TypeAlias = Iterator[tuple[Positions, NDArray[np.uint16]]]
"""Positions from the start of the run, and frequencies, of each part of its landmarks."""


@dataclass(frozen=True, slots=True)
class PostingsFile:
    """A file that a run was written to.

    Attributes
    ----------
    path : Path
    layout : Layout
    n_postings : int
    checksum : str
        SHA-256 of the header, in hexadecimal.
    size_bytes : int
    """

    path: Path
    layout: Layout
    n_postings: int
    checksum: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    dtype: np.dtype[Any]
    count: int

    @property
    def end(self) -> int:
        return self.start + self.dtype.itemsize * self.count


def write_postings_file(
    path: Path,
    layout: Layout,
    postings: PostingsParts,
    landmarks: Callable[[], LandmarkParts],
) -> PostingsFile:
    """Write a run to a file, which appears whole or not at all, even if the power fails.

    Parameters
    ----------
    postings
        All buckets in order; of no more than a part is more than a few copies in memory.
    landmarks
        Called twice, and gives the same both times.

    Raises
    ------
    PostingsError
        If the file cannot be written. What was at `path` is as it was.
    """
    try:
        with write_atomically(path) as file:
            return _write(file, path, layout, postings, landmarks)
    except OSError as error:
        raise PostingsError(
            f"the postings file {path} cannot be written ({error}): "
            "make room on the disk, or give yourself the right to write there"
        ) from error


def open_postings_file(path: Path, *, checksum: str | None = None) -> PostingsRun:
    """Map a file into memory. Its sections are not read, see `verify_postings_file`.

    The file may be removed or replaced under its name meanwhile, but must not be changed itself;
    Echoic never does.

    Parameters
    ----------
    checksum : str, optional
        What `PostingsFile.checksum` was. That of the header is verified in any case.

    Raises
    ------
    PostingsError
        If the file is missing, of a newer version, not the one of that checksum, or its header or
        its size is damaged.
    """
    with _reading(path) as file:
        layout, sections, _ = _read_header(file, path, checksum)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    arrays = (
        np.frombuffer(mapped, dtype=section.dtype, count=section.count, offset=section.start)
        for section in sections
    )
    return PostingsRun(layout, *arrays)


def verify_postings_file(path: Path, *, checksum: str | None = None) -> None:
    """Read all of a file and compare it with its checksums.

    Raises
    ------
    PostingsError
        If the file is missing or is not what was written.
    """
    with _reading(path) as file:
        _, sections, digests = _read_header(file, path, checksum)
        for section, digest in zip(sections, digests, strict=True):
            file.seek(section.start)
            if _digest(file, section.end - section.start) != digest:
                raise _damaged(path, "a checksum does not match")


class _SectionWriter:
    """Writes one section of a file; several may be under way at once."""

    def __init__(self, file: BinaryIO, start: int, dtype: str) -> None:
        self._file = file
        self._dtype = np.dtype(dtype)
        self._digest = hashlib.sha256()
        self.end = self._start = start

    def put(self, array: NDArray[Any]) -> None:
        data = np.ascontiguousarray(array, dtype=self._dtype).view(np.uint8).data
        self._file.seek(self.end)
        self._file.write(data)
        self._digest.update(data)
        self.end += len(data)

    def next_section(self, dtype: str, count: int = 0) -> "_SectionWriter":
        """Begin the section after this one, which is done or will have `count` numbers."""
        end = max(self.end, self._start + self._dtype.itemsize * count)
        return _SectionWriter(self._file, _aligned(end), dtype)

    @property
    def count(self) -> int:
        return (self.end - self._start) // self._dtype.itemsize

    def digest(self) -> bytes:
        return self._digest.digest()


def _write(
    file: BinaryIO,
    path: Path,
    layout: Layout,
    postings: PostingsParts,
    landmarks: Callable[[], LandmarkParts],
) -> PostingsFile:
    offsets = _SectionWriter(file, _FIRST_SECTION, "<u4")
    words = offsets.next_section(f"<u{layout.word_bytes}", 2**layout.bucket_bits + 1)
    offsets.put(np.zeros(1))
    for first_bucket, end_bucket, joined in postings:
        sizes, encoded = encode(layout, joined, first_bucket, end_bucket)
        np.cumsum(sizes, out=sizes)
        sizes += words.count
        offsets.put(sizes)
        words.put(encoded)
    blocks = words.next_section("<u4")
    per_block = _counts_before(layout, landmarks())
    blocks.put(np.cumsum(per_block, dtype=np.uint32))
    frames = blocks.next_section("<u1")
    frequencies = frames.next_section("<u2", int(per_block.sum(dtype=np.int64)))
    for positions, values in landmarks():
        frames.put(positions % BLOCK_FRAMES)
        frequencies.put(values)
    sections = (offsets, words, blocks, frames, frequencies)
    header = _HEADER.pack(
        _MAGIC,
        _VERSION,
        layout.key_bits,
        layout.bucket_bits,
        layout.word_bytes,
        layout.first_frame,
        layout.end_frame,
        layout.n_frames,
        words.count,
        frequencies.count,
        b"".join(section.digest() for section in sections),
    )
    checksum = hashlib.sha256(header)
    file.truncate(frequencies.end)
    file.seek(0)
    file.write(header + checksum.digest())
    return PostingsFile(path, layout, words.count, checksum.hexdigest(), frequencies.end)


def _counts_before(layout: Layout, landmarks: LandmarkParts) -> NDArray[np.uint32]:
    """Return 0, then the landmarks in each block of frames."""
    counts = np.zeros(layout.n_blocks + 1, dtype=np.uint32)
    for positions, _ in landmarks:
        if len(positions):
            first = int(positions[0]) // BLOCK_FRAMES
            some = np.bincount(positions // BLOCK_FRAMES - first)
            counts[first + 1 : first + 1 + len(some)] += some.astype(np.uint32)
    return counts


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise PostingsError(
            f"the postings file {path} is missing: `echoic repair` makes it again"
        ) from error
    except OSError as error:
        raise PostingsError(f"the postings file {path} cannot be read ({error})") from error


def _read_header(
    file: BinaryIO, path: Path, checksum: str | None
) -> tuple[Layout, tuple[_Section, ...], list[bytes]]:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise _damaged(path, "it is no postings file")
    digest = hashlib.sha256(header)
    if digest.digest() != file.read(_DIGEST_BYTES):
        raise _damaged(path, "the checksum of its header does not match")
    _, version, key_bits, bucket_bits, word_bytes, *numbers, digests = _HEADER.unpack(header)
    if version != _VERSION:
        raise PostingsError(
            f"the postings file {path} has version {version}, this Echoic reads {_VERSION}: "
            "use a newer Echoic, or let `echoic repair` make the file again"
        )
    if checksum is not None and digest.hexdigest() != checksum:
        raise PostingsError(
            f"the postings file {path} is whole but not the one the catalogue recorded: "
            "`echoic repair` makes it again"
        )
    first_frame, end_frame, n_frames, n_postings, n_landmarks = numbers
    layout = Layout(first_frame, end_frame, n_frames, key_bits, bucket_bits, word_bytes)
    if not layout.is_possible():
        raise _damaged(path, "the numbers in its header do not go together")
    sections = _sections(layout, n_postings, n_landmarks)
    # Nothing is mapped by numbers that do not agree with the size of the file.
    if os.fstat(file.fileno()).st_size != sections[-1].end:
        raise _damaged(path, "its header does not agree with its size")
    size = _DIGEST_BYTES
    return layout, sections, [digests[at : at + size] for at in range(0, len(digests), size)]


def _sections(layout: Layout, n_postings: int, n_landmarks: int) -> tuple[_Section, ...]:
    end = _FIRST_SECTION
    sections = []
    for dtype, count in (
        ("<u4", 2**layout.bucket_bits + 1),
        (f"<u{layout.word_bytes}", n_postings),
        ("<u4", layout.n_blocks + 1),
        ("<u1", n_landmarks),
        ("<u2", n_landmarks),
    ):
        section = _Section(_aligned(end), np.dtype(dtype), count)
        sections.append(section)
        end = section.end
    return tuple(sections)


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _digest(file: BinaryIO, n_bytes: int) -> bytes:
    digest = hashlib.sha256()
    while n_bytes and (block := file.read(min(n_bytes, _BLOCK_BYTES))):
        digest.update(block)
        n_bytes -= len(block)
    return digest.digest()


def _damaged(path: Path, why: str) -> PostingsError:
    return PostingsError(
        f"the postings file {path} is damaged ({why}): `echoic repair` makes it again"
    )

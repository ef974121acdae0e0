"""The chunks of RIFF (WAV, BWF, RF64) and IFF (AIFF) files.

Their sizes are claims: nothing here allocates from them, and reading stops at the file's end.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MAX_CHUNKS = 10_000  # a file of zeros after its header is a million empty chunks
_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class Chunk:
    """One chunk: its name, where its data begin, the size it claims and the bytes there are."""

    name: bytes
    offset: int
    claimed: int
    held: int


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Walk the top-level chunks of a RIFF, RF64, BW64, RIFX or FORM file; of others, none.

    Parameters
    ----------
    file : binary file, seekable
        Read from its beginning; the position is left anywhere.
    """
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    magic = file.read(12)[:4]
    if magic not in (b"RIFF", b"RF64", b"BW64", b"RIFX", b"FORM"):
        return
    order = ">" if magic in (b"RIFX", b"FORM") else "<"
    position, data_size = 12, None
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        name, size = header[:4], struct.unpack(order + "I", header[4:])[0]
        if name == b"ds64" and size >= 16:
            data_size = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if name == b"data" and size == _UNKNOWN and data_size is not None:
            size = data_size
        position += 8
        yield Chunk(name, position, size, max(0, min(size, end - position)))
        position += size + size % 2


def read_chunk(file: BinaryIO, chunk: Chunk, *, limit: int) -> bytes:
    """Read a chunk's data, at most `limit` bytes of them."""
    file.seek(chunk.offset)
    return file.read(min(chunk.held, limit))


def promise_broken(file: BinaryIO) -> float | None:
    """Tell how much more sound the header promises than the file holds.

    libsndfile mends such headers silently; an archive wants to know.

    Returns
    -------
    float or None
        Promised bytes over held bytes, above 1; None if the promise is kept or there is none
        (recorders that lose power leave a size of 0 or of all ones).
    """
    for chunk in chunks(file):
        if chunk.name in (b"data", b"SSND"):
            if chunk.claimed in (0, _UNKNOWN) or chunk.held >= chunk.claimed or not chunk.held:
                return None
            return chunk.claimed / chunk.held
    return None

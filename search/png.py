"""PNG files of pictures with few colours."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def palette_png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Return a picture as a PNG file.

    Parameters
    ----------
    pixels : ndarray, shape (height, width), uint8
        Numbers of colours; the upper row first.
    palette : ndarray, shape (n, 3), uint8
        Red, green and blue of each colour.

    References
    ----------
    Portable Network Graphics (PNG) Specification (Third Edition), W3C, 2025.
    """
    height, width = pixels.shape
    header = struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)
    unfiltered = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter: 0
    unfiltered[:, 1:] = pixels
    chunks = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(unfiltered.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

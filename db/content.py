"""The identity of a file: the hash of its bytes."""

import hashlib
from collections.abc import Callable

from db.storage import AnyFile

PREFIX = "sha256:"

_BLOCK_BYTES = 1 << 20


def content_hash(path: AnyFile, *, on_block: Callable[[], None] = lambda: None) -> str:
    """Return ``"sha256:"`` and the hexadecimal SHA-256 of a file's bytes, read in blocks.

    SHA-256 because every system has a tool (``sha256sum``) that gives the same value, so that an
    archive can be checked without Echoic.

    Parameters
    ----------
    path : Path or RemoteFile
    on_block : callable
        Called after each block that was read.

    Raises
    ------
    OSError, StorageError
        If the file cannot be read.
    """
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb") as file:
        while n_read := file.readinto(block):
            digest.update(block[:n_read])
            on_block()
    return PREFIX + digest.hexdigest()

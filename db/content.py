"""The identity of a file: the hash of its bytes."""

import hashlib

from db.storage import AnyFile

PREFIX = "sha256:"


def content_hash(path: AnyFile) -> str:
    """Return ``"sha256:"`` and the hexadecimal SHA-256 of a file's bytes, read in blocks.

    SHA-256 because every system has a tool (``sha256sum``) that gives the same value, so that an
    archive can be checked without Echoic.

    Raises
    ------
    OSError, StorageError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()

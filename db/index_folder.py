"""The files of an index folder: what they are called, and how they come to be there."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Give a file that appears in its place whole or not at all, even if the power fails.

    It is written beside its place as ``NAME.tmp``, flushed to the disk, renamed, and the folder is
    flushed. After an error, what was at `path` is as it was.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def slug(name: str) -> str:
    """Return the name of an encoder or a scheme as a file name may have it."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last. Windows cannot open a folder, and needs no such step."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

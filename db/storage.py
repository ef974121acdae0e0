"""Where the files of collections lie: in folders, or in storage that an address names."""

import io
import os
from pathlib import Path

from db.records import FileState
from db.remote import is_address
from db.remote_file import RemoteFile

AnyFile = Path | RemoteFile
"""A file of a collection, wherever it lies."""


def file_at(root: str, path: str) -> AnyFile:
    """Return the file of a collection: the one place that tells folders from addresses.

    Parameters
    ----------
    root : str
        A folder, or an address.
    path : str
        Relative to it, with ``/``.
    """
    return RemoteFile(root, path) if is_address(root) else Path(root) / path


def file_state(file: AnyFile) -> FileState:
    """Return size and modification time of a file; of a remote one, its mark in place of the time.

    Raises
    ------
    OSError
        If there is none, or it may not be looked at.
    StorageError
        If its storage cannot be reached.
    """
    if isinstance(file, RemoteFile):
        return file.state()
    status = file.stat()
    return FileState(status.st_size, status.st_mtime_ns)


def open_for_library(file: AnyFile) -> io.BufferedReader:
    """Open a file for a library in C; `assure_read` tells afterwards what went wrong.

    Raises
    ------
    OSError, StorageError
        If it cannot be opened.
    """
    return file.open("rb", quiet=True) if isinstance(file, RemoteFile) else file.open("rb")


def assure_read(file: AnyFile) -> None:
    """Raise what a library in C has met while it read a remote file.

    Raises
    ------
    StorageError
        If a part of the file could not be read.
    """
    if isinstance(file, RemoteFile):
        file.assure_read()


def seems_there(file: AnyFile) -> bool:
    """Tell whether a file is there; of remote ones, which would have to be asked for, assume it."""
    return isinstance(file, RemoteFile) or os.path.exists(file)  # noqa: PTH110  (never raises)


def root_is_gone(root: str) -> bool:
    """Tell whether a collection's folder is not there; addresses are taken to be."""
    return not is_address(root) and not os.path.isdir(root)  # noqa: PTH112  (never raises)

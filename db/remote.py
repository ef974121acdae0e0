"""Storage that an address names, as fsspec understands it: ``s3://bucket/folder``.

fsspec, and what it needs for a protocol, is loaded when something is asked for. It takes
credentials from where the tools of that storage take them; none pass through here.
"""

import errno
import hashlib
import os
import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from db.errors import StorageError
from db.records import FileState
from db.storage_faults import in_words

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOCAL = ("file", "local")

# What changes with a file's content comes before what only tells its time.
_MARKS = ("ETag", "etag", "md5Hash", "LastModified", "Last-Modified", "last_modified", "mtime")
_FURTHER_MARKS = ("updated", "modify", "created")


def is_address(text: str) -> bool:
    """Tell an address from the path of a folder."""
    return _ADDRESS.match(text) is not None


def checked_address(text: str) -> str:
    """Return an address in the form that a catalogue keeps.

    Raises
    ------
    StorageError
        If it names nothing, names local files, or holds what nobody else should see.
    """
    match = _ADDRESS.match(text)
    if match is None:
        raise StorageError(f"{text} is no address: write it as s3://BUCKET/FOLDER")
    protocol, rest = match[1].lower(), text[match.end() :].rstrip("/")
    if protocol in _LOCAL:
        raise StorageError(f"{protocol}:// names files of this machine: give their path instead")
    # A password may hold "/" itself, as the secrets of Amazon do.
    if ":" in rest.rpartition("@")[0] or "?" in rest:
        # Not repeated here: it may be written to a log.
        raise StorageError(
            f"the {protocol}:// address holds a password or a signature, which a catalogue would "
            "keep: leave it out, and let the environment or the configuration of fsspec give it"
        )
    if not rest or any(part in ("", ".", "..") for part in rest.split("/")):
        raise StorageError(f"{text} has an empty part: write it as s3://BUCKET/FOLDER")
    return f"{protocol}://{rest}"


@dataclass(frozen=True, slots=True)
class Listing:
    """What one remote folder holds, by name."""

    files: Mapping[str, FileState]
    folders: frozenset[str]


class RemoteTree:
    """The folders of a collection in remote storage, each listed once while it is looked at.

    Parameters
    ----------
    root : str
        The address of the collection.
    """

    _MOST = 16  # a folder's listing, and those of the folders around it
    _AT_ONCE = 64
    _SMALL_BYTES = 1 << 16

    def __init__(self, root: str) -> None:
        self.root = root
        self._listings: OrderedDict[str, Listing] = OrderedDict()
        self._contents: dict[str, bytes | Exception] = {}
        self._fetchable = ("", Listing({}, frozenset()), list[str]())

    def listing(self, folder: str = "") -> Listing:
        """List a folder, given relative to the root: all of it, or nothing.

        Raises
        ------
        FileNotFoundError
            If there is none, or nothing in it.
        StorageError
            If the storage cannot be reached, or forbids it.
        """
        folder = "" if folder == "." else folder
        if folder not in self._listings:
            self._listings[folder] = self._list(folder)
            if len(self._listings) > self._MOST:
                self._listings.popitem(last=False)
        self._listings.move_to_end(folder)
        return self._listings[folder]

    def state(self, path: str) -> FileState:
        """Return what the listing of its folder says of a file.

        Raises
        ------
        FileNotFoundError, StorageError
            As `listing` does.
        """
        name = PurePosixPath(path)
        files = self.listing(name.parent.as_posix()).files
        if name.name not in files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return files[name.name]

    def holds(self, path: str) -> bool:
        """Tell whether there is a file.

        Raises
        ------
        StorageError
            As `listing` does.
        """
        try:
            self.state(path)
        except FileNotFoundError:
            return False
        return True

    def content(self, path: str) -> bytes | None:
        """Return what is in a small file, and fetch with it those that come after it in its folder.

        For files of which one after the other is read: one by one, each costs the time of the way
        to the storage.

        Returns
        -------
        bytes or None
            None if it is not small.

        Raises
        ------
        FileNotFoundError, StorageError
            As `listing` does.
        """
        if path not in self._contents:
            if not (_is_plain(path) and self.state(path).size_bytes <= self._SMALL_BYTES):
                return None
            self._contents = self._fetch_from(path)
        found = self._contents[path]
        if isinstance(found, Exception):
            with asking(f"{self.root}/{path}"):
                raise found
        return found

    def has_folder(self, path: str) -> bool:
        """Tell whether there is a folder; the root is one.

        Raises
        ------
        StorageError
            As `listing` does.
        """
        name = PurePosixPath(path)
        try:
            return not path or name.name in self.listing(name.parent.as_posix()).folders
        except FileNotFoundError:
            return False

    def _fetch_from(self, path: str) -> dict[str, bytes | Exception]:
        name = PurePosixPath(path)
        folder, listing = name.parent.as_posix(), self.listing(name.parent.as_posix())
        if self._fetchable[:2] != (folder, listing):
            self._fetchable = (folder, listing, sorted(filter(_is_plain, listing.files)))
        names = self._fetchable[2]
        wanted = (
            (name.parent / other).as_posix()
            for other in islice(names, bisect_left(names, name.name), None)
            if PurePosixPath(other).suffix == name.suffix
            and listing.files[other].size_bytes <= self._SMALL_BYTES
        )
        with asking(self.root):
            storage, base = storage_at(self.root)
            asked = {f"{base}/{one}": one for one in islice(wanted, self._AT_ONCE)}
            found = storage.cat(list(asked), on_error="return")
        return {asked[one]: content for one, content in found.items()}

    def _list(self, folder: str) -> Listing:
        with asking(f"{self.root}/{folder}".rstrip("/")):
            storage, base = storage_at(self.root)
            above = f"{base}/{folder}".rstrip("/")
            storage.invalidate_cache()
            files, folders = {}, set()
            for entry in storage.ls(above, detail=True):
                path = str(entry["name"]).rstrip("/")
                name = path.rpartition("/")[2]
                if path == above:
                    continue  # an object that stands for the folder
                if entry["type"] == "directory":
                    folders.add(name)
                    continue
                if entry.get("size") is None:
                    entry = storage.info(entry["name"])
                files[name] = remote_state(entry)
            return Listing(files, frozenset(folders))


def _is_plain(name: str) -> bool:
    """Tell whether fsspec takes a name as it is, and not for a pattern."""
    return not any(sign in name for sign in "*?[")


def is_folder(address: str) -> bool:
    """Tell a folder from a file.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    StorageError
        If the storage cannot be reached, or forbids it.
    """
    with asking(address):
        storage, base = storage_at(address)
        storage.invalidate_cache()
        try:
            return bool(storage.info(base)["type"] == "directory")
        except PermissionError:
            storage.ls(base)  # when this is refused too, it is said why, which S3 did not yet
            raise


def storage_at(address: str) -> tuple[Any, str]:
    """Return the file system of fsspec that an address names, and the address within it."""
    from fsspec.core import url_to_fs

    try:
        storage, base = url_to_fs(address)
    except ImportError as error:
        protocol = address.partition(":")[0]
        remedy = "`pip install echoic[s3]`" if protocol in ("s3", "s3a") else str(error)
        raise StorageError(f"{protocol}:// needs a package that is not here: {remedy}") from error
    return storage, str(base).rstrip("/")


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn what the many protocols raise into `FileNotFoundError` and `StorageError`."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address) from error
    except Exception as error:  # each protocol has errors of its own
        raise in_words(error, address) from error


def remote_state(entry: Mapping[str, Any]) -> FileState:
    """Return a file's size and, where a local file has its time, a number that changes with it."""
    marks = (entry.get(key) for key in (*_MARKS, *_FURTHER_MARKS))
    mark = next((found for found in marks if found), None)
    if mark is None:
        raise StorageError(
            f"{entry['name']}: its storage tells neither versions nor times of files, so that no "
            "change would be noticed: copy the files to a folder, and index that"
        )
    if isinstance(mark, datetime):
        mark = int(mark.timestamp())  # listings may tell finer times than files themselves
    digest = hashlib.sha256(str(mark).strip('"').encode()).digest()
    return FileState(int(entry["size"]), int.from_bytes(digest[:8], "big") >> 1)

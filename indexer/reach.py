"""Look into the place that a collection lies in, be it a folder or remote storage."""

from pathlib import Path

from db.remote import RemoteTree, is_address
from db.remote_file import RemoteFile
from db.storage import AnyFile
from indexer.manifest import is_on_disk, read_sidecar
from indexer.remote_scan import RemoteScanner, look_at_remote
from indexer.scan import Found, Scanner, Unreadable, look_at


class Reach:
    """The place of a collection. Each method raises `StorageError` if that is out of reach.

    What is asked of remote storage is remembered: this is for one look at it.

    Parameters
    ----------
    root : str
        A folder, or an address.
    """

    def __init__(self, root: str) -> None:
        self._folder = Path(root)
        self._tree = RemoteTree(root) if is_address(root) else None

    def is_there(self) -> bool:
        """Tell whether there is such a folder; in remote storage, one that holds something."""
        if self._tree is None:
            return self._folder.is_dir()
        try:
            self._tree.listing()
        except FileNotFoundError:
            return False
        return True

    def scanner(self, scope: str) -> Scanner | RemoteScanner:
        """Return what walks a part of it."""
        if self._tree is None:
            return Scanner(self._folder, scope)
        return RemoteScanner(self._tree, scope)

    def look_at(self, path: str) -> Found | Unreadable:
        """Look at one file, given relative to the root, without opening it."""
        if self._tree is None:
            return look_at(self._folder / path, path)
        return look_at_remote(self._tree, path)

    def holds(self, path: str) -> bool:
        """Tell whether a file that the catalogue knows is there."""
        if self._tree is None:
            return (self._folder / path).exists()
        return self._tree.holds(path)

    def read(self, file: AnyFile) -> bytes:
        """Return what is in a file that lies beside a recording; of one that is long, enough.

        Raises
        ------
        OSError, StorageError
            If it cannot be read.
        """
        found = None
        if isinstance(file, RemoteFile) and self._tree is not None:
            found = self._tree.content(file.path)
        return read_sidecar(file) if found is None else found

    def is_file(self, file: AnyFile) -> bool:
        """Tell whether a file is there that may lie beside recordings."""
        if isinstance(file, RemoteFile):
            return self._tree is not None and self._tree.holds(file.path)
        return is_on_disk(file)

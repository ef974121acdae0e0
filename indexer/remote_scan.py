"""Walk a collection in remote storage, as `indexer.scan` walks a folder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from db.errors import StorageForbidden
from db.remote import RemoteTree
from indexer.audio import AUDIO_SUFFIXES
from indexer.scan import Found, Unreadable


@dataclass(slots=True)
class RemoteScanner:
    """Walks a part of a collection in remote storage, in a fixed order.

    Hidden files and folders are passed over. A folder that may not be listed is left out; when the
    storage cannot be reached the walk ends with an error, for nothing is known of what is missing.

    Attributes
    ----------
    tree : RemoteTree
    scope, n_ignored, unreadable_folders
        As those of `indexer.scan.Scanner`.
    """

    tree: RemoteTree
    scope: str = ""
    n_ignored: int = 0
    unreadable_folders: list[str] = field(default_factory=list)

    @property
    def root(self) -> str:
        """The address of the collection."""
        return self.tree.root

    def __iter__(self) -> Iterator[Found | Unreadable]:
        if self.tree.has_folder(self.scope):
            yield from self._walk(self.scope)
        else:
            yield look_at_remote(self.tree, self.scope)

    def _walk(self, folder: str) -> Iterator[Found | Unreadable]:
        try:
            listing = self.tree.listing(folder)
        except (FileNotFoundError, StorageForbidden) as error:
            # It was there a moment ago, so what was in it is not taken for gone.
            self.unreadable_folders.append(folder)
            yield Unreadable(folder, f"the folder cannot be opened: {error}")
            return
        for name in sorted(listing.files.keys() | listing.folders):
            path = f"{folder}/{name}".lstrip("/")
            if name.startswith("."):
                continue
            if name in listing.folders:
                yield from self._walk(path)
            if name not in listing.files:
                continue
            if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES:
                yield Found(path, listing.files[name])
            else:
                self.n_ignored += 1


def look_at_remote(tree: RemoteTree, path: str) -> Found | Unreadable:
    """Look at one file without opening it; its path in the collection is `path`.

    Raises
    ------
    StorageError
        If the storage cannot be reached.
    """
    try:
        return Found(path, tree.state(path))
    except FileNotFoundError:
        return Unreadable(path, "there is no such file", absent=True)
    except StorageForbidden as error:
        return Unreadable(path, f"cannot be opened: {error}")

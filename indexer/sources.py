"""From what a user points at to collections, and to plans for the files in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from db.catalogue import Catalogue
from db.errors import CatalogueError, StorageError
from db.records import UNREAD, CollectionInfo, Description
from db.remote import RemoteTree, checked_address, is_address, is_folder
from db.storage import file_at
from db.writer import CatalogueWriter
from indexer.errors import IndexingError, ManifestUnread
from indexer.manifest import STAYS, FolderManifests, read_manifest, sidecar_metadata
from indexer.metadata import merge
from indexer.plan import KnownContents, Plan, Planner, Said, Wanted
from indexer.reach import Reach
from indexer.scan import is_utf8, readable
from indexer.spellings import ByPath, DiskSpellings


class SourceError(IndexingError):
    """What was to be indexed is not there, or belongs to another collection."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a collection that is to be indexed.

    Attributes
    ----------
    scope : str
        Relative to the collection's root; ``""`` is all of it.
    paths : tuple of str or None
        If given, these files are looked at and no others.
    """

    collection: CollectionInfo
    scope: str = ""
    paths: tuple[str, ...] | None = None


def folder_source(writer: CatalogueWriter, path: Path, *, name: str | None = None) -> Source:
    """Find the collection that a folder or file belongs to, or make one of it.

    Parameters
    ----------
    name
        The collection's name; by default that of the one that holds the path already, or else of
        the folder.

    Raises
    ------
    SourceError
        If there is nothing at the path, its name is not valid UTF-8, or it lies outside the
        collection that was named.
    """
    path = path.expanduser().absolute().resolve()
    if not path.exists():
        raise SourceError(f"there is no file or folder {readable(str(path))}")
    for part in (*reversed(path.parents), path):
        if not is_utf8(part.name):
            kind = "folder" if part.is_dir() else "file"
            raise SourceError(
                f"the name of the {kind} {readable(str(part))} is not valid UTF-8: rename it"
            )
    folder = path if path.is_dir() else path.parent
    return _source(writer, str(path), str(folder), name)


def address_source(writer: CatalogueWriter, address: str, *, name: str | None = None) -> Source:
    """Find the collection that something in remote storage belongs to, or make one of it.

    Parameters
    ----------
    address : str
        Of a folder or file, such as ``s3://bucket/folder``.
    name
        As for `folder_source`.

    Raises
    ------
    SourceError
        As `folder_source` does.
    StorageError
        If the address is none, or the storage cannot be reached.
    """
    address = checked_address(address)
    try:
        folder = address if is_folder(address) else address.rpartition("/")[0]
    except FileNotFoundError as error:
        raise SourceError(
            f"there is no file or folder {address}: look for a slip in the name of its bucket or "
            "folder"
        ) from error
    return _source(writer, address, folder, name)


def _source(writer: CatalogueWriter, place: str, folder: str, name: str | None) -> Source:
    collection = None
    while collection is None:
        known = writer.catalogue.collections()
        collection = _holder(known, place, name)
        if collection is None:
            _assure_not_empty(folder)
            collection = _new_collection(writer, known, name, folder)
    return Source(collection, _scope(collection.root, place) or "")


def _assure_not_empty(folder: str) -> None:
    """Refuse to make a collection of an empty bucket: it is as good as a slip in its name."""
    if not is_address(folder):
        return
    listing = RemoteTree(folder).listing()
    if not (listing.files or listing.folders):
        raise SourceError(
            f"there is nothing in {folder}: look for a slip in its name, or put sounds there first"
        )


def manifest_source(
    writer: CatalogueWriter, manifest_path: Path, root: str | None, *, name: str | None = None
) -> Source:
    """Make or find the collection of a manifest's files below a folder.

    The collection keeps the manifest: later runs over it describe its files from there, too.

    Parameters
    ----------
    root
        The folder that the manifest's paths are relative to, or its address; by default the one
        it lies in.

    Raises
    ------
    ManifestError
        If the manifest cannot be read.
    SourceError
        If the folder is not there, or the collection of this name has another root.
    StorageError
        If the root is an address that is none, or cannot be reached.
    """
    manifest_path = manifest_path.expanduser().absolute().resolve()
    manifest = read_manifest(manifest_path)
    if root is not None and is_address(root):
        root = checked_address(root)
    else:
        root = str(Path(root or manifest_path.parent).expanduser().absolute().resolve())
    if not Reach(root).is_there():
        raise SourceError(
            f"there is no folder {root}: give the folder of the manifest's files with --root"
        )
    name = name or manifest.name
    known = {collection.name: collection for collection in writer.catalogue.collections()}
    if name not in known:
        collection = writer.add_collection(name, root, manifest=str(manifest_path))
    elif known[name].root != root:
        raise SourceError(
            f"the collection {name!r} lies in {known[name].root}, not in {root}: "
            "give another name with --collection"
        )
    else:
        collection = writer.set_manifest(known[name].id, str(manifest_path))
    paths = [entry.path for entry in manifest.entries]
    if not is_address(root):
        spellings = DiskSpellings(Path(root))
        paths = [spellings.of(path) for path in paths]
    return Source(collection, paths=tuple(dict.fromkeys(paths)))


def known_sources(
    catalogue: Catalogue, *, name: str | None = None
) -> tuple[list[Source], list[CollectionInfo]]:
    """Return the files that the catalogue knows, as sources: nothing new is looked for.

    Parameters
    ----------
    name
        The one collection that is meant; by default all.

    Returns
    -------
    sources : list of Source
    out_of_reach : list of CollectionInfo
        Collections of which no file is there, left out: a disk that is not connected must neither
        stop the others nor have its files marked missing.

    Raises
    ------
    UnknownName
        If there is no collection of this name.
    SourceError
        If there is nothing in the catalogue, or nothing in reach.
    """
    collections = catalogue.collections() if name is None else [catalogue.collection(name)]
    sources, out_of_reach = [], []
    for collection in collections:
        files = catalogue.known_files(collection.id).values()
        paths = tuple(file.path for file in files if not file.missing)
        if paths and _is_any_there(collection.root, paths):
            sources.append(Source(collection, paths=paths))
        elif paths:
            out_of_reach.append(collection)
    if out_of_reach and not sources:
        raise SourceError(
            f"no file of {', '.join(each.name for each in out_of_reach)} is there: connect the "
            "disk or network, or say where the files are now with `echoic relocate`"
        )
    if not sources:
        raise SourceError("nothing has been indexed yet: name a folder")
    return sources, out_of_reach


def failed_sources(catalogue: Catalogue) -> list[Source]:
    """Return the files that could not be indexed, as sources."""
    paths: dict[int, list[str]] = {}
    for failure in catalogue.failures():
        paths.setdefault(failure.collection_id, []).append(failure.path)
    return [
        Source(collection, paths=tuple(paths[collection.id]))
        for collection in catalogue.collections()
        if collection.id in paths
    ]


def plan_source(
    catalogue: Catalogue, source: Source, wanted: Wanted, contents: KnownContents
) -> Plan:
    """Look at all files of a source and plan what is to be done with them.

    Raises
    ------
    SourceError
        If the collection's folder or its manifest is not there.
    ManifestError
        If its manifest cannot be read.
    StorageError
        If it is in remote storage, which cannot be reached: nothing is known of its files then.
    """
    reach = Reach(source.collection.root)
    if not reach.is_there():
        name, root = source.collection.name, source.collection.root
        look = "look into its bucket" if is_address(root) else "connect its disk"
        raise SourceError(
            f"the folder of the collection {name!r}, {root}, is not there: {look}, or run "
            f"`echoic relocate {name} NEW_ROOT` if it has moved"
        )
    describer = _Describer(source.collection, reach)
    planner = Planner(catalogue, source.collection, wanted, contents, describer)
    if source.paths is None:
        plan = planner.scan(reach.scanner(source.scope))
    else:
        plan = planner.listed(reach.look_at(path) for path in source.paths)
    plan.warnings += describer.warnings
    if plan.jobs:
        plan.warnings += _overlaps(catalogue, source.collection)
    return plan


def _overlaps(catalogue: Catalogue, collection: CollectionInfo) -> list[str]:
    """Say which other collections hold a part of the same folder."""
    warnings = []
    for other in catalogue.collections():
        # The shorter root, or the older collection: told alike whichever of the two is asked about.
        outer, inner = sorted((collection, other), key=lambda one: (len(one.root), one.id))
        if other.id == collection.id or _scope(outer.root, inner.root) is None:
            continue
        lies = "is also that" if inner.root == outer.root else "lies within that"
        warnings.append(
            f"the folder of the collection {inner.name!r}, {inner.root}, {lies} of "
            f"{outer.name!r}: a file that both hold is listed twice; "
            f"`echoic forget --collection {inner.name}` leaves it in {outer.name!r} alone"
        )
    return warnings


class _Describer:
    """Gives what is said of a file elsewhere: the collection's manifest, sidecars, folders'."""

    def __init__(self, collection: CollectionInfo, reach: Reach) -> None:
        self._root = collection.root
        self._is_file = reach.is_file
        self._read = reach.read
        self._folders = FolderManifests(self._root, self._is_file)
        self._sidecar_warnings: list[str] = []
        listed: dict[str, Description] = {}
        if collection.manifest is not None:
            path = Path(collection.manifest)
            if not path.is_file():
                raise SourceError(
                    f"the manifest of the collection {collection.name!r}, {path}, is not there: "
                    "put it back, or name its new place with --manifest and --root"
                )
            entries = read_manifest(path).entries
            listed = {entry.path: entry.metadata for entry in entries}
        self._listed = ByPath(listed)

    @property
    def warnings(self) -> list[str]:
        return [*self._folders.warnings, *self._sidecar_warnings]

    def __call__(self, path: str) -> Said:
        beside, are_read = None, True
        try:
            beside = sidecar_metadata(
                file_at(self._root, path),
                warnings=self._sidecar_warnings,
                is_there=self._is_file,
                read=self._read,
            )
        except ManifestUnread as error:
            are_read = False
            self._sidecar_warnings.append(f"{error}; {STAYS}")
        said = (self._listed.get(path), beside, self._folders.for_file(path))
        parts = [part for part in said if part is not None]
        merged = merge(*parts)
        if not (are_read and self._folders.are_read(path)):
            return Said(merged, UNREAD)
        return Said(merged, merged.digest() if parts else None)


def _is_any_there(root: str, paths: tuple[str, ...]) -> bool:
    reach = Reach(root)
    try:
        return any(reach.holds(path) for path in paths)
    except StorageError:
        return False


def _scope(root: str, place: str) -> str | None:
    """Return what lies where below a root; None if it does not lie there."""
    if is_address(root) != is_address(place):
        return None
    if is_address(place):
        return place.removeprefix(root)[1:] if f"{place}/".startswith(f"{root}/") else None
    path = Path(place)
    scope = path.relative_to(root).as_posix() if path.is_relative_to(root) else None
    return "" if scope == "." else scope


def _holder(known: Sequence[CollectionInfo], place: str, name: str | None) -> CollectionInfo | None:
    collections = [c for c in known if name is None or c.name == name]
    holders = [c for c in collections if _scope(c.root, place) is not None]
    if name is not None and collections and not holders:
        raise SourceError(
            f"{place} lies outside the collection {name!r} ({collections[0].root}): "
            "give another name with --collection"
        )
    # The innermost, should one collection lie within another.
    return max(holders, key=lambda c: len(c.root), default=None)


def _new_collection(
    writer: CatalogueWriter, known: Sequence[CollectionInfo], name: str | None, folder: str
) -> CollectionInfo | None:
    """Make a collection; return None if another indexer has taken its name meanwhile.

    What is known is what was looked through for one that has the folder already: if another indexer
    makes that at this moment it has the name that it gets here, and is returned.
    """
    taken = {collection.name for collection in known}
    base = name or PurePath(folder).name or "archive"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}-{number}", number + 1
    try:
        return writer.add_collection(free, folder)
    except CatalogueError:
        if free not in {collection.name for collection in writer.catalogue.collections()}:
            raise
        return None

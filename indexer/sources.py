"""From what a user points at to collections, and to plans for the files in them."""

from dataclasses import dataclass
from pathlib import Path

from db.catalogue import Catalogue
from db.records import CollectionInfo, Description
from db.writer import CatalogueWriter
from indexer.errors import IndexingError
from indexer.manifest import FolderManifests, read_manifest, sidecar_metadata
from indexer.metadata import merge
from indexer.plan import KnownContents, Plan, Planner, Wanted
from indexer.scan import Scanner, look_at


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
        If there is nothing at the path, or it lies outside the collection that was named.
    """
    path = path.expanduser().absolute().resolve()
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise SourceError("the folder's name is not valid UTF-8: rename it") from error
    if not path.exists():
        raise SourceError(f"there is no file or folder {path}")
    folder = path if path.is_dir() else path.parent
    collection = _holder(writer.catalogue, path, name)
    if collection is None:
        collection = _new_collection(writer, name, folder)
    scope = path.relative_to(collection.root).as_posix()
    return Source(collection, "" if scope == "." else scope)


def manifest_source(
    writer: CatalogueWriter, manifest_path: Path, root: Path | None, *, name: str | None = None
) -> Source:
    """Make or find the collection of a manifest's files below a folder.

    The collection keeps the manifest: later runs over it describe its files from there, too.

    Parameters
    ----------
    root
        The folder that the manifest's paths are relative to; by default the one it lies in.

    Raises
    ------
    ManifestError
        If the manifest cannot be read.
    SourceError
        If the folder is not there, or the collection of this name has another root.
    """
    manifest_path = manifest_path.expanduser().absolute().resolve()
    manifest = read_manifest(manifest_path)
    root = (root or manifest_path.parent).expanduser().absolute().resolve()
    if not root.is_dir():
        raise SourceError(
            f"there is no folder {root}: give the folder of the manifest's files with --root"
        )
    name = name or manifest.name
    known = {collection.name: collection for collection in writer.catalogue.collections()}
    if name not in known:
        collection = writer.add_collection(name, str(root), manifest=str(manifest_path))
    elif Path(known[name].root) != root:
        raise SourceError(
            f"the collection {name!r} lies in {known[name].root}, not in {root}: "
            "give another name with --collection"
        )
    else:
        collection = writer.set_manifest(known[name].id, str(manifest_path))
    return Source(collection, paths=tuple(entry.path for entry in manifest.entries))


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
        if any((Path(collection.root) / path).exists() for path in paths):
            sources.append(Source(collection, paths=paths))
        elif paths:
            out_of_reach.append(collection)
    if out_of_reach and not sources:
        raise SourceError(
            f"no file of {', '.join(each.name for each in out_of_reach)} is there: connect the "
            "disk, or say where the files are now with `echoic relocate`"
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
    """
    root = Path(source.collection.root)
    if not root.is_dir():
        name = source.collection.name
        raise SourceError(
            f"the folder of the collection {name!r}, {root}, is not there: "
            f"connect its disk, or run `echoic relocate {name} NEW_ROOT` if it has moved"
        )
    describer = _Describer(source.collection)
    planner = Planner(catalogue, source.collection, wanted, contents, describer)
    if source.paths is None:
        plan = planner.scan(Scanner(root, source.scope))
    else:
        plan = planner.listed(look_at(root / path, path) for path in source.paths)
    plan.warnings += describer.warnings
    return plan


class _Describer:
    """Gives what is said of a file elsewhere: the collection's manifest, sidecars, folders'."""

    def __init__(self, collection: CollectionInfo) -> None:
        self._root = Path(collection.root)
        self._folders = FolderManifests(self._root)
        self._sidecar_warnings: list[str] = []
        self._listed: dict[str, Description] = {}
        if collection.manifest is not None:
            path = Path(collection.manifest)
            if not path.is_file():
                raise SourceError(
                    f"the manifest of the collection {collection.name!r}, {path}, is not there: "
                    "put it back, or name its new place with --manifest and --root"
                )
            entries = read_manifest(path).entries
            self._listed = {entry.path: entry.metadata for entry in entries}

    @property
    def warnings(self) -> list[str]:
        return [*self._folders.warnings, *self._sidecar_warnings]

    def __call__(self, path: str) -> Description | None:
        said = (
            self._listed.get(path),
            sidecar_metadata(self._root / path, warnings=self._sidecar_warnings),
            self._folders.for_file(path),
        )
        parts = [part for part in said if part is not None]
        return merge(*parts) if parts else None


def _holder(catalogue: Catalogue, path: Path, name: str | None) -> CollectionInfo | None:
    collections = [c for c in catalogue.collections() if name is None or c.name == name]
    holders = [c for c in collections if path.is_relative_to(c.root)]
    if name is not None and collections and not holders:
        raise SourceError(
            f"{path} lies outside the collection {name!r} ({collections[0].root}): "
            "give another name with --collection"
        )
    # The innermost, should one collection lie within another.
    return max(holders, key=lambda c: len(c.root), default=None)


def _new_collection(writer: CatalogueWriter, name: str | None, folder: Path) -> CollectionInfo:
    taken = {collection.name for collection in writer.catalogue.collections()}
    base = name or folder.name or "archive"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}-{number}", number + 1
    return writer.add_collection(free, str(folder))

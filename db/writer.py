"""Everything that indexing changes in a catalogue. One process at a time holds a writer.

What users make (`db.lists`, `db.saved_searches`, `db.sound_classes`, `db.heard`) is written without
it, in short transactions between those of the indexer.

The commit is the promise: `CatalogueWriter.store` returns when its batch would survive the loss of
power, and a crash before that leaves no trace of it. Index files are no part of the promise; they
are brought up to date from SQL afterwards (`db.segment_index`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import delete, select, update

from db.catalogue import Catalogue
from db.errors import CatalogueError, UnknownName
from db.records import Analysis, CollectionInfo, Description, Failure
from db.rows import collection_info
from db.schema import (
    CollectionRow,
    EncoderRow,
    FileRow,
    FingerprintSchemeRow,
    IndexFileRow,
    PostingsFileRow,
)
from db.storing import (
    Outcome,
    clear_failure,
    describe,
    get_row,
    now,
    remove_files,
    store_analysis,
    store_failure,
)


class CatalogueWriter:
    """Adds, replaces and removes recordings of one catalogue.

    A context manager that holds the catalogue's writer lock from entry to exit.

    Raises
    ------
    CatalogueLocked
        On entry, if another process holds the lock.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._lock = catalogue.lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    # -- collections -----------------------------------------------------------------------

    def add_collection(
        self, name: str, root: str, *, manifest: str | None = None
    ) -> CollectionInfo:
        """Add a collection.

        Raises
        ------
        CatalogueError
            If the name is taken.
        """
        with self.catalogue.transaction() as session:
            if session.scalar(select(CollectionRow.id).where(CollectionRow.name == name)):
                raise CatalogueError(f"there is already a collection {name!r}: give another name")
            row = CollectionRow(name=name, root=root, manifest=manifest, created_at=now())
            session.add(row)
            session.flush()
            return collection_info(row)

    def relocate(self, collection_id: int, root: str) -> None:
        """Point a collection to the folder it was moved to. Nothing is analysed again.

        A manifest that lies within the folder moves with it.

        Raises
        ------
        CatalogueError
            If another collection has this folder already.
        """
        with self.catalogue.transaction() as session:
            row = get_row(session, CollectionRow, collection_id)
            other = session.scalar(
                select(CollectionRow.name).where(
                    CollectionRow.root == root, CollectionRow.id != collection_id
                )
            )
            if other is not None:
                raise CatalogueError(
                    f"{root} is the folder of the collection {other!r} already: "
                    f"if that was a mistake, `echoic forget --collection {other}` first"
                )
            if row.manifest is not None and Path(row.manifest).is_relative_to(row.root):
                row.manifest = str(Path(root) / Path(row.manifest).relative_to(row.root))
            row.root = root

    def set_manifest(self, collection_id: int, manifest: str) -> CollectionInfo:
        """Let another manifest describe the files of a collection from now on."""
        with self.catalogue.transaction() as session:
            row = get_row(session, CollectionRow, collection_id)
            row.manifest = manifest
            return collection_info(row)

    def forget_collection(self, collection_id: int) -> int:
        """Remove a collection with its files; return how many recordings went with them.

        Recordings that also lie in another collection stay. No file on disk is touched.
        """
        with self.catalogue.transaction() as session:
            files = select(FileRow).where(FileRow.collection_id == collection_id)
            gone = remove_files(session, list(session.scalars(files)))
            session.execute(delete(CollectionRow).where(CollectionRow.id == collection_id))
            return gone

    def forget_files(self, file_ids: Iterable[int]) -> int:
        """Remove files; return how many recordings had no other file and went with them."""
        with self.catalogue.transaction() as session:
            rows = [row for id_ in file_ids if (row := session.get(FileRow, id_)) is not None]
            return remove_files(session, rows)

    def forget_encoder(self, name: str) -> None:
        """Remove all vectors of an encoder.

        Raises
        ------
        UnknownName
            If the catalogue holds no vectors by it; the message lists those it holds.
        """
        with self.catalogue.transaction() as session:
            row = session.scalar(select(EncoderRow).where(EncoderRow.name == name))
            if row is None:
                held = ", ".join(session.scalars(select(EncoderRow.name))) or "none"
                raise UnknownName(f"the catalogue holds no vectors by {name!r} (it holds: {held})")
            file = session.get(IndexFileRow, row.id)
            file_name = file.name if file else None
            session.delete(row)
        if file_name is not None:
            (self.catalogue.index_folder / file_name).unlink(missing_ok=True)

    def forget_scheme(self, name: str) -> None:
        """Remove all fingerprints of a scheme.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints by it.
        """
        with self.catalogue.transaction() as session:
            row = session.scalar(
                select(FingerprintSchemeRow).where(FingerprintSchemeRow.name == name)
            )
            if row is None:
                raise UnknownName(f"the catalogue holds no fingerprints by {name!r}")
            files = select(PostingsFileRow.name).where(PostingsFileRow.scheme_id == row.id)
            file_names = list(session.scalars(files))
            session.delete(row)
        for file_name in file_names:
            (self.catalogue.index_folder / file_name).unlink(missing_ok=True)

    # -- indexing --------------------------------------------------------------------------

    def store(self, results: Sequence[Analysis | Failure]) -> list[Outcome]:
        """Commit a batch of results together.

        Storing the same result again changes nothing, so that work done twice after a crash
        does no harm.

        Returns
        -------
        list of Outcome
            One a result, in order.

        Raises
        ------
        EncoderMismatch
            If vectors do not have the geometry this catalogue knows for their encoder.
        """
        with self.catalogue.transaction() as session:
            return [
                store_failure(session, result)
                if isinstance(result, Failure)
                else store_analysis(session, result)
                for result in results
            ]

    def redescribe(
        self, file_id: int, description: Description, sidecar_digest: str | None
    ) -> None:
        """Replace what is said of a file after its sidecar or manifest changed."""
        with self.catalogue.transaction() as session:
            row = get_row(session, FileRow, file_id)
            row.sidecar_digest = sidecar_digest
            describe(session, row, description)

    def mark_missing(self, file_ids: Iterable[int]) -> None:
        """Note that files were not found where they were. Nothing is removed."""
        self._set_missing(file_ids, now())

    def mark_present(self, file_ids: Iterable[int]) -> None:
        """Note that files are there again."""
        self._set_missing(file_ids, None)

    def clear_failures(self, collection_id: int, paths: Iterable[str]) -> None:
        """Remove the failures of files that are no longer there."""
        with self.catalogue.transaction() as session:
            for path in paths:
                clear_failure(session, collection_id, path)

    def _set_missing(self, file_ids: Iterable[int], since: datetime | None) -> None:
        ids = list(file_ids)
        with self.catalogue.transaction() as session:
            for start in range(0, len(ids), 500):
                chosen = FileRow.id.in_(ids[start : start + 500])
                session.execute(update(FileRow).where(chosen).values(missing_since=since))

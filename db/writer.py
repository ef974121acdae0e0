"""Everything that indexing changes in a catalogue.

Of a catalogue in a folder one process at a time holds a writer. On a server indexers can be many,
each with its own recordings: their transactions take turns, a content that two have analysed is
stored once, and no number is given out twice. Who upgrades, repairs or forgets is alone.

What users make (`db.lists`, `db.saved_searches`, `db.sound_classes`, `db.heard`) is written without
it, in short transactions between those of the indexer.

The commit is the promise: `CatalogueWriter.store` returns when its batch would survive the loss of
power, and a crash before that leaves no trace of it. Index files are no part of the promise; they
are brought up to date from SQL afterwards (`db.segment_index`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.changes import touch
from db.default_encoder import forget_default_encoder
from db.errors import CatalogueError, UnknownName
from db.files_left_behind import remove_files_left_behind
from db.milvus_filled import forget_filled
from db.records import Analysis, CollectionInfo, Description, Failure
from db.remote import is_address
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
    store_results,
)

_Done = TypeVar("_Done")


class CatalogueWriter:
    """Adds, replaces and removes recordings of one catalogue.

    A context manager that holds the catalogue's writer lock from entry to exit. On entry this
    machine's index files are removed if the vectors were moved to a server.

    Parameters
    ----------
    alone : bool
        Keep other writers out. False is for what only adds; see `Catalogue.lock`.

    Raises
    ------
    CatalogueLocked
        On entry, if another process holds the lock. At any change, if the server that held the lock
        for us was away, and another process has the lock now.
    """

    def __init__(self, catalogue: Catalogue, *, alone: bool = True) -> None:
        self.catalogue = catalogue
        self._lock = catalogue.lock(alone=alone)

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            remove_files_left_behind(self.catalogue)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self.catalogue.transaction() as session:
            self._lock.assure(session.connection())
            yield session

    def _commit(self, change: Callable[[Session], _Done]) -> _Done:
        """Make a change that may be made twice: again if the server goes before it has answered."""

        def transact() -> _Done:
            with self._transaction() as session:
                return change(session)

        return self.catalogue.outlast(transact)

    # -- collections -----------------------------------------------------------------------

    def add_collection(
        self, name: str, root: str, *, manifest: str | None = None
    ) -> CollectionInfo:
        """Add a collection; the one that is there if it is the same.

        Raises
        ------
        CatalogueError
            If the name is taken by another.
        """

        def add(session: Session) -> CollectionInfo:
            touch(session, [])  # no recording lies in it yet
            row = session.scalar(select(CollectionRow).where(CollectionRow.name == name))
            if row is None:
                row = CollectionRow(name=name, root=root, manifest=manifest, created_at=now())
                session.add(row)
                session.flush()
            elif (row.root, row.manifest) != (root, manifest):
                raise CatalogueError(f"there is already a collection {name!r}: give another name")
            return collection_info(row)

        return self._commit(add)

    def relocate(self, collection_id: int, root: str) -> None:
        """Point a collection to the folder it was moved to. Nothing is analysed again.

        A manifest that lies within the folder moves with it, unless to an address: it is read from
        a folder.

        Raises
        ------
        CatalogueError
            If another collection has this folder already.
        """
        with self._transaction() as session:
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
            manifest = Path(row.manifest) if row.manifest is not None else None
            if manifest and manifest.is_relative_to(row.root) and not is_address(root):
                row.manifest = str(Path(root) / manifest.relative_to(row.root))
            row.root = root

    def set_manifest(self, collection_id: int, manifest: str) -> CollectionInfo:
        """Let another manifest describe the files of a collection from now on."""

        def change(session: Session) -> CollectionInfo:
            row = get_row(session, CollectionRow, collection_id)
            row.manifest = manifest
            return collection_info(row)

        return self._commit(change)

    def forget_collection(self, collection_id: int) -> int:
        """Remove a collection with its files; return how many recordings went with them.

        Recordings that also lie in another collection stay. No file on disk is touched.
        """
        with self._transaction() as session:
            files = select(FileRow).where(FileRow.collection_id == collection_id)
            gone = remove_files(session, list(session.scalars(files)))
            session.execute(delete(CollectionRow).where(CollectionRow.id == collection_id))
            return gone

    def forget_files(self, file_ids: Iterable[int]) -> int:
        """Remove files; return how many recordings had no other file and went with them."""
        with self._transaction() as session:
            rows = [row for id_ in file_ids if (row := session.get(FileRow, id_)) is not None]
            return remove_files(session, rows)

    def forget_encoder(self, name: str) -> None:
        """Remove all vectors of an encoder.

        Raises
        ------
        UnknownName
            If the catalogue holds no vectors by it; the message lists those it holds.
        """
        with self._transaction() as session:
            row = session.scalar(select(EncoderRow).where(EncoderRow.name == name))
            if row is None:
                held = ", ".join(session.scalars(select(EncoderRow.name))) or "none"
                raise UnknownName(f"the catalogue holds no vectors by {name!r} (it holds: {held})")
            files = select(IndexFileRow.name).where(IndexFileRow.encoder_id == row.id)
            file_names = list(session.scalars(files))
            forget_filled(session, row.id)
            session.delete(row)
            forget_default_encoder(session, name)
        self._remove_files(file_names)

    def forget_scheme(self, name: str) -> None:
        """Remove all fingerprints of a scheme.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints by it.
        """
        with self._transaction() as session:
            row = session.scalar(
                select(FingerprintSchemeRow).where(FingerprintSchemeRow.name == name)
            )
            if row is None:
                raise UnknownName(f"the catalogue holds no fingerprints by {name!r}")
            files = select(PostingsFileRow.name).where(PostingsFileRow.scheme_id == row.id)
            file_names = list(session.scalars(files))
            session.delete(row)
        self._remove_files(file_names)

    def _remove_files(self, names: Iterable[str]) -> None:
        """Remove index files; those of other machines are removed there when they next save."""
        for name in names:
            (self.catalogue.index_folder / name).unlink(missing_ok=True)

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
        return self._commit(lambda session: store_results(session, results))

    def redescribe(
        self, file_id: int, description: Description, sidecar_digest: str | None
    ) -> None:
        """Replace what is said of a file after its sidecar or manifest changed."""

        def change(session: Session) -> None:
            row = get_row(session, FileRow, file_id)
            row.sidecar_digest = sidecar_digest
            touch(session, [row.recording_id])
            describe(session, row, description)

        self._commit(change)

    def mark_missing(self, file_ids: Iterable[int]) -> None:
        """Note that files were not found where they were. Nothing is removed."""
        self._set_missing(file_ids, now())

    def mark_present(self, file_ids: Iterable[int]) -> None:
        """Note that files are there again."""
        self._set_missing(file_ids, None)

    def clear_failures(self, collection_id: int, paths: Iterable[str]) -> None:
        """Remove the failures of files that are no longer there."""
        gone = list(paths)

        def change(session: Session) -> None:
            touch(session, [])  # a failure is known of a file, not of a recording
            for path in gone:
                clear_failure(session, collection_id, path)

        self._commit(change)

    def _set_missing(self, file_ids: Iterable[int], since: datetime | None) -> None:
        ids = list(file_ids)

        def change(session: Session) -> None:
            touch(session, [])
            for start in range(0, len(ids), 500):
                chosen = FileRow.id.in_(ids[start : start + 500])
                touch(session, session.scalars(select(FileRow.recording_id).where(chosen)))
                session.execute(update(FileRow).where(chosen).values(missing_since=since))

        self._commit(change)

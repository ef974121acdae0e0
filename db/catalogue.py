"""A catalogue: opened, created, read. `db.writer` changes it, `db.segment_index` searches it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from db import engine as database
from db.columns import Columns, ColumnsCache
from db.errors import CatalogueError, CatalogueLocked, UnknownName
from db.landmarks import Landmarks, fingerprint_fault, unpack
from db.lock import WriterLock
from db.opening import open_database
from db.records import CollectionInfo, EncoderInfo, Failure, KnownFile, RecordingInfo, SchemeInfo
from db.rows import (
    collection_info,
    encoder_info,
    failure,
    known_file,
    load_recordings,
    scheme_info,
    vectors_from_blob,
)
from db.schema import (
    CollectionRow,
    DescriptorsRow,
    EmbeddingRow,
    EncoderRow,
    FailureRow,
    FileRow,
    FingerprintRow,
    FingerprintSchemeRow,
    IndexFileRow,
    PostingsFileRow,
    RecordingRow,
)

_SLICE = 500  # ids in one IN clause; every database takes this many


class Catalogue:
    """Recordings, what is known of them, and the vectors that find them.

    Many processes may read one catalogue while one writes to it; a reader sees what was committed.

    Attributes
    ----------
    location : str
        The folder or URL by which it was opened.
    folder : Path
        Where index files and the writer's lock are.
    """

    def __init__(self, location: str, engine: Engine, folder: Path) -> None:
        self.location = location
        self.folder = folder
        self._engine = engine
        self._columns = ColumnsCache(self.session, database.ChangeWatch(engine))

    @classmethod
    def open(cls, location: str | Path, *, create: bool = False) -> Self:
        """Open a catalogue.

        Parameters
        ----------
        location
            A folder, or a SQLAlchemy URL.
        create
            Make the catalogue if there is none, and bring an older one to the newest format.

        Raises
        ------
        CatalogueMissing
            If there is none and `create` is False.
        CatalogueVersionError
            If its format is newer than this Echoic, or older and `create` is False.
        CatalogueLocked
            If it must be made or upgraded while another process writes to it.
        CatalogueError
            If it is damaged or cannot be reached.
        """
        location = str(location)
        return cls(location, *open_database(location, create=create))

    def close(self) -> None:
        """Let go of the database."""
        self._columns.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def index_folder(self) -> Path:
        """Where the index files are; all of them can be rebuilt from the database."""
        return self.folder / "index"

    def columns(self) -> Columns:
        """Return what is known of all recordings as it is now, in memory; for ``db`` only.

        Raises
        ------
        CatalogueError
            If the database cannot be read.
        """
        with self.session():  # for its errors
            return self._columns.columns()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give one consistent view of the database; for use inside ``db`` only.

        Raises
        ------
        CatalogueError
            If the database cannot be read: it is damaged, the server is gone.
        """
        try:
            with Session(self._engine) as session:
                yield session
        except DatabaseError as error:
            raise CatalogueError(
                f"the catalogue {self.location} cannot be read ({error.orig}): "
                "if it is damaged, restore it from a backup or index the archive anew"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose changes are committed together, or not at all; for ``db`` only.

        Transactions of other processes take turns with it; it waits for them up to a minute.

        Raises
        ------
        CatalogueLocked
            If its turn does not come.
        CatalogueError
            If the database cannot take the changes: the disk is full, the server is gone.
        """
        engine = database.for_writing(self._engine)
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DatabaseError as error:
            if "database is locked" in str(error.orig):
                raise CatalogueLocked(
                    f"another process has been writing to the catalogue {self.location} for a "
                    "minute without a pause: try again when it has finished"
                ) from error
            raise CatalogueError(
                f"the catalogue {self.location} cannot be written to ({error.orig}); "
                "what was committed before is safe"
            ) from error

    def lock(self) -> WriterLock:
        """Return the lock that a writer of this catalogue must hold."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return WriterLock(self.folder)

    # -- collections and files -------------------------------------------------------------

    def collections(self) -> list[CollectionInfo]:
        """Return all collections by name."""
        with self.session() as session:
            rows = session.scalars(select(CollectionRow).order_by(CollectionRow.name))
            return [collection_info(row) for row in rows]

    def collection(self, name: str) -> CollectionInfo:
        """Return a collection.

        Raises
        ------
        UnknownName
            If there is none of this name; the message lists those there are.
        """
        collections = {collection.name: collection for collection in self.collections()}
        if name not in collections:
            known = ", ".join(collections) or "none yet"
            raise UnknownName(f"there is no collection {name!r} in the catalogue (known: {known})")
        return collections[name]

    def known_files(self, collection_id: int) -> dict[str, KnownFile]:
        """Return all files of a collection by path, as far as a scan must know them."""
        query = (
            select(FileRow, RecordingRow.content_hash)
            .join(RecordingRow, RecordingRow.id == FileRow.recording_id)
            .where(FileRow.collection_id == collection_id)
        )
        with self.session() as session:
            return {
                row.path: known_file(row, content_hash)
                for row, content_hash in session.execute(query)
            }

    def failures(self, collection_id: int | None = None) -> list[Failure]:
        """Return the files that could not be indexed, by collection and path."""
        query = select(FailureRow).order_by(FailureRow.collection_id, FailureRow.path)
        if collection_id is not None:
            query = query.where(FailureRow.collection_id == collection_id)
        with self.session() as session:
            return [failure(row) for row in session.scalars(query)]

    # -- what has been analysed ------------------------------------------------------------

    def recordings_with_vectors(self, encoder: str) -> set[int]:
        """Return the ids of all recordings that an encoder has embedded."""
        query = select(EmbeddingRow.recording_id).join(EncoderRow).where(EncoderRow.name == encoder)
        with self.session() as session:
            return set(session.scalars(query))

    def recordings_with_fingerprint(self, scheme: str) -> set[int]:
        """Return the ids of all recordings that a scheme has fingerprinted."""
        query = (
            select(FingerprintRow.recording_id)
            .join(FingerprintSchemeRow)
            .where(FingerprintSchemeRow.name == scheme)
        )
        with self.session() as session:
            return set(session.scalars(query))

    def recordings_with_descriptors(self, scheme: str) -> set[int]:
        """Return the ids of all recordings that were described by a scheme."""
        query = select(DescriptorsRow.recording_id).where(DescriptorsRow.scheme == scheme)
        with self.session() as session:
            return set(session.scalars(query))

    def hashes_by_size(self) -> dict[int, dict[str, int]]:
        """Return content hash and id of all recordings by size: those a file of it may equal."""
        query = select(RecordingRow.size_bytes, RecordingRow.content_hash, RecordingRow.id)
        found: dict[int, dict[str, int]] = {}
        with self.session() as session:
            for row in session.execute(query):
                found.setdefault(row.size_bytes, {})[row.content_hash] = row.id
        return found

    def with_hash(self, content_hash: str) -> int | None:
        """Return the id of the recording with this content; None if there is none."""
        query = select(RecordingRow.id).where(RecordingRow.content_hash == content_hash)
        with self.session() as session:
            return session.scalar(query)

    def recordings_in_several_files(self) -> set[int]:
        """Return the ids of all recordings that lie in more than one file, missing ones aside."""
        query = (
            select(FileRow.recording_id)
            .where(FileRow.missing_since.is_(None))
            .group_by(FileRow.recording_id)
            .having(func.count() > 1)
        )
        with self.session() as session:
            return set(session.scalars(query))

    def encoders(self) -> list[EncoderInfo]:
        """Return the encoders whose vectors are here, oldest first."""
        with self.session() as session:
            return [
                encoder_info(row)
                for row in session.scalars(select(EncoderRow).order_by(EncoderRow.id))
            ]

    def schemes(self) -> list[SchemeInfo]:
        """Return the fingerprint schemes whose landmarks are here, oldest first."""
        query = select(FingerprintSchemeRow).order_by(FingerprintSchemeRow.id)
        with self.session() as session:
            return [scheme_info(row) for row in session.scalars(query)]

    def index_file_names(self) -> frozenset[str]:
        """Return the names of the index files that are in force."""
        with self.session() as session:
            return frozenset(session.scalars(select(IndexFileRow.name)))

    def postings_file_names(self) -> frozenset[str]:
        """Return the names of the postings files that are in force."""
        with self.session() as session:
            return frozenset(session.scalars(select(PostingsFileRow.name)))

    def vectors(self, recording_id: int, encoder: str) -> NDArray[np.float16]:
        """Return the vectors of one recording.

        Returns
        -------
        ndarray, shape (n_segments, dim), float16

        Raises
        ------
        UnknownName
            If this encoder has not embedded this recording.
        """
        query = (
            select(EmbeddingRow.vectors, EncoderRow.dim)
            .join(EncoderRow)
            .where(EmbeddingRow.recording_id == recording_id, EncoderRow.name == encoder)
        )
        with self.session() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            raise UnknownName(f"recording {recording_id} has no vectors by {encoder}")
        return vectors_from_blob(row.vectors, row.dim)

    def landmarks(self, recording_id: int, scheme: str) -> Landmarks:
        """Return the landmarks of one recording.

        Raises
        ------
        UnknownName
            If this scheme has not fingerprinted this recording.
        CatalogueError
            If they are not what was stored.
        """
        query = (
            select(FingerprintRow, FingerprintRow.landmarks)
            .join(FingerprintSchemeRow)
            .where(FingerprintRow.recording_id == recording_id, FingerprintSchemeRow.name == scheme)
        )
        with self.session() as session:
            found = session.execute(query).one_or_none()
        if found is None:
            raise UnknownName(f"recording {recording_id} has no fingerprint by {scheme}")
        row, blob = found
        fault = fingerprint_fault(
            blob, n_landmarks=row.n_landmarks, n_frames=row.n_frames, checksum=row.checksum
        )
        if fault is not None:
            raise CatalogueError(
                f"recording {recording_id}: {fault}; `echoic repair`, then `echoic index`, "
                "make it again"
            )
        return unpack(blob, row.n_landmarks, row.n_frames)

    # -- reading recordings ----------------------------------------------------------------

    def recording(self, recording_id: int) -> RecordingInfo:
        """Return one recording with all its files.

        Raises
        ------
        UnknownName
            If there is no such recording.
        """
        found = self.recordings([recording_id])
        if recording_id not in found:
            raise UnknownName(f"there is no recording {recording_id} in the catalogue")
        return found[recording_id]

    def recordings(self, recording_ids: Iterable[int]) -> dict[int, RecordingInfo]:
        """Return recordings by id; ids that are not there are left out."""
        wanted = sorted(set(recording_ids))
        found: dict[int, RecordingInfo] = {}
        with self.session() as session:
            for start in range(0, len(wanted), _SLICE):
                found |= load_recordings(session, wanted[start : start + _SLICE])
        return found

    def find_files(self, path: str) -> list[int]:
        """Return the recordings that lie under an absolute or relative path, exactly or at its end.

        ``dog.wav`` finds ``animals/dog.wav`` as well.
        """
        query = (
            select(FileRow.recording_id, FileRow.path, CollectionRow.root)
            .join(CollectionRow)
            .where(FileRow.path.endswith(path.rsplit("/", 1)[-1], autoescape=True))
        )
        wanted = f"/{path.lstrip('/')}"
        with self.session() as session:
            matches = {
                id_
                for id_, relative, root in session.execute(query)
                if f"{root}/{relative}".endswith(wanted)
            }
        return sorted(matches)

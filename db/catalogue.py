"""A catalogue: opened, created, read. `db.writer` changes it, `db.segment_index` searches it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.orm import Session

from db import engine as database
from db.changes import note_change
from db.columns import Columns, ColumnsCache
from db.errors import CatalogueError, UnknownName
from db.index_cache import IndexCache
from db.landmarks import Landmarks, fingerprint_fault, unpack
from db.lock import Lock
from db.opening import filling_lock, open_database, writer_lock
from db.patience import Patience
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
    CatalogueInfo,
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
from db.server import shown, telling

if TYPE_CHECKING:
    from db.server_lock import ServerLock

_SLICE = 500  # ids in one IN clause; every database takes this many

_Done = TypeVar("_Done")


class Catalogue:
    """Recordings, what is known of them, and the vectors that find them.

    Many processes may read one catalogue while one writes to it; a reader sees what was committed.

    Attributes
    ----------
    location : str
        The folder or URL by which it was opened, without its password.
    cache : IndexCache
        This machine's index files.
    """

    def __init__(
        self,
        location: str,
        engine: Engine,
        folder: Path,
        patience: Patience | None = None,
        *,
        part: str = "",
    ) -> None:
        self.location = shown(location)
        is_one_of_many = bool(part) or "://" in location
        self.cache = IndexCache(folder / part, is_one_of_many=is_one_of_many)
        self._folder = folder
        self._engine = engine
        self._patience = patience
        self._columns = ColumnsCache(self.session, database.ChangeWatch(engine))

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        create: bool = False,
        patience: Patience | None = None,
        part: str = "",
    ) -> Self:
        """Open a catalogue.

        Parameters
        ----------
        location
            A folder, or a SQLAlchemy URL.
        create
            Make the catalogue if there is none, and bring an older one to the newest format.
        patience
            How long to wait, once it is open, when its server goes away; by default not at all.
        part
            A folder below that of the index files, in which those of a part of an index are kept.

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
        return cls(location, *open_database(location, create=create), patience, part=part)

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
    def uuid(self) -> str:
        """What tells it from others, wherever it lies; a copy has that of its original."""
        with self.session() as session:
            return session.get_one(CatalogueInfo, "uuid").value

    @property
    def secret_location(self) -> str:
        """By what a process on another machine can open it: the URL may hold the password.

        So it is given to such a process, and never shown, logged or written to a file.
        """
        if "://" in self.location:
            return self._engine.url.render_as_string(hide_password=False)
        return str(Path(self.location).expanduser().absolute())

    @property
    def index_folder(self) -> Path:
        """Where the index files are; all of them can be rebuilt from the database."""
        return self.cache.folder / "index"

    def columns(self) -> Columns:
        """Return what is known of all recordings as it is now, in memory; for ``db`` only.

        Raises
        ------
        CatalogueError
            If the database cannot be read.
        """
        with telling(self.location, "read"):
            return self._columns.columns()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Give one consistent view of the database; for use inside ``db`` only.

        Raises
        ------
        CatalogueError
            If the database cannot be read: it is damaged, the server is gone.
        """
        with telling(self.location, "read"):
            # Whoever is patient waits here: most of the time a server goes away between two reads.
            connection = self.outlast(lambda: self._connect(self._engine, "read"))
            with connection, Session(connection) as session:
                yield session

    @contextmanager
    def transaction(self, *, of_contents: bool = True) -> Iterator[Session]:
        """Give a session whose changes are committed together, or not at all; for ``db`` only.

        Transactions of other processes take turns with it; it waits for them up to a minute.

        Parameters
        ----------
        of_contents
            False if nothing changes that is known of recordings, so that nobody need read it anew.
            If something does, `db.changes.touch` says of which; else it is taken to be of any.

        Raises
        ------
        CatalogueLocked
            If its turn does not come.
        CatalogueError
            If the database cannot take the changes: the disk is full, the server is gone.
        """
        engine = database.for_writing(self._engine)
        with (
            telling(self.location, "written to"),
            self._connect(engine, "written to") as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session
            if of_contents:
                note_change(session)

    def compact(self) -> str | None:
        """Give the room of what has been deleted back to the disk; say why if that cannot be."""
        return database.compact(self._engine)

    def outlast(self, work: Callable[[], _Done]) -> _Done:
        """Do something that may be done twice; again if the server went away, for who is patient.

        Raises
        ------
        CatalogueUnreachable
            If the server does not come back in time, or at once if nobody is to wait.
        """
        return work() if self._patience is None else self._patience.outlast(work)

    def lock(self, *, alone: bool) -> Lock:
        """Return the lock that a writer of this catalogue must hold.

        Parameters
        ----------
        alone
            Keep all other writers out. In SQLite there is no other way; on a server many indexers
            can write at once.
        """
        return writer_lock(self.location, self._engine, self._folder, alone=alone)

    def filling_lock(self) -> "ServerLock | None":
        """Return the lock of who sends vectors to a server; None where a writer is alone anyway."""
        return filling_lock(self.location, self._engine)

    def _connect(self, engine: Engine, doing: str) -> Connection:
        with telling(self.location, doing):
            return engine.connect()

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
        """Return the names of this machine's index files that are in force."""
        query = select(IndexFileRow.name).where(IndexFileRow.cache == self.cache.id)
        with self.session() as session:
            return frozenset(session.scalars(query))

    def postings_file_names(self) -> frozenset[str]:
        """Return the names of this machine's postings files that are in force."""
        query = select(PostingsFileRow.name).where(PostingsFileRow.cache == self.cache.id)
        with self.session() as session:
            return frozenset(session.scalars(query))

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
        if not path.isascii() and path != path.encode("utf-8", "replace").decode():
            return []  # its name is not UTF-8: no such file is ever indexed
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
                if f"/{root}/{relative}".endswith(wanted)
            }
        return sorted(matches)

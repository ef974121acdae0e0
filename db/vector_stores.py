"""Where the index of an encoder's vectors is kept between two runs.

There are two: files that belong to this machine alone (`FileStore`), and a server that all share
(`db.milvus_store.MilvusStore`). Whatever a store holds is brought in step with SQL when it is
opened; so it may be old, damaged, or not there at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.faiss_index import FaissIndex
from db.index_folder import slug
from db.records import EncoderInfo
from db.schema import IndexFileRow
from db.storing import now
from db.vector_location import FILES, vector_location
from db.vectors import VectorIndex
from db.writer import CatalogueWriter


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an encoder's vectors have come in SQL; grows with every commit that touches them."""

    next_segment: int
    n_removals: int


BringInStep: TypeAlias = Callable[[VectorIndex], Progress]
"""Adds to an index what SQL holds, removes what it does not, and returns how far SQL has come."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """What a store held when it was asked.

    Attributes
    ----------
    index : VectorIndex
        What is added to it or removed is seen by this process alone.
    progress : Progress
        How far SQL had come when it was saved.
    notes : tuple of str
        What was wrong, in words. Then `index` holds less than it should; perhaps nothing.
    """

    index: VectorIndex
    progress: Progress
    notes: tuple[str, ...] = ()


class VectorStore(Protocol):
    """Keeps the vectors of one encoder of one catalogue.

    Attributes
    ----------
    place : str
        As `db.vector_location.vector_location` has it.
    most_lacking : int or None
        More vectors than this must not be added to the index of a reader; None if any number.
    """

    place: str
    most_lacking: int | None

    def load(self) -> Loaded:
        """Open what is kept; if that is damaged or out of reach, something empty with a note."""
        ...

    def is_outdated(self, loaded: Loaded) -> bool:
        """Tell whether others have saved something since that was loaded which is worth loading."""
        ...

    def is_lost(self) -> bool:
        """Tell whether what was loaded may have become another's, and must be loaded again.

        Asked before every search, so it must be quick.
        """
        ...

    def faults(self) -> list[str]:
        """Say what is wrong with what is kept that `load` does not see, because it reads less."""
        ...

    def save(
        self, writer: CatalogueWriter, bring_in_step: BringInStep, *, thorough: bool = False
    ) -> Loaded:
        """Keep what SQL holds, for all who open the catalogue from now on; return that.

        Parameters
        ----------
        thorough
            Mend what `faults` finds, too.

        Raises
        ------
        VectorIndexError
            If that cannot be done; the catalogue is none the worse for it.
        """
        ...


def open_store(catalogue: Catalogue, encoder_id: int, encoder: EncoderInfo) -> VectorStore:
    """Return the store of an encoder.

    Raises
    ------
    VectorIndexError
        If what the catalogue, or the environment, says of its place cannot be one.
    """
    location = vector_location(catalogue)
    if location == FILES:
        return FileStore(catalogue, encoder_id, encoder)
    from db.milvus_store import MilvusStore

    return MilvusStore(catalogue, encoder_id, encoder, location)


class FileStore:
    """A `VectorStore` of files in the index folder: FAISS, searched in memory."""

    place = FILES
    most_lacking: int | None = None

    def __init__(self, catalogue: Catalogue, encoder_id: int, encoder: EncoderInfo) -> None:
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._encoder = encoder
        self._index = FaissIndex(encoder.dim)

    def load(self) -> Loaded:
        """Read the file that is in force. See `VectorStore.load`."""
        notes: tuple[str, ...] = ()
        for attempt in range(2):
            with self._catalogue.session() as session:
                row = session.get(IndexFileRow, (self._encoder_id, self._catalogue.cache.id))
            if row is None:
                break
            try:
                self._index = FaissIndex.load(
                    self._catalogue.index_folder / row.name, checksum=row.checksum
                )
            except VectorIndexError as error:
                # The first time, a writer may have put a newer generation in its place meanwhile.
                if attempt:
                    notes = (f"{error}; searching without it, from the database",)
                continue
            return Loaded(self._index, Progress(row.next_segment, row.n_removals))
        # What was loaded before may be by numbers that belong to other recordings now.
        self._index = FaissIndex(self._encoder.dim)
        return Loaded(self._index, Progress(0, 0), notes)

    def is_outdated(self, loaded: Loaded) -> bool:
        """Never: what is newer comes from SQL sooner than from a file."""
        return False

    def is_lost(self) -> bool:
        """Never: it was read into memory."""
        return False

    def faults(self) -> list[str]:
        """None: loading reads all of a file."""
        return []

    def save(
        self, writer: CatalogueWriter, bring_in_step: BringInStep, *, thorough: bool = False
    ) -> Loaded:
        """Write a new generation of the index file, then put it in force, then remove older ones.

        A crash at any point leaves the old file in force, or the new one.

        Raises
        ------
        VectorIndexError
            If the file cannot be written; the catalogue is none the worse for it.
        """
        progress = bring_in_step(self._index)
        with writer.catalogue.cache.saving():
            self._write(writer.catalogue, progress)
        return Loaded(self._index, progress)

    def _write(self, catalogue: Catalogue, progress: Progress) -> None:
        folder = catalogue.index_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorIndexError(f"cannot make {folder}: {error.strerror}") from error
        self._index.optimise()
        with catalogue.session() as session:
            row = session.get(IndexFileRow, (self._encoder_id, catalogue.cache.id))
            generation = 1 if row is None else row.generation + 1
        written = self._index.save(folder / f"{slug(self._encoder.name)}.{generation:06d}.index")
        with catalogue.transaction(of_contents=False) as session:
            session.merge(
                IndexFileRow(
                    encoder_id=self._encoder_id,
                    cache=catalogue.cache.id,
                    name=written.path.name,
                    generation=generation,
                    n_vectors=written.count,
                    checksum=written.checksum,
                    next_segment=progress.next_segment,
                    n_removals=progress.n_removals,
                    written_at=now(),
                )
            )
        for other in stale_files(folder, catalogue.index_file_names()):
            other.unlink(missing_ok=True)


def stale_files(folder: Path, in_force: frozenset[str]) -> list[Path]:
    """Return the files of an index folder that are not in force: older or half-written ones."""
    if not folder.is_dir():
        return []
    ours = (path for pattern in ("*.index", "*.index.tmp") for path in folder.glob(pattern))
    return sorted(path for path in ours if path.is_file() and path.name not in in_force)

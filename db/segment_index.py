"""The vectors of one encoder, ready to be searched and always in step with SQL.

SQL is the truth, the index file a cache of it: whatever the file lacks is added from SQL when it
is opened, whatever it holds too much is removed, and a file that is missing or damaged is rebuilt
in memory. A reader never writes; the writer saves a new generation of the file after a run.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import UnknownName, VectorIndexError
from db.faiss_index import FaissIndex
from db.features import vector_fault
from db.index_folder import slug
from db.places import Places
from db.records import EncoderInfo
from db.rows import encoder_info, vectors_from_blob
from db.schema import EmbeddingRow, EncoderRow, IndexFileRow
from db.storing import now
from db.vectors import SegmentBitmap, pack_ranges
from db.writer import CatalogueWriter

_BLOBS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _State:
    """How far an encoder's vectors have come; grows with every commit that touches them."""

    next_segment: int
    n_removals: int


@dataclass(frozen=True, slots=True, eq=False)
class _Ranges:
    """The segments that recordings own at one moment; never changed, only exchanged for others.

    Attributes
    ----------
    recordings, firsts, counts : ndarray, shape (n,), int64
        Recording `i` owns ``firsts[i] ... firsts[i] + counts[i] - 1``; ascending.
    places : Places
        Where a recording stands in these.
    next_segment : int
        All segments are below it.
    """

    recordings: NDArray[np.int64]
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    places: Places
    next_segment: int

    def bitmap_of(self, recording_ids: NDArray[np.int64]) -> SegmentBitmap:
        """Return the segments of recordings; those that are not there have none."""
        chosen = np.zeros(len(self.recordings), dtype=np.bool_)
        chosen[self.places.find(recording_ids)[0]] = True
        return pack_ranges(self.firsts[chosen], self.counts[chosen], self.next_segment)


class SegmentIndex:
    """Finds segments by their vectors, and knows which recordings they belong to.

    Any number of threads may use it; one of them at a time takes in what is new.

    Attributes
    ----------
    encoder : EncoderInfo
    notes : list of str
        What was wrong with the index file, in words; empty when nothing was.
    """

    def __init__(self, catalogue: Catalogue, encoder_id: int, encoder: EncoderInfo) -> None:
        self.encoder = encoder
        self.notes: list[str] = []
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._index = FaissIndex(encoder.dim)
        self._state = _State(0, 0)
        self._saved = _State(0, 0)
        self._changing = threading.Lock()
        nothing = np.empty(0, dtype=np.int64)
        self._ranges = _Ranges(nothing, nothing, nothing, Places(nothing), 0)

    @classmethod
    def open(cls, catalogue: Catalogue, encoder: str) -> Self:
        """Load the index of an encoder and bring it in step with SQL.

        Raises
        ------
        UnknownName
            If the catalogue holds no vectors by this encoder; the message lists those it holds.
        """
        with catalogue.session() as session:
            row = session.scalar(select(EncoderRow).where(EncoderRow.name == encoder))
            if row is None:
                held = ", ".join(session.scalars(select(EncoderRow.name))) or "none"
                raise UnknownName(
                    f"the catalogue holds no vectors by {encoder} (it holds: {held}): "
                    f"`echoic index --encoder {encoder}` makes them"
                )
            index = cls(catalogue, row.id, encoder_info(row))
        index._load_file()
        index.refresh()
        return index

    def __len__(self) -> int:
        return len(self._index)

    # -- reading ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what other processes have committed since the last time."""
        with self._catalogue.session() as session:
            if self._is_current(self._load_state(session)):
                return
        with self._changing, self._catalogue.session() as session:
            state = self._load_state(session)
            if self._is_current(state):
                return  # another thread was quicker
            # Ranges before vectors: what a search finds shall belong to a recording.
            self._ranges = ranges = self._load_ranges(session, state)
            expected = _expand(ranges.firsts, ranges.counts)
            present = self._index.ids()
            surplus = np.setdiff1d(present, expected, assume_unique=True)
            if len(surplus):
                self._index.remove(surplus)
            lacking = ~np.isin(ranges.firsts, present, assume_unique=True)
            self._add_from_sql(session, ranges.recordings[lacking])
            self._state = state

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        recording_ids: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the segments whose vectors are most like the queries.

        Parameters
        ----------
        queries : ndarray, shape (n, dim), float32
            Unit length.
        recording_ids : ndarray of int64, optional
            If given, only their segments are searched: all of them if they are few, so that no hit
            is missed, through the index if they are many.

        Returns
        -------
        scores : ndarray, shape (n, k), float32
            Inner products, best first; -inf where there are fewer than `k` segments.
        segments : ndarray, shape (n, k), int64
            Segment numbers; -1 where there are fewer.
        """
        if recording_ids is None:
            return self._index.search(queries, k)
        return self._index.search(queries, k, allowed=self._ranges.bitmap_of(recording_ids))

    def locate(self, segments: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the recording that each segment belongs to, and its place within it.

        Parameters
        ----------
        segments : ndarray, int64
            Segment numbers that `search` returned; none of them -1.

        Returns
        -------
        recording_ids : ndarray of int64
            -1 where the recording was removed after the search.
        ordinals : ndarray of int64
            The first segment of a recording has the ordinal 0; -1 where it was removed.
        """
        ranges = self._ranges
        if not len(ranges.firsts):
            nowhere = np.full(len(segments), -1, dtype=np.int64)
            return nowhere, nowhere.copy()
        at = np.searchsorted(ranges.firsts, segments, side="right") - 1
        ordinals = segments - ranges.firsts[at]
        inside = (at >= 0) & (ordinals < ranges.counts[at])
        return np.where(inside, ranges.recordings[at], -1), np.where(inside, ordinals, -1)

    # -- writing ---------------------------------------------------------------------------

    def is_saved(self) -> bool:
        """Tell whether the file on disk holds just what SQL holds."""
        return self._saved == self._state

    def save(self, writer: CatalogueWriter) -> None:
        """Write a new generation of the index file, then put it in force, then remove older ones.

        A crash at any point leaves the old file in force, or the new one.

        Raises
        ------
        VectorIndexError
            If the file cannot be written; the catalogue is none the worse for it.
        """
        folder = writer.catalogue.index_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorIndexError(f"cannot make {folder}: {error.strerror}") from error
        self._index.optimise()
        with writer.catalogue.session() as session:
            row = session.get(IndexFileRow, self._encoder_id)
            generation = 1 if row is None else row.generation + 1
        written = self._index.save(folder / f"{slug(self.encoder.name)}.{generation:06d}.index")
        with writer.catalogue.transaction() as session:
            session.merge(
                IndexFileRow(
                    encoder_id=self._encoder_id,
                    name=written.path.name,
                    generation=generation,
                    n_vectors=written.count,
                    checksum=written.checksum,
                    next_segment=self._state.next_segment,
                    n_removals=self._state.n_removals,
                    written_at=now(),
                )
            )
        self._saved = self._state
        for other in stale_files(folder, writer.catalogue.index_file_names()):
            other.unlink(missing_ok=True)

    # -- inside ----------------------------------------------------------------------------

    def _load_file(self) -> None:
        for attempt in range(2):
            with self._catalogue.session() as session:
                row = session.get(IndexFileRow, self._encoder_id)
            if row is None:
                return
            try:
                index = FaissIndex.load(
                    self._catalogue.index_folder / row.name, checksum=row.checksum
                )
            except VectorIndexError as error:
                # The first time, a writer may have put a newer generation in its place meanwhile.
                if attempt:
                    self.notes.append(f"{error}; searching without it, from the database")
                continue
            self._index = index
            self._saved = _State(row.next_segment, row.n_removals)
            return

    def _load_state(self, session: Session) -> _State:
        row = session.get(EncoderRow, self._encoder_id)
        if row is None:
            raise UnknownName(f"the vectors by {self.encoder.name} have been removed")
        return _State(row.next_segment, row.n_removals)

    def _is_current(self, state: _State) -> bool:
        return state == self._state and len(self._ranges.firsts) > 0

    def _load_ranges(self, session: Session, state: _State) -> _Ranges:
        query = (
            select(EmbeddingRow.recording_id, EmbeddingRow.first_segment, EmbeddingRow.n_segments)
            .where(EmbeddingRow.encoder_id == self._encoder_id)
            .order_by(EmbeddingRow.first_segment)
        )
        rows = np.array(session.execute(query).all(), dtype=np.int64).reshape(-1, 3)
        recordings, firsts, counts = rows.T.copy()
        return _Ranges(recordings, firsts, counts, Places(recordings), state.next_segment)

    def _add_from_sql(self, session: Session, recording_ids: NDArray[np.int64]) -> None:
        for start in range(0, len(recording_ids), _BLOBS_AT_ONCE):
            query = select(
                EmbeddingRow.recording_id,
                EmbeddingRow.first_segment,
                EmbeddingRow.n_segments,
                EmbeddingRow.checksum,
                EmbeddingRow.vectors,
            ).where(
                EmbeddingRow.encoder_id == self._encoder_id,
                EmbeddingRow.recording_id.in_(
                    recording_ids[start : start + _BLOBS_AT_ONCE].tolist()
                ),
            )
            ids: list[NDArray[np.int64]] = []
            parts: list[NDArray[np.float16]] = []
            for row in session.execute(query.order_by(EmbeddingRow.first_segment)):
                fault = vector_fault(row.vectors, row.n_segments, self.encoder.dim, row.checksum)
                if fault is not None:
                    self._leave_out(row.recording_id, fault)
                    continue
                parts.append(vectors_from_blob(row.vectors, self.encoder.dim))
                first = row.first_segment
                ids.append(np.arange(first, first + len(parts[-1]), dtype=np.int64))
            if parts:
                self._index.add(np.concatenate(ids), np.concatenate(parts))

    def _leave_out(self, recording_id: int, fault: str) -> None:
        note = (
            f"recording {recording_id} is left out: {fault}; "
            "`echoic repair`, then `echoic index`, make its vectors again"
        )
        if note not in self.notes:
            self.notes.append(note)


def save_indexes(writer: CatalogueWriter) -> None:
    """Bring all index files up to date with SQL."""
    for encoder in writer.catalogue.encoders():
        index = SegmentIndex.open(writer.catalogue, encoder.name)
        if not index.is_saved():
            index.save(writer)


def stale_files(folder: Path, in_force: frozenset[str]) -> list[Path]:
    """Return the files of an index folder that are not in force: older or half-written ones."""
    if not folder.is_dir():
        return []
    ours = (path for pattern in ("*.index", "*.index.tmp") for path in folder.glob(pattern))
    return sorted(path for path in ours if path.is_file() and path.name not in in_force)


def _expand(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all numbers of the ranges ``firsts[i] ... firsts[i] + counts[i] - 1``, in order."""
    total = int(counts.sum())
    starts_in_result = np.cumsum(counts) - counts
    numbers: NDArray[np.int64] = np.arange(total, dtype=np.int64)
    numbers += np.repeat(firsts - starts_in_result, counts)
    return numbers

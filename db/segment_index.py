"""The vectors of one encoder, ready to be searched and always in step with SQL.

SQL is the truth, what a `db.vector_stores.VectorStore` keeps a cache of it: whatever that lacks is
added from SQL when it is opened, whatever it holds too much is removed, and what is missing or
damaged is rebuilt in memory. A reader never writes; the writer saves after a run.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CollectionGone, UnknownName, VectorIndexError
from db.features import vector_fault
from db.places import Places
from db.records import EncoderInfo
from db.rows import encoder_info, vectors_from_blob
from db.schema import EmbeddingRow, EncoderRow
from db.vector_location import location_in, vector_location
from db.vector_stores import Loaded, Progress, VectorStore, open_store
from db.vectors import SegmentBitmap, VectorIndex, expand_ranges, pack_ranges, unpack
from db.writer import CatalogueWriter

_BLOBS_AT_ONCE = 200


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
    """

    def __init__(
        self, catalogue: Catalogue, encoder_id: int, encoder: EncoderInfo, store: VectorStore
    ) -> None:
        self.encoder = encoder
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._store = store
        self._loaded = store.load()
        self._state = Progress(0, 0)
        self._left_out: list[str] = []
        self._n_lacking = 0
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
        VectorIndexError
            If the vectors are at a place that cannot be one.
        """
        with catalogue.session() as session:
            row = session.scalar(select(EncoderRow).where(EncoderRow.name == encoder))
            if row is None:
                held = ", ".join(session.scalars(select(EncoderRow.name))) or "none"
                raise UnknownName(
                    f"the catalogue holds no vectors by {encoder} (it holds: {held}): "
                    f"`echoic index --encoder {encoder}` makes them"
                )
            info, id_ = encoder_info(row), row.id
        index = cls(catalogue, id_, info, open_store(catalogue, id_, info))
        index.refresh()
        return index

    def __len__(self) -> int:
        return len(self._loaded.index)

    @property
    def notes(self) -> list[str]:
        """What was wrong with the index, and what it leaves out, in words; empty if nothing."""
        return [*self._loaded.notes, *self._left_out]

    # -- reading ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what other processes have committed since the last time.

        That may be that the vectors are kept at another place by now.

        Raises
        ------
        VectorIndexError
            If they are at a place that cannot be one.
        """
        if self._is_current():
            return
        with self._changing:
            if not self._is_current():  # else another thread was quicker
                self._follow()

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

        Raises
        ------
        VectorIndexError
            If the vectors are on a server that does not answer, or that lacks too many of them.
        """
        try:
            return self._search(queries, k, recording_ids)
        except CollectionGone:
            # A writer may have put another in its place; else what can be had comes from SQL.
            with self._changing:
                self._take(self._store.load(), self._store)
            return self._search(queries, k, recording_ids)

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
        """Tell whether what is kept is just what SQL holds."""
        return not self._loaded.notes and self._loaded.progress == self._state

    def faults(self) -> list[str]:
        """Say what is wrong with what is kept beyond `notes`; may take long."""
        return self._store.faults()

    def save(self, writer: CatalogueWriter, *, thorough: bool = False) -> None:
        """Keep what SQL holds, so that the next who opens it finds it ready.

        Parameters
        ----------
        thorough
            Mend what `faults` finds, too.

        Raises
        ------
        VectorIndexError
            If that cannot be done; the catalogue is none the worse for it.
        """
        with self._changing:
            loaded = self._store.save(writer, self._bring_in_step, thorough=thorough)
            self._take(loaded, self._store)

    # -- inside ----------------------------------------------------------------------------

    def _search(
        self, queries: NDArray[np.float32], k: int, recording_ids: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if self._n_lacking:
            notes = "".join(f" ({note})" for note in self._loaded.notes)
            raise VectorIndexError(
                f"{self._n_lacking:,} vectors by {self.encoder.name} are in the database and not "
                f"on the server that is to search them{notes}: `echoic repair` sends them there"
            )
        if recording_ids is None:
            return self._loaded.index.search(queries, k)
        allowed = self._ranges.bitmap_of(recording_ids)
        return self._loaded.index.search(queries, k, allowed=allowed)

    def _is_current(self) -> bool:
        with self._catalogue.session() as session:
            state, place = self._progress(session), location_in(session)
        is_in_step = state == self._state and len(self._ranges.firsts) > 0
        return is_in_step and place == self._store.place and not self._store.is_lost()

    def _follow(self) -> None:
        """Search what is kept by now, where it is kept by now."""
        store, loaded = self._store, self._loaded
        if vector_location(self._catalogue) != store.place:
            store = open_store(self._catalogue, self._encoder_id, self.encoder)
            loaded = store.load()
        elif len(self._ranges.firsts) and (store.is_lost() or store.is_outdated(loaded)):
            loaded = store.load()
        self._take(loaded, store)

    def _take(self, loaded: Loaded, store: VectorStore) -> None:
        """Search this from now on, in step with SQL."""
        state, ranges = self._load_ranges()
        # Ranges before vectors: what a search finds shall belong to a recording.
        self._ranges = ranges
        self._n_lacking = self._put_in_step(loaded.index, ranges, store.most_lacking)
        self._store, self._loaded, self._state = store, loaded, state

    def _bring_in_step(self, index: VectorIndex) -> Progress:
        """Make any index hold what SQL holds, however much that is."""
        state, ranges = self._load_ranges()
        self._put_in_step(index, ranges, None)
        return state

    def _put_in_step(self, index: VectorIndex, ranges: _Ranges, most: int | None) -> int:
        """Remove what an index holds too much and add what it lacks, unless that are too many.

        Returns how many it still lacks because they are.
        """
        present = index.ids()
        size = max(ranges.next_segment, int(present.max(initial=-1)) + 1)
        owned = unpack(pack_ranges(ranges.firsts, ranges.counts, size), size)
        is_present = np.zeros(size, dtype=np.bool_)
        is_present[present] = True
        n_before = np.concatenate(([0], np.cumsum(is_present & owned)))
        held = n_before[ranges.firsts + ranges.counts] - n_before[ranges.firsts]
        lacking = held < ranges.counts
        cut = lacking & (held > 0)  # sending them to a server was interrupted
        surplus = np.flatnonzero(is_present & ~owned)
        if len(surplus) or cut.any():
            halves = expand_ranges(ranges.firsts[cut], ranges.counts[cut])
            index.remove(np.concatenate((surplus, halves)))
        n_lacking = int(ranges.counts[lacking].sum())
        if most is not None and n_lacking > most:
            return n_lacking
        self._add_from_sql(index, ranges.recordings[lacking])
        return 0

    def _progress(self, session: Session) -> Progress:
        row = session.get(EncoderRow, self._encoder_id)
        if row is None:
            raise UnknownName(f"the vectors by {self.encoder.name} have been removed")
        return Progress(row.next_segment, row.n_removals)

    def _load_ranges(self) -> tuple[Progress, _Ranges]:
        query = (
            select(EmbeddingRow.recording_id, EmbeddingRow.first_segment, EmbeddingRow.n_segments)
            .where(EmbeddingRow.encoder_id == self._encoder_id)
            .order_by(EmbeddingRow.first_segment)
        )
        with self._catalogue.session() as session:
            state = self._progress(session)
            rows = np.array(session.execute(query).all(), dtype=np.int64).reshape(-1, 3)
        firsts, counts = rows[:, 1], rows[:, 2]
        fits = (firsts >= 0) & (counts >= 0) & (counts <= state.next_segment - firsts)
        for recording_id in rows[~fits, 0].tolist():
            self._leave_out(recording_id, "its segment numbers were never given out")
        recordings, firsts, counts = rows[fits].T.copy()
        return state, _Ranges(recordings, firsts, counts, Places(recordings), state.next_segment)

    def _add_from_sql(self, index: VectorIndex, recording_ids: NDArray[np.int64]) -> None:
        for start in range(0, len(recording_ids), _BLOBS_AT_ONCE):
            some = recording_ids[start : start + _BLOBS_AT_ONCE].tolist()
            ids: list[NDArray[np.int64]] = []
            parts: list[NDArray[np.float16]] = []
            for first, vectors in self._read(some):
                ids.append(np.arange(first, first + len(vectors), dtype=np.int64))
                parts.append(vectors)
            if parts:
                index.add(np.concatenate(ids), np.concatenate(parts))

    def _read(self, recording_ids: list[int]) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Yield first segment and vectors of recordings; those that are damaged are left out."""
        query = (
            select(
                EmbeddingRow.recording_id,
                EmbeddingRow.first_segment,
                EmbeddingRow.n_segments,
                EmbeddingRow.checksum,
                EmbeddingRow.vectors,
            )
            .where(
                EmbeddingRow.encoder_id == self._encoder_id,
                EmbeddingRow.recording_id.in_(recording_ids),
            )
            .order_by(EmbeddingRow.first_segment)
        )
        # No transaction stays open while the vectors go to a server.
        with self._catalogue.session() as session:
            rows = session.execute(query).all()
        for row in rows:
            fault = vector_fault(row.vectors, row.n_segments, self.encoder.dim, row.checksum)
            if fault is not None:
                self._leave_out(row.recording_id, fault)
            else:
                yield row.first_segment, vectors_from_blob(row.vectors, self.encoder.dim)

    def _leave_out(self, recording_id: int, fault: str) -> None:
        note = (
            f"recording {recording_id} is left out: {fault}; "
            "`echoic repair`, then `echoic index`, make its vectors again"
        )
        if note not in self._left_out:
            self._left_out.append(note)


def save_indexes(writer: CatalogueWriter) -> list[str]:
    """Bring what is kept of all encoders up to date with SQL; return what could not be, in words.

    Then searches are right all the same, or say what is amiss.
    """
    notes = []
    for encoder in writer.catalogue.encoders():
        index = SegmentIndex.open(writer.catalogue, encoder.name)
        if not index.is_saved():
            try:
                index.save(writer)
            except VectorIndexError as error:
                notes.append(f"{error}; `echoic repair` brings the index up to date then")
    return notes

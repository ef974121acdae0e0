"""The vectors of one encoder, ready to be searched and always in step with SQL.

SQL is the truth, what a `db.vector_stores.VectorStore` keeps a cache of it: whatever that lacks is
added from SQL when it is opened, whatever it holds too much is removed, and what is missing or
damaged is rebuilt in memory. A reader never writes; the writer saves after a run.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.changes import last_change
from db.errors import CollectionGone, UnknownName, VectorIndexError
from db.features import vector_fault
from db.owned_ranges import Exchange, RangesReader
from db.records import EncoderInfo
from db.rows import encoder_info, vectors_from_blob
from db.schema import EmbeddingRow, EncoderRow
from db.vector_location import location_in, vector_location
from db.vector_stores import Loaded, Progress, VectorStore, open_store
from db.vectors import VectorIndex, expand_ranges, pack_ranges, unpack
from db.writer import CatalogueWriter

_BLOBS_AT_ONCE = 200
_AGAIN_AFTER_S = 5.0  # a server that lacks vectors is looked at again


@dataclass(frozen=True, slots=True, eq=False)
class _InStep:
    """An index that holds what SQL held after a change."""

    index: VectorIndex
    number: int | None


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
        self._stored = _ranges_reader(encoder_id)
        self._progress = self._state = Progress(0, 0)
        self._in_step: _InStep | None = None
        self._seen: int | None = None
        self._damaged: dict[int, str] = {}
        self._n_lacking = 0
        self._again_at = 0.0
        self._changing = threading.Lock()

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
        misplaced = {
            id_: f"its segment numbers {why}" for id_, why in self._stored.left_out.items()
        }
        left_out = (misplaced | self._damaged).items()
        return [
            *self._loaded.notes,
            *(
                f"recording {id_} is left out: {why}; "
                "`echoic repair`, then `echoic index`, make its vectors again"
                for id_, why in left_out
            ),
        ]

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
                self._renew()
                self._take(self._store.load(), self._store, self._read())
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
        return self._stored.ranges.locate(segments)

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
            self._renew()
            loaded = self._store.save(writer, self._bring_in_step, thorough=thorough)
            self._take(loaded, self._store, self._read())

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
        ranges = self._stored.ranges
        chosen = np.zeros(len(ranges), dtype=np.bool_)
        chosen[ranges.places.find(recording_ids)[0]] = True
        firsts, counts = ranges.firsts[chosen], ranges.counts[chosen]
        allowed = pack_ranges(firsts, counts, int((firsts + counts).max(initial=0)))
        return self._loaded.index.search(queries, k, allowed=allowed)

    def _is_current(self) -> bool:
        with self._catalogue.session() as session:
            seen, place = last_change(session.connection()), location_in(session)
        if seen != self._seen or self._store.is_lost():
            return False
        is_waiting = place != self._store.place or self._n_lacking > 0
        return not is_waiting or time.monotonic() < self._again_at

    def _follow(self) -> None:
        """Search what is kept by now, where it is kept by now."""
        self._renew()
        exchange, store, loaded = self._read(), self._store, self._loaded
        is_open, place = self._seen is not None, vector_location(self._catalogue)
        if place != store.place:
            (store, loaded), exchange = self._moved(store, loaded), None
        elif is_open and (
            exchange is None or self._n_lacking or store.is_lost() or store.is_outdated(loaded)
        ):
            loaded = store.load()
        self._take(loaded, store, exchange)
        # What is lacking comes without a change of contents: somebody sends it to the server.
        is_waiting = place != store.place or self._n_lacking > 0
        self._again_at = time.monotonic() + _AGAIN_AFTER_S if is_waiting else 0.0

    def _moved(self, store: VectorStore, loaded: Loaded) -> tuple[VectorStore, Loaded]:
        """Open the new place; stay at the old one while that holds all and the new one does not."""
        new = open_store(self._catalogue, self._encoder_id, self.encoder)
        found = new.load()
        is_complete = self._seen is not None and not self._n_lacking
        if is_complete and self._put_in_step(found.index, None, new.most_lacking):
            return store, loaded
        return new, found

    def _renew(self) -> None:
        """Begin anew if the vectors have been removed and made again: all is by other numbers."""
        with self._catalogue.session() as session:
            id_ = self._row(session).id
        if id_ != self._encoder_id:
            self._encoder_id, self._in_step = id_, None
            self._stored = _ranges_reader(id_)
            self._store = open_store(self._catalogue, id_, self.encoder)

    def _row(self, session: Session) -> EncoderRow:
        row = session.scalar(select(EncoderRow).where(EncoderRow.name == self.encoder.name))
        if row is None:
            raise UnknownName(f"the vectors by {self.encoder.name} have been removed")
        return row

    def _read(self) -> Exchange | None:
        """Read what recordings own; return how that differs from what an index is in step with.

        None if it may differ in anything.
        """
        with self._catalogue.session() as session:
            row = self._row(session)
            if row.id != self._encoder_id:  # since `_renew`, so that no store is mixed with another
                raise VectorIndexError(
                    f"the vectors by {self.encoder.name} were made again meanwhile: try again"
                )
            before = self._stored.number
            is_known = self._in_step is not None and self._in_step.number == before
            exchange = self._stored.read(session, row.next_segment)
            self._progress = Progress(row.next_segment, row.n_removals)
        return exchange if is_known else None

    def _take(self, loaded: Loaded, store: VectorStore, exchange: Exchange | None) -> None:
        """Search this from now on, in step with what was read just now."""
        self._n_lacking = self._put_in_step(loaded.index, exchange, store.most_lacking)
        self._store, self._loaded = store, loaded
        self._state, self._seen = self._progress, self._stored.number

    def _bring_in_step(self, index: VectorIndex) -> Progress:
        """Make any index hold what SQL holds, however much that is."""
        self._put_in_step(index, self._read(), None)
        return self._progress

    def _put_in_step(self, index: VectorIndex, exchange: Exchange | None, most: int | None) -> int:
        """Remove what an index holds too much and add what it lacks, unless that are too many.

        Returns how many it still lacks because they are.
        """
        followed = self._in_step is not None and self._in_step.index is index
        self._in_step = None  # should this be cut off, all is compared the next time
        if exchange is None or not followed:
            self._damaged = {}
            exchange = self._compared(index)
        gone, come = exchange.gone, exchange.come
        changed = {*gone[:, 0].tolist(), *come[:, 0].tolist()}
        self._damaged = {id_: why for id_, why in self._damaged.items() if id_ not in changed}
        if len(gone):
            index.remove(expand_ranges(gone[:, 1], gone[:, 2]))
        n_lacking = int(come[:, 2].sum())
        if most is not None and n_lacking > most:
            return n_lacking
        self._add_from_sql(index, come[:, 0])
        self._in_step = _InStep(index, self._stored.number)
        return 0

    def _compared(self, index: VectorIndex) -> Exchange:
        """Return what an index holds that nobody owns, and what it lacks of all that is owned."""
        ranges, present = self._stored.ranges, index.ids()
        ends = ranges.firsts + ranges.counts
        size = max(int(ends.max(initial=0)), int(present.max(initial=-1)) + 1)
        owned = unpack(pack_ranges(ranges.firsts, ranges.counts, size), size)
        is_present = np.zeros(size, dtype=np.bool_)
        is_present[present] = True
        n_before = np.concatenate(([0], np.cumsum(is_present & owned)))
        held = n_before[ends] - n_before[ranges.firsts]
        lacking = held < ranges.counts
        cut = lacking & (held > 0)  # sending them to a server was interrupted
        surplus = np.flatnonzero(is_present & ~owned)
        gone = np.concatenate((ranges.rows(cut), _single(surplus)))
        return Exchange(gone, ranges.rows(lacking))

    def _add_from_sql(self, index: VectorIndex, recording_ids: NDArray[np.int64]) -> None:
        for start in range(0, len(recording_ids), _BLOBS_AT_ONCE):
            some = recording_ids[start : start + _BLOBS_AT_ONCE].tolist()
            ids: list[NDArray[np.int64]] = []
            parts: list[NDArray[np.float16]] = []
            for first, vectors in self._vectors(some):
                ids.append(np.arange(first, first + len(vectors), dtype=np.int64))
                parts.append(vectors)
            if parts:
                index.add(np.concatenate(ids), np.concatenate(parts))

    def _vectors(self, recording_ids: list[int]) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Yield first segment and vectors of recordings; those that are damaged are left out."""
        query = select(
            EmbeddingRow.recording_id,
            EmbeddingRow.first_segment,
            EmbeddingRow.n_segments,
            EmbeddingRow.checksum,
            EmbeddingRow.vectors,
        ).where(
            EmbeddingRow.encoder_id == self._encoder_id,
            EmbeddingRow.recording_id.in_(recording_ids),
        )
        # No transaction stays open while the vectors go to a server.
        with self._catalogue.session() as session:
            # Sorted here: to sort them, SQLite would rather go through all rows of the encoder.
            rows = sorted(session.execute(query), key=lambda row: row.first_segment)
        for row in rows:
            fault = vector_fault(row.vectors, row.n_segments, self.encoder.dim, row.checksum)
            if fault is not None:
                self._damaged = self._damaged | {row.recording_id: fault}
            else:
                yield row.first_segment, vectors_from_blob(row.vectors, self.encoder.dim)


def _ranges_reader(encoder_id: int) -> RangesReader:
    return RangesReader(
        EmbeddingRow.recording_id,
        EmbeddingRow.first_segment,
        EmbeddingRow.n_segments,
        EmbeddingRow.encoder_id == encoder_id,
    )


def _single(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers that belong to no recording as rows of ranges."""
    ones = np.ones_like(numbers)
    return np.stack((-ones, numbers, ones), axis=1)


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

"""The fingerprints of one scheme as SQL has them, on their way into runs of postings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.changes import last_change
from db.errors import PostingsError, UnknownName
from db.features import GUARD_FRAMES
from db.key_parts import Part
from db.landmarks import Landmarks, fingerprint_fault, unpack
from db.live_frames import LiveFrames
from db.owned_ranges import OwnedRanges, RangesReader
from db.postings import PostingsRun
from db.postings_file import open_postings_file
from db.postings_merge import PART_POSTINGS, RUN_FRAMES, Expand, LiveRun, RunBuilder
from db.schema import FingerprintRow, FingerprintSchemeRow, PostingsFileRow

_BLOBS_AT_ONCE: Final = 200

# Every query asks these first; making a statement takes longer than asking it.
_SCHEME = select(FingerprintSchemeRow).where(FingerprintSchemeRow.name == bindparam("name"))
_IN_FORCE = select(PostingsFileRow.name, PostingsFileRow.checksum).where(
    PostingsFileRow.scheme_id == bindparam("scheme_id"),
    PostingsFileRow.cache == bindparam("cache"),
)


@dataclass(frozen=True, slots=True)
class SchemeState:
    """How far the fingerprints of a scheme have come.

    Attributes
    ----------
    change : int
        The number of the last one (`db.changes`); the same on all machines.
    next_frame : int
        All frame numbers that were given out are below it.
    files : frozenset of (name, checksum)
        The postings files in force.
    """

    change: int
    next_frame: int
    files: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The fingerprints of a scheme at one moment; never changed, only exchanged for another.

    Attributes
    ----------
    runs : tuple of LiveRun
        In the order of their frames.
    n_anew : int
        How often the frames' owners had been read without knowledge of those before. Frames of
        runs in memory may be others' after that.
    """

    state: SchemeState
    ranges: OwnedRanges
    runs: tuple[LiveRun, ...]
    n_anew: int


@dataclass(frozen=True, slots=True)
class _Live:
    """How many frames of a run are live, and which; None: all."""

    n_frames: int
    frames: LiveFrames | None


class StoredFingerprints:
    """Makes runs of the postings files in force, and of what SQL has besides.

    Parameters
    ----------
    expand
        Gives the keys of a recording's landmarks, and the frame that each belongs to.
    key_bits : int
        Keys are below ``2 ** key_bits``.
    part : Part
        What of them is wanted here.

    Attributes
    ----------
    notes : list of str
        What was wrong with files and BLOBs, in words.

    Raises
    ------
    UnknownName
        If the catalogue holds no fingerprints by this scheme; the message lists those it holds.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        scheme: str,
        expand: Expand,
        *,
        key_bits: int,
        part: Part,
    ) -> None:
        with catalogue.session() as session:
            query = select(FingerprintSchemeRow.name, FingerprintSchemeRow.id)
            ids = {name: id_ for name, id_ in session.execute(query)}  # noqa: C416, rows are typed
        if scheme not in ids:
            raise UnknownName(
                f"the catalogue holds no fingerprints by {scheme} "
                f"(it holds: {', '.join(ids) or 'none'}): `echoic index FOLDER` makes them"
            )
        self.catalogue = catalogue
        self.scheme = scheme
        self.key_bits = key_bits
        self.part = part
        self.notes: list[str] = []
        self._expand = expand
        self._opened: dict[tuple[str, str], PostingsRun] = {}
        self._n_anew = 0
        # What is live of runs, as `_ranges` has it.
        self._live: WeakKeyDictionary[PostingsRun, _Live] = WeakKeyDictionary()
        self._follow(ids[scheme])

    def is_current(self, state: SchemeState) -> bool:
        """Tell whether nothing has been committed since.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """
        with self.catalogue.session() as session:
            return self.state(session) == state

    def load(self) -> View:
        """Open the postings files in force; those of which nothing is left are passed over.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """
        for last_try in (False, True):
            state, ranges = self.numbering()
            opened, faults = self._open(state.files)
            # The first time, a writer may have put other files in force meanwhile.
            if not faults or last_try:
                break
        for fault in faults:
            self.note(f"{fault}; searching without it, from the database")
        self._opened = opened
        runs = (self.attach(run, *key) for key, run in opened.items())
        return View(state, ranges, in_order(run for run in runs if run.n_live), self._n_anew)

    def attach(self, run: PostingsRun, name: str = "", checksum: str = "") -> LiveRun:
        """Find out which frames of a run belonged to a recording when all was last loaded."""
        found = self._live.get(run)
        if found is None:
            ranges, first, end = self._ranges.ranges, run.layout.first_frame, run.layout.end_frame
            inside = slice(*np.searchsorted(ranges.firsts, (first, end)))
            firsts = ranges.firsts[inside]
            counts = np.minimum(ranges.counts[inside], end - firsts)
            n_live = int(counts.sum())
            live = None
            if n_live != run.layout.n_frames:
                live = LiveFrames(first, end, firsts, counts, gap=GUARD_FRAMES)
            found = self._live[run] = _Live(n_live, live)
        return LiveRun(run, name, checksum, found.n_frames, found.frames)

    def numbering(self) -> tuple[SchemeState, OwnedRanges]:
        """Return how far the fingerprints have come, and who owns which frames.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """
        with self.catalogue.session() as session:
            state = self.state(session)
            self._read_ranges(session, state.next_frame)
        return state, self._ranges.ranges

    def landmarks_of(self, recording_id: int) -> Landmarks | None:
        """Return the landmarks of a recording from SQL; None if it has none that are whole."""
        with self.catalogue.session() as session:
            rows = self._fingerprints(session, np.array([recording_id], dtype=np.int64))
            return next(map(self._unpacked, rows), None)

    def landmarks_within(self, ranges: OwnedRanges) -> Iterator[tuple[int, Landmarks]]:
        """Yield the first frame and the landmarks of all recordings that own what they did then.

        Those that are damaged in SQL are left out.
        """
        for start in range(0, len(ranges), _BLOBS_AT_ONCE):
            some = slice(start, start + _BLOBS_AT_ONCE)
            with self.catalogue.session() as session:
                rows = list(self._fingerprints(session, ranges.recording_ids[some]))
            firsts = set(ranges.firsts[some].tolist())
            for row in rows:
                landmarks = self._unpacked(row) if row.first_frame in firsts else None
                if landmarks is not None:
                    yield row.first_frame, landmarks

    def build(self, runs: Sequence[LiveRun]) -> Iterator[LiveRun]:
        """Make runs, in memory, of the recordings that lie in none of some runs.

        None of them is much larger than `PART_POSTINGS`.
        """
        ranges = self._ranges.ranges
        with self.catalogue.session() as session:
            for rows in _lacking(ranges, runs):
                for run in self._build(session, ranges.recording_ids[rows]):
                    yield self.attach(run)

    def note(self, note: str) -> None:
        """Keep a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def state(self, session: Session) -> SchemeState:
        """Return how far the fingerprints have come.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """
        row = session.scalar(_SCHEME, {"name": self.scheme})
        if row is None:
            raise UnknownName(f"the fingerprints by {self.scheme} have been removed")
        if row.id != self.scheme_id:  # they have been removed and made again
            self._follow(row.id)
        asked = {"scheme_id": self.scheme_id, "cache": self.catalogue.cache.id}
        files = frozenset((name, checksum) for name, checksum in session.execute(_IN_FORCE, asked))
        return SchemeState(last_change(session.connection()), row.next_frame, files)

    def _follow(self, scheme_id: int) -> None:
        """Read from now on what belongs to the scheme under this number."""
        self.scheme_id = scheme_id
        self._ranges = RangesReader(
            FingerprintRow.recording_id,
            FingerprintRow.first_frame,
            FingerprintRow.n_frames,
            FingerprintRow.scheme_id == scheme_id,
        )

    def _read_ranges(self, session: Session, next_frame: int) -> None:
        exchange = self._ranges.read(session, next_frame)
        for id_, why in self._ranges.left_out.items():
            self._note_left_out(id_, f"its frame numbers {why}")
        if exchange is None:
            self._live.clear()
            self._n_anew += 1
            return
        changed = np.concatenate((exchange.gone[:, 1], exchange.come[:, 1]))
        for run in list(self._live):
            layout = run.layout
            if ((changed >= layout.first_frame) & (changed < layout.end_frame)).any():
                del self._live[run]

    def _open(
        self, files: frozenset[tuple[str, str]]
    ) -> tuple[dict[tuple[str, str], PostingsRun], list[PostingsError]]:
        opened, faults = {}, []
        for name, checksum in sorted(files):
            run = self._opened.get((name, checksum))
            try:
                run = run or open_postings_file(
                    self.catalogue.index_folder / name, checksum=checksum
                )
                key_bits = self.part.key_bits(self.key_bits)
                if run.layout.key_bits != key_bits:
                    raise PostingsError(
                        f"the postings file {name} has keys of {run.layout.key_bits} bits where "
                        f"{self.scheme} has {key_bits}: `echoic repair` makes it again"
                    )
                opened[name, checksum] = run
            except PostingsError as error:
                faults.append(error)
        return opened, faults

    def _build(self, session: Session, recording_ids: NDArray[np.int64]) -> Iterator[PostingsRun]:
        builder = RunBuilder(self._expand, self.key_bits, self.part)
        for row in self._fingerprints(session, recording_ids):
            end_frame = row.first_frame + row.n_frames
            if builder.n_postings >= PART_POSTINGS or builder.span_with(end_frame) > RUN_FRAMES:
                yield builder.finish()
            # A run covers the frames of one that is at fault, or it would be read every time.
            builder.add(row.first_frame, row.n_frames, self._unpacked(row))
        if builder:
            yield builder.finish()

    def _note_left_out(self, recording_id: int, fault: str) -> None:
        self.note(
            f"recording {recording_id} is left out: {fault}; "
            "`echoic repair`, then `echoic index`, make its fingerprint again"
        )

    def _unpacked(self, row: Row[int, int, int, int, int, bytes]) -> Landmarks | None:
        fault = fingerprint_fault(
            row.landmarks,
            n_landmarks=row.n_landmarks,
            n_frames=row.n_frames,
            checksum=row.checksum,
        )
        if fault is None:
            return unpack(row.landmarks, row.n_landmarks, row.n_frames)
        self._note_left_out(row.recording_id, fault)
        return None

    def _fingerprints(
        self, session: Session, recording_ids: NDArray[np.int64]
    ) -> Iterator[Row[int, int, int, int, int, bytes]]:
        query = select(
            FingerprintRow.recording_id,
            FingerprintRow.first_frame,
            FingerprintRow.n_frames,
            FingerprintRow.n_landmarks,
            FingerprintRow.checksum,
            FingerprintRow.landmarks,
        ).where(FingerprintRow.scheme_id == self.scheme_id)
        for start in range(0, len(recording_ids), _BLOBS_AT_ONCE):
            ids = recording_ids[start : start + _BLOBS_AT_ONCE].tolist()
            rows = session.execute(query.where(FingerprintRow.recording_id.in_(ids)))
            # Sorted here: to sort them, SQLite would rather go through all rows of the scheme.
            yield from sorted(rows, key=lambda row: row.first_frame)


def _lacking(ranges: OwnedRanges, runs: Sequence[LiveRun]) -> list[NDArray[np.int64]]:
    """Return the recordings that lie in none of some runs, as rows, by the gap they lie in."""
    spans = sorted((run.run.layout.first_frame, run.run.layout.end_frame) for run in runs)
    begins, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    gaps = np.searchsorted(begins, ranges.firsts, side="right")
    lacking = (ranges.counts > 0) & (ranges.firsts >= np.insert(ends, 0, 0)[gaps])
    rows = np.flatnonzero(lacking)
    return [part for part in np.split(rows, np.flatnonzero(np.diff(gaps[rows])) + 1) if len(part)]


def in_order(runs: Iterable[LiveRun]) -> tuple[LiveRun, ...]:
    """Return runs in the order of their frames."""
    return tuple(sorted(runs, key=lambda run: run.run.layout.first_frame))

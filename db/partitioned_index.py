"""The fingerprints of one scheme, looked up in parts that other processes or machines keep.

Answers are those of one index on one machine, to the last bit. Which keys a budget allows for
depends on how often each occurs in the whole archive; so all parts count first, and what to take is
decided here. Frames that recordings own are read from SQL here, too.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames, Postings, rarest_first
from db.catalogue import Catalogue
from db.errors import PostingsError
from db.key_parts import Part, parts_of_frames, parts_of_keys
from db.landmarks import Landmarks
from db.owned_ranges import OwnedRanges
from db.partition import BLOCK_FRAMES
from db.postings_merge import Expand
from db.stored_fingerprints import SchemeState, StoredFingerprints

_BLOCKS_KEPT: Final = 8192
"""Of landmarks, some 50 MB; a place is weighed many times with slight changes."""

_Block = tuple[NDArray[np.int64], NDArray[np.uint16]]


class Partitions(Protocol):
    """All parts of an index, wherever they are.

    Attributes
    ----------
    n_parts : int
    """

    n_parts: int

    def ask(self, method: str, arguments: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method of `db.partition.Partition` on some parts at once, by their numbers.

        Raises
        ------
        PostingsError
            If one does not answer.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The archive at one moment, and the landmarks that have been asked for since."""

    state: SchemeState
    ranges: OwnedRanges
    blocks: dict[int, _Block] = field(default_factory=dict)


class PartitionedIndex(ArchiveFrames):
    """Asks the parts of an index for what `FingerprintIndex` finds in its files.

    What is committed between two refreshes may be counted by parts that know of it, but it is not
    found.

    Parameters
    ----------
    connect : callable
        Gives the parts; called when they are first needed.
    """

    def __init__(self, stored: StoredFingerprints, connect: Callable[[], Partitions]) -> None:
        self.scheme = stored.scheme
        self.notes = stored.notes
        self._stored = stored
        self._connect = connect
        self._connected: Partitions | None = None
        self._changing = threading.Lock()
        self._view = _View(SchemeState(0, 0, frozenset()), OwnedRanges.none())

    @classmethod
    def open(
        cls,
        catalogue: Catalogue,
        scheme: str,
        expand: Expand,
        *,
        key_bits: int,
        connect: Callable[[], Partitions],
    ) -> "PartitionedIndex":
        """Open the index of a scheme and bring it in step with SQL.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints by this scheme; the message lists those it holds.
        """
        stored = StoredFingerprints(catalogue, scheme, expand, key_bits=key_bits, part=Part())
        index = cls(stored, connect)
        index.refresh()
        return index

    def refresh(self) -> None:
        """Take in what was committed. See `ArchiveFrames.refresh`."""
        with self._changing:
            if not self._stored.is_current(self._view.state):
                self._view = _View(*self._stored.numbering())

    def prepare(self, *, anew: bool = False) -> list[str]:
        """Let all parts take in what was committed, and keep it in files; say what is wrong.

        Parameters
        ----------
        anew
            As of `db.partition.Partition.prepare`.
        """
        parts = self._parts()
        change = self._view.state.change
        notes = parts.ask("prepare", dict.fromkeys(range(parts.n_parts), (change, anew)))
        return list(dict.fromkeys(chain.from_iterable(notes.values())))

    def lookup(self, keys: NDArray[np.uint32], *, budget: int | None = None) -> Postings:
        """Find where keys occur. See `ArchiveFrames.lookup`."""
        key_bits = self._stored.key_bits
        if len(keys) and int(keys.max()) >> key_bits:
            raise PostingsError(f"keys must be below 2 ** {key_bits}")
        parts, view = self._parts(), self._view
        owners = parts_of_keys(keys, key_bits, parts.n_parts)
        own = {number: np.flatnonzero(owners == number) for number in range(parts.n_parts)}
        own = {number: which for number, which in own.items() if len(which)}
        totals = np.zeros(len(keys), dtype=np.intp)
        change = view.state.change
        counted = parts.ask("counts", {n: (change, keys[at]) for n, at in own.items()})
        for number, counts in counted.items():
            totals[own[number]] = counts
        limits = totals if budget is None else rarest_first(totals, budget)
        wanted = {number: at[limits[at] > 0] for number, at in own.items()}
        wanted = {number: at for number, at in wanted.items() if len(at)}
        found = parts.ask(
            "first_postings",
            {number: (change, keys[at], limits[at]) for number, at in wanted.items()},
        )
        which = [np.empty(0, dtype=np.int32)]
        frames = [np.empty(0, dtype=np.int64)]
        for number, (places, of_part) in found.items():
            # A part may have come further than we: what is newer is not ours to find yet.
            known = of_part < view.state.next_frame
            which.append(wanted[number].astype(np.int32)[places[known]])
            frames.append(of_part[known])
        return Postings(np.concatenate(which), np.concatenate(frames), totals.astype(np.int32))

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of a span. See `ArchiveFrames.landmarks`."""
        view = self._view
        numbers = _block_numbers(view, first_frame, end_frame)
        found = self._blocks(view, numbers)
        blocks = [found[number] for number in numbers]
        frames = np.concatenate([np.empty(0, np.int64), *(block[0] for block in blocks)])
        values = np.concatenate([np.empty(0, np.uint16), *(block[1] for block in blocks)])
        inside = slice(*np.searchsorted(frames, (first_frame, end_frame)))
        return frames[inside], values[inside]

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Fetch the landmarks of some spans together, for the parts are far away."""
        view = self._view
        numbers = {n for first, end in spans for n in _block_numbers(view, first, end)}
        self._blocks(view, sorted(numbers))

    def landmarks_of(self, recording_id: int) -> Landmarks:
        """Return the landmarks of a recording, from SQL. See `ArchiveFrames.landmarks_of`."""
        _, n_frames = self.span(recording_id)
        found = self._stored.landmarks_of(recording_id)
        nothing = Landmarks(np.empty(0, np.int32), np.empty(0, np.uint16), n_frames)
        return nothing if found is None else found

    # -- inside ----------------------------------------------------------------------------

    def _ranges(self) -> OwnedRanges:
        return self._view.ranges

    def _parts(self) -> Partitions:
        with self._changing:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _blocks(self, view: _View, numbers: Iterable[int]) -> dict[int, _Block]:
        """Return blocks of landmarks by their numbers; those that are not known are fetched.

        Threads may fetch the same, or drop what another has just fetched, but each has its own.
        """
        kept = view.blocks
        found = {number: kept.get(number) for number in numbers}
        lacking = np.array([n for n, block in found.items() if block is None], dtype=np.int64)
        have = {number: block for number, block in found.items() if block is not None}
        if not len(lacking):
            return have
        fetched = self._fetched(view, lacking)
        if len(kept) + len(fetched) > _BLOCKS_KEPT:
            kept.clear()
        kept.update(fetched)
        return have | fetched

    def _fetched(self, view: _View, numbers: NDArray[np.int64]) -> dict[int, _Block]:
        parts = self._parts()
        owners = parts_of_frames(numbers * BLOCK_FRAMES, parts.n_parts)
        asked = {int(owner): numbers[owners == owner] for owner in np.unique(owners)}
        change = view.state.change
        answers = parts.ask("landmarks", {n: (change, of_part) for n, of_part in asked.items()})
        fetched: dict[int, _Block] = {}
        for owner, (sizes, frames, frequencies) in answers.items():
            ends = np.cumsum(sizes)[:-1]
            blocks = zip(np.split(frames, ends), np.split(frequencies, ends), strict=True)
            fetched.update(zip(asked[owner].tolist(), blocks, strict=True))
        return fetched


def _block_numbers(view: _View, first_frame: int, end_frame: int) -> range:
    first, end = max(first_frame, 0), min(end_frame, view.state.next_frame)
    return range(first // BLOCK_FRAMES, -(-end // BLOCK_FRAMES) if end > first else 0)

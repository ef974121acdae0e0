"""The fingerprints of one scheme, ready to be looked up and always in step with SQL.

SQL is the truth, the postings files a cache of it. Each file covers a span of frames; what no file
covers is built from SQL in memory, what a file holds too much is passed over, and a file that is
missing or damaged is noted and not used. A reader never writes; the writer saves after a run.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from db.catalogue import Catalogue
from db.errors import PostingsError, UnknownName
from db.owned_ranges import OwnedRanges
from db.postings_layout import scramble
from db.postings_merge import PART_POSTINGS, Expand, LiveRun, groups_to_merge, merge_in_memory
from db.postings_saving import save_runs
from db.schema import FingerprintSchemeRow
from db.stored_fingerprints import SchemeState, StoredFingerprints, View, in_order
from db.writer import CatalogueWriter

_FEW: Final = 32  # postings of each file that stand for a key beyond the budget
_NO_FRAMES: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Where some keys occur.

    Attributes
    ----------
    which : ndarray, shape (p,), int32
        The key of each posting, as its place among the keys that were asked for.
    frames : ndarray, shape (p,), int64
        The archive's frame number of each posting.
    counts : ndarray, shape (m,), int32
        How many postings each key has in the whole archive; those of recordings that were removed
        may still be counted until they have been merged away.
    """

    which: NDArray[np.int32]
    frames: NDArray[np.int64]
    counts: NDArray[np.int32]


class FingerprintIndex:
    """Finds frames by their keys, and knows which recordings they belong to.

    Any number of threads may use it; a lookup sees the archive as it was after the last refresh.
    Files are mapped, not read: a part of one that has not been used since the machine was started
    comes from the disk.

    Attributes
    ----------
    scheme : str
    notes : list of str
        What was wrong with files and BLOBs, in words; empty when nothing was.
    """

    def __init__(self, stored: StoredFingerprints, key_bits: int) -> None:
        self.scheme = stored.scheme
        self.notes = stored.notes
        self._stored = stored
        self._key_bits = key_bits
        self._changing = threading.Lock()
        nothing = OwnedRanges(_NO_FRAMES, _NO_FRAMES, _NO_FRAMES)
        self._view = View(SchemeState(0, 0, frozenset()), nothing, ())

    @classmethod
    def open(cls, catalogue: Catalogue, scheme: str, expand: Expand, *, key_bits: int) -> Self:
        """Open the index of a scheme and bring it in step with SQL.

        Parameters
        ----------
        expand
            Gives the keys of a recording's landmarks, and the frame that each belongs to.
        key_bits : int
            Keys are below ``2 ** key_bits``; at most 32.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints by this scheme; the message lists those it holds.
        """
        index = cls._of(catalogue, scheme, expand, key_bits)
        index.refresh()
        return index

    @classmethod
    def _of(cls, catalogue: Catalogue, scheme: str, expand: Expand, key_bits: int) -> Self:
        with catalogue.session() as session:
            schemes = {
                name: id_
                for id_, name in session.execute(
                    select(FingerprintSchemeRow.id, FingerprintSchemeRow.name)
                )
            }
        if scheme not in schemes:
            raise UnknownName(
                f"the catalogue holds no fingerprints by {scheme} "
                f"(it holds: {', '.join(schemes) or 'none'}): `echoic index FOLDER` makes them"
            )
        stored = StoredFingerprints(catalogue, schemes[scheme], scheme, expand, key_bits)
        return cls(stored, key_bits)

    # -- reading ---------------------------------------------------------------------------

    @property
    def recording_ids(self) -> NDArray[np.int64]:
        """All recordings with a fingerprint, in the order of their frames."""
        return self._view.ranges.recording_ids

    @property
    def n_frames(self) -> int:
        """Frames of all recordings."""
        return int(self._view.ranges.counts.sum())

    @property
    def n_postings(self) -> int:
        """Postings of all recordings, about: where some were removed, their share is estimated."""
        return sum(run.n_postings for run in self._view.runs)

    def refresh(self) -> None:
        """Take in what other processes have committed since the last time.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """
        with self._changing:
            if not self._stored.is_current(self._view.state):
                self._view = self._with_recent(self._stored.load())

    def lookup(self, keys: NDArray[np.uint32], *, budget: int | None = None) -> Postings:
        """Find where keys occur.

        Parameters
        ----------
        keys : ndarray, shape (m,), uint32
            In any order, also several times.
        budget : int, optional
            Return hardly more postings than this: keys are served from the rarest on, until they
            come to one that is too much. Of as many of the others as half the budget allows the
            first few postings are returned, so that what occurs thousands of times is found at some
            of its places.

        Returns
        -------
        Postings
            In no particular order.

        Raises
        ------
        PostingsError
            If there is a key that is not below ``2 ** key_bits``.
        """
        if len(keys) and int(keys.max()) >> self._key_bits:
            raise PostingsError(f"keys must be below 2 ** {self._key_bits}")
        scrambled = scramble(keys, self._key_bits)
        runs = self._view.runs
        found = []
        totals = np.zeros(len(keys), dtype=np.intp)
        for run in runs:
            starts, ends = run.run.find(scrambled)
            ends -= starts
            totals += ends
            found.append((starts, ends))
        limits = None if budget is None else _rarest_first(totals, budget, len(runs))
        which, frames = _gather(runs, found, limits)
        return Postings(which, frames, totals.astype(np.int32))

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of a span of the archive, in order of time.

        Parameters
        ----------
        first_frame, end_frame : int
            Frame numbers of the archive.

        Returns
        -------
        frames : ndarray, shape (n,), int64
            Frame numbers of the archive.
        frequencies : ndarray, shape (n,), uint16
        """
        all_frames, all_frequencies = [_NO_FRAMES], [np.empty(0, dtype=np.uint16)]
        for run in self._view.runs:
            layout = run.run.layout
            if layout.first_frame < end_frame and first_frame < layout.end_frame:
                frames, frequencies = run.run.landmarks(first_frame, end_frame)
                if run.live is not None:
                    live = run.live.contains(frames)
                    frames, frequencies = frames[live], frequencies[live]
                all_frames.append(frames)
                all_frequencies.append(frequencies)
        return np.concatenate(all_frames), np.concatenate(all_frequencies)

    def locate(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the recording that each frame belongs to, and its place within it.

        Returns
        -------
        recording_ids : ndarray of int64
            -1 where a frame belongs to none.
        within : ndarray of int64
            The first frame of a recording is 0; -1 where it belongs to none.
        """
        return self._view.ranges.locate(frames)

    def span(self, recording_id: int) -> tuple[int, int]:
        """Return the first frame number of a recording, and how many it owns.

        Raises
        ------
        UnknownName
            If it has no fingerprint by this scheme.
        """
        ranges = self._view.ranges
        rows, _ = ranges.places.find(np.array([recording_id], dtype=np.int64))
        if not len(rows):
            raise UnknownName(f"recording {recording_id} has no fingerprint by {self.scheme}")
        return int(ranges.firsts[rows[0]]), int(ranges.counts[rows[0]])

    # -- writing ---------------------------------------------------------------------------

    def is_saved(self) -> bool:
        """Tell whether the files hold all of the archive, and not too much besides."""
        view = self._view
        in_use = {(run.name, run.checksum) for run in view.runs}
        return in_use == view.state.files and not any(run.is_worn for run in view.runs)

    def save(self, writer: CatalogueWriter) -> None:
        """Write what no file holds, merge small files, put that in force, remove the others.

        A crash at any point leaves the old files in force, or the new ones.

        Raises
        ------
        PostingsError
            If a file cannot be written; the catalogue is none the worse for it.
        """
        with self._changing, writer.catalogue.cache.saving():
            self._view = save_runs(self._stored, writer)

    # -- inside ----------------------------------------------------------------------------

    def _with_recent(self, view: View) -> View:
        """Add to the files what is only in SQL."""
        runs = list(view.runs)
        for recent in self._view.runs:
            if not recent.name and not any(_overlap(recent, file) for file in view.runs):
                again = self._stored.attach(recent.run)
                runs += [again] if again.n_live else []
        runs += self._stored.build(runs)
        merged: list[LiveRun] = []
        for neighbours in _between_files(in_order(runs)):
            for group in groups_to_merge(neighbours, at_most=PART_POSTINGS):
                if len(group) > 1:
                    group = [self._stored.attach(merge_in_memory(group))]
                merged += group
        return View(view.state, view.ranges, tuple(merged))


def save_fingerprint_index(
    writer: CatalogueWriter, scheme: str, expand: Expand, *, key_bits: int
) -> list[str]:
    """Bring the postings files of a scheme up to date with SQL, in little memory.

    Returns
    -------
    list of str
        What was wrong with files and BLOBs, in words; empty when nothing was.
    """
    index = FingerprintIndex._of(writer.catalogue, scheme, expand, key_bits)
    index.save(writer)
    return index.notes


def _overlap(one: LiveRun, other: LiveRun) -> bool:
    first, second = one.run.layout, other.run.layout
    return first.first_frame < second.end_frame and second.first_frame < first.end_frame


def _between_files(runs: Sequence[LiveRun]) -> list[list[LiveRun]]:
    """Divide runs so that those that have a file are by themselves."""
    parts: list[list[LiveRun]] = []
    for run in runs:
        if parts and not run.name and not parts[-1][-1].name:
            parts[-1].append(run)
        else:
            parts.append([run])
    return parts


def _rarest_first(counts: NDArray[np.intp], budget: int, n_files: int) -> NDArray[np.intp]:
    """Return how many postings of each key to return, of each file; all, a few, or none."""
    ascending = np.sort(counts)
    n_served = int(np.searchsorted(np.cumsum(ascending), budget, side="right"))
    if n_served == len(counts):
        return counts
    order = np.argsort(counts, kind="stable")
    limits = np.zeros_like(counts)
    limits[order[:n_served]] = counts[order[:n_served]]
    n_some = budget // 2 // (_FEW * n_files)
    limits[order[n_served : n_served + n_some]] = _FEW
    return limits


def _gather(
    runs: Sequence[LiveRun],
    found: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    limits: NDArray[np.intp] | None,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the key and the frame of all postings that were found and are live."""
    if limits is not None:
        found = [(starts, np.minimum(counts, limits)) for starts, counts in found]
    chosen = [np.flatnonzero(counts) for _, counts in found]
    sizes = [int(counts[at].sum()) for (_, counts), at in zip(found, chosen, strict=True)]
    which = np.empty(sum(sizes), dtype=np.int32)
    frames = np.empty(sum(sizes), dtype=np.int64)
    end = 0
    for source, (starts, counts), at, size in zip(runs, found, chosen, sizes, strict=True):
        part = slice(end, end + size)
        n_each = counts[at]
        which[part] = np.repeat(at.astype(np.int32), n_each)
        source.run.frames(starts[at], n_each, frames[part])
        if source.live is not None:
            live = source.live.contains(frames[part])
            size = int(np.count_nonzero(live))
            which[end : end + size] = which[part][live]
            frames[end : end + size] = frames[part][live]
        end += size
    return which[:end], frames[:end]

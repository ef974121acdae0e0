"""The fingerprints of one scheme, ready to be looked up and always in step with SQL.

SQL is the truth, the postings files a cache of it. Each file covers a span of frames; what no file
covers is built from SQL in memory, what a file holds too much is passed over, and a file that is
missing or damaged is noted and not used. A reader never writes; the writer saves after a run.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames, Postings, rarest_first
from db.catalogue import Catalogue
from db.errors import PostingsError
from db.key_parts import Part
from db.owned_ranges import OwnedRanges
from db.postings_merge import PART_POSTINGS, Expand, LiveRun, groups_to_merge, merge_in_memory
from db.postings_saving import save_runs
from db.stored_fingerprints import SchemeState, StoredFingerprints, View, in_order
from db.writer import CatalogueWriter

_Found: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]
_WHOLE: Final = Part()


class FingerprintIndex(ArchiveFrames):
    """The fingerprints in this machine's files: all of them, or the part that it keeps.

    Files are mapped, not read: a part of one that has not been used since the machine was started
    comes from the disk.
    """

    def __init__(self, stored: StoredFingerprints) -> None:
        self.scheme = stored.scheme
        self.notes = stored.notes
        self._stored = stored
        self._changing = threading.Lock()
        self._view = View(SchemeState(0, 0, frozenset()), OwnedRanges.none(), (), 0)

    @classmethod
    def open(
        cls,
        catalogue: Catalogue,
        scheme: str,
        expand: Expand,
        *,
        key_bits: int,
        part: Part = _WHOLE,
    ) -> Self:
        """Open the index of a scheme and bring it in step with SQL.

        Parameters
        ----------
        expand
            Gives the keys of a recording's landmarks, and the frame that each belongs to.
        key_bits : int
            Keys are below ``2 ** key_bits``; at most 32.
        part : Part
            What of the index is kept, and asked for, here.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints by this scheme; the message lists those it holds.
        """
        index = cls(StoredFingerprints(catalogue, scheme, expand, key_bits=key_bits, part=part))
        index.refresh()
        return index

    # -- reading ---------------------------------------------------------------------------

    @property
    def change(self) -> int:
        """The number of the last change that was taken in; see `db.changes`."""
        return self._view.state.change

    @property
    def n_postings(self) -> int:
        """Postings of all recordings, about: where some were removed, their share is estimated."""
        return sum(run.n_postings for run in self._view.runs)

    @property
    def n_unsaved(self) -> int:
        """Those of them that are in memory only."""
        return sum(run.n_postings for run in self._view.runs if not run.name)

    def refresh(self) -> None:
        """Take in what was committed. See `ArchiveFrames.refresh`."""
        with self._changing:
            if not self._stored.is_current(self._view.state):
                self._view = self._with_recent(self._stored.load())

    def lookup(self, keys: NDArray[np.uint32], *, budget: int | None = None) -> Postings:
        """Find where keys occur. See `ArchiveFrames.lookup`."""
        runs = self._view.runs
        found, totals = self._find(runs, keys)
        limits = None if budget is None else rarest_first(totals, budget)
        which, frames = _gather(runs, found, limits)
        return Postings(which, frames, totals.astype(np.int32))

    def counts(self, keys: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return how many postings keys have, shape (m,), as `Postings.counts` are."""
        return self._find(self._view.runs, keys)[1]

    def first_postings(
        self, keys: NDArray[np.uint32], limits: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the first postings of keys, so many of each; see `Postings`."""
        runs = self._view.runs
        return _gather(runs, self._find(runs, keys)[0], limits)

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of a span, of this part. See `ArchiveFrames.landmarks`."""
        return _landmarks(self._view.runs, first_frame, end_frame)

    def count_differing(self) -> int:
        """Count the recordings of which other landmarks are held here than in SQL; takes long."""
        view, n_differing = self._view, 0
        for first_frame, landmarks in self._stored.landmarks_within(view.ranges):
            frames = first_frame + landmarks.frames.astype(np.int64)
            own = self._stored.part.own_frames(frames)
            held = _landmarks(view.runs, first_frame, first_frame + landmarks.n_frames)
            is_same = np.array_equal(held[0], frames[own])
            n_differing += not (is_same and np.array_equal(held[1], landmarks.frequencies[own]))
        return n_differing

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
            self._view = save_runs(self._stored)

    # -- inside ----------------------------------------------------------------------------

    def _ranges(self) -> OwnedRanges:
        return self._view.ranges

    def _find(
        self, runs: Sequence[LiveRun], keys: NDArray[np.uint32]
    ) -> tuple[list[_Found], NDArray[np.intp]]:
        """Return where the words of keys begin in each run, and how many; and all of them."""
        stored = self._stored
        if len(keys) and int(keys.max()) >> stored.key_bits:
            raise PostingsError(f"keys must be below 2 ** {stored.key_bits}")
        scrambled = stored.part.scramble(keys, stored.key_bits)
        found = []
        totals = np.zeros(len(keys), dtype=np.intp)
        for run in runs:
            starts, ends = run.run.find(scrambled)
            ends -= starts
            totals += ends
            found.append((starts, ends))
        return found, totals

    def _with_recent(self, view: View) -> View:
        """Add to the files what is only in SQL."""
        before, runs = self._view, list(view.runs)
        if view.ranges is before.ranges and view.state.files == before.state.files:
            return replace(before, state=view.state)
        recent = [run for run in before.runs if not run.name and view.n_anew == before.n_anew]
        for run in recent:
            if not any(_overlap(run, file) for file in view.runs):
                again = self._stored.attach(run.run)
                runs += [again] if again.n_live else []
        runs += self._stored.build(runs)
        merged: list[LiveRun] = []
        for neighbours in _between_files(in_order(runs)):
            for group in groups_to_merge(neighbours, at_most=PART_POSTINGS):
                if len(group) > 1:
                    group = [self._stored.attach(merge_in_memory(group))]
                merged += group
        return replace(view, runs=tuple(merged))


def save_fingerprint_index(
    writer: CatalogueWriter, scheme: str, expand: Expand, *, key_bits: int
) -> list[str]:
    """Bring the postings files of a scheme up to date with SQL, in little memory.

    Returns
    -------
    list of str
        What was wrong with files and BLOBs, in words; empty when nothing was.
    """
    return save_part(writer.catalogue, scheme, expand, key_bits=key_bits, part=_WHOLE)


def save_part(
    catalogue: Catalogue, scheme: str, expand: Expand, *, key_bits: int, part: Part
) -> list[str]:
    """Do the same for the files of a part, which are nobody else's: it takes no writer's lock."""
    stored = StoredFingerprints(catalogue, scheme, expand, key_bits=key_bits, part=part)
    with catalogue.cache.saving():
        save_runs(stored)
    return stored.notes


def _landmarks(
    runs: Sequence[LiveRun], first_frame: int, end_frame: int
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    all_frames = [np.empty(0, dtype=np.int64)]
    all_frequencies = [np.empty(0, dtype=np.uint16)]
    for run in runs:
        layout = run.run.layout
        if layout.first_frame < end_frame and first_frame < layout.end_frame:
            frames, frequencies = run.run.landmarks(first_frame, end_frame)
            if run.live is not None:
                live = run.live.contains(frames)
                frames, frequencies = frames[live], frequencies[live]
            all_frames.append(frames)
            all_frequencies.append(frequencies)
    return np.concatenate(all_frames), np.concatenate(all_frequencies)


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


def _gather(
    runs: Sequence[LiveRun], found: Sequence[_Found], limits: NDArray[np.intp] | None
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the key and the frame of the postings that were found and are live.

    With limits, only the first of each key; runs are in the order of their frames.
    """
    if limits is not None:
        found = _limited(found, limits)
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


def _limited(found: Sequence[_Found], limits: NDArray[np.intp]) -> list[_Found]:
    within, left = [], limits
    for starts, counts in found:
        taken = np.minimum(counts, left)
        within.append((starts, taken))
        left = left - taken
    return within

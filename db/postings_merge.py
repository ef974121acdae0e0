"""Runs of postings are made of recordings, and of other runs.

New recordings become a small run. Small runs are merged with others of like size into greater ones,
so that there are never many of them, and a posting is written again only a few times while an
archive grows a thousandfold. What was removed from the archive is left out by the way.

References
----------
.. [1] P. O'Neil, E. Cheng, D. Gawlick, E. O'Neil: The log-structured merge-tree. Acta Informatica
   33(4), 1996.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.errors import PostingsError
from db.key_parts import Part
from db.landmarks import Landmarks
from db.live_frames import LiveFrames
from db.postings import PostingsRun
from db.postings_file import LandmarkParts, PostingsFile, PostingsParts, write_postings_file
from db.postings_layout import Layout, Positions, join

Expand: TypeAlias = Callable[[Landmarks], tuple[NDArray[np.uint32], NDArray[np.int32]]]
"""Gives the keys of a recording and the frame that each belongs to."""

PART_POSTINGS: Final = 1 << 22
"""Postings that are worked on at once; bounds the memory that building takes to some 200 MB."""

RUN_POSTINGS: Final = 400_000_000
"""Runs are not merged into one with more postings than this."""

RUN_FRAMES: Final = 2**31
"""Runs are not merged into one that covers more frames than this."""

# A run is merged with the one before unless that is more than three times as large; those of less
# than a million postings (two hours) count as that large, since merging them takes no time.
_LIKE_SIZE: Final = 3
_LEAST_SIZE: Final = 1_000_000
_DEAD_SHARE: Final = 0.25
_PART_FRAMES: Final = 1 << 21
_KEY_RANGE_BITS: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class LiveRun:
    """A run, and which of its frames still belong to a recording.

    Attributes
    ----------
    name : str
        Of its file; empty if it is in memory.
    checksum : str
        Of its file.
    n_live : int
        Frames that belong to a recording.
    live : LiveFrames or None
        Those frames; None if all that did when it was made.
    """

    run: PostingsRun
    name: str
    checksum: str
    n_live: int
    live: LiveFrames | None

    @property
    def n_postings(self) -> int:
        """How many of its postings are live, about."""
        n_frames = self.run.layout.n_frames
        return round(self.run.n_postings * min(self.n_live / n_frames, 1)) if n_frames else 0

    @property
    def is_worn(self) -> bool:
        """Tell whether so much of it is dead that it should be written again."""
        return self.n_live < (1 - _DEAD_SHARE) * self.run.layout.n_frames


class RunBuilder:
    """Makes a run, in memory, of recordings that are added in the order of their frames.

    Parameters
    ----------
    expand
        Gives the keys of a recording.
    key_bits : int
        Keys are below ``2 ** key_bits``.
    part : Part
        What it leaves out belongs to other runs.
    """

    def __init__(self, expand: Expand, key_bits: int, part: Part) -> None:
        self._expand = expand
        self._key_bits = key_bits
        self._part = part
        self._reset()

    def _reset(self) -> None:
        self._first_frame = self._end_frame = -1
        self._n_frames = 0
        self._joined: list[NDArray[np.uint64]] = []
        self._positions: list[Positions] = []
        self._frequencies: list[NDArray[np.uint16]] = []
        self.n_postings = 0

    def __bool__(self) -> bool:
        """Tell whether it has any recording."""
        return self._first_frame >= 0

    def span_with(self, end_frame: int) -> int:
        """Return how many frames it would cover if it went up to there."""
        return end_frame - self._first_frame if self else 0

    def add(self, first_frame: int, n_frames: int, landmarks: Landmarks | None) -> None:
        """Add a recording; without landmarks, its frames only.

        Raises
        ------
        PostingsError
            If `expand` gives keys or frames that cannot be.
        """
        if not self:
            self._first_frame = first_frame
        self._end_frame = first_frame + n_frames
        self._n_frames += n_frames
        if landmarks is None or not len(landmarks):
            return
        start = first_frame - self._first_frame
        self._add_landmarks(first_frame, landmarks)
        keys, frames = self._expand(landmarks)
        if len(keys) == 0:
            return
        if int(keys.max()) >> self._key_bits or frames.min() < 0 or frames.max() >= n_frames:
            raise PostingsError(
                f"the fingerprinter gives keys of more than {self._key_bits} bits, or frames "
                "outside the recording: this is a fault of the fingerprinter, please report it"
            )
        if self._part.of > 1:
            own = self._part.own_keys(keys, self._key_bits)
            keys, frames = keys[own], frames[own]
        scrambled = self._part.scramble(keys, self._key_bits)
        self._joined.append(join(scrambled, frames.astype(np.int64) + start))
        self.n_postings += len(keys)

    def _add_landmarks(self, first_frame: int, landmarks: Landmarks) -> None:
        frames, frequencies = landmarks.frames.astype(np.int64), landmarks.frequencies
        if self._part.of > 1:
            own = self._part.own_frames(frames + first_frame)
            frames, frequencies = frames[own], frequencies[own]
        self._positions.append(frames + (first_frame - self._first_frame))
        self._frequencies.append(frequencies)

    def finish(self) -> PostingsRun:
        """Return the run, and begin the next."""
        joined = np.concatenate(self._joined or [np.empty(0, dtype=np.uint64)])
        self._joined.clear()
        joined.sort()
        layout = Layout.choose(
            self._first_frame,
            self._end_frame,
            n_frames=self._n_frames,
            key_bits=self._part.key_bits(self._key_bits),
            n_postings=len(joined),
        )
        run = PostingsRun.build(
            layout,
            joined,
            np.concatenate(self._positions or [np.empty(0, dtype=np.int64)]),
            np.concatenate(self._frequencies or [np.empty(0, dtype=np.uint16)]),
        )
        self._reset()
        return run


def groups_to_merge(runs: Sequence[LiveRun], *, at_most: int = RUN_POSTINGS) -> list[list[LiveRun]]:
    """Divide neighbouring runs into groups, each of which should become one run.

    Afterwards each run has more than three times as many postings as the next one, as far as the
    limits of a run allow.

    Parameters
    ----------
    runs
        In the order of their frames.
    at_most : int
        No run is made that has more postings.

    Returns
    -------
    list of list of LiveRun
        All runs in order. A group of one needs no merging.
    """
    groups: list[list[LiveRun]] = []
    sizes: list[int] = []
    for run in runs:
        groups.append([run])
        sizes.append(run.n_postings)
        while len(groups) > 1 and sizes[-2] <= _LIKE_SIZE * max(sizes[-1], _LEAST_SIZE):
            span = groups[-1][-1].run.layout.end_frame - groups[-2][0].run.layout.first_frame
            if sizes[-2] + sizes[-1] > at_most or span > RUN_FRAMES:
                break
            last, size = groups.pop(), sizes.pop()
            groups[-1] += last
            sizes[-1] += size
    return groups


def merge_in_memory(runs: Sequence[LiveRun]) -> PostingsRun:
    """Merge neighbouring runs into one in memory."""
    layout = _merged_layout(runs)
    parts = [joined for _, _, joined in _merged_postings(layout, runs)]
    landmarks = list(_merged_landmarks(layout, runs))
    return PostingsRun.build(
        layout,
        np.concatenate(parts),
        np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in landmarks)]),
        np.concatenate([np.empty(0, dtype=np.uint16), *(part[1] for part in landmarks)]),
    )


def merge_to_file(path: Path, runs: Sequence[LiveRun]) -> PostingsFile:
    """Merge neighbouring runs into a file, a part at a time.

    Raises
    ------
    PostingsError
        If the file cannot be written.
    """
    layout = _merged_layout(runs)
    return write_postings_file(
        path, layout, _merged_postings(layout, runs), lambda: _merged_landmarks(layout, runs)
    )


def _merged_layout(runs: Sequence[LiveRun]) -> Layout:
    return Layout.choose(
        runs[0].run.layout.first_frame,
        runs[-1].run.layout.end_frame,
        n_frames=sum(run.n_live for run in runs),
        key_bits=runs[0].run.layout.key_bits,
        n_postings=sum(run.n_postings for run in runs),
    )


def _merged_postings(layout: Layout, runs: Sequence[LiveRun]) -> PostingsParts:
    """Yield the live postings of all runs, key range after key range, sorted."""
    # Ranges of keys are whole buckets of the result, and not too many of them.
    range_bits = min(_KEY_RANGE_BITS, layout.bucket_bits)
    key_shift = layout.key_bits - range_bits
    begins = np.arange(2**range_bits, dtype=np.uint64) << np.uint64(key_shift)
    ranks = np.array(
        [np.append(run.run.rank(begins.astype(np.uint32)), run.run.n_postings) for run in runs]
    )
    before = ranks.sum(axis=0)
    start = 0
    while start < 2**range_bits:
        end = int(np.searchsorted(before, before[start] + PART_POSTINGS, side="right")) - 1
        end = min(max(end, start + 1), 2**range_bits)
        parts = [
            _live_slice(run, layout, start << key_shift, end << key_shift, rank[start], rank[end])
            for run, rank in zip(runs, ranks, strict=True)
        ]
        joined = np.concatenate(parts)
        del parts
        if len(runs) > 1:
            joined.sort()
        bucket_shift = layout.bucket_bits - range_bits
        yield start << bucket_shift, end << bucket_shift, joined
        start = end


def _live_slice(
    source: LiveRun, layout: Layout, first_key: int, end_key: int, start: int, end: int
) -> NDArray[np.uint64]:
    joined = source.run.slice(first_key, end_key, int(start), int(end))
    first_frame = source.run.layout.first_frame
    if source.live is not None:
        frames = (joined & np.uint64(2**32 - 1)).astype(np.int64) + first_frame
        joined = joined[source.live.contains(frames)]
    joined += np.uint64(first_frame - layout.first_frame)
    return joined


def _merged_landmarks(layout: Layout, runs: Sequence[LiveRun]) -> LandmarkParts:
    for source in runs:
        span = source.run.layout
        # Parts begin at multiples of a block from the start of the source: none is read twice.
        for first in range(span.first_frame, span.end_frame, _PART_FRAMES):
            frames, frequencies = source.run.landmarks(
                first, min(first + _PART_FRAMES, span.end_frame)
            )
            if source.live is not None:
                live = source.live.contains(frames)
                frames, frequencies = frames[live], frequencies[live]
            yield frames - layout.first_frame, frequencies

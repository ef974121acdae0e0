"""Where recordings of an archive may hold the same sound: keys that several of them agree on.

The archive's own keys are looked up in its own index, a stretch at a time. Where two recordings
share sound, keys of the one come up in the other with one and the same difference of time; so many
moments must agree on it. That is only a hint: `search.alignment` decides.

A stretch costs the same in a large archive as in a small one: of its keys the rarest are looked up,
and of the recordings it leads to the likeliest are kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames
from db.landmarks import Landmarks
from indexer.landmarks import at_pitch, without_witnesses
from search.alignment import Line

_STRETCH = 1250  # frames, 20 s
_AHEAD = 64  # frames beyond it that its keys may reach into; less than lies between recordings
_POSTINGS_AT_MOST = 30_000
_LAG_BIN = 8  # frames; two grids of bins, half a bin apart, so that no lag falls between two
_MOMENT_BITS = 11
_LEAST_MOMENTS = 4
_MOST_PER_STRETCH = 64

Expand = Callable[[Landmarks], tuple[NDArray[np.uint32], NDArray[np.int32]]]


@dataclass(frozen=True, slots=True)
class Seed:
    """A hint that two recordings share sound.

    Attributes
    ----------
    first_id, second_id : int
        Recordings; the first lies before the second in the archive.
    line : Line
        Which of their moments belong together.
    n_moments : int
        Moments of the first recording that say so.
    """

    first_id: int
    second_id: int
    line: Line
    n_moments: int


def find_seeds(
    index: ArchiveFrames,
    expand: Expand,
    *,
    speeds: tuple[float, ...],
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, list[Seed]]]:
    """Yield each recording that may share sound with later ones, with what hints at it.

    Each pair of recordings comes up once. The archive is walked through once, in little memory.

    Parameters
    ----------
    expand
        Gives the keys of landmarks and the frame that each belongs to.
    speeds
        At which one recording may run against the other; keys tell about one part in a thousand.
    on_progress
        Told how many stretches of the archive of how many are done.
    """
    waiting: dict[int, list[Seed]] = {}
    begin, end = index.bounds
    n_stretches = -((begin - end) // _STRETCH)
    for number in range(n_stretches):
        start = begin + number * _STRETCH
        frames, frequencies = index.landmarks(start, start + _STRETCH + _AHEAD)
        within = (frames - start).astype(np.int32)
        landmarks = without_witnesses(Landmarks(within, frequencies, _STRETCH + _AHEAD))
        if len(within):
            # Those before the recording that goes on here have no more seeds to come.
            (current,) = index.locate(np.array([start]))[0].tolist()
            for done in [id_ for id_ in waiting if id_ != current]:
                yield done, waiting.pop(done)
            for speed in speeds:
                for seed in _seeds_of(index, expand, start, landmarks, speed):
                    waiting.setdefault(seed.first_id, []).append(seed)
        if on_progress is not None:
            on_progress(number + 1, n_stretches)
    yield from waiting.items()


def _seeds_of(
    index: ArchiveFrames, expand: Expand, start: int, landmarks: Landmarks, speed: float
) -> list[Seed]:
    """Return the likeliest seeds of one stretch at one speed."""
    played = _at_speed(landmarks, speed)
    keys, moments = expand(played)
    own = moments < _STRETCH / speed
    keys, moments = keys[own], moments[own].astype(np.int64)
    found = index.lookup(keys, budget=_POSTINGS_AT_MOST)
    asked = moments[found.which]
    own_frames = start + np.rint(asked * speed).astype(np.int64)
    later = found.frames > own_frames
    asked, own_frames, frames = asked[later], own_frames[later], found.frames[later]
    first_ids, first_at = index.locate(own_frames)
    second_ids, second_at = index.locate(frames)
    other = (first_ids != second_ids) & (first_ids >= 0) & (second_ids >= 0)
    hits = _Hits(
        asked[other],
        frames[other],
        first_ids[other],
        second_ids[other],
        first_at[other],
        second_at[other],
    )
    seeds = [seed for shift in (0, _LAG_BIN // 2) for seed in _agreeing(hits, shift, speed)]
    return sorted(seeds, key=lambda seed: -seed.n_moments)[:_MOST_PER_STRETCH]


def _at_speed(landmarks: Landmarks, speed: float) -> Landmarks:
    """Return what a recording that runs so many times as fast would have."""
    if speed == 1.0:
        return landmarks
    frequencies = at_pitch(landmarks.frequencies, speed)
    frames = np.rint(landmarks.frames / speed).astype(np.int32)
    return Landmarks(frames, frequencies, int(landmarks.n_frames / speed) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """Keys of a stretch that were found in later recordings; arrays of int64, shape (n,)."""

    asked: NDArray[np.int64]
    frames: NDArray[np.int64]
    first_ids: NDArray[np.int64]
    second_ids: NDArray[np.int64]
    first_at: NDArray[np.int64]
    second_at: NDArray[np.int64]


def _agreeing(hits: _Hits, shift: int, speed: float) -> Iterator[Seed]:
    """Yield a seed for each lag that enough moments of one recording agree on."""
    bins = (hits.frames - hits.asked + shift) // _LAG_BIN
    votes, where = np.unique(bins << _MOMENT_BITS | hits.asked, return_index=True)
    bins = votes >> _MOMENT_BITS
    first_ids, second_ids = hits.first_ids[where], hits.second_ids[where]
    changes = (
        (bins[1:] != bins[:-1])
        | (first_ids[1:] != first_ids[:-1])
        | (second_ids[1:] != second_ids[:-1])
    )
    starts = np.flatnonzero(np.append(len(bins) > 0, changes))
    counts = np.diff(np.append(starts, len(bins)))
    for at in np.flatnonzero(counts >= _LEAST_MOMENTS).tolist():
        members = where[starts[at] : starts[at] + counts[at]]
        middle = members[len(members) // 2]
        line = Line(float(hits.first_at[middle]), float(hits.second_at[middle]), speed)
        yield Seed(int(hits.first_ids[middle]), int(hits.second_ids[middle]), line, int(counts[at]))

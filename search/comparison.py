"""Which passages two recordings share, and whether the one is a copy of the other.

Hints from keys (`search.seeds`) are followed up landmark by landmark (`search.alignment`). A
passage counts if so many of its landmarks coincide, and so closely, as only those of the same sound
do: another performance of a piece, however alike, has them at other moments. Nor does it count if
all that is shared is a loop under something else (`search.loops`). Machines that play the same
notes twice at the same moments with like sounds may be taken for copies.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from db.archive_frames import ArchiveFrames
from db.landmarks import Landmarks
from indexer.landmarks import quarter_bins, without_witnesses
from search.alignment import Line, Passage, follow
from search.loops import is_loop_under_something_else
from search.seeds import Seed

_SHORT_S = 5.0  # passages that are shorter need more in common
_LEAST_SHARE, _LEAST_SHARE_SHORT = 0.3, 0.5
_LEAST_ABOVE_CHANCE = 3.0
_LEAST_MATCHED = 16
# In frames squared, (10 ms)^2, of variance and what of it is common: copies that were measured have
# at most 0.37, notes that are played again in strict time, each 10 ms off, 0.46 and more.
_MOST_UNSTEADY = 0.41
# Of the landmarks of the one copy and of the other that lie in what they share. Two recordings that
# are both copies of a third have at least half of it in common, so that they belong together.
_WHOLE, _MOST_PART = 0.9, 0.75
_FAILURES, _TRIES = 6, 64
_ON_LINE = 8.0  # frames
_MARGIN = 2.0  # frames, about a passage: where its last landmark stands is known to a frame or two


@dataclass(frozen=True, slots=True)
class Shared:
    """What two recordings share.

    Attributes
    ----------
    first_id, second_id : int
        Recordings.
    is_copy : bool
        The one is the other, trimmed by a quarter at the most; if not, they share passages.
    passages : tuple of Passage
        The best first.
    """

    first_id: int
    second_id: int
    is_copy: bool
    passages: tuple[Passage, ...]


class Comparison:
    """Compares recordings of one index.

    Parameters
    ----------
    frame_s : float
        Length of a frame of the index, in seconds.
    min_overlap_s : float
        The shortest passage that counts, in seconds, unless two recordings are copies.
    """

    def __init__(self, index: ArchiveFrames, frame_s: float, min_overlap_s: float) -> None:
        self._index = index
        self._frame_s = frame_s
        self._min_overlap_s = min_overlap_s

    def compare(self, first_id: int, seeds: Iterable[Seed]) -> Iterator[Shared]:
        """Yield what a recording shares with those that its seeds lead to.

        Parameters
        ----------
        first_id : int
            The recording.
        seeds : iterable of Seed
            Where it may coincide with which others, as `find_seeds` gives them.

        Yields
        ------
        Shared
            By the second recording's id; nothing for those that share nothing.
        """
        by_second: dict[int, list[Seed]] = defaultdict(list)
        for seed in seeds:
            by_second[seed.second_id].append(seed)
        first = self._landmarks(first_id)
        for second_id, of_pair in sorted(by_second.items()):
            second = self._landmarks(second_id)
            passages = _best_apart(self._passages(first, second, of_pair))
            if passages and _is_copy(first, second, passages[0]):
                yield Shared(first_id, second_id, True, _besides(passages))
            elif long := tuple(
                one for one in passages if self._length_s(one) >= self._min_overlap_s
            ):
                yield Shared(first_id, second_id, False, long)

    def _landmarks(self, recording_id: int) -> Landmarks:
        """Return the landmarks of a recording, no witnesses; frequencies in quarters of a bin."""
        strong = without_witnesses(self._index.landmarks_of(recording_id))
        return replace(strong, frequencies=quarter_bins(strong.frequencies))

    def _passages(self, first: Landmarks, second: Landmarks, seeds: list[Seed]) -> list[Passage]:
        """Follow the lines that seeds hint at, the likeliest first."""
        found: list[Passage] = []
        failures = 0
        for seed in _likeliest_first(seeds)[:_TRIES]:
            if any(_is_on(seed.line, passage) for passage in found):
                continue
            followed = [
                passage
                for passage in follow(first, second, seed.line)
                if self._is_sure(passage)
                and not any(_is_same(passage, known) for known in found)
                and not is_loop_under_something_else(first, second, passage)
            ]
            found += followed
            failures += not followed
            if failures >= _FAILURES:
                break
        return found

    def _is_sure(self, passage: Passage) -> bool:
        is_short = self._length_s(passage) < _SHORT_S
        return (
            passage.share >= (_LEAST_SHARE_SHORT if is_short else _LEAST_SHARE)
            and passage.excess >= _LEAST_MATCHED
            and passage.n_matched >= _LEAST_ABOVE_CHANCE * passage.n_by_chance
            and passage.variance + max(passage.common, 0.0) <= _MOST_UNSTEADY
        )

    def _length_s(self, passage: Passage) -> float:
        return (passage.first[1] - passage.first[0]) * self._frame_s


def _is_copy(first: Landmarks, second: Landmarks, passage: Passage) -> bool:
    """Tell whether a passage is all of the one recording and most of the other."""
    parts = (_part_within(first, *passage.first), _part_within(second, *passage.second))
    return max(parts) >= _WHOLE and min(parts) >= _MOST_PART


def _likeliest_first(seeds: list[Seed]) -> list[Seed]:
    """Add up the seeds of one line, and order the lines."""
    lines: dict[tuple[float, int], list[Seed]] = defaultdict(list)
    for seed in seeds:
        lag = seed.line.second - seed.line.first / seed.line.speed
        lines[seed.line.speed, int(lag // _ON_LINE)].append(seed)
    votes = [
        (sum(seed.n_moments for seed in line), max(line, key=lambda seed: seed.n_moments))
        for line in lines.values()
    ]
    return [seed for _, seed in sorted(votes, key=lambda one: -one[0])]


def _is_on(line: Line, passage: Passage) -> bool:
    """Tell whether a line starts from a passage that is known already."""
    begin, end = passage.first
    at = passage.line.to_second(np.array([line.first]))[0]
    inside = begin - _ON_LINE <= line.first <= end + _ON_LINE
    return inside and abs(float(at) - line.second) <= _ON_LINE


def _is_same(passage: Passage, known: Passage) -> bool:
    """Tell whether another seed has led to a passage again."""
    return all(
        _is_on(Line(first, second), known)
        for first, second in zip(passage.first, passage.second, strict=True)
    )


def _best_apart(passages: list[Passage]) -> list[Passage]:
    """Leave out passages that say the same as a better one.

    Music that repeats itself is like itself at other times as well; that is no second passage. It
    is one if it lies elsewhere in at least one of the two recordings.
    """
    kept: list[Passage] = []
    for passage in sorted(passages, key=lambda one: -one.excess):
        if all(
            _are_apart(passage.first, other.first) or _are_apart(passage.second, other.second)
            for other in kept
        ):
            kept.append(passage)
    return kept


def _besides(passages: list[Passage]) -> tuple[Passage, ...]:
    """Return the best passage of two copies, and those that lie outside it in both.

    What comes again within a recording comes again in its copy; that tells nothing new.
    """
    best = passages[0]
    return (
        best,
        *(
            one
            for one in passages[1:]
            if _are_apart(one.first, best.first) and _are_apart(one.second, best.second)
        ),
    )


def _are_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common < 0.25 * min(one[1] - one[0], other[1] - other[0])


def _part_within(landmarks: Landmarks, begin: float, end: float) -> float:
    """Return the share of a recording's landmarks that lie in a part of it: silence has none."""
    start, stop = np.searchsorted(landmarks.frames, (begin - _MARGIN, end + _MARGIN))
    return float(stop - start) / max(len(landmarks), 1)

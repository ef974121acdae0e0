"""Lay two recordings over each other and tell from where to where they are the same.

Where one recording holds a copy of the other's sound, their landmarks coincide, second after
second. How many would do so by chance is seen from the same landmarks laid some frames too early
or too late: steady tones and regular rhythms coincide there as well, copies do not.

A copy whose tape or clock ran a little differently drifts away. So the line that leads from the
time of the one to the time of the other is fitted anew while the passage grows, from the seconds
that are certain outwards.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.landmarks import Landmarks

_STEPS = 1.5  # of frequency, for rounding, between landmarks that coincide
COINCIDE_FRAMES = 1.5  # between them in time
_NEAR = 3.5  # among those the line is fitted: wider, or it would settle beside the middle
_REACH, _LEAST_LATE = 75.0, 6.5  # frames too early or late, in which chance is counted
_CHANCE = COINCIDE_FRAMES / (_REACH - _LEAST_LATE)
_AT_ONCE = 1 << 13

_CELL = 63  # frames, 1.008 s; the passage is judged second by second, with those beside it
_LEAST_SHARE, _LEAST_EXCESS = 0.2, 6.0
_LEAST_LANDMARKS = 6  # in three seconds; with fewer they say nothing
# A second at the end of a passage is no part of it if it has less than this of the share of all.
_POOR, _LEAST_AT_END = 0.5, 12
_GAP = 3  # seconds that may differ within a passage
_SEED_FRAMES = 625  # on each side of a seed, 10 s
_SPEEDS = np.arange(-4, 5) * 0.0005  # tried about the speed that is proposed
_LEAST_FITTED = 8
_SETTLED = 0.25  # frames; a line that moves by less has been found
_MOST_DOUBLINGS = 32
_MOMENT, _LEAST_PAIRS = 2, 16  # frames between landmarks of one moment; pairs of them that tell


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from the time of a first recording to that of a second.

    Attributes
    ----------
    first, second : float
        Frames of the two that belong together.
    speed : float
        How many times as fast the second runs; it sounds as many times as high.
    """

    first: float
    second: float
    speed: float = 1.0

    def to_second(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the frames of the second recording that belong to frames of the first."""
        return self.second + (frames - self.first) / self.speed

    def to_first(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the frames of the first recording that belong to frames of the second."""
        return self.first + (frames - self.second) * self.speed

    def distance(self, other: "Line", begin: float, end: float) -> float:
        """Return by how many frames two lines differ at the most between two times of the first."""
        ends = np.array([begin, end], dtype=np.float64)
        return float(np.abs(self.to_second(ends) - other.to_second(ends)).max())


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that two recordings have in common.

    Attributes
    ----------
    line : Line
        Which moments of the two belong together.
    first : tuple of float
        Where it begins and ends in the first recording, in frames.
    n_matched : int
        Landmarks that coincide.
    n_by_chance : float
        So many would if the one recording were some frames late.
    n_landmarks : int
        Those of the recording that has more of them, second by second.
    variance : float
        Of the times between landmarks that coincide, in frames squared, without what chance adds to
        it. That of a copy comes from rounding; another performance has more. A tape whose speed
        wanders is no other performance: the mean of two seconds is taken off first.
    common : float
        Covariance of these times, of neighbours that stand at one moment. What rounding and noise
        do to landmarks they do to each by itself; who plays a note early has all of its partials
        early. 0 if fewer than 16 pairs tell it.
    """

    line: Line
    first: tuple[float, float]
    n_matched: int
    n_by_chance: float
    n_landmarks: int
    variance: float
    common: float

    @property
    def second(self) -> tuple[float, float]:
        """Where it begins and ends in the second recording, in frames."""
        begin, end = self.line.to_second(np.array(self.first)).tolist()
        return begin, end

    @property
    def excess(self) -> float:
        """Landmarks that coincide, above what chance gives."""
        return self.n_matched - self.n_by_chance

    @property
    def share(self) -> float:
        """Share of landmarks that coincide, above what chance gives, 0 to 1."""
        return max(0.0, self.excess / max(self.n_landmarks, 1))


def follow(first: Landmarks, second: Landmarks, seed: Line) -> list[Passage]:
    """Return the passages that two recordings share along a line.

    Parameters
    ----------
    first, second
        The landmarks of the two recordings.
    seed
        Where the line seems to go, to a few frames and one part in a thousand.

    Returns
    -------
    list of Passage
        In order of time; none if the recordings differ there. How much of a passage coincides is
        for the caller to judge.
    """
    begin, end = seed.first - _SEED_FRAMES, seed.first + _SEED_FRAMES
    line = _sharpened(first, second, seed, begin, end)
    for _ in range(_MOST_DOUBLINGS):
        begin, end = _within(first, second, line, begin, end)
        laid = _Laid(first, second, line, begin, end)
        runs = list(laid.runs())
        if not runs:
            return []
        fitted = laid.fitted()
        at_begin, at_end = laid.nearly_reached(runs)
        width = end - begin
        low, high = _within(first, second, line, begin - width * at_begin, end + width * at_end)
        # Along the line as it is now, the ends may look otherwise.
        is_settled = fitted.distance(line, low, high) < _SETTLED
        is_all = low > begin - _CELL and high < end + _CELL
        line, begin, end = fitted, min(begin, low), max(end, high)
        if is_settled and is_all:
            break
    laid = _Laid(first, second, line, *_within(first, second, line, begin, end))
    return list(laid.passages())


def _within(
    first: Landmarks, second: Landmarks, line: Line, begin: float, end: float
) -> tuple[int, int]:
    """Cut a stretch of the first recording to what lies in both."""
    low, high = line.to_first(np.array([0.0, second.n_frames])).tolist()
    begin, end = max(begin, low, 0), min(end, high, first.n_frames)
    return int(np.floor(begin)), int(np.ceil(max(begin, end)))


def coincident(
    first: Landmarks,
    second: Landmarks,
    line: Line,
    part: slice,
    *,
    slack: float = 0.0,
    reach: float = _REACH,
    steps: float = _STEPS,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return the pairs of landmarks of like frequency that lie near a line.

    Parameters
    ----------
    part
        Of the first recording's landmarks.
    slack
        By which part of its frequency a landmark may lie farther away.
    reach
        How many frames the two may be apart.
    steps
        How many steps of frequency the two may be apart, besides `slack`.

    Returns
    -------
    of_first, of_second : ndarray of intp
    late : ndarray of float64
        By how many frames the second one is late.
    higher : ndarray of float64
        By how many steps of frequency it is higher.
    """
    found = []
    at_once = max(1, round(_AT_ONCE * _REACH / reach))
    for start in range(part.start, part.stop, at_once):
        stop = min(start + at_once, part.stop)
        places = line.to_second(first.frames[start:stop].astype(np.float64))
        low = np.searchsorted(second.frames, places - reach)
        n_near = np.searchsorted(second.frames, places + reach, side="right") - low
        of_first = np.repeat(np.arange(stop - start), n_near)
        ends = np.cumsum(n_near)
        of_second = np.arange(len(of_first)) + np.repeat(low - ends + n_near, n_near)
        pitched = first.frequencies[start:stop] * line.speed
        higher = second.frequencies[of_second] - pitched[of_first]
        like = np.abs(higher) <= steps + slack * pitched[of_first]
        of_first, of_second, higher = of_first[like], of_second[like], higher[like]
        late = second.frames[of_second] - places[of_first]
        found.append((of_first + start, of_second, late, higher))
    if not found:
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing, np.empty(0), np.empty(0)
    firsts, seconds, lates, all_higher = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    return firsts, seconds, lates, all_higher


def _part(landmarks: Landmarks, begin: float, end: float) -> slice:
    start, stop = np.searchsorted(landmarks.frames, (begin, end)).tolist()
    return slice(start, stop)


def _sharpened(first: Landmarks, second: Landmarks, seed: Line, begin: float, end: float) -> Line:
    """Look for the speed and the time about a seed at which most landmarks coincide."""
    part = _part(first, begin, end)
    slack = float(np.abs(_SPEEDS).max())
    of_first, _, late, higher = coincident(first, second, seed, part, slack=slack)
    since = first.frames[of_first] - seed.first
    pitched = first.frequencies[of_first] * seed.speed
    reach = int(_REACH) + 8
    best, most = seed, 0.0
    # The speed proposed first: another one has to be clearly better.
    for change in sorted(_SPEEDS.tolist(), key=abs):
        speed = seed.speed * (1 + change)
        like = np.abs(higher - pitched * change) <= _STEPS
        moved = late[like] - since[like] * (1 / speed - 1 / seed.speed)
        counts = np.bincount(np.rint(moved).astype(np.intp) + reach, minlength=2 * reach + 1)
        sums = counts[:-2] + counts[1:-1] + counts[2:]
        at = int(sums.argmax())
        if sums[at] > 1.15 * most + 1:
            most = float(sums[at])
            best = Line(seed.first, seed.second + at + 1 - reach, speed)
    return best


class _Laid:
    """Two recordings laid over each other along a line, in a stretch of the first."""

    def __init__(
        self, first: Landmarks, second: Landmarks, line: Line, begin: int, end: int
    ) -> None:
        self._first, self._second, self._line = first, second, line
        self._begin, self._end = begin, end
        part = _part(first, begin, end)
        of_first, of_second, late, _ = coincident(first, second, line, part)
        hit = np.abs(late) <= COINCIDE_FRAMES
        self._hits, once = np.unique(of_first[hit], return_index=True)
        self._late = late[hit][once]
        near = np.abs(late) <= _NEAR
        self._near = first.frames[of_first[near]], second.frames[of_second[near]]
        frames = first.frames
        self._n_matched = self._per_cell(frames[self._hits])
        self._by_chance = self._per_cell(frames[of_first[np.abs(late) > _LEAST_LATE]]) * _CHANCE
        others = _part(second, *line.to_second(np.array([begin, end], dtype=np.float64)).tolist())
        mapped = line.to_first(second.frames[others].astype(np.float64))
        self._n_landmarks = np.maximum(self._per_cell(frames[part]), self._per_cell(mapped))
        self._excess = self._n_matched - self._by_chance
        excess, total = _with_neighbours(self._excess), _with_neighbours(self._n_landmarks)
        self._same = (excess >= _LEAST_EXCESS) & (excess >= _LEAST_SHARE * total)
        self._differs = ~self._same & (total >= _LEAST_LANDMARKS)

    def _per_cell(self, frames: NDArray[np.number]) -> NDArray[np.float64]:
        n_cells = (self._end - self._begin) // _CELL + 1
        cells = np.clip((frames - self._begin) // _CELL, 0, n_cells - 1).astype(np.intp)
        return np.bincount(cells, minlength=n_cells).astype(np.float64)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield first and last cell of each run of cells that are the same, but for short gaps."""
        same = np.flatnonzero(self._same)
        if not len(same):
            return
        differing = np.cumsum(self._differs)[same]
        breaks = np.flatnonzero(np.diff(differing) > _GAP)
        starts = np.insert(breaks + 1, 0, 0)
        ends = np.append(breaks, len(same) - 1)
        yield from zip(same[starts].tolist(), same[ends].tolist(), strict=True)

    def nearly_reached(self, runs: list[tuple[int, int]]) -> tuple[bool, bool]:
        """Tell whether the first run may begin before the stretch and the last end after it."""
        before = int(np.count_nonzero(self._differs[: runs[0][0]]))
        after = int(np.count_nonzero(self._differs[runs[-1][1] + 1 :]))
        return before <= _GAP, after <= _GAP

    def fitted(self) -> Line:
        """Return the line anew, by least squares, through the landmarks that lie near it.

        The speed is only changed if that makes a difference of a frame, and is no chance.
        """
        frames, others = self._near
        sure = self._same[np.clip((frames - self._begin) // _CELL, 0, len(self._same) - 1)]
        x, y = frames[sure].astype(np.float64), others[sure].astype(np.float64)
        if len(x) < _LEAST_FITTED:
            return self._line
        middle = float(x.mean())
        x -= middle
        spread = float(x @ x)
        slope = float(x @ (y - y.mean())) / max(spread, 1.0)
        error = float(np.std(y - y.mean() - slope * x)) / np.sqrt(max(spread, 1.0))
        drift = abs(slope - 1) * float(np.ptp(x))
        if drift < 1.0 or abs(slope - 1) < 3 * error:
            slope = 1.0
        return Line(middle, float(y.mean()), 1 / slope)

    def passages(self) -> Iterator[Passage]:
        """Yield what the runs of cells are, from their first landmark to their last.

        If next to nothing lies between there and the end of a recording, they go to that end.
        """
        cell_of = (self._first.frames[self._hits] - self._begin) // _CELL
        for first_of_run, last_of_run in self.runs():
            first_cell, last_cell = self._without_poor_ends(first_of_run, last_of_run)
            start, stop = np.searchsorted(cell_of, (first_cell, last_cell + 1)).tolist()
            if start == stop:
                continue
            begin, end = self._first.frames[self._hits[[start, stop - 1]]].astype(float).tolist()
            if first_cell == first_of_run and not self._differs[:first_cell].any():
                begin = float(self._begin)
            if last_cell == last_of_run and not self._differs[last_cell + 1 :].any():
                end = float(self._end)
            cells = slice(first_cell, last_cell + 1)
            n_by_chance = float(self._by_chance[cells].sum())
            frames = self._first.frames[self._hits[start:stop]]
            late = _steadied(frames, self._late[start:stop])
            yield Passage(
                self._line,
                (begin, end),
                round(float(self._n_matched[cells].sum())),
                n_by_chance,
                round(float(self._n_landmarks[cells].sum())),
                _variance(late, n_by_chance),
                _common(frames, late),
            )

    def _without_poor_ends(self, first_cell: int, last_cell: int) -> tuple[int, int]:
        """Leave out seconds at the ends of a run that only seem the same by their neighbours.

        If that holds for all, the last comes before the first.
        """
        cells = slice(first_cell, last_cell + 1)
        share = self._excess[cells].sum() / max(self._n_landmarks[cells].sum(), 1)
        poor = self._excess[cells] < _POOR * share * self._n_landmarks[cells]
        poor &= self._n_landmarks[cells] >= _LEAST_AT_END
        good = np.flatnonzero(~poor).tolist()
        return (
            (first_cell + good[0], first_cell + good[-1]) if good else (first_cell, first_cell - 1)
        )


def _steadied(frames: NDArray[np.integer], late: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take from some times the mean of those a second around, where there are enough."""
    low = np.searchsorted(frames, frames - _CELL)
    high = np.searchsorted(frames, frames + _CELL, side="right")
    sums = np.concatenate([[0.0], np.cumsum(late)])
    n_around = high - low
    around = (sums[high] - sums[low]) / n_around
    steadied: NDArray[np.float64] = late - np.where(n_around >= _LEAST_FITTED, around, late.mean())
    return steadied


def _variance(late: NDArray[np.float64], n_by_chance: float) -> float:
    """Return the variance of some times, of which as many are there by chance."""
    n_others = len(late) - n_by_chance
    if n_others < 1:
        return COINCIDE_FRAMES**2
    squares = len(late) * float(np.var(late)) - n_by_chance * COINCIDE_FRAMES**2 / 3
    return max(squares, 0.0) / n_others


def _common(frames: NDArray[np.integer], late: NDArray[np.float64]) -> float:
    """Return how much landmarks at one moment are late together; of too few pairs, nothing."""
    at_once = np.diff(frames) <= _MOMENT
    if np.count_nonzero(at_once) < _LEAST_PAIRS:
        return 0.0
    from_mean = late - late.mean()
    return float(np.mean((from_mean[:-1] * from_mean[1:])[at_once]))


def _with_neighbours(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(cells, 1)
    total: NDArray[np.float64] = padded[:-2] + padded[1:-1] + padded[2:]
    return total

"""Tell a copy from what two different recordings have in common because of one loop.

A drum machine that plays under two pieces gives them many landmarks at the same moments, often more
than half. But then they coincide just as well if the one recording is moved by a bar, and what is
played over the loop coincides nowhere. A copy has something that only fits at its own place; or it
is made of the loop and next to nothing else.
"""

from dataclasses import replace

import numpy as np

from db.landmarks import Landmarks
from search.alignment import COINCIDE_FRAMES, Line, Passage, coincident

_LEAST_LAG, _MOST_LAG = 7, 625  # frames, 0.1 to 10 s: from a beat to some bars
_LEAST_LEFT = 0.5  # of a passage that is moved, within what it is laid over
_LEAST_COUNT = 8
# What coincides at another lag, as a share of what does so in place. Measured with made-up pieces
# over a drum machine: 0.92 and more between different ones, at most 0.84 between copies; between
# copies of music that was played, at most 0.47.
_RECURS = 0.88
# Of the landmarks of a passage, those that coincide neither in place nor a loop earlier or later:
# 0.16 and more between different pieces, at most 0.14 between five in six copies of mere loops.
_MOST_BESIDES = 0.14
_STEPS = 3.5  # of frequency, for those: a codec may move a landmark a little


def is_loop_under_something_else(first: Landmarks, second: Landmarks, passage: Passage) -> bool:
    """Tell whether two recordings only have a loop in common, and differ in the rest.

    Parameters
    ----------
    first, second
        The landmarks of the two recordings.
    passage
        What they seem to share.
    """
    one, other = _cut(first, *passage.first), _cut(second, *passage.second)
    lag, strength = _strongest_lag(one, other, passage)
    return strength >= _RECURS and _besides(one, other, passage.line, lag) > _MOST_BESIDES


def _cut(landmarks: Landmarks, begin: float, end: float) -> Landmarks:
    margin = COINCIDE_FRAMES
    start, stop = np.searchsorted(landmarks.frames, (begin - margin, end + margin)).tolist()
    return Landmarks(
        landmarks.frames[start:stop], landmarks.frequencies[start:stop], landmarks.n_frames
    )


def _strongest_lag(one: Landmarks, other: Landmarks, passage: Passage) -> tuple[int, float]:
    """Return the lag at which most coincides, and how much: 1 is as much as in place."""
    lags = np.arange(_LEAST_LAG, _MOST_LAG + 1)
    middle, reach = (_MOST_LAG + _LEAST_LAG) // 2, (_MOST_LAG - _LEAST_LAG) // 2 + 1
    everything = slice(0, len(one))
    _, _, late, _ = coincident(one, other, _moved(passage.line, middle), everything, reach=reach)
    counts = np.bincount(np.rint(late + reach).astype(np.intp), minlength=2 * reach + 1)
    coinciding = counts[:-2] + counts[1:-1] + counts[2:]

    hits = np.unique(coincident(one, other, passage.line, everything, reach=COINCIDE_FRAMES)[0])
    places = passage.line.to_second(one.frames[hits].astype(np.float64))
    left = np.searchsorted(places, passage.second[1] - lags) / max(len(hits), 1)
    in_place = max(len(hits) - passage.n_by_chance, _LEAST_COUNT)
    strength = (coinciding - passage.n_by_chance * left) / (
        in_place * np.maximum(left, _LEAST_LEFT)
    )
    strength[left < _LEAST_LEFT] = 0.0
    best = int(strength.argmax())
    return int(lags[best]), float(strength[best])


def _besides(one: Landmarks, other: Landmarks, line: Line, lag: int) -> float:
    """Return the share of landmarks that coincide neither in place nor a lag before or after it."""
    of_one, of_other = [], []
    for by in (0, lag, -lag):
        one_hit, other_hit, _, _ = coincident(
            one,
            other,
            _moved(line, by),
            slice(0, len(one)),
            reach=COINCIDE_FRAMES,
            steps=_STEPS,
        )
        of_one.append(one_hit)
        of_other.append(other_hit)
    n_found = [len(np.unique(np.concatenate(hits))) for hits in (of_one, of_other)]
    return 1 - min(n_found) / max(len(one), len(other), 1)


def _moved(line: Line, by: float) -> Line:
    return replace(line, second=line.second + by)

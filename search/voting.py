"""From keys to places in the archive where a query may lie: votes for differences of time.

If an excerpt begins at frame `d` of the archive, every key of it that was found says so: the frame
found less the frame asked is `d`. Chance finds are spread over the whole archive, true ones agree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import Postings

_SUBFRAMES = 4
"""Times of a query are told in quarters of a frame."""

_BIN_SUBFRAMES = 8  # two frames, 32 ms
_WEIGHT_BITS = 8
_COMMON = (
    200  # a key may be this common and say no less: a jingle can be in thousands of recordings
)
_ANCHOR_BITS = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a query may begin.

    Attributes
    ----------
    frame : float
        Archive frame of the query's first sample, to some two frames.
    votes : float
        Anchors of the query that speak for it, weighted.
    """

    frame: float
    votes: float


def vote(found: Postings, times: NDArray[np.float32], n_places: int) -> list[Place]:
    """Return the places that most keys agree on, best first.

    A key that the archive holds often says little: its weight is ``1 / sqrt(1 + count)``. The keys
    of one moment have one vote together, that of their rarest, since a held tone makes many.

    Parameters
    ----------
    times : ndarray, shape (m,), float32
        The query's time, in frames, of each key that was looked up.
    """
    if not len(found.which):
        return []
    asked = np.rint(times * _SUBFRAMES).astype(np.int64)
    # At most 255: a quarter of the weights' steps is lost to rounding, no more.
    weights = np.rint(255 / np.sqrt(1.0 + np.minimum(found.counts, _COMMON))).astype(np.int64)
    of_key = (asked << _WEIGHT_BITS) | weights
    bins = (found.frames * _SUBFRAMES - asked[found.which]) // _BIN_SUBFRAMES
    least = int(bins.min())
    votes = (bins - least) << (_ANCHOR_BITS + _WEIGHT_BITS) | of_key[found.which]
    votes.sort()
    anchors = votes >> _WEIGHT_BITS
    heaviest = np.append(anchors[1:] != anchors[:-1], True)
    anchors, cast = anchors[heaviest], (votes[heaviest] & 255).astype(np.float64)
    bins = anchors >> _ANCHOR_BITS
    starts = np.flatnonzero(np.append(True, bins[1:] != bins[:-1]))
    sums = np.add.reduceat(cast, starts) / 255
    bins = bins[starts]
    beside = np.append(np.where(bins[1:] == bins[:-1] + 1, sums[1:], 0.0), 0.0)
    return _best_apart(bins + least, sums, beside, n_places)


def _best_apart(
    bins: NDArray[np.int64],
    sums: NDArray[np.float64],
    beside: NDArray[np.float64],
    n_places: int,
) -> list[Place]:
    total = sums + beside
    most = min(len(total), 4 * n_places)
    best = np.argpartition(-total, most - 1)[:most]
    best = best[np.lexsort((bins[best], -total[best]))]
    taken: list[Place] = []
    seen: set[int] = set()
    for at in best.tolist():
        place = int(bins[at])
        if place in seen:
            continue
        seen.update(range(place - 2, place + 3))
        centre = place + 0.5 + beside[at] / total[at]
        taken.append(Place(centre * _BIN_SUBFRAMES / _SUBFRAMES, float(total[at])))
        if len(taken) == n_places:
            break
    return taken

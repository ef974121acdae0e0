"""What speaks for a place of the archive where a query may lie."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for a place.

    Attributes
    ----------
    frame : float
        Archive frame of the query's first sample, to about one frame.
    score : float
        Above what chance gives, in standard deviations, roughly; see `search.significance`.
    votes : float
        Those that led to the place.
    likeness : float
        How much of what each landmark may give it gives, on average. It tells a passage from its
        near repetition, where the score, which is about chance, is much the same for both.
    loud_likeness : float
        The same by weight: noise hides faint landmarks of the right place, while a change of pitch
        moves loud ones as well, unless it is small.
    rows : ndarray, shape (n,), int64
        The query's frame that each landmark falls on, never falling.
    hits : ndarray, shape (n,), bool
        Whether the query has a peak there.
    chance : float
        The share of hits at other lags.
    """

    frame: float
    score: float
    votes: float
    likeness: float
    loud_likeness: float
    rows: NDArray[np.int64]
    hits: NDArray[np.bool_]
    chance: float

    @cached_property
    def extent(self) -> tuple[float, float]:
        """The stretch of the query, in frames, in which landmarks are matched.

        It is the stretch in which hits exceed by most what lies midway between their usual share
        and chance, so that a part of a query that holds something else is left out.
        """
        if not self.hits.any():
            return 0.0, 0.0
        midway = 0.5 * (self.hits.mean() + self.chance)
        gain = np.concatenate([[0.0], np.cumsum(self.hits - midway)])
        lowest = np.minimum.accumulate(gain)
        last = int(np.argmax(gain - lowest))
        first = int(np.argmin(gain[: last + 1]))
        return float(self.rows[first]), float(self.rows[last - 1])

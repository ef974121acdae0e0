"""What a cosine means: scores between 0 and 1 that say the same for every query.

A phrase such as "wind" lies closer to sounds in general than "glass breaking" does, so that one
cosine is a poor hit for the one and a sure one for the other. Each query is therefore compared with
a fixed background of ordinary sounds first: how many standard deviations above it a segment scores
is what counts. Nor are all sounds equally easy to tell from others: much that is no cough resembles
one, nothing but a cow sounds like a cow. So it is also counted how far sounds reach that are *not*
what is asked, which every encoder knows for some hundred phrases, its anchors. A logistic law,
fitted once on recordings whose content is known, makes a probability of the distance.

References
----------
.. [1] J. Platt, "Probabilistic outputs for support vector machines", 1999: the logistic law.
.. [2] R. Auckenthaler, M. Carey, H. Lloyd-Thomas, "Score normalization for text-independent speaker
       verification systems", Digital Signal Processing 10, 2000: the background ("Z-norm").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoders import Anchors, Law

__all__ = ["POSSIBLE", "STRONG", "Calibration", "Law", "Scale"]

POSSIBLE = 0.5
"""From here on a segment is a hit."""
STRONG = 0.8
"""From here on a hit is hardly ever wrong."""
_LEAST_DEVIATION = 1e-4
_ANCHOR_TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class Scale:
    """What the cosines of one query mean.

    Attributes
    ----------
    mean, deviation : float
        Of its cosines with the background.
    level : float
        What sounds that are something else reach, in standard deviations.
    """

    mean: float
    deviation: float
    level: float


class Calibration:
    """Standard scores of queries against a background of sounds.

    Parameters
    ----------
    background : ndarray, shape (n, dim), float32
        Vectors of many kinds of sound, unit length.
    anchors : Anchors
        Phrases, and how far sounds reach that are something else.
    """

    def __init__(self, background: NDArray[np.float32], anchors: Anchors) -> None:
        self._background = background
        self._anchors = anchors

    def scale(self, query: NDArray[np.float32], *, by_words: bool) -> Scale:
        """Return what the cosines of a query mean.

        Parameters
        ----------
        query : ndarray, shape (dim,), float32
            Unit length.
        by_words : bool
            Whether it is a phrase: then its level is that of the anchors that are like it. That of
            an example is zero.
        """
        cosines = self._background @ query
        deviation = max(float(cosines.std()), _LEAST_DEVIATION)
        return Scale(float(cosines.mean()), deviation, self._level(query) if by_words else 0.0)

    def standardise(
        self, query: NDArray[np.float32], cosines: NDArray[np.float32], *, by_words: bool = True
    ) -> NDArray[np.float32]:
        """Return how many deviations above a query's level its cosines lie.

        Parameters
        ----------
        query : ndarray, shape (dim,), float32
        cosines : ndarray, any shape, float32
            Of the query with segments.
        """
        scale = self.scale(query, by_words=by_words)
        above = (cosines - scale.mean) / scale.deviation - scale.level
        return np.asarray(above, dtype=np.float32)

    def _level(self, query: NDArray[np.float32]) -> float:
        cosines = self._anchors.vectors @ query
        weights = np.exp((cosines - cosines.max()) / _ANCHOR_TEMPERATURE)
        return float(weights @ self._anchors.levels / weights.sum())

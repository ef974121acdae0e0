"""What a cosine means: scores between 0 and 1 that say the same for every query.

A phrase such as "wind" lies closer to sounds in general than "glass breaking" does, so that one
cosine is a poor hit for the one and a sure one for the other. How far a segment scores above what
sounds reach that are *not* what is asked is what counts, and a logistic law, fitted once on
recordings whose content is known, makes a probability of it. With the bundled encoder comes what
is needed for that; of others, the archive's own sounds tell (`search.archive_calibration`).

References
----------
.. [1] J. Platt, "Probabilistic outputs for support vector machines", 1999: the logistic law.
.. [2] R. Auckenthaler, M. Carey, H. Lloyd-Thomas, "Score normalization for text-independent speaker
       verification systems", Digital Signal Processing 10, 2000: the background ("Z-norm").
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.encoders import Law, Laws, ShippedCalibration

__all__ = ["POSSIBLE", "STRONG", "BackgroundCalibration", "Calibration", "Law", "Scale"]

POSSIBLE = 0.5
"""From here on a segment is a hit."""
STRONG = 0.8
"""From here on a hit is hardly ever wrong."""
LEAST_DEVIATION = 1e-4
_ANCHOR_TEMPERATURE = 0.05


@dataclass(frozen=True, slots=True)
class Scale:
    """What the cosines of one query mean.

    Attributes
    ----------
    mean, deviation : float
        Where its standard scores are zero, and the cosine that is one of them.
    level : float
        What sounds that are something else reach, in deviations.
    """

    mean: float
    deviation: float
    level: float


class Calibration(Protocol):
    """Tells what the cosines of a query are worth.

    Attributes
    ----------
    background : ndarray, shape (n, dim), float32
        Vectors of sounds in general, unit length, none of them the archive's own, if there are any.
    laws : Laws
        Probabilities of how far above its level a score is.
    identity : str
        Changes whenever the same cosine would be worth something else.
    notes : tuple of str
        What is to be known of its scores, in words.
    """

    @property
    def background(self) -> NDArray[np.float32]: ...
    @property
    def laws(self) -> Laws: ...
    @property
    def identity(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def scale(self, query: NDArray[np.float32], *, by_words: bool) -> Scale:
        """Return what the cosines of a query mean.

        Parameters
        ----------
        query : ndarray, shape (dim,), float32
            Unit length.
        by_words : bool
            Whether it is a phrase.
        """
        ...


class BackgroundCalibration:
    """Standard scores of queries against a background of sounds that comes with the encoder.

    Nor are all sounds equally easy to tell from others: much that is no cough resembles one,
    nothing but a cow sounds like a cow. So it is also counted how far sounds reach that are
    something else, which is known for some hundred phrases, the anchors.

    Parameters
    ----------
    shipped : ShippedCalibration
    """

    identity = ""
    """Whatever it depends on is part of the encoder's id."""
    notes: tuple[str, ...] = ()

    def __init__(self, shipped: ShippedCalibration) -> None:
        self._shipped = shipped

    @property
    def background(self) -> NDArray[np.float32]:
        """Vectors of sounds in general, shape (n, dim), float32, unit length."""
        return self._shipped.background

    @property
    def laws(self) -> Laws:
        """The encoder's own."""
        return self._shipped.laws

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
        cosines = self.background @ query
        deviation = max(float(cosines.std()), LEAST_DEVIATION)
        return Scale(float(cosines.mean()), deviation, self._level(query) if by_words else 0.0)

    def _level(self, query: NDArray[np.float32]) -> float:
        cosines = self._shipped.anchors.vectors @ query
        weights = np.exp((cosines - cosines.max()) / _ANCHOR_TEMPERATURE)
        return float(weights @ self._shipped.anchors.levels / weights.sum())


def standardise(
    calibration: Calibration,
    query: NDArray[np.float32],
    cosines: NDArray[np.float32],
    *,
    by_words: bool,
) -> NDArray[np.float32]:
    """Return how many deviations above a query's level its cosines lie.

    Parameters
    ----------
    query : ndarray, shape (dim,), float32
    cosines : ndarray, any shape, float32
        Of the query with segments.
    """
    scale = calibration.scale(query, by_words=by_words)
    above = (cosines - scale.mean) / scale.deviation - scale.level
    return np.asarray(above, dtype=np.float32)

"""How likely it is that a score came about by chance.

The best of many chance finds follows a Gumbel law, whose upper tail is exponential: each further
`SCALE` of score makes chance less likely by a factor of e, and an archive e times as large moves
all thresholds up by as much. Place and scale were fitted to the best scores of queries that are
not in the archive; ``docs/fingerprint.md`` shows the fit.

References
----------
E. J. Gumbel, "Statistics of Extremes", Columbia University Press, 1958.
R. A. Fisher, "Statistical Methods for Research Workers", 4th edition, Oliver and Boyd, 1932: what
several probabilities say together.
S. Karlin, S. F. Altschul, "Methods for assessing the statistical significance of molecular
sequence features by using general scoring schemes", PNAS 87, 1990: the same for sequences.
"""

import math
from dataclasses import dataclass
from typing import Self

_DURATIONS_S = (2.0, 5.0, 10.0)
_MODES = (10.0, 9.0, 8.2)
_SCALES = (0.65, 0.7, 0.7)
_HOURS = 6.2
"""Length of the archive that the modes were fitted in. In smaller ones the best scores hardly fall,
for the places that are weighed grow fewer much later; so these count as one of this length."""

_CHANGES = 24
"""Changes of speed and pitch that were tried in the fit."""

_EVERY = 3.0
"""Weighing many more places, as for all occurrences, raises the best false score a little."""

_DISTINCT_MODES = (0.43, 0.405, 0.39)
_DISTINCT_SCALES = (0.074, 0.058, 0.063)
"""Likewise, of the most distinct correlation of the places that are read again. Their number does
not grow with the archive. As above, the rarest hundredth was fitted."""

_DISTINCT_KNOWN = (-4.0, -5.0, -5.0)
"""The probability, as a power of ten, down to which that law is trusted: it was fitted to a
thousand queries of each length, and a held note may go with another for two seconds."""

_BEYOND = 0.25
"""What is rarer is taken to grow rarer a quarter as fast, so that it can be told what is surer."""

_DISTINCT_LEAST_P = 1e-9


@dataclass(frozen=True, slots=True)
class Law:
    """The law of the best score of a query that is not in the archive.

    Attributes
    ----------
    mode, scale : float
        Of a Gumbel distribution.
    """

    mode: float
    scale: float

    @classmethod
    def of(
        cls,
        *,
        duration_s: float,
        archive_s: float,
        n_changes: int = _CHANGES,
        every: bool = False,
    ) -> Self:
        """Return the law for a query.

        Parameters
        ----------
        duration_s : float
            Length of the query.
        archive_s : float
            Length of the archive.
        n_changes : int
            How many changes of speed and pitch are tried.
        every : bool
            Whether all occurrences are looked for: more places are weighed.
        """
        mode, scale = _between(duration_s, _MODES), _between(duration_s, _SCALES)
        chances = max(1.0, archive_s / 3600 / _HOURS) * max(1.0, n_changes / _CHANGES)
        chances *= _EVERY if every else 1.0
        return cls(mode + scale * math.log(chances), scale)

    def p_false(self, score: float) -> float:
        """Return the probability that a query which is not in the archive scores so high."""
        exponent = min(50.0, (self.mode - score) / self.scale)
        return -math.expm1(-math.exp(exponent))

    def threshold(self, p_false: float) -> float:
        """Return the score that a query which is not in the archive has with a probability."""
        return self.mode - self.scale * math.log(-math.log1p(-p_false))


def p_agreement(distinctness: float, duration_s: float) -> float:
    """Return the probability that a query which is not in the archive goes so well with a place.

    Parameters
    ----------
    distinctness : float
        See `search.correlation.Agreement`; the largest of the places that are read again.
    duration_s : float
        Length of the query.
    """
    mode, scale = _between(duration_s, _DISTINCT_MODES), _between(duration_s, _DISTINCT_SCALES)
    known = 10 ** _between(duration_s, _DISTINCT_KNOWN)
    p = Law(mode, scale).p_false(distinctness)
    return p if p >= known else max(known * (p / known) ** _BEYOND, _DISTINCT_LEAST_P)


def p_together(p: float, other_p: float) -> float:
    """Return the probability that two things came about by chance which hang not together.

    By the method of Fisher: that the product of two probabilities is as small as that by chance.
    A product of 0 has a probability of 0.
    """
    product = p * other_p
    return product * (1 - math.log(product)) if product > 0 else 0.0


def _between(duration_s: float, values: tuple[float, ...]) -> float:
    """Interpolate over the logarithm of the duration; constant outside."""
    at = min(max(duration_s, _DURATIONS_S[0]), _DURATIONS_S[-1])
    for low in range(len(values) - 1):
        left, right = _DURATIONS_S[low], _DURATIONS_S[low + 1]
        if at <= right:
            share = math.log(at / left) / math.log(right / left)
            return values[low] + share * (values[low + 1] - values[low])
    return values[-1]

"""Places where a query may lie, and how they compare."""

from collections.abc import Iterable
from dataclasses import dataclass

from indexer.landmarks import Change
from search.evidence import Evidence

MUCH_ALIKE = 3.4  # a place that is as like the query is more than a beat, and has its pitch
_SAME_STRETCH = 0.5  # of what two candidates cover together is covered by both
_RIVAL = 0.85  # of the best score; places that reach it may be repetitions of one another
_APART = 8  # frames between places that are not the same
_ALIKE = 2.5  # of at most 4.5; a place that is less like the query may not be the best there is
_LOUD_ALIKE = 2.3  # by weight, likewise: noise hides the rest


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the query may lie, and how strongly that is supported.

    Attributes
    ----------
    evidence : Evidence
    change : Change
        How the query differs from the recording in speed and pitch.
    effort : int
        0 if it was among the first places looked at, 1 after a thorough search, 2 after a search
        for changes of speed and pitch: the more was tried, the more chance finds.
    price : float
        What the way it was found takes from its score.
    left : float, optional
        The share of its score that a beat does not explain; None where that was not asked.
    heard : tuple of float, optional
        The stretch of the query, in frames, that was found in the recording's own sound.
    """

    evidence: Evidence
    change: Change
    effort: int
    price: float = 0.0
    left: float | None = None
    heard: tuple[float, float] | None = None

    @property
    def extent(self) -> tuple[float, float]:
        """The stretch of the query that matches, in frames."""
        return self.evidence.extent if self.heard is None else self.heard

    @property
    def score(self) -> float:
        """What is left of the evidence's score."""
        return (self.evidence.score - self.price) * (1.0 if self.left is None else self.left)


def is_of_its_kind(one: Candidate, asked: Candidate) -> bool:
    """Say whether what a beat explains of a candidate it explains of another, too."""
    if one.left is not None or one.evidence.likeness >= MUCH_ALIKE:
        return False
    (first, last), (other_first, other_last) = one.evidence.extent, asked.evidence.extent
    shared = min(last, other_last) - max(first, other_first)
    return shared >= _SAME_STRETCH * (max(last, other_last) - min(first, other_first))


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return them, the best first."""
    return sorted(candidates, key=lambda one: (-one.score, one.evidence.frame))


def rivals(found: list[Candidate]) -> list[Candidate]:
    """Return the best candidate, and others elsewhere that come near it."""
    best = found[0]
    return [
        one
        for number, one in enumerate(found)
        if number == 0
        or (
            one.score >= _RIVAL * best.score
            and abs(one.evidence.frame - best.evidence.frame) >= _APART
        )
    ]


def is_alike(candidates: list[Candidate], *, by_loud: bool) -> bool:
    """Say whether the best candidate is so like the query that nothing better is to be expected.

    Where music repeats itself, a query of another pitch agrees with some other bar of it well
    enough to be no chance, but less than it would with its own.

    Parameters
    ----------
    by_loud
        Whether it is enough that the loud landmarks are like it. They do not tell repetitions
        apart.
    """
    if not candidates:
        return False
    evidence = candidates[0].evidence
    return evidence.likeness >= _ALIKE or (by_loud and evidence.loud_likeness >= _LOUD_ALIKE)


def best_score(candidates: list[Candidate]) -> float:
    """Return the score of the first of them; 0 if there is none."""
    return candidates[0].score if candidates else 0.0

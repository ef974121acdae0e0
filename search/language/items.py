"""What a query's text is cut into: words, terms, conditions and operators, with their places."""

from dataclasses import dataclass

from db.conditions import Condition
from search.query import CopyOf, Term


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word, or a phrase in parentheses, of which nothing is a sign."""

    at: int
    text: str
    literal: bool = False
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An example or a taught sound."""

    at: int
    term: Term


@dataclass(frozen=True, slots=True)
class Operator:
    """``&``, ``+``, ``-`` between spaces, or ``then``."""

    at: int
    sign: str
    text: str
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """A condition on what is known of a recording, or on its fingerprint."""

    at: int
    value: Condition | CopyOf


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What a minus stands before: the items of one sound."""

    at: int
    items: tuple["Item", ...]


Item = Word | Given | Operator | Demand | Exclusion

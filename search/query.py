"""What can be asked, as values; `search.language` reads the same from text.

A query has sounds that must be heard, sounds that must not, and conditions on what is known of a
recording. Any of these may be missing, not all of them.
"""

from dataclasses import dataclass, field
from pathlib import Path

from db.conditions import Condition

DEFAULT_WITHIN_S = 30.0
"""How long after a sound the next of a sequence may begin, in seconds, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Words:
    """A sound described in English.

    Attributes
    ----------
    weight : float
        Its share in a sum of terms; negative to subtract it.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """A sound like a file's, or like a part of it.

    Attributes
    ----------
    from_s, to_s : float or None
        The part, in seconds; None: from the beginning, to the end.
    """

    path: Path
    from_s: float | None = None
    to_s: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Archived:
    """A sound like a recording of the archive, or like a passage of it."""

    recording_id: int
    from_s: float | None = None
    to_s: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Taught:
    """A sound class that the user has taught by examples."""

    name: str
    weight: float = 1.0


Term = Words | Example | Archived | Taught


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound: a weighted sum of terms, "like this, but with rain".

    Attributes
    ----------
    terms : tuple of Term
        At least one, at least one of them with a positive weight.
    """

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class CopyOf:
    """A demand on the fingerprint: a copy or excerpt of a file, or of any file of a folder.

    Attributes
    ----------
    negated : bool
        What is *not* a copy is wanted.
    """

    path: Path
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A question to an archive.

    Attributes
    ----------
    sounds : tuple of Sound
        All of them must be heard in one recording; in this order, if `in_order`.
    without : tuple of Sound
        Passages in which one of these is heard are left out, and recordings that are named for it;
        if there are no sounds, all recordings in which it is heard.
    conditions : tuple of Condition
        What must be known of a recording. A quoted phrase of the query language is a condition on
        the field ``text``.
    copies : tuple of CopyOf
    in_order : bool
        Each sound begins after the one before it.
    within_s : float
        At most so long after it.
    """

    sounds: tuple[Sound, ...] = ()
    without: tuple[Sound, ...] = ()
    conditions: tuple[Condition, ...] = ()
    copies: tuple[CopyOf, ...] = field(default=())
    in_order: bool = False
    within_s: float = DEFAULT_WITHIN_S

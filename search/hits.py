"""From scores of segments to time-coded hits in recordings."""

from dataclasses import dataclass
from enum import StrEnum

from db.records import RecordingInfo


class Strength(StrEnum):
    """What a score means, in a word."""

    STRONG = "strong"
    POSSIBLE = "possible"
    WEAK = "weak"


class Source(StrEnum):
    """What found a hit."""

    SOUND = "sound"
    """The encoder: it sounds like that."""
    WORDS = "words"
    """The keywords: its name, tags or description say so."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a recording that answers a query.

    Attributes
    ----------
    onset_s, offset_s : float
        From the start of the recording, in seconds.
    score : float
        That of its best segment.
    sound : int
        Which of a query's sounds is heard here, the first being 0.
    """

    onset_s: float
    offset_s: float
    score: float
    sound: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A recording that answers a query.

    Attributes
    ----------
    score : float
        Between 0 and 1, calibrated: how sure it is that the recording answers the query. It means
        the same for every query, archive and encoder.
    passages : tuple of Passage
        Best first; empty when the recording was found by its words alone or by its conditions.
    strength : Strength
        The score in a word.
    found_by : tuple of Source
        Every witness that says more than next to nothing; empty when the query had nothing but
        conditions.
    copies : tuple of RecordingInfo
        Near-copies of the same content, which are folded into this hit.
    has_score : bool
        False for what no search found, such as a passage put into a list by hand: its scores and
        its strength mean nothing, and exports leave them out.
    label : str
        What exports call its passages, if it stands beside hits of other queries, as in a list.
    note : str
        What somebody wrote to it in a list.
    """

    recording: RecordingInfo
    score: float
    passages: tuple[Passage, ...]
    strength: Strength = Strength.POSSIBLE
    found_by: tuple[Source, ...] = ()
    copies: tuple[RecordingInfo, ...] = ()
    has_score: bool = True
    label: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Facet:
    """How many of the recordings have each value of a field.

    Attributes
    ----------
    field : str
        One of `db.filters.FACETS`.
    counts : tuple of (str, int)
        The most frequent values first; on a tie by name.
    """

    field: str
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Results:
    """The answer to a query.

    Attributes
    ----------
    hits : tuple of Hit
        Best first; empty when nothing in the archive matches.
    near_misses : tuple of Hit
        The best of what does not match, best first; to be shown only on demand.
    n_allowed : int
        Recordings that meet the query's conditions.
    facets : tuple of Facet
        Of all recordings that match: those that meet the conditions, and, if the query has sounds,
        are heard or named so.
    notes : tuple of str
        What the asker should know: recordings that lack vectors, an index that is damaged.
    is_complete : bool
        Whether the hits are all that match; if not, a greater `k` gives more.
    """

    hits: tuple[Hit, ...]
    near_misses: tuple[Hit, ...] = ()
    n_allowed: int = 0
    facets: tuple[Facet, ...] = ()
    notes: tuple[str, ...] = ()
    is_complete: bool = True

"""From scores of segments to time-coded hits in recordings."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from db.records import EncoderInfo, RecordingInfo
from indexer.segments import segment_onsets

_SHARE_OF_BEST = 0.8
"""A segment belongs to a passage when it scores at least this share of the recording's best."""


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
        Empty when the query had nothing but conditions.
    copies : tuple of RecordingInfo
        Near-copies of the same content, which are folded into this hit.
    """

    recording: RecordingInfo
    score: float
    passages: tuple[Passage, ...]
    strength: Strength = Strength.POSSIBLE
    found_by: tuple[Source, ...] = ()
    copies: tuple[RecordingInfo, ...] = ()


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
        What the asker should know: words that no encoder knows, an index that is damaged.
    """

    hits: tuple[Hit, ...]
    near_misses: tuple[Hit, ...] = ()
    n_allowed: int = 0
    facets: tuple[Facet, ...] = ()
    notes: tuple[str, ...] = ()


def passages_of(
    scores: NDArray[np.float32], duration_s: float, encoder: EncoderInfo
) -> tuple[Passage, ...]:
    """Merge neighbouring good segments of one recording into passages.

    Parameters
    ----------
    scores : ndarray, shape (n_segments,), float32
        One a segment, in order of time.
    duration_s : float
        Length of the recording in seconds.

    Returns
    -------
    tuple of Passage
        Best first, never empty; on a tie the earlier first.
    """
    onsets = segment_onsets(
        len(scores), duration_s=duration_s, window_s=encoder.window_s, hop_s=encoder.hop_s
    )
    best = float(scores.max())
    threshold = best * _SHARE_OF_BEST if best > 0 else best
    found = [
        Passage(
            float(onsets[first]),
            min(duration_s, float(onsets[last]) + encoder.window_s),
            float(scores[first : last + 1].max()),
        )
        for first, last in _runs(scores >= threshold)
    ]
    return tuple(sorted(found, key=lambda passage: (-passage.score, passage.onset_s)))


def _runs(good: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(after) - 1

"""From scores of segments to time-coded hits in recordings."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.records import EncoderInfo, RecordingInfo
from indexer.segments import segment_onsets

_SHARE_OF_BEST = 0.8
"""A segment belongs to a passage when it scores at least this share of the recording's best."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a recording that answers a query.

    Attributes
    ----------
    onset_s, offset_s : float
        From the start of the recording, in seconds.
    score : float
        That of its best segment.
    """

    onset_s: float
    offset_s: float
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A recording that answers a query.

    Attributes
    ----------
    score : float
        That of the best passage: a cosine, which orders the answers of one query and says little
        across queries. For searches in descriptions, how well the words match.
    passages : tuple of Passage
        Best first; empty when only the recording's description was searched.
    """

    recording: RecordingInfo
    score: float
    passages: tuple[Passage, ...]


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

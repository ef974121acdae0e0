"""From scores of segments to passages: where in a recording a sound is heard."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.records import EncoderInfo
from indexer.segments import segment_onsets
from search.hits import Passage

_SHARE_OF_BEST = 0.5
"""A segment belongs to a passage when it is at least this share as sure as the best one."""
_SHARE_OF_EDGE = 0.3
"""So does a cell, when the segments that cover it are this share as sure as a segment must be.

Less, because a segment at the edge of a sound is filled with it in part only.
"""

_LEAST_IN_ORDER = 0.25
"""What is less sure is no part of a sequence."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The stretches that a recording's overlapping windows cut it into.

    A sound that lies in one cell is in every window that covers the cell, so where two neighbours
    agree it is in what they share: that halves the error of its time.

    Attributes
    ----------
    bounds : ndarray, shape (n_cells + 1,), float64
        In seconds, ascending.
    first, last : ndarray, shape (n_cells,), int64
        The first and the last segment that cover each cell.
    """

    bounds: NDArray[np.float64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, n_segments: int, duration_s: float, encoder: EncoderInfo) -> "Cells":
        """Cut a recording at all onsets and offsets of its segments."""
        onsets = segment_onsets(
            n_segments, duration_s=duration_s, window_s=encoder.window_s, hop_s=encoder.hop_s
        )
        offsets = np.minimum(onsets + encoder.window_s, duration_s)
        bounds = np.unique(np.round(np.concatenate([onsets, offsets]), 6))
        middles = (bounds[:-1] + bounds[1:]) / 2
        first = np.searchsorted(offsets, middles, side="left")
        last = np.searchsorted(onsets, middles, side="right") - 1
        return cls(bounds, first.astype(np.int64), last.astype(np.int64))

    def agreed(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return for each cell the least score of the segments that cover it.

        Parameters
        ----------
        scores : ndarray, shape (..., n_segments), float32

        Returns
        -------
        ndarray, shape (..., n_cells), float32
        """
        least = scores[..., self.first].copy()
        for step in range(1, int((self.last - self.first).max(initial=0)) + 1):
            other = np.minimum(self.first + step, self.last)
            np.minimum(least, scores[..., other], out=least)
        return least


def passages_of(
    scores: NDArray[np.float32],
    duration_s: float,
    encoder: EncoderInfo,
    *,
    sound: int = 0,
    least: float | None = None,
) -> tuple[Passage, ...]:
    """Merge neighbouring good segments of one recording into passages.

    Parameters
    ----------
    scores : ndarray, shape (n_segments,), float32
        Probabilities, one a segment, in order of time.
    duration_s : float
        Length of the recording in seconds.
    sound : int
        The number of the query's sound that they belong to.
    least : float or None
        What a segment must reach; by default half of the best.

    Returns
    -------
    tuple of Passage
        Best first, on a tie the earlier first; empty only if no segment reaches `least`.
    """
    cells = Cells.of(len(scores), duration_s, encoder)
    threshold = float(scores.max()) * _SHARE_OF_BEST if least is None else least
    agreed = cells.agreed(scores)
    found = []
    for first, last in _runs(scores >= threshold):
        score = float(scores[first : last + 1].max())
        span = (cells.first <= last) & (cells.last >= first)
        inside = np.flatnonzero(span & (agreed >= _SHARE_OF_EDGE * threshold))
        if not len(inside):
            # No two windows agree: then it is somewhere in those that have it.
            inside = np.flatnonzero(span)
        onset_s, offset_s = cells.bounds[inside[0]], cells.bounds[inside[-1] + 1]
        found.append(Passage(float(onset_s), float(offset_s), score, sound))
    return tuple(sorted(found, key=lambda passage: (-passage.score, passage.onset_s)))


def passages_in_order(
    scores: NDArray[np.float32], duration_s: float, encoder: EncoderInfo, *, within_s: float
) -> tuple[Passage, ...]:
    """Find the surest way to hear several sounds one after the other.

    Parameters
    ----------
    scores : ndarray, shape (n_sounds, n_segments), float32
        Probabilities of each sound in each segment.
    within_s : float
        Each sound begins at most so long after the one before it, in seconds.

    Returns
    -------
    tuple of Passage
        One a sound, in order; empty if there is nothing like it. How sure the whole is, is the
        least of their scores.
    """
    steps = [
        sorted(
            passages_of(of_sound, duration_s, encoder, sound=sound, least=_LEAST_IN_ORDER),
            key=lambda passage: passage.onset_s,
        )
        for sound, of_sound in enumerate(scores)
    ]
    # The surest chain that ends with each passage of a sound, in order of time.
    chains: list[Chain] = [((passage,), passage.score) for passage in steps[0]]
    for step in steps[1:]:
        longer: list[Chain] = []
        for passage in step:
            lead = _best_before(chains, passage.onset_s, within_s)
            if lead is not None:
                longer.append(((*lead[0], passage), min(lead[1], passage.score)))
        chains = longer
    return max(chains, key=lambda chain: chain[1], default=((), 0.0))[0]


Chain = tuple[tuple[Passage, ...], float]


def _best_before(chains: list[Chain], onset_s: float, within_s: float) -> Chain | None:
    """Return the surest of the chains whose last sound begins before a time, not too long.

    The latest of equals, so that what is found is not longer than it must be.
    """
    first = bisect_left(chains, onset_s - within_s - 1e-6, key=_last_onset_s)
    after = bisect_left(chains, onset_s - 1e-6, key=_last_onset_s)
    fit = chains[first:after]
    return max(fit, key=lambda chain: (chain[1], _last_onset_s(chain)), default=None)


def _last_onset_s(chain: Chain) -> float:
    return chain[0][-1].onset_s


def _runs(good: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(after) - 1

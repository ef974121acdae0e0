"""Which recordings are worth a closer look: those whose segments the index finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.segment_index import SegmentIndex
from search.calibration import POSSIBLE
from search.sounds import PreparedSound

_MOST_SEGMENTS = 65_536
"""Of a sound among several, at most so many segments are looked at."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the index finds for some sounds.

    Attributes
    ----------
    likeliest : list of int
        The recordings in which all of the sounds are heard best, best first.
    is_cut : bool
        Whether there may be others.
    """

    likeliest: list[int]
    is_cut: bool


def find_candidates(
    index: SegmentIndex, sounds: Sequence[PreparedSound], allowed: Ids | None, wanted: int
) -> Candidates:
    """Find the recordings in which all of some sounds are heard.

    More and more segments are asked for until there are enough recordings.

    Parameters
    ----------
    allowed : ndarray of int64, or None
        If given, only these recordings.
    wanted : int
        The greatest number of recordings.
    """
    most = len(index) if len(sounds) == 1 else min(len(index), _MOST_SEGMENTS)
    n_segments = max(4 * wanted, 256 if len(sounds) == 1 else 4096)
    while most:
        n_segments = min(n_segments, most)
        ids, sure, is_all = _all_heard(index, sounds, allowed, n_segments)
        if len(ids) >= wanted or is_all or n_segments == most:
            order = np.lexsort((ids, -sure))[:wanted]
            return Candidates(ids[order].tolist(), len(ids) > wanted or not is_all)
        n_segments *= 4
    return Candidates([], False)


def heard_segments(index: SegmentIndex, sound: PreparedSound, allowed: Ids | None) -> Ids:
    """Return the numbers of all segments in which a sound is possible or strong."""
    least = sound.cosine(POSSIBLE)
    n_segments = 1024
    while len(index):
        n_segments = min(n_segments, len(index))
        scores, segments = index.search(
            sound.direction[np.newaxis], n_segments, recording_ids=allowed
        )
        good = (segments[0] >= 0) & (scores[0] >= least)
        if not good.all() or n_segments == len(index):
            found: Ids = segments[0][good]
            return found
        n_segments *= 8
    return np.empty(0, dtype=np.int64)


def heard_in(index: SegmentIndex, sound: PreparedSound, allowed: Ids | None) -> Ids:
    """Return the recordings in which a sound is possible or strong, ascending."""
    return owners(index, heard_segments(index, sound, allowed))


def matching_recordings(
    index: SegmentIndex,
    sounds: Sequence[PreparedSound],
    without: Sequence[PreparedSound],
    allowed: Ids | None,
) -> Ids:
    """Return all recordings in which every sound is heard where nothing barred is, ascending."""
    barred = [heard_segments(index, sound, allowed) for sound in without]
    common: Ids | None = None
    for sound in sounds:
        segments = heard_segments(index, sound, allowed)
        for other in barred:
            segments = np.setdiff1d(segments, other)
        ids = owners(index, segments)
        common = ids if common is None else np.intersect1d(common, ids, assume_unique=True)
    return np.empty(0, dtype=np.int64) if common is None else common


def owners(index: SegmentIndex, segments: Ids) -> Ids:
    """Return the recordings that segments belong to, ascending."""
    ids, _ = index.locate(segments)
    found: Ids = np.unique(ids[ids >= 0])
    return found


def _all_heard(
    index: SegmentIndex, sounds: Sequence[PreparedSound], allowed: Ids | None, n_segments: int
) -> tuple[Ids, NDArray[np.float32], bool]:
    """Return the recordings that hold all sounds among the best segments, and how surely.

    And whether these were all segments that there are.
    """
    directions = np.stack([sound.direction for sound in sounds])
    scores, segments = index.search(directions, n_segments, recording_ids=allowed)
    common: Ids | None = None
    least = np.empty(0, dtype=np.float32)
    for sound, of_sound, found in zip(sounds, scores, segments, strict=True):
        located, _ = index.locate(found[found >= 0])
        of_sound = of_sound[found >= 0][located >= 0]
        # The first of each is its best: the index answers in order.
        ids, first = np.unique(located[located >= 0], return_index=True)
        sure = sound.probability(of_sound[first])
        if common is None:
            common, least = ids, sure
            continue
        both, one, other = np.intersect1d(common, ids, assume_unique=True, return_indices=True)
        common, least = both, np.minimum(least[one], sure[other])
    is_all = bool((segments[:, -1] < 0).all()) or n_segments >= len(index)
    return (np.empty(0, dtype=np.int64) if common is None else common), least, is_all

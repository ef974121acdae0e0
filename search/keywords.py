"""How much it means that a recording is named for what was asked."""

import re

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.keywords import KeywordHits, find_keywords
from search.calibration import POSSIBLE
from search.sounds import PreparedSound

_NAMED, _DESCRIBED, _PARTLY = 0.9, 0.75, 0.6
_MOST_IN_PART = 0.45
_SUFFIX = re.compile(
    r"(?<=\w)\.(wav|wave|flac|ogg|oga|opus|mp3|m4a|aac|aif|aiff|caf|wma|mka|mp4|mov|w64|rf64)\b",
    re.IGNORECASE,
)

Ids = NDArray[np.int64]


class Names:
    """How sure the keywords of some sounds are of recordings.

    Attributes
    ----------
    ids : ndarray, shape (n,), int64
        Recordings whose texts hold a word of any of the sounds, ascending.
    sure : ndarray, shape (n, n_sounds), float64
        Between 0 and 1.
    """

    def __init__(self, ids: Ids, sure: NDArray[np.float64]) -> None:
        self.ids = ids
        self.sure = sure

    @classmethod
    def of(
        cls, catalogue: Catalogue, sounds: tuple[PreparedSound, ...], allowed: Ids | None
    ) -> "Names":
        """Look for the words of sounds in what is written about recordings."""
        found = [
            find_keywords(catalogue, without_suffixes(sound.keywords), allowed=allowed)
            if sound.keywords
            else None
            for sound in sounds
        ]
        ids: Ids = np.unique(
            np.concatenate([np.empty(0, np.int64), *(one.ids for one in found if one is not None)])
        )
        sure = np.zeros((len(ids), len(sounds)))
        for number, one in enumerate(found):
            if one is not None:
                sure[np.searchsorted(ids, one.ids), number] = named(one)
        return cls(ids, sure)

    @classmethod
    def none(cls, n_sounds: int) -> "Names":
        """Nothing is named."""
        return cls(np.empty(0, dtype=np.int64), np.zeros((0, n_sounds)))

    def of_recording(self, recording_id: int) -> NDArray[np.float64]:
        """Return how sure the keywords are of one recording, shape (n_sounds,)."""
        at = int(np.searchsorted(self.ids, recording_id))
        if at < len(self.ids) and self.ids[at] == recording_id:
            at_it: NDArray[np.float64] = self.sure[at]
            return at_it
        return np.zeros(self.sure.shape[1])

    def best(self, wanted: int) -> list[int]:
        """Return the recordings whose names say most, best first."""
        worth = self.sure.min(axis=1)
        order = np.lexsort((self.ids, -self.sure.sum(axis=1), -worth))[:wanted]
        return [int(id_) for id_ in self.ids[order]]

    def matching(self) -> Ids:
        """Return the recordings that are named for all of the sounds, ascending."""
        return self.ids[(self.sure >= POSSIBLE).all(axis=1)]


def named(hits: KeywordHits) -> NDArray[np.float64]:
    """Return how sure keywords make it that recordings hold a sound, between 0 and 1.

    All of the words in the name, the title or the tags: someone called it so. All of them, but some
    only in a description, which says more than what is heard: less sure. Some of the words: a hint
    that cannot make a hit alone, but helps what also sounds so.
    """
    whole = np.where(hits.naming_shares == 1.0, _NAMED, _DESCRIBED)
    in_part = np.minimum(_PARTLY * hits.shares, _MOST_IN_PART)
    return np.where(hits.shares == 1.0, whole, in_part)


def named_for(catalogue: Catalogue, sounds: tuple[PreparedSound, ...]) -> Ids:
    """Return the recordings whose names hold all words of any of some sounds, ascending.

    Descriptions do not count: "no music" is no music.
    """
    found = [np.empty(0, dtype=np.int64)]
    for sound in sounds:
        if sound.keywords:
            hits = find_keywords(catalogue, without_suffixes(sound.keywords))
            found.append(hits.ids[hits.naming_shares == 1.0])
    ids: Ids = np.unique(np.concatenate(found))
    return ids


def without_suffixes(text: str) -> str:
    """Take the suffixes of sound files off the words of a text: ``bell.wav`` is found as "bell"."""
    return _SUFFIX.sub("", text)

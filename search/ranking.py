"""From a prepared query and the vectors of a recording to a hit, or to none.

The encoder says how sure it is that a segment holds a sound; the keywords how sure they are that a
recording is named for it. They are independent witnesses, so the sound is there unless both are
wrong: ``1 - (1 - p) (1 - q)``. That is better than fusing ranks, which forgets how sure either was:
the best of a hundred poor hits has the first rank, too. Of several sounds, the least sure decides.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from db.records import EncoderInfo, RecordingInfo
from indexer.encoders import Encoder
from search.calibration import POSSIBLE, STRONG
from search.hits import Hit, Passage, Source, Strength
from search.passages import passages_in_order, passages_of
from search.query import Query
from search.sounds import PreparedSound, within

_SAYS_SOMETHING = 0.2
"""A witness that is so sure has helped to find a hit."""


class Ranking(StrEnum):
    """By what recordings are ranked."""

    FUSED = "fused"
    SOUND = "sound"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A query whose sounds are vectors.

    Attributes
    ----------
    sounds, without : tuple of PreparedSound
        What must be heard, and what must not.
    query : Query
    """

    sounds: tuple[PreparedSound, ...]
    without: tuple[PreparedSound, ...]
    query: Query


def strength_of(score: float) -> Strength:
    """Say a score in a word."""
    if score >= STRONG:
        return Strength.STRONG
    return Strength.POSSIBLE if score >= POSSIBLE else Strength.WEAK


class Scorer:
    """Scores recordings for one query.

    Parameters
    ----------
    prepared : PreparedQuery
    encoder : Encoder
    info : EncoderInfo
        Its geometry, as the catalogue has it.
    """

    def __init__(self, prepared: PreparedQuery, encoder: Encoder, info: EncoderInfo) -> None:
        self._prepared = prepared
        self._encoder = encoder
        self._info = info

    def hit(
        self,
        recording: RecordingInfo,
        vectors: NDArray[np.float32] | None,
        named: NDArray[np.float64],
        *,
        only_words: bool = False,
    ) -> Hit | None:
        """Score one recording.

        Parameters
        ----------
        vectors : ndarray, shape (n_segments, dim), float32, or None
            None if the recording has none by this encoder.
        named : ndarray, shape (n_sounds,)
            How sure the keywords are of each sound.
        only_words : bool
            Rank by keywords alone; the sound is used for the times of passages only.

        Returns
        -------
        Hit or None
            None if nothing of the recording is left to be a hit.
        """
        duration_s = recording.technical.duration_s
        heard = None if vectors is None else self._heard(recording.id, vectors, duration_s)
        if heard is None:
            if self._prepared.without or not named.any():
                return None
            passages: tuple[Passage, ...] = ()
            best = np.zeros(len(named))
        else:
            passages, best = self._passages(heard, duration_s)
        fused = named if only_words else 1.0 - (1.0 - best) * (1.0 - named)
        score = float(fused.min())
        # A passage is as sure as the recording at that place: by ear and by name.
        passages = tuple(
            replace(one, score=float(1.0 - (1.0 - one.score) * (1.0 - named[one.sound])))
            for one in passages
        )
        found_by = []
        if not only_words and float(best.min()) >= _SAYS_SOMETHING:
            found_by.append(Source.SOUND)
        if float(named.min()) >= _SAYS_SOMETHING:
            found_by.append(Source.WORDS)
        return Hit(recording, score, passages, strength_of(score), tuple(found_by))

    def occurrences(
        self, recording: RecordingInfo, vectors: NDArray[np.float32]
    ) -> tuple[Passage, ...]:
        """Return every passage of a recording that is possible or strong.

        Of sounds in order: those of the surest way to hear all of them, if that is possible.
        """
        duration_s = recording.technical.duration_s
        heard = self._heard(recording.id, vectors, duration_s)
        if heard is None:
            return ()
        if self._prepared.query.in_order and len(heard) > 1:
            passages, best = self._passages(heard, duration_s)
            return passages if float(best.min(initial=1.0)) >= POSSIBLE else ()
        return tuple(
            passage
            for sound, scores in enumerate(heard)
            for passage in passages_of(scores, duration_s, self._info, sound=sound, least=POSSIBLE)
        )

    def _heard(
        self, recording_id: int, vectors: NDArray[np.float32], duration_s: float
    ) -> NDArray[np.float32] | None:
        sure = np.stack(
            [sound.probability(vectors @ sound.direction) for sound in self._prepared.sounds]
        )
        barred = np.zeros(len(vectors), dtype=bool)
        for sound in self._prepared.without:
            barred |= sound.probability(vectors @ sound.direction) >= POSSIBLE
        for sound in self._prepared.sounds:
            for part in sound.parts:
                if part.recording_id == recording_id:
                    barred |= within(part, len(vectors), duration_s, self._encoder)
        sure[:, barred] = 0.0
        return None if barred.all() else sure

    def _passages(
        self, heard: NDArray[np.float32], duration_s: float
    ) -> tuple[tuple[Passage, ...], NDArray[np.float64]]:
        """Return the passages, and how sure each sound is at its best."""
        query = self._prepared.query
        if query.in_order and len(heard) > 1:
            chain = passages_in_order(heard, duration_s, self._info, within_s=query.within_s)
            if not chain:
                return (), np.zeros(len(heard))
            return chain, np.array([passage.score for passage in chain], dtype=np.float64)
        passages = [
            passage
            for sound, scores in enumerate(heard)
            if scores.max() > 0.0
            for passage in passages_of(scores, duration_s, self._info, sound=sound)
        ]
        if len(heard) > 1:  # first the best of each sound, then the others
            passages = _each_sound_first(passages)
        return tuple(passages), heard.max(axis=1).astype(np.float64)


def _each_sound_first(passages: list[Passage]) -> list[Passage]:
    seen: set[int] = set()
    leading: list[Passage] = []
    others: list[Passage] = []
    for passage in passages:
        (others if passage.sound in seen else leading).append(passage)
        seen.add(passage.sound)
    return leading + sorted(others, key=lambda passage: (-passage.score, passage.onset_s))

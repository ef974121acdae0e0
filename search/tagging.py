"""What is heard in recordings: their stored vectors compared with a list of sounds.

Nothing is decoded. A label counts as heard in a segment when it scores above what it scores with
sounds that are something else, and nearly as high as the best label there: of two names for one
sound the poorer adds nothing. A recording gets the labels that are heard anywhere in it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.heard import store_heard, untagged
from db.sound_classes import sound_class, sound_classes
from db.stored_vectors import VectorBlock, vector_blocks
from indexer.encoders import Encoder, load_encoder
from search.archive_calibration import calibration_of
from search.calibration import POSSIBLE, Calibration, Law
from search.errors import QueryError, VocabularyError
from search.query import Sound, Taught
from search.sounds import SoundReader
from search.vocabulary import TAUGHT, Vocabulary

LEAST_ODDS: Final = -1.625
"""A label is heard from so great a logarithm of its odds on. On folds 1-4 of ESC-10 nine tags of
ten are right then, and four recordings of five get the right one; a search is stricter, for it asks
for one sound among many recordings."""
MARGIN: Final = 2.5
"""So far below that of the best label of its segment a label may be."""
MOST_LABELS: Final = 8
"""A recording gets at most so many, the surest."""

_SCHEME: Final = "echoic-tags/1"
_ROWS_AT_ONCE: Final = 4096

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a run of tagging did.

    Attributes
    ----------
    n_recordings : int
        How many were compared in this run.
    n_heard : int
        In how many of them something was heard.
    labels : Counter of str
        In how many of them each label was heard.
    """

    n_recordings: int
    n_heard: int
    labels: Counter[str]


class Listener(Protocol):
    """Compares segments with sounds."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def listen(self, vectors: NDArray[np.float32]) -> Scores:
        """Return how sure each label is in each segment.

        Parameters
        ----------
        vectors : ndarray, shape (n, dim), float32

        Returns
        -------
        ndarray, shape (n, n_labels), float32
            Between 0 and 1; 0 where it is not heard.
        """
        ...


class WordListener:
    """Listens for the phrases of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, encoder: Encoder, calibration: Calibration) -> None:
        self.labels = vocabulary.labels
        try:
            self._directions = encoder.embed_text(list(vocabulary.phrases))
        except ValueError as error:
            raise VocabularyError(f"the list {vocabulary.name!r}: {error}") from error
        scales = [calibration.scale(one, by_words=True) for one in self._directions]
        places = np.array([(scale.mean, scale.deviation) for scale in scales])
        self._levels = np.array([scale.level for scale in scales], dtype=np.float32)
        self._law = calibration.laws.words
        self.least_above, self.margin = _thresholds(self._law)
        self._means, self._deviations = places.astype(np.float32).T

    def listen(self, vectors: NDArray[np.float32]) -> Scores:
        """Return how sure each label is in each segment; 0 where it is not heard."""
        above = (vectors @ self._directions.T - self._means) / self._deviations - self._levels
        best = above.max(axis=1, keepdims=True)
        heard = (above >= self.least_above) & (above >= best - self.margin)
        return np.where(heard, self._law.probability(above), np.float32(0.0))


class TaughtListener:
    """Listens for sounds that the user has taught, as a search for them does."""

    def __init__(self, names: tuple[str, ...], reader: SoundReader) -> None:
        self.labels = names
        self._sounds = [reader.prepare(Sound((Taught(name),))) for name in names]

    def listen(self, vectors: NDArray[np.float32]) -> Scores:
        """Return how sure each sound is in each segment; 0 where it is not heard."""
        sure = np.stack(
            [sound.probability(vectors @ sound.direction) for sound in self._sounds], axis=1
        )
        return np.where(sure >= POSSIBLE, sure, np.float32(0.0))


def tag_recordings(
    catalogue: Catalogue,
    vocabulary: Vocabulary,
    encoder: str,
    *,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Tagged:
    """Tag all recordings that a vocabulary has not been compared with.

    What is done is committed in blocks: a run that is cut off goes on where it was. A changed list
    takes the place of the older one of its name, recording by recording.

    Parameters
    ----------
    encoder
        The encoder's id or family name. Recordings without its vectors are left as they are.
    on_progress
        Told how many recordings of how many are done.

    Raises
    ------
    VocabularyError
        If the encoder cannot read a phrase.
    """
    model = load_encoder(encoder)
    calibration = calibration_of(catalogue, model)
    listener = WordListener(vocabulary, model, calibration)
    law = calibration.laws.words
    parts = [listener.least_above, listener.margin, MOST_LABELS, law.offset, law.slope]
    digest = _digest(vocabulary.digest(), *parts, *_identity(calibration))
    return _tag(catalogue, vocabulary.name, digest, listener, model, on_progress)


def tag_with_taught_sounds(
    catalogue: Catalogue,
    encoder: str,
    *,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Tagged:
    """Tag all recordings with the sounds that the user has taught to an encoder.

    Raises
    ------
    QueryError
        If none has been taught to it.
    """
    model = load_encoder(encoder)
    infos = sound_classes(catalogue)
    names = tuple(info.name for info in infos if model.id in info.encoders)
    if not names:
        raise QueryError(
            f"no sound has been taught to {model.id}: `echoic teach NAME --like FILE` does that"
        )
    sounds = [sound_class(catalogue, name, model.id) for name in names]
    parts = [(s.name, s.threshold, s.direction.astype("<f4").tobytes().hex()) for s in sounds]
    calibration = calibration_of(catalogue, model)
    law = calibration.laws.example
    digest = _digest(*parts, MOST_LABELS, law.offset, law.slope, *_identity(calibration))
    reader = SoundReader(catalogue, model, calibration)
    return _tag(catalogue, TAUGHT, digest, TaughtListener(names, reader), model, on_progress)


def _thresholds(law: Law) -> tuple[float, float]:
    """Return from where above its level a label is heard, and how far below the best it may be."""
    return round(law.offset + LEAST_ODDS / law.slope, 6), round(MARGIN / law.slope, 6)


def _identity(calibration: Calibration) -> tuple[str, ...]:
    return (calibration.identity,) if calibration.identity else ()


def _digest(*parts: object) -> str:
    """Return what tells one way of tagging from another."""
    return hashlib.sha256(json.dumps([_SCHEME, *parts]).encode()).hexdigest()


def _tag(
    catalogue: Catalogue,
    name: str,
    digest: str,
    listener: Listener,
    model: Encoder,
    on_progress: Callable[[int, int], None],
) -> Tagged:
    wanted = untagged(catalogue, name, digest, model.id).tolist()
    n_recordings = n_heard = 0
    labels: Counter[str] = Counter()
    on_progress(0, len(wanted))
    for block in vector_blocks(catalogue, model.id, wanted):
        heard = _heard(block, listener)
        n_recordings += store_heard(catalogue, name, digest, model.id, heard)
        n_heard += sum(1 for found in heard.values() if found)
        labels.update(label for found in heard.values() for label, _ in found)
        on_progress(n_recordings, len(wanted))
    return Tagged(n_recordings, n_heard, labels)


def _heard(block: VectorBlock, listener: Listener) -> dict[int, list[tuple[str, float]]]:
    """Return the surest labels of each recording of a block, surest first."""
    best = np.zeros((len(block.recording_ids), len(listener.labels)), dtype=np.float32)
    owners = np.repeat(np.arange(len(block.counts)), block.counts)
    for start in range(0, len(owners), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        of_rows, firsts = np.unique(owners[rows], return_index=True)
        scores = np.maximum.reduceat(listener.listen(block.vectors[rows]), firsts, axis=0)
        best[of_rows] = np.maximum(best[of_rows], scores)
    found = {}
    for recording_id, scores in zip(block.recording_ids, best, strict=True):
        order = np.argsort(-scores, kind="stable")[:MOST_LABELS]
        found[recording_id] = [
            (listener.labels[at], float(scores[at])) for at in order if scores[at] > 0.0
        ]
    return found

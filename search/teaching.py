"""Teach a sound by a few examples.

The examples are compared with sounds in general by a logistic model, and its direction is averaged
with the plain mean of the examples. The model alone knows what sets the sound apart, but of three
examples it learns accidents too; the mean alone takes in what they share with everything else.
Counter-examples are subtracted as `search.feedback` does it: they are few and close to the
examples, and a model that must tell the two apart loses sight of the sound. The outcome is one
direction in the encoder's space, so that a taught sound is searched for like words.

References
----------
.. [1] S. le Cessie, J. C. van Houwelingen, "Ridge estimators in logistic regression", Applied
       Statistics 41, 1992.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.content import content_hash
from db.errors import StorageError
from db.records import RecordingInfo
from db.sound_classes import (
    SoundClass,
    SoundExample,
    sound_classes,
    sound_examples,
    store_sound_class,
)
from db.storage import AnyFile, file_at, seems_there
from db.stored_vectors import vector_blocks
from indexer.encoders import Encoder, load_encoder
from search.archive_calibration import calibration_of
from search.calibration import Law, Scale
from search.errors import QueryError
from search.feedback import DISLIKED_WEIGHT
from search.logistic import fit_logistic
from search.query import Archived, Example
from search.sounds import Part, archived_vectors, example_vectors

KIND: Final = "mean+logistic/1"
"""How directions and thresholds are made here."""

_PENALTY: Final = 1e-4
"""As measured: with less, three examples are learnt by heart."""
_BACKGROUND_RECORDINGS: Final = 500
_BACKGROUND_SEGMENTS: Final = 1500
_MOST_LEFT_OUT: Final = 12
_SHARE_OF_LEFT_OUT: Final = 0.9
_LEAST_Z: Final = 3.0
"""A threshold is at least so many standard deviations above the background."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of teaching.

    Attributes
    ----------
    sound : SoundClass
    notes : tuple of str
        Which examples could not be heard any more, and why.
    """

    sound: SoundClass
    notes: tuple[str, ...] = ()


def teach(
    catalogue: Catalogue,
    name: str,
    positives: Sequence[Example | Archived],
    negatives: Sequence[Example | Archived],
    encoder: str,
    *,
    replaces: bool | None = False,
) -> SoundClass:
    """Teach a sound to an encoder and keep it under a name.

    Parameters
    ----------
    positives, negatives
        Passages that are the sound, at least one, and passages that are not. Their weights do not
        matter.
    encoder
        The encoder's id or family name.
    replaces
        What becomes of a sound that has the name: False refuses to touch it, True puts the new
        one in its place, None adds the new examples to its own.

    Raises
    ------
    QueryError
        If there is no example, one is also a counter-example, or the name is taken.
    UnknownName
        If there is no such recording.
    AudioError
        If an example cannot be decoded, or has no such part.
    """
    taken = any(sound.name == name for sound in sound_classes(catalogue))
    if taken and replaces is False:
        n = len(sound_examples(catalogue, name))
        raise QueryError(
            f"{name!r} has been taught by {n} examples already: --add keeps them and adds yours, "
            "--replace begins anew"
        )
    kept = sound_examples(catalogue, name) if taken and replaces is None else ()
    if not (positives or any(example.liked for example in kept)):
        raise QueryError("a sound is taught by at least one example: --like FILE")
    model = load_encoder(encoder)
    marked = [
        (_marked(catalogue, term, liked=liked), liked)
        for terms, liked in ((positives, True), (negatives, False))
        for term in terms
    ]
    examples = tuple(dict.fromkeys([*kept, *(example for example, _ in marked)]))
    places = {(e.content_hash, e.from_s, e.to_s) for e in examples}
    if len(places) < len(examples):
        raise QueryError("the same passage cannot be the sound and not be it: take one of them out")
    heard = [(example, _heard(catalogue, model, example)) for example in examples]
    return _learn(catalogue, model, name, examples, heard)


def teach_again(catalogue: Catalogue, name: str, encoder: str) -> Taught:
    """Teach a sound to an encoder from the examples that it was taught by before.

    Examples that are neither in the catalogue nor where they lay are left out; they stay examples.

    Raises
    ------
    UnknownName
        If no such sound has been taught.
    QueryError
        If none of its examples can be heard any more.
    """
    model = load_encoder(encoder)
    examples = sound_examples(catalogue, name)
    heard: list[tuple[SoundExample, Vectors]] = []
    notes = []
    for example in examples:
        fault = _fault(catalogue, model, example)
        if fault is None:
            heard.append((example, _heard(catalogue, model, example)))
        else:
            notes.append(f"an example of {name!r} is left out: {fault}")
    if not any(example.liked for example, _ in heard):
        raise QueryError(f"no example of the sound {name!r} can be heard any more: {notes[0]}")
    return Taught(_learn(catalogue, model, name, examples, heard), tuple(notes))


def _marked(catalogue: Catalogue, term: Example | Archived, *, liked: bool) -> SoundExample:
    """Return an example as it is to be remembered: by its content."""
    if isinstance(term, Archived):
        recording = catalogue.recording(term.recording_id)
        places = [str(file_at(file.root, file.path)) for file in recording.files]
        return SoundExample(
            recording.content_hash, places[0] if places else "", term.from_s, term.to_s, liked
        )
    path = term.path.expanduser().absolute()
    try:
        identity = content_hash(path)
    except OSError as error:
        raise QueryError(f"{path} cannot be read: {error.strerror}") from error
    return SoundExample(identity, str(path), term.from_s, term.to_s, liked)


def _fault(catalogue: Catalogue, model: Encoder, example: SoundExample) -> str | None:
    """Say why an example cannot be heard any more; None if it can."""
    recording = _archived(catalogue, example)
    if recording is not None and model.id in recording.n_segments:
        return None
    path = _place(recording, example)
    try:
        same = content_hash(path) == example.content_hash
    except StorageError as error:
        return str(error)
    except OSError:
        return f"{path} is no longer there"
    return None if same else f"{path} is no longer what it was"


def _heard(catalogue: Catalogue, model: Encoder, example: SoundExample) -> Vectors:
    """Return the vectors of an example, from the catalogue if it holds them."""
    recording = _archived(catalogue, example)
    if recording is not None and model.id in recording.n_segments:
        part = Part(recording.id, example.from_s, example.to_s)
        return archived_vectors(catalogue, model, part)
    return example_vectors(model, _place(recording, example), example.from_s, example.to_s)


def _archived(catalogue: Catalogue, example: SoundExample) -> RecordingInfo | None:
    recording_id = catalogue.with_hash(example.content_hash)
    return None if recording_id is None else catalogue.recording(recording_id)


def _place(recording: RecordingInfo | None, example: SoundExample) -> AnyFile:
    places = [file_at(file.root, file.path) for file in recording.files] if recording else []
    return next((place for place in places if seems_there(place)), Path(example.path))


def _learn(
    catalogue: Catalogue,
    model: Encoder,
    name: str,
    examples: tuple[SoundExample, ...],
    heard: Sequence[tuple[SoundExample, Vectors]],
) -> SoundClass:
    liked = [vectors for example, vectors in heard if example.liked]
    disliked = [vectors for example, vectors in heard if not example.liked]
    calibration = calibration_of(catalogue, model)
    marked = {example.content_hash for example in examples}
    background = np.concatenate(
        [calibration.background, *_own_background(catalogue, model, marked)]
    )
    if not len(background):
        raise QueryError(
            f"the catalogue holds nothing else that {model.id} has embedded: to teach it a sound, "
            "index some recordings that are not the sound, too"
        )
    learner = Learner(disliked, background)
    direction = learner.direction(liked)
    scale = calibration.scale(direction, by_words=False)
    left_out = learner.left_out_scores(liked) if len(liked) > 1 else []
    threshold = learnt_threshold(scale, calibration.laws.example, left_out)
    sound = SoundClass(name, model.id, direction, threshold, KIND, examples)
    store_sound_class(catalogue, sound)
    return sound


def _own_background(catalogue: Catalogue, model: Encoder, without: set[str]) -> list[Vectors]:
    """Return a sample of the archive's own sounds: sounds in general, hardly any of which is it."""
    marked = {catalogue.with_hash(identity) for identity in without}
    ids = sorted(catalogue.recordings_with_vectors(model.id) - marked)
    chosen = [ids[at] for at in _evenly(len(ids), _BACKGROUND_RECORDINGS)]
    parts = []
    each = max(1, _BACKGROUND_SEGMENTS // max(1, len(chosen)))
    for block in vector_blocks(catalogue, model.id, chosen):
        for first, count in zip(block.firsts, block.counts, strict=True):
            parts.append(block.vectors[first + np.array(_evenly(int(count), each))])
    return parts


def _evenly(n: int, most: int) -> list[int]:
    """Return at most so many of the numbers below `n`, evenly spaced."""
    if n <= most:
        return list(range(n))
    return [(2 * step + 1) * n // (2 * most) for step in range(most)]


class Learner:
    """Learns the direction in which examples lie.

    Parameters
    ----------
    disliked : sequence of ndarray, shape (n_segments, dim), float32
        Counter-examples.
    background : ndarray, shape (n, dim), float32
        Sounds in general, hardly any of which is the sound.
    """

    def __init__(self, disliked: Sequence[Vectors], background: Vectors) -> None:
        self._disliked = disliked
        self._background = background
        self._start: NDArray[np.float64] | None = None

    def direction(self, liked: Sequence[Vectors]) -> Vectors:
        """Return the direction of examples; each weighs the same, however long it is.

        Parameters
        ----------
        liked : sequence of ndarray, shape (n_segments, dim), float32
            At least one.

        Returns
        -------
        ndarray, shape (dim,), float32
            Unit length.
        """
        background = self._background
        vectors = np.concatenate([*liked, background]).astype(np.float64)
        is_sound = np.arange(len(vectors)) < len(vectors) - len(background)
        weights = [np.full(len(example), 0.5 / len(example) / len(liked)) for example in liked]
        weights.append(np.full(len(background), 0.5 / len(background)))
        model = fit_logistic(
            vectors, is_sound, np.concatenate(weights), penalty=_PENALTY, start=self._start
        )
        if self._start is None:
            self._start = model
        direction = _unit(_mean(liked) + _unit(model[:-1]))
        if self._disliked:
            direction = _unit(direction - DISLIKED_WEIGHT * _mean(self._disliked))
        return direction.astype(np.float32)

    def left_out_scores(self, liked: Sequence[Vectors]) -> list[float]:
        """Return how well each example is found by what the others teach: its best segment."""
        scores = []
        for out in _evenly(len(liked), _MOST_LEFT_OUT):
            others = [vectors for number, vectors in enumerate(liked) if number != out]
            scores.append(float((liked[out] @ self.direction(others)).max()))
        return scores


def learnt_threshold(scale: Scale, law: Law, left_out: Sequence[float]) -> float:
    """Return from which inner product on a segment counts as the sound.

    Nearly what examples reach that the model has not seen, and beyond what other sounds reach.

    Parameters
    ----------
    scale : Scale
        Of the direction.
    law : Law
        The encoder's, of examples.
    left_out : sequence of float
        Scores of examples that were left out; empty if there is but one.
    """
    if not left_out:
        return scale.mean + law.offset * scale.deviation
    reached = scale.mean + _SHARE_OF_LEFT_OUT * (float(np.mean(left_out)) - scale.mean)
    return max(reached, scale.mean + _LEAST_Z * scale.deviation)


def _mean(examples: Sequence[Vectors]) -> NDArray[np.float64]:
    means = [_unit(vectors.mean(axis=0).astype(np.float64)) for vectors in examples]
    return _unit(np.mean(means, axis=0))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)

"""What a sound of a query is to an encoder: one vector, and the law that reads its scores."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.content import content_hash
from db.sound_classes import sound_class
from db.storage import AnyFile
from indexer.encoders import Encoder
from indexer.errors import AudioError
from indexer.segments import Segmenter, segment_onsets
from search.calibration import Calibration, Law, Scale
from search.errors import QueryError
from search.query import Archived, Example, Sound, Taught, Term, Words

MAX_EXAMPLE_S = 600.0
"""The longest example, in seconds; the mean of more than that resembles nothing."""

MAX_WEIGHT = 100
"""The greatest weight of a term; beside it the others would not be heard any more."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a recording of the archive, in seconds; None: from its start, to its end."""

    recording_id: int
    from_s: float | None
    to_s: float | None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.from_s is None and self.to_s is None


@dataclass(frozen=True, slots=True)
class PreparedSound:
    """A sound, ready to be compared with segments.

    Attributes
    ----------
    direction : ndarray, shape (dim,), float32
        Unit length.
    scale : Scale
        What its cosines mean.
    law : Law
    keywords : str
        Words that a recording's name may hold; empty unless the sound is nothing but words.
    parts : tuple of Part
        Where the examples themselves are in the archive: they are no answers.
    unread : str
        What the encoder has not read of its words, because they are too long.
    """

    direction: Vector
    scale: Scale
    law: Law
    keywords: str
    parts: tuple[Part, ...]
    unread: str = ""

    def probability(self, cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how sure it is that segments hold the sound, from their cosines with it."""
        above = (cosines - self.scale.mean) / self.scale.deviation - self.scale.level
        return self.law.probability(above)

    def cosine(self, probability: float) -> float:
        """Return the cosine that has a probability."""
        z = self.law.above(probability) + self.scale.level
        return self.scale.mean + self.scale.deviation * z


class SoundReader:
    """Prepares sounds for one encoder and one catalogue."""

    def __init__(self, catalogue: Catalogue, encoder: Encoder, calibration: Calibration) -> None:
        self._catalogue = catalogue
        self._encoder = encoder
        self._calibration = calibration

    def prepare(self, sound: Sound) -> PreparedSound:
        """Return a sound as a vector.

        Raises
        ------
        QueryError
            If it has no term to look for, or its terms cancel out.
        UnknownName
            If an example of the archive, or a sound class, is not there.
        AudioError
            If an example cannot be decoded, has no such part, or is longer than `MAX_EXAMPLE_S`.
        """
        if not all(abs(term.weight) <= MAX_WEIGHT for term in sound.terms):
            raise QueryError(f"a weight is a number between -{MAX_WEIGHT} and {MAX_WEIGHT}")
        if not any(term.weight > 0 for term in sound.terms):
            raise QueryError("a sound needs something to look for, not only what to leave out")
        parts: list[Part] = []
        terms = [np.float32(term.weight) * self._term(term, parts) for term in sound.terms]
        total: Vector = np.sum(terms, axis=0)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("the parts of this sound cancel each other out")
        direction: Vector = (total / np.float32(length)).astype(np.float32)
        words = [term for term in sound.terms if isinstance(term, Words)]
        # Names know nothing of examples, and nothing of what was taken away.
        is_plain = all(isinstance(term, Words) and term.weight > 0 for term in sound.terms)
        scale = self._calibration.scale(direction, by_words=is_plain)
        if len(sound.terms) == 1 and isinstance(sound.terms[0], Taught):
            scale = self._taught_scale(sound.terms[0], scale)
        return PreparedSound(
            direction,
            scale,
            self._calibration.laws.words if is_plain else self._calibration.laws.example,
            " ".join(term.text for term in words) if is_plain else "",
            tuple(parts),
            " / ".join(filter(None, (self._encoder.unread(term.text) for term in words))),
        )

    def _term(self, term: Term, parts: list[Part]) -> Vector:
        match term:
            case Words():
                return self._words(term.text)
            case Example():
                vector = _mean(example_vectors(self._encoder, term.path, term.from_s, term.to_s))
                itself = self._catalogue.with_hash(content_hash(term.path))
                if itself is not None:
                    parts.append(Part(itself, term.from_s, term.to_s))
                return vector
            case Archived():
                part = Part(term.recording_id, term.from_s, term.to_s)
                parts.append(part)  # what was liked or disliked is known already
                return _mean(archived_vectors(self._catalogue, self._encoder, part))
            case Taught():
                taught = sound_class(self._catalogue, term.name, self._encoder.id)
                return np.asarray(taught.direction, dtype=np.float32)

    def _taught_scale(self, term: Taught, scale: Scale) -> Scale:
        """Return a scale by which a taught sound is as likely as not at its own threshold."""
        threshold = sound_class(self._catalogue, term.name, self._encoder.id).threshold
        z = (threshold - scale.mean) / scale.deviation
        return replace(scale, level=z - self._calibration.laws.example.offset)

    def _words(self, text: str) -> Vector:
        try:
            vector: Vector = self._encoder.embed_text([text])[0]
        except ValueError as error:
            raise QueryError(f"{text!r} holds no word to search for") from error
        return vector


def example_vectors(
    encoder: Encoder, path: AnyFile, from_s: float | None = None, to_s: float | None = None
) -> Vector:
    """Embed a file, or a part of it, in seconds.

    Returns
    -------
    ndarray, shape (n_segments, dim), float32

    Raises
    ------
    AudioError
        If it cannot be decoded, has no such part, or is longer than `MAX_EXAMPLE_S`.
    """
    from indexer.mono import read_mono  # decoders, which a query by words need not load

    try:
        samples = read_mono(
            path, encoder.sample_rate, from_s=from_s, to_s=to_s, max_s=MAX_EXAMPLE_S
        )
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    window = round(encoder.window_s * encoder.sample_rate)
    segmenter = Segmenter(window, round(encoder.hop_s * encoder.sample_rate))
    windows = [*segmenter.push(samples), *segmenter.finish()]
    return encoder.embed_audio(np.stack([encoder.pad(window) for window in windows]))


def archived_vectors(catalogue: Catalogue, encoder: Encoder, part: Part) -> Vector:
    """Return the vectors of the segments of a recording that are within a part of it.

    Returns
    -------
    ndarray, shape (n_segments, dim), float32

    Raises
    ------
    UnknownName
        If there is no such recording, or it has no vectors by this encoder.
    QueryError
        If the part is not in it.
    """
    recording = catalogue.recording(part.recording_id)
    vectors = catalogue.vectors(part.recording_id, encoder.id)
    inside = within(part, len(vectors), recording.technical.duration_s, encoder)
    if not inside.any():
        raise QueryError(
            f"recording {part.recording_id} is {recording.technical.duration_s:.1f} s long: "
            "the part asked for is not in it"
        )
    return vectors[inside].astype(np.float32)


def within(part: Part, n_segments: int, duration_s: float, encoder: Encoder) -> NDArray[np.bool_]:
    """Tell which segments of a recording a part of it touches; half a hop is not enough.

    Returns
    -------
    ndarray, shape (n_segments,), bool
        At least one, if the part lies in the recording.
    """
    onsets = segment_onsets(
        n_segments, duration_s=duration_s, window_s=encoder.window_s, hop_s=encoder.hop_s
    )
    from_s = part.from_s or 0.0
    to_s = duration_s if part.to_s is None else min(part.to_s, duration_s)
    common = np.minimum(onsets + encoder.window_s, to_s) - np.maximum(onsets, from_s)
    needed = min(encoder.hop_s / 2, 0.999 * float(common.max(initial=0.0)))
    return (common > 0.0) & (common >= needed)


def _mean(vectors: Vector) -> Vector:
    mean = vectors.mean(axis=0)
    result: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    return result

"""The seam between Echoic and the models that listen."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Phrases of which it is known how far sounds reach that are something else.

    Attributes
    ----------
    vectors : ndarray, shape (n, dim), float32
        The phrases, unit length.
    levels : ndarray, shape (n,), float32
        What one in a thousand recordings of other sounds exceeds, in standard deviations of the
        phrase's scores with the encoder's background.
    """

    vectors: NDArray[np.float32]
    levels: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Law:
    """How sure a query is: ``1 / (1 + exp(-slope * (z - level - offset)))``.

    Attributes
    ----------
    offset : float
        How far above what others reach a sound must be, in standard deviations, to be as likely
        there as not.
    slope : float
        Growth of the log-odds with each deviation.
    """

    offset: float
    slope: float

    def probability(self, above: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities for standard scores above the level, of the same shape."""
        odds = np.clip(self.slope * (above - self.offset), -60.0, 60.0)
        result: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
        return result

    def above(self, probability: float) -> float:
        """Return how far above the level a probability is reached, in standard deviations."""
        return self.offset + float(np.log(probability / (1.0 - probability))) / self.slope


@dataclass(frozen=True, slots=True)
class Laws:
    """The laws of an encoder, fitted on recordings whose content is known.

    Attributes
    ----------
    words, example : Law
        Of queries by words, and of all others.
    """

    words: Law
    example: Law


@dataclass(frozen=True, slots=True, eq=False)
class ShippedCalibration:
    """What the scores of an encoder are worth, measured by those who made it.

    Attributes
    ----------
    background : ndarray, shape (n, dim), float32
        Vectors of very many kinds of sound, unit length: what a query's score with any one sound
        is worth is told by its scores with these.
    anchors : Anchors
        What scores with some hundred phrases are worth, told by sounds that are something else.
    laws : Laws
        How sure a search may be, by how far above these a score is.
    """

    background: NDArray[np.float32]
    anchors: Anchors
    laws: Laws


@runtime_checkable
class Encoder(Protocol):
    """Maps windows of sound and English phrases to one space of unit vectors.

    Attributes
    ----------
    id : str
        Names weights and preparation, as ``"echoic-mini/2"``. It is stored with every vector;
        two ids never mix, so it changes whenever the same sound would give another vector.
    sample_rate : int
        Rate in Hz of the mono samples that `embed_audio` takes.
    window_s, hop_s : float
        Length of a window and distance between the onsets of two neighbours, in seconds;
        ``0 < hop_s <= window_s``.
    dim : int
        Length of a vector.
    calibration : ShippedCalibration or None
        None if nothing comes with the encoder that tells what its scores are worth: then an
        archive's own sounds tell.
    """

    @property
    def id(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def window_s(self) -> float: ...
    @property
    def hop_s(self) -> float: ...
    @property
    def dim(self) -> int: ...
    @property
    def calibration(self) -> ShippedCalibration | None: ...

    def pad(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Lengthen a short recording to one window, the way the model was trained.

        Parameters
        ----------
        samples : ndarray, shape (n_samples,), float32
            At least one sample and at most one window, mono at `sample_rate`.

        Returns
        -------
        ndarray, shape (round(window_s * sample_rate),), float32
        """
        ...

    def embed_audio(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed full windows of mono sound.

        The vector of a window depends on nothing but its samples: not on its neighbours, not on
        the size of the batch, not on the number of threads.

        Parameters
        ----------
        windows : ndarray, shape (n, round(window_s * sample_rate)), float32
            Full scale is 1.0.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Unit length.

        Raises
        ------
        ValueError
            If the shape is not (n, one window).
        """
        ...

    def embed_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed English phrases.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Unit length.

        Raises
        ------
        ValueError
            If a phrase is blank.
        """
        ...

    def unread(self, text: str) -> str:
        """Return the end of a phrase that `embed_text` does not read, for it is too long.

        Returns
        -------
        str
            Empty if all of the phrase is read.
        """
        ...

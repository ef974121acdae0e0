"""The encoder: packaged weights, checked, behind the `Encoder` protocol."""

import hashlib
import io
import json
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.base import Anchors, Law, Laws, ShippedCalibration
from indexer.errors import EncoderError

if TYPE_CHECKING:
    from indexer.encoders.echoic_mini.audio import AudioTower
    from indexer.encoders.echoic_mini.text import TextTower

MODEL_FILE = "model.json"
AUDIO_FILE = "audio.onnx"
TEXT_FILE = "text.npz"
BACKGROUND_FILE = "background.npy"
ANCHORS_FILE = "anchors.npz"


class EchoicMini:
    """A small residual network for sounds and hashed n-grams for phrases, in one space.

    A vector has two halves of equal weight: which of the 527 classes of AudioSet a sound responds
    to, and what it resembles beyond them. A phrase speaks of the first half only; its second is
    zero. So one inner product ranks sounds by words and by example.

    Parameters
    ----------
    folder : Traversable or Path, optional
        Holds ``model.json``, ``audio.onnx``, ``text.npz``, ``background.npy`` and ``anchors.npz``;
        by default the packaged ones.

    Raises
    ------
    EncoderError
        If a file is missing, or its SHA-256 is not the one in ``model.json``.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        folder = folder if folder is not None else files(__package__)
        model = _read_model(folder)
        self._audio_file = _read_checked(folder, AUDIO_FILE, model)
        self._text_file = _read_checked(folder, TEXT_FILE, model)
        self._background_file = _read_checked(folder, BACKGROUND_FILE, model)
        self._anchors_file = _read_checked(folder, ANCHORS_FILE, model)
        self._id: str = model["id"]
        self._sample_rate: int = model["sample_rate"]
        self._window_s: float = model["window_s"]
        self._hop_s: float = model["hop_s"]
        self._dim: int = model["dim"]
        self._laws = Laws(*(Law(**model["laws"][kind]) for kind in ("words", "example")))

    # Each side is loaded when it is first used: a query by words need not wait for the runtime of
    # the audio side. Both files have been checked before.

    @cached_property
    def _audio(self) -> "AudioTower":
        from indexer.encoders.echoic_mini.audio import AudioTower

        return AudioTower(self._audio_file)

    @cached_property
    def _text(self) -> "TextTower":
        from indexer.encoders.echoic_mini.text import TextTower

        return TextTower(self._text_file)

    @property
    def id(self) -> str:
        """``"echoic-mini/"`` and the number of the weights."""
        return self._id

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the mono samples that `embed_audio` takes."""
        return self._sample_rate

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self._window_s

    @property
    def hop_s(self) -> float:
        """Distance between the onsets of two neighbouring windows in seconds."""
        return self._hop_s

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @cached_property
    def calibration(self) -> ShippedCalibration:
        """What came of the training recordings; the laws were fitted on folds 1 to 4 of ESC-10.

        The background is one window each of some hundred recordings of very many kinds. The
        anchors are the names of the 527 classes of AudioSet, and how far other sounds reach: those
        of the training recordings in which the tagger that the weights were trained on does not
        hear the class. See ``docs/search.md``.
        """
        background: NDArray[np.float32] = np.load(io.BytesIO(self._background_file))
        background = background.astype(np.float32)
        background /= np.linalg.norm(background, axis=1, keepdims=True)
        background.setflags(write=False)
        with np.load(io.BytesIO(self._anchors_file)) as file:
            words = file["vectors"].astype(np.float32)
            levels = file["levels"].astype(np.float32)
        vectors = np.zeros((len(words), self.dim), dtype=np.float32)
        vectors[:, : words.shape[1]] = words / np.linalg.norm(words, axis=1, keepdims=True)
        return ShippedCalibration(background, Anchors(vectors, levels), self._laws)

    def pad(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Repeat a short recording until it fills a window, with a pause after a very short one.

        Parameters
        ----------
        samples : ndarray, shape (n_samples,), float32
            At least one sample and at most one window, mono at `sample_rate`.

        Returns
        -------
        ndarray, shape (round(window_s * sample_rate),), float32

        Raises
        ------
        ValueError
            If there is no sample, or more than one window.
        """
        window = self._window_samples
        if samples.ndim != 1 or not 0 < len(samples) <= window:
            raise ValueError(
                f"pad takes 1 to {window} samples in one dimension, not shape {samples.shape}"
            )
        from indexer.encoders.echoic_mini.mel import fill

        return fill(samples, window)

    def embed_audio(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed full windows of mono sound, one at a time.

        Feeding them singly costs nothing (batching does not make the network faster on a CPU) and
        keeps a vector from depending on its neighbours even in the last bit.

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
            If the shape is not (n, one window), or a sample is not a finite number.
        """
        if windows.ndim != 2 or windows.shape[1] != self._window_samples:
            raise ValueError(
                f"{self.id} takes windows of shape (n, {self._window_samples}), "
                f"not {windows.shape}: cut or pad the recording first"
            )
        vectors = np.empty((len(windows), self.dim), dtype=np.float32)
        for row, window in enumerate(windows):
            vectors[row] = self._audio.embed(np.asarray(window, dtype=np.float32))
        return vectors

    def embed_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed English phrases.

        Parameters
        ----------
        texts : list of str
            Upper and lower case mean the same.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Unit length; the half for likeness is zero.

        Raises
        ------
        ValueError
            If a phrase holds no letter or digit.
        """
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            words = self._text.embed(text)
            vectors[row, : len(words)] = words
        return vectors

    def unread(self, text: str) -> str:
        """Return what comes after the first 64 words of a phrase; empty if there is nothing."""
        from indexer.encoders.echoic_mini.text import unread

        return unread(text)

    @property
    def _window_samples(self) -> int:
        return round(self.window_s * self.sample_rate)


def _read_model(folder: Traversable) -> dict[str, Any]:
    try:
        model: dict[str, Any] = json.loads(folder.joinpath(MODEL_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"echoic-mini: cannot read {MODEL_FILE} ({error}). Install Echoic again."
        ) from error
    return model


def _read_checked(folder: Traversable, name: str, model: dict[str, Any]) -> bytes:
    try:
        content = folder.joinpath(name).read_bytes()
    except OSError as error:
        raise EncoderError(
            f"echoic-mini: the weights {name} are missing ({error}). Install Echoic again."
        ) from error
    if hashlib.sha256(content).hexdigest() != model["sha256"][name]:
        raise EncoderError(
            f"echoic-mini: the weights {name} are damaged: their SHA-256 is not the one in "
            f"{MODEL_FILE}. Install Echoic again."
        )
    return content

"""The encoder: an installed package behind the `Encoder` protocol."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.base import ShippedCalibration
from indexer.encoders.packages import (
    AUDIO_FILE,
    CLAP_PREPARATION,
    TEXT_FILE,
    TOKENIZER_FILE,
    ModelPackage,
    size_faults,
)
from indexer.errors import EncoderError

if TYPE_CHECKING:
    from indexer.encoders.laion_clap.graph import Fill, Graph
    from indexer.encoders.laion_clap.tokens import Tokens


class LaionClap:
    """LAION-CLAP (HTSAT and RoBERTa), whose weights were trained on 630,000 described sounds.

    Its windows are cut on a fixed grid, never at random as in training, so that the same file gets
    the same vectors.

    Parameters
    ----------
    package : ModelPackage
        Where the weights are. The sizes of its files are checked here, their hashes by `echoic
        models check`: reading half a gigabyte would cost every search a second.

    Raises
    ------
    EncoderError
        If a file is missing or has another size, or the package is for another preparation.
    """

    calibration: ShippedCalibration | None = None
    """None comes with it: an archive's own sounds tell what its scores are worth."""

    def __init__(self, package: ModelPackage) -> None:
        faults = size_faults(package)
        if faults:
            raise EncoderError(
                f"the model {package.id} in {package.folder} is damaged: {'; '.join(faults)}. "
                f"`echoic models remove {package.id}`, then install it again"
            )
        prepared = (package.sample_rate, package.window_s, package.preparation)
        if prepared != (48_000, 10.0, CLAP_PREPARATION):
            raise EncoderError(
                f"the model {package.id} is made for other sounds than this Echoic prepares for "
                f"LAION-CLAP: for windows of {package.window_s:g} s at {package.sample_rate} Hz, "
                f"{package.preparation!r}, not of 10 s at 48000 Hz, {CLAP_PREPARATION!r}. It "
                f"needs the Echoic that it was made with, or `echoic models remove {package.id}`"
            )
        self._package = package

    # Each side is loaded when it is first used: to index, the large text tower is not needed.

    @cached_property
    def _audio(self) -> "Graph":
        from indexer.encoders.laion_clap.graph import Graph

        inputs: dict[str, Fill] = {
            "input_features": lambda mel: mel,
            "is_longer": lambda mel: np.zeros((1, 1), dtype=bool),
        }
        path = self._package.folder / AUDIO_FILE
        return Graph(path, inputs, "audio_embeds", dim=self.dim)

    @cached_property
    def _text(self) -> "Graph":
        from indexer.encoders.laion_clap.graph import Graph

        # A phrase is never padded, so that every token of it is to be heeded.
        inputs: dict[str, Fill] = {
            "input_ids": lambda tokens: tokens,
            "attention_mask": lambda tokens: np.ones_like(tokens),
        }
        path = self._package.folder / TEXT_FILE
        return Graph(path, inputs, "text_embeds", dim=self.dim)

    @cached_property
    def _tokens(self) -> "Tokens":
        from indexer.encoders.laion_clap.tokens import Tokens

        return Tokens(self._package.folder / TOKENIZER_FILE)

    @property
    def id(self) -> str:
        """``"laion-clap/"`` and the name of the weights."""
        return self._package.id

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the mono samples that `embed_audio` takes."""
        return self._package.sample_rate

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self._package.window_s

    @property
    def hop_s(self) -> float:
        """Distance between the onsets of two neighbouring windows in seconds."""
        return self._package.hop_s

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._package.dim

    def pad(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Repeat a short recording as many whole times as fit into a window, then be silent.

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
        from indexer.encoders.laion_clap.mel import fill

        return fill(samples, window)

    def embed_audio(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed full windows of mono sound, one at a time.

        Batching does not make the network faster on a CPU, and a quantised graph takes its steps
        from all that it is fed: a vector would depend on its neighbours.

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
        EncoderError
            If the audio tower cannot be loaded, or gives no vector.
        """
        from indexer.encoders.laion_clap.mel import log_mel

        if windows.ndim != 2 or windows.shape[1] != self._window_samples:
            raise ValueError(
                f"{self.id} takes windows of shape (n, {self._window_samples}), "
                f"not {windows.shape}: cut or pad the recording first"
            )
        vectors = np.empty((len(windows), self.dim), dtype=np.float32)
        for row, window in enumerate(windows):
            if not np.isfinite(window).all():
                raise ValueError("the sound holds samples that are not finite numbers")
            vectors[row] = self._audio.embed(log_mel(window)[None, None])
        return vectors

    def embed_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Embed English phrases, one at a time and never padded.

        Parameters
        ----------
        texts : list of str
            What is beyond 77 tokens is not read: `unread` tells.

        Returns
        -------
        ndarray, shape (n, dim), float32
            Unit length.

        Raises
        ------
        ValueError
            If a phrase is blank.
        EncoderError
            If the text tower or the tokenizer cannot be loaded, or gives no vector.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            if not text.strip():
                raise ValueError(f"there is no word in {text!r}: describe a sound")
            vectors[row] = self._text.embed(self._tokens.of(text)[None])
        return vectors

    def unread(self, text: str) -> str:
        """Return the end of a phrase that is beyond 77 tokens; empty if there is none."""
        return self._tokens.beyond(text)

    @property
    def _window_samples(self) -> int:
        return round(self.window_s * self.sample_rate)

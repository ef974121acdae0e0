"""The seam between Echoic and the models that listen."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Encoder(Protocol):
    """Maps windows of sound and English phrases to one space of unit vectors.

    Attributes
    ----------
    id : str
        Names weights and preparation, as ``"echoic-mini/1"``. It is stored with every vector;
        two ids never mix, so it changes whenever the same sound would give another vector.
    sample_rate : int
        Rate in Hz of the mono samples that `embed_audio` takes.
    window_s, hop_s : float
        Length of a window and distance between the onsets of two neighbours, in seconds;
        ``0 < hop_s <= window_s``.
    dim : int
        Length of a vector.
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

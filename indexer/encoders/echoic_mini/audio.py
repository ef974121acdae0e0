"""The audio side of echoic-mini: level, log-mel, network."""

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power
from indexer.encoders.runtime import ort


class AudioTower:
    """The residual network in ONNX Runtime.

    One thread: the pipeline runs one process a core, and a sum that is split among threads would
    depend on their number.

    Parameters
    ----------
    model : bytes
        The ONNX file: ``mel`` (n, 1, 128, 500) to ``vector`` (n, dim), unit length.
    """

    def __init__(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def embed(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed one window.

        Parameters
        ----------
        window : ndarray, shape (160000,), float32

        Returns
        -------
        ndarray, shape (dim,), float32

        Raises
        ------
        ValueError
            If a sample is not a finite number.
        """
        if not np.isfinite(window).all():
            raise ValueError("the sound holds samples that are not finite numbers")
        mel = log_mel(mel_power(level(window)))
        vector: NDArray[np.float32] = self._session.run(["vector"], {"mel": mel[None, None]})[0][0]
        return vector

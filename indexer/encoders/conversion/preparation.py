"""Whether a checkpoint was trained to hear what Echoic lets it hear."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from indexer.encoders.laion_clap.mel import mel_bank
from indexer.errors import EncoderError

_FILTERS = "audio_branch.logmel_extractor.melW"
_TOLERANCE = 1e-5  # of the highest filter


def check_preparation(weights: Mapping[str, Any]) -> None:
    """Compare the mel filters that a checkpoint holds with those of Echoic.

    They are not trained, but tell the rate, the length of the spectrum and the bands that the rest
    was trained with. Weights without filters are taken as they are.

    Parameters
    ----------
    weights : mapping of str to Tensor
        By their original names.

    Raises
    ------
    EncoderError
        If they differ: every vector would be wrong, and nothing would show it.
    """
    if _FILTERS not in weights:
        return
    filters = np.asarray(weights[_FILTERS])
    ours = mel_bank().toarray().T
    if filters.shape != ours.shape or np.abs(filters - ours).max() > _TOLERANCE * ours.max():
        raise EncoderError(
            "it was trained on another spectrogram than LAION-CLAP's, which Echoic would give it: "
            "48 kHz, 1024 samples, 64 mel bands from 50 Hz to 14 kHz"
        )

"""Log-mel spectrogram of one window: what LAION-CLAP listens to.

It reproduces the preparation that the model was trained with, in NumPy and SciPy alone. The order
of all operations is fixed and none of them goes through a threaded BLAS, so equal samples give
equal features to the bit.

References
----------
.. [1] Y. Wu, K. Chen, T. Zhang, Y. Hui, T. Berg-Kirkpatrick, S. Dubnov, "Large-scale Contrastive
       Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption Augmentation",
       ICASSP 2023.
.. [2] M. Slaney, "Auditory Toolbox", Interval Research, Technical Report 1998-010: the mel scale.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.sparse import csr_array

SAMPLE_RATE = 48_000
N_FFT = 1024
HOP_LENGTH = 480
N_MELS = 64
F_MIN_HZ = 50.0
F_MAX_HZ = 14_000.0
FLOOR = 1e-10

_LINEAR_HZ = 200.0 / 3.0  # a mel below 1 kHz
_CORNER_HZ = 1_000.0
_LOG_STEP = np.log(6.4) / 27.0  # a mel above it


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Level in 64 mel bands, every 10 ms.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32
        Mono at 48 kHz, more than 512 samples.

    Returns
    -------
    ndarray, shape (1 + n_samples // 480, 64), float32
        In dB; -100 where there is no sound.
    """
    padded = np.pad(samples, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    # In double precision: next to a loud band a quiet one would drown in rounding errors.
    spectrum = rfft(frames * _hann(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = (mel_bank() @ power.T).T
    return np.asarray(10.0 * np.log10(np.maximum(bands, FLOOR)), dtype=np.float32)


def fill(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Repeat a short sound as many whole times as fit into `length` samples, then be silent.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32
        At least one sample and at most `length`.
    length : int

    Returns
    -------
    ndarray, shape (length,), float32
    """
    filled = np.zeros(length, dtype=np.float32)
    whole = length - length % len(samples)
    filled[:whole] = np.resize(samples, whole)
    return filled


@cache
def _hann() -> NDArray[np.float64]:
    # Periodic: the sample after the last would be zero.
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    return window


@cache
def mel_bank() -> csr_array:
    """Triangular filters of equal area, shape (64, 513), with equal steps on Slaney's mel scale.

    Sparse, because a bin of the spectrum lies in two bands at most, and because the product of a
    sparse matrix is computed in one order whatever the number of threads.
    """
    ends = _mel(np.array([F_MIN_HZ, F_MAX_HZ]))
    edges = _frequency(np.linspace(ends[0], ends[1], N_MELS + 2))
    left, centre, right = (edges[i : i + N_MELS, None] for i in range(3))
    bins = np.arange(N_FFT // 2 + 1)[None, :] * SAMPLE_RATE / N_FFT
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (right - left)
    return csr_array(bank)


def _mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = np.maximum(frequency_hz, _CORNER_HZ) / _CORNER_HZ
    mel: NDArray[np.float64] = (
        np.minimum(frequency_hz, _CORNER_HZ) / _LINEAR_HZ + np.log(above) / _LOG_STEP
    )
    return mel


def _frequency(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    corner = _CORNER_HZ / _LINEAR_HZ
    frequency: NDArray[np.float64] = (
        np.minimum(mel, corner) * _LINEAR_HZ * np.exp(_LOG_STEP * np.maximum(mel - corner, 0.0))
    )
    return frequency

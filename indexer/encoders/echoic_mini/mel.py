"""Log-mel spectrogram of one window: what the network of echoic-mini listens to.

The same features serve the network at run time and, in training, both the network and its teacher
(EfficientAT, whose preparation this reproduces). The order of all operations is fixed and none of
them goes through a threaded BLAS, so equal samples give equal features to the bit.

References
----------
.. [1] F. Schmid, K. Koutini, G. Widmer, "Efficient Large-Scale Audio Tagging via
       Transformer-to-CNN Knowledge Distillation", ICASSP 2023.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.sparse import csr_array

SAMPLE_RATE = 32_000
N_FFT = 1024
WINDOW_LENGTH = 800
HOP_LENGTH = 320
N_MELS = 128
F_MAX_HZ = 15_000.0
PRE_EMPHASIS = np.float32(0.97)
FLOOR = np.float32(1e-5)

LEVEL_DBFS = -24.0
MAX_GAIN_DB = 40.0
REPEATS = 3


def level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring one window to -24 dBFS, raising it by 40 dB at most.

    An archive holds the same sound at many levels; what it is does not depend on them. The limit
    keeps the hiss below a silent recording from becoming the recording.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Digital silence stays as it is.
    """
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if rms == 0.0:
        return samples
    gain = min(10.0 ** (LEVEL_DBFS / 20.0) / rms, 10.0 ** (MAX_GAIN_DB / 20.0))
    return samples * np.float32(gain)


def mel_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power in 128 mel bands, every 10 ms.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32
        Mono at 32 kHz, more than 512 samples.

    Returns
    -------
    ndarray, shape (128, 1 + (n_samples - 1) // 320), float32
    """
    emphasised = samples[1:] - PRE_EMPHASIS * samples[:-1]
    padded = np.pad(emphasised, N_FFT // 2, mode="reflect")
    # The analysis window fills only the middle 800 of the 1024 samples: the rest is zero anyway.
    offset = (N_FFT - WINDOW_LENGTH) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    frames = frames[:, offset : offset + WINDOW_LENGTH] * _hann()
    # A delay of the frame changes the phase of its spectrum, never its power.
    spectrum = rfft(frames, n=N_FFT, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands: NDArray[np.float32] = _mel_bank() @ power.T
    return bands


def log_mel(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel power on the scale that the networks were trained with.

    Parameters
    ----------
    power : ndarray, any shape, float32

    Returns
    -------
    ndarray, same shape, float32
        ``(ln(power + 1e-5) + 4.5) / 5``; -1.4 where there is no sound.
    """
    scaled: NDArray[np.float32] = (np.log(power + FLOOR) + np.float32(4.5)) / np.float32(5.0)
    return scaled


def fill(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Repeat a short sound until it fills `length` samples, a third of the length apart at least.

    A click repeated end to end becomes a tone, and is taken for music. With a pause after it, it
    stays what it is.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,), float32
        At least one sample and at most `length`.
    length : int

    Returns
    -------
    ndarray, shape (length,), float32
    """
    apart = -(-length // REPEATS)
    if len(samples) < apart:
        samples = np.append(samples, np.zeros(apart - len(samples), np.float32))
    return np.resize(samples, length).astype(np.float32, copy=False)


@cache
def _hann() -> NDArray[np.float32]:
    # Symmetric, as the teacher's: its last sample is zero too.
    phase = 2.0 * np.pi * np.arange(WINDOW_LENGTH) / (WINDOW_LENGTH - 1)
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(phase)).astype(np.float32)
    return window


@cache
def _mel_bank() -> csr_array:
    """Triangular filters, shape (128, 513), with equal steps on the scale 1127 ln(1 + f / 700).

    Sparse, because a bin of the spectrum lies in two bands at most, and because the product of a
    sparse matrix is computed in one order whatever the number of threads.
    """
    edges = np.linspace(0.0, _mel(np.array(F_MAX_HZ)), N_MELS + 2)
    left, centre, right = (edges[i : i + N_MELS, None] for i in range(3))
    bins = _mel(np.arange(N_FFT // 2) * SAMPLE_RATE / N_FFT)[None, :]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    bank = np.zeros((N_MELS, N_FFT // 2 + 1), dtype=np.float32)
    bank[:, :-1] = np.maximum(0.0, np.minimum(rising, falling))
    return csr_array(bank)


def _mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 1127.0 * np.log1p(frequency_hz / 700.0)
    return mel

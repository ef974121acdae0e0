"""Integrated loudness after EBU R128, in a stream."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MIN_SR = 4000  # below, the filter's shelf at 1.7 kHz has no room
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_SURROUND = 1.41
# Front left, right, centre; low frequencies (not heard by the meter); surrounds. The order is
# that of WAV files. Layouts that are not listed weigh 1 throughout.
_WEIGHTS = {
    5: (1.0, 1.0, 1.0, _SURROUND, _SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SURROUND, _SURROUND),
}


def k_weighting(sr: int) -> NDArray[np.float64]:
    """Design the K-weighting filter for any sample rate.

    BS.1770 gives its coefficients at 48 kHz only; these are the analogue prototypes behind them.

    Returns
    -------
    ndarray, shape (2, 6), float64
        Second-order sections: the shelf of the head, and the high-pass.

    References
    ----------
    ITU-R BS.1770-4, Annex 1. B. De Man, "Evaluation of Implementations of the EBU R128 Loudness
    Measurement", AES Convention 145, 2018.
    """
    k = math.tan(math.pi * 1681.974450955533 / sr)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / q + k * k) / norm,
    ]
    k = math.tan(math.pi * 38.13547087602444 / sr)
    q = 0.5003270373238773
    norm = 1 + k / q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array([shelf, high_pass])


class FrameEnergies:
    """Sums a signal's squares over frames of equal length, in a stream.

    Parameters
    ----------
    sr : int
    frames_per_s : int
        Frame i is the samples from ``i * sr // frames_per_s``, so that frames keep their place
        at rates that they do not divide.
    """

    def __init__(self, sr: int, frames_per_s: int) -> None:
        self._sr = sr
        self._per_s = frames_per_s
        self._sums: list[NDArray[np.float64]] = []
        self._open = 0.0
        self._n_full = 0
        self._position = 0

    def push(self, squares: NDArray[np.floating[Any]]) -> None:
        """Take squares (n,), n > 0."""
        end = self._position + len(squares)
        first = self._n_full + 1
        last = end * self._per_s // self._sr + 1
        edges = np.arange(first, last + 1, dtype=np.int64) * self._sr // self._per_s
        edges = edges[edges <= end] - self._position
        starts = np.concatenate([[0], edges[edges < len(squares)]])
        sums = np.add.reduceat(squares, starts, dtype=np.float64)
        sums[0] += self._open
        if len(edges) == len(sums):  # the block ends with a frame
            self._open = 0.0
        else:
            self._open = float(sums[-1])
            sums = sums[:-1]
        self._sums.append(sums)
        self._n_full += len(sums)
        self._position = end

    @property
    def n_samples(self) -> int:
        """Samples so far."""
        return self._position

    @property
    def total(self) -> float:
        """Sum of all squares so far."""
        return float(sum(float(part.sum()) for part in self._sums)) + self._open

    def mean_squares(self) -> NDArray[np.float64]:
        """Give the mean square of every full frame; of the whole if there is none."""
        sums = np.concatenate(self._sums) if self._sums else np.zeros(0)
        if not len(sums):
            return np.full(min(1, self._position), self.total / max(1, self._position))
        edges = np.arange(len(sums) + 1, dtype=np.int64) * self._sr // self._per_s
        means: NDArray[np.float64] = sums / np.diff(edges)
        return means


class LoudnessMeter:
    """Measures integrated loudness: K-weighted, gated, over blocks of 400 ms every 100 ms.

    Parameters
    ----------
    sr, channels : int

    References
    ----------
    ITU-R BS.1770-4; EBU R 128.
    """

    def __init__(self, sr: int, channels: int) -> None:
        self._filter = k_weighting(sr) if sr >= _MIN_SR else None
        self._state = np.zeros((2, channels, 2))
        self._weights = np.array(_WEIGHTS.get(channels, (1.0,) * channels))
        self._tenths = FrameEnergies(sr, 10)

    def push(self, planar: NDArray[np.float32]) -> None:
        """Take samples (channels, n), n > 0."""
        if self._filter is None:
            return
        # Its import takes nearly a second: workers have it from the start, others do without.
        from scipy.signal import sosfilt

        heard, self._state = sosfilt(self._filter, planar.astype(np.float64), zi=self._state)
        np.square(heard, out=heard)
        self._tenths.push(self._weights @ heard)

    def finish(self) -> float | None:
        """Give the loudness in LUFS.

        None for silence (nothing above -70 LUFS) and below 4 kHz, where it is not defined. A sound
        shorter than one block of 400 ms is measured as one block.
        """
        tenths = self._tenths.mean_squares()
        if not len(tenths):
            return None
        if len(tenths) < 4:
            power = np.array([self._tenths.total / self._tenths.n_samples])
        else:
            sums = np.concatenate([[0.0], np.cumsum(tenths)])
            power = np.maximum(sums[4:] - sums[:-4], 0.0) / 4
        loud = power[power > _power(_ABSOLUTE_GATE_LUFS)]
        if not len(loud):
            return None
        gate = loud.mean() * 10 ** (_RELATIVE_GATE_LU / 10)
        return -0.691 + 10 * math.log10(loud[loud > gate].mean())


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))

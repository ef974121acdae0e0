"""Spectral shape, onsets and pitch classes of a sound, in a stream of mono samples.

NumPy and SciPy only. librosa computes the same and is the reference in our tests; but loading it
compiles its numba functions (28 s on a new machine, 1.5 s afterwards), in every worker process.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

SR = 22_050
"""Rate in Hz at which spectra are taken: what is above 11 kHz is not described."""

N_FFT = 1024
HOP = 512
N_MELS = 64
N_MFCC = 13
_ROLLOFF = 0.85
_FLOOR_DB = -100.0
_ONSET_FLOOR_DB = -70.0  # what is below full scale by more is noise of the recorder, not an event
_SILENCE_POWER = 1e-6  # mean square: -60 dBFS
_BATCH = 1024  # frames at once: 4 MB of spectra, which stay in the processor's cache

_KEY_N_FFT = 8192
_KEY_HZ = (65.0, 2100.0)
_KEY_PEAK = 8.0  # a tone stands above the median power of its surroundings by more


def mel_filters(sr: int, n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Make triangular mel filters of equal area, on Slaney's scale.

    Returns
    -------
    ndarray, shape (n_mels, n_fft // 2 + 1), float32
    """

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + 27 * np.log(sr / 2 / 1000) / np.log(6.4)
    edges = to_hz(np.linspace(0, top, n_mels + 2))
    ramps = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sr)[None, :]
    widths = np.diff(edges)
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: NDArray[np.float64] = triangles * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def _frames(samples: NDArray[np.float32], length: int, hop: int) -> NDArray[np.float32]:
    if len(samples) < length:
        return np.zeros((0, length), dtype=np.float32)
    view: NDArray[np.float32] = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    return view


@dataclass(frozen=True)
class Shape:
    """Means over the frames that are not silent; see `indexer.descriptors.Descriptors`."""

    centroid_hz: float
    bandwidth_hz: float
    rolloff_hz: float
    flatness: float
    mfcc: tuple[float, ...]


class SpectralShape:
    """Collects the spectral shape and the onset envelope over one shared STFT.

    Frames of 46 ms every 23 ms, Hann window, not padded: a sound shorter than one frame is
    padded with zeros to one.

    Parameters
    ----------
    source_sr : int
        Rate in Hz before resampling: flatness looks no higher than resampling left it whole.
    """

    def __init__(self, source_sr: int) -> None:
        self._n_flat = max(2, int(0.45 * min(source_sr, SR) * N_FFT / SR))
        # Periodic Hann; full scale is taken out, so that levels do not depend on the FFT's size.
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
        self._window = (window / np.sqrt((window**2).sum() * N_FFT)).astype(np.float32)
        self._mel = np.ascontiguousarray(mel_filters(SR, N_FFT, N_MELS).T) * np.float32(N_FFT)
        kilo = np.fft.rfftfreq(N_FFT, 1 / SR) / 1000
        self._moments = np.stack([np.ones_like(kilo), kilo, kilo**2], axis=1).astype(np.float32)
        self._rest = np.zeros(0, dtype=np.float32)
        self._n_seen = 0
        self._n_active = 0
        self._sums = np.zeros(4)
        self._log_mel = np.zeros(N_MELS)
        self._last_db: NDArray[np.float32] | None = None
        self._flux: list[NDArray[np.float32]] = []

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take mono samples (n,) at `SR`."""
        self._n_seen += len(samples)
        self._rest = np.concatenate([self._rest, samples])
        frames = _frames(self._rest, N_FFT, HOP)
        for start in range(0, len(frames), _BATCH):
            self._take(frames[start : start + _BATCH])
        self._rest = self._rest[len(frames) * HOP :].copy()

    def _take(self, frames: NDArray[np.float32]) -> None:
        spectra = fft.rfft(frames * self._window, axis=1)
        power = spectra.real**2 + spectra.imag**2
        level = power.sum(axis=1) * 2
        db = 10 * np.log10(np.maximum(power @ self._mel, np.float32(10 ** (_FLOOR_DB / 10))))
        self._take_onsets(db)
        active = level > _SILENCE_POWER
        if not active.any():
            return
        power, db = power[active], db[active]
        self._n_active += len(power)
        self._log_mel += db.sum(axis=0, dtype=np.float64)
        magnitude = np.sqrt(power)
        total, first, second = (magnitude @ self._moments).astype(np.float64).T
        centroid = first / total
        bandwidth = np.sqrt(np.maximum(second / total - centroid**2, 0))
        summed = np.cumsum(magnitude, axis=1)
        below = (summed < _ROLLOFF * summed[:, -1:]).sum(axis=1)
        power = power[:, : self._n_flat] + np.float32(1e-20)
        mean_log = np.log(power).mean(axis=1, dtype=np.float64)
        flatness = np.exp(mean_log) / power.mean(axis=1, dtype=np.float64)
        self._sums += [centroid.sum(), bandwidth.sum(), below.sum(), flatness.sum()]

    def _take_onsets(self, db: NDArray[np.float32]) -> None:
        """Append the mean rise of the mel bands from frame to frame, in dB."""
        db = np.maximum(db, np.float32(_ONSET_FLOOR_DB))
        before = np.full((1, N_MELS), _ONSET_FLOOR_DB, dtype=np.float32)
        if self._last_db is not None:
            before = self._last_db
        rise = np.diff(db, axis=0, prepend=before)
        self._flux.append(np.maximum(rise, 0).mean(axis=1))
        self._last_db = db[-1:].copy()

    def finish(self) -> Shape | None:
        """Give the means, or None if all was silent."""
        if not self._flux and self._n_seen:
            self.push(np.zeros(N_FFT - len(self._rest), dtype=np.float32))
        if not self._n_active:
            return None
        centroid, bandwidth, below, flatness = self._sums / self._n_active
        mfcc = fft.dct(self._log_mel / self._n_active, type=2, norm="ortho")[:N_MFCC]
        return Shape(
            centroid_hz=float(centroid * 1000),
            bandwidth_hz=float(bandwidth * 1000),
            rolloff_hz=float(below * SR / N_FFT),
            flatness=float(min(flatness, 1.0)),
            mfcc=tuple(float(value) for value in mfcc),
        )

    def onset_envelope(self) -> NDArray[np.float32]:
        """Give the onset envelope (n_frames,), in dB, at ``SR / HOP`` frames a second."""
        return np.concatenate(self._flux) if self._flux else np.zeros(0, dtype=np.float32)


class PitchClasses:
    """Collects how much of the tones falls on each of the twelve pitch classes.

    Only peaks of the spectrum count, in frames of 0.37 s between 65 and 2100 Hz: noise has a
    flat chroma by nature, tones do not.
    """

    def __init__(self) -> None:
        self._window = np.hanning(_KEY_N_FFT).astype(np.float32)
        hz = np.fft.rfftfreq(_KEY_N_FFT, 1 / SR)
        self._bins = np.flatnonzero((hz >= _KEY_HZ[0]) & (hz <= _KEY_HZ[1]))
        self._width = SR / _KEY_N_FFT
        self._rest = np.zeros(0, dtype=np.float32)
        self._chroma = np.zeros(12)
        self._tonal = 0.0
        self._n_active = 0

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take mono samples (n,) at `SR`."""
        self._rest = np.concatenate([self._rest, samples])
        frames = _frames(self._rest, _KEY_N_FFT, _KEY_N_FFT)
        if len(frames):
            self._take(frames)
            self._rest = self._rest[len(frames) * _KEY_N_FFT :].copy()

    def _take(self, frames: NDArray[np.float32]) -> None:
        spectra = fft.rfft(frames * self._window, axis=1)
        low, high = self._bins[0], self._bins[-1] + 1
        power = np.abs(spectra[:, low - 1 : high + 1]) ** 2
        power = power[(frames**2).mean(axis=1) > _SILENCE_POWER]
        if not len(power):
            return
        inner = power[:, 1:-1]
        tall = inner > _KEY_PEAK * np.median(inner, axis=1, keepdims=True)
        peaks = tall & (inner > power[:, :-2]) & (inner >= power[:, 2:])
        rows, columns = np.nonzero(peaks)
        left, mid, right = (np.log(power[rows, columns + shift] + 1e-30) for shift in range(3))
        # The vertex of the parabola through three bins: a bin is too wide at 65 Hz.
        offset = 0.5 * (left - right) / np.minimum(left - 2 * mid + right, -1e-9)
        hz = (columns + low + np.clip(offset, -0.5, 0.5)) * self._width
        classes = np.round(12 * np.log2(hz / 440) + 9).astype(np.int64) % 12
        strength = np.sqrt(inner[rows, columns])
        chroma = np.zeros((len(power), 12))
        np.add.at(chroma, (rows, classes), strength)
        in_peaks = np.bincount(
            rows, weights=sum(power[rows, columns + s] for s in range(3)), minlength=len(power)
        )
        total = power.sum(axis=1)
        share = np.minimum(in_peaks / np.maximum(total, 1e-30), 1.0)
        self._n_active += len(power)
        self._tonal += float(share.sum())
        sums = chroma.sum(axis=1, keepdims=True)
        self._chroma += (share[:, None] * chroma / np.maximum(sums, 1e-30)).sum(axis=0)

    def finish(self) -> tuple[NDArray[np.float64], float]:
        """Give the chroma (12,), from C upwards, and the share of power that lies in tones."""
        if not self._n_active:
            return self._chroma, 0.0
        return self._chroma / self._n_active, self._tonal / self._n_active

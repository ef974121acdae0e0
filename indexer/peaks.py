"""Landmarks: the peaks of a spectrogram that stand out from their surroundings.

A peak survives what happens to recordings - noise, rooms, codecs, other levels and tone controls -
better than any other point of a spectrogram, because it is where the signal is strongest against
everything else. Heights are taken above the local mean, so that quiet and dull passages have as
many landmarks as loud and bright ones, and no gain or equaliser changes their order much.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

SAMPLE_RATE = 8000
WINDOW = 1024  # 128 ms: narrow enough to place a click, long enough to part tones of speech
HOP = 128
N_BINS = WINDOW // 2
STEPS_PER_BIN = 4
"""Frequencies are told to a quarter of a bin, just below 2 Hz."""

_LOWEST, _HIGHEST = 8, N_BINS - 8  # bins: 62 Hz, where rumble and hum end, to 3938 Hz
_NEAR_FRAMES, _NEAR_BINS = 3, 7  # a peak is the greatest value so far around it
_POOL = 8  # frames and bins in a cell of the local mean
_MEAN_CELLS = 4  # cells on each side of it: half a second and 280 Hz
_LEAST_HEIGHT = 2.0  # nepers of power above the mean; noise alone has 25 such peaks a second
_FLOOR = np.float32(1e-12)  # power; the noise of 16 bits, -120 dB for a sine of full scale
_RANK_FRAMES = 31  # landmarks compete with those of half a second before and after
_COMPARED_AT_ONCE = 1 << 20  # pairs of peaks; damaged sound can have hundreds of peaks in a frame
_BLOCK = 256  # frames transformed together, always the same ones, so that the bits are the same


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Peaks in order of time, then frequency.

    Attributes
    ----------
    frames : ndarray, shape (n,), int32
    frequencies : ndarray, shape (n,), float32
        In quarters of a bin, not rounded.
    heights : ndarray, shape (n,), float32
        Above the local mean, in nepers of power.
    levels : ndarray, shape (n,), float32
        Log power, in nepers; 0 is that of a sine of full scale.
    ranks : ndarray, shape (n,), int32
        How many taller peaks there are in the second around each, once they have been compared.
    """

    frames: NDArray[np.int32]
    frequencies: NDArray[np.float32]
    heights: NDArray[np.float32]
    levels: NDArray[np.float32]
    ranks: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, which: NDArray[np.bool_] | slice) -> "Peaks":
        """Return some of them."""
        return Peaks(
            self.frames[which],
            self.frequencies[which],
            self.heights[which],
            self.levels[which],
            self.ranks[which],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The spectrogram of a short signal against what is around each point of it.

    Attributes
    ----------
    heights : ndarray, shape (n_frames, N_BINS), float32
        Log power above the local mean, in nepers.
    usual : ndarray, shape (N_BINS,), float32
        Mean log power at each frequency; 0 is that of a sine of full scale.
    """

    heights: NDArray[np.float32]
    usual: NDArray[np.float32]


def join(parts: list[Peaks]) -> Peaks:
    """Return the peaks of successive stretches as one."""
    return Peaks(
        np.concatenate([part.frames for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.frequencies for part in parts] or [np.empty(0, np.float32)]),
        np.concatenate([part.heights for part in parts] or [np.empty(0, np.float32)]),
        np.concatenate([part.levels for part in parts] or [np.empty(0, np.float32)]),
        np.concatenate([part.ranks for part in parts] or [np.empty(0, np.int32)]),
    )


class PeakStream:
    """Finds the peaks of a signal that comes in parts, in bounded memory.

    Frames are centred: frame `i` lies around sample ``i * HOP``. They are transformed in blocks
    that lie where they lie however the samples come, so that the same samples give the same peaks.

    Parameters
    ----------
    per_s : int
        About how many peaks to keep in a second: each is one of so many in the second around it.
    """

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._samples = np.zeros(WINDOW // 2, dtype=np.float32)
        self._n_samples = 0
        self._spectra = _Spectra()
        self._waiting = join([])
        self._found: list[Peaks] = []
        self._done = 0  # all peaks before this frame are chosen

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, shape (n,), at `SAMPLE_RATE`."""
        self._n_samples += len(samples)
        needed = (_BLOCK - 1) * HOP + WINDOW
        self._samples = np.concatenate([self._samples, samples])
        start = 0
        while len(self._samples) - start >= needed:
            self._take(_log_power(self._samples[start : start + needed]))
            start += _BLOCK * HOP
        self._samples = self._samples[start:].copy()

    def finish(self) -> tuple[Peaks, int]:
        """Return all peaks, and the number of frames."""
        n_frames = self._n_samples // HOP + 1
        for log_power in _blocks(self._samples, n_frames - self._spectra.n_frames):
            self._take(log_power)
        self._select(self._spectra.finish(), n_frames + _RANK_FRAMES)
        return join(self._found), n_frames

    def _take(self, log_power: NDArray[np.float32]) -> None:
        for peaks, until in self._spectra.push(log_power):
            self._select(peaks, until)

    def _select(self, peaks: Peaks, until: int) -> None:
        """Take peaks in; all before the frame `until` are there now."""
        waiting = join([self._waiting, peaks])
        ranks = _ranks(waiting.frames, waiting.heights)
        waiting = replace(waiting, ranks=ranks)
        ready = waiting.frames < until - _RANK_FRAMES
        before = self._done
        chosen = ready & (waiting.frames >= before) & (ranks < self._per_s)
        self._found.append(waiting.take(chosen))
        self._done = max(before, until - _RANK_FRAMES)
        self._waiting = waiting.take(waiting.frames >= self._done - _RANK_FRAMES)


def analyse(samples: NDArray[np.float32], per_s: int) -> tuple[Peaks, Spectrum]:
    """Find the peaks of a short signal, those that `PeakStream` finds, and its whole spectrum."""
    n_frames = len(samples) // HOP + 1
    padded = np.concatenate([np.zeros(WINDOW // 2, dtype=np.float32), samples])
    rows = np.concatenate(list(_blocks(padded, n_frames)))
    cells = _local_mean(rows)
    peaks = _tall_peaks(rows, cells, 0, range(n_frames))
    peaks = replace(peaks, ranks=_ranks(peaks.frames, peaks.heights))
    mean = np.repeat(np.repeat(cells, _POOL, axis=0), _POOL, axis=1)
    spectrum = Spectrum(rows - mean[:n_frames], rows.mean(axis=0))
    return peaks.take(peaks.ranks < per_s), spectrum


class _Spectra:
    """Finds all peaks of a spectrogram that comes in blocks; they come one block behind."""

    def __init__(self) -> None:
        self.n_frames = 0
        self._first = 0  # frame of the first row kept
        self._rows = np.empty((0, N_BINS), dtype=np.float32)
        self._from = 0  # peaks before this frame have been found

    def push(self, log_power: NDArray[np.float32]) -> Iterator[tuple[Peaks, int]]:
        self.n_frames += len(log_power)
        self._rows = np.concatenate([self._rows, log_power])
        until = (self.n_frames - _CONTEXT) // _POOL * _POOL
        if until > self._from:
            yield self._find(until), until

    def finish(self) -> Peaks:
        return self._find(self.n_frames)

    def _find(self, until: int) -> Peaks:
        rows, first = self._rows, self._first
        peaks = _tall_peaks(rows, _local_mean(rows), first, range(self._from, until))
        self._from = until
        keep_from = max(first, (until - _CONTEXT) // _POOL * _POOL)
        self._rows, self._first = rows[keep_from - first :].copy(), keep_from
        return peaks


_CONTEXT = (_MEAN_CELLS + 1) * _POOL
_WINDOW_SHAPE = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def _blocks(samples: NDArray[np.float32], n_frames: int) -> Iterator[NDArray[np.float32]]:
    """Yield the log power of the last frames of a signal, silent after its end, block by block."""
    for start in range(0, n_frames, _BLOCK):
        padded = np.zeros((min(n_frames - start, _BLOCK) - 1) * HOP + WINDOW, dtype=np.float32)
        part = samples[start * HOP :][: len(padded)]
        padded[: len(part)] = part
        yield _log_power(padded)


def _log_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log power of a block of frames, shape (n_frames, N_BINS), in nepers."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    spectrum = scipy.fft.rfft(frames * _WINDOW_SHAPE, axis=1)
    parts = spectrum.view(spectrum.real.dtype)
    parts *= parts
    power: NDArray[np.float32] = parts[:, 0 : 2 * N_BINS : 2] + parts[:, 1 : 2 * N_BINS : 2]
    power *= np.float32((4 / WINDOW) ** 2)  # a sine of full scale has power 1
    power += _FLOOR
    return np.log(power, out=power)


def _tall_peaks(
    rows: NDArray[np.float32], cells: NDArray[np.float32], first: int, wanted: range
) -> Peaks:
    """Return all peaks of some frames that stand out, not ranked.

    Parameters
    ----------
    rows
        Log power.
    first
        The frame of the first row; a multiple of `_POOL`.
    cells
        The local mean of the rows.
    """
    low = max(first, wanted.start - _NEAR_FRAMES)
    near = rows[low - first : wanted.stop - first + _NEAR_FRAMES]
    # Some times as fast as `nonzero` in two dimensions.
    at, bins = np.divmod(np.flatnonzero(near == _greatest_around(near)), N_BINS)
    frames = at + low
    inside = (frames >= wanted.start) & (frames < wanted.stop)
    inside &= (bins >= _LOWEST) & (bins < _HIGHEST)
    at, bins, frames = at[inside], bins[inside], frames[inside]
    levels = near[at, bins]
    heights = levels - cells[(frames - first) // _POOL, bins // _POOL]
    tall = heights > _LEAST_HEIGHT
    at, bins, frames = at[tall], bins[tall], frames[tall].astype(np.int32)
    unranked = np.zeros(len(frames), dtype=np.int32)
    return Peaks(frames, _quarter_bins(near, at, bins), heights[tall], levels[tall], unranked)


def _greatest_around(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the greatest value within `_NEAR_FRAMES` and `_NEAR_BINS`, in steps that double."""
    return _running_max(_running_max(rows, _NEAR_BINS, 1), _NEAR_FRAMES, 0)


def _running_max(values: NDArray[np.float32], reach: int, axis: int) -> NDArray[np.float32]:
    """Return the maximum over ``2 * reach + 1`` values along an axis, less at the edges."""
    length = 2 * reach + 1
    shape = list(values.shape)
    shape[axis] += 2 * reach
    wide = np.full(shape, -np.inf, dtype=np.float32)
    part = (lambda cut: np.s_[cut]) if axis == 0 else (lambda cut: np.s_[:, cut])
    wide[part(slice(reach, -reach))] = values
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        wide = np.maximum(wide[part(slice(None, -step))], wide[part(slice(step, None))])
        covered += step
    return wide


def _local_mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean around each cell of `_POOL` frames and bins, as far as there are rows."""
    starts = np.arange(0, len(rows), _POOL)
    sums = np.add.reduceat(_pooled(rows), starts, axis=0)
    n_rows = _box(np.minimum(_POOL, len(rows) - starts))
    n_bins = _box(np.full(sums.shape[1], _POOL))
    mean = _box(_box(sums).T).T
    mean /= np.outer(n_rows, n_bins)
    return mean.astype(np.float32)


def _pooled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sums of eight bins each; by columns, for NumPy is slow along short axes."""
    column = [rows[:, start::_POOL] for start in range(_POOL)]
    pairs = [column[at] + column[at + 1] for at in range(0, _POOL, 2)]
    pooled: NDArray[np.float32] = (pairs[0] + pairs[1]) + (pairs[2] + pairs[3])
    return pooled


def _box(cells: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum over `_MEAN_CELLS` cells on each side, along the first axis."""
    n = len(cells)
    total = np.zeros((n + 1, *cells.shape[1:]))
    np.cumsum(cells, axis=0, dtype=np.float64, out=total[1:])
    at = np.arange(n)
    high, low = np.minimum(at + _MEAN_CELLS + 1, n), np.maximum(at - _MEAN_CELLS, 0)
    box: NDArray[np.float64] = total.take(high, axis=0)
    box -= total.take(low, axis=0)
    return box


def _quarter_bins(
    rows: NDArray[np.float32], at: NDArray[np.intp], bins: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the frequencies of peaks by a parabola through three bins, in quarters of a bin."""
    left, top, right = rows[at, bins - 1], rows[at, bins], rows[at, bins + 1]
    curve = left - 2 * top + right
    shift = np.where(curve < 0, 0.5 * (left - right) / np.minimum(curve, -1e-6), 0.0)
    exact: NDArray[np.float32] = STEPS_PER_BIN * (bins + np.clip(shift, -0.5, 0.5))
    return exact.astype(np.float32)


def _ranks(frames: NDArray[np.int32], heights: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return how many taller peaks there are within `_RANK_FRAMES` of each; the earlier of two."""
    ranks = np.zeros(len(frames), dtype=np.int32)
    if not len(frames):
        return ranks
    at = np.arange(len(frames))
    # Places in the order of height, so that one comparison tells which of two is taller.
    places = np.empty(len(frames), dtype=np.int32)
    places[np.lexsort((-at, heights))] = at
    before = at - np.searchsorted(frames, frames - _RANK_FRAMES, side="left")
    after = np.searchsorted(frames, frames + _RANK_FRAMES, side="right") - at - 1
    n_before, n_after = int(before.max()), int(after.max())
    steps = np.arange(-n_before, n_after + 1, dtype=np.int32)
    around = np.pad(places, (n_before, n_after))
    windows = np.lib.stride_tricks.sliding_window_view(around, len(steps))
    n_rows = max(_COMPARED_AT_ONCE // len(steps), 1)
    for start in range(0, len(frames), n_rows):
        rows = slice(start, start + n_rows)
        taller = windows[rows] > places[rows, np.newaxis]
        taller &= steps >= -before[rows, np.newaxis].astype(np.int32)
        taller &= steps <= after[rows, np.newaxis].astype(np.int32)
        ranks[rows] = np.count_nonzero(taller, axis=1)
    return ranks

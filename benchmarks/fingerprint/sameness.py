"""Which recordings share sound, so that a query that must not be found is not in the archive.

Independent of what is measured: candidates come from a plain landmark hash of its own, and only
the waveforms decide. Two recordings that merely confuse a fingerprint are not the same.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy import signal as dsp

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.store import Store

_N_FFT, _HOP = 1024, 256
_DECIMATE = 2  # to 8 kHz
FRAME_SAMPLES = _HOP * _DECIMATE
_PEAKS_PER_S = 12
_FAN_OUT = 3
_LARGEST_BUCKET = 40
_VOTES, _MANY_VOTES = 4, 8
_WINDOW_S = 0.25
_ALIKE = 0.8
_SHARED_S = 0.75
_SHARP = 15.0
_SLACK = 2 * FRAME_SAMPLES
_LOW_PASS = dsp.firwin(127, 3800, fs=SR)
_ROUNDING = 1e-9  # of the energy of an excerpt: what is softer is nothing but rounding


def sharing_pairs(store: Store) -> list[tuple[str, str]]:
    """Return the pairs of recordings that hold the same waveform, at least 0.75 s of it.

    Or the same waveform after a filter: many hashes agree, and the whitened correlation (GCC-PHAT)
    has one sharp peak where they say. Few hashes are not enough for that: one click on another
    makes such a peak too, and so does rumble.

    References
    ----------
    C. H. Knapp, G. C. Carter, "The generalized correlation method for estimation of time delay",
    IEEE Trans. ASSP 24, 1976.
    """
    paths = list(store.sources)
    keys, files, frames = [], [], []
    for index, path in enumerate(paths):
        key, frame = landmark_hashes(store.read(path), _PEAKS_PER_S)
        keys.append(key)
        frames.append(frame)
        files.append(np.full(len(key), index, dtype=np.int32))
    candidates = _candidates(np.concatenate(keys), np.concatenate(files), np.concatenate(frames))
    shared: dict[tuple[str, str], bool] = {}
    for a, b, lag, votes in candidates:
        pair = (paths[a], paths[b])
        if not shared.get(pair):
            sounds = store.read(pair[0]), store.read(pair[1])
            shared[pair] = _same_wave(*sounds, lag * FRAME_SAMPLES, votes)
    return [pair for pair, same in shared.items() if same]


def true_places(
    excerpt: Samples, recording: Samples, threshold: float = 0.9, *, outside: float = 0.0
) -> list[float]:
    """Return every time in a recording, in seconds, at which the excerpt occurs sample for sample.

    Loops and sequenced music repeat themselves exactly: each of these places is a right answer.

    Parameters
    ----------
    outside
        The share of the excerpt that may lie before the recording begins and after it ends, taken
        together. It counts as silent there, so that the recording has to hold four fifths of the
        excerpt's energy even so. Times may be negative then.
    """
    query = _low(excerpt)
    n = len(query)
    beyond = int(outside * n)
    sound = np.pad(_low(recording), beyond)
    if len(sound) < n:
        return []
    size = fft.next_fast_len(len(sound) + n, real=True)
    spectrum = fft.rfft(sound, size) * np.conj(fft.rfft(query, size))
    products = fft.irfft(spectrum, size)[: len(sound) - n + 1]
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    heard = max(float(np.square(query, dtype=np.float64).sum()), 1e-12)
    norms = np.sqrt(np.maximum(energy[n:] - energy[:-n], _ROUNDING * heard) * heard)
    alike = products / norms
    found, _ = dsp.find_peaks(np.pad(alike, 1), height=threshold, distance=SR // 4)
    places = found - 1 - beyond
    end = len(sound) - 2 * beyond
    held = np.minimum(places + n, end) - np.maximum(places, 0)
    return [round(float(at) / SR, 4) for at in places[held >= n - beyond]]


def _low(sound: Samples) -> Samples:
    """Leave only what lies below 4 kHz, at the rate as it is.

    At half the rate, bright sound that begins between two samples would not go with itself.
    """
    low: Samples = dsp.oaconvolve(sound, _LOW_PASS, mode="same").astype(np.float32)
    return low


def landmark_hashes(
    sound: Samples, peaks_per_s: float
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return keys, made of pairs of spectral peaks, and their frames of `FRAME_SAMPLES`."""
    narrow = dsp.resample_poly(sound, 1, _DECIMATE).astype(np.float32)
    narrow = np.pad(narrow, (0, max(0, 2 * _N_FFT - len(narrow))))
    window = dsp.windows.hann(_N_FFT).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(narrow, _N_FFT)[::_HOP]
    level = np.log(np.abs(fft.rfft(frames * window, axis=1)) + 1e-4)[:, 8:480]
    top = (ndimage.maximum_filter(level, (7, 15)) == level) & (level > -6)
    at, bins = np.nonzero(top)
    most = max(8, int(peaks_per_s * len(narrow) * _DECIMATE / SR))
    best = np.sort(np.argsort(-level[at, bins], kind="stable")[:most])
    at, bins = at[best], bins[best]
    keys, anchors = [], []
    for step in range(1, _FAN_OUT + 1):
        gap = at[step:] - at[:-step]
        near = gap < 64
        key = (bins[:-step].astype(np.int64) << 15) | (bins[step:] << 6) | np.minimum(gap, 63)
        keys.append(key[near])
        anchors.append(at[:-step][near].astype(np.int32))
    return np.concatenate(keys), np.concatenate(anchors)


def _candidates(
    keys: NDArray[np.int64], files: NDArray[np.int32], frames: NDArray[np.int32]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (file, file, lag in frames, votes) where enough hashes agree, the most votes first."""
    order = np.argsort(keys, kind="stable")
    keys, files, frames = keys[order], files[order], frames[order]
    sizes = np.diff(np.concatenate([np.flatnonzero(np.diff(keys, prepend=-1)), [len(keys)]]))
    rare = np.repeat(sizes, sizes) <= _LARGEST_BUCKET
    keys, files, frames = keys[rare], files[rare], frames[rare]
    votes = []
    for step in range(1, _LARGEST_BUCKET):
        same = (keys[step:] == keys[:-step]) & (files[step:] != files[:-step])
        a, b = files[:-step][same].astype(np.int64), files[step:][same].astype(np.int64)
        lag = frames[step:][same].astype(np.int64) - frames[:-step][same]
        lag = np.where(a < b, lag, -lag)
        votes.append((np.minimum(a, b) << 42) | (np.maximum(a, b) << 22) | (lag + (1 << 21)))
    found, counts = np.unique(np.concatenate(votes), return_counts=True)
    for index in np.argsort(-counts, kind="stable"):
        if counts[index] < _VOTES:
            break
        vote = int(found[index])
        yield vote >> 42, (vote >> 22) & 0xFFFFF, (vote & 0x3FFFFF) - (1 << 21), int(counts[index])


def _same_wave(first: Samples, second: Samples, lag: int, votes: int) -> bool:
    """Say whether the recordings hold the same sound where `second` is so many samples later."""
    a = first[max(0, -lag) :]
    b = second[max(0, lag) :]
    n = min(len(a), len(b), 60 * SR)
    if n < _SHARED_S * SR:
        return False
    a, b = a[:n], b[:n]
    size = fft.next_fast_len(2 * n, real=True)
    cross = fft.rfft(b, size) * np.conj(fft.rfft(a, size))
    if votes >= _MANY_VOTES and _is_sharp(cross, size):
        return True
    lags = fft.irfft(cross, size)
    shift = int(np.argmax(np.abs(np.concatenate([lags[-_SLACK:], lags[:_SLACK]])))) - _SLACK
    a, b = a[max(0, -shift) :], b[max(0, shift) :]
    width = int(_WINDOW_S * SR)
    n = min(len(a), len(b)) // width
    x, y = a[: n * width].reshape(n, width), b[: n * width].reshape(n, width)
    loud = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    alike = np.abs((x * y).sum(1)) / np.maximum(loud, 1e-9)
    enough = (alike > _ALIKE) & (loud > 1e-6 * width)
    return int(enough.sum()) >= _SHARED_S / _WINDOW_S


def _is_sharp(cross: NDArray[np.complexfloating], size: int) -> bool:
    """Say whether the whitened correlation has its one peak about no time difference."""
    band = np.arange(len(cross)) * (SR / size)
    strength = np.abs(cross)
    # What lies far below the rest was never in the sound; its phases say nothing.
    heard = (band > 100) & (band < 6000) & (strength > 1e-6 * strength.max())
    white = np.abs(fft.irfft(np.where(heard, cross / np.maximum(strength, 1e-20), 0), size))
    highest = int(np.argmax(white))
    near = min(highest, size - highest) <= _SLACK
    return near and bool(white[highest] > _SHARP * np.sqrt(np.mean(white**2)))

"""Onset rate, tempo and key, from what `indexer.spectrum` collects."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

_ONSET_RISE_DB = 2.0  # above the mean of the neighbourhood; stationary noise stays below
_WINDOW_S = 12.0
_MIN_TEMPO_S = 4.0  # below, there are too few beats to speak of a tempo
_BPM = (40.0, 240.0)
_PREFERRED_BPM = 120.0

# Krumhansl and Kessler's probe-tone ratings, from the tonic upwards.
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def count_onsets(envelope: NDArray[np.float32], frames_per_s: float) -> int:
    """Count the peaks that stand out of an onset envelope (n_frames,), in dB."""
    if not len(envelope):
        return 0
    local = uniform_filter1d(envelope, max(3, round(0.4 * frames_per_s) | 1), mode="constant")
    highest = maximum_filter1d(envelope, max(3, round(0.1 * frames_per_s) | 1), mode="constant")
    peaks = (envelope == highest) & (envelope > local + _ONSET_RISE_DB)
    peaks[1:] &= ~peaks[:-1]  # of equal neighbours, the first
    return int(peaks.sum())


def estimate_tempo(
    envelope: NDArray[np.float32], frames_per_s: float
) -> tuple[float | None, float | None]:
    """Estimate the tempo by the autocorrelation of the onset envelope.

    Averaged over windows of 12 s that overlap by half, so that a tempo is a property of most of
    the recording; tempi near 120 are preferred to their halves and doubles, as listeners do.

    Parameters
    ----------
    envelope : ndarray, shape (n_frames,), float32
    frames_per_s : float

    Returns
    -------
    bpm : float or None
        None below 4 s, and where the envelope is flat.
    confidence : float or None
        How alike the envelope is to itself one beat later, 0 to 1.

    References
    ----------
    D. Ellis, "Beat Tracking by Dynamic Programming", J. New Music Research 36(1), 2007, for the
    prior.
    """
    if len(envelope) < _MIN_TEMPO_S * frames_per_s:
        return None, None
    length = min(len(envelope), round(_WINDOW_S * frames_per_s))
    starts = range(0, len(envelope) - length + 1, max(1, length // 2))
    total, n = np.zeros(length), 0
    for start in starts:
        window = envelope[start : start + length].astype(np.float64)
        window -= window.mean()
        spectrum = fft.rfft(window, 2 * length)
        correlation = fft.irfft(spectrum.real**2 + spectrum.imag**2)[:length]
        if correlation[0] > 1e-9 * length:
            # Unbiased: a long lag has fewer products than a short one.
            total += correlation / correlation[0] * length / (length - np.arange(length))
            n += 1
    if not n:
        return None, None
    average = total / n
    lags = np.arange(1, length - 1)
    bpm = 60 * frames_per_s / lags
    lags, bpm = lags[(bpm >= _BPM[0]) & (bpm <= _BPM[1])], bpm[(bpm >= _BPM[0]) & (bpm <= _BPM[1])]
    lags, bpm = lags[lags < length // 2], bpm[lags < length // 2]
    prior = np.exp(-0.5 * np.log2(bpm / _PREFERRED_BPM) ** 2)
    best = int(lags[np.argmax(np.maximum(average[lags], 0) * prior)])
    lag = _refine(average, best)
    return 60 * frames_per_s / lag, float(min(max(average[best], 0.0), 1.0))


def _refine(correlation: NDArray[np.float64], lag: int) -> float:
    """Find a lag to a part of a frame: by its multiples, where its error is multiplied too."""
    refined = _vertex(correlation, lag)
    for multiple in (2, 4):
        near = round(refined * multiple) + np.arange(-1, 2)
        if near[-1] + 1 >= 0.75 * len(correlation):
            break
        peak = int(near[np.argmax(correlation[near])])
        if correlation[peak] < 0.5 * correlation[lag]:
            break
        refined = _vertex(correlation, peak) / multiple
    return refined


def _vertex(values: NDArray[np.float64], index: int) -> float:
    """Give the vertex of the parabola through a value and its neighbours."""
    left, mid, right = values[index - 1 : index + 2]
    curve = left - 2 * mid + right
    offset = 0.5 * (left - right) / curve if curve < 0 else 0.0
    return float(index + min(max(offset, -0.5), 0.5))


def estimate_key(
    chroma: NDArray[np.float64], tonal_share: float
) -> tuple[str | None, float | None]:
    """Name the key whose profile is most like the chroma.

    Parameters
    ----------
    chroma : ndarray, shape (12,), float64
        From C upwards.
    tonal_share : float
        Share of the power that lies in tones, 0 to 1.

    Returns
    -------
    key : str or None
        ``"C"``, ``"F#"``, ``"Am"`` ...; None where there is no tone.
    confidence : float or None
        The correlation with the profile, times the tonal share: noise is never sure of its key.

    References
    ----------
    C. Krumhansl, "Cognitive Foundations of Musical Pitch", 1990.
    """
    if chroma.max() - chroma.min() < 1e-9 or not math.isfinite(tonal_share):
        return None, None
    scores = {}
    for tonic, name in enumerate(_NAMES):
        scores[name] = float(np.corrcoef(chroma, np.roll(_MAJOR, tonic))[0, 1])
        scores[name + "m"] = float(np.corrcoef(chroma, np.roll(_MINOR, tonic))[0, 1])
    key = max(scores, key=lambda name: scores[name])
    return key, min(max(scores[key] * tonal_share, 0.0), 1.0)

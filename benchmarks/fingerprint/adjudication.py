"""Whether an excerpt that should not be in the archive does hold sound of the recording it got.

Collections of sounds are cut from one another, and no search for such pairs beforehand finds all.
So each answer to an excerpt that should have none is looked at again, by waveforms alone: where the
excerpt's sources and the recording are the same for a good second, the answer is not false, and
the excerpt counts for nothing. (Pooling, as evaluations of retrieval do it: what a system found is
judged, by waveforms as they are before any damage, whatever the system made of them.)

Both are whitened first, for rumble goes well with any rumble and a tone with any tone of its pitch.
Each 0.4 s of the excerpt then picks the one place of the whole recording that it goes best with:
where eight of them and more, 1.1 s, pick places of one lag to a millisecond, that is no chance. The
numbers were chosen on the split `dev`: of 400 pairs of recordings drawn at random at most 2 windows
agree; of those that 1,000 excerpts each of 2 and 5 s were most readily taken for at most 6, mostly
one and the same step or hit; and 13 to 16 where one blast lies in another's mix. A recording of
less than 1.1 s has fewer windows, and all of them have to agree, five at least (of 600 such drawn
at random at most one does): one hiss of 0.94 s lies in two collections, filtered, to the sample.
"""

from collections.abc import Sequence

import numpy as np
import scipy.signal as dsp
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.run import Outcome
from benchmarks.fingerprint.store import Store

_DECIMATE = 2
_WINDOW_S, _HOP_S = 0.4, 0.1
_LEAST_CORRELATION = 0.3
_SAME_LAG_S = 0.001
_LEAST_WINDOWS = 8  # that agree on one lag: 1.1 s if they adjoin
_LEAST_OF_ALL = 5  # if all do, in a shorter one
_LEAST_LEVEL = 1e-3
_BAND_HZ = (80.0, 3800.0)
_SMOOTH_HZ = 60.0  # over which spectra are smoothed that sounds are whitened by
_FAINTEST = 1e-7  # of the power of the strongest frequency; what is fainter is not whitened up
_ROOM = 1.1  # times the excerpt's length is what it may hold, played faster
_PART_S = 4.0  # of each recording in a sequence of short ones
_ENOUGH = 20


def without_shared(store: Store, seconds: float, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Leave out excerpts that hold sound of the recording they got.

    Judged are the highest scores, which are what thresholds are made of, down to the twentieth that
    is false indeed.
    """
    kept: list[Outcome] = []
    ranked = sorted(outcomes, key=lambda one: -one.score)
    for number, outcome in enumerate(ranked):
        if len(kept) == _ENOUGH or not outcome.found:
            return kept + ranked[number:]
        asked = outcome.name, outcome.offset_s, seconds
        if not holds_sound_of(store, *asked, outcome.found):
            kept.append(outcome)
    return kept


def holds_sound_of(store: Store, name: str, offset_s: float, seconds: float, found: str) -> bool:
    """Tell whether the sources of an excerpt and a recording have sound in common.

    Parameters
    ----------
    name : str
        The recording that the excerpt is from, or those of a sequence, joined by ``" + "``.
    offset_s, seconds : float
        Where it begins there, and how long it is.
    found : str
        The recording that was the answer.
    """
    recording = store.read(found)
    n_heard = int(_ROOM * seconds * SR)
    parts = name.split(" + ")
    if len(parts) == 1:
        start = round(offset_s * SR)
        sources = [store.read(name, start, start + n_heard)]
    else:
        sources = []
        for part in parts:  # as far as the excerpt goes: its last recordings may lie beyond
            sources.append(store.read(part, 0, min(int(_PART_S * SR), n_heard)))
            n_heard -= len(sources[-1])
    return any(agree(source, recording) for source in sources)


def agree(source: Samples, recording: Samples) -> bool:
    """Tell whether two sounds, at 16 kHz, are the same for a good second, or all of a shorter one.

    It is the source that may be shorter.
    """
    n_windows = int((len(source) / SR - _WINDOW_S) / _HOP_S + 1e-6) + 1
    enough = max(min(_LEAST_WINDOWS, n_windows), _LEAST_OF_ALL)
    return windows_that_agree(source, recording) >= enough


def windows_that_agree(source: Samples, recording: Samples) -> int:
    """Return how many windows of a sound go best with one and the same lag of a recording."""
    lags = np.sort(_lags(_narrow(source), _narrow(recording)))
    together = np.searchsorted(lags, lags + _SAME_LAG_S, side="right") - np.arange(len(lags))
    return int(together.max(initial=0))


def _narrow(sound: Samples) -> Samples:
    narrow: Samples = dsp.resample_poly(sound, 1, _DECIMATE).astype(np.float32)
    return narrow


def _whitened(sound: Samples) -> Samples:
    """Make all frequencies as loud as one another."""
    size = fft.next_fast_len(len(sound), real=True)
    spectrum = fft.rfft(sound, size)
    hz = np.fft.rfftfreq(size, _DECIMATE / SR)
    power = uniform_filter1d(np.abs(spectrum) ** 2, max(1, int(_SMOOTH_HZ / hz[1])))
    heard = (hz > _BAND_HZ[0]) & (hz < _BAND_HZ[1]) & (power > 0)
    gain = np.zeros(len(hz))
    gain[heard] = 1 / np.sqrt(power[heard] + _FAINTEST * power.max())
    white: Samples = fft.irfft(spectrum * gain, size)[: len(sound)].astype(np.float32)
    return white / max(float(np.sqrt(np.mean(np.square(white)))), 1e-20)


def _lags(source: Samples, recording: Samples) -> NDArray[np.float64]:
    """Return the lag, in seconds, of each window of the source that is in the recording."""
    sr = SR // _DECIMATE
    n, hop = int(_WINDOW_S * sr), int(_HOP_S * sr)
    if min(len(source), len(recording)) < n:
        return np.empty(0)
    white, white_recording = _whitened(source), _whitened(recording)
    norms = np.maximum(_norms(white_recording, n), np.sqrt(n) * _LEAST_LEVEL)
    levels = _norms(source, n)
    size = fft.next_fast_len(len(recording) + n, real=True)
    spectrum = fft.rfft(white_recording, size)
    lags = []
    for start in range(0, len(source) - n + 1, hop):
        window = white[start : start + n]
        norm = float(np.linalg.norm(window))
        if levels[start] < np.sqrt(n) * _LEAST_LEVEL or norm == 0:
            continue
        products = fft.irfft(spectrum * np.conj(fft.rfft(window, size)), size)[: len(norms)]
        alike = np.abs(products) / (norms * norm)
        at = int(alike.argmax())
        if alike[at] >= _LEAST_CORRELATION:
            lags.append((at - start) / sr)
    return np.array(lags)


def _norms(sound: Samples, n: int) -> NDArray[np.float64]:
    """Return the root of the energy of each stretch of n samples."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64))])
    return np.sqrt(np.maximum(energy[n:] - energy[:-n], 0.0))

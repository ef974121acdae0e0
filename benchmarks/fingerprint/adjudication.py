"""Whether an excerpt that should not be in the archive does hold sound of the recording it got.

Collections of sounds are cut from one another, and no search for such pairs beforehand finds all.
So each answer to an excerpt that should have none is looked at again, by waveforms alone: where the
excerpt's sources and the recording are the same for most of a second, the answer is not false, and
the excerpt counts for nothing. (Pooling, as evaluations of retrieval do it: what a system found is
judged, by a rule that knows nothing of the system.)
"""

from collections.abc import Sequence

import numpy as np
import scipy.signal as dsp
from numpy.typing import NDArray
from scipy import fft

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.run import Outcome
from benchmarks.fingerprint.store import Store

_DECIMATE = 2
_WINDOW_S, _HOP_S = 0.4, 0.1
_LEAST_CORRELATION = 0.6
_SAME_LAG_S = 0.001
_LEAST_WINDOWS = 5  # that agree on one lag: 0.8 s
_LEAST_LEVEL = 1e-3
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
    parts = name.split(" + ")
    if len(parts) == 1:
        start = round(offset_s * SR)
        sources = [store.read(name, start, start + int(1.1 * seconds * SR))]
    else:
        sources = [store.read(part, 0, int(_PART_S * SR)) for part in parts]
    return any(agree(source, recording) for source in sources)


def agree(source: Samples, recording: Samples) -> bool:
    """Tell whether two sounds, at 16 kHz, are the same for most of a second."""
    lags = np.sort(_lags(_narrow(source), _narrow(recording)))
    together = np.searchsorted(lags, lags + _SAME_LAG_S, side="right") - np.arange(len(lags))
    return bool(len(lags)) and int(together.max()) >= _LEAST_WINDOWS


def _narrow(sound: Samples) -> Samples:
    narrow: Samples = dsp.resample_poly(sound, 1, _DECIMATE).astype(np.float32)
    return narrow


def _lags(source: Samples, recording: Samples) -> NDArray[np.float64]:
    """Return the lag, in seconds, of each window of the source that is in the recording."""
    sr = SR // _DECIMATE
    n, hop = int(_WINDOW_S * sr), int(_HOP_S * sr)
    if len(recording) < n:
        return np.empty(0)
    energy = np.concatenate([[0.0], np.cumsum(np.square(recording, dtype=np.float64))])
    norms = np.sqrt(np.maximum(energy[n:] - energy[:-n], n * _LEAST_LEVEL**2))
    size = fft.next_fast_len(len(recording) + n, real=True)
    spectrum = fft.rfft(recording, size)
    lags = []
    for start in range(0, len(source) - n + 1, hop):
        window = source[start : start + n]
        norm = float(np.linalg.norm(window))
        if norm < np.sqrt(n) * _LEAST_LEVEL:
            continue
        products = fft.irfft(spectrum * np.conj(fft.rfft(window, size)), size)[: len(norms)]
        alike = np.abs(products) / (norms * norm)
        at = int(alike.argmax())
        if alike[at] >= _LEAST_CORRELATION:
            lags.append((at - start) / sr)
    return np.array(lags)

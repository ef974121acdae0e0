"""The sub-fingerprints of Haitsma and Kalker, written from their paper.

33 bands of 300 to 2000 Hz in frames of 0.37 s, 11.6 ms apart; each bit says whether the difference
of two neighbouring bands grew from one frame to the next. The places at which a sub-fingerprint of
the query is in the archive are compared bit by bit. If none is near enough, those that differ in
any of the ten least reliable bits are looked up, too. Other than in the paper the best of all
places is taken, not the first that is near enough, and all of the query is compared, not 256
sub-fingerprints; and the best place's score is that of `Fit`, since silence is in many recordings.

References
----------
J. Haitsma, T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002.
"""

from pathlib import Path

import numpy as np
import scipy.signal as dsp
from numpy.typing import NDArray
from scipy import fft

from benchmarks.fingerprint.bit_errors import CodeArchive, Codes
from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.systems import Answer

_NARROW_SR, _FRAME, _HOP = 5500, 2048, 64
_LEAST_HZ, _MOST_HZ, _BANDS = 300.0, 2000.0, 33
_ACCEPTED = 0.35
_WEAK_BITS = 10
_MOST_PLACES = 1000  # of one sub-fingerprint; silence is everywhere
_FRAMES_AT_ONCE = 4096
_VALUES = np.uint32(1) << np.arange(32, dtype=np.uint32)
_SUBSETS = ((np.arange(1 << _WEAK_BITS)[:, None] >> np.arange(_WEAK_BITS)) & 1).astype(np.uint32)


class PhilipsSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "philips.npz"
        self._names: list[str] = []
        self._parts: list[Codes] = []
        if self._file.exists():
            self._archive = CodeArchive.load(self._file)
            self._order = np.argsort(self._archive.codes, kind="stable")
            self._sorted = self._archive.codes[self._order]

    def add(self, name: str, samples: Samples) -> None:
        self._names.append(name)
        self._parts.append(codes_of(_differences(samples)))

    def finish(self) -> None:
        CodeArchive.joined(self._names, self._parts).save(self._file)

    def features(self, samples: Samples) -> None:
        codes_of(_differences(samples))

    def stored_bytes(self) -> int:
        """Return the size of the codes and of the table that finds them, 4 bytes each."""
        return 2 * self._file.stat().st_size

    def identify(self, samples: Samples) -> list[Answer]:
        differences = _differences(samples)
        codes = codes_of(differences)
        found = self._archive.best(codes, self._places(codes[:, None]))
        if found is None or found.wrong >= _ACCEPTED:
            found = self._archive.best(codes, self._places(_likely(codes, differences))) or found
        if found is None:
            return []
        p_false = 0.0 if found.wrong < _ACCEPTED else 1.0
        return [Answer(found.name, found.index * _HOP / _NARROW_SR, found.score, p_false)]

    def _places(self, keys: Codes) -> NDArray[np.int64]:
        """Return where the query may begin; `keys` has a row for each of its sub-fingerprints."""
        first, last = (np.searchsorted(self._sorted, keys, side) for side in ("left", "right"))
        counts = np.minimum(last - first, _MOST_PLACES)
        words = np.broadcast_to(np.arange(len(keys))[:, None], keys.shape)
        there = counts > 0
        first, counts, words = first[there], counts[there], words[there]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self._order[np.repeat(first, counts) + within] - np.repeat(words, counts)
        return np.unique(places)


def codes_of(differences: Samples) -> Codes:
    """Return one sub-fingerprint for each row of differences."""
    return np.where(differences > 0, _VALUES, np.uint32(0)).sum(axis=1, dtype=np.uint32)


def _likely(codes: Codes, differences: Samples) -> Codes:
    """Return the sub-fingerprints with any of their least reliable bits changed, a row for each."""
    weak = np.argpartition(np.abs(differences), _WEAK_BITS, axis=1)[:, :_WEAK_BITS]
    return codes[:, None] ^ (_VALUES[weak] @ _SUBSETS.T)


def _differences(samples: Samples) -> Samples:
    """Return what the bits are the signs of, shape (frames - 1, 32)."""
    narrow = dsp.resample_poly(samples, _NARROW_SR // 500, SR // 500).astype(np.float32)
    if len(narrow) < _FRAME:
        return np.empty((0, 32), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(narrow, _FRAME)[::_HOP]
    window = dsp.windows.hann(_FRAME).astype(np.float32)
    edges = np.geomspace(_LEAST_HZ, _MOST_HZ, _BANDS + 1) * _FRAME / _NARROW_SR
    bins = np.ceil(edges).astype(int)
    energy = []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=1)
        power = np.square(np.abs(spectrum[:, : bins[-1]]))
        energy.append(np.add.reduceat(power, bins[:-1], axis=1))
    between = -np.diff(np.concatenate(energy), axis=1)
    differences: Samples = np.diff(between, axis=0)
    return differences

"""The landmark hash of Wang's paper in thirty lines, to see that the benchmark itself works.

Nothing but a histogram of time differences: no verification, no search over speeds. What it finds
in clean excerpts and codecs shows that the true offsets are right.

References
----------
A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
"""

from pathlib import Path

import numpy as np

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.sameness import FRAME_SAMPLES, landmark_hashes
from benchmarks.fingerprint.systems import Answer

_PEAKS_PER_S = 20
_RECORDING_BITS = 32


class PlainSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "plain.npz"
        self._names: list[str] = []
        self._parts: list[np.ndarray] = []
        if self._file.exists():
            kept = np.load(self._file)
            self._names = [str(name) for name in kept["names"]]
            self._keys, self._places = kept["keys"], kept["places"]

    def add(self, name: str, samples: Samples) -> None:
        keys, frames = landmark_hashes(samples, _PEAKS_PER_S)
        places = (len(self._names) << _RECORDING_BITS) + frames.astype(np.int64)
        self._parts.append(np.stack([keys, places]))
        self._names.append(name)

    def finish(self) -> None:
        keys, places = np.concatenate(self._parts, axis=1)
        order = np.argsort(keys, kind="stable")
        np.savez(self._file, names=np.array(self._names), keys=keys[order], places=places[order])

    def features(self, samples: Samples) -> None:
        landmark_hashes(samples, _PEAKS_PER_S)

    def stored_bytes(self) -> int:
        return self._file.stat().st_size

    def identify(self, samples: Samples) -> list[Answer]:
        keys, frames = landmark_hashes(samples, _PEAKS_PER_S)
        first, last = (np.searchsorted(self._keys, keys, side) for side in ("left", "right"))
        found = [
            self._places[a:b] - frame + (1 << 20)
            for a, b, frame in zip(first, last, frames.tolist(), strict=True)
        ]
        votes = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        if not len(votes):
            return []
        lags, counts = np.unique(votes, return_counts=True)
        best = int(lags[np.argmax(counts)])
        score = float(counts.max())
        name = self._names[best >> _RECORDING_BITS]
        offset = ((best & ((1 << _RECORDING_BITS) - 1)) - (1 << 20)) * FRAME_SAMPLES / SR
        # Nobody calibrated this one: ten agreeing hashes are taken for enough.
        return [Answer(name, offset, score, 0.0 if score >= 10 else 1.0)]

"""Landmark hashes, looked up, and the time difference that most of them agree on.

Nothing but that histogram: no verification, no search over speeds. With the hash of Wang's paper,
in thirty lines (`sameness.py`), it shows that the benchmark itself works; what it finds in clean
excerpts and codecs shows that the true offsets are right. With the hashes of Dejavu it is Dejavu.

References
----------
A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.sameness import FRAME_SAMPLES, landmark_hashes
from benchmarks.fingerprint.systems import Answer

_PLAIN_PEAKS_PER_S = 20
_RECORDING_BITS = 32
_ACCEPTED_VOTES = 10

Hashes = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Keys and their frames."""


class VotingSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(self, folder: Path, hashes: Callable[[Samples], Hashes], frame_s: float) -> None:
        self._hashes, self._frame_s = hashes, frame_s
        self._file = folder / "hashes.npz"
        self._names: list[str] = []
        self._parts: list[NDArray[np.int64]] = []
        if self._file.exists():
            kept = np.load(self._file)
            self._names = [str(name) for name in kept["names"]]
            self._keys, self._places = kept["keys"], kept["places"]

    def add(self, name: str, samples: Samples) -> None:
        keys, frames = self._hashes(samples)
        places = (len(self._names) << _RECORDING_BITS) + frames.astype(np.int64)
        self._parts.append(np.stack([keys, places]))
        self._names.append(name)

    def finish(self) -> None:
        keys, places = np.concatenate(self._parts, axis=1)
        order = np.argsort(keys, kind="stable")
        np.savez(self._file, names=np.array(self._names), keys=keys[order], places=places[order])

    def features(self, samples: Samples) -> None:
        self._hashes(samples)

    def stored_bytes(self) -> int:
        return self._file.stat().st_size

    def identify(self, samples: Samples) -> list[Answer]:
        keys, frames = self._hashes(samples)
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
        offset_s = ((best & ((1 << _RECORDING_BITS) - 1)) - (1 << 20)) * self._frame_s
        # Nobody calibrated these: ten agreeing hashes are taken for enough.
        return [Answer(name, offset_s, score, 0.0 if score >= _ACCEPTED_VOTES else 1.0)]


def plain_system(folder: Path) -> VotingSystem:
    """Make the system of Wang's paper."""
    return VotingSystem(
        folder, lambda sound: landmark_hashes(sound, _PLAIN_PEAKS_PER_S), FRAME_SAMPLES / SR
    )

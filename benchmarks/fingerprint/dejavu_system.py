"""The hashes of Dejavu, by its own code, and the difference of times that most of them agree on.

That histogram is all of Dejavu's matching, and so it is ours (`voting_system.py`), without the
database server that Dejavu keeps its hashes in.

References
----------
W. Drevo, "Audio fingerprinting with Python and NumPy", 2013.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal as dsp

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.voting_system import Hashes, VotingSystem

_THEIR_SR = 44100
_FRAME_S = 4096 / 2 / _THEIR_SR
_FULL_SCALE = 32767  # its least level of a peak counts from samples of 16 bits
_HEX_DIGITS = 15  # of twenty; so many fit into 64 bits with a sign


def dejavu_system(folder: Path) -> VotingSystem:
    """Make the system, or end with a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is from before SciPy 1.8
            from dejavu.logic.fingerprint import fingerprint
    except ImportError as error:
        raise SystemExit(
            "--system dejavu needs `pip install --no-deps PyDejavu-Rollong`, matplotlib, pydub "
            f"({error})"
        ) from error
    return VotingSystem(folder, _hashing(fingerprint), _FRAME_S)


def _hashing(fingerprint: Callable[..., list[tuple[str, int]]]) -> Callable[[Samples], Hashes]:
    def hashes(samples: Samples) -> Hashes:
        wide = dsp.resample_poly(samples, _THEIR_SR // 100, SR // 100) * _FULL_SCALE
        found = sorted(set(fingerprint(np.round(wide), Fs=_THEIR_SR)))
        keys = [int(text[:_HEX_DIGITS], 16) for text, _ in found]
        return np.array(keys, dtype=np.int64), np.array([at for _, at in found], dtype=np.int32)

    return hashes

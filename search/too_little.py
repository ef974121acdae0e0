"""Why nothing could be recognised in a sound at all, whatever the archive holds."""

import math

import numpy as np

from db.storage import AnyFile
from indexer.landmarks import LandmarkFingerprinter

SHORTEST_S = 1.0
"""What is shorter has too few landmarks to be anything but chance."""


def too_little(path: AnyFile, *, from_s: float | None = None, to_s: float | None = None) -> str:
    """Say why there is nothing in a file, or a part of it, that could be recognised.

    Returns
    -------
    str
        Such as ``"0.40 s are too short: below 1 s nothing is tried"``; empty if there is
        something.

    Raises
    ------
    AudioError
        If the file cannot be decoded or has no such part.
    """
    from indexer.mono import mono_blocks  # decoders, which other questions need not load

    fingerprinter = LandmarkFingerprinter()
    sr = fingerprinter.sample_rate
    held, n_heard = np.empty(0, dtype=np.float32), 0
    for block in mono_blocks(path, sr, from_s=from_s, to_s=to_s):
        held = np.concatenate([held, block])
        n_heard += len(block)
        if len(held) >= SHORTEST_S * sr:
            if len(fingerprinter.query(held)[0].frames):
                return ""
            held = held[:0]
    if n_heard < SHORTEST_S * sr:
        heard_s = math.floor(100 * n_heard / sr) / 100  # 0.999 s are not a second
        return f"{heard_s:.2f} s are too short: below {SHORTEST_S:g} s nothing is tried"
    if len(held) and len(fingerprinter.query(held)[0].frames):
        return ""
    return "mixed to one channel it is silent, or nothing below 4 kHz stands out"

"""Vectors of sounds in general, against which the search standardises its scores.

One window each of some hundred training recordings, drawn as in training: rare kinds as often as
common ones. What ships are vectors; no sound can be had back from them.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.audio import AudioTower
from indexer.encoders.echoic_mini.mel import fill
from training.augment import AUDIBLE, WINDOW
from training.data import RECORDED, load
from training.teacher import clip_weights

SEED = 20261124
COUNT = 512


def background(network: bytes, work: Path) -> NDArray[np.float32]:
    """Make the background vectors.

    Parameters
    ----------
    network : bytes
        The exported graph.
    work : Path
        What `data.prepare` and `teacher.listen` wrote.

    Returns
    -------
    ndarray, shape (512, dim), float32
        Unit length.
    """
    rng = np.random.default_rng(SEED)
    audio, clips = load(work)
    weights = clip_weights(clips, work / RECORDED.heard)
    tower = AudioTower(network)
    vectors = []
    for number in rng.choice(len(clips), size=COUNT, replace=False, p=weights):
        clip = clips[number]
        for _ in range(8):  # a place where something sounds
            at = clip.start + int(rng.integers(max(1, clip.length - WINDOW + 1)))
            window = audio[at : min(at + WINDOW, clip.start + clip.length)]
            if np.max(window) > AUDIBLE:
                break
        samples = fill(window.astype(np.float32) / np.float32(32768.0), WINDOW)
        vectors.append(tower.embed(samples))
    return np.array(vectors, np.float32)

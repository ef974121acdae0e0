"""How far sounds reach that are *not* what a phrase says, for the names of the 527 classes.

The teacher heard every training recording: where it does not hear a class, the encoder's score with
the name of the class is what other sounds get. One in a thousand recordings exceeds the level.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.audio import AudioTower
from indexer.encoders.echoic_mini.mel import fill
from indexer.encoders.echoic_mini.text import TextTower
from training.augment import WINDOW
from training.data import RECORDED, load
from training.phrases import classes

NOT_THERE = 0.05
"""The teacher's probability below which a class is taken to be absent."""
EXCEEDED_BY = 1e-3
WINDOWS_A_CLIP = 6


def anchors(
    network: bytes, text: bytes, background: NDArray[np.float32], *, teacher: Path, work: Path
) -> bytes:
    """Make the file of anchors.

    Parameters
    ----------
    network, text : bytes
        The exported graph and the text side.
    background : ndarray, shape (n, dim), float32
        Unit length.
    teacher, work : Path
        Folders of the tagger, for the names, and of what `data.prepare` and `teacher.listen` made.

    Returns
    -------
    bytes
        A ``.npz`` file: ``vectors``, float16 (527, word_dims), and ``levels``, float32 (527,).
    """
    tower = TextTower(text)
    vectors = np.stack([tower.embed(name) for name in classes(teacher)[0]])
    scores = _best_scores(network, vectors, work)
    with np.load(work / RECORDED.heard) as file:
        probabilities = 1.0 / (1.0 + np.exp(-file["logits"].astype(np.float64)))
        owner = file["owner"]
    heard = np.zeros((len(scores), probabilities.shape[1]))
    np.maximum.at(heard, owner, probabilities)
    with_background = background[:, : vectors.shape[1]] @ vectors.T
    standard = (scores - with_background.mean(axis=0)) / with_background.std(axis=0)
    levels = [
        np.quantile(standard[heard[:, number] < NOT_THERE, number], 1.0 - EXCEEDED_BY)
        for number in range(len(vectors))
    ]
    file_ = io.BytesIO()
    np.savez(file_, vectors=vectors.astype(np.float16), levels=np.array(levels, dtype=np.float32))
    return file_.getvalue()


def _best_scores(network: bytes, vectors: NDArray[np.float32], work: Path) -> NDArray[np.float32]:
    """Best score of every recording with every phrase, shape (n_clips, n_phrases)."""
    audio, clips = load(work)
    tower = AudioTower(network)
    scores = np.empty((len(clips), len(vectors)), dtype=np.float32)
    for number, clip in enumerate(clips):
        sound = audio[clip.start : clip.start + clip.length].astype(np.float32) / np.float32(32768)
        count = min(WINDOWS_A_CLIP, max(1, round(len(sound) / WINDOW)))
        windows = [
            fill(sound[at : at + WINDOW], WINDOW)
            for at in np.linspace(0, max(0, len(sound) - WINDOW), count).astype(int)
        ]
        embedded = np.stack([tower.embed(window) for window in windows])
        scores[number] = (embedded[:, : vectors.shape[1]] @ vectors.T).max(axis=0)
    return scores

"""Synthetic sounds for the kinds that the recordings lack: make many, keep what the teacher names.

The teacher hears every candidate, real sounds reworked and sounds from nothing. Of each class the
candidates to which it responds most are kept, more of them the less the recordings excite it.
"""

import json
from dataclasses import asdict
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power
from training.augment import WINDOW
from training.data import RECORDED, SYNTHETIC, Clip, load
from training.resynthesis import rework
from training.synthesis import invent
from training.teacher import Teacher, by_clip, clip_weights

SEED = 20261123
INVENTED_SHARE = 0.5
MOST_OF_A_CLASS = 40
LEAST_OF_A_CLASS = 3
AUDIBLE_RESPONSE = 0.08
AT_RANDOM = 400
FOLDER = "synthetic"
Samples = NDArray[np.float32]


class Maker:
    """Candidate number -> sound, the same on every run.

    Parameters
    ----------
    work : Path
        What `prepare` and `listen` wrote.
    """

    def __init__(self, work: Path) -> None:
        self._audio, self._clips = load(work)
        weights = clip_weights(self._clips, work / RECORDED.heard)
        # Milder than training draws: an odd kind may hide anywhere.
        self._cumulative = np.cumsum(np.sqrt(weights)) / np.sqrt(weights).sum()

    def __call__(self, number: int) -> Samples:
        rng = np.random.default_rng((SEED, number))
        if rng.random() < INVENTED_SHARE:
            return invent(rng).astype(np.float32)
        return rework(lambda: self._excerpt(rng), rng, length=WINDOW)

    def _excerpt(self, rng: np.random.Generator) -> Samples:
        clip = self._clips[int(np.searchsorted(self._cumulative, rng.random()))]
        at = int(rng.integers(max(1, clip.length - WINDOW + 1)))
        stop = min(clip.start + clip.length, clip.start + at + WINDOW)
        return self._audio[clip.start + at : stop].astype(np.float32) / np.float32(32768.0)


class _Worker:
    """What a process needs, made once in it."""

    def __init__(self, work: Path, teacher: Path) -> None:
        self.maker = Maker(work)
        self.teacher = Teacher(teacher)

    def hear(self, number: int) -> tuple[NDArray[np.int16], Samples, Samples]:
        """Candidate, logits, pooled features."""
        sound = self.maker(number)
        logits, pooled = self.teacher(log_mel(mel_power(level(sound))))
        return np.round(sound * np.float32(32000.0)).astype("<i2"), logits, pooled


_workers: list[_Worker] = []


def _start(work: Path, teacher: Path) -> None:
    _workers.append(_Worker(work, teacher))


def _hear(number: int) -> tuple[NDArray[np.int16], Samples, Samples]:
    return _workers[0].hear(number)


def invent_sounds(*, work: Path, teacher: Path, count: int, processes: int = 2) -> None:
    """Make `count` candidates and keep the useful ones.

    Parameters
    ----------
    work : Path
        Holds what `prepare` and `listen` wrote; receives ``synthetic.raw`` and
        ``synthetic.json`` (as ``audio.raw`` and ``index.json``) and ``synthetic.npz`` (as
        ``heard.npz``).
    teacher : Path
        Folder of the tagger.
    count, processes : int
    """
    if (work / SYNTHETIC.index).exists():
        return
    logits, pooled = [], []
    everything = work / "candidates.raw"
    with (
        Pool(processes, _start, (work, teacher)) as pool,
        everything.open("wb") as out,
    ):
        for number, heard in enumerate(pool.imap(_hear, range(count), chunksize=8)):
            out.write(heard[0].tobytes())
            logits.append(heard[1])
            pooled.append(heard[2])
            if (number + 1) % 500 == 0:
                print(f"{number + 1} of {count} candidates", flush=True)
    responses = np.array(logits)
    kept = select(responses, by_clip(load(work)[1], work / RECORDED.heard))
    candidates = np.memmap(everything, dtype="<i2", mode="r").reshape(count, WINDOW)
    clips = []
    with (work / SYNTHETIC.samples).open("wb") as out:
        for number in kept:
            out.write(candidates[number].tobytes())
            clips.append(Clip(FOLDER, str(number), "", len(clips) * WINDOW, WINDOW, False))
    everything.unlink()
    np.savez(
        work / SYNTHETIC.heard,
        logits=responses[kept],
        pooled=np.array(pooled)[kept],
        owner=np.arange(len(kept)),
    )
    (work / SYNTHETIC.index).write_text(json.dumps([asdict(clip) for clip in clips]))
    print(f"{len(kept)} of {count} candidates kept")


def select(responses: Samples, real: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers of the candidates to keep.

    Parameters
    ----------
    responses : ndarray, shape (n_candidates, 527)
        The teacher's logits.
    real : ndarray, shape (n_clips, 527)
        The teacher's probabilities for the recordings trained on.
    """
    probability = 1.0 / (1.0 + np.exp(-responses))
    mass = real.sum(axis=0)
    rng = np.random.default_rng(SEED)
    kept = set(rng.permutation(len(responses))[:AT_RANDOM].tolist())
    for column in range(responses.shape[1]):
        wanted = int(np.clip(400.0 / (4.0 + mass[column]), LEAST_OF_A_CLASS, MOST_OF_A_CLASS))
        best = np.argsort(-probability[:, column])[:wanted]
        kept.update(best[probability[best, column] > AUDIBLE_RESPONSE].tolist())
    return np.array(sorted(kept))

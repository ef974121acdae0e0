"""The tagger that echoic-mini learns from, and what it says about the training recordings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power
from training.augment import WINDOW
from training.data import Clip

MODEL_FILE = "mn04_as.onnx"
WINDOWS_A_CLIP = 6
# Field recordings and foley resemble what archives hold more than single notes and game sounds do.
FOLDER_FACTOR = {"esc10": 2.5, "effects": 2.0}
Array = NDArray[np.float32]


class Teacher:
    """EfficientAT mn04 through ONNX Runtime, one thread.

    Parameters
    ----------
    folder : Path
        Holds ``mn04_as.onnx``.
    """

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(str(folder / MODEL_FILE), options)

    def __call__(self, mel: Array) -> tuple[Array, Array]:
        """Logits (527,) and pooled features (384,) of one log-mel window (128, frames)."""
        logits, pooled = self._session.run(["logits", "pool384"], {"mel": mel[None, None]})
        return logits[0], pooled[0]


@dataclass(frozen=True)
class Targets:
    """How teacher outputs become regression targets.

    Attributes
    ----------
    logit_mean, logit_std : ndarray, shape (527,)
    pooled_mean, pooled_std : ndarray, shape (384,)
    words : ndarray, shape (527, word_dims)
        Orthonormal: principal directions of standardised logits.
    likeness : ndarray, shape (384, likeness_dims)
        Orthonormal: principal directions of standardised pooled features.
    """

    logit_mean: Array
    logit_std: Array
    pooled_mean: Array
    pooled_std: Array
    words: Array
    likeness: Array

    @classmethod
    def load(cls, path: Path) -> "Targets":
        with np.load(path) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})


def listen(audio: NDArray[np.int16], clips: list[Clip], teacher: Teacher, out: Path) -> None:
    """Write the teacher's outputs for up to six windows of every recording to `out` (npz)."""
    if out.exists():
        return
    logits, pooled, owner = [], [], []
    for number, clip in enumerate(clips):
        sound = audio[clip.start : clip.start + clip.length].astype(np.float32) / np.float32(32768)
        count = min(WINDOWS_A_CLIP, max(1, round(len(sound) / WINDOW)))
        for at in np.linspace(0, max(0, len(sound) - WINDOW), count).astype(int):
            window = np.resize(sound[at : at + WINDOW], WINDOW)
            one_logits, one_pooled = teacher(log_mel(mel_power(level(window))))
            logits.append(one_logits)
            pooled.append(one_pooled)
            owner.append(number)
    np.savez(out, logits=np.array(logits), pooled=np.array(pooled), owner=np.array(owner))


def by_clip(clips: list[Clip], heard: Path) -> NDArray[np.float64]:
    """How probable each class is in each recording; nothing in the watched ones.

    Returns
    -------
    ndarray, shape (n_clips, 527)
        The largest probability over the recording's windows.
    """
    with np.load(heard) as file:
        probabilities = 1.0 / (1.0 + np.exp(-file["logits"].astype(np.float64)))
        owner = file["owner"]
    present = np.zeros((len(clips), probabilities.shape[1]))
    np.maximum.at(present, owner, probabilities)
    present[[clip.watched for clip in clips]] = 0.0
    return present


def clip_weights(clips: list[Clip], heard: Path, *, power: float = 0.7) -> NDArray[np.float64]:
    """How often to draw each recording, so that rare kinds are heard as well as common ones.

    The kinds are the teacher's classes: a recording counts by the classes found in it, and a class
    counts less the more of it there is. Watched recordings count nothing.

    Returns
    -------
    ndarray, shape (n_clips,)
        Sums to 1.
    """
    present = by_clip(clips, heard)
    trained = np.array([not clip.watched for clip in clips])
    mass = np.maximum(present.sum(axis=0), 1.0)
    weights = (present / mass**power).sum(axis=1)
    length_s = np.array([clip.length for clip in clips]) / 32_000
    weights *= np.clip(np.sqrt(length_s / 5.0), 1.0, 3.0)
    typical = np.median(weights[trained])
    weights = np.clip(weights, 0.3 * typical, 10.0 * typical) * trained
    weights *= [FOLDER_FACTOR.get(clip.folder, 1.0) for clip in clips]
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def fit_targets(
    heard: Path, weights: NDArray[np.float64], *, word_dims: int, likeness_dims: int, out: Path
) -> None:
    """Means, deviations and principal directions of the teacher's outputs, written to `out`."""
    with np.load(heard) as file:
        logits, pooled, owner = file["logits"], file["pooled"], file["owner"]
    share = weights[owner] / np.bincount(owner)[owner]
    share /= share.sum()
    result: dict[str, NDArray[np.float64]] = {}
    plan = (
        ("logit", "words", logits, word_dims),
        ("pooled", "likeness", pooled, likeness_dims),
    )
    for name, basis, values, dims in plan:
        mean = share @ values
        std = np.sqrt(share @ np.square(values - mean)) + 1e-3
        standard = (values - mean) / std
        eigenvalues, vectors = np.linalg.eigh((standard * share[:, None]).T @ standard)
        kept = eigenvalues[::-1][:dims].sum() / eigenvalues.sum()
        print(f"{basis}: {dims} of {len(mean)} directions keep {kept:.4f} of the variance")
        result |= {f"{name}_mean": mean, f"{name}_std": std, basis: vectors[:, ::-1][:, :dims]}
    np.savez(out, **{key: value.astype(np.float32) for key, value in result.items()})

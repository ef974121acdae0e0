"""What an evaluation asks, made of what is known to be true."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from search.evaluation.ground_truth import Clip, GroundTruth
from search.evaluation.metrics import Flags


class Gallery(StrEnum):
    """Which clips are searched through."""

    SAME = "same"
    """Those that are measured."""
    ALL = "all"
    """All that the manifest lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """What is asked, and what the right answers are.

    Attributes
    ----------
    clips : tuple of Clip, length n
        Those that are searched through.
    sources : ndarray, shape (n,), int64
        Clips of one recording have the same number.
    measured : ndarray, int64
        Places in `clips` of those that are named and that are examples.
    labels : tuple of str, length n_labels
        All classes of `clips`.
    relevant : ndarray, shape (n_labels, n), bool
    asked : ndarray, int64
        Places in `labels` of the classes that measured clips have.
    captions : tuple of str, length n_captions
    described : ndarray, shape (n_captions,), int64
        The clip that each caption describes.
    """

    clips: tuple[Clip, ...]
    sources: NDArray[np.int64]
    measured: NDArray[np.int64]
    labels: tuple[str, ...]
    relevant: Flags
    asked: NDArray[np.int64]
    captions: tuple[str, ...]
    described: NDArray[np.int64]


def questions_of(truth: GroundTruth, gallery: Gallery) -> Questions:
    """Make the questions that a manifest poses."""
    clips = tuple(c for c in truth.clips if c.is_chosen or gallery is Gallery.ALL)
    numbers = {source: at for at, source in enumerate(dict.fromkeys(c.source for c in clips))}
    labels = tuple(sorted({label for clip in clips for label in clip.labels}))
    own = [set(clip.labels) for clip in clips]
    relevant = np.array([[label in has for has in own] for label in labels], dtype=np.bool_)
    relevant = relevant.reshape(len(labels), len(clips))
    measured = _places(clip.is_chosen and bool(clip.labels) for clip in clips)
    captions = [
        (caption, at)
        for at, clip in enumerate(clips)
        if clip.is_chosen
        for caption in clip.captions
    ]
    return Questions(
        clips,
        np.array([numbers[clip.source] for clip in clips], dtype=np.int64),
        measured,
        labels,
        relevant,
        np.flatnonzero(relevant[:, measured].any(axis=1)),
        tuple(caption for caption, _ in captions),
        np.array([at for _, at in captions], dtype=np.int64),
    )


def alike(questions: Questions, rows: NDArray[np.int64]) -> tuple[Flags, Flags]:
    """Tell which clips an example may find, and which of those share a class with it.

    Parameters
    ----------
    rows : ndarray, shape (n_examples,), int64
        Places of the examples in ``questions.clips``.

    Returns
    -------
    others, relevant : ndarray, shape (n_examples, n), bool
        `others` are of another recording.
    """
    others = questions.sources[rows, np.newaxis] != questions.sources
    labels = questions.relevant.astype(np.float32)
    return others, (labels[:, rows].T @ labels > 0) & others


def _places(flags: Iterable[bool]) -> NDArray[np.int64]:
    return np.flatnonzero(np.fromiter(flags, dtype=np.bool_))

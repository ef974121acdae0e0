"""Phrases written by hand, each with the classes of AudioSet that it means."""

import csv
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.text import parts_of

PROMPTS_FILE = Path(__file__).with_name("prompts.csv")
# One phrase in so many is never learnt from, so that it can tell what the learning is worth.
HELD_OUT_SHARE = 10
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Prompts:
    """Hand-written phrases, each with the shares of the classes it means.

    Attributes
    ----------
    phrases : list of str
    shares : ndarray, shape (n_phrases, n_classes), float32
        Rows sum to 1.
    held_out : ndarray, shape (n_phrases,), bool
        The phrases kept for measuring.
    """

    phrases: list[str]
    shares: Array
    held_out: NDArray[np.bool_]

    @property
    def single(self) -> NDArray[np.bool_]:
        """The phrases that name one sound; the others are cut before they are understood."""
        return np.array([len(parts_of(phrase)) == 1 for phrase in self.phrases])


def read_prompts(names: list[str], path: Path = PROMPTS_FILE) -> Prompts:
    """Read the hand-written phrases.

    Parameters
    ----------
    names : list of str
        The 527 classes.
    path : Path
        CSV with the columns phrase and classes: names joined by ``|``, each perhaps with a weight,
        as in ``Rain*3|Wind``.

    Raises
    ------
    ValueError
        If a phrase comes twice, or names a class that there is not.
    """
    number = {name: index for index, name in enumerate(names)}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shares = np.zeros((len(rows), len(names)), np.float32)
    for row, share in zip(rows, shares, strict=True):
        for entry in row["classes"].split("|"):
            match = re.fullmatch(r"(.+?)(?:\*(\d+))?", entry)
            if match is None or match[1] not in number:
                raise ValueError(f"{path}: {row['phrase']!r} means no class called {entry!r}")
            share[number[match[1]]] += float(match[2] or 1)
    phrases = [row["phrase"] for row in rows]
    if len(set(phrases)) < len(phrases):
        raise ValueError(f"{path}: some phrase comes twice")
    held_out = np.array([zlib.crc32(phrase.encode()) % HELD_OUT_SHARE == 0 for phrase in phrases])
    return Prompts(phrases, shares / shares.sum(axis=1, keepdims=True), held_out)


def right(shares: Array, meant: Array) -> tuple[float, float]:
    """How often the first, and one of the first five, of the classes found is meant.

    Parameters
    ----------
    shares, meant : ndarray, shape (n_phrases, n_classes)
    """
    best = np.argsort(-shares, axis=1)[:, :5]
    hits = np.take_along_axis(meant, best, axis=1) > 0
    return float(hits[:, 0].mean()), float(hits.any(axis=1).mean())

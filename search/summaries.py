"""One vector a recording: what all of its segments have in common, and its principal components."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.stored_vectors import VectorBlock, vector_blocks

_COMPONENTS: Final = 50
_ROWS_AT_ONCE: Final = 10_000

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Summaries:
    """What recordings are as a whole.

    Attributes
    ----------
    ids : ndarray, shape (n,), int64
    vectors : ndarray, shape (n, dim), float16
        The mean direction of each recording's segments, unit length.
    typical : ndarray, shape (n,), int32
        Which of its segments comes nearest to that.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]
    typical: NDArray[np.int32]

    @classmethod
    def none(cls) -> Self:
        """Return those of no recording."""
        return cls(np.empty(0, np.int64), np.empty((0, 0), np.float16), np.empty(0, np.int32))

    def joined(self, other: Self) -> Self:
        """Return these and others."""
        if not len(self.ids) or not len(other.ids):
            return other if len(other.ids) else self
        return type(self)(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.typical, other.typical]),
        )


def summaries_of(
    catalogue: Catalogue,
    encoder: str,
    ids: Sequence[int],
    on_progress: Callable[[int], None] = lambda done: None,
) -> Summaries:
    """Read recordings; those without vectors are left out.

    Parameters
    ----------
    on_progress
        Told how many have been read.
    """
    parts: list[Summaries] = []
    n_read = 0
    for block in vector_blocks(catalogue, encoder, ids):
        parts.append(_summary(block))
        n_read += len(block.recording_ids)
        on_progress(n_read)
    if not parts:
        return Summaries.none()
    return Summaries(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.typical for part in parts]),
    )


def _summary(block: VectorBlock) -> Summaries:
    """Return the mean direction of each recording, and the segment that comes nearest to it."""
    firsts = block.firsts
    sums = np.add.reduceat(block.vectors, firsts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means = sums / np.maximum(lengths, np.float32(1e-6))
    owners = np.repeat(np.arange(len(firsts)), block.counts)
    alike = np.einsum("nd,nd->n", block.vectors, means[owners])
    best = np.flatnonzero(alike == np.maximum.reduceat(alike, firsts)[owners])
    _, earliest = np.unique(owners[best], return_index=True)
    return Summaries(
        np.array(block.recording_ids, dtype=np.int64),
        means.astype(np.float16),
        (best[earliest] - firsts).astype(np.int32),
    )


def principal(vectors: NDArray[np.float16]) -> tuple[Floats, Floats]:
    """Return the mean of vectors, and their principal components.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float16

    Returns
    -------
    mean : ndarray, shape (dim,), float32
    components : ndarray, shape (dim, m), float32
        The greatest first, at most 50.
    """
    n, dim = vectors.shape
    mean = np.zeros(dim)
    scatter = np.zeros((dim, dim))
    for start in range(0, n, _ROWS_AT_ONCE):
        mean += vectors[start : start + _ROWS_AT_ONCE].sum(axis=0, dtype=np.float64) / n
    for start in range(0, n, _ROWS_AT_ONCE):
        part = vectors[start : start + _ROWS_AT_ONCE] - mean
        scatter += part.T @ part
    components = np.linalg.eigh(scatter)[1][:, ::-1][:, :_COMPONENTS]
    # Which of the two directions of an axis is positive, is chance: the larger part decides.
    largest = components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])]
    components = components * np.where(largest < 0, -1.0, 1.0)
    return mean.astype(np.float32), components.astype(np.float32)


def reduce(vectors: NDArray[np.float16], mean: Floats, components: Floats) -> Floats:
    """Return vectors by their principal components, shape (n, m), float32."""
    reduced = np.empty((len(vectors), components.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        reduced[rows] = (vectors[rows].astype(np.float32) - mean) @ components
    return reduced

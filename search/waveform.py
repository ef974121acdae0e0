"""What a waveform shows: how loud a recording is, column by column."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from db.storage import AnyFile
from indexer.stretches import read_pieces

_HEIGHT = 96
_CHUNK_S = 10.0
_FAINTEST = 0.01  # 40 dB below full scale: silence stays flat, it is not blown up to noise

Levels = NDArray[np.float32]


def levels(path: AnyFile, from_s: float, to_s: float, *, n_columns: int, piece_s: float) -> Levels:
    """Return how loud a part of a file is over time.

    Parameters
    ----------
    from_s, to_s : float
        In seconds.
    n_columns : int
        Into how many stretches of equal length the part is divided.
    piece_s : float
        So much of each is read, in seconds; all of it if it is shorter.

    Returns
    -------
    ndarray, shape (n_columns, 2), float32
        Peak and root mean square of each, over all channels; full scale is 1.0.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    step_s = (to_s - from_s) / n_columns
    found = np.zeros((n_columns, 2), dtype=np.float32)
    if piece_s < step_s:
        starts = (from_s + (np.arange(n_columns) + 0.5) * step_s - piece_s / 2).tolist()
        pieces = read_pieces(path, [(start, start + piece_s) for start in starts])
        for number, stretch in enumerate(pieces):
            found[number] = _level(stretch.samples)
        return found
    for first, last, samples in _chunks(path, from_s, step_s, n_columns):
        edges = np.linspace(0, len(samples), last - first + 1).round().astype(int).tolist()
        for number, (start, end) in enumerate(pairwise(edges), start=first):
            found[number] = _level(samples[start : max(end, start + 1)])
    return found


def _chunks(
    path: AnyFile, from_s: float, step_s: float, n_columns: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Yield all samples, some columns at a time: the first, the one after the last, the samples."""
    n_chunks = min(n_columns, max(1, math.ceil(n_columns * step_s / _CHUNK_S)))
    columns = np.linspace(0, n_columns, n_chunks + 1).round().astype(int).tolist()
    times = [from_s + column * step_s for column in columns]
    pieces = read_pieces(path, list(pairwise(times)))
    for (first, last), stretch in zip(pairwise(columns), pieces, strict=True):
        yield first, last, stretch.samples


def _level(samples: NDArray[np.float32]) -> tuple[float, float]:
    if not len(samples):
        return 0.0, 0.0
    flat = np.ascontiguousarray(samples).ravel()
    peak = max(float(flat.max()), -float(flat.min()))
    return peak, math.sqrt(float(flat @ flat) / len(flat))


def drawn(found: Levels) -> NDArray[np.float32]:
    """Draw levels about a middle line, the loudest over the whole height.

    Parameters
    ----------
    found : ndarray, shape (n_columns, 2), float32
        As `levels` gives them.

    Returns
    -------
    ndarray, shape (height, n_columns), float32
        0 for the ground, 0.6 between mean and peak, 1 within the mean; the upper row first.
    """
    loudest = max(float(found[:, 0].max(initial=0.0)), _FAINTEST)
    middle = (_HEIGHT - 1) / 2
    away = np.abs(np.arange(_HEIGHT) - middle)[:, None] / (middle + 0.5)
    reach = np.maximum(found.T / np.float32(loudest), 1 / _HEIGHT)  # a line where it is silent
    peak, mean = reach[0][None, :], reach[1][None, :]
    return np.where(away <= mean, 1.0, np.where(away <= peak, 0.6, 0.0)).astype(np.float32)

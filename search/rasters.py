"""Points laid over a raster of frames and frequencies, in place and some frames moved."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", np.float32, np.bool_)

CELL = 2
"""Quarters of a bin in a column of a raster of peaks."""


def has(
    raster: NDArray[np.bool_], rows: NDArray[np.int64], cells: NDArray[np.int64], lag: int
) -> NDArray[np.bool_]:
    """Return whether a raster is marked where points fall after a lag; not outside of it."""
    moved = rows + lag
    inside = (moved >= 0) & (moved < len(raster))
    return inside & raster[np.where(inside, moved, 0), cells]


def mark(
    raster: NDArray[np.bool_], rows: NDArray[np.int64], frequencies: NDArray[np.float32]
) -> None:
    """Mark points in a raster of frames and cells, and what is beside them."""
    cells = (frequencies / CELL).astype(np.int64)
    for late in (-1, 0, 1):
        for up in (-1, 0, 1):
            raster[rows + late, np.clip(cells + up, 0, raster.shape[1] - 1)] = True


def laid(
    raster: NDArray[_T],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    lags: NDArray[np.int64],
) -> NDArray[_T]:
    """Return what a raster holds at landmarks at each of some lags, shape (n_lags, n)."""
    width = raster.shape[1]
    places = rows * width + columns
    # Twice as fast as indices in two dimensions.
    found: NDArray[_T] = raster.ravel().take(places + (lags * width)[:, np.newaxis])
    return found

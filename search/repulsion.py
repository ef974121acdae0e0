"""How points of a plane push each other away, all of them at once.

Each point pushes each other one with ``d / (1 + d²)²``, `d` being their distance. The sum over all
pairs is a convolution: the points are spread over the nodes of a grid, the convolution is done by
FFT, and what acts on a point is read between the nodes.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_array

_SPACING: Final = 0.4  # the force is all but straight over such a distance
_MOST_NODES: Final = 1000
_FEWEST_NODES: Final = 128
_NODES_FOR_ROOT: Final = 6
"""Points need room with the root of their number; a grid for more room is coarser, not larger."""
_ROOM: Final = 32  # a grid grows by so many nodes at once: its kernels can be used again
_REACH: Final = 4  # nodes on each axis that a point is spread over

Floats = NDArray[np.float32]


class Repulsion:
    """Computes the repulsion between points; keeps what can be used for the next step."""

    def __init__(self) -> None:
        self._key: tuple[float, int, int] = (0.0, 0, 0)
        self._kernels: NDArray[np.complex64] = np.empty((0, 0, 0), dtype=np.complex64)

    def of(self, places: Floats) -> tuple[Floats, float]:
        """Return the forces on all points.

        Parameters
        ----------
        places : ndarray, shape (2, n), float32

        Returns
        -------
        forces : ndarray, shape (2, n), float32
            The sum over all others of ``(p - q) / (1 + |p - q|²)²``; within some per cent.
        total : float
            The sum over all pairs of ``1 / (1 + |p - q|²)``.

        References
        ----------
        Linderman et al., "Fast interpolation-based t-SNE for improved visualization of single-cell
        RNA-seq data", Nature Methods 2019.
        """
        low = places.min(axis=1, keepdims=True)
        extent = places.max(axis=1, keepdims=True) - low
        most = _FEWEST_NODES + _NODES_FOR_ROOT * math.isqrt(places.shape[1])
        spacing = max(_SPACING, float(extent.max()) / min(most, _MOST_NODES))
        height, width = (
            int(n) for n in _ROOM * -(-(extent[:, 0] // spacing + _REACH + 1) // _ROOM)
        )
        kernels, shape = self._kernels_of(spacing, height, width)
        spread = _spreading((places - low) / np.float32(spacing), width, height * width)
        density = (spread.T @ np.ones(places.shape[1], dtype=np.float32)).reshape(height, width)
        spectrum = fft.rfft2(density, shape)
        fields = fft.irfft2(spectrum * kernels, shape)[:, :height, :width]
        felt = (spread @ fields.reshape(3, -1).T).T
        total = float(felt[2].sum(dtype=np.float64)) - places.shape[1]  # without oneself
        return np.ascontiguousarray(felt[:2]), max(total, 1e-12)

    def _kernels_of(
        self, spacing: float, height: int, width: int
    ) -> tuple[NDArray[np.complex64], tuple[int, int]]:
        shape = (fft.next_fast_len(2 * height, real=True), fft.next_fast_len(2 * width, real=True))
        if self._key != (spacing, *shape):
            down, right = (
                np.float32(spacing) * np.minimum(np.arange(n), n - np.arange(n)) for n in shape
            )
            falling = 1 / (1 + down[:, np.newaxis] ** 2 + right[np.newaxis] ** 2)
            signs = [np.where(np.arange(n) > n // 2, -1, 1) for n in shape]
            forces = [
                (signs[0] * down)[:, np.newaxis] * falling**2,
                (signs[1] * right)[np.newaxis] * falling**2,
            ]
            self._kernels = fft.rfft2(np.stack([*forces, falling]).astype(np.float32))
            self._key = (spacing, *shape)
        return self._kernels, shape


def _spreading(cells: Floats, width: int, n_nodes: int) -> csr_array:
    """Return how each point is spread over the nodes around it: cubic interpolation."""
    n = cells.shape[1]
    base = np.floor(cells)
    along = [_cubic(cells[axis] - base[axis]) for axis in (0, 1)]
    weights = along[0][:, :, np.newaxis] * along[1][:, np.newaxis, :]
    first = base[0].astype(np.int32) * width + base[1].astype(np.int32)
    around = np.arange(_REACH, dtype=np.int32)
    offsets = (around[:, np.newaxis] * width + around).reshape(-1)
    columns = first[:, np.newaxis] + offsets
    starts = np.arange(n + 1, dtype=np.int32) * _REACH**2
    return csr_array((weights.reshape(-1), columns.reshape(-1), starts), shape=(n, n_nodes))


def _cubic(t: Floats) -> Floats:
    """Return Lagrange's weights of four nodes for places between the middle ones, shape (n, 4)."""
    before, after, far = t + 1, t - 1, t - 2
    return np.stack(
        [
            -t * after * far / 6,
            before * after * far / 2,
            -before * t * far / 2,
            before * t * after / 6,
        ],
        axis=1,
    )

"""Lays points of many dimensions out in a plane, so that neighbours stay neighbours.

This is t-SNE with a graph of nearest neighbours in place of perplexities, its repulsion computed on
a grid. Every step is a sum over all points: there are no random numbers in it, and the same points
get the same places again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.repulsion import Repulsion

N_NEIGHBOURS: Final = 15
"""So many nearest neighbours hold a point in its place."""

_FEW: Final = 60
"""Up to so many points have no neighbourhoods that could be kept: all distances count."""
_ROUNDS_OF_FEW: Final = 200
_GATHERING: Final = 250
_SPREADING: Final = 500
_GATHERED: Final = 12.0
_SPREAD: Final = 1.0
_FIRST_SPREAD: Final = 1e-4
_LONGEST_STEP: Final = 5.0
_SEARCHED_WHOLE: Final = 20_000
"""Up to so many points each is compared with each; of more, with those of the nearest cells."""
_CELLS_SEARCHED: Final = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Which points hold each other, each pair once.

    Attributes
    ----------
    first, second : ndarray, shape (n_edges,), int32
        ``first < second``.
    weights : ndarray, shape (n_edges,), float32
        Their sum is one half: an edge counts for both of its ends.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    weights: Floats


def lay_out(
    points: Floats, *, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> Floats:
    """Return places in a plane for points of many dimensions.

    Parameters
    ----------
    points : ndarray, shape (n, dim), float32
        At least one; their principal components, the greatest first. What is near by Euclidean
        distance shall be near in the plane.
    on_progress
        Told how many steps are done, of how many.

    Returns
    -------
    ndarray, shape (n, 2), float32
        Centred; distances between points far apart mean little.

    References
    ----------
    van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 2008. Linderman et al., "Fast
    interpolation-based t-SNE", Nature Methods 2019: the grid. Kobak and Berens, "The art of using
    t-SNE for single-cell transcriptomics", Nature Communications 2019: principal components to
    begin with, steps that grow with the number of points. Boehm, Berens and Kobak,
    "Attraction-repulsion spectrum in neighbor embeddings", JMLR 2022: neighbours of equal weight,
    attraction kept above 1.
    """
    if len(points) <= _FEW:
        return _lay_out_few(points)
    walk = _Walk(_first_places(points), edges_of(neighbours(points, N_NEIGHBOURS)))
    n_steps = _GATHERING + _SPREADING
    for step in range(n_steps):
        walk.step(_GATHERED if step < _GATHERING else _SPREAD)
        on_progress(step + 1, n_steps)
    return walk.places.T.copy()


def neighbours(points: Floats, k: int) -> NDArray[np.int64]:
    """Return the `k` nearest other points of each point.

    Returns
    -------
    ndarray, shape (n, k), int64
        Of more than 20,000 points one in a hundred is missed, and another near one found instead.
        A point's own number where there are too few.
    """
    itself = np.arange(len(points))[:, np.newaxis]
    found = _search(points, k + 1)
    found = np.where(found < 0, itself, found)
    # A point is its own nearest one, unless there are several in one place.
    is_self = found == itself
    is_self[~is_self.any(axis=1), -1] = True
    order = np.argsort(is_self, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, order, axis=1)


def _search(points: Floats, k: int) -> NDArray[np.int64]:
    import faiss

    n, dim = points.shape
    if n <= _SEARCHED_WHOLE:
        return np.asarray(faiss.knn(points, points, k)[1], dtype=np.int64)
    cells = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, round(2 * n**0.5))
    cells.cp.niter = 8
    cells.nprobe = _CELLS_SEARCHED
    cells.train(points)  # begins with the same points every time
    cells.add(points)
    return np.asarray(cells.search(points, k)[1], dtype=np.int64)


def edges_of(nearest: NDArray[np.int64]) -> Edges:
    """Return the graph of nearest neighbours; those who have each other hold twice as fast."""
    n, k = nearest.shape
    one = np.repeat(np.arange(n, dtype=np.int64), k)
    other = nearest.reshape(-1)
    pairs = (np.minimum(one, other) * n + np.maximum(one, other))[one != other]
    unique, counts = np.unique(pairs, return_counts=True)
    return Edges(
        (unique // n).astype(np.int32),
        (unique % n).astype(np.int32),
        (counts / max(1, 2 * len(pairs))).astype(np.float32),
    )


def _lay_out_few(points: Floats) -> Floats:
    """Return places whose distances are as near as may be to those of the points.

    References
    ----------
    de Leeuw, "Applications of convex analysis to multidimensional scaling", 1977.
    """
    n = len(points)
    wanted = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    places = np.zeros((n, 2))
    places[:, : min(2, points.shape[1])] = points[:, :2]
    for _ in range(_ROUNDS_OF_FEW):
        away = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
        pull = -wanted / np.maximum(away, 1e-9)
        np.fill_diagonal(pull, 0.0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        places = pull @ places / n
    return places.astype(np.float32)


def _first_places(points: Floats) -> Floats:
    """Return the first two components, shape (2, n), as small as the walk wants to begin."""
    n, dim = points.shape
    places = np.zeros((2, n), dtype=np.float32)
    places[: min(2, dim)] = points.T[:2]
    places -= places.mean(axis=1, keepdims=True)
    scale = float(places[0].std())
    return places * np.float32(_FIRST_SPREAD / scale) if scale > 0 else places


class _Walk:
    """Moves points to where attraction and repulsion are in balance: descent with momentum."""

    def __init__(self, places: Floats, edges: Edges) -> None:
        self.places = places
        self._edges = edges
        self._repulsion = Repulsion()
        self._moves = np.zeros_like(places)
        self._gains = np.ones_like(places)

    def step(self, attraction: float) -> None:
        """Move all points once."""
        n = self.places.shape[1]
        away, total = self._repulsion.of(self.places)
        gradient = attraction * self._pull() - away / np.float32(total)
        # Faster where the direction is kept, slower where it turns.
        keeps = (gradient > 0) != (self._moves > 0)
        self._gains = np.maximum(
            np.where(keeps, self._gains + np.float32(0.2), self._gains * np.float32(0.8)),
            np.float32(0.01),
        )
        rate = np.float32(n / attraction)
        self._moves = np.float32(0.8) * self._moves - rate * self._gains * gradient
        length = np.hypot(*self._moves)
        self._moves *= np.float32(_LONGEST_STEP) / np.maximum(length, np.float32(_LONGEST_STEP))
        self.places = self.places + self._moves
        self.places -= self.places.mean(axis=1, keepdims=True)

    def _pull(self) -> Floats:
        """Return how the neighbours pull: the gradient of the attraction, shape (2, n)."""
        edges, n = self._edges, self.places.shape[1]
        along = [axis[edges.first] - axis[edges.second] for axis in self.places]
        pull = edges.weights / (1 + along[0] ** 2 + along[1] ** 2)
        result = np.empty_like(self.places)
        for axis, part in enumerate(along):
            force = pull * part
            result[axis] = np.bincount(edges.first, force, n) - np.bincount(edges.second, force, n)
        return result

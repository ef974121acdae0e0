"""Inverted lists in FAISS: making them, looking into them, and searching the nearest first."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from db.vectors import SegmentBitmap

# The constructors take what FAISS's Python layer adds to them, which its types do not know.
_faiss: Any = faiss

# The share of the lists that is searched at first, when nothing is filtered. Then as many again,
# and so on in doublings, until one changes nothing. Measured: benchmarks/search_latency.py.
_FIRST_SHARE: Final = 1 / 16
# With fewer vectors allowed than this share, going through all of them is cheap and exact.
_EXHAUSTIVE_BELOW: Final = 0.05


@dataclass(frozen=True, slots=True)
class Found:
    """Hits of one query, the best first, among equals the lower id first."""

    scores: NDArray[np.float32]
    ids: NDArray[np.int64]

    def merge(self, other: "Found", limit: int) -> "Found":
        scores = np.concatenate([self.scores, other.scores])
        ids = np.concatenate([self.ids, other.ids])
        order = np.lexsort((ids, -scores))[:limit]
        return Found(scores[order], ids[order])


class Probe:
    """Searches lists for the best `k` of each query, the nearest lists first.

    The first `n_first` lists are searched, then as many again, and so on in doublings, until there
    are `k` hits and a doubling brings nothing new among them (1 % of them may be new), or no list
    is left. Easy queries end early; hard ones and those with an unlucky filter go on.
    """

    def __init__(self, ivf: Any, k: int, n_first: int, allowed: SegmentBitmap | None) -> None:
        self._ivf = ivf
        self._k = k
        self._n_first = n_first
        # The selector points into the bitmap, so this object must keep both.
        self._allowed = None if allowed is None else np.ascontiguousarray(allowed)
        self._selector = None if self._allowed is None else selector(self._allowed)

    def search(self, query: NDArray[np.float32]) -> Found:
        """Return the best `k`; `query` has the shape (1, dim)."""
        n_lists = self._ivf.nlist
        distances, lists = self._ivf.quantizer.search(query, n_lists)
        found = Found(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64))
        start, end = 0, self._n_first
        while True:
            fresh = self._search_lists(query, distances[:, start:end], lists[:, start:end])
            before, found = found, found.merge(fresh, self._k + 1)
            if end == n_lists or has_settled(before.ids, found.ids, self._k):
                break
            start, end = end, min(2 * end, n_lists)
        if len(found.ids) > self._k and found.scores[self._k] == found.scores[self._k - 1]:
            found = self._all_as_good(query, found.scores[self._k])
        return Found(found.scores[: self._k], found.ids[: self._k])

    def _search_lists(
        self, query: NDArray[np.float32], distances: NDArray[np.float32], lists: NDArray[np.int64]
    ) -> Found:
        """Return the best ``k + 1``, so that a tie between the last and the next is noticed."""
        distances, lists = np.ascontiguousarray(distances), np.ascontiguousarray(lists)
        scores = np.empty(self._k + 1, dtype=np.float32)
        ids = np.empty(self._k + 1, dtype=np.int64)
        # The wrapper of search_preassigned takes no parameters, the function beneath it does.
        self._ivf.search_preassigned_c(
            1,
            faiss.swig_ptr(query),
            self._k + 1,
            faiss.swig_ptr(lists),
            faiss.swig_ptr(distances),
            faiss.swig_ptr(scores),
            faiss.swig_ptr(ids),
            False,
            self._parameters(lists.shape[1]),
            None,
        )
        return Found(scores[ids >= 0], ids[ids >= 0])

    def _all_as_good(self, query: NDArray[np.float32], score: np.float32) -> Found:
        """Return everything that scores at least `score`, from all lists.

        FAISS keeps any of those that tie for the last place; we promise the lowest ids. Silence
        makes such ties: thousands of segments with one vector.
        """
        below = float(np.nextafter(score, np.float32(-np.inf)))
        parameters = self._parameters(self._ivf.nlist)
        _, scores, ids = self._ivf.range_search(query, below, params=parameters)
        order = np.lexsort((ids, -scores))
        return Found(scores[order], ids[order])

    def _parameters(self, n_probe: int) -> Any:
        return _faiss.SearchParametersIVF(nprobe=n_probe, sel=self._selector)


def has_settled(before: NDArray[np.int64], after: NDArray[np.int64], k: int) -> bool:
    """Tell whether searching more lists brought nothing new: at most 1 % of the best `k`."""
    if len(before) < k:
        return False
    return int(np.count_nonzero(~np.isin(after[:k], before[:k]))) <= k // 100


def first_lists(n_lists: int, share_allowed: float) -> int:
    """Return how many lists to search at first.

    The fewer vectors are allowed, the further away the best of them lie, and the less it costs to
    go through a list.
    """
    if share_allowed <= _EXHAUSTIVE_BELOW:
        return n_lists
    return min(n_lists, math.ceil(n_lists * _FIRST_SHARE / math.sqrt(share_allowed)))


def new_ivf(centroids: NDArray[np.float32]) -> Any:
    """Return an empty inverted file of float16 codes with a list around each centre."""
    n_lists, dim = centroids.shape
    coarse = faiss.IndexFlatIP(dim)
    coarse.add(centroids)
    ivf = faiss.IndexIVFScalarQuantizer(
        coarse,
        dim,
        n_lists,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # codes are the vectors themselves, not what is left after the centre
    )
    ivf.is_trained = True  # the centres are there, and float16 has nothing to train
    return ivf


def list_sizes(ivf: Any) -> NDArray[np.int64]:
    sizes = (ivf.invlists.list_size(number) for number in range(ivf.nlist))
    return np.fromiter(sizes, dtype=np.int64, count=ivf.nlist)


def list_views(ivf: Any, number: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Return the ids and the vectors of a list: FAISS's own memory, valid until it changes."""
    size = ivf.invlists.list_size(number)
    if not size:
        return np.empty(0, dtype=np.int64), np.empty((0, ivf.d), dtype=np.float16)
    ids = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size)
    codes = faiss.rev_swig_ptr(ivf.invlists.get_codes(number), size * ivf.code_size)
    return ids, codes.view(np.float16).reshape(size, ivf.d)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let FAISS use one thread. OpenMP keeps the number for each calling thread by itself."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def selector(bitmap: SegmentBitmap) -> Any:
    """Return a FAISS selector of these ids. It points into the bitmap, which must outlive it."""
    return _faiss.IDSelectorBitmap(bitmap)

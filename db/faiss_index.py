"""Vectors in FAISS: exact while they are few, in lists of neighbours when they are many.

There is one structure: an inverted file over float16 codes. While the vectors are few it has one
list, and a search goes through all of it. `FaissIndex.optimise` distributes many vectors over some
2 sqrt(n) lists, each around a centre; a search then goes through the lists whose centres are
nearest to the query, and through more of them until that changes nothing. The codes are the vectors
themselves, so scores are exact either way and nothing is kept twice.

Short codes (RaBitQ) re-ranked from a second, exact copy were measured and left out. A query by
words lies far from all vectors, and its best hits are hardly better than thousands of others: of a
million, 4,000 candidates by short codes held 94 % of the ten best, in 7 ms; the nearest eighth of
1,024 of these lists held 99 %, in 6 ms.

References
----------
.. [1] J. Johnson, M. Douze, H. Jegou: Billion-scale similarity search with GPUs. IEEE Transactions
   on Big Data 7(3), 2021.
"""

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from db.errors import VectorIndexError
from db.faiss_lists import Probe, first_lists, list_sizes, list_views, new_ivf, one_thread, selector
from db.id_set import IdSet
from db.index_file import Contents, IndexFile, open_index_file, read_into, write_index_file
from db.rwlock import ReadWriteLock
from db.vectors import SegmentBitmap, as_ids, check_addition, check_query

EXACT_UP_TO: Final = 300_000
"""Up to so many vectors all of them are searched: some 10 ms at 384 components on one core."""

# Lists are made anew when the vectors have become so many times as many.
_RETRAIN_GROWTH: Final = 4
_TRAINING_VECTORS_PER_LIST: Final = 64
_TRAINING_ROUNDS: Final = 10
_SEED: Final = 1
# Bounds what a conversion to float32 takes, and how long an addition keeps searches waiting.
_BLOCK_VECTORS: Final = 8192


class FaissIndex:
    """A `db.vectors.VectorIndex` over FAISS.

    Scores are exact. Up to `exact_up_to` vectors, and whenever at most 5 % of them are allowed,
    the hits are the exact ones too. Beyond, and after `optimise`, some 99 % of them are.

    Everything runs on one thread: a single query gains nothing from two, and loses much when other
    processes use the cores; and what is built is the same each time.

    Parameters
    ----------
    dim : int
        Components of a vector.
    exact_up_to : int
        With more vectors than this, `optimise` makes lists.

    Raises
    ------
    VectorIndexError
        If `dim` is less than 1.
    """

    def __init__(self, dim: int, *, exact_up_to: int = EXACT_UP_TO) -> None:
        if dim < 1:
            raise VectorIndexError(f"vectors must have at least 1 component, not {dim}")
        self._exact_up_to = exact_up_to
        self._ivf = new_ivf(np.zeros((1, dim), dtype=np.float32))
        self._n_trained = 0
        self._present = IdSet()
        # Whoever changes or saves the index holds `_writer`; only while shared memory is written
        # does it also keep the searches out by `_state`. So searches go on during `save`, and
        # during all of `optimise` but its last instant.
        self._writer = threading.Lock()
        self._state = ReadWriteLock()

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return int(self._ivf.d)

    @property
    def n_lists(self) -> int:
        """Lists that the vectors are distributed over; 1 as long as every search is exact."""
        return int(self._ivf.nlist)

    def __len__(self) -> int:
        return int(self._ivf.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all vectors, ascending; a copy."""
        with self._state.read():
            return self._present.ids()

    # -- writing -------------------------------------------------------------------------------

    def add(self, ids: ArrayLike, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        """Add vectors under new ids. See `db.vectors.VectorIndex.add`."""
        numbers = check_addition(ids, vectors, self.dim)
        with self._writer:
            self._present.check_new(numbers)
            for start in range(0, len(numbers), _BLOCK_VECTORS):
                part = slice(start, start + _BLOCK_VECTORS)
                with self._state.write(), one_thread():
                    # FAISS rounds ties up, NumPy to even, as the catalogue's float16 are.
                    halves = vectors[part].astype(np.float16, copy=False)
                    self._ivf.add_with_ids(halves.astype(np.float32), numbers[part])
                    self._present.add(numbers[part])

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; return how many of them were there. Unknown ids are passed over."""
        numbers = as_ids(ids, "ids")
        with self._writer:
            leaving = self._present.known(numbers)
            if len(leaving):
                members = np.zeros(int(leaving[-1]) + 1, dtype=np.bool_)
                members[leaving] = True
                with self._state.write(), one_thread():
                    self._ivf.remove_ids(selector(np.packbits(members, bitorder="little")))
                    self._present.discard(leaving)
        return len(leaving)

    def optimise(self) -> bool:
        """Make lists if the vectors are more than `exact_up_to`, or have grown fourfold since.

        A million vectors of 384 components take a minute. Searches go on meanwhile.
        """
        with self._writer:
            count = len(self)
            if count <= self._exact_up_to or count < _RETRAIN_GROWTH * self._n_trained:
                return False
            with one_thread():
                ivf = new_ivf(self._train(_n_lists(count)))
                for numbers, vectors in self._lists():
                    for start in range(0, len(numbers), _BLOCK_VECTORS):
                        part = slice(start, start + _BLOCK_VECTORS)
                        ivf.add_with_ids(vectors[part].astype(np.float32), numbers[part])
            with self._state.write():
                self._ivf = ivf
                self._n_trained = count
        return True

    def save(self, path: Path) -> IndexFile:
        """Write all of it to a file, which appears whole or not at all.

        Raises
        ------
        VectorIndexError
            If the file cannot be written. What was at `path` is as it was.
        """
        with self._writer:
            return write_index_file(
                path,
                Contents(
                    n_trained=self._n_trained,
                    list_sizes=list_sizes(self._ivf),
                    centroids=self._ivf.quantizer.reconstruct_n(0, self.n_lists),
                ),
                self._lists(),
            )

    @classmethod
    def load(
        cls, path: Path, *, checksum: str | None = None, exact_up_to: int = EXACT_UP_TO
    ) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        checksum : str, optional
            What `IndexFile.checksum` was. The file's own is verified in any case.

        Raises
        ------
        VectorIndexError
            If the file is missing, damaged, of a newer version, or not the one of that checksum.
        """
        with open_index_file(path, checksum=checksum) as (contents, file):
            index = cls(contents.centroids.shape[1], exact_up_to=exact_up_to)
            index._ivf = ivf = new_ivf(contents.centroids)
            index._n_trained = contents.n_trained
            for number, size in enumerate(contents.list_sizes.tolist()):
                ivf.invlists.resize(number, size)
                numbers, vectors = list_views(ivf, number)
                read_into(file, numbers)
                read_into(file, vectors)
                index._present.add(numbers)
            ivf.ntotal = int(contents.list_sizes.sum())
        return index

    # -- searching -----------------------------------------------------------------------------

    def search(
        self,
        queries: NDArray[np.float16] | NDArray[np.float32],
        k: int,
        *,
        allowed: SegmentBitmap | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best vectors for each query. See `db.vectors.VectorIndex.search`."""
        check_query(queries, k, self.dim)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        with self._state.read(), one_thread():
            n_found = n_present = len(self)
            if allowed is not None:
                n_found = int(np.count_nonzero(self._present.among(allowed)))
            if n_found:
                probe = Probe(
                    self._ivf,
                    min(k, n_found),
                    first_lists(self.n_lists, n_found / n_present),
                    allowed,
                )
                for row, query in enumerate(queries.astype(np.float32)):
                    found = probe.search(query[np.newaxis])
                    scores[row, : len(found.ids)] = found.scores
                    ids[row, : len(found.ids)] = found.ids
        return scores, ids

    # -- inside --------------------------------------------------------------------------------

    def _lists(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        return (list_views(self._ivf, number) for number in range(self.n_lists))

    def _train(self, n_lists: int) -> NDArray[np.float32]:
        """Return `n_lists` centres, by k-means on the sphere from a random part of the vectors."""
        count = len(self)
        size = min(count, n_lists * _TRAINING_VECTORS_PER_LIST)
        chosen = np.sort(np.random.default_rng(_SEED).choice(count, size, replace=False))
        sample = np.empty((size, self.dim), dtype=np.float32)
        ends = np.cumsum(list_sizes(self._ivf))
        for (numbers, vectors), end in zip(self._lists(), ends, strict=True):
            first, last = np.searchsorted(chosen, (end - len(numbers), end))
            sample[first:last] = vectors[chosen[first:last] - (end - len(numbers))]
        kmeans = faiss.Kmeans(
            self.dim,
            n_lists,
            niter=_TRAINING_ROUNDS,
            spherical=True,
            seed=_SEED,
            min_points_per_centroid=1,
        )
        kmeans.train(sample)
        return np.asarray(kmeans.centroids, dtype=np.float32)


def _n_lists(count: int) -> int:
    """Return how many lists to make: a power of two near ``2 sqrt(count)``.

    With half as many, small groups of like sounds share a list with others, and queries by words
    miss all of them: recall at 10 among a million was .97 instead of .997.
    """
    return int(2 ** round(math.log2(2 * math.sqrt(count))))

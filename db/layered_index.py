"""A private layer over an index that others share.

Whoever reads a catalogue brings the index in step with SQL, but may not write to one on a server.
So what it lacks is kept in the memory of the reader, and what it holds too much is not let through.
"""

import threading

import numpy as np
from numpy.typing import ArrayLike, NDArray

from db.faiss_index import FaissIndex
from db.id_set import IdSet
from db.rwlock import ReadWriteLock
from db.vectors import SegmentBitmap, VectorIndex, as_ids, check_addition, check_query


class LayeredIndex:
    """A `db.vectors.VectorIndex` whose changes are its own: what lies beneath is only searched.

    Parameters
    ----------
    beneath : VectorIndex
        Must not change otherwise.
    """

    def __init__(self, beneath: VectorIndex) -> None:
        self._beneath = beneath
        self._added = FaissIndex(beneath.dim)
        self._let_through = IdSet.of(beneath.ids())
        self._writer = threading.Lock()
        self._state = ReadWriteLock()

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return self._beneath.dim

    def __len__(self) -> int:
        return len(self._let_through) + len(self._added)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all vectors, ascending; a copy."""
        with self._state.read():
            through, added = self._let_through.ids(), self._added.ids()
        return np.union1d(through, added) if len(added) else through

    def add(self, ids: ArrayLike, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        """Add vectors under new ids. See `db.vectors.VectorIndex.add`."""
        numbers = check_addition(ids, vectors, self.dim)
        with self._writer:
            self._let_through.check_new(numbers)
            self._added.add(numbers, vectors)

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; return how many of them were there. Unknown ids are passed over."""
        numbers = as_ids(ids, "ids")
        with self._writer, self._state.write():
            return len(self._let_through.discard(numbers)) + self._added.remove(numbers)

    def optimise(self) -> bool:
        """Make lists of what was added, if that has become much."""
        return self._added.optimise()

    def search(
        self,
        queries: NDArray[np.float16] | NDArray[np.float32],
        k: int,
        *,
        allowed: SegmentBitmap | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best vectors for each query. See `db.vectors.VectorIndex.search`."""
        check_query(queries, k, self.dim)
        with self._state.read():
            through = self._through(allowed)
        one = self._beneath.search(queries, k, allowed=through)
        if not len(self._added):
            return one
        other = self._added.search(queries, k, allowed=allowed)
        scores = np.concatenate((one[0], other[0]), axis=1)
        ids = np.concatenate((one[1], other[1]), axis=1)
        # Where there is nothing, the score is -inf and comes last.
        order = np.lexsort((ids, -scores), axis=1)[:, :k]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)

    def _through(self, allowed: SegmentBitmap | None) -> SegmentBitmap | None:
        """Return what is allowed of what lies beneath; None if that is all of it."""
        if allowed is not None:
            if len(self._let_through) == len(self._beneath):
                return allowed
            return np.packbits(self._let_through.among(allowed), bitorder="little")
        if len(self._let_through) == len(self._beneath):
            return None
        return np.packbits(self._let_through.members, bitorder="little")

"""Vectors on a Milvus server, exact in their scores and in their order whatever the server does.

The server finds candidates; their vectors are fetched and compared here, by the same code as in
`db.faiss_index`. So scores are those of the vectors as they are kept even if the server's index
keeps shorter ones, equal vectors score equally wherever they lie, and the same archive gives the
same hits on both.
"""

import threading
from collections.abc import Iterator
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from db.errors import CollectionGone, VectorIndexError
from db.faiss_index import FaissIndex
from db.faiss_lists import first_lists, has_settled
from db.id_set import IdSet
from db.milvus_search import Filter, Goal, best_of_both, hunt
from db.milvus_server import Hits, MilvusServer
from db.vectors import SegmentBitmap, as_ids, check_addition, check_query

EXACT_UP_TO: Final = 1_000_000
"""Up to so many vectors a new collection on a cluster is searched wholly: 1.5 GB at 384 components,
read from memory in some 0.15 s by one core."""

EXACT: Final = "FLAT"
CLUSTERED: Final = "IVF_FLAT"
N_LISTS: Final = 1024
"""Lists in each of a cluster's own segments, which hold some 350,000 vectors of 384 components."""

# The best so many are compared exactly; beyond, the server's own scores stand, which differ from
# them in the seventh digit at most.
_COMPARED: Final = 4096
_HITS_AT_ONCE: Final = 65_536


class MilvusIndex:
    """A `db.vectors.VectorIndex` over one collection of a Milvus server.

    With an exact index type the hits are the exact ones, whatever is allowed. With lists of
    neighbours all lists are searched when at most 5 % of the vectors are allowed; else the nearest
    sixteenth, then as many again, until that changes nothing, as in `db.faiss_index`.

    Others may write to the collection meanwhile. What they add is not found here, and what they
    remove is no longer found.

    Parameters
    ----------
    server : MilvusServer
    name : str
        Of the collection, which must be there: `create` makes one, `attach` reads one.
    dim : int
    present : ndarray of int64
        The ids that it holds.
    n_lists : int
        1 if every search goes through all vectors.
    """

    def __init__(
        self,
        server: MilvusServer,
        name: str,
        dim: int,
        present: NDArray[np.int64],
        *,
        n_lists: int = 1,
    ) -> None:
        self.name = name
        self._server = server
        self._dim = dim
        self._present = IdSet.of(present)
        self._n_lists = n_lists
        self._unflushed = False
        self._writer = threading.Lock()

    @classmethod
    def create(
        cls,
        server: MilvusServer,
        name: str,
        dim: int,
        *,
        kind: str = EXACT,
        n_lists: int = N_LISTS,
        token: str = "",
    ) -> Self:
        """Make an empty collection, in the place of one that has the same name.

        Parameters
        ----------
        kind : str
            `EXACT` or `CLUSTERED`.
        token : str
            See `db.milvus_filled`.

        Raises
        ------
        VectorIndexError
            If `dim` is less than 1, or the server refuses.
        """
        if dim < 1:
            raise VectorIndexError(f"vectors must have at least 1 component, not {dim}")
        server.drop(name)
        parameters = {"nlist": n_lists} if kind == CLUSTERED else {}
        server.create(name, dim, kind=kind, parameters=parameters, token=token)
        n_lists = n_lists if kind == CLUSTERED else 1
        return cls(server, name, dim, np.empty(0, dtype=np.int64), n_lists=n_lists)

    @classmethod
    def attach(
        cls,
        server: MilvusServer,
        name: str,
        dim: int,
        *,
        present: NDArray[np.int64] | None = None,
        n_lists: int = N_LISTS,
    ) -> Self:
        """Use a collection that is there.

        Parameters
        ----------
        present : ndarray of int64, optional
            The ids that are to be found, all others being passed over; by default all that it
            holds. The server is asked which it holds only if they are fewer.

        Raises
        ------
        CollectionGone
            If there is no such collection, or its vectors have another number of components.
        VectorIndexError
            If the server does not answer.
        """
        if not server.has(name):
            raise CollectionGone(
                f"the collection {name} is gone from the Milvus server {server.uri}: "
                "`echoic repair` fills it anew from the database"
            )
        held = server.dim(name)
        if held != dim:
            raise CollectionGone(
                f"the collection {name} of the Milvus server {server.uri} holds vectors of {held} "
                f"components where {dim} are wanted: `echoic repair` fills it anew"
            )
        if present is None:
            present = server.ids(name)
        elif server.count(name) < len(present):
            present = np.intersect1d(present, server.ids(name), assume_unique=True)
        clustered = server.index_kind(name) == CLUSTERED
        return cls(server, name, dim, present, n_lists=n_lists if clustered else 1)

    @property
    def dim(self) -> int:
        """Components of a vector."""
        return self._dim

    @property
    def n_lists(self) -> int:
        """Lists in each segment of the server; 1 if every search is exact."""
        return self._n_lists

    def __len__(self) -> int:
        return len(self._present)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all vectors, ascending; a copy."""
        return self._present.ids()

    # -- writing -------------------------------------------------------------------------------

    def add(self, ids: ArrayLike, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        """Add vectors under new ids. See `db.vectors.VectorIndex.add`.

        If the server fails midway, some may be there: they are not found, and adding them again
        replaces them.
        """
        numbers = check_addition(ids, vectors, self._dim)
        with self._writer:
            self._present.check_new(numbers)
            if len(numbers):
                self._unflushed = True
                self._server.put(self.name, numbers, vectors.astype(np.float16, copy=False))
                self._present.add(numbers)

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; return how many of them were there. Unknown ids are passed over."""
        numbers = as_ids(ids, "ids")
        with self._writer:
            leaving = self._present.known(numbers)
            if len(leaving):
                self._server.delete(self.name, leaving)
                self._present.discard(leaving)
        return len(leaving)

    def optimise(self) -> bool:
        """Let Milvus Lite put what it got into its files: in memory it looks at row after row.

        A cluster does so by itself, and allows nobody to ask for it often.
        """
        with self._writer:
            if not (self._unflushed and self._server.is_lite):
                return False
            self._server.flush(self.name)
            self._unflushed = False
            return True

    # -- searching -----------------------------------------------------------------------------

    def search(
        self,
        queries: NDArray[np.float16] | NDArray[np.float32],
        k: int,
        *,
        allowed: SegmentBitmap | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best vectors for each query. See `db.vectors.VectorIndex.search`.

        Raises
        ------
        VectorIndexError
            Also if the server does not answer, or the collection is gone.
        """
        check_query(queries, k, self._dim)
        members = self._present.members
        wanted = members if allowed is None else self._present.among(allowed)
        filter_ = Filter(wanted, is_narrowed=allowed is not None)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        n_hits = min(k, filter_.count)
        if n_hits and len(queries):
            goal = Goal(filter_, n_hits, filter_.whole(n_hits, len(self._present)))
            wide = queries.astype(np.float32)
            for row, found in enumerate(self._candidates(wide, goal)):
                best = self._compared(wide[row : row + 1], found, n_hits)
                scores[row, : len(best)] = best.scores
                ids[row, : len(best)] = best.ids
        return scores, ids

    # -- inside --------------------------------------------------------------------------------

    def _candidates(self, queries: NDArray[np.float32], goal: Goal) -> Iterator[Hits]:
        """Yield for each query the best by the server's scores, and what ties with them."""
        n_probe = first_lists(self._n_lists, goal.filter.count / max(len(self._present), 1))
        at_once = max(1, _HITS_AT_ONCE // goal.whole.limit)
        for start in range(0, len(queries), at_once):
            some = queries[start : start + at_once]
            answers = self._ask(some, goal.whole.limit, goal.condition, n_probe)
            for row, first in enumerate(answers):
                yield self._settled(some[row : row + 1], goal, first, n_probe)

    def _settled(self, query: NDArray[np.float32], goal: Goal, first: Hits, n_probe: int) -> Hits:
        """Search twice as many lists, and so on, until that brings nothing new or none is left."""

        def ask(limit: int, condition: str) -> Hits:
            (hits,) = self._ask(query, limit, condition, n_probe)
            return hits

        found = hunt(ask, goal, first)
        while n_probe < self._n_lists:
            n_probe = min(2 * n_probe, self._n_lists)
            wider = hunt(ask, goal, ask(goal.whole.limit, goal.condition))
            # A server that has just built its lists may find less than when it had none.
            before, found = found, best_of_both(found, wider, goal.n_hits)
            if has_settled(before.ids, found.ids, goal.n_hits):
                break
        return found

    def _ask(
        self, queries: NDArray[np.float32], limit: int, condition: str, n_probe: int
    ) -> list[Hits]:
        parameters = {"nprobe": n_probe} if self._n_lists > 1 else None
        return self._server.search(
            self.name, queries, limit, condition=condition, parameters=parameters
        )

    def _compared(self, query: NDArray[np.float32], found: Hits, n_hits: int) -> Hits:
        """Score the best candidates anew, from their vectors, and put them in order."""
        n_compared = len(found) if n_hits <= _COMPARED else _COMPARED
        ids, vectors = self._server.vectors(self.name, found.ids[:n_compared], self._dim)
        exact = FaissIndex(self._dim)
        exact.add(ids, vectors)
        scores, order = exact.search(query, max(len(ids), 1))
        all_ids = np.concatenate((order[0, : len(ids)], found.ids[n_compared:]))
        all_scores = np.concatenate((scores[0, : len(ids)], found.scores[n_compared:]))
        best = np.lexsort((all_ids, -all_scores))[:n_hits]
        return Hits(all_ids[best], all_scores[best])

"""What an index of vectors must do, whatever holds them; and bitmaps of segment numbers.

Any implementation must pass ``tests/conformance/test_vector_index.py``. Those that come with Echoic
are `db.faiss_index.FaissIndex` in the memory of the process, `db.milvus_index.MilvusIndex` on a
server, and `db.layered_index.LayeredIndex`, a private layer over one that others share. An index is
a cache of the vectors in SQL: it can be deleted at any time and is built again. Where it is kept
between two runs is the business of a `db.vector_stores.VectorStore`.
"""

from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from db.errors import VectorIndexError

_LENGTH_TOLERANCE: Final = 0.01

SegmentBitmap: TypeAlias = NDArray[np.uint8]
"""A set of segment numbers: bit ``n & 7`` of byte ``n >> 3`` tells whether `n` is in it.

A number beyond the end is not in it. `pack_ranges` and `pack_ids` make them.
"""


@runtime_checkable
class VectorIndex(Protocol):
    """Finds the vectors with the greatest inner product to a query.

    Each vector has an id: the number of its segment, a dense integer that the catalogue gives out
    and never uses again. Vectors have unit length and are kept as float16. One process writes to
    an index at a time; within a process any number of threads may search while another adds,
    removes or optimises. A search then sees each vector either wholly or not at all.
    """

    @property
    def dim(self) -> int:
        """Components of a vector."""
        ...

    def __len__(self) -> int:
        """Return the number of vectors."""
        ...

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all vectors, ascending; a copy."""
        ...

    def add(self, ids: ArrayLike, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        """Add vectors under new ids.

        Parameters
        ----------
        ids : array_like of int, shape (n,)
            Not negative, each once, none of them there already.
        vectors : ndarray, shape (n, dim), float16 or float32
            Unit length to within 1 %.

        Raises
        ------
        VectorIndexError
            If any of that is not so. Then nothing has been added.
        """
        ...

    def remove(self, ids: ArrayLike) -> int:
        """Remove vectors; return how many of them were there. Unknown ids are passed over."""
        ...

    def search(
        self,
        queries: NDArray[np.float16] | NDArray[np.float32],
        k: int,
        *,
        allowed: SegmentBitmap | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the `k` best vectors for each query.

        An answer depends on the query and the index alone, not on the queries beside it. Scores
        are exact for the vectors as they are kept; which vectors are found may be approximate.

        Parameters
        ----------
        queries : ndarray, shape (q, dim), float16 or float32
        k : int
            At least 1.
        allowed : SegmentBitmap, optional
            Only these ids can be found. Without it, all.

        Returns
        -------
        scores : ndarray, shape (q, k), float32
            Inner products, the greatest first; -inf where there are fewer than `k` vectors.
        ids : ndarray, shape (q, k), int64
            Among equal scores the lower id comes first; -1 where there are fewer.

        Raises
        ------
        VectorIndexError
            If the queries have the wrong shape or type or are not finite, `k` is less than 1, or
            `allowed` is not a bitmap.
        """
        ...

    def optimise(self) -> bool:
        """Rearrange the vectors so that searching is fast, if they have become many.

        May take a minute and twice the memory. Searching before it is right but slower. Returns
        whether anything was done.
        """
        ...


def pack_ranges(firsts: ArrayLike, counts: ArrayLike, size: int) -> SegmentBitmap:
    """Return the set of the numbers ``first, ..., first + count - 1`` of each range.

    A recording owns such a range, so that a few thousand recordings become a set of segments in a
    millisecond.

    Parameters
    ----------
    firsts, counts : array_like of int, shape (n,)
        Ranges may overlap and be empty.
    size : int
        All numbers are below it; usually the next segment number.

    Raises
    ------
    VectorIndexError
        If the shapes differ or a range is not within ``0 ... size``.
    """
    first = as_ids(firsts, "firsts")
    count = as_ids(counts, "counts")
    if first.shape != count.shape:
        raise VectorIndexError(f"{len(first)} firsts but {len(count)} counts: give one for each")
    if len(first) and (min(first.min(), count.min()) < 0 or (first + count).max() > size):
        raise VectorIndexError(f"a range of segments lies outside 0 ... {size}")
    if (first[1:] < first[:-1]).any():
        order = np.argsort(first)
        first, count = first[order], count[order]
    ends = np.maximum.accumulate(first + count)
    # Recordings mostly follow each other: only where one is left out does a run of numbers end.
    edges = np.flatnonzero(first[1:] > ends[:-1])
    run_begins = np.concatenate((first[:1], first[edges + 1]))
    run_ends = np.concatenate((ends[edges], ends[-1:]))
    # Gap, run, gap, run ..., gap.
    lengths = np.empty(2 * len(run_begins) + 1, dtype=np.int64)
    lengths[1::2] = run_ends - run_begins
    lengths[::2] = np.append(run_begins, size) - np.append(0, run_ends)
    inside = np.arange(len(lengths)) % 2 == 1
    return np.packbits(np.repeat(inside, lengths), bitorder="little")


def pack_ids(ids: ArrayLike, size: int) -> SegmentBitmap:
    """Return the set of these numbers, all of them below `size`.

    Raises
    ------
    VectorIndexError
        If a number is not within ``0 ... size - 1``.
    """
    numbers = as_ids(ids, "ids")
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= size):
        raise VectorIndexError(f"a segment number lies outside 0 ... {size - 1}")
    members = np.zeros(size, dtype=np.bool_)
    members[numbers] = True
    return np.packbits(members, bitorder="little")


def expand_ranges(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all numbers of the ranges ``first ... first + count - 1``, one range after another."""
    total = int(counts.sum())
    starts_in_result = np.cumsum(counts) - counts
    numbers: NDArray[np.int64] = np.arange(total, dtype=np.int64)
    numbers += np.repeat(firsts - starts_in_result, counts)
    return numbers


def unpack(bitmap: SegmentBitmap, size: int) -> NDArray[np.bool_]:
    """Return for each number below `size` whether it is in the set.

    Raises
    ------
    VectorIndexError
        If `bitmap` is not a one-dimensional array of uint8.
    """
    if not isinstance(bitmap, np.ndarray) or bitmap.dtype != np.uint8 or bitmap.ndim != 1:
        raise VectorIndexError(
            "a set of allowed segments must be a one-dimensional array of uint8: "
            "make it with pack_ranges or pack_ids"
        )
    return np.unpackbits(bitmap, count=size, bitorder="little").view(np.bool_)


def check_vectors(vectors: NDArray[Any], dim: int, *, what: str) -> None:
    """Make sure that vectors or queries are (n, dim), float16 or float32, and finite.

    Raises
    ------
    VectorIndexError
        If they are not; `what` is what the message calls them.
    """
    if not isinstance(vectors, np.ndarray) or vectors.dtype not in (np.float16, np.float32):
        raise VectorIndexError(f"{what} must be an array of float16 or float32")
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise VectorIndexError(f"{what} must have the shape (n, {dim}), not {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise VectorIndexError(f"{what} contain NaN or infinite numbers")


def check_query(queries: NDArray[Any], k: int, dim: int) -> None:
    """Make sure that something can be searched for.

    Raises
    ------
    VectorIndexError
        As `VectorIndex.search` says.
    """
    check_vectors(queries, dim, what="queries")
    if k < 1:
        raise VectorIndexError(f"k must be at least 1, not {k}")


def check_addition(ids: ArrayLike, vectors: NDArray[Any], dim: int) -> NDArray[np.int64]:
    """Make sure that vectors can be added, as far as the index itself need not be asked.

    Returns
    -------
    ndarray of int64
        The ids.

    Raises
    ------
    VectorIndexError
        As `VectorIndex.add` says.
    """
    numbers = as_ids(ids, "ids")
    check_vectors(vectors, dim, what="vectors")
    if len(numbers) != len(vectors):
        raise VectorIndexError(f"{len(numbers)} ids for {len(vectors)} vectors")
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    wrong = np.flatnonzero(np.abs(lengths - 1) > _LENGTH_TOLERANCE)
    if len(wrong):
        raise VectorIndexError(
            f"vectors must have unit length; row {wrong[0]} has {lengths[wrong[0]]:.4g}"
        )
    return numbers


def as_ids(numbers: ArrayLike, name: str) -> NDArray[np.int64]:
    """Return a sequence of integers as an array; `name` is what the error calls it.

    Raises
    ------
    VectorIndexError
        If it is not one-dimensional or not of integers.
    """
    array = np.asarray(numbers)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise VectorIndexError(
            f"{name} must be a one-dimensional array of integers, "
            f"not {array.dtype} of the shape {array.shape}"
        )
    return array.astype(np.int64)

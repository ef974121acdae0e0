"""Which ids an index of vectors holds."""

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from db.errors import VectorIndexError
from db.vectors import SegmentBitmap, unpack

_MAX_ID: Final = 2**31 - 1


class IdSet:
    """A set of dense integers: one byte for each that was ever given out.

    One thread changes it at a time; what `members` returned may change while it is read.
    """

    def __init__(self) -> None:
        self._members = np.zeros(0, dtype=np.bool_)
        self._count = 0

    @classmethod
    def of(cls, ids: NDArray[np.int64]) -> Self:
        """Return the set of these ids, each of them given once."""
        made = cls()
        made.add(ids)
        return made

    def __len__(self) -> int:
        return self._count

    @property
    def members(self) -> NDArray[np.bool_]:
        """For each id whether it is there; those beyond the end are not. Not a copy."""
        return self._members

    def ids(self) -> NDArray[np.int64]:
        """Return all ids, ascending; a copy."""
        return np.flatnonzero(self._members)

    def among(self, bitmap: SegmentBitmap) -> NDArray[np.bool_]:
        """Tell of each id whether it is there and in the bitmap, too.

        Raises
        ------
        VectorIndexError
            If it is no bitmap.
        """
        return unpack(bitmap, len(self._members)) & self._members

    def check_new(self, ids: NDArray[np.int64]) -> None:
        """Make sure that these ids can be added.

        Raises
        ------
        VectorIndexError
            If one is negative, too great, given twice, or there already.
        """
        if not len(ids):
            return
        if ids.min() < 0 or ids.max() > _MAX_ID:
            raise VectorIndexError(f"an id lies outside 0 ... {_MAX_ID}")
        if len(np.unique(ids)) != len(ids):
            raise VectorIndexError("an id is given twice: each vector needs its own")
        there = self.known(ids)
        if len(there):
            raise VectorIndexError(
                f"{len(there)} of the ids are in the index already, the first is {there[0]}: "
                "remove them before you add them again"
            )

    def known(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some ids that are there, ascending, each once."""
        within = np.unique(ids[(ids >= 0) & (ids < len(self._members))])
        found: NDArray[np.int64] = within[self._members[within]]
        return found

    def add(self, ids: NDArray[np.int64]) -> None:
        """Take in ids that `check_new` has let pass."""
        if not len(ids):
            return
        size = int(ids.max()) + 1
        if size > len(self._members):
            larger = np.zeros(max(size, 2 * len(self._members)), dtype=np.bool_)
            larger[: len(self._members)] = self._members
            self._members = larger
        self._members[ids] = True
        self._count += len(ids)

    def discard(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Let ids go; return those that were there, ascending, each once."""
        leaving = self.known(ids)
        self._members[leaving] = False
        self._count -= len(leaving)
        return leaving

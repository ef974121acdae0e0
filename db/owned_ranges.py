"""Which numbers of an encoder's segments, or of a scheme's frames, belong to which recording."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.bulk import rows_of, spliced
from db.changes import changes_since
from db.places import Places

_NOTHING: Final = np.empty((0, 3), dtype=np.int64)


class OwnedRanges:
    """The numbers that recordings own at one moment; never changed, only exchanged for others.

    Attributes
    ----------
    recording_ids, firsts, counts : ndarray, shape (n,), int64
        Recording `i` owns ``firsts[i] ... firsts[i] + counts[i] - 1``; ascending.
    """

    def __init__(
        self,
        recording_ids: NDArray[np.int64],
        firsts: NDArray[np.int64],
        counts: NDArray[np.int64],
    ) -> None:
        self.recording_ids = recording_ids
        self.firsts = firsts
        self.counts = counts

    @classmethod
    def none(cls) -> Self:
        """Return those of an archive that holds nothing."""
        return cls(*_NOTHING.T)

    def __len__(self) -> int:
        return len(self.firsts)

    @cached_property
    def places(self) -> Places:
        """Where a recording stands in these."""
        return Places(self.recording_ids)

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the recording that each number belongs to, and its place within it.

        Returns
        -------
        recording_ids : ndarray of int64
            -1 where a number belongs to none.
        within : ndarray of int64
            The first number of a recording has the place 0; -1 where it belongs to none.
        """
        if not len(self):
            nowhere = np.full(len(numbers), -1, dtype=np.int64)
            return nowhere, nowhere.copy()
        at = np.searchsorted(self.firsts, numbers, side="right") - 1
        within = numbers - self.firsts[at]
        inside = (at >= 0) & (within < self.counts[at])
        return np.where(inside, self.recording_ids[at], -1), np.where(inside, within, -1)

    def of(self, recording_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what some recordings own, as rows of recording, first number and count."""
        return self.rows(np.isin(self.recording_ids, recording_ids))

    def rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return some of the ranges, as rows of recording, first number and count."""
        columns = (self.recording_ids[chosen], self.firsts[chosen], self.counts[chosen])
        return np.stack(columns, axis=1)

    def exchanged(self, exchange: "Exchange") -> "OwnedRanges":
        """Return these without the rows that have gone, and with those that have come."""
        gone, come = exchange.gone, exchange.come
        if not len(gone) and not len(come):
            return self
        gone_at = np.searchsorted(self.firsts, gone[:, 1])
        at = np.searchsorted(np.delete(self.firsts, gone_at), come[:, 1])
        columns = (self.recording_ids, self.firsts, self.counts)
        return OwnedRanges(
            *(
                spliced(column, gone_at, at, new)
                for column, new in zip(columns, come.T, strict=True)
            )
        )

    def has_overlaps(self) -> bool:
        """Tell whether a number belongs to two recordings, which it never may."""
        return bool((self.firsts[1:] < self.firsts[:-1] + self.counts[:-1]).any())


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """How ranges differ from those of before.

    Attributes
    ----------
    gone, come : ndarray, shape (n, 3), int64
        Recordings, the first number of each, and how many it owned or owns; ascending by number.
    """

    gone: NDArray[np.int64]
    come: NDArray[np.int64]


class RangesReader:
    """Reads what recordings own in SQL; after the first time only of those that have changed.

    Parameters
    ----------
    recording_id, first, count
        The columns of a table.
    scope
        Which of its rows.

    Attributes
    ----------
    ranges : OwnedRanges
        As they were when they were last read.
    left_out : dict of int to str
        The recordings whose numbers cannot be right, and why.
    number : int or None
        Of the change after which they were read.
    """

    def __init__(
        self,
        recording_id: InstrumentedAttribute[int],
        first: InstrumentedAttribute[int],
        count: InstrumentedAttribute[int],
        scope: ColumnElement[bool],
    ) -> None:
        self.ranges = OwnedRanges.none()
        self.left_out: dict[int, str] = {}
        self._recording_id = recording_id
        self._query = select(recording_id, first, count).where(scope)
        self.number: int | None = None

    def read(self, session: Session, end: int) -> Exchange | None:
        """Bring `ranges` up to date; return how they differ, None if in anything.

        Parameters
        ----------
        end : int
            All numbers that were given out are below it.
        """
        changes = changes_since(session, self.number)
        ids = changes.recording_ids
        exchange = None
        if ids is not None:
            rows, faults = self._rows(session, ids.tolist(), end)
            before = self.ranges.of(ids)
            exchange = Exchange(_others(before, rows), _others(rows, before))
            ranges = self.ranges.exchanged(exchange)
            left_out = {id_: why for id_, why in self.left_out.items() if id_ not in ids} | faults
        # Numbers that belong to two are a damage: all of them must be seen to tell whose they are.
        if exchange is None or ranges.has_overlaps():
            exchange = None
            rows, left_out = self._rows(session, None, end)
            after = np.maximum.accumulate(rows[:-1, 1] + rows[:-1, 2])
            is_taken = np.append(False, rows[1:, 1] < after)[: len(rows)]
            left_out |= dict.fromkeys(rows[is_taken, 0].tolist(), "belong to another recording")
            ranges = OwnedRanges(*rows[~is_taken].T.copy())
        self.ranges, self.left_out, self.number = ranges, left_out, changes.number
        return exchange

    def _rows(
        self, session: Session, ids: list[int] | None, end: int
    ) -> tuple[NDArray[np.int64], dict[int, str]]:
        """Read rows, of some recordings or of all; return those that can be, and the others."""
        parts = [_NOTHING]
        for block in rows_of(session, self._query, self._recording_id, ids):
            numbers = np.fromiter(chain.from_iterable(block), dtype=np.int64)
            parts.append(numbers.reshape(-1, 3))
        rows = np.concatenate(parts)
        rows = rows[np.argsort(rows[:, 1], kind="stable")]
        firsts, counts = rows[:, 1], rows[:, 2]
        fits = (firsts >= 0) & (counts >= 0) & (counts <= end - firsts)
        return rows[fits], dict.fromkeys(rows[~fits, 0].tolist(), "were never given out")


def _others(rows: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows that are not among those known."""
    there = set(map(tuple, known.tolist()))
    is_other = [tuple(row) not in there for row in rows.tolist()]
    return rows[np.array(is_other, dtype=np.bool_)]

"""Very many rows: reading them, and exchanging a few of them in memory."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

_Array: TypeAlias = NDArray[Any]

_ROWS_AT_ONCE: Final = 20_000
_IDS_AT_ONCE: Final = 500  # every database takes so many in one IN clause


def rows_of(
    session: Session,
    query: Select[*tuple[Any, ...]],
    owner: InstrumentedAttribute[int],
    ids: Sequence[int] | None,
) -> Iterator[Sequence[Row[Any]]]:
    """Yield the rows of a query in blocks; no more than one of them is in memory.

    Parameters
    ----------
    owner
        A column of the query.
    ids : sequence of int, optional
        Only rows whose owner is one of these. The query should not ask for an order by another
        column: to have it, SQLite would rather go through all rows.
    """
    if ids is None:
        yield from _blocks(session, query)
        return
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield from _blocks(session, query.where(owner.in_(ids[start : start + _IDS_AT_ONCE])))


def _blocks(session: Session, query: Select[*tuple[Any, ...]]) -> Iterator[Sequence[Row[Any]]]:
    streamed = query.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
    yield from session.connection().execute(streamed).partitions(_ROWS_AT_ONCE)


def spliced(column: _Array, gone: _Array, at: _Array, new: _Array) -> _Array:
    """Return an array without some items and with others.

    Parameters
    ----------
    gone : ndarray of int
        Places of the items to leave out.
    at : ndarray of int
        Where to put each of `new` among those that are left, ascending.
    """
    kept = np.delete(column, gone) if len(gone) else column
    if len(at) and at[0] == len(kept):  # the usual case, which need not move anything
        return np.concatenate((kept, new))
    return np.insert(kept, at, new) if len(at) else kept

"""Which recordings changed, so that what is kept of all of them need not be read anew.

Every transaction that changes what is known of recordings takes a number above the one before, and
notes under it which recordings it touched. Such transactions take turns, on every database
(`db.engine.for_writing`), so whoever sees a number sees all that came before it: it makes no
difference that ids of rows come from sequences and may be committed in another order.

How far above is drawn at random: after a database was restored from a backup it goes on by other
numbers. A number that a reader remembers is among those of the journal only if what the reader has
seen is part of what the database holds.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, exists, insert, select
from sqlalchemy.orm import Session

from db.schema import CatalogueInfo, ChangeRow

KEPT_CHANGES: Final = 10_000
"""So far back a reader is told what changed; who has not asked for longer reads all anew."""

MOST_NAMED: Final = 20_000
"""With more recordings than this, reading all of them costs no more."""

_ANY: Final = 0  # no recording has this number
_PRUNED_EVERY: Final = 100
_LEAST_STEP: Final = 1 << 31  # that two courses of events share a number is as unlikely
_TOUCHED: Final = "recordings touched"
_LAST = select(CatalogueInfo.value).where(CatalogueInfo.key == "n_changes")


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What changed since a reader asked last.

    Attributes
    ----------
    number : int
        Of the last change; to be given the next time.
    recording_ids : ndarray of int64, or None
        The recordings that came, went, or of which something else is known now, ascending; None if
        that may be any.
    """

    number: int
    recording_ids: NDArray[np.int64] | None


def touch(session: Session, recording_ids: Iterable[int]) -> None:
    """Say which recordings a transaction changes; where nothing is said, it may be any.

    It may be called several times, also without any: what is changed is then nothing that readers
    keep.
    """
    session.info.setdefault(_TOUCHED, set()).update(recording_ids)


def note_change(session: Session) -> None:
    """Note at the end of a transaction that it changes what is known of recordings."""
    touched: set[int] | None = session.info.get(_TOUCHED)
    if touched is not None and not touched:
        return
    connection = session.connection()
    step = _LEAST_STEP + secrets.randbelow(_LEAST_STEP)
    connection.exec_driver_sql(
        f"INSERT INTO catalogue_info (key, value) VALUES ('n_changes', '{step}') ON CONFLICT (key) "
        f"DO UPDATE SET value = CAST(CAST(catalogue_info.value AS BIGINT) + {step} AS TEXT)"
    )
    number = last_change(connection)
    named = [_ANY] if touched is None or len(touched) > MOST_NAMED else sorted(touched)
    rows = [{"number": number, "recording_id": id_} for id_ in named]
    connection.execute(insert(ChangeRow), rows)
    if secrets.randbelow(_PRUNED_EVERY) == 0:
        # To count them would cost more than to keep some too many.
        oldest = number - KEPT_CHANGES * 2 * _LEAST_STEP
        connection.execute(delete(ChangeRow).where(ChangeRow.number <= oldest))


def last_change(connection: Connection) -> int:
    """Return the number of the last change; another after each, also after a restoration."""
    return int(connection.execute(_LAST).scalar() or 0)


def changes_since(session: Session, number: int | None) -> Changes:
    """Return what changed since a number was that of the last change; None for a new reader."""
    now = last_change(session.connection())
    if number == now:
        return Changes(now, np.empty(0, dtype=np.int64))
    # The oldest are dropped first: if it is there, all that came after it are.
    if number is None or not session.scalar(select(exists().where(ChangeRow.number == number))):
        return Changes(now, None)
    since = ChangeRow.number > number
    query = select(ChangeRow.recording_id).where(since).distinct().limit(MOST_NAMED + 1)
    found = np.sort(np.array(session.scalars(query).all(), dtype=np.int64))
    return Changes(now, None if len(found) > MOST_NAMED or found[0] == _ANY else found)

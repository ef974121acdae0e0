"""Queries that users keep under a name, and how far each has been run over the archive.

Recordings get ascending numbers that are never used again, so the greatest number that a search
has been run over tells what is new to it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CatalogueError, UnknownName
from db.schema import RecordingRow, SavedSearchRow
from db.storing import now


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A query that is kept under a name.

    Attributes
    ----------
    query : str
        In the query language.
    last_seen : int
        Recordings with greater ids are new to it.
    seen_at : datetime
        When that was so: when it was saved, or last asked for what is new.
    """

    name: str
    query: str
    created_at: datetime
    last_seen: int
    seen_at: datetime


def saved_searches(catalogue: Catalogue) -> list[SavedSearch]:
    """Return all saved searches by name."""
    with catalogue.session() as session:
        rows = session.scalars(select(SavedSearchRow).order_by(SavedSearchRow.name))
        return [_saved_search(row) for row in rows]


def saved_search(catalogue: Catalogue, name: str) -> SavedSearch:
    """Return a saved search.

    Raises
    ------
    UnknownName
        If there is none of this name; the message lists those there are.
    """
    with catalogue.session() as session:
        return _saved_search(_row(session, name))


def save_search(catalogue: Catalogue, name: str, query: str) -> SavedSearch:
    """Keep a query under a name. What is in the catalogue now is not new to it.

    Raises
    ------
    CatalogueError
        If the name is blank or taken.
    """
    with catalogue.transaction(of_contents=False) as session:
        _check_name(session, name)
        at = now()
        row = SavedSearchRow(
            name=name, query=query, created_at=at, last_seen=_newest(session), seen_at=at
        )
        session.add(row)
        return _saved_search(row)


def mark_seen(catalogue: Catalogue, name: str, recording_id: int) -> None:
    """Note that a search has been run over all recordings up to one. It never goes back.

    Raises
    ------
    UnknownName
        If there is no saved search of this name.
    """
    with catalogue.transaction(of_contents=False) as session:
        row = _row(session, name)
        row.last_seen = max(row.last_seen, recording_id)
        row.seen_at = now()


def rename_search(catalogue: Catalogue, name: str, new_name: str) -> None:
    """Give a saved search another name.

    Raises
    ------
    UnknownName
        If there is none of this name.
    CatalogueError
        If the new name is blank or that of another.
    """
    with catalogue.transaction(of_contents=False) as session:
        row = _row(session, name)
        if new_name != name:
            _check_name(session, new_name)
        row.name = new_name


def remove_search(catalogue: Catalogue, name: str) -> None:
    """Forget a saved search.

    Raises
    ------
    UnknownName
        If there is none of this name.
    """
    with catalogue.transaction(of_contents=False) as session:
        session.delete(_row(session, name))


def newest_recording(catalogue: Catalogue) -> int:
    """Return the greatest id of a recording that is there; 0 if there is none."""
    with catalogue.session() as session:
        return _newest(session)


def _check_name(session: Session, name: str) -> None:
    if not name.strip():
        raise CatalogueError("a saved search needs a name")
    if session.scalar(select(SavedSearchRow.id).where(SavedSearchRow.name == name)):
        raise CatalogueError(
            f"there is already a saved search {name!r}: "
            f"give another name, or `echoic saved remove {name!r}` first"
        )


def _newest(session: Session) -> int:
    return session.scalar(select(func.max(RecordingRow.id))) or 0


def _row(session: Session, name: str) -> SavedSearchRow:
    row = session.scalar(select(SavedSearchRow).where(SavedSearchRow.name == name))
    if row is None:
        names = session.scalars(select(SavedSearchRow.name).order_by(SavedSearchRow.name))
        known = ", ".join(names) or "none yet"
        raise UnknownName(f"there is no saved search {name!r} in the catalogue (known: {known})")
    return row


def _saved_search(row: SavedSearchRow) -> SavedSearch:
    return SavedSearch(row.name, row.query, row.created_at, row.last_seen, row.seen_at)

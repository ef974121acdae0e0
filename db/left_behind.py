"""Collections on servers that a catalogue no longer uses, until they are removed there.

They are noted in SQL in the transaction that puts others in force, and a new one before it is made;
so a fill or a move that is cut off, or a server that is away, leaves nothing that nobody knows of.
"""

import json
from dataclasses import astuple, dataclass
from typing import Final

from sqlalchemy.orm import Session

from db.schema import CatalogueInfo

_KEY: Final = "collections left behind"


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A collection that this catalogue no longer uses, or does not use yet.

    Attributes
    ----------
    uri : str
        Of the server; empty if that was not noted, as it was not by older versions.
    collection : str
    token : str
        If it has another by now, another copy of the catalogue uses it.
    """

    uri: str
    collection: str
    token: str


def left_behind(session: Session) -> list[LeftBehind]:
    """Return all collections that are to be removed."""
    row = session.get(CatalogueInfo, _KEY)
    return [] if row is None else [LeftBehind(*each) for each in json.loads(row.value)]


def leave_behind(session: Session, left: LeftBehind) -> None:
    """Note that a collection is to be removed."""
    _write(session, [*left_behind(session), left])


def settle(session: Session, collection: str) -> None:
    """Note that a collection need not be removed any more: it is gone, or in force."""
    _write(session, [each for each in left_behind(session) if each.collection != collection])


def _write(session: Session, all_left: list[LeftBehind]) -> None:
    value = json.dumps([astuple(each) for each in all_left])
    session.merge(CatalogueInfo(key=_KEY, value=value))
    session.flush()

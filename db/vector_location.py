"""Where the vectors of a catalogue are kept so that they can be searched: in files, or on a server.

The catalogue remembers it, so that all commands agree. A machine that reaches the server under
another address, or that must do without it, says so in its environment.
"""

import os
from typing import Final

from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.milvus_server import check_uri
from db.schema import CatalogueInfo

ENVIRONMENT_VARIABLE: Final = "ECHOIC_VECTORS"
FILES: Final = "files"
"""What a location is called that is no server: index files beside the catalogue."""

_KEY: Final = "vectors"


def vector_location(catalogue: Catalogue) -> str:
    """Return where the vectors are: what ``ECHOIC_VECTORS`` says, else what the catalogue says.

    Returns
    -------
    str
        `FILES`, or the URI of a Milvus server.

    Raises
    ------
    VectorIndexError
        If it can be neither.
    """
    with catalogue.session() as session:
        return location_in(session)


def location_in(session: Session) -> str:
    """Return where the vectors are, as `vector_location` does."""
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    return checked_location(given) if given else stored_location(session)


def stored_location(session: Session) -> str:
    """Return where the catalogue says that its vectors are."""
    row = session.get(CatalogueInfo, _KEY)
    return FILES if row is None else row.value


def put_location(session: Session, location: str) -> None:
    """Let the catalogue say so from now on.

    Raises
    ------
    VectorIndexError
        If it is neither `FILES` nor the URI of a server.
    """
    session.merge(CatalogueInfo(key=_KEY, value=checked_location(location)))


def checked_location(location: str) -> str:
    """Return a location that can be one.

    Raises
    ------
    VectorIndexError
        If it is neither `FILES` nor the URI of a server.
    """
    return location if location == FILES else check_uri(location)

"""A catalogue whose database is on a server: its URL, and what goes wrong, in words.

A password may stand in the URL, so no URL is ever shown as it was given.
"""

import getpass
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from db.engine import ServerDatabase
from db.errors import CatalogueError, CatalogueUnreachable, TurnMissed

# Users and passwords may hold what ends them in a URL: rather too much is hidden than too little.
_PASSWORD = re.compile(r"(://[^:]*):.*@", re.DOTALL)
_PASSWORD_OPTION = re.compile(r"([?&](?:(?:ssl)?password|token)=)[^&]*", re.IGNORECASE)
_DRIVER: Final = "postgresql+psycopg"
_LIKE: Final = "postgresql://USER@HOST/DATABASE"

# Of class 08 the connection, of 57 the server itself; 53300: it has no room for another connection.
_AWAY: Final = ("08", "57P01", "57P02", "57P03", "53300")
_NO_TURN: Final = "55P03"
_NO_RIGHT: Final = "42501"

# A drive of Windows has one letter.
_LIKE_A_URL: Final = re.compile(
    r"[A-Za-z][\w+.-]+:/|postgres(?:ql)?(?:\+\w+)?(?::|//)", re.IGNORECASE
)

_CAUSES: Final = (
    (
        re.compile(r'database "(?P<name>[^"]*)" does not exist'),
        "there is no database {name!r} on {server}: `createdb {options}{name}` makes it",
    ),
    (
        re.compile(r'role "(?P<name>[^"]*)" does not exist'),
        "the database server {server} knows no user {name!r}: name another in the URL, or "
        "`createuser {options}{name}` makes it",
    ),
    (
        re.compile(r"no password supplied"),
        "the database server {server} wants a password: put it into ~/.pgpass or PGPASSWORD",
    ),
    (
        re.compile(r'(?:authentication failed for user|for user) "(?P<name>[^"]*)"'),
        "the database server {server} does not let the user {name!r} in: look for a slip in the "
        "password (in the URL, PGPASSWORD or ~/.pgpass), or in the server's pg_hba.conf",
    ),
    (
        re.compile(r'permission denied for database "(?P<name>[^"]*)"'),
        "the user {user} may not connect to the database {name!r} on {server}: who administers it "
        'gives the right with GRANT CONNECT ON DATABASE "{name}" TO "{user}"',
    ),
    (
        re.compile(r"invalid (?P<what>(?:connection option|\w+ value).*)"),
        "the URL of the catalogue asks {server} for what there is not ({what}): look for a slip "
        "after its question mark",
    ),
    (
        re.compile(r"too many (?:clients|connections)|connection slots are reserved"),
        "the database server {server} takes no more connections: raise its max_connections",
    ),
)


def shown(location: str) -> str:
    """Return a folder, URL or argument as it may be shown to anybody: without the password."""
    if "://" not in location:
        return location
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", location))


def server_url(location: str) -> URL:
    """Read the URL of a database on a server.

    Raises
    ------
    CatalogueError
        If it is none, or not one of PostgreSQL.
    """
    try:
        url = make_url(location)
    except (ArgumentError, ValueError) as error:
        raise CatalogueError(
            f"{shown(location)!r} is not the URL of a database: it is to be like {_LIKE}"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        raise CatalogueError("a catalogue in SQLite is a folder: give the folder, not a URL")
    if backend not in ("postgresql", "postgres"):
        raise CatalogueError(
            f"{shown(location)!r} is not the URL of a database that can hold a catalogue: "
            f"it is to be like {_LIKE}"
        )
    if url.drivername not in ("postgresql", "postgres", _DRIVER):
        raise CatalogueError(
            f"Echoic reaches PostgreSQL through psycopg, not {url.drivername}: "
            f"write the URL like {_LIKE}"
        )
    if url.host and "@" in url.host:
        raise CatalogueError(
            f"there is more than one @ in {shown(location)!r}: write %40 for one in the password"
        )
    return url.set(drivername=_DRIVER)


def assure_no_url(location: str) -> None:
    """Refuse a folder whose name was meant as a URL, so that none of that name is made.

    Raises
    ------
    CatalogueError
        If it begins as a URL does.
    """
    if _LIKE_A_URL.match(location):
        # Not repeated here: a password may stand anywhere in it.
        raise CatalogueError(
            f"what is given as the catalogue begins as a URL, and is none: that of a database is "
            f"like {_LIKE}, with two slashes; a folder of such a name is given as ./NAME"
        )


def assure_fit(database: ServerDatabase, location: str) -> None:
    """Refuse a database in which a catalogue would fail later.

    Raises
    ------
    CatalogueError
        If it cannot hold all letters, or this user may use no schema of it.
    """
    if database.encoding != "UTF8":
        _, options = _server(location)
        raise CatalogueError(
            f"the database {database.name!r} is encoded in {database.encoding}, and a catalogue "
            "needs UTF-8 for the names of files: make another with "
            f"`createdb {options}-E UTF8 -T template0 NAME`, and put its name into the URL"
        )
    if database.schema is None:
        raise CatalogueError(_no_right(location, "no schema may be used", "read"))


@contextmanager
def telling(location: str, doing: str) -> Iterator[None]:
    """Turn what a database raises into words.

    Parameters
    ----------
    location
        The catalogue, as it may be shown.
    doing
        What cannot be done: ``read``, ``written to``.

    Raises
    ------
    CatalogueUnreachable
        If the server does not answer, or went away in the middle.
    TurnMissed
        If the turn of a transaction does not come.
    CatalogueError
        If anything else is wrong.
    """
    try:
        yield
    except DBAPIError as error:
        raise _in_words(error, location, doing) from error
    except PoolTimeout as error:
        raise CatalogueError(
            f"the catalogue {location} cannot be {doing}: too many ask at the same time; try again"
        ) from error


def _in_words(error: DBAPIError, location: str, doing: str) -> CatalogueError:
    said = next(iter(str(error.orig).splitlines()), "")  # what follows are hints and positions
    state = getattr(error.orig, "sqlstate", None)
    if state == _NO_TURN or "database is locked" in said:
        return TurnMissed(
            f"another process has been writing to the catalogue {location} for a minute without a "
            "pause: try again when it has finished"
        )
    if state == _NO_RIGHT:
        return CatalogueError(_no_right(location, said, doing))
    if "://" in location and (_is_away(error, state) or said.startswith("invalid connection")):
        return _unreachable(location, said)
    after = (
        "what was committed before is safe"
        if doing == "written to"
        else "if it is damaged, restore it from a backup or index the archive anew"
    )
    return CatalogueError(f"the catalogue {location} cannot be {doing} ({said}): {after}")


def _is_away(error: DBAPIError, state: str | None) -> bool:
    # Of a connection that was refused or broke, psycopg gives an OperationalError without a state.
    is_operational = type(error.orig).__name__ == "OperationalError"
    known = state.startswith(_AWAY) if state else is_operational
    return error.connection_invalidated or known


def _unreachable(location: str, said: str) -> CatalogueUnreachable:
    server, options = _server(location)
    words = {"server": server, "options": options, "user": _user(location)}
    for pattern, sentence in _CAUSES:
        found = pattern.search(said)
        if found:
            return CatalogueUnreachable(sentence.format(**words | found.groupdict()))
    return CatalogueUnreachable(
        f"the database server {server} does not answer ({said}): start it, or look for a slip in "
        "its address"
    )


def _server(location: str) -> tuple[str, str]:
    """Return what the server is called, and the options by which its own tools reach it."""
    url = make_url(location)
    host = url.host or str(url.query.get("host", "")) or "of this machine"
    options = f"-h {host} " if url.host or "host" in url.query else ""
    options += f"-p {url.port} " if url.port else ""
    options += f"-U {url.username} " if url.username else ""
    return f"{host}:{url.port}" if url.port else host, options


def _user(location: str) -> str:
    """Return who one is for the server, by the rules of its driver."""
    url = make_url(location)
    given = url.username or str(url.query.get("user", "")) or os.environ.get("PGUSER")
    try:
        return given or getpass.getuser()
    except (KeyError, OSError):
        return "of this process"  # in a container it may have no name


def _no_right(location: str, said: str, doing: str) -> str:
    """Say which right is missing, and how it is given."""
    user = _user(location)
    schema = re.search(r"for schema (\S+)", said)
    if "must be owner" in said:
        return (
            f"the catalogue {location} has to be brought up to date by the owner of its tables "
            f"({said}): run `echoic index` once as that user"
        )
    if schema or said == "no schema may be used":
        name = schema[1] if schema else "public"
        remedy = f'GRANT USAGE, CREATE ON SCHEMA {name} TO "{user}"'
    elif doing == "read":
        remedy = f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{user}"'
    else:
        remedy = (
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{user}"; '
            f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{user}"'
        )
    return (
        f"the catalogue {location} cannot be {doing}: the user {user} lacks a right ({said}). "
        f"Who administers the database gives it there: {remedy}"
    )

"""What differs between databases, and nothing else does: connecting, locking, noticing changes.

SQLite is the default; a SQLAlchemy URL names a PostgreSQL server. All SQL text that only one of
them understands stands here, in `db.full_text` and in `db.server_lock`.
"""

import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from db.changes import last_change

LOCK_SPACE: Final = 0x4563686F  # "Echo"
"""The first of the two numbers of all advisory locks that Echoic takes on a server."""

_FILE: Final = "file"  # of a connection to SQLite: which it was opened with
_TURN: Final = 1
_TURN_WAIT: Final = "60s"

# A connection that a firewall has dropped is noticed in a minute, not in two hours: here, and by
# the server, where a machine that has vanished in its turn would keep all others waiting.
_CONNECTING: Final[dict[str, Any]] = {
    "application_name": "echoic",
    "client_encoding": "UTF8",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_OF_THE_SERVER: Final = (
    "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)


def sqlite_url(database: Path, *, read_only: bool = False) -> URL:
    """Return the SQLAlchemy URL of a SQLite file.

    Parameters
    ----------
    read_only
        For a file that nobody can write to, whose log has been folded in: without this, SQLite
        would want to write beside it.
    """
    if not read_only:
        return URL.create("sqlite", database=str(database))
    query = {"mode": "ro", "immutable": "1", "uri": "true"}
    return URL.create("sqlite", database=f"file:{database}", query=query)


def for_writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write: they take turns, on every database.

    On SQLite one that began by reading could not wait: what it has read is out of date when another
    process has written in the meantime, so its first change is refused. On PostgreSQL several would
    go on at once, number segments alike, and add one name twice; they are short, so they wait.
    """
    if engine.dialect.name == "sqlite":
        return engine.execution_options(writes=True)
    # What is read after the turn has come must be what the one before has written.
    return engine.execution_options(writes=True, isolation_level="READ COMMITTED")


def make_engine(url: URL | str) -> Engine:
    """Connect to a database so that a commit survives power loss.

    SQLite runs in write-ahead mode (readers never wait for the writer), with foreign keys on and
    ``synchronous=FULL``: in this mode NORMAL would lose the last commits when the power goes.
    PostgreSQL does so by default. There a session sees one state of the catalogue as on SQLite, and
    connections that a restart of the server has broken are replaced when they are next needed.
    """
    url = make_url(url)
    if url.get_backend_name() != "sqlite":
        return _make_server_engine(url)
    engine = create_engine(url, connect_args={"timeout": 60.0})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # Let SQLAlchemy's events below issue BEGIN, else DDL would commit behind our back.
        connection.isolation_level = None
        cursor = connection.cursor()
        pragmas = ["foreign_keys=ON"]
        if "immutable" not in url.query:
            pragmas += ["journal_mode=WAL", "synchronous=FULL"]
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "connect")
    def note_file(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = _file_of(engine)

    @event.listens_for(engine, "checkout")
    def compare_file(_connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        # SQLite goes on reading a file that another has taken the place of, as a backup may.
        file = _file_of(engine)
        if file is not None and file != record.info[_FILE]:
            raise DisconnectionError("another file lies where the database was")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    return engine


def _file_of(engine: Engine) -> tuple[int, int] | None:
    """Return what tells the file of a SQLite database from others; None if there is none."""
    path = (engine.url.database or "").removeprefix("file:")
    try:
        found = os.stat(path)  # noqa: PTH116, before each transaction: a Path takes as long again
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _make_server_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        connect_args=_connecting(url),
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
        max_overflow=20,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_TURN_WAIT}'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, {_TURN})")

    return engine


def _connecting(url: URL) -> dict[str, Any]:
    """Return how to connect, as far as the URL does not say it otherwise."""
    ours = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    # Given these, the driver reads PGOPTIONS no more. What comes last wins.
    theirs = url.query.get("options") or os.environ.get("PGOPTIONS", "")
    said = [theirs] if isinstance(theirs, str) else theirs
    return ours | {"options": " ".join((_OF_THE_SERVER, *said))}


@dataclass(frozen=True, slots=True)
class ServerDatabase:
    """What has to be right with a database on a server before anything is asked of it.

    Attributes
    ----------
    name : str
    encoding : str
        As PostgreSQL names it: ``UTF8``.
    schema : str or None
        Where tables are made; None if this user may use none.
    """

    name: str
    encoding: str
    schema: str | None


def server_database(connection: Connection) -> ServerDatabase:
    """Return what a server says of the database that one is connected to."""
    query = text("SELECT current_database(), current_setting('server_encoding'), current_schema()")
    return ServerDatabase(*connection.execute(query).one())


def compact(engine: Engine) -> str | None:
    """Give the room of what has been deleted back to the disk; return why that was not possible.

    SQLite keeps it for what is written next, and needs as much room again to let go of it. Servers
    see to it themselves.
    """
    if engine.dialect.name != "sqlite":
        return None
    try:
        # Not through SQLAlchemy, which would begin a transaction: there is no VACUUM in one.
        with closing(engine.raw_connection()) as connection:
            connection.execute("VACUUM")
            # It does not raise when it could not be done: its row says so.
            is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        return str(error)
    return "another process is reading the catalogue" if is_busy else None


def integrity_problems(connection: Connection) -> list[str]:
    """Ask the database whether its own pages and references are whole; empty when they are."""
    if connection.dialect.name != "sqlite":
        return []
    try:
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    except DatabaseError as error:
        return [str(error.orig)]
    problems = [] if found == ["ok"] else found
    if problems:
        return problems
    for table, rowid, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        problems.append(f"row {rowid} of {table} points to nothing in {parent}")
    return problems


def database_size(connection: Connection) -> int:
    """Return the size of the database in bytes."""
    if connection.dialect.name == "sqlite":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        page_size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return int(pages) * int(page_size)
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


class ChangeWatch:
    """Tells whether anything was committed to a database since one asked last, by whomever."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._watching: Connection | None = None
        self._file: tuple[int, int] | None = None

    def stamp(self) -> str:
        """Return a text that stays the same as long as nobody commits; it costs no search.

        Read it before what it is to guard: what is committed in between then changes the next.
        """
        if self._engine.dialect.name != "sqlite":
            # A server's own counters tell of everything that goes on in any of its databases.
            with self._engine.connect() as connection:
                return str(last_change(connection))
        with self._lock:
            file = _file_of(self._engine)
            if self._watching is not None and file not in (self._file, None):
                self._watching.close()
                self._watching = None
            # SQLite counts for each connection what others have committed, so it must stay one.
            if self._watching is None:
                self._watching, self._file = self._engine.connect(), file
            version = self._watching.exec_driver_sql("PRAGMA data_version").scalar()
            self._watching.rollback()
            return f"{file} {version}"

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None

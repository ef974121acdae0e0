"""What differs between databases, and nothing else does: connecting, locking, noticing changes.

SQLite is the default; a SQLAlchemy URL names any other. All SQL text that only one database
understands stands here and in `db.full_text`.
"""

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError


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
    """Return the engine for transactions that write: on SQLite they wait for their turn at once.

    One that began by reading could not wait: what it has read is out of date when another process
    has written in the meantime, so SQLite refuses its first change.
    """
    return engine.execution_options(writes=True)


def make_engine(url: URL | str) -> Engine:
    """Connect to a database so that a commit survives power loss.

    SQLite runs in write-ahead mode (readers never wait for the writer), with foreign keys on and
    ``synchronous=FULL``: in this mode NORMAL would lose the last commits when the power goes.
    """
    url = make_url(url)
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
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

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    return engine


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

    def stamp(self) -> str:
        """Return a text that stays the same as long as nobody commits; it costs no search.

        Read it before what it is to guard: what is committed in between then changes the next.
        """
        if self._engine.dialect.name != "sqlite":
            with self._engine.connect() as connection:
                return str(connection.exec_driver_sql("SELECT txid_current_snapshot()").scalar())
        with self._lock:
            # SQLite counts for each connection what others have committed, so it must stay one.
            if self._watching is None:
                self._watching = self._engine.connect()
            version = self._watching.exec_driver_sql("PRAGMA data_version").scalar()
            self._watching.rollback()
            return str(version)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None

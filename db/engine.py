"""What differs between databases, and nothing else does: connecting, locking, full-text search.

SQLite is the default; a SQLAlchemy URL names any other. All SQL text that only one database
understands stands here.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError

FULL_TEXT_FIELDS = ("path", "title", "description", "tags", "creator", "category", "other")
"""What full-text search reads of a file, most telling first."""

_WORD = re.compile(r"\w+", re.UNICODE)


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
        connection.exec_driver_sql("BEGIN")

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


def create_full_text(connection: Connection) -> None:
    """Create the full-text index over files: FTS5 on SQLite, ``tsvector`` on PostgreSQL."""
    if connection.dialect.name == "sqlite":
        columns = ", ".join(FULL_TEXT_FIELDS)
        connection.exec_driver_sql(
            f"CREATE VIRTUAL TABLE files_text USING fts5({columns}, "
            "tokenize='porter unicode61 remove_diacritics 2')"
        )
        return
    connection.exec_driver_sql(
        "CREATE TABLE files_text (rowid BIGINT PRIMARY KEY, document tsvector NOT NULL)"
    )
    connection.exec_driver_sql("CREATE INDEX files_text_document ON files_text USING gin(document)")


def drop_full_text(connection: Connection) -> None:
    """Remove the full-text index."""
    connection.exec_driver_sql("DROP TABLE files_text")


def put_full_text(connection: Connection, file_id: int, document: Mapping[str, str]) -> None:
    """Store or replace what full-text search knows of a file.

    Parameters
    ----------
    document : mapping
        One text for each of `FULL_TEXT_FIELDS`; absent means empty.
    """
    delete_full_text(connection, [file_id])
    texts = {name: document.get(name, "") for name in FULL_TEXT_FIELDS}
    if connection.dialect.name == "sqlite":
        columns = ", ".join(FULL_TEXT_FIELDS)
        values = ", ".join(f":{name}" for name in FULL_TEXT_FIELDS)
        statement = f"INSERT INTO files_text (rowid, {columns}) VALUES (:id, {values})"
        connection.execute(text(statement), {"id": file_id, **texts})
        return
    vector = " || ".join(
        f"setweight(to_tsvector('english', :{name}), '{weight}')"
        for name, weight in zip(FULL_TEXT_FIELDS, "AABBCCD", strict=True)
    )
    statement = f"INSERT INTO files_text (rowid, document) VALUES (:id, {vector})"
    split = {name: _plain_words(value) for name, value in texts.items()}
    connection.execute(text(statement), {"id": file_id, **split})


def delete_full_text(connection: Connection, file_ids: Sequence[int]) -> None:
    """Make full-text search forget files."""
    statement = text("DELETE FROM files_text WHERE rowid = :id")
    if file_ids:
        connection.execute(statement, [{"id": file_id} for file_id in file_ids])


def search_full_text(connection: Connection, words: str, limit: int) -> list[tuple[int, float]]:
    """Find files whose texts hold all the words, whatever their endings.

    Returns
    -------
    list of (file_id, score)
        Best first; a higher score is better and compares only within one answer.
    """
    terms = _WORD.findall(words.replace("_", " "))
    if not terms:
        return []
    if connection.dialect.name == "sqlite":
        query = " ".join(f'"{term}"' for term in terms)
        statement = (
            "SELECT rowid, -bm25(files_text, 4, 4, 2, 2, 1, 1, 1) AS score FROM files_text "
            "WHERE files_text MATCH :query ORDER BY score DESC, rowid LIMIT :limit"
        )
    else:
        query = _plain_words(words)
        statement = (
            "SELECT rowid, ts_rank(document, plainto_tsquery('english', :query)) AS score "
            "FROM files_text WHERE document @@ plainto_tsquery('english', :query) "
            "ORDER BY score DESC, rowid LIMIT :limit"
        )
    rows = connection.execute(text(statement), {"query": query, "limit": limit})
    return [(int(file_id), float(score)) for file_id, score in rows]


def _plain_words(text_: str) -> str:
    """Do for PostgreSQL what FTS5 does by itself: split "tin_roof.wav" in three, take ü for u."""
    letters = unicodedata.normalize("NFD", text_)
    unaccented = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", unaccented)


def full_text_ids(connection: Connection) -> set[int]:
    """Return the ids of all files that full-text search knows."""
    return {int(row[0]) for row in connection.execute(text("SELECT rowid FROM files_text"))}

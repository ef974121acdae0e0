"""Full-text search over files, on each kind of database.

Two tables hold the same texts. ``files_text`` knows their words by their stems, so that ``dogs``
finds "dog"; ``files_words`` knows them as they are written, for phrases that must stand exactly so.
Both are derived from ``files`` and can be made anew. What reaches the database are words made of
letters and digits alone, in bound parameters.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from db.words import BREAK

TEXT_FIELDS: Final = ("path", "title", "description", "tags", "creator", "category", "other")
"""The texts of a file that are searched for keywords."""

NAMING_FIELDS: Final = ("path", "title", "tags", "category")
"""Those that say what a recording is, rather than tell about it."""

WORDS_FIELDS: Final = ("name", "location", *TEXT_FIELDS[1:])
"""The texts that are searched for exact phrases.

Here the path, called location, has its extension, which would make a bad keyword: "mp3 player".
"""

# PostgreSQL gives words weights instead of columns: A to what names, B to the rest.
_WEIGHTS: Final = {field: "A" if field in NAMING_FIELDS else "B" for field in TEXT_FIELDS}
_MOST_WORDS: Final = 16_000  # of a field: PostgreSQL counts places up to 16,383
_BREAK_PLACES: Final = 2


def put_full_text(
    connection: Connection, file_id: int, document: Mapping[str, Sequence[str]]
) -> None:
    """Store what full-text search knows of a file that it does not know.

    Parameters
    ----------
    document : mapping of str to sequence of str
        The words of each of `TEXT_FIELDS` and `WORDS_FIELDS`, of several texts `db.words.joined`;
        absent means empty.
    """
    fields = dict.fromkeys([*TEXT_FIELDS, *WORDS_FIELDS])
    words = {field: document.get(field, ())[:_MOST_WORDS] for field in fields}
    if connection.dialect.name == "sqlite":
        for table, columns in (("files_text", TEXT_FIELDS), ("files_words", WORDS_FIELDS)):
            statement = (
                f"INSERT INTO {table} (rowid, {', '.join(columns)}) "
                f"VALUES (:id, {', '.join(':' + column for column in columns)})"
            )
            texts = {column: " ".join(words[column]) for column in columns}
            connection.execute(text(statement), {"id": file_id, **texts})
        return
    vector = " || ".join(
        f"setweight(to_tsvector('echoic', :{field}), '{_WEIGHTS[field]}')" for field in TEXT_FIELDS
    )
    connection.execute(
        text(f"INSERT INTO files_text (rowid, document) VALUES (:id, {vector})"),
        {"id": file_id, **{field: " ".join(words[field]) for field in TEXT_FIELDS}},
    )
    connection.execute(
        text("INSERT INTO files_words (rowid, document) VALUES (:id, CAST(:words AS tsvector))"),
        {"id": file_id, "words": " ".join(_lexemes(field, words[field]) for field in WORDS_FIELDS)},
    )


def delete_full_text(connection: Connection, file_ids: Sequence[int]) -> None:
    """Make full-text search forget files."""
    for table in ("files_text", "files_words") if file_ids else ():
        statement = text(f"DELETE FROM {table} WHERE rowid = :id")
        connection.execute(statement, [{"id": file_id} for file_id in file_ids])


def full_text_ids(connection: Connection) -> list[set[int]]:
    """Return the ids of all files that full-text search knows, for each of its tables."""
    return [
        {int(row[0]) for row in connection.execute(text(f"SELECT rowid FROM {table}"))}
        for table in ("files_text", "files_words")
    ]


def files_with_stem(connection: Connection, word: str, *, naming: bool) -> NDArray[np.int64]:
    """Find the files whose texts hold a word, whatever its ending.

    Parameters
    ----------
    word : str
        One of `db.words.words_of`.
    naming : bool
        Look in `NAMING_FIELDS`, or else in the others.

    Returns
    -------
    ndarray of int64
        Ids of files, in no order.
    """
    if connection.dialect.name == "sqlite":
        fields = " ".join(field for field in TEXT_FIELDS if (field in NAMING_FIELDS) == naming)
        return _rowids(connection, "files_text MATCH :query", f'{{{fields}}} : "{word}"')
    query = f"'{word}':{'A' if naming else 'B'}"
    return _rowids(connection, "document @@ to_tsquery('echoic', :query)", query)


def files_with_phrase(
    connection: Connection, words: Sequence[str], fields: Sequence[str], *, prefix: bool = False
) -> NDArray[np.int64]:
    """Find the files in which words stand one after the other, as they are written.

    Parameters
    ----------
    words : sequence of str
        At least one; `db.words.words_of` something.
    fields : sequence of str
        Some of `WORDS_FIELDS`; the phrase must stand in one of them.
    prefix : bool
        The last word may go on.

    Returns
    -------
    ndarray of int64
        Ids of files, in no order.
    """
    if connection.dialect.name == "sqlite":
        phrase = f'"{" ".join(words)}"' + (" *" if prefix else "")
        query = f"{{{' '.join(fields)}}} : {phrase}"
        return _rowids(connection, "files_words MATCH :query", query, table="files_words")
    phrases = []
    for field in fields:
        lexemes = [f"'{field}/{word}'" for word in words]
        if prefix:
            lexemes[-1] += ":*"
        phrases.append(f"({' <-> '.join(lexemes)})")
    query = " | ".join(phrases)
    return _rowids(connection, "document @@ CAST(:query AS tsquery)", query, table="files_words")


def _rowids(
    connection: Connection, where: str, query: str, *, table: str = "files_text"
) -> NDArray[np.int64]:
    """Run a search; all ids come in one text, which takes a tenth of the time that rows take."""
    ids = "group_concat(rowid)"
    if connection.dialect.name != "sqlite":
        ids = "string_agg(rowid::text, ',')"
    statement = text(f"SELECT {ids} FROM {table} WHERE {where}")
    found = connection.execute(statement, {"query": query}).scalar_one()
    if not found:
        return np.empty(0, dtype=np.int64)
    return np.fromstring(found, dtype=np.int64, sep=",")


def _lexemes(field: str, words: Sequence[str]) -> str:
    """Write the words of a field as PostgreSQL reads a ``tsvector``: each with its place."""
    place, lexemes = 0, []
    for word in words:
        place += _BREAK_PLACES if word == BREAK else 1
        if word != BREAK:
            lexemes.append(f"'{field}/{word}':{place}")
    return " ".join(lexemes)

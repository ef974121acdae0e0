"""What is known of all recordings, column by column, in memory.

Conditions and counts of values go through whole columns: an array of 100,000 numbers takes a tenth
of a millisecond, the rows of a table some fifty. A table is read from SQL when it is first asked
for; after a change of the catalogue the rows of those recordings are read that it touched.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.changes import changes_since
from db.column_tables import SOURCES, Table, read_table
from db.engine import ChangeWatch
from db.places import Places
from db.schema import CollectionRow
from db.values import (
    Days,
    Positions,
    Spellings,
    Values,
    Vocabulary,
    days_of,
    numbers_as_values,
    values_of,
)

_Made = TypeVar("_Made")

_TABLE_OF: Final[Mapping[str, str]] = {
    column: table for table, source in SOURCES.items() for column in source.columns
}


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that speak for recordings: those that are there, or all if none is there.

    Attributes
    ----------
    rows : ndarray, shape (n,), int64
        Where they stand in the table of all files.
    places : Places
        Where a file stands among them, by its id.
    positions : ndarray, shape (n,), int64
        The recording of each.
    n_present : ndarray, shape (n_recordings,), int64
        How many files of a recording are there.
    """

    rows: NDArray[np.int64]
    places: Places
    positions: Positions
    n_present: NDArray[np.int64]


class Columns:
    """What one state of a catalogue knows of its recordings.

    Any number of threads may ask. What is committed while tables are read may be in one and not
    in another; then the next `ColumnsCache.columns` gives new ones.
    """

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[Session]],
        number: int,
        vocabularies: Mapping[str, Vocabulary] | None = None,
        tables: Mapping[str, Table] | None = None,
    ) -> None:
        self.number = number
        """Of the last change before any table was read."""
        self._session = session
        self._lock = threading.RLock()
        self._vocabularies = vocabularies or {column: Vocabulary() for column in _TABLE_OF}
        self._tables = dict(tables or {})
        self._made: dict[str, Any] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """Numbers of all recordings, ascending."""
        return self._once("ids", lambda: self._table("recordings").keys)

    def positions_of(self, recording_ids: NDArray[np.int64]) -> Positions:
        """Return the places of recordings in `ids`; those that are not there are left out."""
        return self._find(recording_ids)[0]

    def positions_of_files(self, file_ids: NDArray[np.int64]) -> Positions:
        """Return the recordings that files speak for; one may come several times."""
        files = self._files()
        return files.positions[files.places.find(file_ids)[0]]

    def numbers(self, field: str) -> NDArray[np.float64]:
        """Return a number for each recording; NaN where it is not known."""
        if field == "id":
            return self._once("id", lambda: self.ids.astype(np.float64))
        return self._once(field, lambda: self._read_numbers(field))

    def days(self, field: str) -> Days:
        """Return the dates ``recorded`` or ``indexed``."""
        return self._once(field, self._indexed if field == "indexed" else self._recorded)

    def values(self, field: str) -> Values:
        """Return the values of a field of kind choice, of a text that many share, of a number."""
        return self._once(f"values of {field}", lambda: self._read_values(field))

    def has(self, what: str) -> Positions:
        """Return the recordings of which something is known, one of `db.fields.HAS`."""
        return self._once(f"has {what}", lambda: self._having(what))

    # -- reading ---------------------------------------------------------------------------

    def followed(self) -> "Columns":
        """Return columns as they are now: these, if nothing has changed."""
        # A table that is being read is waited for, before a connection is held.
        with self._lock, self._session() as session:
            found = changes_since(session, self.number)
            if found.number == self.number:
                return self
            if found.recording_ids is None:
                return Columns(self._session, found.number)
            ids, among = found.recording_ids, found.recording_ids.tolist()
            tables = {
                name: table.exchanged(ids, read_table(session, name, self._vocabularies, among))
                for name, table in self._tables.items()
            }
            return Columns(self._session, found.number, self._vocabularies, tables)

    def _once(self, key: str, make: Callable[[], _Made]) -> _Made:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            made: _Made = self._made[key]
            return made

    def _table(self, name: str) -> Table:
        with self._lock:
            if name not in self._tables:
                with self._session() as session:
                    self._tables[name] = read_table(session, name, self._vocabularies)
            return self._tables[name]

    def _find(self, recording_ids: NDArray[np.int64]) -> tuple[Positions, NDArray[np.int64]]:
        """Return the places of recordings in `ids`, and which of these recordings are there."""
        places = self._once("places", lambda: Places(self.ids))
        return places.find(recording_ids)

    def _files(self) -> _Files:
        return self._once("files", self._find_files)

    def _find_files(self) -> _Files:
        table = self._table("files")
        positions, known = self._find(table.owners)
        present = table.columns["present"][known]
        n_present = np.bincount(positions[present], minlength=len(self.ids))
        speaks = present | (n_present[positions] == 0)
        rows = known[speaks]
        return _Files(rows, Places(table.keys[rows]), positions[speaks], n_present)

    def _of_files(self, column: str) -> NDArray[Any]:
        """Return what the files say that speak for recordings."""
        found: NDArray[Any] = self._table("files").columns[column][self._files().rows]
        return found

    def _read_numbers(self, field: str) -> NDArray[np.float64]:
        table = self._table(_TABLE_OF[field])
        positions, known = self._find(table.owners)
        numbers = np.full(len(self.ids), np.nan)
        numbers[positions] = table.columns[field][known]
        return numbers

    def _recorded(self) -> Days:
        bounds = (self._of_files("recorded"), self._of_files("recorded until"))
        return days_of(self._files().positions, *bounds)

    def _indexed(self) -> Days:
        table = self._table("dates")
        positions, known = self._find(table.owners)
        days = table.columns["indexed"][known]
        return Days(positions, days, days)

    def _read_values(self, field: str) -> Values:
        if field in ("samplerate", "channels", "bitdepth"):
            return numbers_as_values(np.arange(len(self.ids)), self.numbers(field))
        if field == "collection":
            codes, spellings = self._of_files(field), self._collections()
            return values_of(self._files().positions, codes, spellings)
        positions, codes = self._texts(field)
        # After the codes, lest one be of a text that came later.
        return values_of(positions, codes, self._vocabularies[field].spellings())

    def _texts(self, field: str) -> tuple[Positions, NDArray[np.int32]]:
        """Return the numbers of texts, and the recordings that they belong to."""
        if _TABLE_OF[field] == "files":
            return self._files().positions, self._of_files(field)
        table = self._table(_TABLE_OF[field])
        positions, rows = self._find(table.owners)
        if field == "tag":
            speaks = table.columns["present"][rows] | (self._files().n_present[positions] == 0)
            positions, rows = positions[speaks], rows[speaks]
        return positions, table.columns[field][rows]

    def _collections(self) -> Spellings:
        """Return the names of collections by their ids."""
        with self._session() as session:
            names = dict(session.execute(select(CollectionRow.id, CollectionRow.name)).all())
        most = int(self._table("files").columns["collection"].max(initial=0))
        vocabulary = Vocabulary()
        codes = vocabulary.codes(names.get(id_, "") for id_ in range(most + 1))
        spellings = vocabulary.spellings()
        texts = [spellings.texts[code] for code in codes]
        return Spellings(texts, spellings.keys[codes], spellings.folded)

    def _having(self, what: str) -> Positions:
        if what in ("title", "description"):
            return np.compress(self._of_files(what), self._files().positions)
        if what == "recorded":
            return self.days("recorded").positions
        if what == "tempo":
            return np.flatnonzero(~np.isnan(self.numbers("tempo")))
        if what in ("warnings", "fingerprint"):
            table = self._table("recordings" if what == "warnings" else "fingerprints")
            rows = table.columns.get(what, np.ones(len(table.keys), dtype=np.bool_))
            return self._find(table.owners[rows])[0]
        if what == "copies":
            return np.flatnonzero(self._files().n_present > 1)
        return self.values("tag" if what == "tags" else what).positions


class ColumnsCache:
    """Keeps the columns of a catalogue, and brings them up to date when it has changed."""

    def __init__(
        self, session: Callable[[], AbstractContextManager[Session]], watch: ChangeWatch
    ) -> None:
        self._session = session
        self._watch = watch
        self._lock = threading.Lock()
        self._stamp = ""
        self._columns: Columns | None = None

    def columns(self) -> Columns:
        """Return the columns of the catalogue as it is; the same as before if nothing changed.

        A list that somebody has added to is no change: it is not counted.
        """
        stamp = self._watch.stamp()
        with self._lock:
            if self._columns is None or stamp != self._stamp:
                self._columns = self._now(self._columns)
                self._stamp = stamp
            return self._columns

    def _now(self, columns: Columns | None) -> Columns:
        if columns is not None:
            return columns.followed()
        with self._session() as session:
            return Columns(self._session, changes_since(session, None).number)

    def close(self) -> None:
        """Let go of the database."""
        self._watch.close()

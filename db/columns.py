"""What is known of all recordings, column by column, in memory.

Conditions and counts of values go through whole columns: an array of 100,000 numbers takes a tenth
of a millisecond, the rows of a table some fifty. A column is read from SQL when it is first asked
for, and all are forgotten when the catalogue has changed.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, Text, cast, select
from sqlalchemy.orm import Session

from db.engine import ChangeWatch, changes_counted
from db.places import Places
from db.schema import (
    CollectionRow,
    DescriptorsRow,
    FileRow,
    FingerprintRow,
    HeardTagRow,
    RecordingRow,
)
from db.values import (
    Days,
    Positions,
    Values,
    codes_of,
    days_of,
    numbers_as_values,
    values_of,
)

_Made = TypeVar("_Made")
_Rows = Mapping[str, Sequence[Any]]

_RECORDING: Final[Mapping[str, Any]] = {
    "id": RecordingRow.id,
    "duration": RecordingRow.duration_s,
    "samplerate": RecordingRow.sample_rate,
    "channels": RecordingRow.channels,
    "bitdepth": RecordingRow.bit_depth,
    "size": RecordingRow.size_bytes,
    "format": RecordingRow.format,
    "codec": RecordingRow.codec,
    "warnings": cast(RecordingRow.warnings, Text),
}
_MEASURED: Final[Mapping[str, Any]] = {
    "recording": DescriptorsRow.recording_id,
    "loudness": DescriptorsRow.loudness_lufs,
    "peak": DescriptorsRow.peak_dbfs,
    "silence": DescriptorsRow.silence_share,
    "centroid": DescriptorsRow.spectral_centroid_hz,
    "flatness": DescriptorsRow.spectral_flatness,
    "tempo": DescriptorsRow.tempo_bpm,
    "onsets": DescriptorsRow.onset_rate_hz,
    "key": DescriptorsRow.key,
}
_FILE: Final[Mapping[str, Any]] = {
    "id": FileRow.id,
    "recording": FileRow.recording_id,
    "present": FileRow.missing_since.is_(None),
    "collection": FileRow.collection_id,
    "title": FileRow.title != "",
    "description": FileRow.description != "",
    "creator": FileRow.creator,
    "licence": FileRow.licence,
    "recorded": FileRow.recorded_at,
    "category": FileRow.category,
    "subcategory": FileRow.subcategory,
    "tag": cast(FileRow.tags, Text),
}


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that speak for recordings: those that are there, or all if none is there.

    Attributes
    ----------
    places : Places
        Where a file stands in the columns, by its id.
    positions : ndarray, shape (n,), int64
        The recording of each.
    rows : mapping of str to sequence
        What they say, by `_FILE`.
    n_present : ndarray, shape (n_recordings,), int64
        How many files of a recording are there.
    """

    places: Places
    positions: Positions
    rows: _Rows
    n_present: NDArray[np.int64]


class Columns:
    """What one state of a catalogue knows of its recordings.

    Any number of threads may ask. What is committed while columns are read may be in one and not
    in another; then the next `ColumnsCache.columns` gives new ones.
    """

    def __init__(self, session: Callable[[], AbstractContextManager[Session]]) -> None:
        self._session = session
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """Numbers of all recordings, ascending."""
        return self._once("ids", lambda: np.array(self._recordings()["id"], dtype=np.int64))

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

    def _once(self, key: str, make: Callable[[], _Made]) -> _Made:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            made: _Made = self._made[key]
            return made

    def _rows(self, names: Iterable[str], query: Select[*tuple[Any, ...]]) -> _Rows:
        """Run a query; return its columns under these names."""
        with self._session() as session:
            # The driver's own rows: SQLAlchemy's take three times as long.
            found = session.connection().execute(query).cursor.fetchall()
        return dict(zip(names, zip(*found, strict=True) if found else repeat(()), strict=False))

    def _find(
        self, recording_ids: Sequence[int] | NDArray[np.int64]
    ) -> tuple[Positions, NDArray[np.int64]]:
        """Return the places of recordings in `ids`, and which of these recordings are there."""
        places = self._once("places", lambda: Places(self.ids))
        return places.find(np.asarray(recording_ids, dtype=np.int64))

    def _recordings(self) -> _Rows:
        query = select(*_RECORDING.values()).order_by(RecordingRow.id)
        return self._once("recordings", lambda: self._rows(_RECORDING, query))

    def _measures(self) -> _Rows:
        query = select(*_MEASURED.values())
        return self._once("measures", lambda: self._rows(_MEASURED, query))

    def _files(self) -> _Files:
        return self._once("files", self._read_files)

    def _read_files(self) -> _Files:
        rows = self._rows(_FILE, select(*_FILE.values()).order_by(FileRow.id))
        places, known = self._find(rows["recording"])
        present = np.array(rows["present"], dtype=np.bool_)[known]
        n_present = np.bincount(places[present], minlength=len(self.ids))
        speaks = present | (n_present[places] == 0)
        chosen = known[speaks]
        if len(chosen) < len(rows["id"]):
            rows = {name: [row[at] for at in chosen] for name, row in rows.items()}
        return _Files(Places(np.array(rows["id"], dtype=np.int64)), places[speaks], rows, n_present)

    def _read_numbers(self, field: str) -> NDArray[np.float64]:
        if field in _RECORDING:
            return np.array(self._recordings()[field], dtype=np.float64)
        measures = self._measures()
        places, known = self._find(measures["recording"])
        numbers = np.full(len(self.ids), np.nan)
        numbers[places] = np.array(measures[field], dtype=np.float64)[known]
        return numbers

    def _recorded(self) -> Days:
        files = self._files()
        return days_of(files.positions, files.rows["recorded"])

    def _indexed(self) -> Days:
        with self._session() as session:
            found = session.execute(select(RecordingRow.id, RecordingRow.indexed_at)).all()
        places, known = self._find([row.id for row in found])
        days = np.array([row.indexed_at.toordinal() for row in found], dtype=np.int64)[known]
        return Days(places, days, days)

    def _read_values(self, field: str) -> Values:
        if field in ("samplerate", "channels", "bitdepth"):
            return numbers_as_values(np.arange(len(self.ids)), self.numbers(field))
        if field in _RECORDING:
            return values_of(np.arange(len(self.ids)), self._recordings()[field])
        if field == "key":
            measures = self._measures()
            places, known = self._find(measures["recording"])
            return values_of(places, [measures["key"][at] or "" for at in known])
        if field == "heard":
            query = select(HeardTagRow.recording_id, HeardTagRow.label)
            rows = self._rows(("recording", "label"), query)
            places, known = self._find(rows["recording"])
            return values_of(places, [rows["label"][at] for at in known])
        files = self._files()
        if field == "tag":
            return _tags(files)
        if field == "collection":
            with self._session() as session:
                names = dict(session.execute(select(CollectionRow.id, CollectionRow.name)).all())
            return values_of(files.positions, [names.get(id_, "") for id_ in files.rows[field]])
        return values_of(files.positions, files.rows[field])

    def _having(self, what: str) -> Positions:
        if what in ("title", "description"):
            files = self._files()
            return files.positions[np.array(files.rows[what], dtype=np.bool_)]
        if what == "recorded":
            return self.days("recorded").positions
        if what == "tempo":
            return np.flatnonzero(~np.isnan(self.numbers("tempo")))
        if what == "warnings":
            return np.flatnonzero([text != "[]" for text in self._recordings()["warnings"]])
        if what == "copies":
            return np.flatnonzero(self._files().n_present > 1)
        if what == "fingerprint":
            rows = self._rows(("recording",), select(FingerprintRow.recording_id))
            return self._find(rows["recording"])[0]
        return self.values("tag" if what == "tags" else what).positions


class ColumnsCache:
    """Keeps the columns of a catalogue until it changes."""

    def __init__(
        self, session: Callable[[], AbstractContextManager[Session]], watch: ChangeWatch
    ) -> None:
        self._session = session
        self._watch = watch
        self._lock = threading.Lock()
        self._stamp = ""
        self._n_changes: str | None = None
        self._columns: Columns | None = None

    def columns(self) -> Columns:
        """Return the columns of the catalogue as it is; the same as before if nothing changed."""
        stamp = self._watch.stamp()
        with self._lock:
            if self._columns is None or stamp != self._stamp:
                # A list that somebody has added to is no reason to read all recordings again.
                n_changes = self._count()
                if self._columns is None or n_changes != self._n_changes:
                    self._columns = Columns(self._session)
                self._stamp, self._n_changes = stamp, n_changes
            return self._columns

    def _count(self) -> str:
        with self._session() as session:
            return changes_counted(session.connection())

    def close(self) -> None:
        """Let go of the database."""
        self._watch.close()


def _tags(files: _Files) -> Values:
    codes, spelled = codes_of(files.rows["tag"])
    lists = [json.loads(text) for text in spelled]
    sizes = np.array([len(tags) for tags in lists], dtype=np.int64)[codes]
    raw = chain.from_iterable(lists[code] for code in codes)
    return values_of(np.repeat(files.positions, sizes), raw)

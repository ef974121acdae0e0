"""Tables of SQL in memory, column by column, in which the rows of some recordings can be exchanged.

A column is an array: of numbers, of flags, or of the numbers that a vocabulary gives to texts. So
100,000 rows are copied in milliseconds, while to read them again takes a second.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Text, cast, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.bulk import rows_of, spliced
from db.schema import DescriptorsRow, FileRow, FingerprintRow, HeardTagRow, RecordingRow
from db.values import Vocabulary, day_span

Array: TypeAlias = NDArray[Any]
_Make: TypeAlias = Callable[[Sequence[Any]], Array]


def _numbers(found: Sequence[float | None]) -> Array:
    return np.array(found, dtype=np.float64)  # None becomes NaN


def _whole(found: Sequence[int]) -> Array:
    return np.array(found, dtype=np.int64)


def _flags(found: Sequence[bool]) -> Array:
    return np.array(found, dtype=np.bool_)


def _ordinals(found: Sequence[datetime]) -> Array:
    return np.fromiter((at.toordinal() for at in found), dtype=np.int64)


def _first_days(found: Sequence[str]) -> Array:
    return np.fromiter(((day_span(text) or (0, 0))[0] for text in found), dtype=np.int64)


def _last_days(found: Sequence[str]) -> Array:
    return np.fromiter(((day_span(text) or (0, 0))[1] for text in found), dtype=np.int64)


_TEXTS: Final = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the rows of a table come from.

    Attributes
    ----------
    owner
        The recording that a row belongs to.
    key
        Rows are in its order.
    columns
        What is kept of a row, and what is made of it; None: the numbers of texts.
    lists : str
        The last column, if it holds lists of texts; there is a row for each item.
    then
        What rows of the same key are in the order of, if there can be several.
    """

    owner: InstrumentedAttribute[int]
    key: InstrumentedAttribute[int]
    columns: Mapping[str, tuple[Any, _Make | None]] = field(default_factory=dict)
    lists: str = ""
    then: InstrumentedAttribute[str] | None = None


_IS_THERE: Final = FileRow.missing_since.is_(None)
SOURCES: Final[Mapping[str, _Source]] = {
    "recordings": _Source(
        RecordingRow.id,
        RecordingRow.id,
        {
            "duration": (RecordingRow.duration_s, _numbers),
            "samplerate": (RecordingRow.sample_rate, _numbers),
            "channels": (RecordingRow.channels, _numbers),
            "bitdepth": (RecordingRow.bit_depth, _numbers),
            "size": (RecordingRow.size_bytes, _numbers),
            "format": (RecordingRow.format, _TEXTS),
            "codec": (RecordingRow.codec, _TEXTS),
            "warnings": (cast(RecordingRow.warnings, Text) != "[]", _flags),
        },
    ),
    "dates": _Source(
        RecordingRow.id, RecordingRow.id, {"indexed": (RecordingRow.indexed_at, _ordinals)}
    ),
    "measures": _Source(
        DescriptorsRow.recording_id,
        DescriptorsRow.recording_id,
        {
            "loudness": (DescriptorsRow.loudness_lufs, _numbers),
            "peak": (DescriptorsRow.peak_dbfs, _numbers),
            "silence": (DescriptorsRow.silence_share, _numbers),
            "centroid": (DescriptorsRow.spectral_centroid_hz, _numbers),
            "flatness": (DescriptorsRow.spectral_flatness, _numbers),
            "tempo": (DescriptorsRow.tempo_bpm, _numbers),
            "onsets": (DescriptorsRow.onset_rate_hz, _numbers),
            "key": (DescriptorsRow.key, _TEXTS),
        },
    ),
    "files": _Source(
        FileRow.recording_id,
        FileRow.id,
        {
            "present": (_IS_THERE, _flags),
            "collection": (FileRow.collection_id, _whole),
            "title": (FileRow.title != "", _flags),
            "description": (FileRow.description != "", _flags),
            "creator": (FileRow.creator, _TEXTS),
            "licence": (FileRow.licence, _TEXTS),
            "category": (FileRow.category, _TEXTS),
            "subcategory": (FileRow.subcategory, _TEXTS),
            "recorded": (FileRow.recorded_at, _first_days),
            "recorded until": (FileRow.recorded_at, _last_days),
        },
    ),
    "tags": _Source(
        FileRow.recording_id,
        FileRow.id,
        {"present": (_IS_THERE, _flags), "tag": (FileRow.tags, _TEXTS)},
        lists="tag",
    ),
    "heard": _Source(
        HeardTagRow.recording_id,
        HeardTagRow.recording_id,
        {"heard": (HeardTagRow.label, _TEXTS)},
        then=HeardTagRow.label,
    ),
    "fingerprints": _Source(FingerprintRow.recording_id, FingerprintRow.recording_id),
}


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows in memory; never changed, only exchanged for others.

    Attributes
    ----------
    owners, keys : ndarray, shape (n,), int64
        The recording of each row, and what the rows are in the order of.
    columns : mapping of str to ndarray, shape (n,)
    """

    owners: Array
    keys: Array
    columns: Mapping[str, Array]

    def exchanged(self, recording_ids: NDArray[np.int64], new: "Table") -> "Table":
        """Return a table with other rows of some recordings.

        Parameters
        ----------
        new
            All that they have now.
        """
        gone = np.flatnonzero(np.isin(self.owners, recording_ids))
        if not len(gone) and not len(new.keys):
            return self
        kept = np.delete(self.keys, gone)
        at = np.searchsorted(kept, new.keys)
        return Table(
            spliced(self.owners, gone, at, new.owners),
            spliced(self.keys, gone, at, new.keys),
            {
                name: spliced(column, gone, at, new.columns[name])
                for name, column in self.columns.items()
            },
        )


def read_table(
    session: Session,
    name: str,
    vocabularies: Mapping[str, Vocabulary],
    recording_ids: Sequence[int] | None = None,
) -> Table:
    """Read one of `SOURCES`, all of it or what belongs to some recordings.

    Parameters
    ----------
    vocabularies
        By column.
    """
    source = SOURCES[name]
    columns = [column for column, _ in source.columns.values()]
    query = select(source.owner, source.key.label("key"), *columns)
    if source.then is not None:
        query = query.order_by(source.key, source.then)
    elif recording_ids is None:
        query = query.order_by(source.key)
    parts = [_converted(source, [], vocabularies)]
    for block in rows_of(session, query, source.owner, recording_ids):
        parts.append(_converted(source, block, vocabularies))
    owners, keys, *found = (np.concatenate(each) for each in zip(*parts, strict=True))
    order: Any = slice(None)
    if recording_ids is not None:
        order = np.argsort(keys, kind="stable")
    named = zip(source.columns, found, strict=True)
    return Table(owners[order], keys[order], {name: column[order] for name, column in named})


def _converted(
    source: _Source, rows: Sequence[Sequence[Any]], vocabularies: Mapping[str, Vocabulary]
) -> list[Array]:
    """Make arrays of rows: owners, keys, and one of each column."""
    owners, keys, *found = list(zip(*rows, strict=True)) or [()] * (2 + len(source.columns))
    columns = dict(zip(source.columns, found, strict=True))
    made = {
        name: (make or vocabularies[name].codes)(columns[name])
        for name, (_, make) in source.columns.items()
        if name != source.lists
    }
    both = [_whole(owners), _whole(keys)]
    if not source.lists:
        return both + list(made.values())
    lists = columns[source.lists]
    sizes = np.fromiter(map(len, lists), dtype=np.int64)
    items = vocabularies[source.lists].codes(chain.from_iterable(lists))
    return [*(np.repeat(each, sizes) for each in both + list(made.values())), items]

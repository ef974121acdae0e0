"""Conditions on what is known of recordings: which recordings meet them, and which values occur.

A recording may lie in several files, and each may say something else. A condition is met if any
file that is there meets it, or any at all if none is there; a negated one, if none of them does.

Words are looked for in SQL (`db.full_text`), everything else in columns that are kept in memory
until the catalogue changes (`db.columns`). So a text of the user never becomes part of a statement,
all databases answer alike, and the same columns give the counts of values.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.columns import Columns
from db.comparisons import Mask, compare
from db.conditions import Condition, Range, Text
from db.errors import ConditionError
from db.fields import FACETS, FIELDS, Field, Kind

__all__ = ["FACETS", "FIELDS", "Field", "Kind", "RecordingFilter"]

_KEPT_MASKS: Final = 128  # of 100,000 recordings: 13 MB


class RecordingFilter:
    """Finds the recordings that meet conditions, and counts values among recordings.

    What was computed is kept until the catalogue changes, also by another process. Any number of
    threads may ask.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._columns: Columns | None = None
        self._masks: OrderedDict[tuple[str, Text | Range], Mask] = OrderedDict()

    def matching(self, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Return the recordings that meet all conditions.

        Returns
        -------
        ndarray of int64
            Ids of recordings, ascending; of all recordings if there is no condition.

        Raises
        ------
        ConditionError
            If there is no such field, or it cannot be asked for such a value.
        """
        columns = self._catalogue.columns()
        met = np.ones(len(columns.ids), dtype=np.bool_)
        for condition in conditions:
            met &= self._meets(columns, condition)
        return columns.ids[met]

    def facets(
        self,
        recording_ids: NDArray[np.int64] | None,
        fields: Sequence[str],
        *,
        limit: int = 20,
    ) -> dict[str, list[tuple[str, int]]]:
        """Count how many recordings have each value.

        Parameters
        ----------
        recording_ids : ndarray of int64, or None
            Ids of recordings, each once; None: all.
        fields : sequence of str
            Some of `FACETS`.
        limit : int
            The greatest number of values of a field.

        Returns
        -------
        dict of str to list of (value, count)
            The most frequent values first, on a tie by name. Spellings of a value that differ only
            in case, accents or the signs between words are counted as one.

        Raises
        ------
        ConditionError
            If the values of a field cannot be counted.
        """
        columns = self._catalogue.columns()
        chosen = None
        if recording_ids is not None:
            chosen = np.zeros(len(columns.ids), dtype=np.bool_)
            chosen[columns.positions_of(recording_ids)] = True
        return {field: _count(columns, field, chosen, limit) for field in fields}

    def _meets(self, columns: Columns, condition: Condition) -> Mask:
        field = FIELDS.get(condition.field)
        if field is None:
            raise ConditionError(
                f"there is no field {condition.field!r} (there are: {', '.join(FIELDS)})"
            )
        if not condition.values:
            raise ConditionError(f"the condition on {field.name} names no value")
        met = self._kept(columns, field, condition.values[0])
        for value in condition.values[1:]:
            met = met | self._kept(columns, field, value)
        return ~met if condition.negated else met

    def _kept(self, columns: Columns, field: Field, value: Text | Range) -> Mask:
        """Return which recordings have a value; what was returned once is kept."""
        key = (field.name, value)
        with self._lock:
            if self._columns is not columns:
                self._columns = columns
                self._masks.clear()
            if key in self._masks:
                self._masks.move_to_end(key)
                return self._masks[key]
        with self._catalogue.session() as session:
            mask = compare(columns, field, value, session)
        with self._lock:
            if self._columns is columns:
                self._masks[key] = mask
                if len(self._masks) > _KEPT_MASKS:
                    self._masks.popitem(last=False)
        return mask


def _count(columns: Columns, field: str, chosen: Mask | None, limit: int) -> list[tuple[str, int]]:
    if field not in FACETS:
        raise ConditionError(
            f"the values of {field!r} cannot be counted (those of {', '.join(FACETS)} can)"
        )
    values = columns.values(field)
    codes = values.codes if chosen is None else values.codes[chosen[values.positions]]
    counts = np.bincount(codes, minlength=len(values.labels))
    least = 1
    if limit < len(counts):
        least = max(1, int(np.partition(counts, -limit)[-limit])) if limit > 0 else len(codes) + 1
    found = [
        (values.labels[code], int(counts[code]))
        for code in np.flatnonzero(counts >= least).tolist()
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

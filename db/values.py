"""Columns of values, numbers and dates, as arrays that a condition goes through at once."""

import re
from calendar import monthrange
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.words import fold_value, words_of

_DATE = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?!\d)")

Positions: TypeAlias = NDArray[np.int64]
"""Places of recordings in `db.columns.Columns.ids`."""


@dataclass(frozen=True)
class Values:
    """The values of a field; a recording may have several of them.

    Values that differ only in case, accents or the signs between words are one.

    Attributes
    ----------
    positions : ndarray, shape (n,), int64
    codes : ndarray, shape (n,), int64
        Which recording has which value, each pair once.
    labels : sequence of str
        The values by code, each in its most frequent spelling.
    """

    positions: Positions
    codes: NDArray[np.int64]
    labels: Sequence[str]

    @cached_property
    def folded(self) -> list[str]:
        """The values as `db.words.fold_value` gives them."""
        return [fold_value(label) for label in self.labels]

    @cached_property
    def padded_words(self) -> list[str]:
        """The words of each value between spaces, so that whole words can be looked for."""
        return [f" {' '.join(words_of(label))} " for label in self.labels]


@dataclass(frozen=True, slots=True)
class Days:
    """The dates of a field, each as the days that it may mean.

    Attributes
    ----------
    positions, first, last : ndarray, shape (n,), int64
        Days are counted from 1 January of the year 1.
    """

    positions: Positions
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def values_of(positions: Positions, raw: Iterable[str]) -> Values:
    """Make a column of texts; empty ones are left out.

    Parameters
    ----------
    positions : ndarray, shape (n,), int64
    raw : iterable of str
        `n` texts; the same recording may come several times.
    """
    codes, spelled = codes_of(raw)
    counts = np.bincount(codes, minlength=len(spelled))
    best: dict[str, int] = {}
    folded = [fold_value(text) for text in spelled]
    for code, key in enumerate(folded):
        if key and (key not in best or counts[code] > counts[best[key]]):
            best[key] = code
    place = {key: number for number, key in enumerate(best)}
    merged = np.array([place.get(key, -1) for key in folded], dtype=np.int64)[codes]
    has_value = merged >= 0
    labels = [spelled[code].strip() for code in best.values()]
    return _pairs(positions[has_value], merged[has_value], labels)


def numbers_as_values(positions: Positions, numbers: NDArray[np.float64]) -> Values:
    """Make a column of texts from whole numbers; those that are not known are left out."""
    known = ~np.isnan(numbers)
    distinct, codes = np.unique(numbers[known].astype(np.int64), return_inverse=True)
    return Values(positions[known], codes.reshape(-1), [str(number) for number in distinct])


def codes_of(raw: Iterable[Hashable]) -> tuple[NDArray[np.int64], list[Any]]:
    """Number the distinct items in the order in which they come; return numbers and items."""
    known: dict[Hashable, int] = {}
    codes = np.fromiter((known.setdefault(item, len(known)) for item in raw), dtype=np.int64)
    return codes, list(known)


def days_of(positions: Positions, raw: Iterable[str]) -> Days:
    """Make a column of dates; texts that are none are left out."""
    codes, spelled = codes_of(raw)
    spans = [day_span(text) or (0, 0) for text in spelled]
    bounds = np.array(spans, dtype=np.int64).reshape(-1, 2)[codes]
    is_date = bounds[:, 0] > 0
    return Days(positions[is_date], bounds[is_date, 0], bounds[is_date, 1])


def day_span(text: str) -> tuple[int, int] | None:
    """Return the first and last day that an ISO date, whole or in part, may mean.

    What follows the date, as a time, does not matter. ``00`` for a month or day means that it is
    not known. None if the text does not begin with a date.
    """
    match = _DATE.match(text.strip())
    if match is None:
        return None
    year, month, day = (int(part or 0) for part in match.groups())
    if not year or month > 12 or (month and day > monthrange(year, month)[1]):
        return None
    if not month:
        return date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    last = day or monthrange(year, month)[1]
    return date(year, month, day or 1).toordinal(), date(year, month, last).toordinal()


def _pairs(positions: Positions, codes: NDArray[np.int64], labels: list[str]) -> Values:
    """Leave out pairs that come again: two files of a recording may say the same."""
    n_labels = max(len(labels), 1)
    pairs = positions * n_labels + codes
    if len(pairs) and (np.diff(pairs) <= 0).any():
        pairs = np.unique(pairs)
    return Values(pairs // n_labels, pairs % n_labels, labels)

"""Columns of values, numbers and dates, as arrays that a condition goes through at once."""

import re
import threading
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import TypeAlias

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
    folded : sequence of str
        The values as `db.words.fold_value` gives them.
    """

    positions: Positions
    codes: NDArray[np.int64]
    labels: Sequence[str]
    folded: Sequence[str]

    @cached_property
    def padded_words(self) -> list[str]:
        """The words of each value between spaces, so that whole words can be looked for."""
        return [f" {' '.join(words_of(label))} " for label in self.labels]


@dataclass(frozen=True, slots=True, eq=False)
class Spellings:
    """Texts by number, and which of them are one value.

    Attributes
    ----------
    texts : sequence of str
    keys : ndarray, shape (n_texts,), int64
        The value of each text; -1 if it says nothing.
    folded : sequence of str
        The values as `db.words.fold_value` gives them.
    """

    texts: Sequence[str]
    keys: NDArray[np.int64]
    folded: Sequence[str]


class Vocabulary:
    """Gives numbers to texts, in the order in which they come. Threads may share one.

    It only grows: a text keeps its number while rows come and go, so that these need not be read
    again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []
        self._keys: list[int] = []
        self._key_of: dict[str, int] = {}
        self._folded: list[str] = []
        self._spellings = Spellings(self._texts, np.empty(0, dtype=np.int64), self._folded)

    def codes(self, texts: Iterable[str | None]) -> NDArray[np.int32]:
        """Return the numbers of texts; None is the empty one."""
        with self._lock:
            return np.fromiter((self._code(text or "") for text in texts), dtype=np.int32)

    def spellings(self) -> Spellings:
        """Return all texts so far, and perhaps some that came later."""
        with self._lock:
            if len(self._spellings.keys) < len(self._keys):
                keys = np.array(self._keys, dtype=np.int64)
                self._spellings = Spellings(self._texts, keys, self._folded)
            return self._spellings

    def _code(self, text: str) -> int:
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
            folded = fold_value(text)
            key = self._key_of.get(folded, -1)
            if folded and key < 0:
                key = self._key_of[folded] = len(self._folded)
                self._folded.append(folded)
            self._keys.append(key)
        return code


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


def values_of(positions: Positions, codes: NDArray[np.integer], spellings: Spellings) -> Values:
    """Make a column of texts; those that say nothing are left out.

    Parameters
    ----------
    positions : ndarray, shape (n,), int64
        The same recording may come several times.
    codes : ndarray, shape (n,), integer
        Numbers of texts in `spellings`.
    """
    keys = spellings.keys[codes]
    positions, codes, keys = positions[keys >= 0], codes[keys >= 0], keys[keys >= 0]
    counts = np.bincount(codes, minlength=len(spellings.keys))
    used = np.flatnonzero(counts)
    comes_first = np.zeros(len(counts), dtype=np.int64)
    comes_first[codes[::-1]] = np.arange(len(codes))[::-1]
    # Of each value the most frequent spelling, then the one that comes first.
    order = used[np.lexsort((comes_first[used], -counts[used], spellings.keys[used]))]
    best = order[np.diff(spellings.keys[order], prepend=-1) != 0]
    value_comes = np.full(len(spellings.folded), len(codes), dtype=np.int64)
    np.minimum.at(value_comes, spellings.keys[used], comes_first[used])
    best = best[np.argsort(value_comes[spellings.keys[best]])]
    place = np.full(len(spellings.folded), -1, dtype=np.int64)
    place[spellings.keys[best]] = np.arange(len(best))
    labels = [spellings.texts[code].strip() for code in best.tolist()]
    folded = [spellings.folded[key] for key in spellings.keys[best].tolist()]
    return Values(*_pairs(positions, place[keys], len(labels)), labels, folded)


def numbers_as_values(positions: Positions, numbers: NDArray[np.float64]) -> Values:
    """Make a column of texts from whole numbers; those that are not known are left out."""
    known = ~np.isnan(numbers)
    distinct, codes = np.unique(numbers[known].astype(np.int64), return_inverse=True)
    labels = [str(number) for number in distinct]
    return Values(positions[known], codes.reshape(-1), labels, labels)


def days_of(positions: Positions, first: NDArray[np.int64], last: NDArray[np.int64]) -> Days:
    """Make a column of dates; those that begin on day 0 are none and left out."""
    is_date = first > 0
    return Days(positions[is_date], first[is_date], last[is_date])


@lru_cache(maxsize=50_000)
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


def _pairs(
    positions: Positions, codes: NDArray[np.int64], n_codes: int
) -> tuple[Positions, NDArray[np.int64]]:
    """Leave out pairs that come again: two files of a recording may say the same."""
    pairs = positions * max(n_codes, 1) + codes
    if (np.diff(pairs) <= 0).any():
        pairs.sort()  # `np.unique` takes ten times as long
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return pairs // max(n_codes, 1), pairs % max(n_codes, 1)

"""How each kind of field is compared with a value that a condition names."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.columns import Columns
from db.conditions import Range, Text
from db.errors import ConditionError
from db.fields import HAS, Field, Kind
from db.full_text import WORDS_FIELDS, files_with_phrase
from db.values import Positions, Values, day_span
from db.words import fold_value, words_of

Mask: TypeAlias = NDArray[np.bool_]
"""For each recording of `Columns.ids` whether it meets a condition."""

_IN_FULL_TEXT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "text": WORDS_FIELDS[1:],  # the first, the name, is the end of the second
        "path": ("location",),
        "name": ("name",),
        "title": ("title",),
        "description": ("description",),
    }
)
_KEY = re.compile(r"([a-g])\s*(#|♯|b|♭|sharp|flat|)\s*(major|maj|minor|min|m|)", re.IGNORECASE)
_SEMITONES: Final = MappingProxyType(dict(zip("cdefgab", (0, 2, 4, 5, 7, 9, 11), strict=True)))
_TONICS: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def compare(columns: Columns, field: Field, value: Text | Range, session: Session) -> Mask:
    """Return which recordings have a value that meets the condition's.

    Raises
    ------
    ConditionError
        If the field cannot be asked for such a value.
    """
    if field.kind in (Kind.NUMBER, Kind.DATE):
        if not isinstance(value, Range):
            raise ConditionError(_how_to_ask(field, value.text))
        return (
            _by_number(columns, field, value)
            if field.kind is Kind.NUMBER
            else _by_date(columns, field, value)
        )
    if not isinstance(value, Text):
        raise ConditionError(f"{field.name} holds texts, which have no range: name one")
    if field.name in _IN_FULL_TEXT:
        words, is_prefix = _phrase(field, value)
        files = files_with_phrase(
            session.connection(), words, _IN_FULL_TEXT[field.name], prefix=is_prefix
        )
        return _mask(columns, columns.positions_of_files(files))
    if field.name == "has":
        return _mask(columns, columns.has(_presence(value.text)))
    values = columns.values(field.name)
    if field.kind is Kind.TEXT:
        met = _holding_words(values, *_phrase(field, value))
    else:
        met = _equal(values, _choice(field, value))
    return _mask(columns, values.positions[met[values.codes]])


def _mask(columns: Columns, positions: Positions) -> Mask:
    mask = np.zeros(len(columns.ids), dtype=np.bool_)
    mask[positions] = True
    return mask


# -- numbers and dates -------------------------------------------------------------------------


def _by_number(columns: Columns, field: Field, asked: Range) -> Mask:
    low, high = (_number(field, bound) for bound in (asked.low, asked.high))
    numbers = columns.numbers(field.name)
    met = ~np.isnan(numbers)
    if low is not None:
        met &= (numbers >= low) if asked.includes_low else (numbers > low)
    if high is not None:
        met &= (numbers <= high) if asked.includes_high else (numbers < high)
    return met


def _by_date(columns: Columns, field: Field, asked: Range) -> Mask:
    """Take the dates that lie in the range for certain: all days that they may mean do."""
    days = columns.days(field.name)
    met = np.ones(len(days.positions), dtype=np.bool_)
    if asked.low is not None:
        first, last = _span(field, asked.low)
        met &= days.first >= (first if asked.includes_low else last + 1)
    if asked.high is not None:
        first, last = _span(field, asked.high)
        met &= days.last <= (last if asked.includes_high else first - 1)
    return _mask(columns, days.positions[met])


def _number(field: Field, bound: float | str | None) -> float | None:
    if isinstance(bound, str):
        raise ConditionError(_how_to_ask(field, bound))
    return bound


def _span(field: Field, bound: float | str) -> tuple[int, int]:
    span = day_span(str(bound)) if re.fullmatch(r"\d{4}(-\d\d){0,2}", str(bound)) else None
    if span is None:
        raise ConditionError(_how_to_ask(field, str(bound)))
    return span


def _how_to_ask(field: Field, asked: str) -> str:
    if field.kind is Kind.DATE:
        return (
            f"{field.name} is a date, which {asked!r} is not: "
            f"write 1962, 1962-05 or 1962-05-21, as in {field.name}:1962..1970"
        )
    unit = f" ({field.unit})" if field.unit else ""
    return (
        f"{field.name} is a number{unit}, which {asked!r} is not: "
        f"write it as in {field.name}:<10 or {field.name}:5..10"
    )


# -- texts -------------------------------------------------------------------------------------


def _phrase(field: Field, value: Text) -> tuple[list[str], bool]:
    """Return the words to look for, and whether the last may go on."""
    text = value.text.rstrip()
    words = words_of(text)
    if not words:
        raise ConditionError(
            f"{value.text!r} holds no word to look for in {field.name}: write one, "
            "of letters or digits"
        )
    return words, text.endswith("*")


def _holding_words(values: Values, words: list[str], is_prefix: bool) -> Mask:
    wanted = " " + " ".join(words) + ("" if is_prefix else " ")
    return np.array([wanted in padded for padded in values.padded_words], dtype=np.bool_)


def _choice(field: Field, value: Text) -> str:
    """Return the value to look for, folded, a ``*`` at its end included."""
    wanted = fold_value(value.text)
    if not wanted:
        raise ConditionError(f"the condition on {field.name} names no value: write one")
    if field.name == "key" and not wanted.endswith("*"):
        return fold_value(_key(value.text))
    return wanted


def _equal(values: Values, wanted: str) -> Mask:
    if wanted.endswith("*"):
        begins = wanted[:-1].rstrip()
        return np.array([folded.startswith(begins) for folded in values.folded], dtype=np.bool_)
    return np.array([folded == wanted for folded in values.folded], dtype=np.bool_)


def _key(text: str) -> str:
    """Return a musical key as the descriptors spell it: ``A minor`` is ``Am``, ``Bb`` is ``A#``."""
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise ConditionError(f"{text!r} is no musical key: write it as Am, A minor, Bb or F# major")
    tonic, sign, mode = (part.lower() for part in match.groups())
    step = 1 if sign in ("#", "♯", "sharp") else -1 if sign else 0
    name = _TONICS[(_SEMITONES[tonic] + step) % 12]
    return name + ("m" if mode in ("m", "min", "minor") else "")


def _presence(text: str) -> str:
    wanted = fold_value(text)
    if wanted not in HAS:
        raise ConditionError(f"`has` cannot ask for {text!r} (it can for: {', '.join(HAS)})")
    return wanted

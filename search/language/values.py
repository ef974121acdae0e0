"""Numbers, times and dates as people write them in a query, and back."""

import math
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from db.conditions import Range, Text
from db.fields import OTHER_SPELLINGS
from db.filters import Field, Kind
from search.language.cursor import shortened

_BYTES: Final[Mapping[str, Decimal | int]] = {
    f"{prefix}{unit}": factor
    for prefix, decimal, binary in (
        ("k", 10**3, 2**10),
        ("m", 10**6, 2**20),
        ("g", 10**9, 2**30),
        ("t", 10**12, 2**40),
    )
    for unit, factor in (("", decimal), ("b", decimal), ("ib", binary))
}
_SECONDS: Final[Mapping[str, Decimal | int]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    "ms": Decimal("0.001"),
}
_LEVEL: Final = dict.fromkeys(("db", "dbfs", "lufs", "lkfs"), 1)
_UNITS: Final[Mapping[str, Mapping[str, Decimal | int]]] = {
    "s": _SECONDS,
    "Hz": {"hz": 1, "k": 1000, "khz": 1000},
    "bytes": {"b": 1, "byte": 1, "bytes": 1, **_BYTES},
    "bit": {"bit": 1, "bits": 1},
    "LUFS": _LEVEL,
    "dBFS": _LEVEL,
    "BPM": {"bpm": 1},
    "1/s": {"/s": 1},
    "": {"%": Decimal("0.01")},
}
"""What may stand after a number, in lower case, for each unit of `db.filters.FIELDS`."""

_LAYOUTS: Final = {"mono": 1, "stereo": 2, "quad": 4, "5.1": 6, "7.1": 8}

_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?)([a-zA-Z/%]*)")
_CLOCK = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{2}(?:\.[0-9]*)?)")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_LEAST_PLAIN, _MOST_PLAIN = 1e-9, 1e16
_HYPHENATED = re.compile("(-?[0-9][0-9.:]*)[-\u2013]([0-9][0-9.:]*)")
_DECADE = re.compile(r"([0-9]{3})0s")


class BadValue(ValueError):
    """A value cannot be read; the message says why and what to write instead."""


def seconds(text: str) -> float:
    """Read a time: ``12.5``, ``10s``, ``500ms``, ``2min``, ``1:30``, ``1:02:05.5``.

    Raises
    ------
    BadValue
        If it is none, or negative.
    """
    value = _decimal(text, _SECONDS)[0]
    if value < 0:
        raise BadValue(f"{text} is before the beginning: a time is not negative")
    return float(value)


def read_value(field: Field, text: str, *, quoted: bool) -> Text | Range:
    """Read one value of a condition, in the field's unit.

    Parameters
    ----------
    quoted
        It stood in quotation marks, so nothing in it is a sign.

    Raises
    ------
    BadValue
        If the field cannot have such a value.
    """
    if not text.strip():
        raise BadValue(f"{field.name}: has an empty value; write {example(field)}")
    if field.kind in (Kind.TEXT, Kind.CHOICE):
        return _text(field, text, quoted=quoted)
    text = text.strip().replace("\N{MINUS SIGN}", "-").replace("\N{HORIZONTAL ELLIPSIS}", "..")
    if ".." in text:
        return _between(field, *text.split("..", 1))
    for sign in ("<=", ">=", "<", ">", "="):
        if text.startswith(sign):
            if not text[len(sign) :]:
                raise BadValue(
                    f"nothing follows {field.name}:{sign} directly; "
                    f"write it without spaces, as {example(field)}"
                )
            return _compared(sign, _bound(field, text[len(sign) :]))
    return _single(field, text)


def example(field: Field) -> str:
    """Return a condition on a field as it is to be written."""
    values = {
        Kind.DATE: "1962..1970",
        Kind.TEXT: '"two words"',
        Kind.CHOICE: field.values[0] if field.values else "this,that",
    }
    numbers = {
        "s": "<1:30", "Hz": ">=44.1k", "bytes": "<10M", "LUFS": "<-30", "dBFS": ">-3",
        "BPM": "120..130", "bit": ">=24", "1/s": ">2",
    }  # fmt: skip
    measured = "0.2..0.5" if field.measured else "2"
    return f"{field.name}:{values.get(field.kind) or numbers.get(field.unit, measured)}"


def _text(field: Field, text: str, *, quoted: bool) -> Text:
    if not quoted and text[0] in "<>":
        raise BadValue(f'{field.name} has no order; write {field.name}:word or {field.name}:"<3"')
    if field.values:
        text = OTHER_SPELLINGS.get(text.lower(), text)
    if field.values and text.lower() not in field.values:
        close = get_close_matches(text.lower(), field.values, n=3)
        wanted = f"did you mean {' or '.join(close)}?" if close else ""
        raise BadValue(
            f"{field.name}: knows no {shortened(text)}; "
            + (wanted or f"it has {', '.join(field.values)}")
        )
    return Text(text)


def _between(field: Field, low: str, high: str) -> Range:
    includes_low, includes_high = not low.startswith(">"), not high.startswith("<")
    low, high = low.removeprefix(">"), high.removeprefix("<")
    if not low and not high:
        raise BadValue(f"{field.name}:.. has no bound; write {example(field)}")
    found = Range(
        _bound(field, low) if low else None,
        _bound(field, high) if high else None,
        includes_low,
        includes_high,
    )
    if low and high and _is_after(found.low, found.high):
        raise BadValue(f"{low}..{high} goes from more to less; write {field.name}:{high}..{low}")
    return found


def _is_after(low: float | str | None, high: float | str | None) -> bool:
    if isinstance(low, str) and isinstance(high, str):
        return low[: len(high)] > high  # a part of a date is all the days in it
    return isinstance(low, int | float) and isinstance(high, int | float) and low > high


def _compared(sign: str, bound: float | str) -> Range:
    if sign == "=":
        return Range(bound, bound)
    if sign[0] == "<":
        return Range(None, bound, includes_high=sign == "<=")
    return Range(bound, None, includes_low=sign == ">=")


def _single(field: Field, text: str) -> Range:
    if field.kind is Kind.DATE:
        if decade := _DECADE.fullmatch(text):
            return Range(f"{decade[1]}0", f"{decade[1]}9")
        return _compared("=", _bound(field, text))
    if not field.measured:
        return _compared("=", _bound(field, text))
    value, step = _number(field, text)
    return Range(_finite(value - step / 2), _finite(value + step / 2), includes_high=False)


def _bound(field: Field, text: str) -> float | str:
    if field.kind is Kind.DATE:
        return _date(field, text)
    if field.name == "channels" and text.lower() in _LAYOUTS:
        return float(_LAYOUTS[text.lower()])
    value, _ = _number(field, text)
    if not field.measured and value != value.to_integral_value():
        raise BadValue(f"{field.name} is a whole number, and {text} is none")
    return _finite(value)


def _number(field: Field, text: str) -> tuple[Decimal, Decimal]:
    try:
        return _decimal(text, _units(field))
    except BadValue as error:
        if found := _HYPHENATED.fullmatch(text):
            raise BadValue(f"a range has two dots: {field.name}:{found[1]}..{found[2]}") from None
        raise BadValue(f"{error}; write {example(field)}") from None


def _units(field: Field) -> Mapping[str, Decimal | int]:
    return _UNITS.get(field.unit, {}) if field.unit or field.measured else {}


def units_after(field: Field) -> tuple[str, ...]:
    """Return what may follow a number of a field, in lower case; the empty unit left out."""
    return tuple(_units(field)) if field.kind is Kind.NUMBER else ()


def _decimal(text: str, units: Mapping[str, Decimal | int]) -> tuple[Decimal, Decimal]:
    """Return a number, and what one of its last digit is worth."""
    if units is _SECONDS and (clock := _CLOCK.fullmatch(text)):
        return _on_the_clock(clock)
    found = _NUMBER.fullmatch(text)
    if not found:
        raise BadValue(f"{shortened(text)} is no {'time' if units is _SECONDS else 'number'}")
    unit = found[2].lower()
    if unit and unit not in units:
        known = ", ".join(units)
        raise BadValue(
            f"{shortened(found[2])} is no unit of it" + (f" (it knows {known})" if known else "")
        )
    factor = Decimal(units[unit]) if unit else Decimal(1)
    value = Decimal(found[1])
    exponent = value.as_tuple().exponent
    return value * factor, factor.scaleb(exponent if isinstance(exponent, int) else 0)


def _on_the_clock(clock: re.Match[str]) -> tuple[Decimal, Decimal]:
    hours, minutes, rest = int(clock[1] or 0), int(clock[2]), Decimal(clock[3])
    if rest >= 60 or (clock[1] and minutes >= 60):
        raise BadValue(f"{clock[0]!r} is no time: minutes and seconds go up to 59")
    exponent = rest.as_tuple().exponent
    step = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return 3600 * hours + 60 * minutes + rest, step


def _finite(value: Decimal) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise BadValue("there is no number as large")
    return number


def _date(field: Field, text: str) -> str:
    found = _DATE.fullmatch(text)
    try:
        if found:
            date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
            return text
    except ValueError:
        raise BadValue(f"{text!r} is in no calendar") from None
    if years := re.fullmatch("([0-9]{4})[-\u2013]([0-9]{4})", text):
        raise BadValue(f"a range has two dots: {field.name}:{years[1]}..{years[2]}")
    raise BadValue(
        f"{shortened(text)} is no date; write {field.name}:1962, {field.name}:1962-05 or "
        f"{field.name}:1962-05-21"
    )


def written_value(field: Field, value: Text | Range) -> str:
    """Return one value of a condition as `read_value` reads it; not in quotation marks.

    Raises
    ------
    BadValue
        If the field cannot have this value.
    """
    if isinstance(value, Text) is (field.kind in (Kind.NUMBER, Kind.DATE)):
        wanted = "Range" if isinstance(value, Text) else "Text"
        raise BadValue(f"a condition on {field.name} takes a {wanted}")
    if isinstance(value, Text):
        return value.text
    for candidate in (_single_value(value), _bounds(value)):
        if candidate and _is_read_as(field, candidate, value):
            return candidate
    raise BadValue(f"{value} cannot be written as a condition on {field.name}")


def _is_read_as(field: Field, text: str, value: Range) -> bool:
    try:
        return read_value(field, text, quoted=False) == value
    except BadValue:
        return False


def _single_value(value: Range) -> str:
    """Return what may be read as this range without a sign: the digits that all in it share."""
    if value.low == value.high or not isinstance(value.low, int | float):
        return plain_number(value.low)
    if not isinstance(value.high, int | float):
        return ""
    step = Decimal(repr(value.high)) - Decimal(repr(value.low))
    if step < _LEAST_PLAIN:
        return ""
    middle = Decimal(repr(value.low)) + step / 2
    return f"{round(middle, -step.adjusted()) if step <= 1 else middle:f}"


def _bounds(value: Range) -> str:
    low, high = plain_number(value.low), plain_number(value.high)
    if not low and not high:
        raise BadValue("a range needs a bound")
    if low == high and value.includes_low and value.includes_high:
        return f"={low}"
    if not low:
        return f"{'<=' if value.includes_high else '<'}{high}"
    if not high:
        return f"{'>=' if value.includes_low else '>'}{low}"
    return f"{'' if value.includes_low else '>'}{low}..{'' if value.includes_high else '<'}{high}"


def plain_number(number: float | str | None) -> str:
    """Return a number in digits, with an exponent only if it is tiny or huge; a text as it is.

    Raises
    ------
    BadValue
        If it is infinite or no number.
    """
    if number is None or isinstance(number, str):
        return number or ""
    if not math.isfinite(number):
        raise BadValue(f"{number} cannot be written in a query")
    if number and not _LEAST_PLAIN <= abs(number) < _MOST_PLAIN:
        return repr(float(number))
    return f"{Decimal(repr(float(number))):f}".removesuffix(".0")

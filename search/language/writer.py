"""A query as text: what `search.language.parse` reads the same query from."""

import re
from pathlib import Path

from db.conditions import Condition, Range, Text
from db.filters import FIELDS
from search.errors import QueryError
from search.language.values import BadValue, plain_number, written_value
from search.query import (
    DEFAULT_WITHIN_S,
    Archived,
    CopyOf,
    Example,
    Query,
    Sound,
    Taught,
    Term,
    Words,
)

_PLAIN_WORD = re.compile(r"[^\W_](?:[\w'\u2019-]*[^\W_])?[.,!?;]?")
_PLAIN_NAME = re.compile(r"[\w./\\][\w./\\:,'-]*")


def text_of(query: Query) -> str:
    """Return the text of a query, if it has one; `search.language.write` sees that it has.

    Raises
    ------
    QueryError
        If a field, a value or a number in it cannot be written.
    """
    within = "" if query.within_s == DEFAULT_WITHIN_S else f"[{_number(query.within_s)}s]"
    between = f" then{within} " if query.in_order else " & "
    parts = [between.join(_sound(sound) for sound in query.sounds)] if query.sounds else []
    parts += [_excluded(sound) for sound in query.without]
    parts += [_condition(condition) for condition in query.conditions]
    parts += [f"{_minus(copy)}copyof:{_path(copy.path)}" for copy in query.copies]
    return " ".join(parts)


def _sound(sound: Sound) -> str:
    if not sound.terms:
        raise QueryError("a sound has at least one term")
    written = _term(sound.terms[0], sound.terms[0].weight)
    for term in sound.terms[1:]:
        written += f" {'-' if term.weight < 0 else '+'} {_term(term, abs(term.weight))}"
    return written


def _excluded(sound: Sound) -> str:
    written = _sound(sound)
    term = sound.terms[0]
    if len(sound.terms) > 1:
        return f"-[{written}]"
    if isinstance(term, Words) and not written.startswith("(") and " " in written:
        return f"-({term.text}){_weight(term.weight)}"
    return f"-{written}"


def _term(term: Term, weight: float) -> str:
    match term:
        case Words(text):
            written = _words(text)
        case Example(path, from_s, to_s):
            written = f"like:{_path(path)}{_part(from_s, to_s)}"
        case Archived(recording_id, from_s, to_s):
            written = f"like:#{recording_id}{_part(from_s, to_s)}"
        case Taught(name):
            written = f"sound:{name if _PLAIN_NAME.fullmatch(name) else _quoted(name)}"
    return written + _weight(weight)


def _words(text: str) -> str:
    words = text.split()
    lower = [word.lower() for word in words]
    plain = all(_PLAIN_WORD.fullmatch(word) for word in words) and "then" not in lower
    # Before `then`, an "and" or a comma at the end would be taken for a part of the order.
    if words and plain and lower[-1] != "and" and words[-1][-1] not in ",;":
        return " ".join(words)
    escaped = " ".join(words).replace("\\", "\\\\")
    if not _is_balanced(escaped):
        escaped = escaped.replace("(", "\\(").replace(")", "\\)")
    return f"({escaped})"


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def _weight(weight: float) -> str:
    return "" if weight == 1.0 else f"^{_number(weight)}"


def _part(from_s: float | None, to_s: float | None) -> str:
    if from_s is None and to_s is None:
        return ""
    return f"@{'' if from_s is None else _number(from_s)}-{'' if to_s is None else _number(to_s)}"


def _path(path: Path) -> str:
    text = str(path)
    return text if _PLAIN_NAME.fullmatch(text) else _quoted(text)


def _condition(condition: Condition) -> str:
    field = FIELDS.get(condition.field)
    if field is None:
        raise QueryError(f"there is no field {condition.field!r} to filter by")
    if not condition.values:
        raise QueryError(f"a condition on {field.name} needs a value")
    minus = _minus(condition)
    first = condition.values[0]
    if field.name == "text" and len(condition.values) == 1 and isinstance(first, Text):
        return f"{minus}{_quoted(first.text)}"
    try:
        values = [_value(written_value(field, value), value) for value in condition.values]
    except BadValue as error:
        raise QueryError(f"this query cannot be written as text: {error}") from error
    return f"{minus}{field.name}:{','.join(values)}"


def _value(written: str, value: Text | Range) -> str:
    if isinstance(value, Range) or re.fullmatch(r"[\w.*/\\#+-]+", written):
        return written
    return _quoted(written)


def _minus(demand: Condition | CopyOf) -> str:
    return "-" if demand.negated else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _number(number: float) -> str:
    try:
        return plain_number(number)
    except BadValue as error:
        raise QueryError(str(error)) from error

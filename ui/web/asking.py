"""From what people do on the page to queries, and back to the text in the box."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from db.conditions import Condition, Range, Text
from db.fields import FIELDS, Kind
from search.errors import QueryError
from search.language import parse, write
from search.query import Archived, Example, Query, Sound

_LESS = -0.5
"""The weight of what is to be heard less: enough to turn away from it, not to its opposite."""

LENGTHS = {
    "under 5 s": Range(None, 5.0, includes_high=False),
    "5 to 30 s": Range(5.0, 30.0, includes_high=False),
    "30 s to 2 min": Range(30.0, 120.0, includes_high=False),
    "over 2 min": Range(120.0, None),
}
"""Lengths that can be chosen at the side."""


def read(text: str, example: Example | None = None) -> Query:
    """Return the query that the box and the example dropped in make together.

    An example joins the words as one sound: "like this, but with rain".

    Raises
    ------
    QuerySyntaxError
        If the text is no query.
    """
    query = parse(text) if text.strip() else Query()
    if example is None:
        return query
    if not query.sounds:
        return replace(query, sounds=(Sound((example,)),))
    first, *others = query.sounds
    return replace(query, sounds=(Sound((example, *first.terms)), *others))


def check_files(query: Query, allowed: Iterable[Path]) -> None:
    """Refuse a query that names a file outside the folders that may be read.

    Raises
    ------
    QueryError
        Which says what to do instead.
    """
    folders = [folder.resolve() for folder in allowed]
    terms = [term for sound in (*query.sounds, *query.without) for term in sound.terms]
    named = [term.path for term in terms if isinstance(term, Example)]
    for path in [*named, *(copy.path for copy in query.copies)]:
        resolved = path.expanduser().resolve()
        if not any(resolved.is_relative_to(folder) for folder in folders):
            raise QueryError(
                f"{path} lies in none of the archive's folders: to search by a file of your own, "
                "drop it in under “Use a sound”"
            )


def more_like(text: str, recording_id: int, from_s: float, to_s: float) -> str:
    """Return the text that asks for more like a passage, under the same conditions."""
    query = _lenient(text)
    sound = Sound((_archived(recording_id, from_s, to_s, 1.0),))
    return write(Query((sound,), query.without, query.conditions, query.copies))


def less_like(text: str, recording_id: int, from_s: float, to_s: float) -> str:
    """Return the text that asks for the same, but less like a passage.

    Raises
    ------
    QueryError
        If nothing is asked for that could be turned away from the passage.
    """
    query = _lenient(text)
    if not query.sounds:
        raise QueryError("say first what you want to hear: less like this can then refine it")
    *others, last = query.sounds
    terms = (*last.terms, _archived(recording_id, from_s, to_s, _LESS))
    return write(replace(query, sounds=(*others, Sound(terms))))


def chosen(query: Query, field: str) -> list[str]:
    """Return the values of a field that a query is limited to."""
    return [
        _value(value)
        for condition in query.conditions
        if condition.field == field and not condition.negated
        for value in condition.values
    ]


def choose(text: str, field: str, values: Sequence[str]) -> str:
    """Return the text with the field limited to other values; to none: not limited."""
    is_number = FIELDS[field].kind is Kind.NUMBER
    wanted = tuple(
        Range(float(value), float(value)) if is_number else Text(value) for value in values
    )
    return _with(text, field, wanted)


def without_conditions(text: str) -> str:
    """Return the text that asks for the same among all recordings."""
    changed = replace(_lenient(text), conditions=())
    return write(changed) if changed != Query() else ""


def chosen_length(query: Query) -> str | None:
    """Return which of `LENGTHS` a query is limited to."""
    given = {v for c in query.conditions if c.field == "duration" for v in c.values}
    return next((name for name, bounds in LENGTHS.items() if given == {bounds}), None)


def choose_length(text: str, name: str | None) -> str:
    """Return the text with the length limited to one of `LENGTHS`; None: not limited."""
    return _with(text, "duration", (LENGTHS[name],) if name else ())


def _with(text: str, field: str, values: tuple[Text | Range, ...]) -> str:
    query = _lenient(text)
    kept = [c for c in query.conditions if c.field != field or c.negated]
    added = [Condition(field, values)] if values else []
    changed = replace(query, conditions=(*kept, *added))
    return write(changed) if changed != Query() else ""


def _lenient(text: str) -> Query:
    return parse(text) if text.strip() else Query()


def _archived(recording_id: int, from_s: float, to_s: float, weight: float) -> Archived:
    return Archived(recording_id, round(from_s, 2), round(to_s, 2), weight)


def _value(value: Text | Range) -> str:
    if isinstance(value, Text):
        return value.text
    return f"{value.low:.10g}" if isinstance(value.low, float) and value.low == value.high else ""

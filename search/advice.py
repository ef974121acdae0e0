"""What may help when a query did not bring what was meant."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from db.conditions import Condition, Text
from db.filters import FACETS, RecordingFilter
from search.query import Query, Words

_MOST_VALUES: Final = 2000
_SHOWN: Final = 3
_LONGEST: Final = 60
_OPERATORS: Final = {
    "AND": "write church bell & crowd for two sounds in one recording",
    "OR": "nothing here means either, so search twice, for each of them",
    "NOT": "write dog barking -music to leave a sound out",
}
_OPERATOR = re.compile(rf"(?<!^)\b({'|'.join(_OPERATORS)})\b(?!$)|^(NOT)\b")


def advice(query: Query, conditions: RecordingFilter, *, n_hits: int) -> list[str]:
    """Say what may help the one who asked.

    Parameters
    ----------
    query : Query
    conditions : RecordingFilter
        Of the archive that was asked.
    n_hits : int
        How many hits there were.

    Returns
    -------
    list of str
        Sentences; empty if there is nothing to say.
    """
    said = list(dict.fromkeys(_about_operators(query)))
    if n_hits == 0:
        said += _about_sequences(query)
        for condition in query.conditions:
            said += _about_values(condition, conditions)
    return said


def _about_operators(query: Query) -> Iterator[str]:
    """Words that are operators elsewhere are words here, which nobody would notice."""
    for sound in (*query.sounds, *query.without):
        for term in sound.terms:
            for found in _OPERATOR.finditer(term.text) if isinstance(term, Words) else ():
                name = found[1] or found[2]
                yield f"{name} is a word like any other in a query: {_OPERATORS[name]}"


def _about_sequences(query: Query) -> Iterator[str]:
    if query.in_order and len(query.sounds) > 1:
        yield (
            "search for each sound alone to see whether it is there; here each must begin within "
            f"{query.within_s:g} s after the one before it: write then[2:00] to allow two minutes, "
            "or & for any order"
        )


def _about_values(condition: Condition, recordings: RecordingFilter) -> Iterator[str]:
    """Name values that are there for one that no recording has."""
    if condition.negated or condition.field not in FACETS or len(recordings.matching([condition])):
        return
    counts = recordings.facets(None, [condition.field], limit=_MOST_VALUES)[condition.field]
    spelt = {label.casefold(): label for label, _ in reversed(counts)}
    for value in condition.values:
        if not isinstance(value, Text):
            continue
        close = get_close_matches(value.text.casefold()[:_LONGEST], spelt, _SHOWN, 0.6)
        named = [spelt[label] for label in close] or [label for label, _ in counts[:_SHOWN]]
        has = f"no recording has {condition.field}:{value.text}"
        if close:
            yield f"{has}; did you mean {' or '.join(named)}?"
        elif named:
            yield f"{has}; the most frequent here: {', '.join(named)}"
        else:
            yield f"{has}, or any other {condition.field}"

"""The query language: text to a query and back. ``docs/queries.md`` is its description.

It is made for a search box. Plain words are always just words; a sign means something only where
nobody would type it by chance, and what cannot be meant is an error that says what to write.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from db.conditions import Condition
from search.errors import QueryError, QuerySyntaxError
from search.language.items import Demand, Exclusion, Given, Item, Operator, Word
from search.language.scanner import scan
from search.language.writer import text_of
from search.query import DEFAULT_WITHIN_S, CopyOf, Query, Sound, Term, Words

MAX_LENGTH: Final = 10_000
"""Characters of a query; nobody types as many, and a file pasted by mistake has more."""


def parse(text: str, *, relative_to: Path | None = None) -> Query:
    """Read a query.

    Parameters
    ----------
    text
        In the query language, as ``rain on a tin roof -music duration:<10``.
    relative_to
        The folder that relative file names start from; None leaves them as they are.

    Returns
    -------
    Query
        Whether its files, recordings and sound classes exist is not looked up.

    Raises
    ------
    QuerySyntaxError
        If the text is no query. The message says where, and what to write instead.
    """
    _check_characters(text)
    items = scan(text, relative_to)
    operands, separators = _operands(items)
    demands = [item.value for item in items if isinstance(item, Demand)]
    without = tuple(_excluded(item) for item in items if isinstance(item, Exclusion))
    sounds = tuple(sound for operand in operands if (sound := _sound(operand)) is not None)
    conditions = tuple(demand for demand in demands if isinstance(demand, Condition))
    copies = tuple(demand for demand in demands if isinstance(demand, CopyOf))
    if not (sounds or without or demands):
        raise QuerySyntaxError("say what to search for, as in: rain on a tin roof", 0)
    in_order = any(separator.sign == "then" for separator in separators)
    return Query(sounds, without, conditions, copies, in_order, _within_s(separators))


def write(query: Query) -> str:
    """Write a query as text.

    Reading it again gives an equal query, but for two things that mean nothing: spaces beyond
    one between words, and an order or a limit where there are fewer than two sounds in order.

    Raises
    ------
    QueryError
        If there is no such text: nothing is asked, a field or value does not exist, a name holds
        control characters, the text would be longer than `MAX_LENGTH`.
    """
    text = text_of(query)
    try:
        read = parse(text)
    except QuerySyntaxError as error:
        raise QueryError(f"this query cannot be written as text: {error}") from error
    in_order = query.in_order and len(query.sounds) > 1
    meant = replace(
        query,
        sounds=tuple(_spaced(sound) for sound in query.sounds),
        without=tuple(_spaced(sound) for sound in query.without),
        in_order=in_order,
        within_s=query.within_s if in_order else DEFAULT_WITHIN_S,
    )
    if read != meant:
        raise QueryError("this query cannot be written as text: a value in it is out of bounds")
    return text


def _spaced(sound: Sound) -> Sound:
    return Sound(
        tuple(
            replace(term, text=" ".join(term.text.split())) if isinstance(term, Words) else term
            for term in sound.terms
        )
    )


def _check_characters(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise QuerySyntaxError(
            f"a query has at most {MAX_LENGTH:,} characters, and this has {len(text):,}", MAX_LENGTH
        )
    for at, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Cs" or (category == "Cc" and not character.isspace()):
            raise QuerySyntaxError(f"take out the invisible character U+{ord(character):04X}", at)


def _operands(items: Sequence[Item]) -> tuple[list[list[Item]], list[Operator]]:
    """Split items at ``&`` and ``then``, where ``then`` is no mere word."""
    operands: list[list[Item]] = [[]]
    separators: list[Operator] = []
    for number, item in enumerate(items):
        if not isinstance(item, Operator) or item.sign not in ("&", "then"):
            operands[-1].append(item)
        elif item.sign == "then" and not _joins(operands[-1], items[number + 1 :]):
            if item.within_s is not None:
                raise QuerySyntaxError(f"{item.text} stands between two sounds", item.at)
            operands[-1].append(Word(item.at, item.text))
        else:
            if separators and separators[0].sign != item.sign:
                raise QuerySyntaxError(
                    "a query has either & or then; for the word itself write (then)", item.at
                )
            if item.sign == "then":
                _drop_and(operands[-1])
            separators.append(item)
            operands.append([])
    _refuse_nothing_beside(operands, separators)
    return operands, separators


def _joins(before: Sequence[Item], after: Sequence[Item]) -> bool:
    """Tell whether ``then`` stands between two sounds, and not in "now and then"."""
    words = [_bare(item) for item in before if isinstance(item, Word | Given)]
    following = next((item for item in after if not isinstance(item, Demand | Exclusion)), None)
    if words in ([], ["and"]) or words[-2:] == ["now", "and"]:
        return False
    return isinstance(following, Word | Given)


def _bare(item: Word | Given) -> str:
    """Return a bare word in lower case; nothing for a literal phrase or an example."""
    return item.text.lower() if isinstance(item, Word) and not item.literal else ""


def _drop_and(items: list[Item]) -> None:
    """Make ``dog, and`` before ``then`` the same as ``dog``."""
    last = items[-1]
    if isinstance(last, Word) and _bare(last) == "and":
        items.pop()
        last = items[-1]
    if isinstance(last, Word) and _bare(last).rstrip(",;"):
        items[-1] = replace(last, text=last.text.rstrip(",;"))


def _refuse_nothing_beside(operands: list[list[Item]], separators: list[Operator]) -> None:
    for number, separator in enumerate(separators):
        if not operands[number] or not operands[number + 1]:
            raise QuerySyntaxError(
                f"{separator.text} needs something on both sides, as in bell & crowd; "
                f"for the sign itself write ({separator.text})",
                separator.at,
            )


def _within_s(separators: Sequence[Operator]) -> float:
    found = DEFAULT_WITHIN_S
    limits = [separator for separator in separators if separator.within_s is not None]
    for limit in limits:
        if limit.within_s != limits[0].within_s:
            raise QuerySyntaxError(
                f"a query has one limit for all its sounds, and {limits[0].text} comes before",
                limit.at,
            )
        found = limit.within_s or found
    return found


def _excluded(exclusion: Exclusion) -> Sound:
    for item in exclusion.items:
        is_sum = isinstance(item, Operator) and item.sign in ("+", "-")
        if not is_sum and not isinstance(item, Word | Given):
            raise QuerySyntaxError("-[ ] holds one sound: words, examples, + and -", item.at)
    sound = _sound(exclusion.items)
    if sound is None:
        raise QuerySyntaxError("say what to leave out, as in -music", exclusion.at)
    return sound


def _sound(items: Sequence[Item]) -> Sound | None:
    """Return the sum that the items of one operand make; None if there is nothing to hear."""
    rows: list[list[Word | Given]] = [[]]
    signs: list[Operator] = []
    for item in items:
        if isinstance(item, Operator):
            signs.append(item)
            rows.append([])
        elif isinstance(item, Word | Given):
            rows[-1].append(item)
    if not signs and not rows[0]:
        return None
    for number, sign in enumerate(signs):
        if not rows[number] or not rows[number + 1]:
            raise _lonely(sign)
    terms = [_term(rows[0])]
    for sign, row in zip(signs, rows[1:], strict=True):
        term = _term(row)
        terms.append(replace(term, weight=-term.weight) if sign.sign == "-" else term)
    if not any(term.weight > 0 for term in terms):
        raise QuerySyntaxError(
            "a sound needs something to look for, not only to take away", rows[0][0].at
        )
    return Sound(tuple(terms))


def _lonely(sign: Operator) -> QuerySyntaxError:
    if sign.sign == "+":
        meant = "to blend two sounds write rain + wind"
    else:
        meant = (
            "to leave a sound out write -music without a space, "
            "to take one away from another write rain - wind"
        )
    return QuerySyntaxError(f"{sign.text} needs a sound on both sides: {meant}", sign.at)


def _term(row: Sequence[Word | Given]) -> Term:
    if isinstance(row[0], Given) and len(row) == 1:
        return row[0].term
    words = [item for item in row if isinstance(item, Word)]
    if len(words) < len(row):
        raise QuerySyntaxError(
            "put + between an example and another sound to blend them, & to ask for both; "
            "a file name with spaces goes in quotation marks",
            row[1].at,
        )
    for item in words[:-1]:
        if item.weight is not None:
            raise QuerySyntaxError(
                "a weight stands at the end of a whole sound, as in heavy rain^2; "
                "two sounds have a + between",
                item.at,
            )
    text = " ".join(word.text for word in words if word.text)
    if not any(character.isalnum() for character in text):
        raise QuerySyntaxError("here is no word to search for", words[0].at)
    return Words(text, words[-1].weight or 1.0)

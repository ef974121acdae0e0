"""The signs of the query language: a text cut into words, terms, conditions and operators."""

import re
from collections.abc import Iterator
from pathlib import Path

from db.conditions import Condition, Text
from search.language.cursor import MINUS, Cursor, weight_in
from search.language.items import Demand, Exclusion, Item, Operator, Word
from search.language.named import read_named
from search.language.values import BadValue, seconds

_DASH = "\N{EN DASH}"
_DASHES = re.compile(f"[{MINUS}{_DASH}\N{EM DASH}]+")
_LEVEL = re.compile(rf"[{MINUS}{_DASH}][0-9.]+\s*(?:dB\w*|LUFS|LKFS)\b", re.IGNORECASE)
_LIMIT = re.compile(r"\s*\[([^\]]*)(\]?)")


def scan(text: str, relative_to: Path | None) -> list[Item]:
    """Cut a query into items.

    Parameters
    ----------
    relative_to
        The folder that relative file names start from; None leaves them as they are.

    Raises
    ------
    QuerySyntaxError
        If something is no item.
    """
    return list(_items(Cursor(text), relative_to))


def _items(cursor: Cursor, relative_to: Path | None) -> Iterator[Item]:
    while True:
        cursor.skip_blanks()
        character = cursor.character()
        if not character or character == "]" in cursor.ends:
            return
        if character in MINUS + _DASH:
            yield _after_minus(cursor, relative_to)
        else:
            yield _unit(cursor, relative_to, negated=False)


def _after_minus(cursor: Cursor, relative_to: Path | None) -> Item:
    begin = cursor.at
    if _LEVEL.match(cursor.text, begin):
        return Word(begin, cursor.word())
    cursor.at = cursor.after(_DASHES)
    dashes = cursor.text[begin : cursor.at]
    if cursor.is_at_end():
        # Between spaces a hyphen subtracts; longer dashes are punctuation.
        return Operator(begin, "-", dashes) if dashes in MINUS else Word(begin, dashes)
    if len(dashes) > 1:
        raise cursor.error("one minus is enough to leave something out", begin)
    if cursor.character() == "[":
        return Exclusion(begin, _bracket(cursor, relative_to))
    found = _unit(cursor, relative_to, negated=True)
    return found if isinstance(found, Demand) else Exclusion(begin, (found,))


def _bracket(cursor: Cursor, relative_to: Path | None) -> tuple[Item, ...]:
    begin, before = cursor.at, cursor.ends
    if "]" in before:
        raise cursor.error("there are no brackets in brackets")
    cursor.at += 1
    cursor.ends = before + "]"
    found = tuple(_items(cursor, relative_to))
    cursor.ends = before
    if not cursor.character():
        raise cursor.error("no ] closes this bracket", begin)
    cursor.at += 1
    cursor.closed("]")
    return found


def _unit(cursor: Cursor, relative_to: Path | None, *, negated: bool) -> Item:
    begin = cursor.at
    if cursor.is_at_quotation():
        phrase = cursor.quoted()
        if not any(character.isalnum() for character in phrase):
            raise cursor.error("there is no word between these quotation marks", begin)
        cursor.closed("the closing quotation mark")
        return Demand(begin, Condition("text", (Text(phrase),), negated))
    if cursor.character() == "(":
        words = " ".join(cursor.enclosed().split())
        weight = cursor.weight()
        cursor.closed(")")
        return Word(begin, words, literal=True, weight=weight)
    if cursor.character() == ")":
        raise cursor.error("this ) closes nothing; take it out, or put a ( before it")
    return read_named(cursor, relative_to, negated=negated) or _word(cursor, negated=negated)


def _word(cursor: Cursor, *, negated: bool) -> Word | Operator:
    begin = cursor.at
    word = cursor.word()
    if not negated and word in ("&", "&&", "+"):
        return Operator(begin, word[0], word)
    if not negated and word.lower().partition("[")[0] == "then":
        return _then(cursor, begin)
    weight = weight_in(word)
    if weight is None:
        return Word(begin, word)
    if weight == 0:
        raise cursor.error("a weight stands directly after a sound, as in rain^2", begin)
    cursor.at = begin + weight
    return Word(begin, word[:weight], weight=cursor.weight())


def _then(cursor: Cursor, begin: int) -> Operator:
    cursor.at = begin + len("then")
    limit = _LIMIT.match(cursor.text, cursor.at)
    if not limit:
        return Operator(begin, "then", cursor.text[begin : cursor.at])
    try:
        within_s = seconds(limit[1].replace(" ", "")) if limit[2] else 0.0
    except BadValue as error:
        raise cursor.error(f"{error}; write the limit as in then[10s]", begin) from None
    if within_s <= 0.0:
        raise cursor.error("write the limit as in then[10s]; it is more than nothing", begin)
    cursor.at = limit.end()
    cursor.closed("]")
    return Operator(begin, "then", cursor.text[begin : limit.end()], within_s)

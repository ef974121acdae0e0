"""What has a name and a colon in a query: conditions, examples, taught sounds, copies."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from db.conditions import Condition, Range, Text
from db.fields import OTHER_SPELLINGS
from db.filters import FIELDS, Field
from search.errors import QuerySyntaxError
from search.language.cursor import Cursor, shortened, weight_in
from search.language.items import Demand, Given
from search.language.values import BadValue, example, read_value, seconds, units_after
from search.query import Archived, CopyOf, Example, Taught

MOST_DIGITS: Final = 18
"""Of a recording's number: more than a database can hold would be an error of its own."""

_OTHER_NAMES = {"like": "like:clip.wav", "sound": "sound:wren", "copyof": "copyof:clip.wav"}
_ELSEWHERE = {
    "album": "text", "artist": "creator", "author": "creator", "bits": "bitdepth",
    "bpm": "tempo", "date": "recorded", "ext": "format", "extension": "format",
    "file": "name", "filename": "name", "folder": "path", "keyword": "tag", "length": "duration",
    "level": "loudness", "lufs": "loudness", "rate": "samplerate", "similar": "like",
    "sr": "samplerate", "time": "duration", "type": "format", "year": "recorded",
}  # fmt: skip
"""How other programs call it: only for the hint in an error."""

_NAME = re.compile(r"([^\W\d_][\w-]*):")
_TIME = r"((?:[0-9.][0-9:.]*(?:e[+-]?[0-9]{1,3})?(?:ms|min|[smh])?)?)"
_PART = re.compile(rf"@{_TIME}[-{chr(0x2013)}]{_TIME}")
_TIME_ALONE = re.compile(r"@([0-9][0-9:.]*s?)")
_NUMBERED = re.compile(r"#([0-9]+)")
_NEXT_WORD = re.compile(r"\s+(\S+)")


def read_named(cursor: Cursor, relative_to: Path | None, *, negated: bool) -> Demand | Given | None:
    """Read ``name:value``.

    Returns
    -------
    Demand or Given or None
        None, and nothing read, if here is no name with a colon, or one that belongs to a word:
        ``Foley: steps``, ``12:30``, ``https://...``.

    Raises
    ------
    QuerySyntaxError
        If there is no such name, or its value cannot be read.
    """
    found = _NAME.match(cursor.text, cursor.at)
    if not found:
        return None
    name = found[1].lower()
    name = OTHER_SPELLINGS.get(name, name)
    if name not in FIELDS and name not in _OTHER_NAMES:
        if _belongs_to_a_word(cursor, found):
            return None
        raise _unknown(cursor, found)
    if cursor.is_at_end(found.end()):
        written = _OTHER_NAMES[name] if name in _OTHER_NAMES else example(FIELDS[name])
        raise cursor.error(
            f"nothing follows {found[0]} directly; write {written} without a space, "
            f"or ({found[0]}) to search for the word"
        )
    begin, cursor.at = cursor.at, found.end()
    if name == "copyof":
        return Demand(begin, CopyOf(_whole_path(cursor, relative_to), negated))
    if name == "like":
        return Given(begin, _example(cursor, relative_to))
    if name == "sound":
        return Given(begin, _taught(cursor))
    return Demand(begin, Condition(name, _values(cursor, FIELDS[name]), negated))


def _belongs_to_a_word(cursor: Cursor, name: re.Match[str]) -> bool:
    following = cursor.text[name.end() : name.end() + 2]
    return cursor.is_at_end(name.end()) or following == "//" or following[0] in ":()"


def _unknown(cursor: Cursor, name: re.Match[str]) -> QuerySyntaxError:
    at = cursor.at
    whole = cursor.word()
    if len(name[1]) == 1 and whole[2:3] in ("\\", "/"):
        return cursor.error(
            f"{shortened(whole)} looks like a file; write like: before it to find what sounds "
            "like it",
            at,
        )
    key = name[1].lower()
    close = get_close_matches(key[:40], [*FIELDS, *_OTHER_NAMES])
    if key in _ELSEWHERE:
        close = list(dict.fromkeys([_ELSEWHERE[key], *close]))
    near = f"did you mean {' or '.join(f'{word}:' for word in close)}?" if close else ""
    return cursor.error(
        f"there is no field {shortened(name[1])}"
        + (f"; {near} " if near else f"; there are {', '.join(FIELDS)}. ")
        + f"To search for the words themselves, write ({whole if len(whole) < 40 else '...'})",
        at,
    )


def _taught(cursor: Cursor) -> Taught:
    begin = cursor.at
    quoted, rest = _outside(cursor)
    rest, weight = _without_weight(cursor, rest)
    name = rest if quoted is None else quoted
    if not name.strip() or (quoted is not None and rest):
        raise cursor.error('write the name of a sound, as sound:wren or sound:"my dog"', begin)
    return Taught(name, weight)


def _example(cursor: Cursor, relative_to: Path | None) -> Example | Archived:
    begin = cursor.at
    quoted, rest = _outside(cursor)
    rest, weight = _without_weight(cursor, rest)
    rest, from_s, to_s = _without_part(cursor, rest, begin)
    number = _NUMBERED.fullmatch(rest)
    if number and quoted is None:
        if len(number[1]) > MOST_DIGITS:
            raise cursor.error(f"no recording has the number {shortened(number[1])}", begin)
        return Archived(int(number[1]), from_s, to_s, weight)
    return Example(_path(cursor, begin, quoted, rest, relative_to), from_s, to_s, weight)


def _whole_path(cursor: Cursor, relative_to: Path | None) -> Path:
    begin = cursor.at
    quoted, rest = _outside(cursor)
    return _path(cursor, begin, quoted, rest, relative_to)


def _outside(cursor: Cursor) -> tuple[str | None, str]:
    """Read what stands in quotation marks, if any, and what follows up to the next space."""
    quoted = cursor.quoted() if cursor.is_at_quotation() else None
    return quoted, cursor.value()


def _without_weight(cursor: Cursor, text: str) -> tuple[str, float]:
    begins = weight_in(text)
    if begins is None:
        return text, 1.0
    cursor.at += begins - len(text)
    return text[:begins], cursor.weight() or 1.0


def _without_part(cursor: Cursor, text: str, begin: int) -> tuple[str, float | None, float | None]:
    name, sign, rest = text.rpartition("@")
    if alone := _TIME_ALONE.fullmatch(sign + rest):
        raise cursor.error(
            f"a part has a beginning and an end, as @12.5-15; write @{alone[1]}- for all from "
            "there on, and put a file name with @ in quotation marks",
            begin,
        )
    part = _PART.fullmatch(sign + rest)
    if not part or part[1] == part[2] == "":
        return text, None, None
    try:
        from_s = seconds(part[1]) if part[1] else None
        to_s = seconds(part[2]) if part[2] else None
    except BadValue as error:
        raise cursor.error(f"{error}; write a part as @12.5-15 or @1:30-1:40", begin) from None
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise cursor.error(f"the part {part[0]} ends before it begins", begin)
    return name, from_s, to_s


def _path(
    cursor: Cursor, begin: int, quoted: str | None, rest: str, relative_to: Path | None
) -> Path:
    if quoted is not None and rest:
        raise cursor.error("put a space after the closing quotation mark", begin)
    name = rest if quoted is None else quoted
    if not name.strip():
        raise cursor.error("write the file's name directly after the colon", begin)
    path = Path(name)
    if quoted is None and (name == "~" or name[:2] in ("~/", "~\\")):
        path = Path.home() / name[2:]  # a shell does this only at the beginning of a word
    return path if relative_to is None else relative_to / path


def _values(cursor: Cursor, field: Field) -> tuple[Text | Range, ...]:
    found: list[Text | Range] = []
    while True:
        begin = cursor.at
        quoted = cursor.quoted() if cursor.is_at_quotation() else None
        value = cursor.value(ends=",") if quoted is None else quoted
        if not value and (found or cursor.character() == ","):
            raise cursor.error(
                f"a value is missing; write a list without spaces, as {field.name}:this,that", begin
            )
        try:
            found.append(read_value(field, value, quoted=quoted is not None))
        except BadValue as error:
            raise cursor.error(str(error), begin) from None
        if cursor.character() != ",":
            break
        cursor.at += 1
    if not cursor.is_at_end():
        raise cursor.error("put a space after the closing quotation mark")
    following = _NEXT_WORD.match(cursor.text, cursor.at)
    if following and following[1].lower() in units_after(field):
        raise cursor.error(
            f"write {following[1]} directly after the number, without a space", following.start(1)
        )
    return tuple(found)

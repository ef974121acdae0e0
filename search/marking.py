"""Passages as people name them on a command line: ``clip.wav@12.5-15``, ``#42@1:30-1:40``."""

import re
from pathlib import Path
from typing import Final

from search.errors import QueryError
from search.language.values import BadValue, seconds
from search.query import Archived, Example

_PART: Final = re.compile(r"(?s)(.+)@([0-9.][0-9.:smin]*)?-([0-9.][0-9.:smin]*)?")
_NUMBER: Final = re.compile(r"#?([0-9]{1,18})")


def read_marked(text: str, *, relative_to: Path | None = None) -> Example | Archived:
    """Read a passage: a file or the number of a recording, and a part of it.

    Digits alone are the number of a recording; a file of such a name is written ``./42``.

    Parameters
    ----------
    relative_to
        The folder that paths are seen from; by default they stay as they are.

    Raises
    ------
    QueryError
        If it is none.
    """
    whole, from_s, to_s = text, None, None
    part = _PART.fullmatch(text)
    if part and (part[2] or part[3]):
        try:
            from_s = seconds(part[2]) if part[2] else None
            to_s = seconds(part[3]) if part[3] else None
        except BadValue as error:
            raise QueryError(f"{text}: {error}; write a part as @12.5-15 or @1:30-1:40") from error
        whole = part[1]
        if to_s is not None and to_s <= (from_s or 0.0):
            raise QueryError(f"{text}: the part ends before it begins")
    number = _NUMBER.fullmatch(whole)
    if number:
        return Archived(int(number[1]), from_s, to_s)
    if not whole.strip() or whole.startswith("#"):
        raise QueryError(
            f"{text!r} names no passage: write a file or the number of a recording, as '#42', and "
            "a part of it if need be, as '#42@1:30-1:40'"
        )
    path = Path(whole).expanduser()
    return Example(path if relative_to is None else relative_to / path, from_s, to_s)


def read_archived(text: str) -> Archived:
    """Read a passage of the archive.

    Raises
    ------
    QueryError
        If it is none, or one of a file.
    """
    marked = read_marked(text)
    if isinstance(marked, Example):
        raise QueryError(
            f"{text!r}: name a recording by its number, as '#42@1:30-1:40'; "
            "`echoic search --json` and `echoic show FILE` tell it"
        )
    return marked

"""Text as the formats can hold it."""

import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, TextIO

_NAMED = 3

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Make a text fit for a line of a list: line breaks and control characters become spaces."""
    return _BREAKS.sub(" ", text).strip()


def path_line(path: str) -> str:
    """Make a path fit for a line; unlike `one_line`, it keeps spaces at the ends."""
    return _BREAKS.sub(" ", path)


def has_breaks(text: str) -> bool:
    """Tell whether a text holds what `one_line` would replace."""
    return _BREAKS.search(text) is not None


def unquoted(text: str) -> str:
    """Make a text fit for formats that have no way to write a quotation mark."""
    return one_line(text).replace('"', "'")


def first_few(texts: Collection[str], *, between: str = ", ") -> str:
    """Name the first of many things, and how many more there are: ``"a, b, c and 12 more"``."""
    named = between.join(islice(texts, _NAMED))
    n_more = len(texts) - _NAMED
    return f"{named} and {n_more:,} more" if n_more > 0 else named


@contextmanager
def utf8(stream: BinaryIO) -> Iterator[TextIO]:
    """Give a stream for text, whose line ends are left as they are written."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()  # else it would close the stream

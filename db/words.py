"""Texts as people mean them: case, accents and the signs between words do not matter."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_WORD = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"[\s_\-]+")
_LONGEST_WORD = 200  # PostgreSQL refuses words of more than 2 KB

BREAK = "\ue000"
"""Stands between two texts of one field, so that no phrase runs from one into the other."""


def fold(text: str) -> str:
    """Return a text without case and accents: ``"Über"`` is ``"uber"``."""
    if text.isascii():
        return text.lower()
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def fold_value(text: str) -> str:
    """Return a value such as a tag so that it equals its other spellings.

    Spaces, underscores and hyphens are the same between words: ``"crying_baby"`` is
    ``"Crying baby"``. Other signs tell values apart.
    """
    return _BETWEEN.sub(" ", fold(text)).strip()


def words_of(text: str) -> list[str]:
    """Return the words of a text, folded; signs are no part of a word."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(fold(text))]


def spellings(name: str) -> list[list[str]]:
    """Return the words of a name as it stands, then taken apart in the ways that people do.

    At digits, and at digits and capitals: ``"DogBark03"`` is ``dogbark03``, ``dogbark 03`` and
    ``dog bark 03``. What is the same is given once; none if there is no word.
    """
    found: list[list[str]] = []
    for text in (name, _apart(name, at_capitals=False), _apart(name, at_capitals=True)):
        words = words_of(text)
        if words and words not in found:
            found.append(words)
    return found


def joined(texts: Iterable[Sequence[str]]) -> list[str]:
    """Return the words of several texts as those of one, with a `BREAK` between any two texts."""
    found: list[str] = []
    for words in texts:
        if found and words:
            found.append(BREAK)
        found += words
    return found


def _apart(text: str, *, at_capitals: bool) -> str:
    """Put spaces between letters and digits, and before the capitals that begin a word."""
    if text.islower() and text.isalpha():
        return text
    return "".join(_spaced(text, at_capitals=at_capitals))


def _spaced(text: str, *, at_capitals: bool) -> Iterator[str]:
    before = " "
    for at, letter in enumerate(text):
        is_edge = (letter.isdigit() and before.isalpha()) or (letter.isalpha() and before.isdigit())
        if at_capitals and letter.isupper() and before.isalpha():
            # "DogBark" between g and B, "DOGBark" between G and B.
            is_edge = not before.isupper() or text[at + 1 : at + 2].islower()
        if is_edge:
            yield " "
        yield letter
        before = letter

"""A place in a query's text, and what can be read from there whatever it means."""

import math
import re
from typing import Final

from search.errors import QuerySyntaxError

MINUS: Final = "-\N{MINUS SIGN}"
"""A hyphen as keyboards have it, and what some programs make of it."""

_OPENING = '"\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02'
_TYPOGRAPHIC_CLOSING = re.compile('[\u201c\u201d\u201f\u00ab\u00bb\uff02"]')
_BLANKS = re.compile("[\\s\u200b\ufeff]*")
_PUNCTUATION = re.compile(r"[,.;:!?]*")
_WEIGHT = re.compile(rf"\^([{MINUS}+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{{1,3}})?)")
_WEIGHT_BEGINS = re.compile(rf"\^[{MINUS}+]?\.?[0-9]")


class Cursor:
    """A place in a text that moves on as the text is read.

    Attributes
    ----------
    text : str
    at : int
        The next character to be read.
    ends : str
        What ends a word, besides spaces and the end.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.ends = "()"

    def error(self, problem: str, at: int | None = None) -> QuerySyntaxError:
        """Return the error to be raised, for here or another place."""
        return QuerySyntaxError(problem, self.at if at is None else at)

    def character(self, at: int | None = None) -> str:
        """Return the character here or at a place; nothing beyond the end."""
        at = self.at if at is None else at
        return self.text[at : at + 1]

    def skip_blanks(self) -> None:
        """Go to the next character that is no space."""
        self.at = self.after(_BLANKS)

    def after(self, pattern: re.Pattern[str]) -> int:
        """Return where a pattern ends that begins here; here, if none does."""
        found = pattern.match(self.text, self.at)
        return found.end() if found else self.at

    def is_at_end(self, at: int | None = None) -> bool:
        """Tell whether nothing more belongs to what was read before."""
        character = self.character(at)
        return not character or self._is_blank(character) or character == "]" in self.ends

    def is_at_quotation(self) -> bool:
        """Tell whether quotation marks open here."""
        return self.character() != "" and self.character() in _OPENING

    def word(self, *, ends: str | None = None) -> str:
        """Read up to a space or to what ends a word."""
        begin = self.at
        ends = self.ends if ends is None else ends
        while self.character() and not self._is_blank(self.character()):
            if self.character() in ends:
                break
            self.at += 1
        return self.text[begin : self.at]

    def value(self, *, ends: str = "") -> str:
        """Read what follows a colon, in which parentheses are characters like others."""
        return self.word(ends=ends + "]" if "]" in self.ends else ends)

    def quoted(self) -> str:
        """Read what quotation marks enclose; two straight ones within mean one."""
        begin, at = self.at, self.at + 1
        if self.text[begin] != '"':
            found = _TYPOGRAPHIC_CLOSING.search(self.text, at)
            if not found:
                raise self.error("no quotation mark closes this one", begin)
            self.at = found.end()
            return self.text[at : found.start()]
        letters: list[str] = []
        while True:
            end = self.text.find('"', at)
            if end < 0:
                raise self.error("no quotation mark closes this one", begin)
            letters.append(self.text[at:end])
            at = end + 1
            if self.character(at) != '"':
                self.at = at
                return '"'.join(letters)
            at += 1

    def enclosed(self) -> str:
        """Read what parentheses enclose; a backslash makes one of them a mere character."""
        begin, depth = self.at, 0
        letters: list[str] = []
        while character := self.character():
            depth += (character == "(") - (character == ")")
            self.at += 1
            if depth == 0:
                return "".join(letters[1:])
            if character == "\\" and self.character() in ("\\", "(", ")"):
                character = self.character()
                self.at += 1
            letters.append(character)
        raise self.error("no ) closes this parenthesis", begin)

    def closed(self, sign: str) -> None:
        """Pass over punctuation after a closing sign, and see that it ends there."""
        self.at = self.after(_PUNCTUATION)
        if not self.is_at_end() and self.character() != ")":
            raise self.error(
                f"put a space after {sign}; a file name with spaces goes in quotation marks"
            )

    def weight(self) -> float | None:
        """Read a weight, if one stands here."""
        if not _WEIGHT_BEGINS.match(self.text, self.at):
            return None
        found = _WEIGHT.match(self.text, self.at)
        if found and self.is_at_end(found.end()):
            value = float(found[1].replace("\N{MINUS SIGN}", "-"))
            if value and math.isfinite(value):
                self.at = found.end()
                return value
        raise self.error(
            "a weight is a number that is not 0 and stands last, as in rain^2 or rain^0.5; "
            "a name with ^ goes in quotation marks"
        )

    @staticmethod
    def _is_blank(character: str) -> bool:
        return _BLANKS.fullmatch(character) is not None


def weight_in(word: str) -> int | None:
    """Return where in a word a weight begins; None if there is none."""
    found = _WEIGHT_BEGINS.search(word)
    return found.start() if found else None


def shortened(text: str) -> str:
    """Return what an error quotes of a text, in quotation marks."""
    return repr(text if len(text) <= 40 else text[:39] + "\N{HORIZONTAL ELLIPSIS}")

"""What can go wrong between a question and its answer."""

from db.errors import EchoicError


class QueryError(EchoicError):
    """The question cannot be answered as it stands; the message says how to put it."""


class QuerySyntaxError(QueryError):
    """The text of a question cannot be read.

    Attributes
    ----------
    position : int
        Where in the text, from 0.
    """

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"{problem} (at character {position + 1})")
        self.position = position


class ExportError(EchoicError):
    """Hits cannot be written in this format, or to this file."""


class VocabularyError(EchoicError):
    """A file is no list of sounds; the message names the line."""

"""What can go wrong between a question and its answer."""

from db.errors import EchoicError


class QueryError(EchoicError):
    """The question cannot be answered as it stands; the message says how to put it."""

"""The query language: text to a query and back. ``docs/queries.md`` is its description."""

from search.language.parser import MAX_LENGTH, parse, write

__all__ = ["MAX_LENGTH", "parse", "write"]

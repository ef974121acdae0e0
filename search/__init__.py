"""Queries to hits: by words, by example, by fingerprint.

``from search import SearchEngine`` is the way in; it is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.engine import SearchEngine

__all__ = ["SearchEngine"]


def __getattr__(name: str) -> object:
    if name == "SearchEngine":
        from search.engine import SearchEngine

        return SearchEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

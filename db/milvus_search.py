"""Finding the best vectors on a server that gives only so many, and knows nothing of our filters.

Milvus gives at most 16,384 hits to a query, promises no order among equals, and takes a filter as a
condition in words. So a search is a hunt through parts of the ids. A part is done when what it
still hides cannot be among the best: it gave fewer hits than it was asked for, or the last it gave
is worse than the worst of those that are wanted. Otherwise more are asked of it, and at last it is
cut in two. The ids that are wanted are known here, so whatever the server gives besides is dropped.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.milvus_server import MOST_HITS, Hits

NOISE: Final = 4e-6
"""Sums of float32 in another order differ by less; what differs by less is a tie, until settled."""

MOST_TIES: Final = 4096
"""So many vectors that tie for the last place are compared exactly, those with the lowest ids."""

_MOST_RANGES: Final = 32
_MOST_LISTED: Final = 20_000
_SPARE: Final = 16
_WIDENING: Final = 8

Ask: TypeAlias = Callable[[int, str], Hits]
"""Asks the server for so many hits under a condition."""


@dataclass(frozen=True, slots=True)
class Part:
    """Ids ``first ... end - 1``, and how many hits are asked of them."""

    first: int
    end: int
    limit: int

    def halves(self) -> tuple["Part", "Part"]:
        middle = (self.first + self.end) // 2
        return replace(self, end=middle), replace(self, first=middle)


class Filter:
    """Which ids are wanted, and how to say it to Milvus.

    A few ranges, or some thousands of ids, are named; then the server looks at nothing else. Of
    many scattered ids the server is not told: it is asked for more hits than are wanted, in
    proportion, and where that is not enough, the part in question is cut until its ids can be
    named.

    Parameters
    ----------
    wanted : ndarray of bool
        For each id whether it is wanted.
    is_narrowed : bool
        False if all are that the index knows: then the server is told nothing.
    """

    def __init__(self, wanted: NDArray[np.bool_], *, is_narrowed: bool) -> None:
        self.wanted = wanted
        self.count = int(np.count_nonzero(wanted))
        self._is_narrowed = is_narrowed
        self._ranges = _few_ranges(wanted) if is_narrowed else None

    def keep(self, hits: Hits) -> Hits:
        """Drop what is not wanted."""
        inside = hits.ids < len(self.wanted)
        inside[inside] = self.wanted[hits.ids[inside]]
        return Hits(hits.ids[inside], hits.scores[inside])

    def whole(self, n_hits: int, n_present: int) -> Part:
        """Return the part to begin with."""
        limit = n_hits + _SPARE
        part = Part(0, len(self.wanted), limit)
        if self._is_narrowed and not self._is_named(part):
            limit = math.ceil(1.5 * limit * n_present / max(self.count, 1))
        return replace(part, limit=min(limit, MOST_HITS))

    def condition(self, part: Part) -> str:
        """Say which ids the server is to look at in a part."""
        is_all = part.first == 0 and part.end >= len(self.wanted)
        if self._is_narrowed and self._ranges is not None:
            named = " or ".join(f"(id >= {a} and id < {b})" for a, b in self._ranges)
            return named if is_all else f"({named}) and {_between(part)}"
        if self._is_narrowed and self._is_named(part):
            listed = np.flatnonzero(self.wanted[part.first : part.end]) + part.first
            return f"id in {listed.tolist()}"
        return "" if is_all else _between(part)

    def _is_named(self, part: Part) -> bool:
        if self._ranges is not None:
            return True
        inside = self.wanted[part.first : part.end]
        return int(np.count_nonzero(inside)) <= _MOST_LISTED


@dataclass(frozen=True, slots=True)
class Goal:
    """What is searched for, whatever the query.

    Attributes
    ----------
    filter : Filter
    n_hits : int
        So many are wanted; there are as many.
    whole : Part
        What the server is asked first.
    """

    filter: Filter
    n_hits: int
    whole: Part

    @property
    def condition(self) -> str:
        """The condition of what is asked first."""
        return self.filter.condition(self.whole)


def hunt(ask: Ask, goal: Goal, first: Hits) -> Hits:
    """Return the best that are wanted, and all that tie for the last places.

    Parameters
    ----------
    first : Hits
        What the server gave when it was asked first.

    Returns
    -------
    Hits
        With the server's own scores, the greatest first. Of more than `MOST_TIES` that tie for the
        last places, those with the lowest ids.
    """
    found = goal.filter.keep(first)
    pending = [goal.whole]
    answer: Hits | None = first
    while pending:
        part = pending.pop()
        if answer is None:
            answer = ask(part.limit, goal.filter.condition(part))
            found = _merged(found, goal.filter.keep(answer))
        if not _is_done(part, answer, found, goal.n_hits):
            if part.limit < MOST_HITS:
                pending.append(replace(part, limit=min(_WIDENING * part.limit, MOST_HITS)))
            elif part.end - part.first > 1:
                # The lower half next: among equals its ids come first.
                pending += reversed(part.halves())
        answer = None
    return _best(found, goal.n_hits)


def best_of_both(one: Hits, other: Hits, n_hits: int) -> Hits:
    """Return the best of two answers to one question, as `hunt` returns them."""
    return _best(_merged(one, other), n_hits)


def _is_done(part: Part, answer: Hits, found: Hits, n_hits: int) -> bool:
    """Tell whether what a part has not given cannot be among the best."""
    if len(answer) < part.limit:
        return True
    if len(found) < n_hits:
        return False
    cut = float(answer.scores.min())
    worst = float(np.partition(found.scores, len(found) - n_hits)[len(found) - n_hits])
    if worst > cut + NOISE:
        return True
    # What is hidden ties with the last place at best; ids before this part's would win.
    before = (found.ids < part.first) & (found.scores >= cut - NOISE)
    return int(np.count_nonzero(before)) >= n_hits


def _best(found: Hits, n_hits: int) -> Hits:
    if len(found) > n_hits:
        worst = np.partition(found.scores, len(found) - n_hits)[len(found) - n_hits]
        certain = np.flatnonzero(found.scores > worst + NOISE)
        ties = np.flatnonzero(np.abs(found.scores - worst) <= NOISE)
        lowest = ties[np.argsort(found.ids[ties])][: n_hits + MOST_TIES]
        chosen = np.concatenate((certain, lowest))
        found = Hits(found.ids[chosen], found.scores[chosen])
    order = np.lexsort((found.ids, -found.scores))
    return Hits(found.ids[order], found.scores[order])


def _merged(one: Hits, other: Hits) -> Hits:
    ids, first = np.unique(np.concatenate((one.ids, other.ids)), return_index=True)
    return Hits(ids, np.concatenate((one.scores, other.scores))[first])


def _between(part: Part) -> str:
    return f"(id >= {part.first} and id < {part.end})"


def _few_ranges(wanted: NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    """Return the runs of ids that are wanted as (first, end); None if they are many."""
    edges = np.flatnonzero(wanted[1:] != wanted[:-1]) + 1
    starts_inside = bool(len(wanted) and wanted[0])
    if len(edges) > 2 * _MOST_RANGES:
        return None
    borders = [0] * starts_inside + edges.tolist()
    if len(borders) % 2:
        borders.append(len(wanted))
    return list(zip(borders[::2], borders[1::2], strict=True))

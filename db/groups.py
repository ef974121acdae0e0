"""One value of a field for each recording, among the most frequent ones: for legends."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.errors import ConditionError
from db.fields import FACETS


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Recordings by their values of a field.

    Attributes
    ----------
    labels : tuple of str
        The values, those of the largest groups first.
    codes : ndarray, shape (n,), int64
        The group of each recording; -1 for those with other values, or none.
    """

    labels: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many recordings each group has, shape (n_labels,), int64."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels))


def groups_of(
    catalogue: Catalogue, field: str, recording_ids: NDArray[np.int64], *, limit: int
) -> Groups:
    """Group recordings by a few values of a field.

    These are chosen one by one: the most frequent, where a recording that has a chosen value
    already counts a half, then a third. A recording that has several of them is in the group of the
    rarest: of "birds" and "recorded outside", the first says more.

    Parameters
    ----------
    field : str
        One of `db.fields.FACETS`.
    recording_ids : ndarray, shape (n,), int64
        Each once.
    limit : int
        The greatest number of groups.

    Raises
    ------
    ConditionError
        If recordings cannot be grouped by this field.
    """
    if field not in FACETS:
        raise ConditionError(
            f"recordings cannot be grouped by {field!r} (by {', '.join(FACETS)} they can)"
        )
    columns = catalogue.columns()
    values = columns.values(field)
    asked = np.zeros(len(columns.ids), dtype=np.bool_)
    asked[columns.positions_of(recording_ids)] = True
    chosen = asked[values.positions]
    positions, codes = values.positions[chosen], values.codes[chosen]
    frequent = _telling(positions, codes, len(columns.ids), limit)
    rank = np.full(len(values.labels), -1, dtype=np.int64)
    rank[frequent] = np.arange(len(frequent))
    # The rarest is the one of the highest rank.
    best = np.full(len(columns.ids), -1, dtype=np.int64)
    np.maximum.at(best, positions, rank[codes])
    labels = tuple(values.labels[code] for code in frequent)
    return _by_size(labels, _codes_of(columns.ids, best, recording_ids))


def _telling(
    positions: NDArray[np.int64], codes: NDArray[np.int64], n_positions: int, limit: int
) -> NDArray[np.int64]:
    """Choose values that tell much of many recordings, the most frequent first."""
    n_chosen = np.zeros(n_positions)
    chosen: list[int] = []
    counts = np.bincount(codes)
    for _ in range(min(limit, int(np.count_nonzero(counts)))):
        gains = np.bincount(codes, 1 / (1 + n_chosen[positions]))
        gains[chosen] = 0.0
        chosen.append(int(gains.argmax()))
        n_chosen[positions[codes == chosen[-1]]] += 1
    return np.array(sorted(chosen, key=lambda code: -counts[code]), dtype=np.int64)


def _codes_of(
    ids: NDArray[np.int64], best: NDArray[np.int64], recording_ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the codes of recordings, in their order; -1 of those that have gone meanwhile."""
    if not len(ids):
        return np.full(len(recording_ids), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(ids, recording_ids), len(ids) - 1)
    return np.where(ids[at] == recording_ids, best[at], -1)


def _by_size(labels: tuple[str, ...], codes: NDArray[np.int64]) -> Groups:
    """Number the groups anew, the largest first; those that nobody is left in go."""
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    renamed = np.full(len(labels) + 1, -1, dtype=np.int64)
    renamed[order] = np.arange(len(order))
    return Groups(tuple(labels[code] for code in order), renamed[codes])

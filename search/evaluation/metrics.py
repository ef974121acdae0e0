"""Measures of retrieval, as pure functions of what is relevant and how it was scored.

Rows are queries, columns the items that are searched. Of equal scores the irrelevant item comes
first, so that a search that cannot tell two items apart gains nothing by their order in a list.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Samples of a bootstrap."""

SEED = 5

Flags: TypeAlias = NDArray[np.bool_]
Values: TypeAlias = NDArray[np.floating[Any]]
Counts: TypeAlias = NDArray[np.floating[Any]] | NDArray[np.integer[Any]] | int


def validate(relevant: Flags, scores: Values) -> None:
    """Refuse what cannot be measured.

    Parameters
    ----------
    relevant : ndarray, shape (n_queries, n_items), bool
    scores : ndarray, shape (n_queries, n_items), float

    Raises
    ------
    ValueError
        If shapes or types differ from these, there is no item, or a score is NaN.
    """
    if relevant.ndim != 2 or relevant.shape != scores.shape:
        raise ValueError(
            f"relevance {relevant.shape} and scores {scores.shape} must both be (queries, items)"
        )
    if relevant.dtype != np.bool_:
        raise ValueError(f"relevance must be True or False, not {relevant.dtype}")
    if not relevant.shape[1]:
        raise ValueError("there is nothing to search")
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")


def ranking(relevant: Flags, scores: Values) -> NDArray[np.intp]:
    """Rank items by score; leave one out by giving it -inf and making it irrelevant.

    Parameters
    ----------
    relevant : ndarray, shape (n_queries, n_items), bool
    scores : ndarray, shape (n_queries, n_items), float

    Returns
    -------
    ndarray, shape (n_queries, n_items), intp
        Items, best first; of equal scores the irrelevant first.

    Raises
    ------
    ValueError
        As `validate` does.
    """
    validate(relevant, scores)
    order: NDArray[np.intp] = np.lexsort((relevant, -scores), axis=1)
    return order


def precisions(relevant: Flags, scores: Values) -> NDArray[np.float64]:
    """Precision at the rank of each relevant item: how much of what was seen so far is relevant.

    Their mean over the relevant items of a query is its average precision, so each item's part in
    it is known.

    Returns
    -------
    ndarray, shape (n_queries, n_items), float64
        In the order of the items, not of the ranks; NaN where an item is irrelevant.
    """
    order = ranking(relevant, scores)
    ordered = np.take_along_axis(relevant, order, axis=1)
    seen = np.cumsum(ordered, axis=1) / np.arange(1, ordered.shape[1] + 1)
    found = np.full(relevant.shape, np.nan)
    np.put_along_axis(found, order, np.where(ordered, seen, np.nan), axis=1)
    return found


def average_precision(relevant: Flags, scores: Values) -> NDArray[np.float64]:
    """Average precision of each query: the mean of the precision at each relevant item [1]_.

    Returns
    -------
    ndarray, shape (n_queries,), float64
        NaN for a query to which nothing is relevant.

    References
    ----------
    .. [1] C. Buckley, E. M. Voorhees, "Evaluating Evaluation Measure Stability", SIGIR 2000.
    """
    return _mean_of_known(precisions(relevant, scores))


def average_precision_at(relevant: Flags, scores: Values, k: int) -> NDArray[np.float64]:
    """Average precision of the first `k`, as DCASE's task of language-based retrieval has it [1]_.

    The sum of the precisions at the relevant items among the first `k`, over ``min(k, number of
    relevant items)``.

    Returns
    -------
    ndarray, shape (n_queries,), float64
        NaN for a query to which nothing is relevant.

    References
    ----------
    .. [1] H. Xie, S. Lipping, T. Virtanen, "Language-Based Audio Retrieval Task in DCASE 2022
           Challenge", DCASE Workshop 2022.
    """
    ordered = np.take_along_axis(relevant, ranking(relevant, scores), axis=1)[:, :k]
    seen = np.cumsum(ordered, axis=1) / np.arange(1, ordered.shape[1] + 1)
    most = np.minimum(relevant.sum(axis=1), k)
    return _share((seen * ordered).sum(axis=1), most)


def precision_at(relevant: Flags, scores: Values, k: int) -> NDArray[np.float64]:
    """How many of the first `k` are relevant, over `k`, even where there are fewer than `k`.

    Returns
    -------
    ndarray, shape (n_queries,), float64
        NaN for a query to which nothing is relevant.
    """
    ordered = np.take_along_axis(relevant, ranking(relevant, scores), axis=1)[:, :k]
    return np.where(relevant.any(axis=1), ordered.sum(axis=1) / k, np.nan)


def first_rank(relevant: Flags, scores: Values) -> NDArray[np.float64]:
    """Rank of the best relevant item, from 1 on.

    Returns
    -------
    ndarray, shape (n_queries,), float64
        NaN for a query to which nothing is relevant.
    """
    ordered = np.take_along_axis(relevant, ranking(relevant, scores), axis=1)
    return np.where(relevant.any(axis=1), np.argmax(ordered, axis=1) + 1.0, np.nan)


def recall_at(relevant: Flags, scores: Values, k: int) -> NDArray[np.float64]:
    """Whether a relevant item is among the first `k`.

    This is the recall of text-to-audio retrieval [1]_, where mostly one item is relevant; where
    several are, one is enough.

    Returns
    -------
    ndarray, shape (n_queries,), float64
        1 or 0; NaN for a query to which nothing is relevant.

    References
    ----------
    .. [1] A.-M. Oncescu et al., "Audio Retrieval with Natural Language Queries", Interspeech 2021.
    """
    rank = first_rank(relevant, scores)
    return np.where(np.isnan(rank), np.nan, rank <= k)


def decisions(relevant: Flags, scores: Values) -> NDArray[np.float64]:
    """Whether each item's best query is one that it is relevant to: naming it, zero-shot.

    Returns
    -------
    ndarray, shape (n_items,), float64
        1 or 0; 0 also where a wrong query scores as high as the right one.
    """
    validate(relevant, scores)
    right = np.where(relevant, scores, -np.inf).max(axis=0)
    wrong = np.where(relevant, -np.inf, scores).max(axis=0)
    result: NDArray[np.float64] = np.greater(right, wrong).astype(np.float64)
    return result


# -- what chance gives, and what cannot be passed -------------------------------------------------


def chance_average_precision(n_relevant: Counts, n_items: Counts) -> NDArray[np.float64]:
    """Expected average precision of a random ranking [1]_.

    Parameters
    ----------
    n_relevant, n_items : ndarray, shape (n_queries,), or int
        Of each query; at least one is relevant.

    References
    ----------
    .. [1] Y. Bestgen, "Exact Expected Average Precision of the Random Baseline for System
           Evaluation", Prague Bulletin of Mathematical Linguistics 103, 2015.
    """
    relevant, items = _broadcast(n_relevant, n_items)
    most = int(items.max(initial=1))
    harmonic = np.cumsum(1.0 / np.arange(1, most + 1))[items.astype(int) - 1]
    others = np.maximum(items - 1, 1)
    result: NDArray[np.float64] = (harmonic + (relevant - 1) / others * (items - harmonic)) / items
    return result


def chance_recall_at(n_relevant: Counts, n_items: Counts, k: int) -> NDArray[np.float64]:
    """Probability that a random ranking has one of the relevant items among its first `k`."""
    relevant, items = _broadcast(n_relevant, n_items)
    missed = np.ones(relevant.shape)
    for rank in range(k):
        left = np.maximum(items - rank, 1)
        missed *= np.clip(1.0 - relevant / left, 0.0, None)
    result: NDArray[np.float64] = 1.0 - missed
    return result


def ceiling_of_precision_at(n_relevant: Counts, k: int) -> NDArray[np.float64]:
    """Precision at `k` of a perfect ranking: less than 1 where fewer than `k` are relevant."""
    result: NDArray[np.float64] = np.minimum(np.asarray(n_relevant, float), k) / k
    return result


# -- intervals ------------------------------------------------------------------------------------


def interval_of_mean(
    values: Values, clusters: NDArray[np.integer[Any]], *, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float]:
    """Bootstrap 95 % interval of a mean over items that come in clusters [1]_.

    Clusters are drawn anew, with all their items: excerpts of one recording succeed or fail
    together, and an interval that takes them for independent is too narrow.

    Parameters
    ----------
    values : ndarray, shape (n_items,) or (n_groups, n_items), float
        In groups, the mean of the groups' means is meant, as in macro mAP; a group without items
        in a sample has no part in it. NaN is no value.
    clusters : ndarray, shape (n_items,), int
        Items of one cluster have the same number. Items without any value are none to be drawn.
    draws, seed : int

    Returns
    -------
    low, high : float
        2.5th and 97.5th percentile.

    References
    ----------
    .. [1] A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their Application", 1997, ch. 3.8.
    """
    groups = np.atleast_2d(np.asarray(values, dtype=np.float64))
    known = ~np.isnan(groups)
    drawable = known.any(axis=0)
    groups, known = groups[:, drawable], known[:, drawable]
    n_clusters, members = _numbered(clusters[drawable])
    sums = np.zeros((n_clusters, len(groups)))
    counts = np.zeros((n_clusters, len(groups)))
    np.add.at(sums, members, np.where(known, groups, 0.0).T)
    np.add.at(counts, members, known.T.astype(np.float64))
    drawn = _drawn_clusters(n_clusters, draws, seed).astype(np.float64)
    means = _share(drawn @ sums, drawn @ counts)
    return _ends(_mean_of_known(means))


def interval_of_median(
    values: Values, clusters: NDArray[np.integer[Any]], *, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float]:
    """Bootstrap 95 % interval of a median over items that come in clusters.

    Parameters
    ----------
    values : ndarray, shape (n_items,), float
    clusters : ndarray, shape (n_items,), int

    Returns
    -------
    low, high : float
    """
    n_clusters, members = _numbered(clusters)
    drawn = _drawn_clusters(n_clusters, draws, seed)
    medians = [float(np.median(np.repeat(values, times[members]))) for times in drawn]
    return _ends(np.array(medians))


def _numbered(clusters: NDArray[np.integer[Any]]) -> tuple[int, NDArray[np.intp]]:
    """Count the clusters and number them from 0 on, without gaps."""
    distinct, members = np.unique(clusters, return_inverse=True)
    return len(distinct), members


def _drawn_clusters(n_clusters: int, draws: int, seed: int) -> NDArray[np.int64]:
    """How often each cluster is in each sample, shape (draws, n_clusters)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_clusters, np.full(n_clusters, 1.0 / n_clusters), size=draws)


def _ends(statistics: Values) -> tuple[float, float]:
    low, high = np.nanpercentile(statistics, [2.5, 97.5])
    return float(low), float(high)


def _broadcast(n_relevant: Counts, n_items: Counts) -> list[NDArray[np.float64]]:
    both = np.broadcast_arrays(n_relevant, n_items)
    return [array.astype(np.float64) for array in both]


def _share(part: Values, whole: Any) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    whole = np.asarray(whole, dtype=np.float64)
    result = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _mean_of_known(values: Values) -> NDArray[np.float64]:
    """Mean of each row over what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))

"""Measures against values worked out by hand, against chance itself, and at their edges."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from search.evaluation import metrics

Flags = NDArray[np.bool_]


def row(*relevant: int) -> Flags:
    return np.array([relevant], dtype=np.bool_)


def falling(n: int) -> NDArray[np.float64]:
    """Scores that leave the items in their order."""
    return np.arange(n, 0, -1, dtype=np.float64)[np.newaxis]


def test_average_precision_is_the_mean_precision_at_the_relevant_items() -> None:
    (value,) = metrics.average_precision(row(0, 1, 0, 1, 1), falling(5))
    assert value == pytest.approx((1 / 2 + 2 / 4 + 3 / 5) / 3)
    kept = metrics.precisions(row(0, 1, 0, 1, 1), falling(5)[:, ::-1])
    np.testing.assert_allclose(kept, [[np.nan, 3 / 4, np.nan, 1, 1]])


def test_average_precision_of_the_first_ten_counts_what_could_be_there() -> None:
    (value,) = metrics.average_precision_at(row(0, 1, 1, 1), falling(4), 2)
    assert value == pytest.approx((1 / 2) / 2)
    (value,) = metrics.average_precision_at(row(0, 0, 0, 1), falling(4), 10)
    assert value == pytest.approx(1 / 4)


def test_precision_recall_and_rank_of_one_ranking() -> None:
    relevant, scores = row(0, 0, 1, 0, 1), falling(5)
    assert metrics.precision_at(relevant, scores, 5) == pytest.approx(2 / 5)
    assert metrics.precision_at(relevant, scores, 10) == pytest.approx(2 / 10)
    assert metrics.first_rank(relevant, scores) == 3
    assert [metrics.recall_at(relevant, scores, k)[0] for k in (1, 2, 3, 10)] == [0, 0, 1, 1]


def test_of_equal_scores_the_irrelevant_comes_first() -> None:
    for relevant in (row(1, 0, 0, 0), row(0, 0, 0, 1)):
        same = np.zeros((1, 4))
        assert metrics.first_rank(relevant, same) == 4
        assert metrics.average_precision(relevant, same) == pytest.approx(1 / 4)
    tied = np.array([[0.5, 0.5], [0.5, 0.2]])
    assert metrics.decisions(np.eye(2, dtype=np.bool_)[::-1], tied).tolist() == [0, 1]


def test_an_item_that_is_left_out_changes_nothing() -> None:
    with_it = metrics.average_precision(row(0, 0, 1), np.array([[-np.inf, 2.0, 1.0]]))
    without = metrics.average_precision(row(0, 1), np.array([[2.0, 1.0]]))
    assert with_it == without


def test_a_query_to_which_nothing_is_relevant_has_no_value() -> None:
    relevant, scores = row(0, 0, 0), falling(3)
    for measure in (metrics.average_precision, metrics.first_rank):
        assert np.isnan(measure(relevant, scores)).all()
    for at in (metrics.precision_at, metrics.recall_at, metrics.average_precision_at):
        assert np.isnan(at(relevant, scores, 2)).all()


@pytest.mark.parametrize("n_relevant", [1, 2, 5])
def test_chance_is_what_all_rankings_give_on_average(n_relevant: int) -> None:
    base = [1] * n_relevant + [0] * (5 - n_relevant)
    relevant = np.array(sorted(set(permutations(base))), dtype=np.bool_)
    scores = np.repeat(falling(5), len(relevant), axis=0)
    chance = metrics.chance_average_precision(n_relevant, 5)
    assert metrics.average_precision(relevant, scores).mean() == pytest.approx(float(chance))
    for k in (1, 2, 5, 10):
        found = metrics.recall_at(relevant, scores, k).mean()
        assert found == pytest.approx(float(metrics.chance_recall_at(n_relevant, 5, k)))


def test_no_ranking_passes_the_ceiling_and_the_best_one_reaches_it() -> None:
    best = metrics.precision_at(row(1, 1, 1, 0, 0), falling(5), 10)
    assert metrics.ceiling_of_precision_at(np.array([3]), 10) == best


@pytest.mark.parametrize(
    ("relevant", "scores", "said"),
    [
        (np.zeros((1, 3), np.bool_), np.zeros((1, 2)), "shape|both be"),
        (np.zeros(3, np.bool_), np.zeros(3), "both be"),
        (np.zeros((1, 3), np.int64), np.zeros((1, 3)), "True or False"),
        (np.zeros((1, 0), np.bool_), np.zeros((1, 0)), "nothing to search"),
        (np.zeros((1, 1), np.bool_), np.full((1, 1), np.nan), "not a number"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    relevant: Flags, scores: NDArray[np.float64], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.average_precision(relevant, scores)


def test_an_interval_of_independent_items_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    low, high = metrics.interval_of_mean(values, np.arange(400))
    error = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - error, abs=0.015)
    assert high == pytest.approx(values.mean() + error, abs=0.015)
    assert metrics.interval_of_mean(values, np.arange(400)) == (low, high)  # seeded


def test_copies_of_an_item_in_its_cluster_add_no_certainty() -> None:
    values = np.random.default_rng(1).standard_normal(50)
    alone = metrics.interval_of_mean(values, np.arange(50))
    copied = metrics.interval_of_mean(np.tile(values, 4), np.tile(np.arange(50) * 7, 4))
    assert copied == pytest.approx(alone)
    apart = metrics.interval_of_mean(np.tile(values, 4), np.arange(200))
    assert apart[1] - apart[0] < 0.6 * (alone[1] - alone[0])


def test_groups_weigh_the_same_in_a_macro_mean() -> None:
    values = np.full((2, 100), np.nan)
    values[0, :99] = 1.0
    values[1, 99] = 0.0
    low, high = metrics.interval_of_mean(values, np.arange(100))
    assert (low, high) == (0.5, 1.0)  # in a third of the samples the single item is not drawn


def test_items_without_a_value_are_not_drawn() -> None:
    values = np.random.default_rng(3).standard_normal(20)
    padded = np.concatenate([values, np.full(500, np.nan)])
    among_others = metrics.interval_of_mean(padded, np.arange(520))
    assert among_others == metrics.interval_of_mean(values, np.arange(20))


def test_the_interval_of_a_median_holds_it() -> None:
    ranks = np.random.default_rng(2).geometric(0.2, size=200).astype(np.float64)
    low, high = metrics.interval_of_median(ranks, np.arange(200) // 5)
    assert ranks.min() <= low <= np.median(ranks) <= high < ranks.max()
    assert low < high

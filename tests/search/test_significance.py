"""Probabilities of false matches and the scores that belong to them."""

import numpy as np
import pytest

from search.significance import Law, p_agreement, p_together

HOUR_S = 3600.0


@pytest.mark.parametrize("p_false", [0.5, 1e-2, 1e-3, 1e-5, 1e-12])
def test_a_threshold_has_its_probability(p_false: float) -> None:
    law = Law.of(duration_s=5, archive_s=100 * HOUR_S)
    assert law.p_false(law.threshold(p_false)) == pytest.approx(p_false, rel=1e-6)


def test_a_higher_score_is_less_likely_chance() -> None:
    law = Law.of(duration_s=5, archive_s=HOUR_S)
    probabilities = [law.p_false(score) for score in range(-5, 60, 5)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= p <= 1 for p in probabilities)


def test_thresholds_rise_with_the_logarithm_of_the_archive() -> None:
    at = [Law.of(duration_s=10, archive_s=h * HOUR_S).threshold(1e-3) for h in (10, 100, 1000)]
    assert at[1] - at[0] == pytest.approx(at[2] - at[1])
    assert at[1] > at[0]


def test_more_changes_tried_ask_for_more() -> None:
    few = Law.of(duration_s=10, archive_s=HOUR_S)
    many = Law.of(duration_s=10, archive_s=HOUR_S, n_changes=150)
    assert many.threshold(1e-3) > few.threshold(1e-3)


def test_looking_for_all_occurrences_asks_for_more() -> None:
    best = Law.of(duration_s=10, archive_s=HOUR_S)
    every = Law.of(duration_s=10, archive_s=HOUR_S, every=True)
    assert every.threshold(1e-3) > best.threshold(1e-3)


def test_durations_between_those_of_the_fit_lie_between_them() -> None:
    at = [Law.of(duration_s=d, archive_s=HOUR_S).mode for d in (1, 2, 3, 5, 7, 10, 15)]
    assert at[0] == at[1]
    assert min(at[1], at[3]) <= at[2] <= max(at[1], at[3])
    assert min(at[3], at[5]) <= at[4] <= max(at[3], at[5])
    assert at[5] == at[6]


@pytest.mark.parametrize("archive_s", [0.0, 0.1, 60.0, HOUR_S])
def test_a_small_archive_counts_as_that_of_the_fit(archive_s: float) -> None:
    of_the_fit = Law.of(duration_s=5, archive_s=6 * HOUR_S)
    assert Law.of(duration_s=5, archive_s=archive_s) == of_the_fit


@pytest.mark.parametrize(
    ("duration_s", "known_p"), [(1, 1e-4), (2, 1e-4), (5, 1e-5), (10, 1e-5), (15, 1e-5)]
)
def test_a_more_distinct_correlation_is_less_likely_chance(
    duration_s: float, known_p: float
) -> None:
    at = [p_agreement(distinctness, duration_s) for distinctness in np.arange(0.6, 2.6, 0.1)]
    assert at == sorted(at, reverse=True)
    assert len(set(at)) == len(at)
    assert p_agreement(0.0, duration_s) > 0.99
    assert at[1] > 1e-3
    # Beyond what is known of it, chance is not taken to fall as fast.
    steps = np.diff(np.log(at))
    fast = [step for step, p in zip(steps, at[1:], strict=True) if 1.1 * known_p < p < 0.1]
    slow = [step for step, p in zip(steps, at[:-1], strict=True) if p < 0.9 * known_p]
    assert np.mean(slow) == pytest.approx(np.mean(fast) / 4, rel=0.05)


def test_no_correlation_is_surer_than_a_billion_to_one() -> None:
    assert p_agreement(50.0, 10) == p_agreement(1e6, 10) == p_agreement(50.0, 2) == 1e-9
    assert p_agreement(0.9, 2) > p_agreement(0.9, 10)
    assert p_agreement(1.5, 5) < p_agreement(1.5, 4) < p_agreement(1.5, 3) < p_agreement(1.5, 2)


def test_two_probabilities_say_together_what_their_product_says_by_chance() -> None:
    drawn = np.random.default_rng(1).random((100_000, 2))
    for p, other_p in ((1.0, 0.1), (0.2, 0.3), (0.05, 0.02)):
        as_small = float((drawn.prod(axis=1) <= p * other_p).mean())
        assert p_together(p, other_p) == pytest.approx(as_small, rel=0.06)
        assert p_together(other_p, p) == p_together(p, other_p)


def test_one_sure_thing_is_no_surer_for_another_that_says_nothing() -> None:
    assert p_together(1.0, 1.0) == 1.0
    assert 1e-5 < p_together(1e-5, 1.0) < 2e-4
    assert p_together(0.0, 0.5) == 0.0

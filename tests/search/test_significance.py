"""Probabilities of false matches and the scores that belong to them."""

import pytest

from search.significance import Law, p_agreement

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


def test_a_more_distinct_correlation_is_less_likely_chance() -> None:
    for duration_s in (1, 2, 3, 5, 10, 15):
        at = [p_agreement(distinctness, duration_s) for distinctness in (0.0, 0.8, 1.0, 1.3, 1.8)]
        assert at == sorted(at, reverse=True)
        assert at[0] > 0.99
        assert at[2] > 1e-4
        assert at[4] == 1e-5


def test_no_correlation_is_surer_than_was_ever_seen() -> None:
    assert p_agreement(50.0, 10) == p_agreement(1e6, 10) == 1e-5
    assert p_agreement(1.2, 2) > p_agreement(1.2, 10)

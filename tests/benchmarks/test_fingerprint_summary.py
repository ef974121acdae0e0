"""What the fingerprint benchmark counts."""

import pytest

from benchmarks.fingerprint.run import Outcome, summarise

NOTHING = float("-inf")


def outcome(
    score: float,
    *,
    right: bool = True,
    p_false: float = 1e-6,
    degradation: str = "clean",
    name: str = "music/a",
    found_s: float = 10.0,
    cpu_ms: float = 1.0,
) -> Outcome:
    found = name if score > NOTHING else ""
    return Outcome(degradation, name, 10.0, found, found_s, right, score, p_false, cpu_ms)


def test_right_answers_count_above_every_negative_and_by_their_own_probability() -> None:
    matches = [
        outcome(20.0),
        outcome(12.0, p_false=5e-3),  # above all negatives, and not accepted
        outcome(10.0, p_false=1e-4),  # as high as the best of them: not above
        outcome(30.0, right=False, found_s=90.0),
        outcome(NOTHING, right=False, p_false=1.0),
        outcome(20.0, degradation="noise", name="effects/b", found_s=40.0),  # a repetition
        outcome(9.0, degradation="noise", name="effects/b", p_false=0.1),
        outcome(20.0, degradation="noise", name="effects/b", found_s=10.4),
    ]
    negatives = [
        outcome(10.0, right=False, p_false=1e-4),
        outcome(8.0, right=False, p_false=1e-3),  # so much is accepted
        outcome(7.0, right=False, p_false=2e-3),
    ]
    copies = [outcome(20.0), outcome(9.5, p_false=1e-3)]
    shared = [outcome(15.0, right=False)]
    summary = summarise(5, matches, negatives, copies, shared=shared)
    assert summary.threshold == 10.0
    assert summary.at_zero_false == pytest.approx({"clean": 100 * 2 / 5, "noise": 100 * 2 / 3})
    assert summary.own == pytest.approx({"clean": 100 * 2 / 5, "noise": 100 * 2 / 3})
    assert summary.right_any == pytest.approx({"clean": 100 * 3 / 5, "noise": 100.0})
    assert summary.mean_at_zero_false == pytest.approx((40 + 200 / 3) / 2)
    assert summary.raw == pytest.approx(100 * 3 / 8)  # above 15
    assert summary.drawn_place == pytest.approx(100 * 3 / 8)
    assert (summary.n_matches, summary.n_negatives, summary.n_shared) == (8, 3, 1)
    assert (summary.own_false, summary.own_wrong) == (2, 1)
    assert summary.music == (pytest.approx(40), pytest.approx(40))
    assert (summary.copies_at_zero_false, summary.copies_own) == (50, 100)


def test_the_interval_is_that_of_drawing_other_recordings() -> None:
    # All excerpts of one recording are found or none: two recordings are not a hundred excerpts.
    matches = [
        outcome(score, name=name) for name, score in (("a", 20.0), ("b", 1.0)) for _ in range(50)
    ]
    summary = summarise(2, matches, [outcome(10.0, right=False)], [], shared=[])
    assert summary.mean_at_zero_false == 50
    assert summary.interval == (0, 100)
    alike = [outcome(score, name=f"{n}") for n in range(50) for score in (20.0, 1.0)]
    assert summarise(2, alike, [outcome(10.0)], [], shared=[]).interval == (50, 50)


def test_times_are_of_what_was_found_and_of_all() -> None:
    matches = [outcome(20.0, cpu_ms=10.0 * number) for number in range(11)]
    missing = [outcome(NOTHING, right=False, cpu_ms=1000.0) for _ in range(11)]
    summary = summarise(2, matches + missing, [outcome(10.0, cpu_ms=500.0)], [], shared=[])
    assert summary.cpu_ms_match == pytest.approx((50, 90))
    assert summary.cpu_ms_all_matches == pytest.approx((550, 1000))
    assert summary.cpu_ms_negative == (500, 500)

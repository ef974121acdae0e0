"""How steadily landmarks of two recordings coincide: a copy's times scatter each by itself."""

import numpy as np
import pytest

from search.alignment import _common, _steadied, _variance

N_MOMENTS, N_EACH, EVERY = 200, 3, 12
FRAMES = np.repeat(np.arange(N_MOMENTS) * EVERY, N_EACH)


def test_what_moves_by_itself_has_nothing_in_common_and_what_moves_together_has_it_all() -> None:
    rng = np.random.default_rng(0)
    alone = rng.normal(0, 0.5, len(FRAMES))
    together = np.repeat(rng.normal(0, 0.5, N_MOMENTS), N_EACH)
    assert _common(FRAMES, alone) == pytest.approx(0, abs=0.03)
    assert _common(FRAMES, together) == pytest.approx(0.25, abs=0.04)
    assert _variance(alone, 0.0) == pytest.approx(_variance(together, 0.0), abs=0.04)


def test_of_few_pairs_nothing_is_said_to_be_common() -> None:
    frames, late = np.repeat([0, 20, 40, 60], 5), np.repeat([-1.0, 1.0, -1.0, 1.0], 5)
    assert _common(frames, late) > 0.9  # 16 pairs
    assert _common(frames[1:], late[1:]) == 0.0  # 15


def test_a_wandering_tape_is_steady_and_a_few_landmarks_are_left_as_they_are() -> None:
    wander = np.sin(2 * np.pi * FRAMES / 1250)  # a period of 20 s
    assert _steadied(FRAMES, wander).std() < 0.1 * wander.std()
    few = np.arange(5) * 100
    late = np.array([0.0, 1.0, 0.0, -1.0, 0.0])
    np.testing.assert_allclose(_steadied(few, late), late)


def test_variance_that_chance_adds_is_taken_off() -> None:
    rng = np.random.default_rng(1)
    true, by_chance = rng.normal(0, 0.3, 3000), rng.uniform(-1.5, 1.5, 1000)
    late = np.concatenate([true, by_chance])
    assert _variance(late, 1000) == pytest.approx(0.09, abs=0.02)
    assert _variance(late[:1], 1.0) == 1.5**2

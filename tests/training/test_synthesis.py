"""The sounds made for training are sounds, and the same on every run."""

from collections.abc import Callable

import numpy as np
import pytest

from training import resynthesis, synthesis
from training.candidates import MOST_OF_A_CLASS, select

LENGTH = 80_000


def _recording(rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(2_000, 160_000))
    return (rng.standard_normal(n) * np.exp(-np.linspace(0, 6, n))).astype(np.float32)


@pytest.mark.parametrize("family", dict.fromkeys(synthesis.FAMILIES), ids=lambda f: f.__name__)
def test_every_family_gives_five_seconds_of_sound(
    family: Callable[[np.random.Generator], np.ndarray],
) -> None:
    for seed in range(2):
        sound = family(np.random.default_rng(seed))
        assert sound.shape == (synthesis.LENGTH,)
        assert np.isfinite(sound).all()
        assert np.ptp(sound) > 0


def test_an_invented_sound_is_the_same_on_every_run() -> None:
    first, again, other = (synthesis.invent(np.random.default_rng(s)) for s in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.2
    assert np.abs(first).max() == pytest.approx(1.0)


@pytest.mark.parametrize("maker", dict.fromkeys(resynthesis.MAKERS), ids=lambda f: f.__name__)
def test_every_way_to_rework_a_recording_fills_the_length(
    maker: Callable[..., np.ndarray],
) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sound = maker(lambda rng=rng: _recording(rng), rng, LENGTH)
        assert sound.shape == (LENGTH,)
        assert np.isfinite(sound).all()


@pytest.mark.parametrize("change", dict.fromkeys(resynthesis.CHANGES), ids=lambda f: f.__name__)
def test_every_change_keeps_the_length(change: Callable[..., np.ndarray]) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sound = np.resize(_recording(rng), LENGTH)
        changed = change(sound, rng)
        assert changed.shape == (LENGTH,)
        assert np.isfinite(changed).all()


def test_candidates_are_kept_for_the_classes_that_recordings_lack() -> None:
    rng = np.random.default_rng(1)
    responses = rng.normal(-8.0, 0.5, size=(5_000, 3)).astype(np.float32)
    responses[:200, 1] = 1.0  # many candidates of a class that no recording holds
    responses[200:400, 2] = 1.0  # and of one that thousands hold
    real = np.zeros((3_000, 3))
    real[:, 2] = 1.0
    kept = select(responses, real)
    in_class = [np.sum(kept < 200), np.sum((kept >= 200) & (kept < 400))]
    assert in_class[0] >= MOST_OF_A_CLASS
    assert in_class[1] < in_class[0]
    assert len(set(kept.tolist())) == len(kept)

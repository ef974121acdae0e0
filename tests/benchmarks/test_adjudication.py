"""Whether waveforms tell sound that two recordings share from sound that is merely alike."""

import numpy as np
import pytest

from benchmarks.fingerprint.adjudication import agree
from benchmarks.fingerprint.materials import SR, Samples


def noise(seed: int, seconds: float) -> Samples:
    return np.random.default_rng(seed).standard_normal(round(seconds * SR)).astype(np.float32)


@pytest.mark.parametrize("level", [1.0, 0.1])
def test_a_second_of_one_recording_in_another_is_noticed_under_noise(level: float) -> None:
    shared = noise(1, 1.2)
    source = np.concatenate([noise(2, 1.0), level * shared, noise(3, 1.0)])
    recording = np.concatenate([noise(4, 3.0), shared, noise(5, 3.0)])
    assert agree(source + 0.3 * level * noise(6, 3.2), recording)


def test_less_than_half_a_second_is_not_enough() -> None:
    shared = noise(1, 0.45)
    assert not agree(np.concatenate([noise(2, 1), shared]), np.concatenate([shared, noise(3, 2)]))


def test_unlike_sounds_and_steady_tones_of_one_pitch_are_not_the_same() -> None:
    assert not agree(noise(1, 3), noise(2, 6))
    t = np.arange(4 * SR) / SR
    tones = [np.sin(2 * np.pi * hz * t).astype(np.float32) for hz in (440.0, 440.7)]
    assert not agree(tones[0] + 0.1 * noise(1, 4), tones[1] + 0.1 * noise(2, 4))

"""Whether waveforms tell sound that two recordings share from sound that is merely alike."""

import numpy as np
import pytest
import soxr

from benchmarks.fingerprint.adjudication import (
    agree,
    holds_sound_of,
    windows_that_agree,
    without_shared,
)
from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.run import Outcome
from benchmarks.fingerprint.store import Source, Store


def noise(seed: int, seconds: float) -> Samples:
    return np.random.default_rng(seed).standard_normal(round(seconds * SR)).astype(np.float32)


@pytest.mark.parametrize("level", [1.0, 0.1])
def test_a_second_of_one_recording_in_another_is_noticed_under_noise(level: float) -> None:
    shared = noise(1, 1.4)
    source = np.concatenate([noise(2, 1.0), level * shared, noise(3, 1.0)])
    recording = np.concatenate([noise(4, 3.0), shared, noise(5, 3.0)])
    assert agree(source + 0.3 * level * noise(6, 3.4), recording)


def test_a_second_in_the_mix_of_another_recording_is_noticed() -> None:
    shared = noise(1, 1.5)
    source = np.concatenate([noise(2, 1.0), shared, noise(3, 1.0)])
    mixed = np.concatenate([noise(4, 3.0), 0.5 * shared + noise(7, 1.5), noise(5, 3.0)])
    assert agree(source, mixed)


def test_one_click_on_another_is_not_enough() -> None:
    click = np.zeros(SR // 20, dtype=np.float32)
    click[:40] = noise(1, 40 / SR)
    source, recording = 0.01 * noise(2, 3.0), 0.01 * noise(3, 6.0)
    source[SR : SR + len(click)] += click
    recording[2 * SR : 2 * SR + len(click)] += click
    assert not agree(source, recording)


def test_rumble_of_one_kind_is_not_the_same_sound() -> None:
    t = np.arange(4 * SR) / SR
    rumble = np.sin(2 * np.pi * 31 * t).astype(np.float32)
    assert not agree(rumble + 0.1 * noise(1, 4), rumble + 0.1 * noise(2, 4))


def test_less_than_a_second_is_not_enough() -> None:
    shared = noise(1, 0.9)
    assert not agree(np.concatenate([noise(2, 1), shared]), np.concatenate([shared, noise(3, 2)]))


def test_unlike_sounds_and_steady_tones_of_one_pitch_are_not_the_same() -> None:
    assert not agree(noise(1, 3), noise(2, 6))
    t = np.arange(4 * SR) / SR
    tones = [np.sin(2 * np.pi * hz * t).astype(np.float32) for hz in (440.0, 440.7)]
    assert not agree(tones[0] + 0.1 * noise(1, 4), tones[1] + 0.1 * noise(2, 4))


@pytest.mark.parametrize(("shared_s", "n_windows"), [(1.0, 7), (1.1, 8), (2.0, 17)])
def test_every_tenth_of_a_second_a_window_of_what_is_shared_speaks_for_it(
    shared_s: float, n_windows: int
) -> None:
    # At an end and a beginning, so that no window lies half in what is shared.
    shared = noise(1, shared_s)
    source, recording = np.concatenate([noise(2, 2), shared]), np.concatenate([shared, noise(3, 2)])
    assert windows_that_agree(source, recording) == n_windows
    assert agree(source, recording) == (n_windows >= 8)


@pytest.mark.parametrize(("correlation", "is_same"), [(0.22, False), (0.38, True)])
def test_windows_have_to_correlate(correlation: float, is_same: bool) -> None:
    shared = noise(1, 3)
    hidden = correlation * shared + np.sqrt(1 - correlation**2) * noise(2, 3)
    assert agree(hidden, np.concatenate([noise(3, 2), shared])) == is_same


@pytest.mark.parametrize(("percent", "is_same"), [(0.05, True), (0.3, False)])
def test_windows_have_to_agree_on_one_lag(percent: float, is_same: bool) -> None:
    shared = noise(1, 1.6)
    drifting = soxr.resample(shared, SR * 1000, SR * (1000 + 10 * percent), quality="VHQ")
    source = drifting[: len(shared)].astype(np.float32)
    assert agree(source, np.concatenate([noise(3, 2), shared, noise(4, 2)])) == is_same


@pytest.mark.parametrize(("length_s", "is_enough"), [(0.94, True), (0.8, True), (0.7, False)])
def test_of_a_short_recording_all_of_it_is_enough(length_s: float, is_enough: bool) -> None:
    short = noise(1, length_s)
    recording = np.concatenate([noise(2, 2), short + 0.5 * noise(4, length_s), noise(3, 2)])
    assert agree(short, recording) == is_enough
    # All but one of its windows are not: it is no longer all of it.
    assert not agree(short, np.concatenate([noise(2, 2), short[: -round(0.2 * SR)]]))


def archive(**sounds: Samples) -> Store:
    """Return a store of made-up recordings."""
    sources, start = [], 0
    for name, sound in sounds.items():
        sources.append(Source(name, "", False, (), start, len(sound)))
        start += len(sound)
    loudest = max(float(np.abs(sound).max()) for sound in sounds.values())
    samples = np.concatenate(list(sounds.values())) / loudest * 32767
    return Store(sources, samples.astype(np.int16))


def test_of_a_sequence_only_what_the_excerpt_reaches_is_compared() -> None:
    shared = noise(1, 1.5)
    store = archive(
        first=noise(2, 1.5),
        second=np.concatenate([noise(3, 1.0), shared, noise(4, 1.0)]),
        found=np.concatenate([noise(5, 2.0), shared, noise(6, 2.0)]),
    )
    # The second recording of the sequence begins at 1.5 s, the shared sound at 2.5 s.
    assert holds_sound_of(store, "first + second", 0.0, 5.0, "found")
    assert not holds_sound_of(store, "first + second", 0.0, 2.0, "found")
    assert holds_sound_of(store, "second", 0.5, 2.0, "found")
    assert not holds_sound_of(store, "second", 2.2, 1.0, "found")


def test_excerpts_that_hold_sound_of_their_answer_are_left_out_and_all_others_are_kept() -> None:
    shared = noise(1, 3.0)
    store = archive(held=shared, other=noise(2, 3.0), found=np.concatenate([noise(3, 2.0), shared]))

    def outcome(name: str, found: str, score: float) -> Outcome:
        return Outcome("clean", name, 0.0, found, 0.0, False, score, 1.0, 1.0)

    nothing = outcome("held", "", float("-inf"))
    outcomes = [
        outcome("other", "found", 8.0),
        outcome("held", "found", 20.0),
        nothing,
        outcome("held", "found", 9.0),
    ]
    kept = without_shared(store, 2.0, outcomes)
    assert [(one.name, one.score) for one in kept] == [("other", 8.0), ("held", float("-inf"))]
    # Below the twentieth that is false nobody looks.
    many = [outcome("other", "found", 30.0 + number) for number in range(20)]
    assert len(without_shared(store, 2.0, [*outcomes, *many])) == len(outcomes) + len(many)

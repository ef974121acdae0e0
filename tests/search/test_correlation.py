"""A query laid over a passage, sample by sample."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from search.correlation import MARGIN_S, Agreement, Waveform, _between_samples
from tests.search.test_beats import loop
from tests.search.test_fingerprints import SR, music

RATE = 8000
MARGIN = round(MARGIN_S * RATE)


def narrow(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    decimated: NDArray[np.float32] = signal.decimate(sound, SR // RATE).astype(np.float32)
    return decimated


def noisy(sound: NDArray[np.float32], snr_db: float, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal(len(sound))
    level = np.sqrt(np.mean(np.square(sound))) * 10 ** (-snr_db / 20)
    return (sound + level * noise).astype(np.float32)


def agreement(query: NDArray[np.float32], recording: NDArray[np.float32], start: int) -> Agreement:
    """Lay a query over a recording where its first sample is expected."""
    waveform = Waveform(query, RATE)
    padded = np.pad(recording, (MARGIN, MARGIN + len(query)))
    return waveform.agreement(padded[start : start + waveform.passage_samples])


@pytest.fixture(scope="module")
def recording() -> NDArray[np.float32]:
    return narrow(music(3))


@pytest.mark.parametrize("seconds", [2, 5, 10])
@pytest.mark.parametrize("snr_db", [20, -5])
def test_a_query_in_noise_goes_with_its_own_passage_and_tells_its_time_to_the_sample(
    recording: NDArray[np.float32], seconds: int, snr_db: float
) -> None:
    query = noisy(recording[80_000 : 80_000 + seconds * RATE], snr_db)
    found = agreement(query, recording, 80_000 - 137)
    assert found.distinctness > 1.5
    assert found.late_s * RATE == pytest.approx(137, abs=1)
    assert found.extent_s[0] <= 0.1 * seconds
    assert found.extent_s[1] >= 0.9 * seconds


def test_the_very_same_sound_correlates_by_one_and_noise_takes_from_it(
    recording: NDArray[np.float32],
) -> None:
    excerpt = recording[80_000:160_000]
    same, hissing = (agreement(query, recording, 80_000) for query in (excerpt, noisy(excerpt, 0)))
    assert same.correlation == pytest.approx(1, abs=0.1)
    assert 0.1 < hissing.correlation < 0.8


def test_a_place_elsewhere_and_another_piece_go_with_nothing(
    recording: NDArray[np.float32],
) -> None:
    query = noisy(recording[80_000:160_000], 0)
    for other, start in ((recording, 200_000), (narrow(music(4)), 80_000)):
        assert agreement(query, other, start).distinctness < 1.1


@pytest.mark.parametrize("turned_by", [90, 180])
def test_a_loudspeaker_may_turn_the_phase(recording: NDArray[np.float32], turned_by: int) -> None:
    excerpt = recording[80_000:160_000]
    turned = np.real(signal.hilbert(excerpt) * np.exp(1j * np.deg2rad(turned_by)))
    straight, found = (
        agreement(noisy(query.astype(np.float32), 0), recording, 80_000)
        for query in (excerpt, turned)
    )
    assert found.distinctness > 0.8 * straight.distinctness > 1.2


@pytest.mark.parametrize("seed", range(4))
def test_what_a_room_spreads_over_milliseconds_adds_up(
    recording: NDArray[np.float32], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    room = np.exp(-np.arange(800) / 160) * rng.standard_normal(800)  # no lag of it stands out
    heard = noisy(signal.oaconvolve(recording, room)[: len(recording)], -8, seed)
    found = agreement(heard[80_000:160_000], recording, 80_000)
    there = found.distinctness
    # What a room answers later lies earlier in the recording: here up to some twenty milliseconds.
    assert -0.025 <= found.late_s <= 0.001
    for other, start in ((recording, 200_000), (narrow(music(4)), 80_000)):
        elsewhere = agreement(heard[80_000:160_000], other, start).distinctness
        assert there > max(1.3, 3.5 * elsewhere)


@pytest.mark.parametrize("late_s", [-0.06, -0.03, 0.03, 0.06])
def test_a_place_is_found_within_60_ms_in_a_room_as_well(
    recording: NDArray[np.float32], late_s: float
) -> None:
    rng = np.random.default_rng(0)
    room = np.exp(-np.arange(800) / 80) * rng.standard_normal(800)
    heard = noisy(signal.oaconvolve(recording, room)[: len(recording)], 0)[80_000:160_000]
    found = agreement(heard, recording, 80_000 - round(late_s * RATE))
    assert found.distinctness > 1.3
    assert found.late_s == pytest.approx(late_s, abs=0.015)


def test_one_click_goes_with_any_other_and_proves_nothing() -> None:
    rng = np.random.default_rng(5)
    click = np.exp(-np.arange(400) / 40) * rng.standard_normal(400)
    query, recording = (0.01 * rng.standard_normal(n) for n in (80_000, 240_000))
    query[30_000:30_400] += click
    recording[110_000:110_400] += click
    found = agreement(query.astype(np.float32), recording.astype(np.float32), 80_000)
    assert found.distinctness < 1.0


def test_a_loop_is_no_more_distinct_than_the_bar_before_and_after() -> None:
    recording = narrow(loop(1))
    query = noisy(recording[40_000:120_000], 5)
    for start in (40_000, 56_000):
        assert agreement(query, recording, start).distinctness == pytest.approx(1, abs=0.1)


def test_what_correlates_of_a_query_is_told(recording: NDArray[np.float32]) -> None:
    other = narrow(music(9))
    query = np.concatenate([recording[80_000:128_000], other[:32_000]])
    found = agreement(noisy(query, 5), recording, 80_000)
    assert found.distinctness > 1.2
    assert found.extent_s == pytest.approx((0, 6), abs=1.01)


def test_at_a_recordings_edge_only_what_is_there_counts(recording: NDArray[np.float32]) -> None:
    query = np.concatenate([narrow(music(9))[:16_000], recording[:64_000]])
    padded = np.pad(recording, (16_000, 0))
    found = agreement(noisy(query, 5), padded, 0)
    assert found.distinctness > 1.2
    assert found.extent_s == pytest.approx((2, 10), abs=1.01)


def test_silence_goes_with_nothing(recording: NDArray[np.float32]) -> None:
    silence = np.zeros_like(recording)
    for query, passage in ((recording[:80_000], silence), (silence[:80_000], recording)):
        found = agreement(query, passage, 0)
        assert (found.distinctness, found.correlation) == (0.0, 0.0)


@pytest.mark.parametrize("late", [0.0, 0.25, 0.5, 0.75])
def test_parts_of_a_sample_and_louder_neighbours_take_nothing_from_what_is_the_same(
    recording: NDArray[np.float32], late: float
) -> None:
    start, n = 80_000, 5 * RATE
    loud = recording.copy()
    loud[:start] *= 3
    loud[start + n :] *= 3
    cycles = np.fft.rfftfreq(len(recording)) * late
    moved = np.fft.irfft(np.fft.rfft(recording) * np.exp(2j * np.pi * cycles), len(recording))
    found = agreement(moved[start : start + n].astype(np.float32), loud, start)
    assert found.correlation > 0.83
    other = agreement(narrow(music(4))[:n], loud, start)
    assert other.correlation < 0.1


def test_half_of_a_passage_is_not_the_whole(recording: NDArray[np.float32]) -> None:
    silent = np.zeros_like(recording)
    silent[100_000:] = recording[100_000:]
    half = agreement(recording[80_000:120_000], silent, 80_000)
    assert 0 <= half.correlation < 0.5


def test_a_peak_between_samples_is_at_most_half_of_one_away() -> None:
    curve = [1 - (at - 0.3) ** 2 for at in (-1, 0, 1)]
    assert _between_samples(np.array(curve, dtype=np.float32)) == pytest.approx(0.3, abs=1e-4)
    for three, late in (((1, 2, 2.999), 0.5), ((2.9, 2, 1), -0.5), ((1, 1, 1), 0), ((2, 1, 2), 0)):
        assert _between_samples(np.array(three, dtype=np.float32)) == late

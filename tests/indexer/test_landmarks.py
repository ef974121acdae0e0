"""Landmarks that keys are made of, and witnesses, which only tell when a place is weighed."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from db.landmarks import Landmarks
from indexer.landmarks import (
    ARCHIVE_PEAKS_PER_S,
    WITNESSES_PER_S,
    LandmarkFingerprinter,
    LandmarkStream,
    QueryPeaks,
    at_pitch,
    levels,
    quarter_bins,
    stored_frequencies,
    without_witnesses,
)
from indexer.peaks import N_BINS, PeakStream, Spectrum, _ranks, analyse
from search.verification import Verifier

_DURATION_S = 12


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    noise = np.random.default_rng(3).standard_normal(_DURATION_S * 8000)
    return (0.1 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def landmarks(sound: NDArray[np.float32]) -> Landmarks:
    stream = LandmarkFingerprinter().stream()
    stream.push(sound)
    return stream.finish()


def test_the_landmarks_of_keys_are_the_peaks_of_a_sparse_archive(
    sound: NDArray[np.float32], landmarks: Landmarks
) -> None:
    sparse = PeakStream(ARCHIVE_PEAKS_PER_S)
    sparse.push(sound)
    peaks, _ = sparse.finish()
    strong = without_witnesses(landmarks)
    assert strong.frames.tolist() == peaks.frames.tolist()
    assert quarter_bins(strong.frequencies).tolist() == np.rint(peaks.frequencies).tolist()
    assert np.abs(levels(strong.frequencies) - peaks.levels).max() <= 0.9001


def test_witnesses_are_about_as_many_as_promised_and_make_no_keys(landmarks: Landmarks) -> None:
    strong = without_witnesses(landmarks)
    n_witnesses = len(landmarks) - len(strong)
    assert 0.7 * WITNESSES_PER_S < n_witnesses / _DURATION_S < 1.3 * WITNESSES_PER_S
    fingerprinter = LandmarkFingerprinter()
    for of_all, of_strong in zip(
        fingerprinter.keys(landmarks), fingerprinter.keys(strong), strict=True
    ):
        assert of_all.tolist() == of_strong.tolist()


def test_another_pitch_leaves_level_and_mark_and_stays_in_the_spectrum() -> None:
    frequencies = np.array([100, 1000, 2040], dtype=np.float32)
    loud = np.array([-3.2, -9.5, -40], dtype=np.float32)
    stored = stored_frequencies(frequencies, loud, np.array([False, True, False]))
    moved = at_pitch(stored, 1.01)
    assert quarter_bins(moved).tolist() == [101, 1010, 4 * N_BINS - 1]
    assert levels(moved).tolist() == pytest.approx([-3.6, -9.0, -27.0])
    assert levels(stored).tolist() == levels(moved).tolist()
    assert (moved & 1).tolist() == [0, 1, 0]


def test_gain_moves_levels_and_leaves_frequencies(sound: NDArray[np.float32]) -> None:
    found = []
    for gain in (1.0, np.exp(-3.6)):  # power is the square: 7.2 nepers less, four steps
        stream = LandmarkStream()
        stream.push(sound * np.float32(gain))
        found.append(stream.finish().frequencies)
    assert quarter_bins(found[0]).tolist() == quarter_bins(found[1]).tolist()
    assert len(set(levels(found[0]).tolist())) > 1
    assert levels(found[0]) - levels(found[1]) == pytest.approx(7.2, abs=0.001)


def test_witnesses_speak_for_the_right_place(
    sound: NDArray[np.float32], landmarks: Landmarks
) -> None:
    onset = 250  # frames
    rng = np.random.default_rng(4)
    excerpt = sound[onset * 128 : onset * 128 + 2 * 8000]
    heard = excerpt + 0.1 * rng.standard_normal(len(excerpt)).astype(np.float32)
    verifier = Verifier(*LandmarkFingerprinter().query(heard.astype(np.float32)))

    def score(of: Landmarks, frame: int) -> float:
        return verifier.weigh(frame, 0.0, (of.frames.astype(np.int64), of.frequencies)).score

    strong = without_witnesses(landmarks)
    gain = score(landmarks, onset) - score(strong, onset)
    elsewhere = [score(landmarks, at) - score(strong, at) for at in range(80, 240, 20)]
    assert gain > 1
    assert gain > max(elsewhere)


def test_loud_landmarks_are_believed_more_than_faint_ones() -> None:
    """In noise the loud ones are heard and the faint ones are not."""
    rng = np.random.default_rng(5)
    n, n_frames = 160, 300
    rows, bins = np.sort(rng.integers(0, n_frames, n)), rng.integers(20, 480, n)
    is_heard = rng.random(n) < 0.5
    heights = rng.normal(0, 0.7, (n_frames, N_BINS)).astype(np.float32)
    heights[rows[is_heard], bins[is_heard]] += 1.5
    peaks = QueryPeaks(rows[:1].astype(np.float32), (4 * bins[:1]).astype(np.float32))
    usual = rng.normal(-8, 1, N_BINS).astype(np.float32)
    verifier = Verifier(peaks, Spectrum(heights, usual))

    def score(nepers_above: NDArray[np.float64]) -> float:
        pitched = (4 * bins).astype(np.float32)
        level = (usual[bins] + nepers_above).astype(np.float32)
        stored = stored_frequencies(pitched, level, np.zeros(n, dtype=np.bool_))
        return verifier.weigh(0.0, 0.0, (rows, stored)).score

    alike = score(np.zeros(n))
    assert score(np.where(is_heard, 3.0, -3.0)) > alike + 2
    assert score(np.where(is_heard, -3.0, 3.0)) < alike - 2


@pytest.mark.parametrize("n_samples", [1, 900, 8000, 32_768, 32_769, 96_000])
def test_a_short_signal_has_the_peaks_that_a_stream_finds(
    sound: NDArray[np.float32], n_samples: int
) -> None:
    stream = PeakStream(45)
    for start in range(0, n_samples, 7001):
        stream.push(sound[start : min(start + 7001, n_samples)])
    streamed, n_frames = stream.finish()
    at_once, spectrum = analyse(sound[:n_samples], 45)
    assert len(streamed) >= 30 * (n_samples // 8000)
    for name in ("frames", "frequencies", "heights", "levels", "ranks"):
        assert getattr(at_once, name).tolist() == getattr(streamed, name).tolist()
    assert spectrum.heights.shape == (n_frames, N_BINS)
    bins = np.rint(at_once.frequencies / 4).astype(np.int64)
    assert spectrum.heights[at_once.frames, bins].tolist() == at_once.heights.tolist()


def test_ranks_count_taller_peaks_in_the_second_around_each() -> None:
    rng = np.random.default_rng(9)
    frames = np.sort(rng.integers(0, 400, 700)).astype(np.int32)
    heights = rng.integers(0, 20, len(frames)).astype(np.float32)  # many are as tall as others
    number = np.arange(len(frames))
    near = np.abs(frames[:, np.newaxis] - frames) <= 31
    earlier = number < number[:, np.newaxis]
    taller = (heights > heights[:, np.newaxis]) | (earlier & (heights == heights[:, np.newaxis]))
    assert np.array_equal(_ranks(frames, heights), (near & taller).sum(axis=1))
    assert len(_ranks(frames[:0], heights[:0])) == 0


def test_clicks_with_hundreds_of_peaks_a_frame_take_little_memory() -> None:
    clicks = np.zeros(5 * 8000, dtype=np.float32)
    clicks[::512] = 0.9
    tracemalloc.start()
    LandmarkFingerprinter().query(clicks)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 150e6

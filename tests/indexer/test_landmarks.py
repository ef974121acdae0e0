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
    quarter_bins,
    without_witnesses,
)
from indexer.peaks import N_BINS, STEPS_PER_BIN, PeakStream, _ranks
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
    assert strong.frequencies.tolist() == np.rint(peaks.frequencies).astype(int).tolist()


def test_witnesses_are_about_as_many_as_promised_and_make_no_keys(landmarks: Landmarks) -> None:
    strong = without_witnesses(landmarks)
    n_witnesses = len(landmarks) - len(strong)
    assert 0.7 * WITNESSES_PER_S < n_witnesses / _DURATION_S < 1.3 * WITNESSES_PER_S
    fingerprinter = LandmarkFingerprinter()
    for of_all, of_strong in zip(
        fingerprinter.keys(landmarks), fingerprinter.keys(strong), strict=True
    ):
        assert of_all.tolist() == of_strong.tolist()


def test_frequencies_lie_in_the_spectrum_once_the_mark_is_off(landmarks: Landmarks) -> None:
    assert landmarks.frequencies.max() > N_BINS * STEPS_PER_BIN
    assert quarter_bins(landmarks.frequencies).max() < N_BINS * STEPS_PER_BIN


def test_witnesses_speak_for_the_right_place(
    sound: NDArray[np.float32], landmarks: Landmarks
) -> None:
    onset = 250  # frames
    rng = np.random.default_rng(4)
    excerpt = sound[onset * 128 : onset * 128 + 2 * 8000]
    heard = excerpt + 0.1 * rng.standard_normal(len(excerpt)).astype(np.float32)
    peaks, heights = LandmarkFingerprinter().query(heard.astype(np.float32))
    verifier = Verifier(peaks, heights)

    def score(of: Landmarks, frame: int) -> float:
        return verifier.weigh(frame, 0.0, (of.frames.astype(np.int64), of.frequencies)).score

    strong = without_witnesses(landmarks)
    gain = score(landmarks, onset) - score(strong, onset)
    elsewhere = [score(landmarks, at) - score(strong, at) for at in range(80, 240, 20)]
    assert gain > 1
    assert gain > max(elsewhere)


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

"""From segment scores to passages."""

import numpy as np
import pytest

from db.records import EncoderInfo
from search.hits import passages_of

ENCODER = EncoderInfo("test/1", dim=4, sample_rate=32_000, window_s=5.0, hop_s=2.5)


def passages(scores: list[float], duration_s: float) -> list[tuple[float, float, float]]:
    found = passages_of(np.array(scores, dtype=np.float32), duration_s, ENCODER)
    return [
        (passage.onset_s, passage.offset_s, pytest.approx(passage.score, abs=1e-6))
        for passage in found
    ]


def test_neighbouring_good_segments_become_one_passage() -> None:
    scores = [0.1, 0.5, 0.6, 0.55, 0.1, 0.1, 0.1]
    assert passages(scores, 20.0) == [(2.5, 12.5, 0.6)]


def test_separate_good_segments_are_separate_passages_best_first() -> None:
    scores = [0.5, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1]
    assert passages(scores, 20.0) == [(10.0, 15.0, 0.6), (0.0, 5.0, 0.5)]


def test_of_equal_passages_the_earlier_comes_first() -> None:
    assert passages([0.5, 0.0, 0.0, 0.5], 12.5) == [(0.0, 5.0, 0.5), (7.5, 12.5, 0.5)]


def test_the_last_segment_ends_with_the_recording() -> None:
    assert passages([0.1, 0.1, 0.9], 9.0) == [(4.0, 9.0, 0.9)]


def test_a_short_recording_is_one_passage_of_its_own_length() -> None:
    assert passages([0.3], 0.7) == [(0.0, 0.7, 0.3)]


def test_even_if_nothing_is_alike_the_best_is_given() -> None:
    assert passages([-0.4, -0.2, -0.3], 10.0) == [(2.5, 7.5, -0.2)]

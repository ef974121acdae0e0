"""From scores of segments to passages."""

import numpy as np
import pytest

from db.records import EncoderInfo
from search.passages import Cells, passages_in_order, passages_of

ENCODER = EncoderInfo("test/1", dim=4, sample_rate=32_000, window_s=5.0, hop_s=2.5)


def passages(scores: list[float], duration_s: float) -> list[tuple[float, float, float]]:
    found = passages_of(np.array(scores, dtype=np.float32), duration_s, ENCODER)
    return [
        (passage.onset_s, passage.offset_s, pytest.approx(passage.score, abs=1e-6))
        for passage in found
    ]


def test_a_sound_in_two_neighbouring_windows_lies_in_what_they_share() -> None:
    assert passages([0.1, 0.9, 0.8, 0.1], 12.5) == [(5.0, 7.5, 0.9)]


def test_a_long_sound_is_one_passage() -> None:
    assert passages([0.02, 0.5, 0.6, 0.55, 0.02, 0.02, 0.02], 20.0) == [(5.0, 10.0, 0.6)]


def test_a_sound_in_one_window_alone_is_somewhere_in_it() -> None:
    assert passages([0.1, 0.1, 0.9, 0.1, 0.1], 15.0) == [(5.0, 10.0, 0.9)]


def test_at_its_start_and_end_a_recording_has_one_window_only() -> None:
    assert passages([0.9, 0.8, 0.1, 0.1], 12.5) == [(0.0, 5.0, 0.9)]
    assert passages([0.1, 0.1, 0.8, 0.9], 12.5) == [(7.5, 12.5, 0.9)]


def test_separate_good_segments_are_separate_passages_best_first() -> None:
    scores = [0.5, 0.02, 0.02, 0.02, 0.6, 0.02, 0.02]
    assert passages(scores, 20.0) == [(10.0, 15.0, 0.6), (0.0, 2.5, 0.5)]


def test_of_equal_passages_the_earlier_comes_first() -> None:
    assert passages([0.5, 0.0, 0.0, 0.5], 12.5) == [(0.0, 2.5, 0.5), (10.0, 12.5, 0.5)]


def test_the_last_segment_ends_with_the_recording() -> None:
    assert passages([0.1, 0.1, 0.9], 9.0) == [(7.5, 9.0, 0.9)]


def test_a_short_recording_is_one_passage_of_its_own_length() -> None:
    assert passages([0.3], 0.7) == [(0.0, 0.7, 0.3)]


def test_what_does_not_reach_the_least_score_is_no_passage() -> None:
    scores = np.array([0.4, 0.45, 0.1], dtype=np.float32)
    assert passages_of(scores, 10.0, ENCODER, least=0.5) == ()


@pytest.mark.parametrize("n_segments", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("rest_s", [0.0, 0.2, 1.3])
def test_every_moment_is_in_one_cell_and_each_cell_in_the_segments_it_names(
    n_segments: int, rest_s: float
) -> None:
    from indexer.segments import segment_onsets

    duration_s = 5.0 + 2.5 * (n_segments - 1) + rest_s
    cells = Cells.of(n_segments, duration_s, ENCODER)
    onsets = segment_onsets(n_segments, duration_s=duration_s, window_s=5.0, hop_s=2.5)
    assert cells.bounds[0] == 0.0
    assert cells.bounds[-1] == pytest.approx(max(onsets) + 5.0)
    for cell in range(len(cells.first)):
        low, high = cells.bounds[cell : cell + 2]
        assert low < high
        covering = [i for i, t in enumerate(onsets) if t <= low + 1e-5 and t + 5.0 >= high - 1e-5]
        assert [cells.first[cell], cells.last[cell]] == [covering[0], covering[-1]]


def in_order(
    first: list[float], second: list[float], within_s: float = 30.0
) -> list[tuple[float, float]]:
    scores = np.array([first, second], dtype=np.float32)
    duration_s = 5.0 + 2.5 * (len(first) - 1)
    found = passages_in_order(scores, duration_s, ENCODER, within_s=within_s)
    return [(passage.onset_s, pytest.approx(passage.score)) for passage in found]


EARLY = [0.02, 0.9, 0.9, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02]
LATE = [0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.8, 0.8, 0.02, 0.02]


def test_two_sounds_in_order_are_found_and_the_reverse_is_not() -> None:
    assert in_order(EARLY, LATE) == [(5.0, 0.9), (17.5, 0.8)]
    assert in_order(LATE, EARLY) == []


def test_a_second_sound_that_comes_too_late_does_not_follow_the_first() -> None:
    assert in_order(EARLY, LATE, within_s=12.5)[1] == (17.5, 0.8)
    assert in_order(EARLY, LATE, within_s=10.0) == []


def test_both_in_the_same_moment_are_not_one_after_the_other() -> None:
    assert in_order(EARLY, EARLY) == []


def test_of_several_occurrences_the_surest_pair_in_order_counts() -> None:
    first = [0.02, 0.6, 0.6, 0.02, 0.02, 0.02, 0.9, 0.9, 0.02, 0.02]
    second = [0.9, 0.02, 0.02, 0.02, 0.8, 0.8, 0.02, 0.02, 0.02, 0.02]
    assert in_order(first, second) == [(5.0, 0.6), (12.5, 0.8)]


def test_a_recording_of_one_segment_has_no_order() -> None:
    assert in_order([0.9], [0.9]) == []


def test_three_sounds_make_a_chain() -> None:
    n = 12
    scores = np.full((3, n), 0.02, dtype=np.float32)
    for sound, at in enumerate((1, 4, 8)):
        scores[sound, at : at + 2] = 0.9
    found = passages_in_order(scores, 5.0 + 2.5 * (n - 1), ENCODER, within_s=15.0)
    assert [passage.onset_s for passage in found] == [5.0, 12.5, 22.5]
    assert [passage.sound for passage in found] == [0, 1, 2]

"""The grid of segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.segments import Segmenter, count_segments, segment_onsets


def grid(n: int, window: int, hop: int) -> list[int]:
    """The definition, as plainly as it can be written: the onset of every segment."""
    if n <= window:
        return [0] if n else []
    onsets = [start for start in range(0, n, hop) if start + window <= n]
    tail = n - (onsets[-1] + window)
    if tail == 0:
        return onsets
    short = tail < hop / 10
    touches = len(onsets) > 1 and n - window <= onsets[-2] + window
    if short and touches:
        return [*onsets[:-1], n - window]
    return [*onsets, n - window]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    window = draw(st.integers(1, 60))
    hop = draw(st.integers(1, window))
    return window, hop, draw(st.lists(st.integers(0, 90), max_size=12))


def stream(window: int, hop: int, sizes: list[int]) -> tuple[list[np.ndarray], int]:
    segmenter = Segmenter(window, hop)
    windows, position = [], 0
    for size in sizes:
        windows += segmenter.push(np.arange(position, position + size, dtype=np.float32))
        position += size
    windows += segmenter.finish()
    assert segmenter.n_samples == position
    return windows, position


@given(recordings())
def test_streaming_in_any_blocks_gives_the_windows_of_the_definition(
    recording: tuple[int, int, list[int]],
) -> None:
    window, hop, sizes = recording
    windows, n = stream(window, hop, sizes)
    onsets = grid(n, window, hop)
    assert [int(w[0]) for w in windows] == onsets
    assert all(
        np.array_equal(w, np.arange(onset, min(onset + window, n)))
        for w, onset in zip(windows, onsets, strict=True)
    )


@given(recordings())
def test_every_sample_is_heard_and_only_short_recordings_need_padding(
    recording: tuple[int, int, list[int]],
) -> None:
    window, hop, sizes = recording
    windows, n = stream(window, hop, sizes)
    assert set(np.concatenate([*windows, []])) == set(range(n))
    assert all(len(w) == window for w in windows) or n < window


@given(recordings())
def test_count_and_onsets_agree_with_the_stream(recording: tuple[int, int, list[int]]) -> None:
    window, hop, sizes = recording
    windows, n = stream(window, hop, sizes)
    assert count_segments(n, window, hop) == len(windows)
    sr = 7.0
    onsets = segment_onsets(len(windows), duration_s=n / sr, window_s=window / sr, hop_s=hop / sr)
    assert onsets == pytest.approx([w[0] / sr for w in windows])
    assert np.all(np.diff(onsets) > 0)


def test_a_tail_shorter_than_a_tenth_of_a_hop_is_joined_to_the_last_window() -> None:
    assert grid(1549, 1000, 500) == [0, 549]
    assert count_segments(1549, 1000, 500) == 2
    assert count_segments(1550, 1000, 500) == 3


def test_a_window_never_moves_away_from_the_one_before_it() -> None:
    # Windows that touch leave no room: moving the second would skip sample 1000.
    assert count_segments(2001, 1000, 1000) == 3
    # Nor may the first move, or the recording's beginning would be lost.
    assert count_segments(1001, 1000, 500) == 2


def test_memory_stays_at_about_one_window_and_a_block() -> None:
    segmenter = Segmenter(1000, 300)
    most = 0
    for _ in range(200):
        segmenter.push(np.zeros(700, dtype=np.float32))
        most = max(most, len(segmenter._buffer))
    assert most <= 1000 + 300 + 700


@pytest.mark.parametrize("hop", [0, -1, 11])
def test_a_hop_that_leaves_gaps_or_stands_still_is_refused(hop: int) -> None:
    with pytest.raises(ValueError, match="hop"):
        Segmenter(10, hop)
    with pytest.raises(ValueError, match="hop"):
        count_segments(100, 10, hop)

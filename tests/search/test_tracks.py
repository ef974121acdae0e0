"""What was played when, from what was heard in each part."""

import pytest

from indexer.landmarks import Change
from search.tracks import Sighting, tracks_of, without_overlaps


def heard(
    part_onset_s: float,
    start_s: float,
    *,
    recording_id: int = 1,
    p_false: float = 1e-6,
    speed: float = 1.0,
    score: float = 20.0,
) -> Sighting:
    """A recording heard throughout a part of 10 s."""
    return Sighting(
        recording_id,
        start_s,
        part_onset_s,
        part_onset_s,
        part_onset_s + 10,
        Change(speed, speed),
        score,
        p_false,
    )


def test_parts_that_run_on_are_one_track() -> None:
    (track,) = tracks_of([heard(0, 30), heard(5, 35.1), heard(10, 40)], n_parts=3)
    assert (track.query_onset_s, track.query_offset_s) == (0, 20)
    assert track.in_recording() == (30, 50)
    assert track.n_parts == 3


def test_a_recording_that_is_played_again_later_is_another_track() -> None:
    tracks = tracks_of([heard(0, 30), heard(60, 30)], n_parts=13)
    assert [track.query_onset_s for track in tracks] == [0, 60]


def test_a_jump_within_a_recording_begins_another_track() -> None:
    assert len(tracks_of([heard(0, 30), heard(5, 36)], n_parts=2)) == 2


def test_another_recording_between_does_not_part_a_track() -> None:
    sightings = [heard(0, 30), heard(5, 7, recording_id=2), heard(10, 40)]
    tracks = tracks_of(sightings, n_parts=3)
    assert sorted((track.recording_id, track.n_parts) for track in tracks) == [(1, 2), (2, 1)]


def test_a_track_of_another_speed_follows_its_own_line() -> None:
    (track,) = tracks_of([heard(0, 30, speed=1.1), heard(5, 35.5, speed=1.1)], n_parts=2)
    assert track.in_recording() == pytest.approx((30, 46.5))
    assert track.change.speed == 1.1


def test_more_parts_looked_at_make_a_lone_sighting_less_sure() -> None:
    (lone,) = tracks_of([heard(0, 30, p_false=1e-4)], n_parts=100)
    assert lone.p_false == pytest.approx(1e-2)


def test_further_parts_make_a_track_surer_but_each_only_tenfold() -> None:
    parts = [heard(5.0 * i, 30 + 5.0 * i, p_false=1e-4) for i in range(5)]
    (track,) = tracks_of(parts, n_parts=5)
    # The second and fourth part overlap with the others: two parts confirm the first.
    assert track.p_false == pytest.approx(5 * 1e-4 * 0.1**2)


def test_of_two_recordings_at_one_time_the_surer_stays() -> None:
    sightings = [
        heard(0, 30, p_false=1e-9),
        heard(0, 8, recording_id=2, p_false=1e-5),
        heard(40, 8, recording_id=2, p_false=1e-5),
    ]
    kept = without_overlaps(tracks_of(sightings, n_parts=9))
    assert [(track.recording_id, track.query_onset_s) for track in kept] == [(1, 0), (2, 40)]


def test_nothing_heard_gives_no_tracks() -> None:
    assert tracks_of([], n_parts=4) == []


def test_a_weak_likeness_a_moment_beside_a_passage_is_its_echo() -> None:
    passage = heard(0, 30, score=40.0)
    assert heard(0, 30.6, score=12.0).is_echo_of(passage)
    assert not passage.is_echo_of(heard(0, 30.6, score=12.0))
    # A loop that begins anew is as good as the passage itself.
    assert not heard(0, 32, score=38.0).is_echo_of(passage)
    assert not heard(0, 39, score=12.0).is_echo_of(passage)
    assert not heard(0, 30.6, score=12.0, recording_id=2).is_echo_of(passage)

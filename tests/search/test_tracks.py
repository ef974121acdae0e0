"""What was played when, from what was heard in each part."""

import pytest

from indexer.landmarks import Change
from search.tracks import Sighting, played, tracks_of


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
    assert track.in_query() == (0, 20)
    assert track.in_recording() == (30, 50)
    assert len(track.sightings) == 3


def test_a_recording_that_is_played_again_later_is_another_track() -> None:
    tracks = tracks_of([heard(0, 30), heard(60, 30)], n_parts=13)
    assert [track.in_query()[0] for track in tracks] == [0, 60]


def test_a_jump_within_a_recording_begins_another_track() -> None:
    assert len(tracks_of([heard(0, 30), heard(5, 36)], n_parts=2)) == 2


def test_another_recording_between_does_not_part_a_track() -> None:
    sightings = [heard(0, 30), heard(5, 7, recording_id=2), heard(10, 40)]
    tracks = tracks_of(sightings, n_parts=3)
    assert sorted((track.recording_id, len(track.sightings)) for track in tracks) == [
        (1, 2),
        (2, 1),
    ]


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


def test_the_onset_is_told_by_the_part_next_to_it() -> None:
    # The speed is 1.02 but told as 1.0204: from a part an hour away that would be over a second.
    parts = [heard(5.0 * i, 100 + 5.0 * i * 1.02, speed=1.0204) for i in range(720)]
    parts[-1] = heard(3595, 100 + 3595 * 1.02, speed=1.0204, p_false=1e-9)
    (track,) = tracks_of(parts, n_parts=720)
    assert track.in_recording()[0] == pytest.approx(100, abs=0.1)
    assert track.in_recording()[1] == pytest.approx(100 + 3605 * 1.02, abs=0.1)


def test_a_certain_track_keeps_a_probability_above_nothing() -> None:
    (track,) = tracks_of([heard(5.0 * i, 5.0 * i, p_false=1e-50) for i in range(700)], n_parts=700)
    assert 0 < track.p_false < 1e-200


def test_of_two_recordings_at_one_time_that_which_explains_more_stays() -> None:
    sightings = [
        heard(0, 30, p_false=1e-9),
        heard(0, 8, recording_id=2, p_false=1e-5, score=15.0),
        heard(40, 8, recording_id=2, p_false=1e-5),
    ]
    kept = played(sightings, n_parts=9, p_false=1e-3)
    assert [(track.recording_id, track.in_query()[0]) for track in kept] == [(1, 0), (2, 40)]


def test_copies_that_take_turns_as_best_are_one_track() -> None:
    first = [heard(5.0 * i, 5.0 * i, score=20.0 + i % 2) for i in range(10)]
    copy = [heard(5.0 * i, 5.0 * i, recording_id=2, score=20.5) for i in range(8)]
    sightings = sorted([*first, *copy], key=lambda one: one.part_onset_s)
    (track,) = played(sightings, n_parts=10, p_false=1e-3)
    assert (track.recording_id, track.in_query()) == (1, (0, 55))


def test_what_a_longer_track_leaves_is_told_of_another() -> None:
    first = [heard(5.0 * i, 5.0 * i) for i in range(8)]
    other = [heard(5.0 * i, 5.0 * i, recording_id=2) for i in range(5, 11)]
    sightings = sorted([*first, *other], key=lambda one: one.part_onset_s)
    kept = played(sightings, n_parts=11, p_false=1e-3)
    assert [(track.recording_id, track.in_query()) for track in kept] == [
        (1, (0, 45)),
        (2, (40, 60)),
    ]


def test_what_is_not_sure_enough_is_left_out() -> None:
    assert played([heard(0, 30, p_false=1e-2)], n_parts=1, p_false=1e-3) == []


def test_nothing_heard_gives_no_tracks() -> None:
    assert tracks_of([], n_parts=4) == []


def test_much_the_same_passage_is_no_other_occurrence() -> None:
    passage = heard(0, 30, score=40.0)
    assert heard(0, 30.6, score=12.0).is_covered_by(passage)
    assert heard(0, 32, score=38.0).is_covered_by(passage)
    assert not heard(0, 39, score=12.0).is_covered_by(passage)
    assert not heard(0, 30.6, score=12.0, recording_id=2).is_covered_by(passage)

"""Queries that have learnt from marked hits, and how passages are named."""

from pathlib import Path

import pytest

from db.conditions import Condition, Text
from search.errors import QueryError
from search.feedback import DISLIKED_WEIGHT, LIKED_WEIGHT, with_feedback
from search.language import parse, write
from search.marking import read_archived, read_marked
from search.query import Archived, Example, Query, Sound, Words


def test_liked_passages_share_their_weight_and_disliked_ones_are_subtracted() -> None:
    query = with_feedback(parse("dog"), [Archived(1), Archived(2, 1.0, 2.0)], [Archived(3)])
    terms = query.sounds[0].terms
    assert terms[0] == Words("dog")
    assert terms[1:] == (
        Archived(1, weight=LIKED_WEIGHT / 2),
        Archived(2, 1.0, 2.0, LIKED_WEIGHT / 2),
        Archived(3, weight=-DISLIKED_WEIGHT),
    )


def test_feedback_can_be_kept_as_text_and_given_again() -> None:
    once = with_feedback(parse("dog duration:<10 -music"), [Archived(7, 1.5, 4.0)], [Archived(3)])
    assert parse(write(once)) == once
    twice = with_feedback(once, [Archived(9)])
    assert len(twice.sounds[0].terms) == 4
    assert (twice.conditions, twice.without) == (once.conditions, once.without)


def test_the_sound_that_is_meant_is_taught_and_a_query_without_any_gets_one() -> None:
    both = with_feedback(parse("bell & crowd"), [Archived(1)], sound=1)
    assert [len(sound.terms) for sound in both.sounds] == [1, 2]
    only = Query(conditions=(Condition("format", (Text("WAV"),)),))
    learnt = with_feedback(only, [Archived(1)])
    assert learnt.sounds == (Sound((Archived(1, weight=LIKED_WEIGHT),)),)
    assert learnt.conditions == only.conditions


def test_feedback_that_teaches_nothing_is_refused() -> None:
    with pytest.raises(QueryError, match="mark at least one"):
        with_feedback(parse("dog"), [])
    with pytest.raises(QueryError, match="no sound 2"):
        with_feedback(parse("dog"), [Archived(1)], sound=1)
    with pytest.raises(QueryError, match="mark one as liked"):
        with_feedback(parse("format:wav"), [], [Archived(1)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", Archived(42)),
        ("#42", Archived(42)),
        ("#42@1:30-1:40", Archived(42, 90.0, 100.0)),
        ("#42@12.5-", Archived(42, 12.5, None)),
        ("42@-10s", Archived(42, None, 10.0)),
        ("clip.wav", Example(Path("clip.wav"))),
        ("my clip@home.wav@1-2", Example(Path("my clip@home.wav"), 1.0, 2.0)),
        ("clip@home.wav", Example(Path("clip@home.wav"))),
        ("./42", Example(Path("./42"))),
    ],
)
def test_passages_are_read_as_they_are_written(text: str, expected: Example | Archived) -> None:
    assert read_marked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#", "names no passage"), (" ", "names no passage"), ("#4@2-1", "ends before"),
     ("#4@x-1", "names no passage"), ("#4@1.2.3-9", "part")],
)  # fmt: skip
def test_what_names_no_passage_is_refused(text: str, expected: str) -> None:
    with pytest.raises(QueryError, match=expected):
        read_marked(text)


def test_a_file_is_no_passage_of_the_archive() -> None:
    assert read_archived("#4@1-2") == Archived(4, 1.0, 2.0)
    with pytest.raises(QueryError, match="by its number"):
        read_archived("clip.wav")

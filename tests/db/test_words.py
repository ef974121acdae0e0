"""Words, values, dates and places, by themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.places import Places
from db.values import day_span
from db.vectors import pack_ids, pack_ranges
from db.words import BREAK, fold_value, joined, spellings, words_of


def test_names_are_taken_apart_at_digits_and_at_capitals() -> None:
    assert spellings("DOGBark03") == [["dogbark03"], ["dogbark", "03"], ["dog", "bark", "03"]]
    assert spellings("dog_bark-03.wav") == [["dog", "bark", "03", "wav"]]
    assert spellings("ÜberGang") == [["ubergang"], ["uber", "gang"]]
    assert spellings("--") == []


def test_texts_of_one_field_are_kept_apart() -> None:
    assert joined([["a", "b"], [], ["c"]]) == ["a", "b", BREAK, "c"]


@given(st.text())
def test_words_are_the_same_when_they_are_folded_again(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert all(word.isalnum() for word in words)
    assert fold_value(fold_value(text)) == fold_value(text)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0001-01-01", (1, 1)),
        ("1962", (716241, 716605)),
        ("1962-02", (716272, 716299)),
        ("1962-02-00", (716272, 716299)),
        ("1962-02-28T12:00:00", (716299, 716299)),
        ("1962-02-30", None),
        ("1962-13", None),
        ("19620228", None),
        ("", None),
        ("0000", None),
        ("yesterday", None),
    ],
)
def test_a_date_is_the_days_that_it_may_mean(text: str, days: tuple[int, int] | None) -> None:
    assert day_span(text) == days


@given(st.sets(st.integers(1, 300)), st.lists(st.integers(-5, 400)))
def test_places_are_those_of_a_search(ids: set[int], wanted: list[int]) -> None:
    array = np.array(sorted(ids, reverse=True), dtype=np.int64)
    places, known = Places(array).find(np.array(wanted, dtype=np.int64))
    assert [wanted[at] for at in known] == [id_ for id_ in wanted if id_ in ids]
    assert array[places].tolist() == [id_ for id_ in wanted if id_ in ids]


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 10))))
def test_ranges_make_the_set_of_their_numbers(ranges: list[tuple[int, int]]) -> None:
    firsts, counts = [first for first, _ in ranges], [count for _, count in ranges]
    numbers = sorted({n for first, count in ranges for n in range(first, first + count)})
    made = pack_ranges(np.array(firsts, np.int64), np.array(counts, np.int64), 100)
    assert made.tolist() == pack_ids(np.array(numbers, np.int64), 100).tolist()

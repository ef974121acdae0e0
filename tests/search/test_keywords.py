"""What names and descriptions are worth beside what is heard."""

import numpy as np
import pytest

from db.keywords import KeywordHits
from search.calibration import POSSIBLE
from search.keywords import Names, named, without_suffixes


def worth(share: float, naming_share: float) -> float:
    one = np.array([1.0])
    return float(named(KeywordHits(np.array([1]), one, share * one, naming_share * one))[0])


def test_all_words_in_the_name_make_a_hit_alone() -> None:
    assert worth(1.0, 1.0) >= POSSIBLE


def test_a_description_is_worth_less_than_a_name_and_a_part_less_than_all() -> None:
    assert worth(1.0, 1.0) > worth(1.0, 0.5) >= POSSIBLE > worth(0.5, 0.5) > 0.0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_more_of_the_words_are_worth_more(share: float) -> None:
    assert worth(share / 2, 0.0) < worth(share, 0.0)


@pytest.mark.parametrize(
    ("typed", "searched"),
    [
        ("rain-heavy.flac", "rain-heavy"),
        ("Bell.WAV and crowd.mp3", "Bell and crowd"),
        ("mp3 player", "mp3 player"),
        ("version 1.2", "version 1.2"),
    ],
)
def test_a_file_name_typed_in_full_is_looked_for_without_its_suffix(
    typed: str, searched: str
) -> None:
    assert without_suffixes(typed) == searched


def test_of_two_sounds_a_recording_matches_that_is_named_for_both() -> None:
    names = Names(np.array([3, 7, 9]), np.array([[0.9, 0.0], [0.9, 0.9], [0.3, 0.3]]))
    assert names.matching().tolist() == [7]
    assert names.best(2) == [7, 9]
    assert names.of_recording(9).tolist() == [0.3, 0.3]
    assert names.of_recording(8).tolist() == [0.0, 0.0]

"""What names and descriptions are worth beside what is heard."""

import pytest

from db.keywords import KeywordHit
from search.calibration import POSSIBLE
from search.keywords import named


def test_all_words_in_the_name_make_a_hit_alone() -> None:
    assert named(KeywordHit(1, 5.0, share=1.0, naming_share=1.0)) >= POSSIBLE


def test_a_description_is_worth_less_than_a_name_and_a_part_less_than_all() -> None:
    in_name = named(KeywordHit(1, 5.0, share=1.0, naming_share=1.0))
    described = named(KeywordHit(1, 5.0, share=1.0, naming_share=0.5))
    in_part = named(KeywordHit(1, 5.0, share=0.5, naming_share=0.5))
    assert in_name > described >= POSSIBLE > in_part > 0.0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_more_of_the_words_are_worth_more(share: float) -> None:
    less = named(KeywordHit(1, 1.0, share=share / 2, naming_share=0.0))
    assert less < named(KeywordHit(1, 1.0, share=share, naming_share=0.0))

"""Keyword search misses no word in a name, and ranks as people do, on every kind of database."""

import numpy as np
import pytest

from db.keywords import search_keywords
from db.records import Description
from db.writer import CatalogueWriter
from tests.db.conftest import analysis


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    return writer.add_collection("tapes", "/tapes").id


def store(writer: CatalogueWriter, tapes: int, **descriptions: Description) -> None:
    writer.store(
        [
            analysis(tapes, f"{name}.wav", description=description)
            for name, description in descriptions.items()
        ]
    )


def found(writer: CatalogueWriter, words: str) -> list[int]:
    return [hit.recording_id for hit in search_keywords(writer.catalogue, words, 50)]


DOGS = [
    "dog.wav",
    "dog_bark-03.wav",
    "DogBark03.flac",
    "DOGBark.wav",
    "theDOG2bark.wav",
    "03dog.wav",
    "sounds/Dogs/001.wav",
    "my dog's toy (take 2).wav",
    "dög.wav",
    "off dog.wav",
]

OTHER_SPELLINGS = [
    ("DoorCreak", "door_creak.wav"),
    ("doorcreak", "DoorCreak.wav"),
    ("dog2", "dog_2.wav"),
    ("16 bit", "16bit.wav"),
    ("straße", "STRASSE.wav"),
    ("off", "light off.wav"),
    ("down", "DOWN.wav"),
    ("the who", "The Who.wav"),
    ("дождь", "Дождь 3.wav"),
    ("雨", "雨.wav"),
]


def test_a_word_in_a_name_is_never_missed(writer: CatalogueWriter, tapes: int) -> None:
    nothing = Description()
    writer.store([analysis(tapes, name, description=nothing) for name in [*DOGS, "hotdocks.wav"]])
    for word in ("dog", "Dogs", "DOG", "dög"):
        hits = search_keywords(writer.catalogue, word, 50)
        assert [hit.recording_id for hit in hits] == list(range(1, len(DOGS) + 1))
        assert {(hit.share, hit.naming_share) for hit in hits} == {(1.0, 1.0)}


def test_names_are_found_by_their_other_spellings(writer: CatalogueWriter, tapes: int) -> None:
    names = [name for _, name in OTHER_SPELLINGS]
    writer.store([analysis(tapes, name, description=Description()) for name in names])
    for number, (words, name) in enumerate(OTHER_SPELLINGS, start=1):
        hits = search_keywords(writer.catalogue, words, 50)
        in_full = [hit.recording_id for hit in hits if hit.share == 1.0]
        assert number in in_full, (words, name)


def test_recordings_with_more_of_the_words_come_first(writer: CatalogueWriter, tapes: int) -> None:
    store(
        writer,
        tapes,
        rain=Description(title="Rain", tags=("rain",)),
        a_on_a=Description(title="a on a"),
        all=Description(description="On the roof, which is of tin, falls rain."),
        roof=Description(title="Tin roof"),
        other=Description(title="piano"),
    )
    hits = search_keywords(writer.catalogue, "rain on a tin roof", 10)
    assert [hit.recording_id for hit in hits] == [3, 4, 1]
    assert [round(hit.share, 3) for hit in hits] == [1.0, 0.667, 0.333]
    assert [round(hit.naming_share, 3) for hit in hits] == [0.0, 0.667, 0.333]
    assert search_keywords(writer.catalogue, "rain on a tin roof", 2) == hits[:2]


def test_among_those_with_as_many_words_the_rarer_word_and_the_name_count_more(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, tapes, **{f"rain_{i}": Description() for i in range(5)})
    store(writer, tapes, x=Description(description="an owl"), owl=Description(title="night"))
    assert found(writer, "owl rain") == [7, 6, 1, 2, 3, 4, 5]


def test_only_allowed_recordings_are_found(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, tapes, **{f"rain_{i}": Description() for i in range(5)})
    allowed = np.array([2, 4, 99])
    hits = search_keywords(writer.catalogue, "rain", 10, allowed=allowed)
    assert [hit.recording_id for hit in hits] == [2, 4]


def test_each_recording_is_found_once_by_the_files_that_speak_for_it(
    writer: CatalogueWriter, tapes: int
) -> None:
    writer.store([analysis(tapes, path, "same") for path in ("dog.wav", "bark.wav")])
    assert [hit.share for hit in search_keywords(writer.catalogue, "dog bark", 5)] == [1.0]
    writer.mark_missing([2])
    assert [hit.share for hit in search_keywords(writer.catalogue, "dog bark", 5)] == [0.5]

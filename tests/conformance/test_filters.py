"""Conditions find the recordings that people mean, on every kind of database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import update

from db.catalogue import Catalogue
from db.conditions import Condition, Range, Text
from db.errors import ConditionError
from db.fields import FACETS, FIELDS, HAS, Kind
from db.filters import RecordingFilter
from db.lists import NewEntry, add_entries
from db.records import Description
from db.saved_searches import save_search
from db.schema import DescriptorsRow, HeardTagRow, RecordingRow, TaggingRow, VocabularyRow
from db.storing import store_results
from db.writer import CatalogueWriter
from tests.db.conftest import analysis, fingerprinted

Find = Callable[..., list[str]]

DOG = Description(
    title="Nina & the dog",
    description="A dog barks under a tin roof, 100 % wet.",
    creator="Zoë Müller",
    licence="CC BY 4.0",
    recorded_at="1962-05-21",
    category="ANIMALS",
    subcategory="DOG",
    tags=("Dog", "crying_baby", "tin", "roof", "C++"),
    extra={"album": "Yard sounds"},
)
RAIN = Description(title="50_per_cent", tags=("raindrops", "dog barking"), recorded_at="1970-12-31")


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    return writer.add_collection("Old tapes", "/tapes").id


@pytest.fixture
def archive(writer: CatalogueWriter, tapes: int) -> Catalogue:
    """A dog, rain, and a recording of which nothing is known."""
    writer.store(
        [
            fingerprinted(analysis(tapes, "animals/DOGBark_03.wav", description=DOG)),
            analysis(tapes, "weather/rain-2.flac", description=RAIN),
            analysis(tapes, "x.wav", description=Description()),
        ]
    )
    return writer.catalogue


@pytest.fixture
def find(archive: Catalogue) -> Find:
    """Return the names of the recordings that meet a condition, shortened to their first part."""
    filter_ = RecordingFilter(archive)
    names = {1: "dog", 2: "rain", 3: "x"}

    def found(field: str, *values: str | Range, negated: bool = False) -> list[str]:
        asked = tuple(Text(value) if isinstance(value, str) else value for value in values)
        ids = filter_.matching([Condition(field, asked, negated)])
        return [names[id_] for id_ in ids.tolist()]

    return found


def set_values(catalogue: Catalogue, recording_id: int, **values: object) -> None:
    with catalogue.transaction() as session:
        row = DescriptorsRow.recording_id == recording_id
        session.execute(update(DescriptorsRow).where(row).values(**values))


FOUND = [
    ("name", "dogbark"),
    ("name", "dog bark"),
    ("name", "BARK"),
    ("name", "DOGBark_03.wav"),
    ("name", "bark_03"),
    ("name", "dogb*"),
    ("path", "animals/DOGBark"),
    ("path", "animals"),
    ("title", "nina & THE"),
    ("title", "nin*"),
    ("description", "under a tin roof"),
    ("description", "tin ro*"),
    ("text", "tin roof"),
    ("text", "yard sounds"),
    ("text", "crying baby"),
    ("text", "animals dogbark"),
    ("creator", "muller"),
    ("creator", "ZOE MÜLLER"),
    ("creator", "mül*"),
    ("licence", "cc by"),
    ("tag", "dog"),
    ("tag", "Crying Baby"),
    ("tag", "cry*"),
    ("tag", "c++"),
    ("category", "animals"),
    ("subcategory", "d*"),
]


def test_a_text_finds_the_words_that_people_mean(find: Find) -> None:
    for field, text in FOUND:
        assert find(field, text) == ["dog"], (field, text)


NOT_FOUND = [
    ("name", "animals"),  # that is the folder
    ("name", "ark"),
    ("name", "bark dog"),
    ("title", "dog nina"),
    ("title", "n_na"),
    ("title", "50%cent"),
    ("description", "tin ho*"),
    ("text", "tin wet"),
    ("text", "dog crying"),  # two tags that stand beside each other are no phrase
    ("creator", "mull"),
    ("licence", "by-nc"),
    ("tag", "c"),
    ("tag", "baby"),
    ("tag", "d_g"),
    ("tag", "%"),
    ("collection", "old"),
    ("title", "nina' OR '1'='1"),
    ("creator", '" OR title:*'),
]


def test_a_text_finds_nothing_else(find: Find) -> None:
    for field, text in NOT_FOUND:
        assert find(field, text) == [], (field, text)


def test_any_of_several_values_is_enough_and_all_conditions_must_hold(
    archive: Catalogue, find: Find
) -> None:
    assert find("tag", "dog", "raindrops") == ["dog", "rain"]
    both = [Condition("tag", (Text("r*"),)), Condition("title", (Text("nina"),))]
    assert RecordingFilter(archive).matching(both).tolist() == [1]
    assert RecordingFilter(archive).matching([]).tolist() == [1, 2, 3]


def test_a_negated_condition_wants_those_of_which_nothing_is_known_too(find: Find) -> None:
    assert find("tag", "raindrops", negated=True) == ["dog", "x"]
    assert find("text", "tin roof", negated=True) == ["rain", "x"]
    assert find("recorded", Range("1960"), negated=True) == ["x"]


IN_RANGE = [
    (Range("1962", "1970"), ["dog", "rain"]),
    (Range("1962-05", "1962-05"), ["dog"]),
    (Range("1962-05-21", "1962-05-21"), ["dog"]),
    (Range("1962-06", None), ["rain"]),
    (Range("1962", None, includes_low=False), ["rain"]),
    (Range(None, "1970", includes_high=False), ["dog"]),
    (Range(None, "1962-05-20"), []),
]


def test_parts_of_dates_mean_all_their_days(find: Find) -> None:
    for asked, names in IN_RANGE:
        assert find("recorded", asked) == names, asked


def test_a_date_known_in_part_is_in_a_range_only_if_all_its_days_are(
    writer: CatalogueWriter, tapes: int
) -> None:
    for year in ("1962", "1962-05", "1962-05-00", "19620521", "May 1962"):
        description = Description(recorded_at=year)
        writer.store([analysis(tapes, f"{year}.wav", description=description)])
    filter_ = RecordingFilter(writer.catalogue)

    def ids(low: str, high: str) -> list[int]:
        return filter_.matching([Condition("recorded", (Range(low, high),))]).tolist()

    assert ids("1962", "1962") == [1, 2, 3]
    assert ids("1962-05", "1962-08") == [2, 3]
    assert ids("1962-05-21", "1962-05-21") == []


def test_numbers_keep_their_bounds_and_unknown_ones_are_in_no_range(
    archive: Catalogue, find: Find
) -> None:
    set_values(archive, 1, loudness_lufs=-30.0, tempo_bpm=120.0)
    set_values(archive, 2, loudness_lufs=None)
    assert find("loudness", Range(high=-30.0)) == ["dog"]
    assert find("loudness", Range(high=-30.0, includes_high=False)) == []
    assert find("loudness", Range(-30.0, -23.0)) == ["dog", "x"]
    assert find("loudness", Range(), negated=True) == ["rain"]
    assert find("tempo", Range(119.5, 120.5)) == ["dog"]
    assert find("samplerate", Range(44_100, 44_100)) == ["dog", "rain", "x"]
    assert find("id", Range(2, 2), Range(3, 3)) == ["rain", "x"]


def test_a_key_has_many_spellings(archive: Catalogue, find: Find) -> None:
    set_values(archive, 1, key="A#m")
    set_values(archive, 2, key="A#")
    set_values(archive, 3, key="A")
    for key in ("A#m", "a# minor", "Bb minor", "bbm", "B flat MIN", "a sharp m"):
        assert find("key", key) == ["dog"], key


def test_the_day_of_indexing_is_that_of_utc(archive: Catalogue, find: Find) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    with archive.transaction() as session:
        of_dog = update(RecordingRow).where(RecordingRow.id == 1)
        session.execute(of_dog.values(indexed_at=moment))
    assert find("indexed", Range("2024-02", "2024-02")) == ["dog"]


def test_has_tells_what_is_known(archive: Catalogue, find: Find) -> None:
    set_values(archive, 1, tempo_bpm=100.0, key="Am")
    for what in HAS:
        expected = {"tags": ["dog", "rain"], "title": ["dog", "rain"], "recorded": ["dog", "rain"]}
        nobody = {"warnings", "heard", "copies"}
        assert find("has", what) == expected.get(what, [] if what in nobody else ["dog"]), what


def test_what_was_heard_is_a_field_and_a_facet(archive: Catalogue, find: Find) -> None:
    with archive.transaction() as session:
        session.add(
            VocabularyRow(id=1, name="v", digest="d", encoder="e", created_at=datetime.now(UTC))
        )
        session.flush()
        session.add_all([TaggingRow(recording_id=id_, vocabulary_id=1) for id_ in (1, 2)])
        session.flush()
        session.add(HeardTagRow(recording_id=1, vocabulary_id=1, label="Bow-wow", score=0.9))
    assert find("heard", "bow wow") == find("has", "heard") == ["dog"]
    assert RecordingFilter(archive).facets(None, ["heard"]) == {"heard": [("Bow-wow", 1)]}


def test_a_file_that_is_there_speaks_for_its_recording_and_a_missing_one_only_alone(
    writer: CatalogueWriter, tapes: int
) -> None:
    for path, tag in (("a.wav", "one"), ("b.wav", "two")):
        description = Description(tags=(tag,), creator=tag)
        writer.store([analysis(tapes, path, "same", description=description)])
    filter_ = RecordingFilter(writer.catalogue)

    def holds(field: str, text: str, *, negated: bool = False) -> bool:
        return len(filter_.matching([Condition(field, (Text(text),), negated)])) == 1

    for field in ("tag", "creator", "text"):
        assert holds(field, "one") and holds(field, "two") and not holds(field, "two", negated=True)
    assert holds("has", "copies")
    writer.mark_missing([2])
    for field in ("tag", "creator", "text"):
        assert holds(field, "one") and not holds(field, "two") and holds(field, "two", negated=True)
    assert not holds("has", "copies")
    writer.mark_missing([1, 2])
    assert holds("tag", "one") and holds("text", "two")


def test_what_another_process_commits_is_found_by_the_next_question(
    archive: Catalogue, tapes: int
) -> None:
    filter_ = RecordingFilter(archive)
    wet = Condition("tag", (Text("wet"),))
    assert filter_.matching([wet]).tolist() == []
    columns = archive.columns()
    assert archive.columns() is columns
    new = analysis(tapes, "wet.wav", description=Description(tags=("wet",)))
    with Catalogue.open(archive.location) as other, other.transaction() as session:
        store_results(session, [new])
    assert filter_.matching([wet]).tolist() == [4]
    assert filter_.facets(None, ["tag"])["tag"][-1] == ("wet", 1)
    assert filter_.matching([Condition("text", (Text("wet"),))]).tolist() == [1, 4]


def test_what_users_keep_is_no_reason_to_read_all_recordings_again(
    archive: Catalogue, writer: CatalogueWriter
) -> None:
    columns = archive.columns()
    with Catalogue.open(archive.location) as other:
        add_entries(other, "opening", [NewEntry(1)])
        save_search(other, "rain", "rain")
    assert archive.columns() is columns
    writer.forget_files([1])
    assert RecordingFilter(archive).matching([]).tolist() == [2, 3]


def test_threads_may_ask_at_once(archive: Catalogue) -> None:
    filter_ = RecordingFilter(archive)
    asked = [[Condition("text", (Text(word),))] for word in ("tin", "dog", "rain", "wet")] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(filter_.matching, asked))
    assert [ids.tolist() for ids in found] == [[1], [1, 2], [2], [1]] * 5


def test_facets_count_recordings_and_take_spellings_together(
    writer: CatalogueWriter, tapes: int
) -> None:
    for path, content, tags in (
        ("a.wav", "same", ("Rain", "wind")),
        ("b.wav", "same", ("rain",)),
        ("c.wav", "other", ("rain", "RAIN", "hail")),
        ("d.wav", "third", ("heavy rain",)),
    ):
        writer.store([analysis(tapes, path, content, description=Description(tags=tags))])
    filter_ = RecordingFilter(writer.catalogue)
    found = filter_.facets(None, ["tag", "samplerate", "collection", "creator"])
    assert found == {
        "tag": [("rain", 2), ("hail", 1), ("heavy rain", 1), ("wind", 1)],
        "samplerate": [("44100", 3)],
        "collection": [("Old tapes", 3)],
        "creator": [],
    }
    some = np.array([2, 3])
    assert filter_.facets(some, ["tag"], limit=1) == {"tag": [("hail", 1)]}
    assert filter_.facets(np.array([77]), ["tag"]) == {"tag": []}


def test_a_facet_of_a_choice_counts_what_its_condition_finds(archive: Catalogue) -> None:
    filter_ = RecordingFilter(archive)
    for field, counts in filter_.facets(None, FACETS).items():
        for value, count in counts:
            if FIELDS[field].kind is Kind.CHOICE:
                found = filter_.matching([Condition(field, (Text(value),))])
                assert len(found) == count, (field, value)


WRONG = [
    (Condition("genre", (Text("x"),)), "no field 'genre'.*creator"),
    (Condition("tag", ()), "names no value"),
    (Condition("tag", (Text(" "),)), "names no value"),
    (Condition("tag", (Range(1, 2),)), "no range"),
    (Condition("title", (Text("&"),)), "no word to look for"),
    (Condition("duration", (Text("long"),)), r"duration:<10"),
    (Condition("duration", (Range("1:30"),)), r"duration is a number \(s\)"),
    (Condition("recorded", (Range("May"),)), "1962-05"),
    (Condition("recorded", (Range("1962-13"),)), "1962-05"),
    (Condition("key", (Text("H dur"),)), "no musical key"),
    (Condition("has", (Text("money"),)), "copies"),
]


def test_what_a_field_cannot_be_asked_is_an_error_that_says_how(archive: Catalogue) -> None:
    for condition, message in WRONG:
        with pytest.raises(ConditionError, match=message):
            RecordingFilter(archive).matching([condition])


def test_values_of_a_description_cannot_be_counted(archive: Catalogue) -> None:
    with pytest.raises(ConditionError, match="samplerate"):
        RecordingFilter(archive).facets(None, ["description"])


def test_every_field_can_be_asked_of_an_empty_catalogue(catalogue: Catalogue) -> None:
    filter_ = RecordingFilter(catalogue)
    values = {Kind.NUMBER: Range(1, 2), Kind.DATE: Range("1962"), Kind.TEXT: Text("a")}
    for field in FIELDS.values():
        value = values.get(field.kind, Text("am"))
        of_field = [Text(name) for name in field.values] or [value]
        assert filter_.matching([Condition(field.name, tuple(of_field))]).tolist() == []
    assert filter_.facets(None, FACETS) == {field: [] for field in FACETS}

"""Questions to the demo archive, answered by the real encoder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from db.catalogue import Catalogue
from db.conditions import Condition, Text
from db.errors import UnknownName
from indexer.errors import AudioError, EncoderError
from search.calibration import POSSIBLE
from search.engine import SearchEngine
from search.errors import QueryError
from search.hits import Hit, Source, Strength
from search.query import Archived, CopyOf, Example, Query, Sound, Words
from search.ranking import Ranking
from tests.search.archives import indexed

FIELD = "field/field-recording-village-edge.flac"
EXCERPT = "copies/field-recording-excerpt.mp3"


@pytest.fixture(scope="module")
def catalogue(demo: Path) -> Iterator[Catalogue]:
    with Catalogue.open(demo / "catalogue") as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(catalogue: Catalogue) -> SearchEngine:
    return SearchEngine(catalogue)


def like(path: Path, from_s: float | None = None, to_s: float | None = None) -> Query:
    return Query((Sound((Example(path, from_s, to_s),)),))


def everything(engine: SearchEngine, query: Query | str, k: int = 200) -> list[Hit]:
    results = engine.search(query, k=k, fold_copies=False)
    return [*results.hits, *results.near_misses]


def paths(hits: list[Hit] | tuple[Hit, ...]) -> list[str]:
    return [hit.recording.files[0].path for hit in hits]


def number_of(catalogue: Catalogue, path: str) -> int:
    (number,) = catalogue.find_files(path)
    return number


def test_hits_come_best_first_each_recording_once(engine: SearchEngine) -> None:
    hits = everything(engine, "rain", k=30)
    assert len(hits) == 30
    assert len({hit.recording.id for hit in hits}) == 30
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


def test_the_same_question_gets_the_same_answer(engine: SearchEngine, catalogue: Catalogue) -> None:
    assert SearchEngine(catalogue).search("siren") == engine.search("siren")


def test_hits_are_possible_or_strong_and_near_misses_are_not(engine: SearchEngine) -> None:
    results = engine.search("siren", k=50)
    assert results.hits[0].strength is Strength.STRONG
    assert all(hit.score >= POSSIBLE for hit in results.hits)
    assert all(hit.score < POSSIBLE for hit in results.near_misses)
    assert all(hit.strength is Strength.WEAK for hit in results.near_misses)


def test_a_sound_that_is_not_there_is_not_found(engine: SearchEngine) -> None:
    results = engine.search("bagpipes", ranking=Ranking.SOUND)
    assert results.hits == ()
    assert results.near_misses


def test_an_event_in_a_long_recording_is_found_where_it_is(engine: SearchEngine) -> None:
    hit = next(hit for hit in engine.search("siren").hits if paths([hit]) == [FIELD])
    assert 88.0 <= hit.passages[0].onset_s <= 92.0  # it sounds from 1:30 to 1:42
    assert 100.0 <= hit.passages[0].offset_s <= 104.0


def test_an_excerpt_finds_the_passage_it_was_taken_from(engine: SearchEngine, demo: Path) -> None:
    hits = everything(engine, like(demo / "sounds" / EXCERPT), k=5)
    assert FIELD in paths(hits)[:2]  # the bell that rings in it is as like
    best = hits[paths(hits).index(FIELD)].passages[0]
    assert best.onset_s < 65.0
    assert best.offset_s > 35.0


def test_a_part_of_a_file_finds_where_it_is(engine: SearchEngine, demo: Path) -> None:
    samples, sr = soundfile.read(demo / "sounds" / FIELD, start=32_000 * 184, stop=32_000 * 190)
    clip = demo / "part.wav"
    soundfile.write(clip, samples, sr)
    best = everything(engine, like(clip), k=1)[0]
    assert paths([best]) == [FIELD]
    assert best.passages[0].onset_s < 190.0
    assert best.passages[0].offset_s > 184.0


def test_the_example_itself_is_not_among_its_hits(
    engine: SearchEngine, catalogue: Catalogue, demo: Path
) -> None:
    example = demo / "sounds" / "signals" / "church-bell.flac"
    elsewhere = demo / "another-name.flac"
    shutil.copy(example, elsewhere)
    archived = Query((Sound((Archived(number_of(catalogue, "signals/church-bell.flac")),)),))
    for query in (like(example), like(elsewhere), archived):
        hits = everything(engine, query)
        assert hits
        assert "signals/church-bell.flac" not in paths(hits)


def test_a_part_of_a_recording_finds_the_rest_of_it_and_not_itself(
    engine: SearchEngine, catalogue: Catalogue
) -> None:
    field = number_of(catalogue, FIELD)
    query = Query((Sound((Archived(field, 90.0, 100.0),)),))
    of_field = [hit for hit in everything(engine, query) if hit.recording.id == field]
    assert of_field
    for passage in of_field[0].passages:
        assert passage.offset_s <= 91.5 or passage.onset_s >= 98.5


def test_words_can_be_added_to_an_example(engine: SearchEngine, demo: Path) -> None:
    siren = Example(demo / "sounds" / "signals" / "siren-wail.wav")

    def rank_of_dog(query: Query) -> int:
        return paths(everything(engine, query)).index("animals/dog-barking.wav")

    with_dog = Query((Sound((siren, Words("dog barking", weight=2.0))),))
    assert rank_of_dog(with_dog) < rank_of_dog(Query((Sound((siren,)),)))


@pytest.mark.parametrize(
    ("from_s", "to_s"), [(5.0, 5.0), (9.0, 3.0), (-1.0, 3.0), (1000.0, None), (0.0, 1000.0)]
)
def test_a_part_that_is_not_there_is_an_error(
    engine: SearchEngine, demo: Path, from_s: float, to_s: float | None
) -> None:
    with pytest.raises(AudioError, match="stretch"):
        engine.search(like(demo / "sounds" / EXCERPT, from_s, to_s))


def test_a_part_beyond_a_recording_of_the_archive_is_an_error(
    engine: SearchEngine, catalogue: Catalogue
) -> None:
    bell = number_of(catalogue, "signals/church-bell.flac")
    with pytest.raises(QueryError, match="not in it"):
        engine.search(Query((Sound((Archived(bell, 100.0, 110.0),)),)))
    with pytest.raises(UnknownName, match="999999"):
        engine.search("like:#999999")


def test_an_example_that_is_no_audio_is_an_error(engine: SearchEngine, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    with pytest.raises(AudioError, match="not audio"):
        engine.search(like(text))
    with pytest.raises(AudioError):
        engine.search(like(tmp_path / "nowhere.wav"))


def test_a_query_that_asks_for_nothing_is_an_error(engine: SearchEngine) -> None:
    with pytest.raises(QueryError):
        engine.search("  ")
    with pytest.raises(QueryError):
        engine.search(Query())
    with pytest.raises(QueryError, match="something to look for"):
        engine.search(Query((Sound((Words("rain", weight=-1.0),)),)))


def test_two_sounds_in_one_recording(engine: SearchEngine) -> None:
    (hit,) = engine.search("siren & dog barking").hits
    assert paths([hit]) == [FIELD]
    assert {passage.sound for passage in hit.passages[:2]} == {0, 1}
    alone = {
        query: next(one for one in everything(engine, query) if paths([one]) == [FIELD]).score
        for query in ("siren", "dog barking")
    }
    assert hit.score == pytest.approx(min(alone.values()), abs=1e-6)


def test_what_must_not_be_heard_is_left_out(engine: SearchEngine) -> None:
    assert "animals/dog-barking.wav" in paths(engine.search("dog barking").hits)
    for query in ("-(dog barking)", "church bell -(dog barking)"):
        results = engine.search(query, k=500, ranking=Ranking.SOUND)
        hits = [*results.hits, *results.near_misses]
        assert hits
        assert "animals/dog-barking.wav" not in paths(hits)


def test_what_is_heard_elsewhere_in_a_recording_does_not_bar_it(engine: SearchEngine) -> None:
    hits = engine.search("siren -(dog barking)", ranking=Ranking.SOUND).hits
    hit = next(hit for hit in hits if paths([hit]) == [FIELD])
    for passage in hit.passages:  # the dog barks from 0:18
        assert passage.offset_s <= 18.0 or passage.onset_s >= 24.0


def test_what_is_named_for_the_excluded_is_left_out_too(engine: SearchEngine) -> None:
    listed = paths(engine.search("-siren", k=500).hits)
    assert "animals/dog-barking.wav" in listed
    assert not [path for path in listed if "siren" in path]


def test_conditions_alone_list_what_meets_them(engine: SearchEngine) -> None:
    results = engine.search("format:mp3 duration:<10", k=100)
    assert results.hits
    assert results.n_allowed >= len(results.hits)
    for hit in results.hits:
        assert hit.recording.technical.format.lower() == "mp3"
        assert hit.recording.technical.duration_s < 10


def test_a_condition_that_nothing_meets_leaves_nothing(engine: SearchEngine) -> None:
    results = engine.search("siren duration:>10000")
    assert (results.hits, results.near_misses, results.n_allowed) == ((), (), 0)


def test_conditions_hold_for_hits_by_sound_and_by_words(engine: SearchEngine) -> None:
    query = Query((Sound((Words("siren"),)),), conditions=(Condition("format", (Text("wav"),)),))
    for ranking in Ranking:
        results = engine.search(query, ranking=ranking)
        hits = [*results.hits, *results.near_misses]
        assert hits
        assert all(hit.recording.technical.format.lower() == "wav" for hit in hits)


def test_names_are_searched_by_their_words(engine: SearchEngine) -> None:
    hits = engine.search("church bell", ranking=Ranking.WORDS).hits
    assert {"signals/church-bell.flac", FIELD} <= set(paths(hits))
    assert all(hit.found_by == (Source.WORDS,) for hit in hits)


def test_a_word_in_a_name_is_found_whatever_it_sounds_like(demo: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    # Written anew, so that the file itself does not say what it is.
    barking, sr = soundfile.read(demo / "sounds" / "animals" / "dog-barking.wav")
    soundfile.write(sounds / "tape_017_foghorn.wav", barking, sr)
    with indexed(sounds, tmp_path / "catalogue") as opened:
        (hit,) = SearchEngine(opened).search("foghorn").hits
        assert Source.WORDS in hit.found_by
        (heard,) = SearchEngine(opened).search("dog barking").hits
        assert heard.found_by == (Source.SOUND,)


def test_a_quoted_phrase_must_stand_so(engine: SearchEngine) -> None:
    assert "signals/church-bell.flac" in paths(engine.search('"church bell"').hits)
    assert engine.search('"bell church"').hits == ()


def test_near_copies_are_one_hit_that_can_be_unfolded(engine: SearchEngine) -> None:
    folded = engine.search("synth arpeggio", k=20)
    arpeggio = next(hit for hit in folded.hits if hit.copies)
    files = {arpeggio.recording.files[0].path, arpeggio.copies[0].files[0].path}
    assert files == {"music/synth-arpeggio.flac", "copies/synth-arpeggio-copy.m4a"}
    unfolded = engine.search("synth arpeggio", k=20, fold_copies=False)
    assert files <= set(paths(unfolded.hits))
    assert not any(hit.copies for hit in unfolded.hits)


def test_a_copy_of_a_file_can_be_demanded_and_refused(engine: SearchEngine, demo: Path) -> None:
    excerpt = demo / "sounds" / EXCERPT
    only = engine.search(Query(copies=(CopyOf(excerpt),)), fold_copies=False)
    assert set(paths(only.hits)) == {FIELD, EXCERPT}
    others = engine.search(Query(copies=(CopyOf(excerpt, negated=True),)), k=500)
    assert not {FIELD, EXCERPT} & set(paths(others.hits))
    with pytest.raises(QueryError, match="no such file"):
        engine.search("copyof:nowhere.wav")


def test_of_a_folder_each_file_whose_end_is_cut_off_is_named_once(
    engine: SearchEngine, demo: Path, tmp_path: Path
) -> None:
    data = (demo / "sounds" / "animals/dog-barking.wav").read_bytes()
    for name in ("whole.wav", "cut.wav"):
        (tmp_path / name).write_bytes(data if name == "whole.wav" else data[: len(data) // 2])
    query = Query(copies=(CopyOf(tmp_path), CopyOf(tmp_path)))
    found = engine.search(query)
    assert "animals/dog-barking.wav" in paths(found.hits)
    notes = [note for note in found.notes if "the header promises" in note]
    assert len(notes) == 1
    assert notes[0].startswith(f"{tmp_path / 'cut.wav'}: ")


def test_facets_count_all_that_matches(engine: SearchEngine) -> None:
    results = engine.search("siren", k=1, facets=("format", "collection"))
    counts = {facet.field: dict(facet.counts) for facet in results.facets}
    n_matching = len(engine.search("siren", k=500, fold_copies=False).hits)
    assert sum(counts["format"].values()) == n_matching
    assert counts["collection"] == {"sounds": n_matching}


def test_all_occurrences_in_one_recording(engine: SearchEngine, catalogue: Catalogue) -> None:
    passages = engine.occurrences("dog barking", number_of(catalogue, FIELD))
    assert passages
    assert [one.onset_s for one in passages] == sorted(one.onset_s for one in passages)
    assert any(one.onset_s < 24.0 and one.offset_s > 18.0 for one in passages)


def test_an_encoder_that_is_unknown_or_has_no_vectors_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(EncoderError, match=r"nonsense.*echoic-mini/"):
        SearchEngine(catalogue, encoder="nonsense")


def test_a_catalogue_whose_recordings_were_all_forgotten_has_no_hits(tmp_path: Path) -> None:
    from db.writer import CatalogueWriter
    from indexer.analysis import encoder_geometry
    from indexer.encoders import load_encoder
    from tests.db.conftest import analysis

    with Catalogue.open(tmp_path / "c", create=True) as catalogue:
        with CatalogueWriter(catalogue) as writer:
            collection = writer.add_collection("tapes", "/tapes")
            geometry = encoder_geometry(load_encoder())
            writer.store([analysis(collection.id, "a.wav", encoder=geometry)])
            engine = SearchEngine(catalogue)
            assert len(everything(engine, "rain")) == 1
            writer.forget_collection(collection.id)
        assert everything(engine, "rain") == []
        assert everything(SearchEngine(catalogue), "rain") == []


def test_an_empty_catalogue_says_how_to_fill_it(tmp_path: Path) -> None:
    with (
        Catalogue.open(tmp_path / "empty", create=True) as catalogue,
        pytest.raises(QueryError, match="echoic index"),
    ):
        SearchEngine(catalogue)
    with (
        Catalogue.open(tmp_path / "empty") as catalogue,
        pytest.raises(UnknownName, match="echoic index --encoder echoic-mini/"),
    ):
        SearchEngine(catalogue, encoder="echoic-mini")


@pytest.mark.parametrize("operator", ["AND", "OR"])
def test_a_word_that_is_an_operator_elsewhere_is_pointed_out(
    engine: SearchEngine, operator: str
) -> None:
    (note,) = engine.search(f"church bell {operator} siren").notes
    assert note.startswith(f"{operator} is a word like any other")
    assert engine.search(f"church bell {operator.lower()} siren").notes == ()
    assert engine.search(f"{operator} a siren").notes == ()  # the beginning of a phrase


def test_a_leading_not_is_pointed_out(engine: SearchEngine) -> None:
    (note,) = engine.search("NOT music").notes
    assert "write dog barking -music" in note


def test_a_value_that_no_recording_has_brings_those_that_are_like_it(engine: SearchEngine) -> None:
    (note,) = engine.search("siren format:wave").notes
    assert note == "no recording has format:wave; did you mean WAV?"
    (note,) = engine.search("siren creator:nobody").notes
    assert note.startswith("no recording has creator:nobody")
    assert engine.search("siren -format:wave").notes == ()
    assert engine.search("siren format:wave,flac").notes == ()

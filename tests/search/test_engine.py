"""Questions to the demo archive, answered by the real encoder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from db.catalogue import Catalogue
from db.errors import UnknownName
from indexer.errors import AudioError, EncoderError
from search.engine import SearchEngine, by_description
from search.errors import QueryError
from search.hits import Hit

FIELD = "field/field-recording-village-edge.flac"
EXCERPT = "copies/field-recording-excerpt.mp3"


@pytest.fixture(scope="module")
def catalogue(demo: Path) -> Iterator[Catalogue]:
    with Catalogue.open(demo / "catalogue") as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(catalogue: Catalogue) -> SearchEngine:
    return SearchEngine(catalogue)


def paths(hits: list[Hit]) -> list[str]:
    return [hit.recording.files[0].path for hit in hits]


def test_hits_come_best_first_each_recording_once(engine: SearchEngine) -> None:
    hits = engine.by_words("rain", k=30)
    assert len(hits) == 30
    assert len({hit.recording.id for hit in hits}) == 30
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(hit.passages[0].score == hit.score for hit in hits)


def test_the_same_question_gets_the_same_answer(engine: SearchEngine, catalogue: Catalogue) -> None:
    assert SearchEngine(catalogue).by_words("siren") == engine.by_words("siren")


def test_more_hits_than_recordings_gives_all_of_them(
    engine: SearchEngine, catalogue: Catalogue
) -> None:
    n_recordings = len(catalogue.recordings_with_vectors(engine.encoder))
    assert len(engine.by_words("bell", k=5000)) == n_recordings


def test_an_excerpt_finds_the_passage_it_was_taken_from(engine: SearchEngine, demo: Path) -> None:
    hits = engine.by_example(demo / "sounds" / EXCERPT, k=5)
    assert paths(hits)[0] == FIELD
    best = hits[0].passages[0]
    assert best.onset_s < 65.0
    assert best.offset_s > 35.0


def test_a_part_of_a_recording_finds_where_it_is(engine: SearchEngine, demo: Path) -> None:
    samples, sr = soundfile.read(demo / "sounds" / FIELD, start=32_000 * 184, stop=32_000 * 190)
    clip = demo / "part.wav"
    soundfile.write(clip, samples, sr)
    best = engine.by_example(clip, k=1)[0]
    assert paths([best]) == [FIELD]
    assert best.passages[0].onset_s < 190.0
    assert best.passages[0].offset_s > 184.0


def test_the_example_itself_is_not_among_its_hits(engine: SearchEngine, demo: Path) -> None:
    example = demo / "sounds" / "signals" / "church-bell.flac"
    elsewhere = demo / "another-name.flac"
    shutil.copy(example, elsewhere)
    for path in (example, elsewhere):
        hits = engine.by_example(path, k=200)
        assert "signals/church-bell.flac" not in paths(hits)
        assert len(hits) == len(engine.by_words("bell", k=200)) - 1


@pytest.mark.parametrize(
    ("from_s", "to_s"), [(5.0, 5.0), (9.0, 3.0), (-1.0, 3.0), (1000.0, None), (0.0, 1000.0)]
)
def test_a_part_that_is_not_there_is_an_error(
    engine: SearchEngine, demo: Path, from_s: float, to_s: float | None
) -> None:
    with pytest.raises(AudioError, match="stretch"):
        engine.by_example(demo / "sounds" / EXCERPT, from_s=from_s, to_s=to_s)


def test_an_example_that_is_no_audio_is_an_error(engine: SearchEngine, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    with pytest.raises(AudioError, match="not audio"):
        engine.by_example(text)
    with pytest.raises(AudioError):
        engine.by_example(tmp_path / "nowhere.wav")


def test_blank_words_are_an_error(engine: SearchEngine, catalogue: Catalogue) -> None:
    with pytest.raises(QueryError):
        engine.by_words("  ")
    with pytest.raises(QueryError):
        by_description(catalogue, ' "" ')


def test_descriptions_are_searched_by_their_words(catalogue: Catalogue) -> None:
    hits = by_description(catalogue, "church bell")
    assert {"signals/church-bell.flac", EXCERPT, FIELD} <= set(paths(hits))
    assert all(hit.passages == () for hit in hits)
    assert by_description(catalogue, "church bell", k=1) == hits[:1]


def test_an_encoder_that_is_unknown_or_has_no_vectors_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(EncoderError, match=r"nonsense.*echoic-mini/1"):
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
            assert len(engine.by_words("rain")) == 1
            writer.forget_collection(collection.id)
        assert engine.by_words("rain") == []
        assert SearchEngine(catalogue).by_words("rain") == []


def test_an_empty_catalogue_says_how_to_fill_it(tmp_path: Path) -> None:
    with (
        Catalogue.open(tmp_path / "empty", create=True) as catalogue,
        pytest.raises(QueryError, match="echoic index"),
    ):
        SearchEngine(catalogue)
    with (
        Catalogue.open(tmp_path / "empty") as catalogue,
        pytest.raises(UnknownName, match="echoic index --encoder echoic-mini/1"),
    ):
        SearchEngine(catalogue, encoder="echoic-mini")

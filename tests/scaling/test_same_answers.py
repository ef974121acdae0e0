"""The same archive on SQLite and FAISS and on PostgreSQL and Milvus gives the same hits."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.records import Analysis, Description
from db.segment_index import save_indexes
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from indexer.analysis import encoder_geometry
from indexer.encoders import load_encoder
from search.engine import SearchEngine
from search.fingerprints import FingerprintEngine
from search.hits import Hit
from tests.db.conftest import analysis
from tests.milvus import MilvusServerForTests
from tests.postgres import PostgresServer
from tests.scaling.conftest import echoic
from tests.scaling.contents import ENCODER, contents

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine

QUESTIONS = (
    "church bell",
    "siren",
    "dog barking -siren",
    "church bell & siren",
    "dog barking then siren",
    "a motor",
    '"field recording"',
    '"field recording" duration:>1:00',
    "duration:<5 samplerate:>=44100",
    "loudness:>-30 -category:signals",
    "siren duration:<20",
    "text:wail",
    "tag:signal",
    "format:mp3",
    "animals",
    "crow duration:<2",
    "zither",
)
FACETS = ("format", "category", "tag", "collection")


@pytest.fixture(scope="module")
def both(
    demo: Path,
    postgres: PostgresServer,
    milvus: MilvusServerForTests,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Catalogue, Catalogue]]:
    """The demo archive in a folder, and indexed once more on servers."""
    url = postgres.new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("machine")))
        echoic("index", str(demo / "sounds"), "--catalogue", url, "--vectors", milvus.uri)
        with Catalogue.open(demo / "catalogue") as embedded, Catalogue.open(url) as on_server:
            yield embedded, on_server


def place(hit: Hit) -> str:
    return hit.recording.files[0].path


def answers(engine: SearchEngine, question: str) -> tuple[object, ...]:
    """Return all that people see of an answer. Numbers of recordings differ: ties are by path."""
    found = engine.search(question, k=30, facets=FACETS)
    hits = [
        (
            -round(hit.score, 6),
            place(hit),
            hit.strength,
            hit.found_by,
            [(round(p.onset_s, 3), round(p.offset_s, 3), p.sound) for p in hit.passages],
            sorted(copy.files[0].path for copy in hit.copies),
        )
        for hit in (*found.hits, *found.near_misses)
    ]
    return sorted(hits, key=lambda hit: hit[:2]), found.n_allowed, found.facets


def like(engine: SearchEngine, path: str) -> str:
    """Return a question for what sounds like a recording."""
    (found,) = engine.catalogue.find_files(path)
    return f"like:#{found}"


def test_questions_with_words_sounds_and_conditions_get_the_same_answers(
    both: tuple[Catalogue, Catalogue],
) -> None:
    embedded, on_server = map(SearchEngine, both)
    n_answered = 0
    for question in QUESTIONS:
        expected = answers(embedded, question)
        assert answers(on_server, question) == expected, question
        n_answered += bool(expected[0])
    assert n_answered > len(QUESTIONS) / 2
    for path in ("signals/siren-wail.wav", "field/field-recording-village-edge.flac"):
        expected = answers(embedded, like(embedded, path))
        assert answers(on_server, like(on_server, path)) == expected
        assert expected[0]


def test_an_excerpt_is_identified_alike(both: tuple[Catalogue, Catalogue], demo: Path) -> None:
    excerpt = demo / "sounds" / "copies" / "field-recording-excerpt.mp3"
    embedded, on_server = (FingerprintEngine(catalogue).identify(excerpt) for catalogue in both)
    assert len(embedded) == len(on_server) > 0
    for one, other in zip(embedded, on_server, strict=True):
        assert one.recording.files[0].path == other.recording.files[0].path
        # Of keys that occur very often the first few are looked at, in the order of indexing.
        assert one.onset_s == pytest.approx(other.onset_s, abs=0.05)
        assert one.score == pytest.approx(other.score, rel=0.05)


def test_the_two_catalogues_hold_the_same(both: tuple[Catalogue, Catalogue], demo: Path) -> None:
    embedded, on_server = both
    assert contents(on_server.location) == contents(embedded.location)


# -- under filters -----------------------------------------------------------------------------

N_RECORDINGS = 1000
SHARES = {"all": 1.0, "half": 0.5, "twentieth": 0.05, "rare": 0.005, "hardly": 0.001}


@pytest.fixture(scope="module")
def both_great(
    postgres: PostgresServer, milvus: MilvusServerForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SearchEngine, SearchEngine]]:
    """A thousand recordings in a folder, and on servers: so many that few of them are a few."""
    folder = tmp_path_factory.mktemp("great")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("XDG_DATA_HOME", str(folder / "machine"))
        engines = []
        for location in (str(folder / "catalogue"), postgres.new_database()):
            catalogue = stack.enter_context(Catalogue.open(location, create=True))
            with CatalogueWriter(catalogue) as writer:
                if "://" in location:
                    move_vectors(writer, milvus.uri)
                tapes = writer.add_collection("tapes", "/tapes").id
                for first in range(0, N_RECORDINGS, 200):
                    writer.store([tagged(tapes, n) for n in range(first, first + 200)])
                assert save_indexes(writer) == []
            engines.append(SearchEngine(catalogue))
        yield engines[0], engines[1]


def tagged(collection: int, number: int) -> Analysis:
    """Make a recording with a tag for each share of all that it is of."""
    tags = tuple(tag for tag, share in SHARES.items() if number % round(1 / share) == 0)
    said = Description(title=f"take {number}", tags=tags)
    geometry = encoder_geometry(load_encoder(ENCODER))
    return analysis(collection, f"{number}.wav", n_segments=2, description=said, encoder=geometry)


@pytest.mark.parametrize(("tag", "share"), SHARES.items())
def test_as_many_hits_in_the_same_order_are_found_under_any_filter(
    both_great: tuple[SearchEngine, SearchEngine], tag: str, share: float
) -> None:
    embedded, on_server = both_great
    assert embedded.notes == on_server.notes
    for sound in ("church bell", "dog barking -siren", "siren & rain", "like:#8", ""):
        question = f"{sound} tag:{tag}".strip()
        expected, found = (
            engine.search(question, k=50, fold_copies=False) for engine in both_great
        )
        # What others are to be like is not among the hits itself.
        assert found.n_allowed == expected.n_allowed
        assert expected.n_allowed in (N_RECORDINGS * share, N_RECORDINGS * share - 1)
        one, other = (
            [
                (hit.recording.id, hit.score, [p.onset_s for p in hit.passages])
                for hit in (*results.hits, *results.near_misses)
            ]
            for results in (expected, found)
        )
        assert one == other, question
        assert one, question

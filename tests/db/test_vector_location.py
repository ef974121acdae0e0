"""Where vectors are kept: what can be said of it, and what a catalogue remembers. No server."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from db import consistency
from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.milvus_filled import Filled, forget_filled
from db.milvus_search import Filter, Goal, hunt
from db.milvus_server import MOST_HITS, Hits
from db.schema import Base, CatalogueInfo
from db.segment_index import SegmentIndex
from db.vector_location import ENVIRONMENT_VARIABLE, FILES, vector_location
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis, store_location
from tests.db.test_segment_index import assert_in_step


@pytest.mark.parametrize(
    "said", ["milvus.db", "./vectors", "http://", "http://host:port", "ftp://host:1", "FILES", ""]
)
def test_what_is_no_place_for_vectors_is_refused(catalogue: Catalogue, said: str) -> None:
    with pytest.raises(VectorIndexError, match=r"named as http://HOST:19530, or in files"):
        store_location(catalogue, said)
    assert vector_location(catalogue) == FILES


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("http://anna:secret@host:19530", "ECHOIC_VECTORS_TOKEN"),
        ("http://host:19530?token=secret", "ECHOIC_VECTORS_TOKEN"),
        ("ftp://anna:secret@host:19530", "named as http"),
        ("http://anna:secret@host:port", "named as http"),
    ],
)
def test_a_password_is_neither_stored_nor_shown(
    catalogue: Catalogue, given: str, told: str
) -> None:
    with pytest.raises(VectorIndexError, match=told) as caught:
        store_location(catalogue, given)
    assert "secret" not in str(caught.value)
    assert vector_location(catalogue) == FILES


def test_a_password_in_the_environment_is_not_shown_when_vectors_are_moved(
    writer: CatalogueWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "http://anna:secret@host:19530")
    with pytest.raises(VectorIndexError, match="unset it") as caught:
        move_vectors(writer, FILES)
    assert "secret" not in str(caught.value)


def test_the_environment_goes_before_what_the_catalogue_remembers(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_location(catalogue, "http://host:19530")
    with Catalogue.open(catalogue.location) as again:
        assert vector_location(again) == "http://host:19530"
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, FILES)
        assert vector_location(again) == FILES


@pytest.mark.skipif(importlib.util.find_spec("pymilvus") is None, reason="needs echoic[milvus]")
def test_while_the_server_is_away_answers_come_from_the_database_and_say_so(
    writer: CatalogueWriter,
) -> None:
    collection = writer.add_collection("tapes", "/tapes").id
    writer.store([analysis(collection, f"{i}.wav") for i in range(4)])
    with writer.catalogue.transaction() as session:
        filled = Filled("echoic_x_test_1_000001", next_segment=12, n_vectors=12)
        filled.write(session, 1, np.arange(12))
    store_location(writer.catalogue, "http://127.0.0.1:9")
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert_in_step(index, writer.catalogue)
    (note,) = index.notes
    assert "cannot reach the Milvus server http://127.0.0.1:9" in note
    problems = consistency.check(writer.catalogue, schemes={})
    assert note in [problem.what for problem in problems]
    with pytest.raises(VectorIndexError, match="see that it runs"):
        index.save(writer)


@pytest.mark.skipif(importlib.util.find_spec("pymilvus") is None, reason="needs echoic[milvus]")
def test_an_open_reader_turns_to_where_the_vectors_are_kept_by_now(
    writer: CatalogueWriter,
) -> None:
    collection = writer.add_collection("tapes", "/tapes").id
    writer.store([analysis(collection, f"{i}.wav") for i in range(4)])
    with writer.catalogue.transaction() as session:
        Filled("echoic_x_test_1_000001", next_segment=12, n_vectors=12).write(
            session, 1, np.arange(12)
        )
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = SegmentIndex.open(elsewhere, ENCODER.name)
        assert index.notes == []
        store_location(writer.catalogue, "http://127.0.0.1:9")
        index.refresh()
        assert "cannot reach the Milvus server http://127.0.0.1:9" in index.notes[0]
        assert_in_step(index, elsewhere)
        store_location(writer.catalogue, FILES)
        index.refresh()
        assert index.notes == []
        assert_in_step(index, elsewhere)


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, 200)))
def test_sets_of_segments_are_remembered_as_they_were(numbers: set[int]) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine, tables=[Base.metadata.tables[CatalogueInfo.__tablename__]])
    with Session(engine) as session:
        ids = np.array(sorted(numbers), dtype=np.int64)
        Filled("c", n_vectors=len(ids)).write(session, 7, ids)
        session.flush()
        session.expire_all()
        assert Filled.read_ids(session, 7).tolist() == sorted(numbers)
        assert Filled.read(session, 7) == Filled("c", n_vectors=len(numbers))
        forget_filled(session, 7)
        session.flush()
        assert Filled.read(session, 7) is None
    engine.dispose()


@pytest.mark.parametrize("share", [None, 0.7, 0.4, 0.01])
@pytest.mark.parametrize("n_hits", [1, 100, 20_000])
def test_the_hunt_finds_the_best_whatever_the_server_gives_at_once(
    share: float | None, n_hits: int
) -> None:
    """The server is a list of scores here, with many equal ones and some that nobody wants."""
    rng = np.random.default_rng(0)
    n = 60_000
    scores = np.round(rng.standard_normal(n), 2).astype(np.float32)
    scores[10_000:40_000] = 3.0
    wanted = np.ones(n, dtype=np.bool_) if share is None else rng.random(n) < share
    wanted[n - 5 :] = False

    def ask(limit: int, condition: str) -> Hits:
        assert limit <= MOST_HITS
        inside = np.arange(n)
        if condition.startswith("id in "):
            inside = np.array(sorted(map(int, condition[7:-1].split(","))))
        elif condition:
            first, end = (int(part.strip("()").split()[-1]) for part in condition.split(" and "))
            inside = np.arange(first, min(end, n))
        order = inside[rng.permutation(len(inside))]
        best = order[np.argsort(-scores[order], kind="stable")[:limit]]
        return Hits(best, scores[best])

    filter_ = Filter(wanted, is_narrowed=share is not None)
    n_hits = min(n_hits, filter_.count)
    goal = Goal(filter_, n_hits, filter_.whole(n_hits, n))
    found = hunt(ask, goal, ask(goal.whole.limit, goal.condition))
    ids = np.flatnonzero(wanted)
    expected = ids[np.lexsort((ids, -scores[ids]))[:n_hits]]
    best = np.lexsort((found.ids, -found.scores))[:n_hits]
    assert found.ids[best].tolist() == expected.tolist()

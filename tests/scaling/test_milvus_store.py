"""Vectors on a Milvus server: filled from SQL, kept in step with it, repaired from it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from sqlalchemy import text

from db import consistency
from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.left_behind import LeftBehind, leave_behind
from db.milvus_filling import filling
from db.milvus_server import MilvusServer
from db.milvus_tidying import collection_prefix, remove_left_behind
from db.overview import status
from db.records import EncoderInfo
from db.segment_index import SegmentIndex, save_indexes
from db.server_lock import FILLING
from db.vector_location import ENVIRONMENT_VARIABLE, FILES
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis, store_location
from tests.db.test_segment_index import assert_in_step, forget
from tests.milvus import MilvusServerForTests
from tests.milvus import server_for_tests as milvus_for_tests
from tests.scaling.conftest import echoic

_Done = TypeVar("_Done")
WIDE = EncoderInfo("test/wide", dim=384, sample_rate=32_000, window_s=5.0, hop_s=2.5)


@pytest.fixture
def catalogue(location: str, machine: Path) -> Iterator[Catalogue]:
    with Catalogue.open(location, create=True) as opened:
        yield opened


@pytest.fixture
def writer(catalogue: Catalogue, milvus: MilvusServerForTests) -> Iterator[CatalogueWriter]:
    with CatalogueWriter(catalogue) as opened:
        move_vectors(opened, milvus.uri)
        yield opened


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    """A collection of ten recordings with one to ten segments, all of them on the server."""
    collection = writer.add_collection("tapes", "/tapes").id
    writer.store([analysis(collection, f"{i}.wav", n_segments=i + 1) for i in range(10)])
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    return collection


@pytest.fixture
def server(milvus: MilvusServerForTests) -> Iterator[MilvusServer]:
    connected = MilvusServer(milvus.uri)
    yield connected
    connected.close()


def collection_of(catalogue: Catalogue, server: MilvusServer) -> str:
    """Return the collection of a catalogue; it must be on the server, and no other."""
    (name,) = collections_of(catalogue, server)
    return name


def collections_of(catalogue: Catalogue, server: MilvusServer) -> list[str]:
    return [name for name in server.collections() if catalogue_key(catalogue) in name]


def catalogue_key(catalogue: Catalogue) -> str:
    with catalogue.session() as session:
        return collection_prefix(session)


def problems(catalogue: Catalogue) -> list[str]:
    found = consistency.check(catalogue, schemes={})
    return [problem.what for problem in found if problem.where == "index"]


def opened(catalogue: Catalogue) -> SegmentIndex:
    return SegmentIndex.open(catalogue, ENCODER.name)


def test_what_a_writer_saved_another_process_finds_on_the_server(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = opened(elsewhere)
        assert (index.notes, index.is_saved()) == ([], True)
        assert_in_step(index, elsewhere)
        assert problems(elsewhere) == []
        (state,) = status(elsewhere).indexes
        assert (state.up_to_date, state.place) == (True, server.uri)
    assert server.count(collection_of(writer.catalogue, server)) == 55
    assert not list(writer.catalogue.index_folder.glob("*.index"))


def test_a_reader_takes_from_sql_what_the_server_has_not_got_and_lets_nothing_stale_through(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = opened(elsewhere)
        writer.store([analysis(tapes, "new.wav", n_segments=2)])
        forget(writer, "5.wav")
        index.refresh()
        assert_in_step(index, elsewhere)
        assert_in_step(opened(elsewhere), elsewhere)
        assert not status(elsewhere).indexes[0].up_to_date
        name = collection_of(elsewhere, server)
        assert server.count(name) == 55
        assert save_indexes(writer) == []
        assert server.count(name) == 55 + 2 - 6
        assert_in_step(index, elsewhere)


def test_a_reader_that_stays_open_turns_to_the_server_for_what_it_has_got_since(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.milvus_store.MilvusStore.most_lacking", 10)
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = opened(elsewhere)
        for number in range(4):
            writer.store([analysis(tapes, f"new {number}.wav", n_segments=8)])
            index.refresh()
            assert_in_step(index, elsewhere)
            save_indexes(writer)
        writer.store([analysis(tapes, "long.wav", n_segments=11)])
        index.refresh()
        with pytest.raises(VectorIndexError, match="11 vectors by test/1 are in the database and"):
            assert_in_step(index, elsewhere)
        save_indexes(writer)
        writer.store([analysis(tapes, "last.wav", n_segments=1)])
        index.refresh()
        assert_in_step(index, elsewhere)


def lose_the_collection(server: MilvusServer, name: str) -> None:
    server.drop(name)


def lose_some_vectors(server: MilvusServer, name: str) -> None:
    server.delete(name, np.arange(20, 30))


def get_too_many_vectors(server: MilvusServer, name: str) -> None:
    server.put(name, np.arange(900, 907), np.eye(7, ENCODER.dim, dtype=np.float16))


def get_another_dimension(server: MilvusServer, name: str) -> None:
    token = server.token(name)
    server.drop(name)
    server.create(name, 7, kind="FLAT", parameters={}, token=token)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose_the_collection, "is gone from the Milvus server"),
        (lose_some_vectors, "holds 45 vectors where 55 were put"),
        (get_another_dimension, "holds vectors of 7 components where 16 are wanted"),
    ],
)
def test_what_somebody_did_to_the_collection_is_told_and_mended_and_answers_are_right_meanwhile(
    writer: CatalogueWriter,
    tapes: int,
    server: MilvusServer,
    damage: Callable[[MilvusServer, str], None],
    said: str,
) -> None:
    damage(server, collection_of(writer.catalogue, server))
    index = opened(writer.catalogue)
    assert len(index.notes) == 1
    assert said in index.notes[0]
    assert "echoic repair" in index.notes[0]
    assert_in_step(index, writer.catalogue)
    assert any(said in problem for problem in problems(writer.catalogue))
    assert consistency.repair(writer, schemes={})
    assert problems(writer.catalogue) == []
    assert server.count(collection_of(writer.catalogue, server)) == 55
    assert_in_step(opened(writer.catalogue), writer.catalogue)


def test_vectors_that_nobody_noted_are_passed_over_by_readers_and_removed_by_repair(
    writer: CatalogueWriter,
    tapes: int,
    server: MilvusServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    get_too_many_vectors(server, collection_of(writer.catalogue, server))
    with monkeypatch.context() as patched:
        # A reader that opens while others fill must not ask for millions of numbers.
        patched.delattr("db.milvus_server.MilvusServer.ids")
        index = opened(writer.catalogue)
        assert index.notes == []
        assert_in_step(index, writer.catalogue)
    (problem,) = problems(writer.catalogue)
    assert "lacks 0 vectors that were put there, and holds 7 that were not" in problem
    consistency.repair(writer, schemes={})
    assert problems(writer.catalogue) == []
    assert server.count(collection_of(writer.catalogue, server)) == 55


def test_what_is_removed_stays_on_the_server_until_sql_no_longer_says_that_it_is_there(
    writer: CatalogueWriter,
    tapes: int,
    server: MilvusServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget(writer, "5.wav")
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise VectorIndexError("cut off")

        patched.setattr("db.milvus_filled.Filled.write", fail)
        (note,) = save_indexes(writer)
        assert "cut off" in note
    assert server.count(collection_of(writer.catalogue, server)) == 55
    assert opened(writer.catalogue).notes == []
    assert save_indexes(writer) == []
    assert server.count(collection_of(writer.catalogue, server)) == 55 - 6
    assert problems(writer.catalogue) == []


def test_of_two_indexers_one_at_a_time_fills_the_collection(
    url: str,
    milvus: MilvusServerForTests,
    server: MilvusServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("db.milvus_filling._MOST_WAIT_S", 0.0)
    with Catalogue.open(url, create=True) as catalogue:
        with CatalogueWriter(catalogue) as alone:
            move_vectors(alone, milvus.uri)
        with (
            Catalogue.open(url) as elsewhere,
            CatalogueWriter(catalogue, alone=False) as one,
            CatalogueWriter(elsewhere, alone=False) as other,
        ):
            tapes = one.add_collection("tapes", "/tapes").id
            one.store([analysis(tapes, "one.wav", n_segments=4)])
            with filling(catalogue) as assure_alone:
                other.store([analysis(tapes, "other.wav", n_segments=3)])
                (note,) = save_indexes(other)
                assert "another process is sending vectors to the server" in note
                with elsewhere.transaction() as session:
                    leave_behind(session, LeftBehind(milvus.uri, "of_nobody", ""))
                (action,) = remove_left_behind(elsewhere)
                assert "another process is sending" in action
                assert_in_step(opened(elsewhere), elsewhere)
                assert_the_lock_is_noticed_when_it_is_lost(catalogue, assure_alone)
            assert save_indexes(other) == []
            assert server.count(collection_of(catalogue, server)) == 4 + 3
            assert problems(catalogue) == []
            assert opened(catalogue).is_saved()


def assert_the_lock_is_noticed_when_it_is_lost(
    catalogue: Catalogue, assure_alone: Callable[[], None]
) -> None:
    assure_alone()
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_locks "
        "WHERE locktype = 'advisory' AND objid = :which AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with catalogue.session() as session:
        session.execute(kill, {"which": FILLING})
    with pytest.raises(VectorIndexError, match="connection to the database was lost"):
        assure_alone()


def test_as_many_vectors_under_other_numbers_are_found_by_check_and_mended(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    name = collection_of(writer.catalogue, server)
    server.delete(name, np.arange(7))
    get_too_many_vectors(server, name)
    assert opened(writer.catalogue).notes == []
    (problem,) = problems(writer.catalogue)
    assert "lacks 7 vectors that were put there, and holds 7 that were not" in problem
    consistency.repair(writer, schemes={})
    assert problems(writer.catalogue) == []
    assert server.ids(name).tolist() == list(range(55))


def test_a_collection_that_vanishes_under_an_open_reader_is_replaced_by_sql(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    index = opened(writer.catalogue)
    server.drop(collection_of(writer.catalogue, server))
    assert_in_step(index, writer.catalogue)
    assert "is gone" in index.notes[0]


def test_vectors_move_to_files_and_back_and_nothing_is_left_behind(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    move_vectors(writer, FILES)
    assert collections_of(writer.catalogue, server) == []
    assert status(writer.catalogue).indexes[0].place == FILES
    assert_in_step(opened(writer.catalogue), writer.catalogue)
    assert len(list(writer.catalogue.index_folder.glob("*.index"))) == 1
    move_vectors(writer, server.uri)
    assert not list(writer.catalogue.index_folder.glob("*.index"))
    assert_in_step(opened(writer.catalogue), writer.catalogue)
    assert problems(writer.catalogue) == []


def test_forgetting_an_encoder_removes_its_collection(
    writer: CatalogueWriter, tapes: int, server: MilvusServer
) -> None:
    name = collection_of(writer.catalogue, server)
    writer.forget_encoder(ENCODER.name)
    assert remove_left_behind(writer.catalogue) == [
        f"removed the collection {name} from {server.uri}"
    ]
    assert not server.has(name)
    writer.store([analysis(tapes, "again.wav", n_segments=4)])
    assert opened(writer.catalogue).notes == []
    assert_in_step(opened(writer.catalogue), writer.catalogue)


def test_the_environment_of_a_machine_goes_before_what_the_catalogue_says(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_location(writer.catalogue, "http://127.0.0.1:9")
    away = opened(writer.catalogue)
    assert "cannot reach the Milvus server http://127.0.0.1:9" in away.notes[0]
    assert_in_step(away, writer.catalogue)
    with pytest.raises(VectorIndexError, match="cannot reach"):
        move_vectors(writer, "http://127.0.0.1:10")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, FILES)
    assert opened(writer.catalogue).notes == []
    with pytest.raises(VectorIndexError, match="unset it"):
        move_vectors(writer, "http://127.0.0.1:9")


def when_it_is_back(do: Callable[[], _Done]) -> _Done:
    """Try until it is done: a connection that was refused waits some seconds for another try."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return do()
        except VectorIndexError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def kill_when_it_has_some(milvus: MilvusServerForTests, catalogue: Catalogue) -> None:
    watching = MilvusServer(milvus.uri)
    name = None
    while name is None or not watching.count(name):
        time.sleep(0.01)
        known = collections_of(catalogue, watching)
        name = known[0] if known else None
    watching.close()
    milvus.stop()


def test_a_server_killed_while_it_is_filled_keeps_what_it_had_and_is_filled_up(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    with milvus_for_tests(tmp_path) as milvus, CatalogueWriter(catalogue) as writer:
        move_vectors(writer, milvus.uri)
        collection = writer.add_collection("tapes", "/tapes").id
        for part in range(6):
            names = [f"{part} {number}.wav" for number in range(100)]
            writer.store([analysis(collection, n, n_segments=20, encoder=WIDE) for n in names])
        index = SegmentIndex.open(catalogue, WIDE.name)
        kill = threading.Thread(target=kill_when_it_has_some, args=(milvus, catalogue))
        kill.start()
        with pytest.raises(VectorIndexError, match="see that it runs"):
            index.save(writer)
        kill.join()
        query = catalogue.vectors(1, WIDE.name).astype(np.float32)
        milvus.start()
        server = MilvusServer(milvus.uri)
        n_kept = server.count(collection_of(catalogue, server))
        assert 0 < n_kept < 12_000
        # The same object goes on with the server that came back.
        when_it_is_back(lambda: index.save(writer))
        assert len(index) == 12_000
        assert index.search(query, 1)[1].tolist() == [[number] for number in range(20)]
        assert problems(catalogue) == []
        assert len(server.ids(collection_of(catalogue, server))) == 12_000
        milvus.stop()
        with pytest.raises(VectorIndexError, match="cannot search the Milvus server"):
            index.search(query, 1)
        milvus.start()
        found = when_it_is_back(lambda: index.search(query, 1))
        assert found[1].tolist() == [[number] for number in range(20)]
        server.close()


def test_commands_agree_on_where_the_vectors_are(
    sounds: Path, tmp_path: Path, machine: Path, server: MilvusServer
) -> None:
    here = ["--catalogue", str(tmp_path / "catalogue")]
    echoic("index", str(sounds / "north"), *here)
    echoic("repair", "--vectors", server.uri, *here)
    with Catalogue.open(tmp_path / "catalogue") as catalogue:
        name = collection_of(catalogue, server)
        n_before = server.count(name)
        echoic("index", str(sounds / "south"), *here)
        assert server.count(name) > n_before > 0
    assert f"index on {server.uri} (up to date)" in echoic("status", *here).stdout
    assert echoic("search", "noise", *here).stderr == ""
    echoic("forget", "--encoder", "echoic-mini/2", "--yes", *here)
    assert not server.has(name)

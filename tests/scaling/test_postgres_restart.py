"""The server goes away in the middle: a run waits and goes on, readers say so and recover."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from db.catalogue import Catalogue
from db.errors import CatalogueUnreachable
from db.patience import Patience
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from search.engine import SearchEngine
from tests.db.conftest import analysis
from tests.postgres import PostgresServer, server_for_tests
from tests.scaling.conftest import N_SOUNDS, echoic
from tests.scaling.contents import ENCODER, assert_every_recording_stands_once, contents
from tests.scaling.running import Run, wait_for
from ui.api.application import application
from ui.api.service import Service

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine


@pytest.fixture
def own_server(machine: Path) -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with server_for_tests(durable=True) as server:
        yield server


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_run_waits_for_a_server_that_was_stopped_and_goes_on(
    own_server: PostgresServer, sounds: Path, tmp_path: Path, mode: str
) -> None:
    url = own_server.new_database()
    folders = [str(sounds / "north"), str(sounds / "south")]
    run = Run(folders, url)
    for turn in (1, 2):  # what holds the lock is new the second time
        wait_for(partial(run.has_done, run.n_done + 1))
        with run.analysing_held_up():  # else all is committed before a slow server is down
            own_server.stop(mode)
        wait_for(partial(run.has_waited, turn))
        assert run.process.poll() is None
        with run.analysing_held_up():
            own_server.start()
            wait_for(partial(run.has_gone_on, turn))  # it looks only now and then
    assert run.finish() == 0, run.said
    assert [line.split(":")[0] for line in run.said] == [
        "Waiting",
        "The database server answers again.",
    ] * 2
    assert "does not answer" in run.said[0]
    outcomes = run.events[-1]["outcomes"]
    assert isinstance(outcomes, dict)
    # Where the server went before it told of a commit, the files count as updated.
    assert sum(outcomes.values()) == N_SOUNDS + 2
    assert_every_recording_stands_once(url, N_SOUNDS + 1)
    alone = str(tmp_path / "alone")
    echoic("index", *folders, "--catalogue", alone)
    assert contents(url) == contents(alone)


def test_a_run_waits_no_longer_than_it_is_told(own_server: PostgresServer, sounds: Path) -> None:
    url = own_server.new_database()
    run = Run([str(sounds / "north")], url, "--max-wait", "2")
    wait_for(partial(run.has_done, 1))
    with run.analysing_held_up():
        own_server.stop()
    assert run.finish() == 2
    assert run.said[-1].startswith("Error: the database server")
    own_server.start()
    echoic("index", str(sounds / "north"), "--catalogue", url)
    assert_every_recording_stands_once(url, N_SOUNDS // 2 + 1)


def test_a_change_that_was_cut_off_is_made_again(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    said: list[str] = []
    patience = Patience(said.append, threading.Event())
    with (
        Catalogue.open(url, create=True, patience=patience) as catalogue,
        CatalogueWriter(catalogue, alone=False) as writer,
    ):
        tapes = writer.add_collection("tapes", "/tapes").id
        for name in ("a.wav", "b.wav"):
            own_server.execute(  # all connections, the lock's among them
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            writer.store([analysis(tapes, name)])
        assert sorted(catalogue.known_files(tapes)) == ["a.wav", "b.wav"]


def test_ctrl_c_ends_the_waiting(own_server: PostgresServer) -> None:
    url = own_server.new_database()
    stop = threading.Event()
    said: list[str] = []
    with Catalogue.open(url, create=True, patience=Patience(said.append, stop)) as catalogue:
        own_server.stop()
        threading.Timer(1.0, stop.set).start()
        with pytest.raises(CatalogueUnreachable):
            catalogue.collections()
    assert len(said) == 1


def test_readers_say_that_the_server_is_away_and_recover_when_it_is_back(
    own_server: PostgresServer, sounds: Path
) -> None:
    url = own_server.new_database()
    echoic("index", str(sounds / "north"), "--catalogue", url)
    with Catalogue.open(url) as catalogue:
        engine = SearchEngine(catalogue)
        index = SegmentIndex.open(catalogue, ENCODER)
        service = Service(catalogue, max_upload=1_000_000)
        client = TestClient(application(service, token=None, hosts=["testserver"]))
        before = engine.search("duration:>1", k=50)
        assert len(before.hits) > 10
        for mode in ("immediate", "fast"):
            own_server.stop(mode)
            for ask in (lambda: engine.search("duration:>1"), index.refresh, catalogue.columns):
                with pytest.raises(CatalogueUnreachable, match="does not answer"):
                    ask()
            answer = client.get("/api/search", params={"q": "duration:>1"})
            assert answer.status_code == 503
            assert answer.json()["detail"].startswith("the archive's database does not answer")
            own_server.start()
            assert engine.search("duration:>1", k=50).hits == before.hits
            index.refresh()
            assert client.get("/api/search", params={"q": "duration:>1"}).status_code == 200

"""The server goes away in the middle: a run waits and goes on, readers say so and recover."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
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
from tests.scaling.conftest import N_SOUNDS, echoic, held_up
from tests.scaling.contents import ENCODER, assert_every_recording_stands_once, contents
from ui.api.application import application
from ui.api.service import Service

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine


@pytest.fixture
def own_server(machine: Path) -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with server_for_tests(durable=True) as server:
        yield server


def wait_for(met: Callable[[], bool], most_s: float = 120.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + most_s
    while not met():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


class Run:
    """``echoic index`` as it goes on."""

    def __init__(self, folders: list[str], url: str, *options: str) -> None:
        command = [sys.executable, "-m", "ui", "index", *folders, "--json", "--workers", "2"]
        self.process = subprocess.Popen(
            [*command, "--catalogue", url, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, object]] = []
        self.said: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_events(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line.strip())

    @property
    def n_done(self) -> int:
        """How many files are committed."""
        return sum(event["event"] == "done" for event in list(self.events))

    def has_done(self, n: int) -> bool:
        """Tell whether so many files are committed."""
        assert self.process.poll() is None, "it ended too early to prove anything"
        return self.n_done >= n

    def has_waited(self, n: int) -> bool:
        """Tell whether it has said so many times that it waits."""
        return sum(line.startswith("Waiting:") for line in list(self.said)) >= n

    def has_gone_on(self, n: int) -> bool:
        """Tell whether it has said so many times that the server is back."""
        return sum("answers again" in line for line in list(self.said)) >= n

    @contextmanager
    def analysing_held_up(self) -> Iterator[None]:
        """Keep its workers from what they do; what commits goes on.

        It lasts so long that the next file is committed alone: a fast machine analyses all of them
        before the commit after that.
        """
        with held_up(psutil.Process(self.process.pid).children(recursive=True)):
            yield
            time.sleep(1.0)

    def finish(self) -> int:
        code = self.process.wait(timeout=240)
        for reader in self._readers:
            reader.join()
        return code


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

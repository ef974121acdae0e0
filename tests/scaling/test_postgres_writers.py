"""Many indexers at once on one server, what must be alone, and the lock that keeps them apart."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from db import consistency
from db.catalogue import Catalogue
from db.errors import CatalogueError, CatalogueLocked
from db.fingerprint_index import FingerprintIndex
from db.lists import NewEntry, add_entries, entries
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import analysis, fingerprinted
from tests.postgres import PostgresServer
from tests.scaling.conftest import N_SOUNDS, echoic
from tests.scaling.contents import (
    ENCODER,
    FINGERPRINTER,
    SCHEMES,
    assert_every_recording_stands_once,
    contents,
)

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine


def start(folder: Path, url: str, machine: Path) -> subprocess.Popen[str]:
    """Begin to index on a machine."""
    return subprocess.Popen(
        [sys.executable, "-m", "ui", "index", str(folder), "--workers", "1", "--catalogue", url],
        env=os.environ | {"XDG_DATA_HOME": str(machine)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_machines_that_index_at_once_store_every_recording_once(
    url: str, sounds: Path, tmp_path: Path
) -> None:
    # Two machines have a folder each, with one content in common, and a third takes one of the
    # folders as well. All of them find the database empty.
    runs = [
        start(sounds / folder, url, tmp_path / f"machine-{number}")
        for number, folder in enumerate(["north", "south", "north"])
    ]
    said = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    assert_every_recording_stands_once(url, N_SOUNDS + 1)
    alone = str(tmp_path / "alone")
    echoic("index", str(sounds / "north"), str(sounds / "south"), "--catalogue", alone)
    assert contents(url) == contents(alone)


def test_another_machine_finds_everything_and_makes_its_own_index_files(
    url: str, sounds: Path, machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echoic("index", str(sounds / "north"), "--catalogue", url)
    expand, key_bits = SCHEMES[FINGERPRINTER]

    def state() -> tuple[int, bool, list[str], int, bool]:
        with Catalogue.open(url) as catalogue:
            index = SegmentIndex.open(catalogue, ENCODER)
            marks = FingerprintIndex.open(catalogue, FINGERPRINTER, expand, key_bits=key_bits)
            notes = [*index.notes, *marks.notes]
            return len(index), index.is_saved(), notes, marks.n_postings, marks.is_saved()

    here = state()
    assert (here[1], here[2], here[4]) == (True, [], True)
    other = tmp_path / "other-machine"
    monkeypatch.setenv("XDG_DATA_HOME", str(other))
    assert state() == (here[0], False, [], here[3], False)
    assert not other.exists()  # who only reads writes nothing
    with Catalogue.open(url) as catalogue, CatalogueWriter(catalogue, alone=False):
        said = echoic("repair", "--index-only", "--catalogue", url).stdout  # while another indexes
    assert "Wrote the index of echoic-mini/2 anew" in said
    assert state() == here
    assert "Nothing to repair" in echoic("repair", "--catalogue", url).stdout
    monkeypatch.setenv("XDG_DATA_HOME", str(machine))
    assert state() == here  # the first machine's files are as they were
    with Catalogue.open(url) as catalogue:
        assert list(consistency.check(catalogue, schemes=SCHEMES)) == []


def test_who_must_be_alone_waits_for_indexers_and_is_told_who_they_are(url: str) -> None:
    with Catalogue.open(url, create=True) as catalogue:
        one, another = (CatalogueWriter(catalogue, alone=False) for _ in range(2))
        alone = CatalogueWriter(catalogue)
        with one, another:
            told = rf"process {os.getpid()} on .*\(as echoic, since"
            with pytest.raises(CatalogueLocked, match=told):
                alone.__enter__()
        with alone, pytest.raises(CatalogueLocked):
            one.__enter__()
        with alone:  # free again
            pass


def end_lock_connections(server: PostgresServer) -> None:
    """Let the server drop the connections that hold a writer's lock."""
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 2"
    )


def test_a_lock_that_was_lost_is_taken_again_before_the_next_change(
    url: str, postgres: PostgresServer
) -> None:
    with Catalogue.open(url, create=True) as catalogue:
        with CatalogueWriter(catalogue, alone=False) as writer:
            tapes = writer.add_collection("tapes", "/tapes").id
            end_lock_connections(postgres)
            writer.store([analysis(tapes, "a.wav")])
            with pytest.raises(CatalogueLocked), CatalogueWriter(catalogue):
                pass
        assert len(catalogue.columns().ids) == 1


def test_a_writer_whose_lock_another_has_now_changes_nothing_more(
    url: str, postgres: PostgresServer
) -> None:
    with (
        Catalogue.open(url, create=True) as catalogue,
        CatalogueWriter(catalogue, alone=False) as writer,
    ):
        tapes = writer.add_collection("tapes", "/tapes").id
        end_lock_connections(postgres)
        with Catalogue.open(url) as other, CatalogueWriter(other) as repairing:
            with pytest.raises(CatalogueLocked, match="is being written to by"):
                writer.store([analysis(tapes, "a.wav")])
            repairing.store([analysis(tapes, "b.wav")])
        writer.store([analysis(tapes, "c.wav")])  # free again
        assert sorted(catalogue.known_files(tapes)) == ["b.wav", "c.wav"]


def test_a_run_that_was_cut_off_stops_when_the_tables_were_upgraded_meanwhile(
    url: str, postgres: PostgresServer
) -> None:
    with (
        Catalogue.open(url, create=True) as catalogue,
        CatalogueWriter(catalogue, alone=False) as writer,
    ):
        end_lock_connections(postgres)
        with catalogue.transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(CatalogueError, match="was upgraded while this run was cut off"):
            writer.add_collection("tapes", "/tapes")


def test_writers_and_users_at_once_lose_nothing_and_number_nothing_twice(url: str) -> None:
    problems: list[BaseException] = []
    with Catalogue.open(url, create=True) as catalogue:
        with CatalogueWriter(catalogue, alone=False) as writer:
            tapes = writer.add_collection("tapes", "/tapes").id
            writer.store([fingerprinted(analysis(tapes, "first.wav"))])

        def index(number: int) -> None:
            try:
                with (
                    Catalogue.open(url) as mine,
                    CatalogueWriter(mine, alone=False) as writer,
                ):
                    for turn in range(25):
                        # Each content comes from two of them, in opposite orders within a batch.
                        names = [f"{number % 2}-{turn}-{name}" for name in "abc"]
                        batch = [
                            fingerprinted(analysis(tapes, f"{number}/{name}", name))
                            for name in (names if number < 2 else reversed(names))
                        ]
                        writer.store(batch)
            except BaseException as error:  # noqa: BLE001  (handed to the test)
                problems.append(error)

        def listen(number: int) -> None:
            try:
                with Catalogue.open(url) as mine:
                    for turn in range(25):
                        passage = NewEntry(1, number + turn / 100, number + 1.0)
                        add_entries(mine, "opening", [passage])
            except BaseException as error:  # noqa: BLE001  (handed to the test)
                problems.append(error)

        threads = [threading.Thread(target=index, args=(number,)) for number in range(4)]
        threads += [threading.Thread(target=listen, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert len(catalogue.columns().ids) == 1 + 2 * 25 * 3
        assert len(catalogue.known_files(tapes)) == 1 + 4 * 25 * 3
        assert len(entries(catalogue, "opening")) == 50
        faults = consistency.check(catalogue, schemes={})
        assert {fault.where for fault in faults} <= {"files", "fingerprints"}
        with catalogue.session() as session:
            doubles = session.execute(
                text("SELECT position FROM list_entries GROUP BY position HAVING count(*) > 1")
            ).all()
        assert doubles == []


def test_a_lock_that_was_given_back_can_be_taken_at_once(url: str) -> None:
    with Catalogue.open(url, create=True) as catalogue:
        for _ in range(50):
            with CatalogueWriter(catalogue):
                pass

"""Opening, creating and reading a catalogue."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from db import consistency, migrate
from db.catalogue import Catalogue
from db.errors import CatalogueError, CatalogueLocked, CatalogueMissing, CatalogueVersionError
from db.location import catalogue_location
from db.schema import REVISION
from db.writer import CatalogueWriter
from tests.db.conftest import analysis


def test_opening_where_there_is_none_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogueMissing, match="echoic index FOLDER"):
        Catalogue.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_with_other_things_in_it_is_not_made_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "dog.wav").write_bytes(b"")
    with pytest.raises(CatalogueError, match=r"dog\.wav"):
        Catalogue.open(tmp_path, create=True)


def test_a_creation_that_was_cut_off_is_completed_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"")
    (tmp_path / "writer.lock").write_bytes(b"")
    with pytest.raises(CatalogueMissing):
        Catalogue.open(tmp_path)
    with Catalogue.open(tmp_path, create=True) as catalogue:
        assert catalogue.collections() == []


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(CatalogueError, match="cannot be read"):
        Catalogue.open(tmp_path)


def test_damage_within_the_database_is_a_problem_that_check_names(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with Catalogue.open(folder, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        collection = writer.add_collection("tapes", "/tapes")
        writer.store([analysis(collection.id, f"{i}.wav") for i in range(500)])
    database = tmp_path / "c" / "catalogue.sqlite"
    content = bytearray(database.read_bytes())
    half = len(content) // 8192 * 4096  # what was written last; the schema comes first
    content[half:] = b"\xa5" * (len(content) - half)
    database.write_bytes(content)
    with Catalogue.open(tmp_path / "c") as catalogue:
        assert {problem.where for problem in consistency.check(catalogue, schemes={})} == {
            "database"
        }
        with pytest.raises(CatalogueError, match="backup"):
            catalogue.recordings(range(500))


def test_a_catalogue_where_nothing_can_be_written_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    with Catalogue.open(folder, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        collection = writer.add_collection("tapes", "/tapes")
        writer.store([analysis(collection.id, "a.wav")])
    assert not (folder / "catalogue.sqlite-wal").exists()
    script = (
        "import os, sys; from db import overview; from db.catalogue import Catalogue\n"
        "os.access = lambda *a, **k: False  # as it is on a read-only disk\n"
        "print(overview.status(Catalogue.open(sys.argv[1])).n_recordings)\n"
    )
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "1"
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_catalogue_of_a_newer_echoic_is_refused(tmp_path: Path) -> None:
    Catalogue.open(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueVersionError, match="newer Echoic"):
        Catalogue.open(tmp_path, create=True)


def test_the_models_belong_to_the_newest_migration() -> None:
    assert migrate.newest_revision() == REVISION


def test_a_bad_url_is_named_as_such() -> None:
    with pytest.raises(CatalogueError, match="not the URL of a database"):
        Catalogue.open("nonsense://somewhere", create=True)


def test_the_location_is_the_option_then_the_environment_then_the_data_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ECHOIC_CATALOGUE", "/from/environment")
    assert catalogue_location("/given") == "/given"
    assert catalogue_location() == "/from/environment"
    monkeypatch.delenv("ECHOIC_CATALOGUE")
    assert "echoic" in catalogue_location()


def test_a_second_writer_is_told_who_the_first_is(writer: CatalogueWriter) -> None:
    script = (
        "import sys; from db.catalogue import Catalogue; from db.writer import CatalogueWriter\n"
        "from db.errors import CatalogueLocked\n"
        "try:\n    CatalogueWriter(Catalogue.open(sys.argv[1])).__enter__()\n"
        "except CatalogueLocked as error:\n    print(error); sys.exit(3)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, writer.catalogue.location],
        capture_output=True,
        text=True,
        check=False,
    )
    import os

    assert ran.returncode == 3, ran.stderr
    assert f"process {os.getpid()}" in ran.stdout


def test_the_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    Catalogue.open(tmp_path, create=True).close()
    script = (
        "import os, signal, sys; from db.catalogue import Catalogue\n"
        "from db.writer import CatalogueWriter\n"
        "CatalogueWriter(Catalogue.open(sys.argv[1])).__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert (tmp_path / "writer.json").exists()  # what the dead process left
    with Catalogue.open(tmp_path) as catalogue, CatalogueWriter(catalogue):
        pass


def test_the_lock_can_be_taken_by_one_writer_of_this_process_only(
    writer: CatalogueWriter,
) -> None:
    with pytest.raises(CatalogueLocked), CatalogueWriter(writer.catalogue):
        pass


def test_a_reader_in_another_process_sees_what_was_committed(writer: CatalogueWriter) -> None:
    collection = writer.add_collection("tapes", "/tapes")
    script = (
        "import sys; from db.catalogue import Catalogue; from db import overview\n"
        "catalogue = Catalogue.open(sys.argv[1])\n"
        "for _ in sys.stdin:\n"
        "    print(overview.status(catalogue).n_recordings, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, writer.catalogue.location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin and reader.stdout
        for expected in (0, 1, 2):
            if expected:
                writer.store([analysis(collection.id, f"{expected}.wav")])
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline().strip() == str(expected)
        reader.stdin.close()


def test_a_commit_survives_the_loss_of_power_by_sqlite_s_own_rules(catalogue: Catalogue) -> None:
    with catalogue.session() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert session.scalar(text("PRAGMA foreign_keys")) == 1

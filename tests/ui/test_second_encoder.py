"""Two encoders in one catalogue: added, killed and resumed, asked, chosen, forgotten."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from db.calibrations import store_calibration, stored_calibration
from db.catalogue import Catalogue
from db.default_encoder import default_encoder, store_default_encoder
from db.errors import CatalogueVersionError, UnknownName
from db.writer import CatalogueWriter
from indexer.encoders import DEFAULT_ENCODER, load_encoder
from search.archive_map import mapped_encoder
from search.encoders import answering
from search.engine import SearchEngine
from search.language import parse
from search.sounds import example_vectors
from tests.indexer.conftest import write_sound
from tests.indexer.encoders.clap_package import TINY, install_tiny
from ui.api.service import Service
from ui.cli import cli
from ui.web.archive import Archive

LONG = "long.flac"
FAMILY = "laion-clap"
# The program, killed when one file is committed, however fast the machine is.
KILLED = """
import os, signal
from indexer import pipeline
from ui.cli import main

pipeline._COMMIT_AFTER_FILES = 1
pipeline._Run._note_done = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of five minutes and four short ones, embedded by both encoders.

    The run of the second one was killed when the first file had been committed.
    """
    home = tmp_path_factory.mktemp("two-encoders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOIC_MODELS", str(home / "models"))
        install_tiny()
        for number in range(4):
            write_sound(home / "sounds" / f"tone-{number}.wav", seed=number, length_s=3.0)
        write_sound(home / "sounds" / LONG, seed=5, length_s=300.0)
        index(home, str(home / "sounds"))
        again = [sys.executable, "-c", KILLED, *command(home)[3:], "--encoder", FAMILY]
        killed = subprocess.run(again, capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        with Catalogue.open(home / "catalogue") as catalogue:
            assert len(catalogue.recordings_with_vectors(TINY)) == 1
        assert index(home, "--encoder", FAMILY)["outcomes"] == {"updated": 4}
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change; the sounds are those of the original."""
    shutil.copytree(made / "catalogue", tmp_path / "catalogue")
    monkeypatch.setenv("ECHOIC_MODELS", str(made / "models"))
    return tmp_path


def command(home: Path) -> list[str]:
    catalogue = ["--catalogue", str(home / "catalogue"), "--workers", "1"]
    return [
        sys.executable,
        "-m",
        "ui",
        "index",
        *catalogue,
        "--no-descriptors",
        "--no-fingerprints",
    ]


def index(home: Path, *arguments: str) -> dict[str, object]:
    """Index in a process of its own, whose workers know where the models are."""
    ran = subprocess.run(
        [*command(home), *arguments, "--json"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    finished: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return finished


def echoic(home: Path, *arguments: str, code: int = 0) -> str:
    ran = CliRunner().invoke(cli, [*arguments, "--catalogue", str(home / "catalogue")])
    assert ran.exit_code == code, f"{ran.output}\n{ran.exception!r}"
    return ran.output


def test_a_killed_run_is_resumed_and_every_vector_is_right(home: Path, made: Path) -> None:
    with Catalogue.open(home / "catalogue") as catalogue:
        for name, n_segments in ((DEFAULT_ENCODER, 119), (TINY, 59)):
            assert len(catalogue.recordings_with_vectors(name)) == 5
            (long,) = catalogue.find_files(LONG)
            assert len(catalogue.vectors(long, name)) == n_segments
        model = load_encoder(TINY)
        for file in ("tone-2.wav", LONG):
            (recording,) = catalogue.find_files(file)
            expected = example_vectors(model, made / "sounds" / file)
            np.testing.assert_array_equal(
                catalogue.vectors(recording, TINY), expected.astype(np.float16)
            )
    echoic(home, "check")
    status = json.loads(echoic(home, "status", "--json"))
    assert [one["up_to_date"] for one in status["indexes"]] == [True, True]


def test_a_search_names_its_encoder_or_uses_the_one_that_was_chosen(home: Path) -> None:
    with Catalogue.open(home / "catalogue") as catalogue:
        assert default_encoder(catalogue) is None
        assert answering(catalogue) == DEFAULT_ENCODER
        assert answering(catalogue, FAMILY) == answering(catalogue, TINY) == TINY
        assert SearchEngine(catalogue, encoder=FAMILY).encoder == TINY
        assert not any("rough" in note for note in SearchEngine(catalogue).notes)
        store_default_encoder(catalogue, TINY)
        assert answering(catalogue) == TINY
        assert answering(catalogue, "echoic-mini") == DEFAULT_ENCODER
        assert any("scores are rough" in note for note in SearchEngine(catalogue).notes)
        with pytest.raises(UnknownName, match=r"no vectors by laion-clap/other \(it holds: echo"):
            store_default_encoder(catalogue, "laion-clap/other")
        store_default_encoder(catalogue, None)
        assert answering(catalogue) == DEFAULT_ENCODER


def test_the_name_of_a_family_means_the_same_to_every_command(home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOIC_MODELS", str(home / "models"))
        install_tiny("laion-clap/htsat-unfused")  # the one that is meant where none has been used
        install_tiny()
        echoic(home, "index", "--encoder", FAMILY)
        with Catalogue.open(home / "catalogue") as catalogue:
            assert [held.name for held in catalogue.encoders()] == [DEFAULT_ENCODER, TINY]
            assert answering(catalogue, FAMILY) == mapped_encoder(catalogue, FAMILY) == TINY
        assert f"{TINY} answers for" in echoic(home, "models", "default", FAMILY)
        with Catalogue.open(home / "catalogue") as catalogue:
            assert mapped_encoder(catalogue) == TINY


def test_a_server_that_runs_answers_with_what_was_chosen_meanwhile(home: Path) -> None:
    archive = Archive(str(home / "catalogue"))
    service = Service(archive.catalogue, max_upload=1)
    first = service.engine
    assert first.encoder == DEFAULT_ENCODER
    assert service.engine is first
    assert not any("rough" in note for note in archive.search(parse("a tone"), k=1).notes)
    echoic(home, "models", "default", FAMILY)
    second = service.engine
    assert second.encoder == TINY
    assert any("rough" in note for note in archive.search(parse("a tone"), k=1).notes)
    stored = stored_calibration(archive.catalogue, TINY)
    assert stored is not None
    with Catalogue.open(home / "catalogue") as catalogue:
        store_calibration(catalogue, TINY, replace(stored, n_recordings=100))
    assert any("rough" in note for note in second.notes)
    assert not any("rough" in note for note in service.engine.notes)
    archive.catalogue.close()


def test_a_chosen_encoder_that_is_gone_says_how_to_take_the_choice_back(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    echoic(home, "models", "default", FAMILY)
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "none"))
    for command_line in (["search", "a tone"], ["index", str(home)]):
        assert "`echoic models default --unset`" in echoic(home, *command_line, code=2)


def test_the_choice_outlives_an_update_of_the_catalogue(home: Path, made: Path) -> None:
    echoic(home, "models", "default", FAMILY)
    with closing(sqlite3.connect(home / "catalogue" / "catalogue.sqlite")) as connection:
        connection.execute("DROP TABLE changes")
        connection.execute("DROP TABLE calibrations")
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
        connection.commit()
    with pytest.raises(CatalogueVersionError):
        Catalogue.open(home / "catalogue").close()
    write_sound(home / "more" / "late.wav", seed=9)
    index(home, str(home / "more"))
    with Catalogue.open(home / "catalogue") as catalogue:
        (late,) = catalogue.find_files("late.wav")
        assert set(catalogue.recording(late).n_segments) == {TINY}


def test_what_is_indexed_later_is_embedded_by_the_chosen_encoder(home: Path, made: Path) -> None:
    with Catalogue.open(home / "catalogue") as catalogue:
        store_default_encoder(catalogue, TINY)
    write_sound(home / "more" / "late.wav", seed=9)
    index(home, str(home / "more"))
    with Catalogue.open(home / "catalogue") as catalogue:
        (late,) = catalogue.find_files("late.wav")
        assert set(catalogue.recording(late).n_segments) == {TINY}
        (note,) = SearchEngine(catalogue, encoder=DEFAULT_ENCODER).notes
        assert "1 recording has no vectors by echoic-mini" in note


def test_both_kinds_of_question_are_answered_by_the_second_encoder(home: Path, made: Path) -> None:
    clip = str(made / "sounds" / "tone-1.wav")
    said = echoic(home, "similar", clip, "--encoder", FAMILY, "--weak", "--json")
    found = json.loads(said[said.index("\n{") :])
    assert len(found["hits"]) == 4
    assert "Note: scores are rough" in echoic(home, "search", "a tone", "--encoder", FAMILY)
    long_winded = "a tone " * 60 + "and a whistle"
    said = echoic(home, "search", long_winded, "--encoder", FAMILY)
    assert "left out is: " in said
    assert "and a whistle." in said


def test_own_sounds_and_tags_belong_to_their_encoder(home: Path, made: Path) -> None:
    clip = str(made / "sounds" / "tone-1.wav")
    echoic(home, "teach", "hum", "--like", clip)
    said = echoic(home, "search", "sound:hum", "--encoder", FAMILY, code=2)
    assert f"taught to {DEFAULT_ENCODER}, not to {TINY}" in said
    echoic(home, "teach", "hum", "--encoder", FAMILY)
    echoic(home, "search", "sound:hum", "--encoder", FAMILY)
    echoic(home, "tag")
    assert "Compared 5 recordings" in echoic(home, "tag", "--encoder", FAMILY)
    assert f"by {TINY}" in echoic(home, "tag", "--list")
    assert "Nothing to do" in echoic(home, "tag", "--encoder", FAMILY)
    echoic(home, "saved", "add", "tones", "a tone")
    echoic(home, "saved", "run", "tones", "--encoder", FAMILY)


def test_forgetting_an_encoder_frees_its_room_and_takes_the_choice_back(home: Path) -> None:
    database = home / "catalogue" / "catalogue.sqlite"
    with Catalogue.open(home / "catalogue") as catalogue:
        store_default_encoder(catalogue, TINY)
        with CatalogueWriter(catalogue):
            pass  # what is in the log is folded in when the last one closes
    before = database.stat().st_size
    files = set((home / "catalogue" / "index").iterdir())
    assert "Forgot all vectors" in echoic(home, "forget", "--encoder", TINY, "--yes")
    gone = files - set((home / "catalogue" / "index").iterdir())
    assert any("tiny" in file.name for file in gone)
    # 63 segments of 512 components, a sample of them and 527 phrases, two bytes each.
    assert before - database.stat().st_size > 2 * 512 * (63 + 527)
    with Catalogue.open(home / "catalogue") as catalogue:
        assert default_encoder(catalogue) is None
        assert answering(catalogue) == DEFAULT_ENCODER
        with pytest.raises(UnknownName):
            SearchEngine(catalogue, encoder=TINY)


def test_vectors_of_a_model_that_was_removed_say_how_to_bring_it_back(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "none"))
    said = echoic(home, "search", "a tone", "--encoder", TINY, code=2)
    assert f"are by {TINY}, which this Echoic does not have" in said
    said = echoic(home, "index", "--encoder", FAMILY, code=2)
    assert "echoic models install laion-clap" in said
    assert "a tone" not in echoic(home, "search", "name:tone")


def test_a_network_that_cannot_be_run_is_told_before_a_file_is_touched(
    home: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHOIC_PROVIDER", "cuda")
    echoic(home, "forget", "--encoder", TINY, "--yes")
    said = echoic(home, "index", "--encoder", FAMILY, code=2)
    assert "ECHOIC_PROVIDER=cuda cannot be done" in said
    assert json.loads(echoic(home, "failures", "--json")) == []


def test_a_text_tower_that_cannot_be_run_is_told_before_a_file_is_touched(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echoic(home, "forget", "--encoder", TINY, "--yes")
    monkeypatch.setenv("ECHOIC_MODELS", str(home / "models"))
    text = install_tiny().folder / "text.onnx"
    text.write_bytes(text.read_bytes()[::-1])  # as long as it was
    assert "text.onnx cannot be loaded" in echoic(home, "index", "--encoder", FAMILY, code=2)
    with Catalogue.open(home / "catalogue") as catalogue:
        assert [held.name for held in catalogue.encoders()] == [DEFAULT_ENCODER]


def test_what_was_indexed_stays_when_it_cannot_be_learnt_what_scores_mean(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echoic(home, "forget", "--encoder", TINY, "--yes")
    monkeypatch.setenv("ECHOIC_MODELS", str(home / "models"))
    install_tiny(rows=150)  # fails with class names of several words
    # Its workers must know the models of this test, which those of an earlier run here do not.
    ran = subprocess.run(
        [*command(home), "--encoder", FAMILY],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    said = ran.stdout
    assert said.index("5 updated") < said.index("could not be learnt here: the network")
    with Catalogue.open(home / "catalogue") as catalogue:
        assert len(catalogue.recordings_with_vectors(TINY)) == 5
        assert stored_calibration(catalogue, TINY) is None

"""Life with a catalogue whose vectors are by an encoder that this Echoic does not have."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from db import overview
from db.catalogue import Catalogue
from db.index_folder import slug
from db.segment_index import SegmentIndex
from indexer.encoders import DEFAULT_ENCODER
from tests.indexer.conftest import write_sound
from ui.cli import cli
from ui.web.pages.archive import _health

OLD = "echoic-mini/0"
FAMILY = "echoic-mini"


def echoic(*arguments: str | Path, catalogue: Path, code: int = 0) -> str:
    """Run a command within this process; return what it says, after a look at its exit code."""
    ran = CliRunner().invoke(
        cli, [*map(str, arguments)], env={"ECHOIC_CATALOGUE": str(catalogue)}, prog_name="echoic"
    )
    assert ran.exit_code == code, f"exit code {ran.exit_code}\n{ran.output}\n{ran.exception!r}"
    return ran.output if code else ran.stdout


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three sounds and their catalogue."""
    folder = tmp_path_factory.mktemp("indexed")
    for number in range(3):
        write_sound(folder / "sounds" / f"sound-{number}.wav", seed=number)
    echoic("index", folder / "sounds", "--workers", "1", catalogue=folder / "catalogue")
    return folder


@pytest.fixture
def old(indexed: Path, tmp_path: Path) -> Path:
    """The same as an Echoic with other weights has left it; the sounds are beside it."""
    shutil.copytree(indexed, tmp_path, dirs_exist_ok=True)
    with sqlite3.connect(tmp_path / "catalogue" / "catalogue.sqlite") as connection:
        connection.execute("UPDATE encoders SET name = ?", [OLD])
        connection.execute("UPDATE collections SET root = ?", [str(tmp_path / "sounds")])
        ours, theirs = slug(DEFAULT_ENCODER), slug(OLD)
        connection.execute("UPDATE index_files SET name = replace(name, ?, ?)", [ours, theirs])
    for file in (tmp_path / "catalogue" / "index").glob(f"{ours}.*"):
        file.rename(file.with_name(file.name.replace(ours, theirs)))
    return tmp_path / "catalogue"


@pytest.fixture
def sounds(old: Path) -> Path:
    return old.parent / "sounds"


def vectors_by_encoder(catalogue: Path) -> dict[str, int]:
    indexes = json.loads(echoic("status", "--json", catalogue=catalogue))["indexes"]
    return {index["encoder"]["name"]: index["n_recordings"] for index in indexes}


@pytest.mark.parametrize("encoder", [None, FAMILY, OLD])
def test_a_search_says_which_encoder_made_the_vectors_and_what_to_run(
    sounds: Path, old: Path, encoder: str | None
) -> None:
    chosen = ["--encoder", encoder] if encoder else []
    for question in (["search", "a tone"], ["similar", str(sounds / "sound-0.wav")]):
        said = echoic(*question, *chosen, catalogue=old, code=2)
        assert f"are by {OLD}, which this Echoic does not have" in said
        assert f"`echoic index --encoder {FAMILY}`" in said
        assert f"`echoic forget --encoder {OLD}`" in said


def test_an_encoder_that_nobody_has_is_not_taken_for_an_old_one(old: Path) -> None:
    said = echoic("search", "tone", "--encoder", "nonsense", catalogue=old, code=2)
    assert "no encoder 'nonsense'" in said


def test_status_tells_what_to_do_until_the_old_vectors_have_been_forgotten(old: Path) -> None:
    said = echoic("status", catalogue=old)
    assert f"{OLD}: 3 segments" in said
    assert "cannot be searched" in said
    assert f"`echoic index --encoder {FAMILY}`" in said
    (index,) = json.loads(echoic("status", "--json", catalogue=old))["indexes"]
    assert index["is_searchable"] is False
    echoic("index", "--encoder", FAMILY, catalogue=old)
    said = echoic("status", catalogue=old)
    assert f"so these can go: `echoic forget --encoder {OLD}`" in said
    assert "`echoic index --encoder" not in said
    echoic("forget", "--encoder", OLD, "--yes", catalogue=old)
    assert OLD not in echoic("status", catalogue=old)


def test_all_that_is_indexed_is_embedded_anew_from_one_decode(sounds: Path, old: Path) -> None:
    write_sound(sounds / "not-indexed.wav", seed=9)
    (sounds / "list.csv").write_text("path,title\nsound-0.wav,A tone\n")
    echoic("index", "--manifest", sounds / "list.csv", catalogue=old)  # embeds one of them
    said = echoic("index", "--encoder", FAMILY, "--json", catalogue=old)
    lines = [json.loads(line) for line in said.splitlines()]
    planned = {line["collection"]: line["to_do"] for line in lines if line["event"] == "planned"}
    assert planned == {"list": 0, "sounds": 2}
    finished = lines[-1]
    assert finished["outcomes"] == {"updated": 2}
    assert finished["audio_s"] == pytest.approx(2.0)  # each of them once
    assert not {"describe", "fingerprint"} & set(finished["cpu_s"])  # these were there
    assert vectors_by_encoder(old) == {OLD: 3, DEFAULT_ENCODER: 3}
    said = echoic("index", "--encoder", FAMILY, "--collection", "sounds", catalogue=old)
    assert "3 audio files: 3 unchanged." in said
    assert "All is well" in echoic("check", catalogue=old)


def test_old_and_new_vectors_never_meet(old: Path) -> None:
    echoic("index", "--encoder", FAMILY, catalogue=old)
    with Catalogue.open(old) as catalogue:
        query = catalogue.vectors(1, OLD).astype(np.float32)
        found = {}
        for name in (OLD, DEFAULT_ENCODER):
            index = SegmentIndex.open(catalogue, name)
            assert len(index) == 3
            _, segments = index.search(query, 9)
            found[name] = segments[segments >= 0].tolist()
            assert len(found[name]) == 3
    echoic("forget", "--encoder", OLD, "--yes", catalogue=old)
    assert vectors_by_encoder(old) == {DEFAULT_ENCODER: 3}
    assert not list((old / "index").glob(f"{slug(OLD)}*"))
    with Catalogue.open(old) as catalogue:
        _, segments = SegmentIndex.open(catalogue, DEFAULT_ENCODER).search(query, 9)
        assert segments[segments >= 0].tolist() == found[DEFAULT_ENCODER]


def test_what_is_not_yet_embedded_anew_is_counted_beside_the_answer(
    sounds: Path, old: Path
) -> None:
    echoic("index", sounds / "sound-0.wav", catalogue=old)
    assert "2 recordings have no vectors by it yet" in echoic("status", catalogue=old)
    ran = CliRunner().invoke(cli, ["search", "tone"], env={"ECHOIC_CATALOGUE": str(old)})
    assert f"2 recordings have no vectors by {DEFAULT_ENCODER}" in ran.stderr
    assert f"`echoic index --encoder {DEFAULT_ENCODER}`" in ran.stderr


def test_a_disk_that_is_not_connected_is_left_out_and_nothing_of_it_marked_missing(
    old: Path, sounds: Path, tmp_path: Path
) -> None:
    write_sound(tmp_path / "tapes" / "tape.wav", seed=5)
    echoic("index", tmp_path / "tapes", catalogue=old)
    echoic("forget", "--encoder", DEFAULT_ENCODER, "--yes", catalogue=old)
    away = sounds.rename(tmp_path / "away")
    sounds.mkdir()  # a mount point without its disk
    said = echoic("index", "--encoder", FAMILY, catalogue=old, code=1)
    assert "1 audio file: 1 updated" in said
    assert "no file of theirs is there: sounds" in said
    assert "missing" not in echoic("status", catalogue=old)
    sounds.rmdir()
    away.rename(sounds)
    assert "3 updated" in echoic("index", "--encoder", FAMILY, catalogue=old)
    assert vectors_by_encoder(old)[DEFAULT_ENCODER] == 4


def test_with_nothing_in_reach_it_says_what_to_do(old: Path, sounds: Path, tmp_path: Path) -> None:
    sounds.rename(tmp_path / "away")
    said = echoic("index", "--encoder", FAMILY, catalogue=old, code=2)
    assert "echoic relocate" in said
    empty = tmp_path / "empty"
    assert "name a folder" in echoic("index", "--encoder", FAMILY, catalogue=empty, code=2)


def test_failures_are_tried_again_with_the_encoders_that_are_here(old: Path, sounds: Path) -> None:
    (sounds / "bad.wav").write_text("not audio")
    assert "3 updated" in echoic("index", sounds, catalogue=old, code=1)
    write_sound(sounds / "bad.wav", seed=8)
    assert "1 new" in echoic("failures", "--retry", catalogue=old)
    assert vectors_by_encoder(old) == {OLD: 3, DEFAULT_ENCODER: 4}


def test_forgetting_an_encoder_that_has_no_vectors_names_those_that_have(old: Path) -> None:
    said = echoic("forget", "--encoder", "nonsense", "--yes", catalogue=old, code=2)
    assert f"it holds: {OLD}" in said


def test_status_says_that_fingerprints_which_nobody_looks_up_can_go(
    sounds: Path, old: Path
) -> None:
    older = "echoic-landmarks/1"
    with sqlite3.connect(old / "catalogue.sqlite") as connection:
        connection.execute("UPDATE fingerprint_schemes SET name = ?", [older])
        connection.execute("DELETE FROM postings_files")
        connection.execute("DELETE FROM index_files")
    said = echoic("status", catalogue=old)
    assert said.count("(not in use)") == 2
    assert "lags behind" not in said
    assert "`echoic index FOLDER` again makes new ones; after that these can go" in said
    assert f"`echoic forget --fingerprinter {older}`" in said
    (part,) = json.loads(echoic("status", "--json", catalogue=old))["fingerprints"]
    assert part["is_searchable"] is False
    with Catalogue.open(old) as opened:
        unused = "Not in use by this Echoic: see echoic status"
        assert _health(overview.status(opened)) == [(OLD, unused), (older, unused)]
    echoic("index", sounds, catalogue=old)
    said = echoic("status", catalogue=old)
    assert f"so these can go: `echoic forget --fingerprinter {older}`" in said
    echoic("forget", "--fingerprinter", older, "--yes", catalogue=old)
    assert older not in echoic("status", catalogue=old)

"""The command line as a user meets it: real files, real exit codes, and real processes."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.errors import CatalogueLocked
from db.writer import CatalogueWriter
from indexer.fingerprint import DEFAULT_FINGERPRINTER
from tests.indexer.conftest import write_sound
from tests.ui.running import PROJECT, as_process, within
from ui.cli import cli
from ui.commands.index import _move_vectors

Run = Callable[..., tuple[str, str]]


def echoic(
    *arguments: str | Path,
    catalogue: Path | None = None,
    code: int = 0,
    run: Run = within,
    **environment: str,
) -> str:
    """Run a command; return what it prints, after making sure of its exit code."""
    if catalogue:
        environment["ECHOIC_CATALOGUE"] = str(catalogue)
    out, err = run(*arguments, code=code, **environment)
    return out if code in (0, 1) else err


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    root = tmp_path / "sounds"
    for number in range(3):
        write_sound(root / f"sound-{number}.wav", seed=number)
    return root


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    return tmp_path / "catalogue"


def test_a_repair_of_one_machines_files_moves_nothing(catalogue: Path) -> None:
    words = ["repair", "--index-only", "--vectors", "files"]
    assert "leave out --index-only" in echoic(*words, catalogue=catalogue, code=2)


def test_saying_where_the_vectors_are_already_keeps_no_other_writer_out(catalogue: Path) -> None:
    with Catalogue.open(catalogue, create=True) as opened, CatalogueWriter(opened):
        _move_vectors(str(catalogue), "files")
        with pytest.raises(CatalogueLocked):
            _move_vectors(str(catalogue), "http://host:19530")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_explains_itself(name: str) -> None:
    said = echoic(name, "--help")
    assert "Usage: echoic" in said
    assert len(said.split("Options:")[0].split()) > 8


def test_help_loads_no_model_no_database_and_no_audio_library() -> None:
    script = (
        "import sys\n"
        "from ui.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'scipy', 'librosa', 'faiss', 'onnxruntime', 'sqlalchemy', 'av',\n"
        "         'soundfile', 'soxr', 'alembic', 'rich', 'huggingface_hub', 'tokenizers'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert ran.stderr.strip() == "[]"


def test_index_then_search_then_similar_in_every_format(sounds: Path, catalogue: Path) -> None:
    said = echoic("index", sounds, catalogue=catalogue)
    assert "3 audio files: 3 new." in said
    said = echoic("search", "a", "steady", "tone", "-k", "2", "--weak", catalogue=catalogue)
    assert len([line for line in said.splitlines() if ".wav" in line]) == 2
    answer = json.loads(echoic("search", "tone", "--json", "--weak", catalogue=catalogue))
    assert answer["n_allowed"] == 3
    hits = answer["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert {hit["path"] for hit in hits} == {str(sounds / f"sound-{n}.wav") for n in range(3)}
    assert all(hit["passages"][0]["onset_s"] == 0.0 for hit in hits)
    table = echoic("similar", sounds / "sound-1.wav", "--csv", "--weak", catalogue=catalogue)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == 2
    assert float(rows[0]["score"]) >= float(rows[1]["score"])
    by_name = echoic("search", "--by", "words", "sound 2", catalogue=catalogue)
    assert "sound-2.wav" in by_name.splitlines()[0]
    assert by_name.count(".wav") == 1


def test_each_failure_is_told_once_and_counted(sounds: Path, catalogue: Path) -> None:
    (sounds / "bad.wav").write_text("not audio")
    said = echoic("index", sounds, "--no-fingerprints", catalogue=catalogue, code=1)
    assert said.count("bad.wav") == 1
    assert "4 audio files: 3 new, 1 not indexed.\n" in said
    said = echoic("index", sounds, sounds, "--no-fingerprints", catalogue=catalogue, code=1)
    assert "4 audio files: 3 unchanged, 1 not indexed.\n" in said  # named twice, counted once


def test_what_cannot_be_looked_at_is_counted_apart_from_the_audio_files(
    tmp_path: Path, catalogue: Path
) -> None:
    for name in ("bad-1.wav", "bad-2.wav"):
        write_sound(tmp_path / "odd" / name).write_text("not audio")
    (tmp_path / "odd" / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    at = {"ECHOIC_CATALOGUE": str(catalogue)}
    said, _ = within("index", tmp_path / "odd", "--no-fingerprints", code=2, **at)
    assert "2 audio files: 2 not indexed.\n2 files could not be indexed, as told above.\n" in said
    assert "1 file or folder could not even be looked at, as told above.\n" in said
    said, _ = within("index", tmp_path / "odd", "--no-fingerprints", code=2, **at)
    assert "files could not be indexed" not in said  # they failed before
    assert "1 file or folder could not even be looked at, as told above.\n" in said
    said = echoic("failures", catalogue=catalogue, code=1)
    assert "2 files could not be indexed.\n1 file or folder could not even be looked at" in said
    (tmp_path / "odd" / "link.wav").unlink()
    within("index", tmp_path / "odd", "--no-fingerprints", code=2, **at)
    assert "looked at" not in echoic("failures", catalogue=catalogue, code=1)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always text")
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (b"caf\xe9.wav", r"the name of the file {}/caf\xe9.wav is"),
        (b"caf\xe9/in.wav", r"the name of the folder {}/caf\xe9 is"),
        (b"not there \xe9.wav", r"there is no file or folder {}/not there \xe9.wav"),
    ],
)
def test_it_is_told_whose_name_is_no_text(
    name: bytes, fault: str, tmp_path: Path, catalogue: Path
) -> None:
    path = tmp_path / os.fsdecode(name)
    if not name.startswith(b"not"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    said = echoic("index", path, catalogue=catalogue, code=2)
    assert fault.format(tmp_path) in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
def test_a_reader_that_has_enough_ends_a_command_quietly(sounds: Path, catalogue: Path) -> None:
    echoic("index", sounds, "--no-fingerprints", catalogue=catalogue)
    for arguments in (["status"], ["search", "name:sound", "--csv"]):
        ends = os.pipe()
        os.close(ends[0])
        ran = subprocess.run(
            [sys.executable, "-m", "ui", *arguments, "--catalogue", str(catalogue)],
            stdout=ends[1],
            stderr=subprocess.PIPE,
            check=False,
            cwd=PROJECT,
        )
        os.close(ends[1])
        assert (ran.returncode, ran.stderr) == (141, b"")  # as after SIGPIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told_in_a_sentence(sounds: Path, catalogue: Path) -> None:
    echoic("index", sounds, "--no-fingerprints", catalogue=catalogue)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "ui", "status", "--catalogue", str(catalogue)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            cwd=PROJECT,
        )
    assert (ran.returncode, ran.stderr.count(b"\n")) == (2, 1)
    assert b"make room" in ran.stderr


def test_exit_codes_tell_what_happened(sounds: Path, catalogue: Path, tmp_path: Path) -> None:
    echoic("index", sounds, catalogue=catalogue, run=as_process, code=0)
    (sounds / "bad.wav").write_text("not audio")
    assert "bad.wav" in echoic("index", sounds, catalogue=catalogue, run=as_process, code=1)
    assert "failed before" in echoic("index", sounds, catalogue=catalogue, run=as_process, code=1)
    said = echoic("failures", catalogue=catalogue, run=as_process, code=1)
    assert "bad.wav" in said
    assert "not audio" in said
    assert "2 times" in echoic(
        "failures", "--retry", catalogue=catalogue, run=as_process, code=2
    ) + echoic("failures", catalogue=catalogue, run=as_process, code=1)
    (sounds / "bad.wav").unlink()
    echoic("index", sounds, catalogue=catalogue, run=as_process, code=0)
    echoic("failures", catalogue=catalogue, run=as_process, code=0)
    empty = tmp_path / "empty"
    empty.mkdir()
    echoic("index", empty, catalogue=catalogue, run=as_process, code=2)
    assert "no file or folder" in echoic(
        "index", tmp_path / "no", catalogue=catalogue, run=as_process, code=2
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["search", "dog"], "there is no catalogue"),
        (["search", "   "], "say what to search for"),
        (["search"], "Missing argument"),
        (["index"], "name a folder"),
        (["index", "x", "--manifest", "y"], "not both"),
        (["index", ".", "--encoder", "nonsense"], "no encoder 'nonsense'"),
        (["index", "--manifest", "nowhere.csv"], "nowhere.csv"),
        (["status"], "there is no catalogue"),
        (["forget"], "name one thing"),
        (["fetch", "nonsense"], "no manifest 'nonsense'"),
        (["similar", "nowhere.wav"], "there is no catalogue"),
        (["similar", "#1", "--from", "1:00", "--to", "3"], "ends before it begins"),
        (["search", "dog", "--csv", "--json"], "not both"),
        (["search", "dog", "--csv", "--facet", "tag"], "exports hold hits and no counts"),
        (["search", "-music dog"], "search ... -- '-music dog'"),
        (["saved", "add", "x", "-kick", "drum"], "which ends the options"),
        (["watch", __file__], "is a single file: name its folder"),
        (["watch", "not there"], "is not there"),
    ],
)
def test_mistakes_get_a_sentence_and_no_traceback(
    arguments: list[str], expected: str, catalogue: Path
) -> None:
    said = echoic(*arguments, catalogue=catalogue, code=2)
    assert expected in said


def test_json_lines_tell_of_every_step(sounds: Path, catalogue: Path) -> None:
    lines = [
        json.loads(line)
        for line in echoic("index", sounds, "--json", catalogue=catalogue).splitlines()
    ]
    kinds = [line["event"] for line in lines]
    assert kinds == ["planned", "done", "done", "done", "indexing", "indexing", "finished"]
    assert [line["index"] for line in lines if "index" in line] == [
        "echoic-mini/2",
        "echoic-landmarks/3",
    ]
    assert lines[-1]["outcomes"] == {"added": 3}
    assert lines[-1]["audio_s"] == pytest.approx(3.0)


def test_status_show_relocate_and_forget(sounds: Path, catalogue: Path, tmp_path: Path) -> None:
    echoic("index", sounds, catalogue=catalogue)
    said = echoic("status", catalogue=catalogue)
    assert "3 recordings" in said
    assert "up to date" in said
    assert json.loads(echoic("status", "--json", catalogue=catalogue))["n_recordings"] == 3
    shown = echoic("show", "sound-1.wav", catalogue=catalogue)
    assert "16,000 Hz" in shown
    assert "sha256:" in shown
    assert "spectral_centroid_hz" in shown
    assert "landmarks by echoic-landmarks/3" in shown
    moved = tmp_path / "moved"
    sounds.rename(moved)
    assert "is not there" in echoic("check", catalogue=catalogue, code=1)
    echoic("relocate", "sounds", tmp_path, catalogue=catalogue, code=2)
    assert "3 of 3 files" in echoic("relocate", "sounds", moved, catalogue=catalogue)
    assert "All is well" in echoic("check", "--contents", catalogue=catalogue)
    assert "3 unchanged" in echoic("index", moved, catalogue=catalogue)
    assert "nothing to forget" in echoic("forget", "--missing", catalogue=catalogue)
    echoic("forget", "sound-1.wav", "--yes", catalogue=catalogue)
    assert "All is well" in echoic("check", catalogue=catalogue)
    assert "2 recordings" in echoic("status", catalogue=catalogue)
    assert (moved / "sound-1.wav").exists()
    echoic("forget", "--collection", "sounds", "--yes", catalogue=catalogue)
    assert "0 recordings" in echoic("status", catalogue=catalogue)


def test_fingerprints_can_be_left_out_added_later_and_forgotten(
    sounds: Path, catalogue: Path
) -> None:
    echoic("index", sounds, "--no-fingerprints", catalogue=catalogue)
    assert "No fingerprints yet" in echoic("status", catalogue=catalogue)
    assert "landmarks" not in echoic("show", "1", catalogue=catalogue)
    assert "3 updated" in echoic("index", sounds, catalogue=catalogue)
    said = echoic("status", catalogue=catalogue)
    assert said.count("up to date") == 2
    (state,) = json.loads(echoic("status", "--json", catalogue=catalogue))["fingerprints"]
    assert (state["scheme"]["name"], state["n_recordings"]) == ("echoic-landmarks/3", 3)
    assert state["n_landmarks"] > 0
    assert state["up_to_date"]
    (shown,) = json.loads(echoic("show", "1", "--json", catalogue=catalogue))
    assert shown["n_landmarks"]["echoic-landmarks/3"] > 0
    write_sound(sounds / "late.wav", seed=9)
    echoic("index", sounds, "--no-fingerprints", catalogue=catalogue)
    assert "1 recording has no fingerprint yet" in echoic("status", catalogue=catalogue)
    forget = ("forget", "--fingerprinter", "echoic-landmarks/3", "--yes")
    assert "Forgot all fingerprints" in echoic(*forget, catalogue=catalogue)
    assert "No fingerprints yet" in echoic("status", catalogue=catalogue)
    assert "no fingerprints by" in echoic(*forget, catalogue=catalogue, code=2)
    assert "All is well" in echoic("check", catalogue=catalogue)


def test_parts_of_fingerprints_that_are_out_of_reach_are_told(
    sounds: Path, catalogue: Path
) -> None:
    echoic("index", sounds, catalogue=catalogue)
    away = {"ECHOIC_FINGERPRINTS": "ray:127.0.0.1:1"}
    said = echoic("check", catalogue=catalogue, code=1, **away)
    assert "fingerprints: the parts on ray:127.0.0.1:1 could not be asked" in said
    assert "`echoic repair --fingerprints files`" in said
    assert "1 problem found." in said
    scheme = DEFAULT_FINGERPRINTER.replace("/", "-")
    left = catalogue / "index" / "parts" / f"{scheme}.1-of-2" / "index"
    left.mkdir(parents=True)
    _, note = within(
        *("forget", "--fingerprinter", "echoic-landmarks/3", "--yes"),
        ECHOIC_CATALOGUE=str(catalogue),
        **away,
    )
    assert "Note: the parts of echoic-landmarks/3 on ray:127.0.0.1:1 could not be ended" in note
    assert not left.exists()


def test_damaged_fingerprints_are_found_dropped_and_made_again(
    sounds: Path, catalogue: Path
) -> None:
    echoic("index", sounds, catalogue=catalogue)
    with sqlite3.connect(catalogue / "catalogue.sqlite") as connection:
        connection.execute("UPDATE fingerprints SET landmarks = x'00' WHERE recording_id = 2")
    said = echoic("check", catalogue=catalogue, code=1)
    assert "fingerprints: recording 2: the fingerprint does not match its checksum" in said
    assert "echoic repair" in said
    assert "fingerprint of recording 2" in echoic("repair", catalogue=catalogue)
    assert "All is well" in echoic("check", catalogue=catalogue)
    assert "1 updated, 2 unchanged" in echoic("index", sounds, catalogue=catalogue)
    assert "of 3 recordings, fingerprints" in echoic("status", catalogue=catalogue)


def test_check_finds_and_repair_mends(sounds: Path, catalogue: Path) -> None:
    echoic("index", sounds, catalogue=catalogue)
    for index_file in (catalogue / "index").iterdir():
        index_file.write_bytes(b"garbage")
    assert echoic("check", catalogue=catalogue, code=1).count("index:") == 2
    out, err = within("search", "tone", "--catalogue", catalogue)
    assert len(out.splitlines()) == 3  # answered from the database
    assert "echoic repair" in err
    assert "anew" in echoic("repair", catalogue=catalogue)
    assert "All is well" in echoic("check", catalogue=catalogue)
    assert "Nothing to repair" in echoic("repair", catalogue=catalogue)


def test_ctrl_c_ends_after_the_files_in_hand_and_the_next_run_goes_on(
    tmp_path: Path, catalogue: Path
) -> None:
    root = tmp_path / "many"
    for number in range(80):
        write_sound(root / f"{number}.wav", seed=number, length_s=20.0)
    with subprocess.Popen(
        [sys.executable, "-m", "ui", "index", str(root), "--json", "--catalogue", str(catalogue)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:
        assert process.stdout and process.stderr
        for _ in range(4):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        finished = json.loads(process.stdout.read().splitlines()[-1])
        assert "Stopping after the files in hand" in process.stderr.read()
    assert process.returncode == 130
    assert finished["stopped"]
    n_done = finished["outcomes"]["added"]
    assert 3 <= n_done < 80
    assert "All is well" in echoic("check", catalogue=catalogue)
    assert f"{80 - n_done} new, {n_done} unchanged" in echoic("index", root, catalogue=catalogue)


def test_ctrl_c_twice_stops_at_once_and_nothing_is_lost(tmp_path: Path, catalogue: Path) -> None:
    root = tmp_path / "many"
    for number in range(40):
        write_sound(root / f"{number}.wav", seed=number, length_s=20.0)
    with subprocess.Popen(
        [sys.executable, "-m", "ui", "index", str(root), "--json", "--catalogue", str(catalogue)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert "Stopping after" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    # The files in hand may have been finished in between; then the first Ctrl-C has ended it.
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "All is well" in echoic("check", catalogue=catalogue)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        *((good, 0) for good in ("0:00.5", "0.5", "0:0:0.5")),
        *((bad, 2) for bad in ("half", "1:2:3:4", "0:75", "0:60:00", "0:-1", "0.5:30", "-1:30")),
    ],
)
def test_times_may_be_given_as_they_are_printed(
    sounds: Path, catalogue: Path, given: str, code: int
) -> None:
    if code == 0:
        echoic("index", sounds, catalogue=catalogue)
    said = echoic(
        "similar", sounds / "sound-0.wav", "--from", given, catalogue=catalogue, code=code
    )
    assert ("is not a time" in said) == (code == 2)


def test_a_collection_whose_folder_was_moved_is_pointed_out(
    sounds: Path, catalogue: Path, tmp_path: Path
) -> None:
    echoic("index", sounds, catalogue=catalogue)
    moved = sounds.rename(tmp_path / "moved")
    _, err = within("index", moved, "--catalogue", catalogue)
    assert "echoic relocate sounds" in err
    assert "folder not there" in echoic("status", catalogue=catalogue)
    assert str(moved) in echoic("search", "tone", "-k", "1", catalogue=catalogue)
    said = echoic("relocate", "sounds", moved, catalogue=catalogue, code=2)
    assert "forget --collection moved" in said


def test_a_second_indexer_is_told_who_is_at_work(tmp_path: Path, catalogue: Path) -> None:
    from db.catalogue import Catalogue
    from db.writer import CatalogueWriter

    with Catalogue.open(catalogue, create=True) as opened, CatalogueWriter(opened):
        said = echoic("index", tmp_path, catalogue=catalogue, code=2)
    assert f"process {os.getpid()}" in said


def test_watch_takes_in_what_is_added_while_it_runs(sounds: Path, catalogue: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ui", "watch", str(sounds), "--json", "--catalogue", str(catalogue)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as process:
        assert process.stdout and process.stderr
        assert "Watching" in process.stderr.readline()
        time.sleep(0.5)
        write_sound(sounds / "late.wav", seed=42)
        n_runs = 0
        for line in process.stdout:
            event = json.loads(line)
            n_runs += event["event"] == "planned"
            if event["event"] == "done" and event["path"] == "late.wav":
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert n_runs == 2  # at the start, and for the new file
    assert "late.wav" in echoic("show", "late.wav", catalogue=catalogue)


def test_a_file_in_two_collections_is_told_and_is_no_duplicate(
    tmp_path: Path, catalogue: Path
) -> None:
    write_sound(tmp_path / "all" / "birds" / "wren.wav", seed=1)
    index = ("index", "--no-descriptors", "--no-fingerprints", "--workers", "1")
    assert "Warning" not in echoic(*index, tmp_path / "all" / "birds", catalogue=catalogue)
    said = echoic(*index, tmp_path / "all", catalogue=catalogue)
    assert f"'birds', {tmp_path / 'all' / 'birds'}, lies within that of 'all'" in said
    assert "Warning" not in echoic(*index, tmp_path / "all", catalogue=catalogue)
    assert (
        echoic("duplicates", catalogue=catalogue) == "No duplicates among what could be compared.\n"
    )
    (found,) = json.loads(echoic("search", "name:wren", "--json", catalogue=catalogue))["hits"]
    assert found["paths"] == [str(tmp_path / "all" / "birds" / "wren.wav")]


def test_that_two_collections_overlap_is_told_once_in_a_run(
    tmp_path: Path, catalogue: Path
) -> None:
    birds = tmp_path / "all" / "birds"
    write_sound(birds / "wren.wav", seed=1)
    index = ("index", "--no-descriptors", "--no-fingerprints", "--workers", "1")
    echoic(*index, birds, catalogue=catalogue)
    echoic(*index, birds, "--collection", "again", catalogue=catalogue)
    write_sound(birds / "wren.wav", seed=2, length_s=2.0)
    said = echoic(*index, birds, tmp_path / "all", catalogue=catalogue)
    for inner in ("birds", "again"):
        assert said.count(f"'{inner}', {birds}, lies within that of 'all'") == 1
    assert said.count(f"'again', {birds}, is also that of 'birds'") == 1


def test_numbers_and_formats_are_written_as_people_read_them(
    tmp_path: Path, catalogue: Path
) -> None:
    write_sound(tmp_path / "in" / "a.flac", seed=20, length_s=0.02)
    echoic("index", tmp_path / "in", "--no-fingerprints", catalogue=catalogue)
    said = echoic("show", "a.flac", catalogue=catalogue)
    assert "  20 ms, 16,000 Hz, 1 channel, FLAC, 16 bit, " in said
    (centroid,) = (line for line in said.splitlines() if "spectral_centroid_hz" in line)
    assert "e+" not in centroid


def test_names_that_are_not_ascii_are_printed_as_they_are(tmp_path: Path, catalogue: Path) -> None:
    write_sound(tmp_path / "klänge" / "Möwe 海鳥.wav")
    echoic("index", tmp_path / "klänge", catalogue=catalogue, run=as_process)
    assert "Möwe 海鳥.wav" in echoic(
        "search", "bird", "--weak", catalogue=catalogue, run=as_process, PYTHONIOENCODING="utf-8"
    )
    echoic(
        "search", "bird", "--weak", catalogue=catalogue, run=as_process, PYTHONIOENCODING="ascii"
    )


@pytest.mark.skipif(os.name != "posix", reason="such names cannot be had elsewhere")
def test_a_line_break_in_a_file_name_does_not_break_the_table(
    tmp_path: Path, catalogue: Path
) -> None:
    write_sound(tmp_path / "odd" / "two\nlines.wav")
    echoic("index", tmp_path / "odd", catalogue=catalogue)
    said = echoic("search", "tone", "--weak", catalogue=catalogue).splitlines()
    (line,) = [line for line in said if ".wav" in line]
    assert line.endswith(r"two\nlines.wav")


def test_the_default_catalogue_is_in_the_user_s_data_folder(sounds: Path, tmp_path: Path) -> None:
    said = echoic(
        "index", sounds, XDG_DATA_HOME=str(tmp_path / "data"), ECHOIC_CATALOGUE="", run=as_process
    )
    assert str(tmp_path / "data" / "echoic" / "catalogue") in said

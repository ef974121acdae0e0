"""``echoic identify`` and ``echoic duplicates`` on the demo archive, as a user meets them."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from db.records import Description, FileInfo, RecordingInfo, Technical
from search.duplicates import Duplicates, Group, Kind, Overlap, Pair
from tests.indexer.conftest import write_sound
from tests.ui.running import PROJECT, within
from ui.commands.duplicates import _print
from ui.commands.matches import change_text, odds_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELD = "field/field-recording-village-edge.flac"
EXCERPT = "copies/field-recording-excerpt.mp3"


def echoic(
    *arguments: str | Path, catalogue: Path, code: int = 0, given: bytes = b""
) -> tuple[str, str]:
    """Run a command; return what it prints and what it complains of."""
    return within(*arguments, code=code, given=given, ECHOIC_CATALOGUE=str(catalogue))


MORE_SOUND = "an excerpt of up to 15 s with more sound in it"
SILENT = "mixed to one channel it is silent, or nothing below 4 kHz stands out"


def _recording(number: int) -> RecordingInfo:
    files = (FileInfo(number, "tapes", "/tapes", f"{number}.wav", None, Description()),)
    technical = Technical(44.0, 16_000, 1, "WAV", "PCM_16", 16)
    return RecordingInfo(number, f"sha256:{number}", 1, technical, NOW, files, None, {}, {})


@pytest.fixture(scope="module")
def catalogue(demo: Path) -> Path:
    return demo / "catalogue"


@pytest.fixture(scope="module")
def field(demo: Path) -> Path:
    return demo / "sounds" / FIELD


@pytest.fixture(scope="module")
def excerpt(field: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of the field recording, from 2:00 on, with noise, in another format."""
    samples, sr = soundfile.read(field, start=120 * 32_000, stop=130 * 32_000)
    mono = samples.mean(axis=1)
    noise = np.random.default_rng(1).standard_normal(len(mono)) * 0.2 * mono.std()
    path = tmp_path_factory.mktemp("queries") / "excerpt.ogg"
    soundfile.write(path, mono + noise, sr)
    return path


@pytest.fixture(scope="module")
def programme(field: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of noise, 25 s of the field recording from 1:00 on, 20 s of noise."""
    samples, sr = soundfile.read(field, start=60 * 32_000, stop=85 * 32_000)
    noise = np.random.default_rng(2).standard_normal(20 * sr) * 0.05
    path = tmp_path_factory.mktemp("programmes") / "radio.wav"
    soundfile.write(path, np.concatenate([noise, samples.mean(axis=1), noise]), sr)
    return path


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "unknown.wav", seed=3, length_s=8.0)


def test_an_excerpt_is_identified_in_every_format(
    excerpt: Path, field: Path, catalogue: Path
) -> None:
    out, err = echoic("identify", excerpt, catalogue=catalogue)
    header, line = out.splitlines()
    assert header.split()[:3] == ["in", "the", "query"]
    assert line.endswith(f"  {field}")
    assert "2:0" in line
    assert "1 in " in line
    assert not err
    ((answer),) = json.loads(echoic("identify", excerpt, "--json", catalogue=catalogue)[0])
    (match,) = answer["matches"]
    assert (answer["query"], answer["error"]) == (str(excerpt), None)
    assert match["path"] == str(field)
    assert match["onset_s"] - match["query_onset_s"] == pytest.approx(120.0, abs=0.1)
    assert (match["speed"], match["pitch"]) == (1.0, 1.0)
    assert 0 <= match["p_false"] <= 1e-3
    out, _ = echoic("identify", excerpt, "--csv", catalogue=catalogue)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["query"], row["path"]) == (str(excerpt), str(field))
    assert float(row["score"]) == match["score"]


def test_what_noise_all_but_hides_is_found_by_reading_the_archives_files(
    field: Path, tmp_path: Path
) -> None:
    tapes = tmp_path / "tapes"
    tapes.mkdir()
    shutil.copy(field, tapes / "village.flac")
    catalogue = tmp_path / "catalogue"
    echoic("index", tapes, "--no-descriptors", catalogue=catalogue)
    samples, sr = soundfile.read(field, start=100 * 32_000, stop=110 * 32_000)
    mono = samples.mean(axis=1)
    noise = np.random.default_rng(1).standard_normal(len(mono)) * 16 * mono.std()
    query = tmp_path / "noisy.wav"
    soundfile.write(query, (mono + noise) / np.abs(mono + noise).max(), sr)
    out, err = echoic("identify", query, catalogue=catalogue)
    assert out.splitlines()[1].split()[:2] == ["0:00.0-0:10.0", "1:40.0-1:50.0"]
    assert not err
    for command in ("identify", "--all-occurrences"), ("identify", "--json"):
        assert "village.flac" in echoic(*command, query, catalogue=catalogue)[0]
    out, err = echoic("identify", query, "--fingerprints-only", catalogue=catalogue)
    assert "Nothing in the archive matches" in out
    assert not err.startswith("Note")
    tapes.rename(tmp_path / "away")
    out, err = echoic("identify", query, catalogue=catalogue)
    assert "Nothing in the archive matches" in out
    assert "Note: 1 recording that may match could not be read" in err
    why = "the file is not there: village.flac"
    assert why in err
    # Programs that read the tables are told as well, and of which query.
    (answer,) = json.loads(echoic("identify", query, "--json", catalogue=catalogue)[0])
    (unread,) = answer["unread"]
    assert unread["path"] == str(tapes / "village.flac")
    assert unread["reason"].startswith(why)
    assert unread["recording_id"] == 1
    out, _ = echoic("identify", query, "--csv", catalogue=catalogue)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["path"], row["unread"]) == ("", "1")
    # So is who searches for its copies, and for what is none.
    for term in f"copyof:{query}", f"village -copyof:{query}":
        _, err = echoic("search", term, catalogue=catalogue)
        assert err.count(why) == 1, err


def test_a_sound_comes_on_standard_input(excerpt: Path, field: Path, catalogue: Path) -> None:
    given = excerpt.read_bytes()
    out, _ = echoic("identify", "-", "--json", catalogue=catalogue, given=given)
    (answer,) = json.loads(out)
    assert answer["query"] == "-"
    assert answer["matches"][0]["path"] == str(field)
    out, err = echoic("identify", "-", catalogue=catalogue, given=b"no audio at all", code=2)
    assert not out
    assert err.startswith("Failed: standard input: not audio")
    _, err = echoic("identify", "-", catalogue=catalogue, code=2)
    assert err.strip() == "Failed: standard input: empty: 0 bytes"


def test_a_part_of_a_file_is_identified_with_the_times_of_the_file(
    programme: Path, field: Path, catalogue: Path
) -> None:
    part = ("--from", "0:22", "--to", "0:32")
    out, _ = echoic("identify", programme, *part, "--json", catalogue=catalogue)
    (match,) = json.loads(out)[0]["matches"]
    assert match["path"] == str(field)
    assert 21.9 <= match["query_onset_s"] < match["query_offset_s"] <= 32.1
    assert match["onset_s"] - match["query_onset_s"] == pytest.approx(40.0, abs=0.1)


def test_every_occurrence_is_found(demo: Path, catalogue: Path) -> None:
    copy = demo / "sounds" / EXCERPT
    part = ("--from", "5", "--to", "15", "--all-occurrences", "--csv")
    out, _ = echoic("identify", copy, *part, catalogue=catalogue)
    paths = {row["path"] for row in csv.DictReader(io.StringIO(out))}
    assert paths == {str(copy), str(demo / "sounds" / FIELD)}
    out, _ = echoic("identify", copy, *part, "--limit", "1", catalogue=catalogue)
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["path"] == str(copy)  # it is its own best match


def test_nothing_significant_is_said_plainly_and_is_no_failure(
    unknown: Path, catalogue: Path
) -> None:
    out, _ = echoic("identify", unknown, catalogue=catalogue)
    assert out.splitlines()[0] == "Nothing in the archive matches."
    assert "--max-change 10" in out
    out, _ = echoic("identify", unknown, "--max-change", "10", catalogue=catalogue)
    assert "up to 15 s" in out
    assert "--max-change" not in out
    assert json.loads(echoic("identify", unknown, "--json", catalogue=catalogue)[0]) == [
        {
            "query": str(unknown),
            "error": None,
            "identical": None,
            "matches": [],
            "too_little": None,
            "unread": [],
            "warnings": [],
        }
    ]


def test_a_query_whose_end_is_cut_off_is_answered_and_that_is_said(
    programme: Path, field: Path, catalogue: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.wav"
    data = programme.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    warning = "the header promises 65.0 s, the file holds 32.5 s"
    out, err = echoic("identify", cut, catalogue=catalogue)
    assert out.rstrip().endswith(f"  {field}")
    assert err == f"Note: {cut}: {warning}.\n"
    (answer,) = json.loads(echoic("identify", cut, "--json", catalogue=catalogue)[0])
    assert answer["warnings"] == [warning]
    out, _ = echoic("identify", cut, "--csv", catalogue=catalogue)
    assert {row["warnings"] for row in csv.DictReader(io.StringIO(out))} == {warning}
    _, err = echoic("search", f"copyof:{cut}", catalogue=catalogue)
    assert f"Note: {cut}: {warning}." in err.splitlines()
    # It may be why the part that is asked for is not there.
    for part, reason in (
        (("--from", "0:40", "--to", "0:50"), f"the file ends at 32.50 s ({warning})"),
        (("--from", "0:20", "--to", "0:50"), f"the file at 32.50 s ({warning}): to go to its end"),
    ):
        _, err = echoic("identify", cut, *part, catalogue=catalogue, code=2)
        assert reason in err
    # Where what is missing was not asked for there is nothing to say.
    _, err = echoic("identify", cut, "--from", "0:22", "--to", "0:32", catalogue=catalogue)
    assert not err


def test_what_has_no_copies_because_it_cannot_be_recognised_or_read_is_said(
    excerpt: Path, field: Path, catalogue: Path, tmp_path: Path
) -> None:
    delivered = tmp_path / "delivered"
    delivered.mkdir()
    shutil.copy(excerpt, delivered)
    short = write_sound(delivered / "short.wav", seed=1, length_s=0.5)
    (delivered / "empty.wav").touch()
    out, err = within("search", f"copyof:{delivered}", "--catalogue", catalogue)
    assert field.name in out
    assert err.splitlines() == [
        f"Note: {delivered / 'empty.wav'} was left out: empty: 0 bytes.",
        f"Note: {short}: 0.50 s are too short: below 1 s nothing is tried.",
    ]
    _, err = echoic("search", f"copyof:{delivered / 'empty.wav'}", catalogue=catalogue, code=2)
    assert "empty: 0 bytes" in err


def test_where_the_query_itself_is_too_little_that_is_said(catalogue: Path, tmp_path: Path) -> None:
    silent, short, late = (tmp_path / f"{name}.wav" for name in ("silent", "short", "late"))
    rate = 16_000
    soundfile.write(silent, np.zeros(3 * rate), rate)
    noise = np.random.default_rng(0).standard_normal(3 * rate).astype(np.float32)
    soundfile.write(short, 0.1 * noise[: rate // 2], rate)
    sounds_late = np.concatenate([np.zeros(3 * rate), 0.1 * noise])
    soundfile.write(late, sounds_late, rate)
    out, _ = echoic("identify", silent, catalogue=catalogue)
    assert out.splitlines() == [f"Nothing in the archive matches: {SILENT}."]
    out, _ = echoic("identify", short, catalogue=catalogue)
    assert out.splitlines() == [
        "Nothing in the archive matches: 0.50 s are too short: below 1 s nothing is tried."
    ]
    part = ("--from", "1", "--to", "2.5")
    assert "it is silent" in echoic("identify", late, *part, catalogue=catalogue)[0]
    out, _ = echoic("identify", late, silent, catalogue=catalogue)
    assert [line for line in out.splitlines() if line.startswith("Nothing")] == [
        "Nothing in the archive matches.",
        f"Nothing in the archive matches: {SILENT}.",
    ]
    assert out.splitlines()[-1] == (
        f"What may help: {MORE_SOUND}, or --max-change 10 for a tape at the wrong speed."
    )
    out, _ = echoic("identify", late, "--p-false", "1e-6", "--max-change", 10, catalogue=catalogue)
    assert out.splitlines()[-1] == (f"What may help: {MORE_SOUND}, or --p-false 0.001, as usual.")
    out, _ = echoic(
        "identify", late, "--fingerprints-only", "--max-change", 10, catalogue=catalogue
    )
    assert out.splitlines()[-1] == (
        f"What may help: {MORE_SOUND}, or the archive's own files, without --fingerprints-only."
    )
    _, err = echoic("identify", late, silent, "--cue", catalogue=catalogue)
    assert err == f"Note: {silent}: nothing can be recognised: {SILENT}.\n"
    out, _ = echoic("identify", late, silent, "--json", catalogue=catalogue)
    assert [answer["too_little"] for answer in json.loads(out)] == [None, SILENT]
    out, _ = echoic("identify", late, silent, "--csv", catalogue=catalogue)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["path"], row["too_little"]) for row in rows] == [("", ""), ("", SILENT)]


def test_of_a_long_query_a_part_is_advised_for_that_is_looked_for_harder(
    unknown: Path, catalogue: Path, tmp_path: Path
) -> None:
    long = write_sound(tmp_path / "long.wav", seed=4, length_s=16.0)
    part = (
        "of a query above 15 s, a part of 10 to 15 s (--from, --to), which is searched for harder"
    )
    out, _ = echoic("identify", long, catalogue=catalogue)
    assert part in out.splitlines()[-1]
    assert "excerpt of up to 15 s" not in out
    # One that is not, for its part is not.
    out, _ = echoic("identify", long, "--to", "12", catalogue=catalogue)
    assert part not in out
    assert MORE_SOUND in out
    # The archive's files are read for short ones alone, so that advice is given for these alone.
    without = ("--fingerprints-only", "--max-change", 10)
    out, _ = echoic("identify", long, *without, catalogue=catalogue)
    assert out.splitlines()[-1] == f"What may help: {part}."
    out, _ = echoic("identify", unknown, *without, "--all-occurrences", catalogue=catalogue)
    assert out.splitlines()[-1] == (
        f"What may help: {MORE_SOUND}, or the likeliest place alone, without "
        "--all-occurrences, or the archive's own files, without --fingerprints-only."
    )
    out, _ = echoic("identify", long, unknown, catalogue=catalogue)
    assert f"{MORE_SOUND}, or {part}, or" in out.splitlines()[-1]


def test_without_a_catalogue_nothing_is_written_to_a_table(unknown: Path, tmp_path: Path) -> None:
    out, err = echoic("identify", unknown, "--csv", catalogue=tmp_path / "nowhere", code=2)
    assert out == ""
    assert "nowhere" in err


def test_a_folder_is_gone_through_and_a_bad_file_does_not_stop_it(
    excerpt: Path, unknown: Path, field: Path, catalogue: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(excerpt, folder / "deep" / "known.ogg")
    shutil.copy(unknown, folder / "unknown.wav")
    (folder / "bad.wav").write_text("not audio")
    (folder / "notes.txt").write_text("no sound by its name")
    out, err = echoic("identify", folder, catalogue=catalogue, code=1)
    assert err.startswith(f"Failed: {folder / 'bad.wav'}: not audio")
    assert len(err.splitlines()) == 1
    said = out.splitlines()
    assert said[1] == str(folder / "deep" / "known.ogg")
    assert said[2].endswith(str(field))
    assert said[3:5] == [str(folder / "unknown.wav"), "Nothing in the archive matches."]
    assert said[5] == "3 queries: 1 found, 1 not, 1 failed."
    out, _ = echoic("identify", unknown, folder / "deep", catalogue=catalogue)
    heads, *said = out.splitlines()
    assert heads.split() == [
        "in",
        "the",
        "query",
        "in",
        "the",
        "recording",
        "score",
        "by",
        "chance",
        "recording",
    ]
    assert said[:2] == [str(unknown), "Nothing in the archive matches."]
    out, _ = echoic("identify", folder, "--json", catalogue=catalogue, code=1)
    answers = json.loads(out)
    assert [Path(answer["query"]).name for answer in answers] == [
        "bad.wav",
        "known.ogg",
        "unknown.wav",
    ]
    assert "not audio" in answers[0]["error"]
    out, _ = echoic("identify", folder, "--csv", catalogue=catalogue, code=1)
    rows = {Path(row["query"]).name: row for row in csv.DictReader(io.StringIO(out))}
    assert [rows[name]["error"] for name in ("bad.wav", "known.ogg", "unknown.wav")] == [
        answers[0]["error"],
        "",
        "",
    ]
    (folder / "empty").mkdir()
    _, err = echoic("identify", folder / "empty", catalogue=catalogue, code=2)
    assert "no audio files" in err


def test_in_a_log_a_line_tells_now_and_then_how_far_a_long_programme_is(
    catalogue: Path, tmp_path: Path
) -> None:
    path = tmp_path / "quiet.flac"
    soundfile.write(path, np.zeros(630 * 8_000, dtype=np.int16), 8_000)
    said, told = echoic("identify", path, "--json", catalogue=catalogue)
    assert told == "Listened to quiet.flac up to 10:00\n"
    assert [query["matches"] for query in json.loads(said)] == [[]]
    part = ("--from", "10:00", "--to", "10:20")
    assert echoic("identify", path, *part, catalogue=catalogue)[1] == ""


def test_a_programme_becomes_a_cue_sheet_of_what_was_played(
    programme: Path, catalogue: Path
) -> None:
    out, _ = echoic("identify", programme, "--cue", catalogue=catalogue)
    assert out.startswith(f'FILE "{programme}" WAVE\n  TRACK 01 AUDIO\n')
    lines = [line.strip() for line in out.splitlines()]
    titles = [line for line in lines if line.startswith("TITLE")]
    assert titles == [
        'TITLE "[not recognised]"',
        'TITLE "Field recording at the edge of a village"',
        'TITLE "[not recognised]"',
    ]
    minutes, seconds, _ = [line for line in lines if line.startswith("INDEX")][1][9:].split(":")
    assert abs(60 * int(minutes) + int(seconds) - 20) <= 3


def test_a_cue_sheet_names_what_lies_beside_it_as_seen_from_there(
    unknown: Path, catalogue: Path, tmp_path: Path
) -> None:
    sheets = tmp_path / "sheets"
    (sheets / "deep").mkdir(parents=True)
    shutil.copy(unknown, sheets / "deep" / "show.wav")
    sheet = sheets / "show.cue"
    with sheet.open("w") as file:
        subprocess.run(
            [sys.executable, "-m", "ui", "identify", "show.wav", unknown, "--cue"],
            stdout=file,
            check=True,
            cwd=sheets / "deep",
            env={**os.environ, "ECHOIC_CATALOGUE": str(catalogue), "PYTHONPATH": str(PROJECT)},
        )
    named = [line for line in sheet.read_text().splitlines() if line.startswith("FILE")]
    assert named == ['FILE "deep/show.wav" WAVE', f'FILE "{unknown}" WAVE']


def test_a_catalogue_without_fingerprints_says_how_to_make_them(
    excerpt: Path, tmp_path: Path
) -> None:
    write_sound(tmp_path / "sounds" / "a.wav")
    bare = tmp_path / "catalogue"
    echoic("index", tmp_path / "sounds", "--no-fingerprints", catalogue=bare)
    _, err = echoic("identify", excerpt, catalogue=bare, code=2)
    assert "no fingerprints" in err
    assert "`echoic index" in err


def test_recordings_without_a_fingerprint_are_told_of_and_the_very_file_is_named(
    excerpt: Path, tmp_path: Path
) -> None:
    sounds, some = tmp_path / "sounds", tmp_path / "catalogue"
    write_sound(sounds / "a.wav")
    echoic("index", sounds, catalogue=some)
    late = write_sound(sounds / "late.wav", seed=9, length_s=0.5)
    echoic("index", sounds, "--no-fingerprints", catalogue=some)
    _, err = echoic("identify", excerpt, catalogue=some)
    assert "1 of 2 recordings have no fingerprint" in err
    out, _ = echoic("identify", late, catalogue=some)
    assert out.splitlines()[0] == f"This very file is in the archive: {late}"
    ((answer),) = json.loads(echoic("identify", late, "--json", catalogue=some)[0])
    assert answer["identical"]["path"] == str(late)
    (row,) = csv.DictReader(io.StringIO(echoic("identify", late, "--csv", catalogue=some)[0]))
    assert (row["path"], row["identical"], row["score"]) == (str(late), "True", "")
    assert f'REM "{late}" is this very file' in echoic("identify", late, "--cue", catalogue=some)[0]
    out, _ = echoic("duplicates", catalogue=some)
    assert out.strip() == "No duplicates among what could be compared."
    moved = late.rename(tmp_path / "late.wav")
    echoic("index", sounds, catalogue=some)
    out, _ = echoic("identify", moved, catalogue=some)
    assert out.splitlines()[0] == f"This very file is in the archive: {late}  [missing]"


def test_files_with_the_same_bytes_are_listed_without_fingerprints(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sounds" / "a.wav")
    shutil.copy(sound, tmp_path / "sounds" / "b.wav")
    bare = tmp_path / "catalogue"
    echoic("index", tmp_path / "sounds", "--no-fingerprints", catalogue=bare)
    out, err = echoic("duplicates", catalogue=bare)
    assert out.splitlines()[0] == "Group 1: 2 files"
    assert "b.wav  [identical]" in out
    assert out.splitlines()[-1].startswith("1 group of copies, 0 pairs that share a passage.")
    assert "1 of 1 recordings have no fingerprint" in err
    assert "`echoic index" in err


def test_every_relation_in_a_group_is_listed_and_scores_come_once_a_pair(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first and the second are only copies of the third."""
    first, second, third = (_recording(number) for number in (1, 2, 3))
    once = (Overlap(0, 44, 0, 44, 0.9, 30.0),)
    twice = (Overlap(0, 20, 0, 20, 0.9, 20.0), Overlap(20, 40, 24, 44, 0.8, 10.0))
    group = Group(
        (first, second, third),
        (
            Pair(Kind.COPY, second, third, once, 1.0, 1.0, 500.0),
            Pair(Kind.COPY, first, third, twice, 1.02, 1.02, 400.0),
        ),
    )
    _print(Duplicates((group,), (Pair(Kind.EXCERPT, first, second, twice, 1.0, 1.0, 300.0),)))
    out = capsys.readouterr().out
    said = [line.strip() for line in out.splitlines() if " found again" in line]
    assert said == [
        "0:00.0-0:44.0 is 0:00.0-0:44.0 of 2, 90% found again, score 500",
        "0:00.0-0:20.0 is 0:00.0-0:20.0 of 1, 90% found again",
        "0:24.0-0:44.0 is 0:20.0-0:40.0 of 1, 80% found again, score 400 in all, 2.0 % fast",
        "0:00.0-0:20.0 of the second is 0:00.0-0:20.0 of the first, 90% found again",
        "0:24.0-0:44.0 of the second is 0:20.0-0:40.0 of the first, 80% found again, "
        "score 300 in all",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["identify"], "Missing argument"),
        (["identify", "nowhere.wav"], "nowhere.wav: does not exist"),
        (["identify", "x", "--json", "--cue"], "choose one of"),
        (["identify", "x", "--cue", "--all-occurrences"], "whole file"),
        (["identify", "x", "--cue", "--from", "3"], "whole file"),
        (["identify", "x", "-", "--cue"], "write it into a file, and give that"),
        (["identify", "x", "--limit", "3"], "goes with --all-occurrences"),
        (["identify", "x", "--all-occurrences", "--limit", "0"], "--limit"),
        (["identify", "x", "--max-change", "11"], "--max-change"),
        (["identify", "x", "--max-change", "nan"], "not a number"),
        (["identify", "x", "--p-false", "0"], "--p-false"),
        (["identify", "x", "--to", "1e400"], "not a time"),
        (["identify", ""], "QUERY is empty"),
        (["identify", "x" * 5000], "too long"),
        (["duplicates", "--json", "--csv"], "not both"),
        (["duplicates", "--min-overlap", "0"], "--min-overlap"),
    ],
)
def test_mistakes_get_a_sentence(arguments: list[str], expected: str, catalogue: Path) -> None:
    _, err = echoic(*arguments, catalogue=catalogue, code=2)
    assert expected in err


def test_duplicates_are_listed_in_every_format_and_nothing_is_touched(
    demo: Path, tmp_path: Path
) -> None:
    root = tmp_path / "sounds"
    for name in ("music/synth-arpeggio.flac", "copies/synth-arpeggio-copy.m4a"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo / "sounds" / name, root / name)
    shutil.copy(root / "music" / "synth-arpeggio.flac", root / "again.flac")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.*")}
    catalogue = tmp_path / "catalogue"
    echoic("index", root, catalogue=catalogue)
    out, err = echoic("duplicates", catalogue=catalogue)
    assert not err  # no progress bar where no terminal is
    assert all(str(path) in out for path in before)
    assert "[identical]" in out
    assert "No file was touched." in out
    values = json.loads(echoic("duplicates", "--json", catalogue=catalogue)[0])
    pairs = [*(pair for group in values["groups"] for pair in group["pairs"]), *values["excerpts"]]
    (pair,) = pairs
    assert pair["first"]["path"] in map(str, before)
    assert pair["second"]["path"] == str(root / "copies" / "synth-arpeggio-copy.m4a")
    rows = list(csv.DictReader(io.StringIO(echoic("duplicates", "--csv", catalogue=catalogue)[0])))
    assert rows[0]["kind"] == "identical"
    assert {rows[0]["first_path"], rows[0]["second_path"]} == {
        str(root / "again.flac"),
        str(root / "music" / "synth-arpeggio.flac"),
    }
    only_copies = json.loads(
        echoic("duplicates", "--no-excerpts", "--json", catalogue=catalogue)[0]
    )
    assert only_copies == {**values, "excerpts": []}
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*.*")} == before


def test_an_archive_without_duplicates_says_so(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_sound(tmp_path / "sounds" / f"{seed}.wav", seed=seed, length_s=10.0)
    echoic("index", tmp_path / "sounds", catalogue=tmp_path / "catalogue")
    out, _ = echoic("duplicates", catalogue=tmp_path / "catalogue")
    assert out.strip() == "No duplicates."


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.3, "1 in 3"),
        (1e-3, "1 in 1,000"),
        (3.2e-5, "1 in 30,000"),
        (1e-7, "1 in 10 million"),
        (2.1e-10, "1 in 4 billion"),
        (1e-12, "1 in 1 trillion"),
        (1e-40, "under 1 in a trillion"),
        (0.0, "under 1 in a trillion"),
    ],
)
def test_odds_are_said_in_words_and_never_too_small(p: float, said: str) -> None:
    assert odds_text(p) == said


@pytest.mark.parametrize(
    ("speed", "pitch", "said"),
    [
        (1.0, 1.0, ""),
        (1.0004, 0.9996, ""),
        (1.02, 1.02, "2.0 % fast"),
        (0.95, 0.95, "5.0 % slow"),
        (1.0, 1.02, "pitch 2.0 % high"),
        (0.93, 1.0, "tempo 7.0 % slow"),
        (1.01, 0.98, "tempo 1.0 % fast, pitch 2.0 % low"),
    ],
)
def test_a_change_of_speed_is_said_as_people_do(speed: float, pitch: float, said: str) -> None:
    assert change_text(speed, pitch) == said

"""Matches and duplicates as values, CSV and cue sheets."""

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from db.records import Description, FileInfo, RecordingInfo, Technical
from search.cue_sheet import NOT_RECOGNISED, CueSheet, seen_from
from search.duplicates import Duplicates, Group, Kind, Overlap, Pair
from search.export_duplicates import PAIR_COLUMNS, duplicates_values, write_duplicates_csv
from search.export_matches import MATCH_COLUMNS, MatchTable, match_values
from search.fingerprints import Match

NOW = datetime(2024, 5, 1)


def recording(
    number: int,
    *names: str,
    about: Description | None = None,
    missing: tuple[str, ...] = (),
    length_s: float = 60.0,
) -> RecordingInfo:
    """A recording that lies in the files named, as a catalogue gives it."""
    files = tuple(
        FileInfo(
            10 * number + place,
            "tapes",
            "/tapes",
            name,
            NOW if name in missing else None,
            about or Description(),
        )
        for place, name in enumerate(names)
    )
    technical = Technical(length_s, 44_100, 2, "WAV", "PCM_16", 16)
    return RecordingInfo(number, f"sha256:{number}", 1, technical, NOW, files, None, {}, {})


def match(
    of: RecordingInfo, query_s: tuple[float, float], *, at_s: float = 0.0, score: float = 30.0
) -> Match:
    onset_s, offset_s = query_s
    return Match(
        of, at_s, at_s + offset_s - onset_s, onset_s, offset_s, 1.0201234, 1.0, score, 1.23456e-7
    )


SONG = recording(1, "song.wav", about=Description(title='A "quoted"\nsong', creator="Ada"))
JINGLE = recording(2, "deep/jingle.flac")


def test_a_match_is_plain_values_with_the_recording_s_own() -> None:
    values = match_values(match(SONG, (1.0004, 11.0), at_s=35.0))
    assert json.loads(json.dumps(values)) == values
    assert (values["query_onset_s"], values["query_offset_s"]) == (1.0, 11.0)
    assert (values["onset_s"], values["offset_s"]) == (35.0, 45.0)
    assert (values["speed"], values["pitch"]) == (1.0201, 1.0)
    assert values["p_false"] == 1.23e-7
    assert values["path"] == "/tapes/song.wav"
    assert values["creator"] == "Ada"


def test_a_table_has_a_row_for_each_match_and_for_each_query_without_one() -> None:
    stream = io.StringIO()
    table = MatchTable(stream)
    table.add("one.mp3", [match(SONG, (0, 10)), match(JINGLE, (20, 30))])
    table.add("none.mp3", [])
    table.add("two.mp3", [match(SONG, (0, 10))])
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert tuple(rows[0]) == MATCH_COLUMNS
    assert [(row["query"], row["path"]) for row in rows] == [
        ("one.mp3", "/tapes/song.wav"),
        ("one.mp3", "/tapes/deep/jingle.flac"),
        ("none.mp3", ""),
        ("two.mp3", "/tapes/song.wav"),
    ]
    assert rows[0]["title"] == 'A "quoted"\nsong'


def test_a_table_says_which_recording_is_the_very_file_and_why_a_query_failed() -> None:
    stream = io.StringIO()
    table = MatchTable(stream)
    table.add("silent.wav", [], identical=SONG)
    table.add("song.wav", [match(SONG, (0, 10)), match(JINGLE, (20, 30))], identical=SONG)
    table.add_failed("bad.wav", "not audio")
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [(row["query"], row["path"], row["score"], row["identical"]) for row in rows] == [
        ("silent.wav", "/tapes/song.wav", "", "True"),
        ("song.wav", "/tapes/song.wav", "30.0", "True"),
        ("song.wav", "/tapes/deep/jingle.flac", "30.0", "False"),
        ("bad.wav", "", "", ""),
    ]
    assert [row["error"] for row in rows] == ["", "", "", "not audio"]


def tracks(sheet: str) -> list[tuple[int, str, str, str]]:
    """Read a cue sheet as a strict program would: number, title, performer, time of each track."""
    found: list[tuple[int, str, str, str]] = []
    title = performer = ""
    number = 0
    for line in sheet.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FILE":
            assert re.fullmatch(r'"[^"]+" (WAVE|MP3|AIFF)', rest)
        elif word == "TRACK":
            assert re.fullmatch(r"\d\d+ AUDIO", rest)
            number, title, performer = int(rest.split()[0]), "", ""
        elif word in ("TITLE", "PERFORMER"):
            assert re.fullmatch(r'"[^"]*"', rest)
            title, performer = (rest[1:-1], performer) if word == "TITLE" else (title, rest[1:-1])
        elif word == "INDEX":
            assert re.fullmatch(r"01 \d\d+:[0-5]\d:[0-7]\d", rest)
            found.append((number, title, performer, rest[3:]))
        else:
            assert word == "REM"
    return found


def test_a_cue_sheet_says_what_was_played_and_where_nothing_was_recognised() -> None:
    played = [match(SONG, (30, 90), at_s=5), match(JINGLE, (91, 100)), match(SONG, (7200.5, 7230))]
    sheet = CueSheet().add("radio/show.MP3", played, length_s=7300.0)
    assert sheet.startswith('FILE "radio/show.MP3" MP3\n')
    assert tracks(sheet) == [
        (1, NOT_RECOGNISED, "", "00:00:00"),
        (2, "A 'quoted' song", "Ada", "00:30:00"),
        (3, "jingle", "", "01:31:00"),
        (4, NOT_RECOGNISED, "", "01:40:00"),
        (5, "A 'quoted' song", "Ada", "120:00:38"),  # half a second: 37.5 of 75 frames
        (6, NOT_RECOGNISED, "", "120:30:00"),
    ]
    assert '"/tapes/song.wav" 5.00 s to 65.00 s, here 30.00 s to 90.00 s' in sheet


def test_a_programme_that_is_recognised_to_its_end_ends_with_its_last_track() -> None:
    sheet = CueSheet().add("show.flac", [match(SONG, (0.5, 60))], length_s=61.0)
    assert [(title, time) for _, title, _, time in tracks(sheet)] == [
        ("A 'quoted' song", "00:00:00")  # the first of a file, though it is heard from 0.5 s on
    ]
    assert "here 0.50 s to 60.00 s" in sheet
    assert '"show.flac" WAVE' in sheet


def test_two_recordings_at_once_are_one_track_and_a_remark() -> None:
    both = [match(SONG, (0, 60)), match(JINGLE, (0.001, 9)), match(JINGLE, (10, 19))]
    sheet = CueSheet().add("show.wav", both, length_s=60.0)
    assert [time for *_, time in tracks(sheet)] == ["00:00:00", "00:10:00"]
    assert sheet.count("REM") == 3


def test_a_cue_sheet_says_which_recording_is_the_very_file() -> None:
    silent = CueSheet().add("silent.wav", [], length_s=60.0, identical=SONG)
    assert tracks(silent) == [(1, "A 'quoted' song", "Ada", "00:00:00")]
    assert '    REM "/tapes/song.wav" is this very file\n' in silent
    part = CueSheet().add("x.wav", [match(JINGLE, (0, 60))], length_s=60.0, identical=SONG)
    assert [title for _, title, _, _ in tracks(part)] == ["jingle"]
    assert '    REM "/tapes/song.wav" is this very file\n' in part
    song = match(SONG, (0, 60))
    known = CueSheet().add("x.wav", [song], length_s=60.0, identical=SONG)
    assert known == CueSheet().add("x.wav", [song], length_s=60.0)


def test_tracks_are_numbered_on_from_file_to_file_and_a_file_of_unknowns_is_one_track() -> None:
    sheet = CueSheet()
    text = sheet.add("a.aiff", [], length_s=10.0) + sheet.add("b.wav", [], length_s=0.5)
    assert tracks(text) == [
        (1, NOT_RECOGNISED, "", "00:00:00"),
        (2, NOT_RECOGNISED, "", "00:00:00"),
    ]
    assert '"a.aiff" AIFF' in text
    assert sheet.n_tracks == 2


def test_a_file_beside_or_below_a_sheet_is_named_from_there_and_others_by_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sheets"
    (folder / "deep").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep")
    assert seen_from(Path("show.wav"), folder) == "deep/show.wav"
    assert seen_from(folder / "show.wav", folder) == "show.wav"
    assert seen_from(Path("../../show.wav"), folder) == str(tmp_path / "show.wav")
    assert seen_from(Path("show.wav"), None) == str(folder / "deep" / "show.wav")
    (tmp_path / "link").symlink_to(folder)
    assert seen_from(Path("show.wav"), tmp_path / "link") == "deep/show.wav"


def test_what_some_programs_cannot_read_is_pointed_out() -> None:
    sheet = CueSheet()
    sheet.add("long.wav", [match(SONG, (5999, 6010))], length_s=6010.0)
    assert sheet.notes == []
    sheet.add("longer.wav", [match(SONG, (6000, 6010))], length_s=6010.0)
    assert [note[-20:] for note in sheet.notes] == ["99:59 in a cue sheet"]
    sheet = CueSheet()
    sheet.add("jingles.wav", [match(JINGLE, (n, n + 1)) for n in range(99)], length_s=99.0)
    assert sheet.notes == []
    sheet.add("one more.wav", [], length_s=3.0)
    assert "99 tracks" in sheet.notes[0]


def test_a_file_whose_name_a_cue_sheet_cannot_hold_is_pointed_out() -> None:
    sheet = CueSheet()
    assert sheet.add("a plain one.wav", [], length_s=3.0).startswith('FILE "a plain one.wav" WAVE')
    assert sheet.notes == []
    assert sheet.add('5" tape.wav', [], length_s=3.0).startswith('FILE "5\' tape.wav" WAVE')
    (note,) = sheet.notes
    assert note.endswith(': "5\' tape.wav"')


@pytest.fixture
def found() -> Duplicates:
    """Identical files, one of them missing; a copy; a passage that recurs twice."""
    original = recording(1, "a.wav", "again/a.wav", missing=("again/a.wav",))
    copy = recording(2, "a.mp3", length_s=58.0)
    news = recording(3, "news.wav", length_s=600.0)
    pair = Pair(
        Kind.COPY, original, copy, (Overlap(2.0, 60.0, 0.0, 58.0, 0.91234, 90.0),), 1.0, 1.0, 90.0
    )
    twice = (
        Overlap(100.0, 110.0, 5.0, 15.0, 0.8, 12.0),
        Overlap(300.0, 310.0, 5.0, 15.0, 0.7, 8.0),
    )
    excerpt = Pair(Kind.EXCERPT, news, copy, twice, 1.02, 1.02, 20.0)
    return Duplicates((Group((original, copy), (pair,)),), (excerpt,))


def test_duplicates_are_rows_of_shared_stretches(found: Duplicates) -> None:
    stream = io.StringIO()
    write_duplicates_csv(found, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert [(row["kind"], row["group"]) for row in rows] == [
        ("identical", "1"),
        ("copy", "1"),
        ("excerpt", ""),
        ("excerpt", ""),
    ]
    identical, copy, first, second = rows
    assert (identical["first_path"], identical["second_path"]) == (
        "/tapes/a.wav",
        "/tapes/again/a.wav",
    )
    assert (identical["first_missing"], identical["second_missing"]) == ("False", "True")
    assert (identical["second_offset_s"], identical["share"]) == ("60.0", "1.0")
    lengths_s = [(row["first_duration_s"], row["second_duration_s"]) for row in rows]
    assert lengths_s == [("60.0", "60.0"), ("60.0", "58.0"), *[("600.0", "58.0")] * 2]
    assert (copy["first_onset_s"], copy["second_onset_s"], copy["share"]) == ("2.0", "0.0", "0.912")
    assert (first["first_onset_s"], second["first_onset_s"]) == ("100.0", "300.0")
    assert (first["first_path"], first["second_path"]) == ("/tapes/news.wav", "/tapes/a.mp3")
    assert first["speed"] == "1.02"
    assert [row["score"] for row in rows] == ["", "90.0", "12.0", "8.0"]  # each its own


def test_duplicates_as_json_name_every_file_of_a_group(found: Duplicates) -> None:
    values = json.loads(json.dumps(duplicates_values(found)))
    (group,) = values["groups"]
    assert group["recordings"][0]["files"] == [
        {"path": "/tapes/a.wav", "missing": False},
        {"path": "/tapes/again/a.wav", "missing": True},
    ]
    (pair,) = group["pairs"]
    assert (pair["kind"], pair["first"]["path"], pair["second"]["recording_id"]) == (
        "copy",
        "/tapes/a.wav",
        2,
    )
    (excerpt,) = values["excerpts"]
    assert [overlap["first_onset_s"] for overlap in excerpt["overlaps"]] == [100.0, 300.0]
    assert ([overlap["score"] for overlap in excerpt["overlaps"]], excerpt["score"]) == (
        [12, 8],
        20,
    )


def test_the_place_that_is_there_names_a_recording_that_lies_in_several(tmp_path: Path) -> None:
    (tmp_path / "b.wav").touch()
    gone = FileInfo(1, "tapes", "/nowhere", "a.wav", None, Description())
    there = FileInfo(2, "tapes", str(tmp_path), "b.wav", None, Description())
    one = recording(1)
    both = RecordingInfo(1, one.content_hash, 1, one.technical, NOW, (gone, there), None, {}, {})
    assert match_values(match(both, (0, 10)))["path"] == str(tmp_path / "b.wav")
    stream = io.StringIO()
    write_duplicates_csv(Duplicates((Group((both,), ()),), ()), stream)
    (row,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert (row["first_path"], row["second_path"]) == (str(tmp_path / "b.wav"), "/nowhere/a.wav")

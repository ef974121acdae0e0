"""Hits as text that other programs read; by those programs' own readers where there are any."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from db.records import Description
from search.errors import ExportError
from search.export import COLUMNS, EXPORTS, FRAME_RATES, ExportOptions
from search.hits import Hit, Passage, Strength
from tests.search.export_cases import DAMAGING, hit, recording

BELL = Description(title='A "church"\tbell', creator="Ada\nLovelace", licence="CC0")
QUERY = ExportOptions(title="bell\nthen dog", labels=('a "bell"', "dog\tbarking"))


def written(name: str, hits: list[Hit], options: ExportOptions = QUERY) -> str:
    stream = io.BytesIO()
    EXPORTS[name].write(hits, stream, options)
    return stream.getvalue().decode("utf-8")


def notes(name: str, hits: list[Hit], options: ExportOptions = QUERY) -> list[str]:
    return EXPORTS[name].write(hits, io.BytesIO(), options)


@pytest.fixture
def hits() -> list[Hit]:
    """A hit with two passages, the later one better; a recording found by its name alone."""
    bell = recording(1, "deep/bell.wav", about=BELL)
    return [hit(bell, (30.5, 35.25), (0.0, 5.0)), hit(recording(2, DAMAGING, length_s=3.2))]


def test_a_table_has_a_row_for_each_passage_and_for_each_hit_without_one(hits: list[Hit]) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", hits), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["rank"], row["passage"], row["onset_s"], row["offset_s"]) for row in rows] == [
        ("1", "1", "30.5", "35.25"),
        ("1", "2", "0.0", "5.0"),
        ("2", "", "", ""),
    ]
    assert [(row["score"], row["passage_score"]) for row in rows] == [
        ("0.9", "0.9"),
        ("0.9", "0.8"),
        ("0.9", ""),
    ]
    assert rows[0]["title"] == BELL.title
    assert rows[0]["found_by"] == "sound words"
    assert rows[2]["path"] == f"/tapes/{DAMAGING}"


def test_json_lines_are_as_many_as_hits_for_any_reader_of_lines(hits: list[Hit]) -> None:
    copied = replace(hits[1], copies=(hits[0].recording,))
    lines = written("jsonl", [hits[0], copied]).splitlines()  # which breaks at U+2028, too
    first, second = map(json.loads, lines)
    assert [passage["onset_s"] for passage in first["passages"]] == [30.5, 0.0]
    assert (first["strength"], first["found_by"]) == ("strong", ["sound", "words"])
    assert second["path"] == f"/tapes/{DAMAGING}"
    assert second["passages"] == []
    assert second["copies"] == [{"recording_id": 1, "path": "/tapes/deep/bell.wav"}]


def test_what_has_no_score_is_exported_without_one(hits: list[Hit], tmp_path: Path) -> None:
    from crowsetta.formats.bbox import Raven

    kept = [replace(one, has_score=False) for one in hits]
    for row in csv.DictReader(io.StringIO(written("csv", kept), newline="")):
        assert (row["score"], row["strength"], row["passage_score"]) == ("", "", "")
    first, second = map(json.loads, written("jsonl", kept).splitlines())
    assert (first["score"], first["strength"], second["score"]) == (None, None, None)
    assert [passage["score"] for passage in first["passages"]] == [None, None]
    path = tmp_path / "x.selections.txt"
    path.write_text(written("raven", kept), encoding="utf-8")
    assert Raven.from_file(path).df["Score"].isna().all()
    assert "score" in written("edl", hits)
    assert "score" not in written("edl", kept)
    assert len(timeline(written("edl", kept), 25)) == 3


def test_a_note_goes_where_a_format_has_a_place_for_it(hits: list[Hit], tmp_path: Path) -> None:
    import opentimelineio as otio
    from crowsetta.formats.bbox import Raven

    note = 'after the "title",\n#EXTM3U\tloud'
    one_line = 'after the "title", #EXTM3U loud'
    label = "a 'bell': after the 'title', #EXTM3U loud"
    noted = [replace(hits[0], note=note)]
    rows = list(csv.DictReader(io.StringIO(written("csv", noted), newline="")))
    assert [row["note"] for row in rows] == [note, note]
    assert json.loads(written("jsonl", noted))["note"] == note
    assert written("m3u8", noted).splitlines().count(f"# Note: {one_line}") == 2
    assert entries(written("m3u8", noted)) == entries(written("m3u8", hits[:1]))
    assert [text for _, _, text in audacity(written("audacity", noted), tmp_path)] == [label] * 2
    assert [region[1] for region in reaper(written("reaper", noted))] == [label] * 2
    path = tmp_path / "x.selections.txt"
    path.write_text(written("raven", noted), encoding="utf-8")
    assert set(Raven.from_file(path).df["Notes"]) == {one_line.replace('"', "'")}
    read = otio.adapters.read_from_string(written("edl", noted), "cmx_3600", rate=25)
    told = [clip.metadata["cmx_3600"]["comments"] for clip in read.find_clips()]
    assert all(comments[-1] == f"COMMENT: {one_line}" for comments in told)
    assert "# Note" not in written("m3u8", hits)
    assert written("edl", hits).count("COMMENT") == len(timeline(written("edl", hits), 25))


def entries(playlist: str) -> list[tuple[int, str, dict[str, float], str]]:
    """Read a playlist as a strict player would: seconds, title, options, path of each entry."""
    lines = playlist.splitlines()
    assert lines[0] == "#EXTM3U"
    found: list[tuple[int, str, dict[str, float], str]] = []
    seconds, title, options = -1, "", {}
    for line in lines[1:]:
        if told := re.fullmatch(r"#EXTINF:(\d+),(.+)", line):
            seconds, title, options = int(told[1]), told[2], {}
        elif told := re.fullmatch(r"#EXTVLCOPT:(start|stop)-time=(\d+\.\d+)", line):
            options[told[1]] = float(told[2])
        elif not line.startswith("#"):
            path = unquote(urlsplit(line).path) if line.startswith("file://") else line
            found.append((seconds, title, options, path))
        else:
            assert line.startswith(("#PLAYLIST:", "# "))
    return found


def test_a_playlist_plays_each_passage_from_its_file(hits: list[Hit]) -> None:
    text = written("m3u8", hits)
    assert entries(text) == [
        (
            5,
            'Ada Lovelace - A "church" bell',
            {"start": 30.5, "stop": 35.25},
            "/tapes/deep/bell.wav",
        ),
        (5, 'Ada Lovelace - A "church" bell', {"start": 0.0, "stop": 5.0}, "/tapes/deep/bell.wav"),
        (3, '5" tape, =1+1 № é', {}, f"/tapes/{DAMAGING}"),
    ]


def audacity(text: str, folder: Path) -> list[tuple[float, float, str]]:
    from crowsetta.formats.seq import AudSeq

    path = folder / "labels.txt"
    path.write_text(text, encoding="utf-8", newline="")
    read = AudSeq.from_file(path)
    return list(zip(read.start_times.tolist(), read.end_times.tolist(), read.labels, strict=True))


def test_audacity_labels_are_in_the_order_of_time(hits: list[Hit], tmp_path: Path) -> None:
    assert audacity(written("audacity", hits[:1]), tmp_path) == [
        (0.0, 5.0, "a 'bell'"),
        (30.5, 35.25, "a 'bell'"),
    ]
    assert audacity(written("audacity", hits[1:]), tmp_path)[0][:2] == (0.0, 3.2)


def test_a_passage_is_called_by_its_sound_or_else_by_its_recording(tmp_path: Path) -> None:
    passages = tuple(Passage(n, n + 0.5, 0.5, sound=n) for n in range(3))
    several = [Hit(recording(1, "x.wav"), 0.5, passages, Strength.POSSIBLE)]
    labels = [label for _, _, label in audacity(written("audacity", several), tmp_path)]
    assert labels == ["a 'bell'", "dog barking", "x"]
    kept = [replace(several[0], label="rain")]  # of a list: its sounds are those of another query
    labels = [label for _, _, label in audacity(written("audacity", kept), tmp_path)]
    assert labels == ["rain"] * 3


@pytest.mark.parametrize("name", ["audacity", "reaper"])
def test_a_format_with_one_line_of_time_refuses_two_recordings(name: str, hits: list[Hit]) -> None:
    stream = io.BytesIO()
    with pytest.raises(ExportError, match=rf"2 recordings.*{name}-zip"):
        EXPORTS[name].write(hits, stream)
    assert stream.getvalue() == b""


def test_a_zip_has_labels_for_each_recording_and_a_list_of_them(
    hits: list[Hit], tmp_path: Path
) -> None:
    stream = io.BytesIO()
    EXPORTS["audacity-zip"].write(hits, stream, QUERY)
    with zipfile.ZipFile(stream) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["hits.csv", "0001 bell.txt", "0002 5 tape 1 1 é.txt"]
        assert len(audacity(archive.read(archive.namelist()[1]).decode(), tmp_path)) == 2
        rows = list(csv.DictReader(io.StringIO(archive.read("hits.csv").decode(), newline="")))
    assert {(row["rank"], row["path"]) for row in rows} == {
        ("1", "/tapes/deep/bell.wav"),
        ("2", f"/tapes/{DAMAGING}"),
    }


def test_raven_reads_the_times_of_one_recording_within_it(hits: list[Hit], tmp_path: Path) -> None:
    from crowsetta.formats.bbox import Raven

    path = tmp_path / "x.selections.txt"
    path.write_text(written("raven", hits[:1]), encoding="utf-8")
    read = Raven.from_file(path)
    boxes = [(box.onset, box.offset, box.high_freq, box.label) for box in read.to_bbox()]
    assert boxes == [(0.0, 5.0, 22_050.0, "a 'bell'"), (30.5, 35.25, 22_050.0, "a 'bell'")]
    assert list(read.df["Selection"]) == [1, 2]
    assert list(read.df["Score"]) == [0.8, 0.9]
    assert set(read.df["Begin Path"]) == {"/tapes/deep/bell.wav"}


def test_raven_reads_several_recordings_as_a_sequence(hits: list[Hit], tmp_path: Path) -> None:
    from crowsetta.formats.bbox import Raven

    path = tmp_path / "x.selections.txt"
    third = hit(recording(3, "third.wav"), (1.0, 2.0))
    path.write_text(written("raven", [*hits, third]), encoding="utf-8")
    frame = Raven.from_file(path).df
    assert list(frame["begin_time_s"]) == [0.0, 30.5, 60.0, 64.2]
    assert list(frame["end_time_s"]) == [5.0, 35.25, 63.2, 65.2]
    assert list(frame["File Offset (s)"]) == [0.0, 30.5, 0.0, 1.0]
    assert frame["Begin File"][2].startswith(' 5" tape, =1+1 № é')
    said = notes("raven", hits)
    assert any("sequence" in note for note in said)
    assert any("control character" in note for note in said)
    assert notes("raven", hits[:1]) == []


def reaper(text: str) -> list[tuple[str, str, float, float, float]]:
    """Read regions as Reaper prints them, minutes and seconds."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["#", "Name", "Start", "End", "Length"]

    def seconds(clock: str) -> float:
        assert re.fullmatch(r"(\d+:[0-5])?\d:[0-5]\d\.\d{3}", clock)
        return sum(float(part) * 60**power for power, part in enumerate(clock.split(":")[::-1]))

    return [(row[0], row[1], *(round(seconds(cell), 3) for cell in row[2:])) for row in rows[1:]]


def test_reaper_regions_have_start_end_and_length(hits: list[Hit]) -> None:
    assert reaper(written("reaper", hits[:1])) == [
        ("R1", "a 'bell'", 0.0, 5.0, 5.0),
        ("R2", "a 'bell'", 30.5, 35.25, 4.75),
    ]
    long = hit(recording(1, "day.wav", length_s=36_000), (35_990.25, 36_000.0))
    assert reaper(written("reaper", [long]))[0][2:] == (35_990.25, 36_000.0, 9.75)
    assert "9:59:50.250" in written("reaper", [long])


def timeline(text: str, rate: float) -> list[tuple[str, str, float, float]]:
    """Read an EDL by OpenTimelineIO: reel, name, start and end of each clip in frames."""
    import opentimelineio as otio

    read = otio.adapters.read_from_string(text, "cmx_3600", rate=rate)
    track = next(track for track in read.tracks if track.name == "A1")
    assert not [item for item in track if isinstance(item, otio.schema.Gap)]
    return [
        (
            item.metadata["cmx_3600"]["reel"],
            item.name,
            item.source_range.start_time.value,
            item.source_range.end_time_exclusive().value,
        )
        for item in track.find_clips()
    ]


def test_an_edl_is_read_by_opentimelineio(hits: list[Hit]) -> None:
    mono = hit(recording(3, "deep/bell.aiff", channels=1), (59.0, 60.0))
    text = written("edl", [*hits, mono])
    assert text.startswith("TITLE: bell then dog\r\nFCM: NON-DROP FRAME\r\n")
    read = timeline(text, 25)
    assert [(reel, start, end) for reel, _, start, end in read] == [
        ("BELL", 762, 881),
        ("BELL", 0, 125),
        ("5TAPE11", 0, 80),
        ("BELL2", 1475, 1500),
    ]
    assert read[0][1] == "bell.wav"
    assert re.findall(r"^\d{3}  BELL2    A     C        ", text, re.MULTILINE)
    assert "* SOURCE FILE: /tapes/deep/bell.wav" in text


@pytest.mark.parametrize("name", FRAME_RATES)
def test_time_code_counts_the_frames_of_each_rate(name: str) -> None:
    rate = FRAME_RATES[name]
    frame = 100_000
    long = recording(1, "x.wav", length_s=36_000.0)
    text = written(
        "edl",
        [hit(long, (float(frame / rate), float((frame + 7) / rate)))],
        ExportOptions(frame_rate=name),
    )
    assert [(start, end) for *_, start, end in timeline(text, round(rate))] == [(frame, frame + 7)]


def test_an_edl_leaves_out_what_time_code_cannot_count_and_says_so() -> None:
    week = recording(1, "week.wav", length_s=7 * 86_400)
    found = [hit(week, (86_390.0, 86_401.0), (86_000.0, 86_010.0))]
    assert [(start, end) for *_, start, end in timeline(written("edl", found), 25)] == [
        (86_000 * 25, 86_010 * 25)
    ]
    assert notes("edl", found) == ["passages left out because time code ends at 24 hours: 1"]
    with pytest.raises(ExportError, match="24 hours"):
        written("edl", [hit(week, (86_390.0, 86_401.0))])
    with pytest.raises(ExportError, match=r"29\.97"):
        written("edl", found, ExportOptions(frame_rate="29"))


def test_paths_that_a_line_cannot_hold_are_told_in_one_note() -> None:
    broken = [hit(recording(n, f"a\n{n}.wav"), (0, 1)) for n in range(9)]
    for name in ("edl", "raven"):
        (note,) = [one for one in notes(name, broken) if "line break" in one]
        assert r"a\n0.wav" in note
        assert note.endswith(" and 6 more)")


def test_reels_have_names_of_their_own_even_if_files_do_not() -> None:
    names = ["a/black.wav", "b/black.wav", "ünïcode.wav", "№.wav", "field recording 1.wav"]
    found = [hit(recording(n, name), (0, 1)) for n, name in enumerate(names)]
    found += [hit(recording(100 + n, f"{n}/field recording.wav"), (0, 1)) for n in range(12)]
    reels = [reel for reel, *_ in timeline(written("edl", found), 25)]
    assert len(set(reels)) == len(found)
    assert all(re.fullmatch(r"[A-Z0-9]{1,8}", reel) for reel in reels)
    assert "BLACK" not in reels  # which would mean a black picture


@pytest.mark.parametrize("length_s", [0.01, 0.033, 3.0, 10.019])
@pytest.mark.parametrize("at", ["beginning", "end"])
def test_no_passage_is_empty_or_ends_after_its_recording(
    length_s: float, at: str, tmp_path: Path
) -> None:
    span_s = (0.0, 1e-7) if at == "beginning" else (length_s - 1e-7, length_s + 1e-4)
    found = [hit(recording(1, "x.wav", length_s=length_s), span_s)]
    ((onset_s, offset_s, _),) = audacity(written("audacity", found), tmp_path)
    assert 0 <= onset_s < offset_s <= length_s
    ((_, _, options, _),) = entries(written("m3u8", found))
    assert 0 <= options["start"] < options["stop"] <= length_s
    ((_, _, start_s, end_s, region_s),) = reaper(written("reaper", found))
    assert 0 <= start_s < end_s <= length_s
    assert region_s == round(end_s - start_s, 3) > 0
    ((_, _, first, last),) = timeline(written("edl", found), 25)
    assert 0 <= first < last <= max(1, length_s * 25)  # one frame is the least


def test_a_recording_that_is_missing_stays_in_lists_with_a_note() -> None:
    gone = [hit(recording(1, "gone.wav", missing=True), (0, 1))]
    assert len(entries(written("m3u8", gone))) == 1
    assert notes("m3u8", gone) == ["recordings whose file was missing at the last look: 1"]
    (row,) = csv.DictReader(io.StringIO(written("csv", gone)))
    assert row["missing"] == "True"


@pytest.mark.parametrize("name", EXPORTS)
def test_no_hits_are_a_file_without_entries_in_every_format(name: str) -> None:
    stream = io.BytesIO()
    assert EXPORTS[name].write([], stream) == []
    if EXPORTS[name].binary:
        with zipfile.ZipFile(stream) as archive:
            assert [Path(entry).suffix for entry in archive.namelist()] == [".csv"]
    else:
        assert len(stream.getvalue().splitlines()) < 4

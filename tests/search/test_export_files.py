"""A file of hits appears whole or not at all."""

import csv
from pathlib import Path

import pytest

from search.errors import ExportError
from search.export import EXPORTS, ExportOptions, format_of, write_file
from search.export.files import new_file
from search.hits import Hit
from tests.search.export_cases import hit, recording
from ui.commands.exporting import FORMATS


@pytest.fixture
def hits() -> list[Hit]:
    return [hit(recording(number, f"{number}.wav"), (0, 1)) for number in (1, 2)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hits.csv", "csv"),
        ("HITS.CSV", "csv"),
        ("a.b.jsonl", "jsonl"),
        ("x.m3u8", "m3u8"),
        ("labels.txt", "audacity"),
        ("x.selections.txt", "raven"),
        ("x.regions.csv", "reaper"),
        ("x.zip", "wav"),
        ("x.flac.zip", "flac"),
        ("x.labels.zip", "audacity-zip"),
        ("x.edl", "edl"),
    ],
)
def test_the_longest_ending_of_a_name_tells_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected


def test_every_format_has_an_ending_of_its_own_and_is_named_in_the_help() -> None:
    assert {format_of(Path(f"x{export.extension}")) for export in EXPORTS.values()} == set(EXPORTS)
    assert set(FORMATS) == set(EXPORTS)


def test_a_file_is_written_and_its_folder_holds_nothing_else(
    hits: list[Hit], tmp_path: Path
) -> None:
    path = tmp_path / "hits.csv"
    assert write_file(hits, path) == []
    with path.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert list(tmp_path.iterdir()) == [path]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_file_that_exists_is_replaced_only_when_told(hits: list[Hit], tmp_path: Path) -> None:
    path = tmp_path / "hits.txt"
    path.write_text("mine")
    with pytest.raises(ExportError, match="exists"):
        write_file(hits[:1], path)
    assert path.read_text() == "mine"
    write_file(hits[:1], path, overwrite=True)
    assert path.read_text() == "0.000000\t1.000000\t1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_taken_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hits.csv"
    with pytest.raises(ExportError, match="exists"), new_file(path, overwrite=False) as file:
        file.write(b"ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_no_file_and_what_was_there_before(
    hits: list[Hit], tmp_path: Path
) -> None:
    path = tmp_path / "hits.txt"
    with pytest.raises(ExportError, match="2 recordings"):
        write_file(hits, path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("before")
    with pytest.raises(ExportError, match="2 recordings"):
        write_file(hits, path, overwrite=True)
    assert path.read_text() == "before"
    with pytest.raises(KeyboardInterrupt), new_file(path, overwrite=True) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("hits.xls", None, "names no format"),
        ("hits", None, "names no format"),
        ("hits.csv", "xls", "no format 'xls'"),
        ("bell.wav", "csv", "named like a recording"),
        ("nowhere/hits.csv", None, "cannot be written"),
        ("folder.csv", None, "no regular file"),
        (f"{'x' * 300}.csv", None, "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_is_an_error(
    name: str, kind: str | None, message: str, hits: list[Hit], tmp_path: Path
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ExportError, match=message):
        write_file(hits, tmp_path / name, name=kind, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize(
    ("name", "kind", "is_refused"),
    [
        ("x.m3u8", "csv", True),
        ("X.M3U8", "csv", True),
        ("x.regions.csv", "csv", True),
        ("x.flac.zip", "wav", True),
        ("x.zip", "csv", True),
        ("x.csv", "reaper", False),
        ("x.txt", "raven", False),
        ("x.table", "csv", False),
        ("x.csv", "csv", False),
    ],
)
def test_a_format_is_not_written_into_a_file_named_like_another(
    name: str, kind: str, is_refused: bool, hits: list[Hit], tmp_path: Path
) -> None:
    if is_refused:
        with pytest.raises(ExportError, match=f"would hold {kind}: end it with"):
            write_file(hits[:1], tmp_path / name, name=kind)
    else:
        write_file(hits[:1], tmp_path / name, name=kind)
    assert [path.name for path in tmp_path.iterdir()] == [name] * (not is_refused)


def test_options_reach_the_format(hits: list[Hit], tmp_path: Path) -> None:
    path = tmp_path / "hits.edl"
    write_file(hits, path, options=ExportOptions(title="dogs", frame_rate="50"))
    text = path.read_text()
    assert text.startswith("TITLE: dogs\n")  # line ends as Python reads them
    assert "01:00:01:00 01:00:02:00" in text

"""Exports as a user of the command line meets them."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from tests.indexer.conftest import write_sound
from ui.cli import cli

ALL = ("search", "a steady tone", "--weak")  # near misses count: what is tested is the export


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three sounds in ``sounds`` and their catalogue."""
    folder = tmp_path_factory.mktemp("exports")
    for number in range(3):
        write_sound(folder / "sounds" / f"sound {number}.wav", seed=number, length_s=6.0)
    echoic(folder, "index", folder / "sounds", "--no-fingerprints")
    return folder


def echoic(archive: Path, *arguments: str | Path, code: int = 0) -> tuple[bytes, str]:
    """Run a command; return standard output, and standard error as text."""
    ran = CliRunner().invoke(
        cli, list(map(str, arguments)), env={"ECHOIC_CATALOGUE": str(archive / "catalogue")}
    )
    assert ran.exit_code == code, ran.output
    return ran.stdout_bytes, ran.stderr


def test_a_file_s_ending_tells_how_hits_are_written(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "tones.m3u8"
    said, _ = echoic(archive, *ALL, "--export", path)
    assert said.decode() == f"Wrote 3 hits to {path}.\n"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["#EXTM3U", "#PLAYLIST:a steady tone"]
    named = {line for line in lines if not line.startswith("#")}
    assert named == {str(archive / "sounds" / f"sound {number}.wav") for number in range(3)}
    _, said_of = echoic(archive, *ALL, "-k", "2", "--export", path, code=2)
    assert "exists" in said_of
    assert "--overwrite" in said_of
    echoic(archive, *ALL, "-k", "2", "--export", path, "--overwrite")
    assert len(path.read_text(encoding="utf-8").splitlines()) < len(lines)


def test_a_format_without_a_file_is_printed(archive: Path) -> None:
    said, _ = echoic(archive, *ALL, "--format", "jsonl")
    hits = [json.loads(line) for line in said.decode().splitlines()]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    table, _ = echoic(archive, *ALL, "--csv")
    assert table == echoic(archive, *ALL, "--format", "csv")[0]
    rows = list(csv.DictReader(io.StringIO(table.decode(), newline="")))
    assert [row["path"] for row in rows if row["passage"] in ("", "1")] == [
        hit["path"] for hit in hits
    ]
    edl, _ = echoic(archive, *ALL, "--format", "edl", "--frame-rate", "30")
    assert edl.startswith(b"TITLE: a steady tone\r\nFCM: NON-DROP FRAME\r\n")


def test_one_of_several_hits_becomes_a_label_track(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    _, said = echoic(archive, *ALL, "--export", path, code=2)
    assert "audacity-zip" in said
    assert not path.exists()
    echoic(archive, *ALL, "--export", path, "--hit", "2")
    labels = [line.split("\t")[2] for line in path.read_text().splitlines()]
    assert set(labels) == {"a steady tone"}
    _, said = echoic(archive, *ALL, "--export", path, "--hit", "99", code=2)
    assert "no hit 99" in said


def test_sounds_are_taken_away_with_a_manifest(archive: Path, tmp_path: Path) -> None:
    path = tmp_path / "tones.zip"
    (archive / "sounds" / "sound 1.wav").rename(archive / "elsewhere.wav")
    try:
        said, notes = echoic(archive, *ALL, "--export", path)
    finally:
        (archive / "elsewhere.wav").rename(archive / "sounds" / "sound 1.wav")
    assert "sound 1.wav: does not exist" in notes
    assert said.decode().startswith("Wrote 3 hits")
    with zipfile.ZipFile(path) as unpacked:
        text = io.StringIO(unpacked.read("manifest.csv").decode(), newline="")
        rows = [row for row in csv.DictReader(text) if not row["error"]]
        assert {row["title"] for row in rows} == {"sound 0", "sound 2"}
        for row in rows:
            with soundfile.SoundFile(io.BytesIO(unpacked.read(row["path"]))) as file:
                length_s = float(row["offset_s"]) - float(row["onset_s"])
                assert file.frames / file.samplerate == pytest.approx(length_s, abs=1e-3)


def test_an_export_without_one_sound_fails_and_leaves_no_file(
    archive: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tones.zip"
    (archive / "sounds").rename(archive / "away")
    try:
        _, said = echoic(archive, *ALL, "--export", path, code=2)
    finally:
        (archive / "away").rename(archive / "sounds")
    assert "no passage could be read" in said
    assert said.count("does not exist") == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--export", "x.xls"], "names no format"),
        (["--export", "x.wav", "--format", "csv"], "named like a recording"),
        (["--export", "x.flac"], "as a ZIP archive, one or many: --format wav --export hits.zip"),
        (["--export", "x.wav", "--format", "wav"], "--format wav --export hits.zip"),
        (["--export", "x.wav", "--hit", "1"], "--format wav --export hits.zip"),
        (["--hit", "1"], "go with --export"),
        (["--format", "nonsense"], "nonsense"),
        (["--format", "edl", "--frame-rate", "26"], "choose one of"),
        (["--csv", "--export", "x.csv"], "choose one of"),
        (["--format", "csv", "--export", "x.m3u8"], "or choose the format m3u8"),
        (["--export", "."], "directory"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    arguments: list[str], expected: str, archive: Path
) -> None:
    _, said = echoic(archive, *ALL, *arguments, code=2)
    assert expected in said

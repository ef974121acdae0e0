"""Passages as sound: what is in the ZIP archive is what was in the recording."""

import csv
import io
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from db.records import Description
from indexer.audio import open_audio
from indexer.manifest import read_manifest
from search.errors import ExportError
from search.export import EXPORTS, ExportOptions
from search.hits import Hit
from tests.search.export_cases import hit, recording

SR = 44_100


def noise(n_frames: int, *, channels: int = 2, bits: int = 24) -> NDArray[np.int32]:
    """Samples (n_frames, channels) whose upper bits are random: each has a value of its own."""
    rng = np.random.default_rng(n_frames + channels)
    samples = rng.integers(-(2**31), 2**31, (n_frames, channels), dtype=np.int64)
    return (samples >> (32 - bits) << (32 - bits)).astype(np.int32)


def zipped(name: str, hits: list[Hit]) -> tuple[zipfile.ZipFile, list[dict[str, str]], list[str]]:
    """Export hits; return the archive, the rows of its manifest, the notes."""
    stream = io.BytesIO()
    notes = EXPORTS[name].write(hits, stream, ExportOptions(labels=("a bell",)))
    archive = zipfile.ZipFile(stream)
    assert archive.testzip() is None
    text = archive.read("manifest.csv").decode("utf-8")
    return archive, list(csv.DictReader(io.StringIO(text, newline=""))), notes


def opened(archive: zipfile.ZipFile, row: dict[str, str]) -> sf.SoundFile:
    assert row["error"] == ""
    return sf.SoundFile(io.BytesIO(archive.read(row["path"])))


@pytest.mark.parametrize(
    ("suffix", "subtype", "bits", "channels"),
    [
        (".wav", "PCM_16", 16, 2),
        (".wav", "PCM_24", 24, 6),
        (".flac", "PCM_24", 24, 1),
        (".aiff", "PCM_S8", 8, 1),
    ],
)
@pytest.mark.parametrize("name", ["wav", "flac"])
def test_excerpts_have_the_very_samples_of_the_recording(
    suffix: str, subtype: str, bits: int, channels: int, name: str, tmp_path: Path
) -> None:
    samples = noise(3 * SR, channels=channels, bits=bits)
    path = tmp_path / f"sound{suffix}"
    sf.write(path, samples, SR, subtype=subtype)
    of = recording(1, path, length_s=3.0, channels=channels)
    archive, rows, notes = zipped(name, [hit(of, (0.0, 0.5), (1.00001, 1.5), (2.5, 3.0004))])
    assert notes == []
    for row, (first, last) in zip(
        rows, [(0, SR // 2), (44_100, 66_150), (110_250, 3 * SR)], strict=True
    ):
        with opened(archive, row) as file:
            assert (file.samplerate, file.channels) == (SR, channels)
            lowest = "PCM_24" if name == "wav" or bits > 16 else "PCM_16"
            assert file.subtype == lowest
            assert np.array_equal(file.read(dtype="int32", always_2d=True), samples[first:last])
        assert float(row["onset_s"]) == pytest.approx(first / SR, abs=1e-6)
        assert float(row["offset_s"]) == pytest.approx(last / SR, abs=1e-6)


def test_float_samples_beyond_full_scale_are_kept_in_wav_and_clipped_with_a_note_in_flac(
    tmp_path: Path,
) -> None:
    samples = np.linspace(-1.5, 1.5, SR, dtype=np.float32)[:, None]
    path = tmp_path / "loud.wav"
    sf.write(path, samples, SR, subtype="FLOAT")
    found = [hit(recording(1, path, length_s=1.0, channels=1), (0.25, 1.0))]
    archive, (row,), _ = zipped("wav", found)
    with opened(archive, row) as file:
        assert file.subtype == "FLOAT"
        assert np.array_equal(file.read(dtype="float32", always_2d=True), samples[11_025:])
    archive, (row,), _ = zipped("flac", found)
    n_clipped = int(np.count_nonzero(np.abs(samples[11_025:]) > 1))
    assert row["note"] == f"samples beyond full scale that were clipped: {n_clipped}"
    with opened(archive, row) as file:
        assert file.read(dtype="float32").max() == pytest.approx(1.0, abs=1e-6)


def test_what_was_found_by_its_name_alone_is_exported_whole(tmp_path: Path) -> None:
    path = tmp_path / "whole.ogg"
    sf.write(path, noise(2 * SR) // 8, SR)
    archive, (row,), _ = zipped("wav", [hit(recording(1, path, length_s=2.0))])
    with open_audio(path) as reader, opened(archive, row) as file:
        expected = np.concatenate(list(reader.blocks()))
        assert np.array_equal(file.read(dtype="float32", always_2d=True), expected[: 2 * SR])
    assert (row["passage"], row["score"]) == ("", "0.9000")


def test_the_manifest_has_no_score_for_what_has_none(tmp_path: Path) -> None:
    path = tmp_path / "kept.wav"
    sf.write(path, noise(SR), SR)
    kept = replace(hit(recording(1, path, length_s=1.0), (0.0, 0.5)), has_score=False)
    archive, (row,), _ = zipped("wav", [kept])
    assert row["score"] == ""
    archive.extractall(tmp_path / "unpacked")
    (entry,) = read_manifest(tmp_path / "unpacked" / "manifest.csv").entries
    assert entry.path == row["path"]


def test_what_cannot_be_read_is_listed_with_the_reason_and_the_rest_comes(tmp_path: Path) -> None:
    good, wide, short = (tmp_path / name for name in ("good.wav", "wide.wav", "short.wav"))
    sf.write(good, noise(SR), SR)
    sf.write(wide, noise(SR, channels=9), SR, subtype="PCM_16")
    sf.write(short, noise(SR), SR)
    (tmp_path / "text.wav").write_text("no sound")
    found = [
        hit(recording(1, tmp_path / "gone.wav"), (0, 1), (2, 3)),
        hit(recording(2, wide, length_s=1.0), (0, 1)),
        hit(recording(3, tmp_path / "text.wav"), (0, 1)),
        hit(recording(4, short), (5, 6), (0.5, 2)),
        hit(recording(5, good, length_s=1.0), (0, 1)),
    ]
    archive, rows, notes = zipped("flac", found)
    errors = [row["error"] for row in rows]
    assert errors[:2] == ["does not exist", "does not exist"]
    assert errors[2].startswith("FLAC cannot hold it")
    assert errors[3].startswith("not audio")
    assert errors[4] == "the file ends before the passage begins, at 5.000 s"
    assert errors[5:] == ["", ""]
    assert rows[5]["note"] == "the file ends before the passage does, at 2.000 s"
    assert float(rows[5]["offset_s"]) == 1.0
    assert archive.namelist() == [rows[5]["path"], rows[6]["path"], "manifest.csv"]
    (note,) = notes
    assert f" 5 ({tmp_path / 'gone.wav'}: does not exist; {wide}: FLAC cannot hold it" in note
    assert note.endswith(" and 1 more)")  # the two passages of one missing file are named once


def test_an_export_of_sounds_none_of_which_can_be_read_is_an_error(tmp_path: Path) -> None:
    gone = [hit(recording(n, tmp_path / f"gone {n}.wav"), (0, 1), (2, 3)) for n in range(5)]
    with pytest.raises(ExportError, match=r"gone 2\.wav: does not exist and 2 more.*relocate"):
        zipped("wav", gone)


def test_a_recording_that_is_damaged_in_its_middle_gives_what_lies_before(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    samples = noise(40 * SR, channels=1, bits=16)
    sf.write(path, samples, SR, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60_000] = bytes(60_000)
    path.write_bytes(data)
    of = recording(1, path, length_s=40.0, channels=1)
    archive, rows, notes = zipped("wav", [hit(of, (1.0, 2.0), (0.0, 40.0))])
    with opened(archive, rows[0]) as file:
        assert np.array_equal(file.read(dtype="int32", always_2d=True), samples[SR : 2 * SR])
    assert "damaged" in rows[1]["error"]
    assert len(notes) == 1


def test_the_manifest_tells_whose_the_sounds_are_and_can_be_indexed(tmp_path: Path) -> None:
    path = tmp_path / ' 5" tape,\n\tün .wav'
    sf.write(path, noise(SR), SR)
    about = Description(
        title="A bell,\nrung",
        creator="Ada",
        licence="CC BY 4.0",
        extra={"attribution": "Ada, 2024"},
    )
    of = recording(7, path, length_s=1.0, about=about)
    kept = replace(hit(of, (0.25, 0.5), (0.5, 1.0), score=0.75), note="the first\nstroke")
    archive, (first, second), _ = zipped("wav", [kept])
    assert first["source"] == str(path)
    assert (first["score"], first["rank"], first["passage"]) == ("0.7500", "1", "1")
    assert (second["score"], second["passage"]) == ("0.6500", "2")
    assert first["path"] == "0001-01 5 tape ün.wav"
    archive.extractall(tmp_path / "unpacked")
    read = read_manifest(tmp_path / "unpacked" / "manifest.csv")
    assert read.warnings == ()
    for entry in read.entries:
        assert (read.root / entry.path).is_file()
        assert (entry.metadata.title, entry.metadata.creator) == ("A bell, rung", "Ada")
        assert entry.metadata.licence == "CC BY 4.0"
        assert entry.metadata.extra["attribution"] == "Ada, 2024"
        assert entry.metadata.extra["comment"] == "the first stroke"
        assert entry.labels == ("a bell",)


def test_the_same_hits_give_the_same_bytes_and_no_trace_of_the_time(tmp_path: Path) -> None:
    path = tmp_path / "float.wav"
    sf.write(path, noise(SR) / 2**31, SR, subtype="FLOAT")
    found = [hit(recording(1, path, length_s=1.0), (0.0, 0.5), (0.25, 1.0))]
    archive, rows, _ = zipped("wav", found)
    assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    data = archive.read(rows[0]["path"])
    peak = data.index(b"PEAK")
    assert data[peak + 12 : peak + 16] == bytes(4)  # its time of writing
    again = io.BytesIO()
    EXPORTS["wav"].write(found, again, ExportOptions(labels=("a bell",)))
    assert again.getvalue() == archive.fp.getvalue()  # type: ignore[union-attr]


def test_long_passages_are_exact_and_take_little_memory(tmp_path: Path) -> None:
    sr, minutes = 8_000, 30
    path = tmp_path / "long.wav"
    with sf.SoundFile(path, "w", sr, 2, "PCM_16") as file:
        for minute in range(minutes):
            file.write(np.full((60 * sr, 2), minute * 1000 + 7, dtype=np.int16))
    of = recording(1, path, length_s=60.0 * minutes, sr=sr)
    found = [hit(of, (30.0, 60.0 * minutes), (90.0, 91.0))]
    target = tmp_path / "out.zip"
    tracemalloc.start()
    with target.open("wb") as stream:
        EXPORTS["wav"].write(found, stream)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 40e6  # the passage has 113 MB as it is decoded
    with zipfile.ZipFile(target) as archive:
        whole, part = sorted(archive.namelist())[:2]
        with sf.SoundFile(io.BytesIO(archive.read(whole))) as file:
            assert file.frames == (60 * minutes - 30) * sr
            file.seek(30 * sr - 1)
            assert file.read(2, dtype="int16")[:, 0].tolist() == [7, 1007]
        with sf.SoundFile(io.BytesIO(archive.read(part))) as file:
            assert file.read(dtype="int16").tolist() == [[1007, 1007]] * sr


def test_an_excerpt_too_large_for_wav_is_rf64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.export.cutting._RIFF_BYTES", 300_000)  # for 4 GB
    path = tmp_path / "a.wav"
    samples = noise(2 * SR)
    sf.write(path, samples, SR, subtype="PCM_24")
    found = [hit(recording(1, path, length_s=2.0), (0.0, 0.5), (0.5, 2.0))]
    archive, (small, large), _ = zipped("wav", found)
    with opened(archive, small) as file:
        assert file.format == "WAV"
    with opened(archive, large) as file:
        assert file.format == "RF64"
        assert np.array_equal(file.read(dtype="int32"), samples[SR // 2 :])


class Pipe(io.RawIOBase):
    """A stream that can only be written to, as a response of HTTP is."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += data  # type: ignore[operator]
        return len(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXPORTS)
def test_every_format_can_be_sent_while_it_is_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, noise(SR), SR)
    pipe = Pipe()
    EXPORTS[name].write([hit(recording(1, path, length_s=1.0), (0.25, 0.5))], pipe)
    assert not pipe.closed
    assert len(pipe.data) >= 20
    if EXPORTS[name].binary:
        with zipfile.ZipFile(io.BytesIO(pipe.data)) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 2


@pytest.mark.parametrize("kind", [".ogg", ".opus", ".mp3"])
def test_passages_of_real_recordings_are_what_was_heard(kind: str, real_audio: Path) -> None:
    path = max(real_audio.rglob(f"*{kind}"), key=lambda path: path.stat().st_size, default=None)
    if path is None:
        pytest.skip(f"no {kind} among the real recordings")
    with open_audio(path) as reader:
        sr, channels = reader.info.sample_rate, reader.info.channels
        heard = np.concatenate(list(reader.blocks()))
    length_s = len(heard) / sr
    spans_s = [
        (0.0, min(1.0, length_s)),
        (length_s / 2, length_s / 2 + 0.2),
        (length_s - 0.5, length_s),
    ]
    of = recording(1, path, length_s=length_s, sr=sr, channels=channels)
    archive, rows, notes = zipped("wav", [hit(of, *spans_s)])
    assert notes == []
    for row, (onset_s, offset_s) in zip(rows, spans_s, strict=True):
        expected = heard[round(onset_s * sr) : round(offset_s * sr)]
        with opened(archive, row) as file:
            got = file.read(dtype="float32", always_2d=True)
        assert abs(len(got) - len(expected)) <= 1
        n_frames = min(len(got), len(expected))
        assert np.allclose(got[:n_frames], expected[:n_frames], atol=1e-3)

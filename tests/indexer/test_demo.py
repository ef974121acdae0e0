"""The demo archive: what the synthesiser makes, and what it leaves in a folder."""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray
from scipy import signal

from indexer.demo import archive
from indexer.demo.archive import (
    COPIES,
    FIELD_RECORDING,
    SOUNDS,
    excerpt,
    manifest_csv,
    write_demo_archive,
)
from indexer.demo.encode import with_serial, write_sound
from indexer.demo.field import FIELD_EVENTS, audacity_labels
from indexer.demo.sound import Sound, render
from indexer.manifest import read_manifest

PROJECT = Path(__file__).resolve().parents[2]
SHORT = [sound for sound in SOUNDS if sound is not FIELD_RECORDING]


@pytest.fixture(scope="module")
def field() -> NDArray[np.float32]:
    """The field recording, shape (n, 2), made once."""
    return render(FIELD_RECORDING)


@pytest.fixture
def small_archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sound, ...]]:
    """An archive of five real sounds, one for each format, so that writing it takes a moment."""
    suffixes = (".wav", ".flac", ".ogg", ".opus", ".mp3")
    chosen = tuple(
        replace(next(s for s in SHORT if s.path.endswith(suffix)), length_s=1.5)
        for suffix in suffixes
    )
    field_part = replace(FIELD_RECORDING, make=chosen[0].make, length_s=66.0, sr=8000)
    monkeypatch.setattr(archive, "SOUNDS", (*chosen, field_part))
    monkeypatch.setattr(archive, "COPIES", COPIES[:1])
    yield (*chosen, field_part)


@pytest.mark.parametrize("sound", SHORT, ids=lambda sound: sound.path)
def test_a_sound_is_finite_of_its_length_at_its_level_and_without_dc(sound: Sound) -> None:
    made = render(sound)
    assert np.isfinite(made).all()
    assert len(made) == round(sound.length_s * sound.sr)
    peak = float(np.max(np.abs(made)))
    assert -30 <= 20 * np.log10(peak) <= 0
    assert np.all(np.abs(made.mean(axis=0, dtype=np.float64)) < 0.01 * peak)
    # A file that is silent but for one click would pass all of the above.
    loud = np.abs(made.reshape(len(made), -1)).max(axis=1)[: len(made) // 20 * 20].reshape(20, -1)
    assert np.count_nonzero(loud.max(axis=1) > 0.03 * peak) >= 6


@pytest.mark.parametrize("sound", SHORT[::6], ids=lambda sound: sound.path)
def test_a_sound_is_the_same_to_the_bit_whenever_it_is_made(sound: Sound) -> None:
    assert render(sound).tobytes() == render(sound).tobytes()


def test_the_sounds_differ_in_name_and_there_are_some_sixty_in_several_formats() -> None:
    paths = [sound.path for sound in SOUNDS] + [copy.path for copy in COPIES]
    assert len(set(paths)) == len(paths) >= 60
    assert {Path(path).suffix for path in paths} >= {
        ".wav",
        ".flac",
        ".ogg",
        ".opus",
        ".mp3",
        ".m4a",
    }
    assert {sound.sr for sound in SOUNDS} >= {22_050, 32_000, 44_100, 48_000}


def test_written_files_decode_to_their_length_and_a_second_call_writes_nothing(
    small_archive: tuple[Sound, ...], tmp_path: Path
) -> None:
    told: list[str] = []
    first = write_demo_archive(tmp_path / "demo", progress=told.append)
    assert told == [sound.path for sound in small_archive] + [COPIES[0].path]
    assert first.written == first.files
    for sound in small_archive:
        x, sr = soundfile.read(first.folder / sound.path)
        assert sr == sound.sr
        # Lossy encoders may pad by a frame or two.
        assert len(x) == pytest.approx(sound.length_s * sr, abs=0.06 * sr)
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.folder.rglob("*.*")
    }
    second = write_demo_archive(tmp_path / "demo")
    assert second.written == ()
    assert second.files == first.files
    after = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in first.folder.rglob("*.*")
    }
    assert after == before


def test_two_archives_are_the_same_to_the_byte(
    small_archive: tuple[Sound, ...], tmp_path: Path
) -> None:
    one = write_demo_archive(tmp_path / "one")
    two = write_demo_archive(tmp_path / "two")
    for a, b in zip(
        (*one.files, one.manifest, one.labels), (*two.files, two.manifest, two.labels), strict=True
    ):
        assert a.read_bytes() == b.read_bytes(), a.name


def test_truncated_missing_and_half_written_files_are_made_anew_and_others_kept(
    small_archive: tuple[Sound, ...], tmp_path: Path
) -> None:
    whole = write_demo_archive(tmp_path)
    wanted = {path: path.read_bytes() for path in whole.files}
    truncated, missing = whole.files[1], whole.files[2]
    truncated.write_bytes(wanted[truncated][:1000])
    missing.unlink()
    missing.with_name(missing.name + ".part").write_bytes(b"Og")
    again = write_demo_archive(tmp_path)
    assert again.written == (truncated, missing)
    assert {path: path.read_bytes() for path in again.files} == wanted
    assert not list(tmp_path.rglob("*.part"))


def test_an_interrupted_call_is_taken_up_where_it_stopped(
    small_archive: tuple[Sound, ...], tmp_path: Path
) -> None:
    class StopError(Exception):
        pass

    def stop_after_two(path: str) -> None:
        if path == small_archive[1].path:
            raise StopError

    with pytest.raises(StopError):
        write_demo_archive(tmp_path, progress=stop_after_two)
    resumed = write_demo_archive(tmp_path)
    assert [path.name for path in resumed.written] == [path.name for path in resumed.files[2:]]


def test_the_folder_manifest_is_read_as_a_manifest_and_says_synthetic(
    small_archive: tuple[Sound, ...], tmp_path: Path
) -> None:
    made = write_demo_archive(tmp_path)
    manifest = read_manifest(made.manifest)
    assert manifest.warnings == ()
    assert [tmp_path / entry.path for entry in manifest.entries] == list(made.files)
    for entry in manifest.entries:
        content = (tmp_path / entry.path).read_bytes()
        assert entry.checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert "synthetic" in entry.metadata.tags
        assert entry.metadata.title and entry.metadata.description and entry.labels
        assert entry.metadata.licence == "CC0-1.0"


def test_an_m4a_copy_has_the_same_bytes_each_time_and_decodes_with_pyav(tmp_path: Path) -> None:
    x = render(replace(SHORT[0], length_s=1.0))
    paths = [tmp_path / "a.m4a", tmp_path / "b.m4a"]
    for path in paths:
        write_sound(path, x, SHORT[0].sr, tags={"title": "t"})
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with av.open(str(paths[0])) as file:
        frames = sum(frame.samples for frame in file.decode(audio=0))
    assert frames == pytest.approx(len(x), abs=4096)


def test_a_new_serial_number_leaves_an_ogg_stream_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    write_sound(path, render(replace(SHORT[0], length_s=1.0)), SHORT[0].sr, tags={})
    before, _ = soundfile.read(path)
    path.write_bytes(with_serial(path.read_bytes(), serial=7))
    after, _ = soundfile.read(path)
    assert np.array_equal(before, after)


def _rms_db(x: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64))))


def test_every_event_of_the_field_recording_stands_out_of_the_bed_when_the_list_says(
    field: NDArray[np.float32],
) -> None:
    sr = FIELD_RECORDING.sr
    for event in FIELD_EVENTS:
        heard = _rms_db(field[round(event.onset_s * sr) : round(event.offset_s * sr)])
        before = _rms_db(field[round((event.onset_s - 3) * sr) : round(event.onset_s * sr)])
        after = _rms_db(field[round(event.offset_s * sr) : round((event.offset_s + 3) * sr)])
        assert 6 <= heard - max(before, after) <= 26, event


def test_the_pitched_events_of_the_field_recording_have_their_pitch(
    field: NDArray[np.float32],
) -> None:
    sr = FIELD_RECORDING.sr
    bands_hz = {
        "church bell": (310, 330),
        "alarm clock": (1950, 2150),
        "bicycle bell": (4250, 4430),
    }
    for label, (low, high) in bands_hz.items():
        event = next(event for event in FIELD_EVENTS if event.label == label)
        shares = []
        for onset in (event.onset_s, event.onset_s - 4.0):
            part = field[round(onset * sr) : round((onset + 3) * sr)].sum(axis=1)
            power = np.abs(np.fft.rfft(part)) ** 2
            hz = np.fft.rfftfreq(len(part), 1 / sr)
            shares.append(power[(hz > low) & (hz < high)].sum())
        assert shares[0] > 30 * shares[1], label


def test_the_field_recording_is_neither_clipped_nor_biased(field: NDArray[np.float32]) -> None:
    assert field.shape == (round(FIELD_RECORDING.length_s * FIELD_RECORDING.sr), 2)
    peak = float(np.max(np.abs(field)))
    assert peak == pytest.approx(10 ** (FIELD_RECORDING.peak_dbfs / 20), rel=1e-4)
    assert np.all(np.abs(field.mean(axis=0, dtype=np.float64)) < 0.01 * peak)


def test_the_label_file_gives_the_events_as_audacity_reads_them() -> None:
    lines = audacity_labels().splitlines()
    assert len(lines) == len(FIELD_EVENTS)
    for line, event in zip(lines, FIELD_EVENTS, strict=True):
        onset, offset, label = line.split("\t")
        assert (float(onset), float(offset), label) == (event.onset_s, event.offset_s, event.label)


def test_the_events_do_not_overlap_and_lie_within_the_recording() -> None:
    for event, following in pairwise(FIELD_EVENTS):
        assert event.offset_s + 3 <= following.onset_s
    assert FIELD_EVENTS[-1].offset_s + 3 <= FIELD_RECORDING.length_s


def test_the_aac_copy_holds_the_part_of_its_source_that_it_declares(tmp_path: Path) -> None:
    copy = COPIES[1]
    source = next(sound for sound in SOUNDS if sound.path == copy.source)
    made = render(source)
    write_sound(tmp_path / source.path, made, source.sr, tags={})
    write_sound(tmp_path / copy.path, excerpt(tmp_path, copy), copy.sr, tags={}, compression=0.85)
    with av.open(str(tmp_path / copy.path)) as file:
        planes = [frame.to_ndarray() for frame in file.decode(audio=0)]
    heard = np.concatenate(planes, axis=1)[0].astype(np.float64)
    part = made[round(copy.from_s * source.sr) : round(copy.to_s * source.sr)]
    wanted = soxr.resample(part, source.sr, copy.sr).astype(np.float64)
    # The decoder may give the encoder's delay, some two frames of 1024 samples, as silence.
    match = signal.correlate(heard, wanted, "full")
    best = float(match.max()) / float(np.linalg.norm(heard) * np.linalg.norm(wanted))
    late = int(match.argmax()) - (len(wanted) - 1)
    assert best > 0.95
    assert 0 <= late <= 3072
    level_db = 20 * np.log10(np.std(heard) / np.std(wanted))
    assert level_db == pytest.approx(copy.gain_db, abs=1.0)


def test_the_published_manifest_is_what_the_synthesiser_declares() -> None:
    published = PROJECT / "data_manifests" / "demo.csv"
    assert published.read_text(encoding="utf-8") == manifest_csv()
    about = tomllib.loads((PROJECT / "data_manifests" / "demo.toml").read_text(encoding="utf-8"))
    assert about["licence"] == "CC0-1.0"
    assert "`echoic demo FOLDER`" in about["source"]
    assert {"title", "description"} <= about.keys()

"""Excerpts: exact, short, kept within bounds."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from indexer.errors import AudioError
from search.disk_cache import DiskCache
from search.excerpts import Excerpts, Kind


@pytest.fixture
def excerpts(tmp_path: Path) -> Excerpts:
    return Excerpts(tmp_path / "kept")


def recording(path: Path, *, sr: int = 48_000, channels: int = 2, subtype: str = "PCM_16") -> Path:
    rng = np.random.default_rng(1)
    samples = rng.uniform(-0.5, 0.5, (4 * sr, channels)).astype(np.float32)
    soundfile.write(path, samples, sr, subtype=subtype)
    return path


def test_what_is_taken_away_has_the_very_samples(excerpts: Excerpts, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", sr=44_100, channels=6, subtype="PCM_24")
    taken = excerpts.excerpt(path, "sha256:1", 1.25, 3.5, Kind.TAKE)
    whole, _ = soundfile.read(path, dtype="int32")
    found, rate = soundfile.read(taken, dtype="int32")
    assert rate == 44_100
    assert np.array_equal(found, whole[round(1.25 * 44_100) : round(3.5 * 44_100)])
    assert soundfile.info(taken).subtype == "PCM_24"


def test_float_recordings_are_taken_away_as_float(excerpts: Excerpts, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", subtype="FLOAT")
    taken = excerpts.excerpt(path, "sha256:1", 0.0, 1.0, Kind.TAKE)
    assert soundfile.info(taken).subtype == "FLOAT"


@pytest.mark.parametrize(
    ("sr", "channels", "rate", "played"),
    [
        (48_000, 2, 48_000, 2),
        (192_000, 1, 48_000, 1),
        (44_100, 8, 44_100, 1),
        (4_000, 1, 48_000, 1),
    ],
)
def test_every_browser_can_play_what_is_for_listening(
    excerpts: Excerpts, tmp_path: Path, sr: int, channels: int, rate: int, played: int
) -> None:
    path = recording(tmp_path / "a.wav", sr=sr, channels=channels)
    info = soundfile.info(excerpts.excerpt(path, "sha256:1", 0.5, 2.0, Kind.LISTEN))
    assert (info.format, info.samplerate, info.channels) == ("FLAC", rate, played)
    assert abs(info.duration - 1.5) < 0.01


def test_sound_beyond_full_scale_is_made_softer_not_clipped(
    excerpts: Excerpts, tmp_path: Path
) -> None:
    wave = 3 * np.sin(np.arange(8_000) * 0.05)
    soundfile.write(tmp_path / "a.wav", wave, 8_000, subtype="FLOAT")
    heard, _ = soundfile.read(
        excerpts.excerpt(tmp_path / "a.wav", "sha256:1", 0.0, 1.0, Kind.LISTEN)
    )
    assert np.allclose(heard[100:-100], wave[100:-100] / 3, atol=1e-3)


def test_an_excerpt_is_made_once(excerpts: Excerpts, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav")
    first = excerpts.excerpt(path, "sha256:1", 1.0, 2.0, Kind.LISTEN)
    path.unlink()
    assert excerpts.excerpt(path, "sha256:1", 1.0, 2.0, Kind.LISTEN) == first
    with pytest.raises(AudioError):
        excerpts.excerpt(path, "sha256:2", 1.0, 2.0, Kind.LISTEN)


@pytest.mark.parametrize(
    ("from_s", "to_s"), [(-1.0, 2.0), (2.0, 2.0), (0.0, 60.5), (float("nan"), 1.0), (9.0, 10.0)]
)
def test_impossible_parts_are_refused(
    excerpts: Excerpts, tmp_path: Path, from_s: float, to_s: float
) -> None:
    path = recording(tmp_path / "a.wav")
    with pytest.raises(AudioError):
        excerpts.excerpt(path, "sha256:1", from_s, to_s, Kind.LISTEN)


def test_the_cache_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", max_bytes=1_000)
    for number in range(12):
        cache.get(f"file-{number}", lambda: bytes(100))
        cache.find("file-0")
    kept = {path.name for path in cache.folder.iterdir()}
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 1_000
    assert {"file-0", "file-11"} <= kept
    assert "file-1" not in kept


def test_what_could_not_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", max_bytes=1_000)

    def fail() -> bytes:
        raise AudioError("damaged")

    with pytest.raises(AudioError):
        cache.get("a", fail)
    assert cache.find("a") is None
    assert not cache.folder.exists() or not list(cache.folder.iterdir())

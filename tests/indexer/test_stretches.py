"""Stretches of files are the same samples that decoding from the beginning gives."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from indexer.audio import open_audio
from indexer.demo.encode import write_sound
from indexer.errors import AudioError
from indexer.stretches import length_s, read_pieces, read_stretch

_SR = 32_000
_LENGTH_S = 40.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same noise with a slow swell in every kind of file."""
    folder = tmp_path_factory.mktemp("stretches")
    rng = np.random.default_rng(7)
    n_samples = round(_LENGTH_S * _SR)
    swell = 0.1 + 0.05 * np.sin(np.arange(n_samples) / 9_000)
    noise = rng.standard_normal((n_samples, 2)) * swell[:, None]
    for suffix in ("wav", "flac", "ogg", "mp3", "m4a"):
        write_sound(folder / f"a.{suffix}", noise.astype(np.float32), _SR, tags={})
    return folder


def decoded(path: Path) -> np.ndarray:
    with open_audio(path) as reader:
        return np.concatenate(list(reader.blocks()))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "m4a"])
@pytest.mark.parametrize("from_s", [0.0, 3.21, 31.415])
def test_a_stretch_is_what_decoding_everything_gives(
    files: Path, suffix: str, from_s: float
) -> None:
    path = files / f"a.{suffix}"
    stretch = read_stretch(path, from_s, from_s + 2.5)
    first = round(from_s * _SR)
    expected = decoded(path)[first : first + round(2.5 * _SR)]
    assert stretch.samples.shape == expected.shape
    assert np.abs(stretch.samples - expected).max() < 1e-4
    assert stretch.info.sample_rate == _SR


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_pieces_come_in_order_and_are_empty_behind_the_end(files: Path, suffix: str) -> None:
    path = files / f"a.{suffix}"
    whole = decoded(path)
    pieces = [(1.0, 1.1), (1.1, 1.3), (20.0, 20.05), (39.9, 60.0), (70.0, 71.0)]
    found = [stretch.samples for stretch in read_pieces(path, pieces)]
    for (from_s, to_s), samples in zip(pieces, found, strict=True):
        expected = whole[round(from_s * _SR) : round(to_s * _SR)]
        assert samples.shape == expected.shape
        assert np.abs(samples - expected).max(initial=0.0) < 1e-4
    assert len(found[-1]) == 0


def test_what_cannot_be_read_is_an_error_with_the_reason(files: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="the file ends before"):
        read_stretch(files / "a.wav", 50.0, 51.0)
    with pytest.raises(AudioError, match="cannot be read"):
        read_stretch(files / "a.wav", 3.0, 2.0)
    with pytest.raises(AudioError, match="no longer than"):
        read_stretch(files / "a.wav", 0.0, 1e6)
    with pytest.raises(AudioError, match="does not exist"):
        read_stretch(tmp_path / "nothing.wav", 30.0, 31.0)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match="not audio"):
        read_stretch(tmp_path / "text.wav", 30.0, 31.0)


def test_what_is_not_a_number_is_silence(tmp_path: Path) -> None:
    samples = np.full(25 * 8_000, 0.25, dtype=np.float32)
    samples[22 * 8_000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 8_000, subtype="FLOAT")
    found = read_stretch(tmp_path / "a.wav", 21.5, 22.5).samples
    assert np.isfinite(found).all()
    assert found[4_000, 0] == 0.0


def test_the_length_is_that_of_what_is_decoded(files: Path) -> None:
    assert length_s(files / "a.wav") == _LENGTH_S
    assert abs(length_s(files / "a.mp3") - _LENGTH_S) < 0.1

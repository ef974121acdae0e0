"""Pictures show what is there, where it is, in colours that grow lighter evenly."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from search.pictures import Pictures, View, _palette, log_mel
from search.png import palette_png
from search.waveform import drawn, levels


def write_tone(path: Path, *, hz: float, from_s: float, to_s: float, length_s: float) -> Path:
    sr = 32_000
    time_s = np.arange(round(length_s * sr)) / sr
    tone = 0.3 * np.sin(2 * np.pi * hz * time_s) * ((time_s >= from_s) & (time_s < to_s))
    soundfile.write(path, tone.astype(np.float32), sr)
    return path


@pytest.mark.parametrize("length_s", [0.5, 8.0, 120.0, 1_000.0])
def test_a_tone_is_seen_when_it_sounds_and_at_its_height(tmp_path: Path, length_s: float) -> None:
    path = write_tone(
        tmp_path / "a.flac", hz=1_000, from_s=0.25 * length_s, to_s=0.5 * length_s,
        length_s=length_s,
    )  # fmt: skip
    shown = log_mel(path, 0.0, length_s)
    bands, columns = shown.shape
    loud = shown.max(axis=0) > -40
    slack = 2 + round(columns * 0.05 / length_s)  # half a frame on either side
    assert loud[columns // 4 + slack : columns // 2 - slack].all()
    assert not loud[: columns // 4 - slack].any()
    assert not loud[columns // 2 + slack :].any()
    # 1 kHz is mel 15, of 55.3 at 16 kHz, on Slaney's scale.
    height = 1 - shown[:, columns * 3 // 8].argmax() / bands
    assert abs(height - 15 / 55.3) < 0.03


def test_a_part_shows_only_itself(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.flac", hz=500, from_s=30.0, to_s=31.0, length_s=60.0)
    assert (log_mel(path, 30.1, 30.9).max(axis=0) > -40).all()
    assert not (log_mel(path, 40.0, 50.0).max(axis=0) > -40).any()


def test_silence_is_dark_and_so_is_faint_noise(tmp_path: Path) -> None:
    sr = 16_000
    noise = 1e-6 * np.random.default_rng(0).standard_normal(2 * sr)
    soundfile.write(tmp_path / "a.wav", noise, sr, subtype="FLOAT")
    path = Pictures(tmp_path / "kept").picture(tmp_path / "a.wav", "sha256:1", 2.0)
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L")).mean() < 20


def test_a_picture_is_made_once_and_quickly(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", hz=500, from_s=1.0, to_s=2.0, length_s=10.0)
    pictures = Pictures(tmp_path / "kept")
    pictures.picture(path, "sha256:0", 10.0)  # loads libraries
    began = time.process_time()
    made = pictures.picture(path, "sha256:1", 10.0)
    assert time.process_time() - began < 0.5  # about 0.04 s on a machine that has nothing else
    path.unlink()
    assert pictures.picture(path, "sha256:1", 10.0) == made
    assert made.stat().st_size < 100_000


@pytest.mark.parametrize("view", View)
def test_a_coarse_picture_of_minutes_is_quick_and_shows_the_same(
    tmp_path: Path, view: View
) -> None:
    path = write_tone(tmp_path / "a.flac", hz=1_000, from_s=60.0, to_s=120.0, length_s=240.0)
    pictures = Pictures(tmp_path / "kept")
    whole = pictures.picture(path, "sha256:1", 240.0, view=view)
    began = time.process_time()
    coarse = pictures.picture(path, "sha256:1", 240.0, view=view, coarse=True)
    assert time.process_time() - began < 0.4  # about 0.05 s on a machine that has nothing else
    assert coarse != whole
    shown = []
    for one in (whole, coarse):
        with Image.open(one) as picture:
            grey = picture.convert("L").resize((80, 48), Image.Resampling.BOX)
        # A wave is high where it is loud; a tone is a line, wherever it lies.
        rows = slice(10, 14) if view is View.WAVEFORM else slice(None)
        shown.append(np.asarray(grey)[rows].max(axis=0) > 80)
    assert shown[0][22:38].all()
    assert not shown[0][:18].any()
    assert (shown[0] == shown[1]).mean() > 0.95


def test_a_waveform_tells_peaks_and_means_over_time(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", hz=500, from_s=10.0, to_s=20.0, length_s=40.0)
    found = levels(path, 0.0, 40.0, n_columns=80, piece_s=60.0)
    np.testing.assert_allclose(found[21:39, 0], 0.3, rtol=0.01)
    np.testing.assert_allclose(found[21:39, 1], 0.3 / np.sqrt(2), rtol=0.01)
    assert found[:19].max() == 0.0
    picture = drawn(found)
    assert (picture[:, 30] == 1.0).mean() == pytest.approx(1 / np.sqrt(2), abs=0.03)
    assert (picture[:, 5] > 0).sum() <= 2  # where it is silent, a line


@pytest.mark.parametrize("sr", [4_000, 8_000, 11_025, 44_100, 96_000, 384_000])
def test_every_rate_has_a_picture_without_holes(tmp_path: Path, sr: int) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(sr)
    soundfile.write(tmp_path / "a.wav", noise, sr)
    shown = log_mel(tmp_path / "a.wav", 0.0, 1.0)
    assert np.isfinite(shown).all()
    assert np.ptp(shown.mean(axis=1)) < 15  # white noise is even over the bands


def test_colours_grow_lighter_in_even_steps() -> None:
    linear = (_palette() / 255) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(np.maximum(luminance, 1e-4)) - 16
    steps = np.diff(lightness[::16])
    assert (steps > 0).all()
    assert steps[1:].max() < 2.2 * steps[1:].min()


def test_png_files_are_read_by_others() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(palette_png(pixels, palette))) as picture:
        picture.load()
        assert np.array_equal(np.asarray(picture.convert("RGB")), palette[pixels])

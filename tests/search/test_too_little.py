"""Queries in which nothing could be recognised, whatever the archive holds."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from indexer.errors import AudioError
from search.too_little import too_little

SR = 8000


def written(folder: Path, samples: NDArray[np.float64], sr: int = SR) -> Path:
    path = folder / "query.wav"
    soundfile.write(path, samples, sr, subtype="FLOAT")
    return path


def noise(seconds: float) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(0).standard_normal(round(seconds * SR))


def test_sound_is_enough(tmp_path: Path) -> None:
    assert too_little(written(tmp_path, noise(1.0))) == ""
    late = np.concatenate([np.zeros(100 * SR), noise(0.5)])
    assert too_little(written(tmp_path, late)) == ""


def test_below_a_second_nothing_is_tried(tmp_path: Path) -> None:
    assert too_little(written(tmp_path, noise(0.999))).startswith("0.99 s are too short")
    path = written(tmp_path, noise(3.0))
    assert too_little(path, from_s=1.0, to_s=1.5).startswith("0.50 s are too short")


def test_silence_and_channels_that_cancel_out_are_told(tmp_path: Path) -> None:
    assert "silent" in too_little(written(tmp_path, np.zeros(3 * SR)))
    sound = noise(3.0)
    reversed_polarity = np.stack([sound, -sound], axis=1)
    assert "mixed to one channel" in too_little(written(tmp_path, reversed_polarity))
    assert too_little(written(tmp_path, np.stack([sound, 0 * sound], axis=1))) == ""


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "letter.wav"
    path.write_text("Dear Sir")
    with pytest.raises(AudioError):
        too_little(path)

"""Small folders of real sound files, made on the spot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

WriteSound = Callable[..., Path]


def write_sound(
    path: Path, *, seed: int = 0, length_s: float = 1.0, sr: int = 16_000, channels: int = 1
) -> Path:
    """Write a tone in noise that is another for each seed; the suffix gives the format."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(length_s * sr)) / sr
    tone = 0.3 * np.sin(2 * np.pi * (200 + 97 * seed) * time_s)
    sound = np.column_stack([tone + 0.05 * rng.standard_normal(len(tone))] * channels)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound.astype(np.float32), sr)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five sounds in three formats and two folders."""
    root = tmp_path / "archive"
    for number, name in enumerate(["a.wav", "b.flac", "deep/c.ogg", "deep/d.wav", "e.wav"]):
        write_sound(root / name, seed=number, length_s=0.5 + number)
    return root

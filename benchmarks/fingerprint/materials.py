"""Speech, street sound and rooms that excerpts are mixed with; two disjoint halves, dev and test.

What is used here is never in the archive nor among the non-matching queries: a search would
rightly find it.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.mono import read_mono

SR = 16000
SPLITS = ("dev", "test")

STREET = (
    "ambience__busy-street.opus",
    "ambience__traffic.opus",
    "ambience__highway.opus",
    "ambience__road.opus",
    "ambience__crowd.opus",
    "ambience__subway-station.opus",
    "tonejs__berklee__street_noise_1.opus",
    "tonejs__berklee__boston_Subway_1.opus",
    "tonejs__berklee__crowd1.opus",
    "tonejs__berklee__crowd2.opus",
)
ROOMS = (
    "binaural-s3_r4_bd.flac",
    "cardiod-35-10-spread.flac",
    "cardiod-rear-35-10.flac",
    "cardiod-true-stereo-15-8.flac",
    "kitchen-true-stereo.flac",
    "matrix-reverb2.flac",
    "matrix-reverb3.flac",
    "omni-35-10.flac",
    "spatialized8.flac",
    "super-ceiling-35-10.flac",
)
"""Those of the impulse responses that are rooms: reverberation times of 0.4 to 2.5 s."""

N_TALKERS = 8

Samples = NDArray[np.float32]


def audio_folder() -> Path:
    """Return the folder of real recordings: ECHOIC_TEST_AUDIO, or the one beside the project."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "audio"
    folder = Path(os.environ.get("ECHOIC_TEST_AUDIO", beside))
    if not (folder / "music").is_dir():
        raise SystemExit(
            f"no real recordings in {folder}: set ECHOIC_TEST_AUDIO to a folder of them"
        )
    return folder


def manifest(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the manifest of a folder."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_speech(row: dict[str, str]) -> bool:
    """Say whether a row of the unlabelled sounds is spoken sentences or words."""
    return row["label"].startswith("speech") and row["path"].startswith(("precise", "tuxpaint"))


def reserved_paths(folder: Path) -> set[str]:
    """Return the paths, below the folder of audio, of everything that excerpts are mixed with."""
    speech = {row["path"] for row in manifest(folder / "unlabelled") if is_speech(row)}
    return {f"unlabelled/{path}" for path in speech | set(STREET)}


@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """Noises and rooms, mono, at 16 kHz.

    Attributes
    ----------
    speech : sequence of ndarray
        Words and sentences, trimmed of silence, at equal level.
    street : sequence of ndarray
        Traffic and crowds, at equal level.
    rooms : sequence of ndarray
        Impulse responses that begin with the direct sound.
    """

    speech: Sequence[Samples]
    street: Sequence[Samples]
    rooms: Sequence[Samples]

    @classmethod
    def load(cls, split: str, folder: Path | None = None) -> "Materials":
        """Read the half of the material that belongs to a split; takes some seconds."""
        folder = folder or audio_folder()
        half = slice(SPLITS.index(split), None, 2)
        sounds = folder / "unlabelled"
        speech = sorted(row["path"] for row in manifest(sounds) if is_speech(row))
        return cls(
            speech=[_spoken(read_mono(sounds / name, SR)) for name in speech[half]],
            street=[_level(read_mono(sounds / name, SR)) for name in STREET[half]],
            rooms=[_room(folder / "rooms" / name) for name in ROOMS[half]],
        )

    def noise(self, kind: str, n_samples: int, rng: np.random.Generator) -> Samples:
        """Return babble, street or white noise with an RMS of 1."""
        if kind == "white":
            made = rng.standard_normal(n_samples).astype(np.float32)
        elif kind == "street":
            made = _stretch_of(self.street[rng.integers(len(self.street))], n_samples, rng)
        else:
            made = np.zeros(n_samples, dtype=np.float32)
            for _ in range(N_TALKERS):
                made += self._talker(n_samples, rng) * np.float32(10 ** (rng.uniform(-3, 3) / 20))
        return _level(made)

    def room(self, rng: np.random.Generator) -> Samples:
        """Return one of the rooms."""
        return self.rooms[rng.integers(len(self.rooms))]

    def _talker(self, n_samples: int, rng: np.random.Generator) -> Samples:
        clips: list[Samples] = []
        while sum(map(len, clips)) < n_samples + SR:
            clips.append(self.speech[rng.integers(len(self.speech))])
        start = rng.integers(SR)
        return np.concatenate(clips)[start : start + n_samples]


def _level(samples: Samples) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    levelled: Samples = samples / np.float32(max(rms, 1e-9))
    return levelled


def _spoken(samples: Samples) -> Samples:
    """Cut the silence around the words; a talker in a crowd hardly pauses."""
    n = SR // 50
    parts = samples[: len(samples) // n * n].reshape(-1, n)
    power = np.square(parts).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 1e-3)
    return _level(parts[loud[0] : loud[-1] + 1].ravel())


def _stretch_of(samples: Samples, n_samples: int, rng: np.random.Generator) -> Samples:
    start = int(rng.integers(len(samples)))
    return np.resize(np.roll(samples, -start), n_samples)


def _room(path: Path) -> Samples:
    """Read an impulse response; its direct sound is the first peak of half the largest."""
    # One channel: to average the channels of two places would be a room that nobody stood in.
    import soundfile
    import soxr

    response, sr = soundfile.read(path, dtype="float32", always_2d=True)
    resampled = soxr.resample(response[:, 0], sr, SR)
    first = int(np.argmax(np.abs(resampled) >= 0.5 * np.abs(resampled).max()))
    aligned: Samples = resampled[max(0, first - 2) :].astype(np.float32)
    return aligned / np.float32(np.sqrt(np.square(aligned).sum()))

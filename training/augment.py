"""Make training examples: one window of sound for every sample number, the same on every run.

Student and teacher both hear the result, so nothing here can make a label wrong: the more
different it sounds, the more the student learns of what the teacher knows.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from indexer.encoders.echoic_mini.mel import (
    LEVEL_DBFS,
    N_MELS,
    SAMPLE_RATE,
    level,
    log_mel,
    mel_power,
)
from training.data import Clip, manifest, read_mono

WINDOW = 5 * SAMPLE_RATE
Samples = NDArray[np.float32]


class Augmenter:
    """Draws windows from the training recordings and changes them.

    Parameters
    ----------
    audio : ndarray, shape (n_samples,), int16
    clips : list of Clip
    weights : ndarray, shape (n_clips,)
        How often each recording is drawn; sums to 1.
    rooms : list of ndarray
        Impulse responses at 32 kHz.
    seed : int
    """

    def __init__(
        self,
        audio: NDArray[np.int16],
        clips: list[Clip],
        weights: NDArray[np.float64],
        rooms: list[Samples],
        *,
        seed: int,
    ) -> None:
        self._audio = audio
        self._clips = clips
        self._cumulative = np.cumsum(weights) / np.sum(weights)
        self._rooms = rooms
        self._seed = seed
        self._noises = _noises(np.random.default_rng(seed))

    def mel(self, number: int) -> Samples:
        """Log-mel of sample `number`, shape (128, 500): a function of the number and the seed."""
        rng = np.random.default_rng((self._seed, number))
        window = self._source(rng)
        if rng.random() < 0.6:
            window = _mix(window, self._source(rng), ratio_db=rng.uniform(-24.0, 6.0))
        if self._rooms and rng.random() < 0.12:
            room = self._rooms[rng.integers(len(self._rooms))]
            window = fftconvolve(window, room)[:WINDOW].astype(np.float32)
        if rng.random() < 0.25:
            noise = self._noises[rng.integers(len(self._noises))]
            at = rng.integers(len(noise) - WINDOW)
            window = _mix(window, noise[at : at + WINDOW], ratio_db=-rng.uniform(3.0, 40.0))
        window = _set_level(window, rng)
        power = mel_power(window)
        if rng.random() < 0.4:
            power = power * _equaliser(rng)
        return log_mel(power)

    def _source(self, rng: np.random.Generator) -> Samples:
        clip = self._clips[int(np.searchsorted(self._cumulative, rng.random()))]
        speed = float(np.exp(rng.uniform(np.log(0.7), np.log(1.4)))) if rng.random() < 0.6 else 1.0
        wanted = int(WINDOW * speed) + 2
        at = int(rng.integers(max(1, clip.length - wanted + 1)))
        stop = min(clip.start + clip.length, clip.start + at + wanted)
        sound = self._audio[clip.start + at : stop].astype(np.float32) / np.float32(32768.0)
        if len(sound) > SAMPLE_RATE and rng.random() < 0.12:
            length = int(SAMPLE_RATE * rng.uniform(0.3, 2.5))
            begin = int(rng.integers(max(1, len(sound) - length)))
            sound = sound[begin : begin + length]
        if speed != 1.0:
            grid = np.arange(0.0, len(sound) - 1, speed)
            sound = np.interp(grid, np.arange(len(sound)), sound).astype(np.float32)
        if len(sound) < WINDOW and len(sound) > SAMPLE_RATE // 4 and rng.random() < 0.4:
            # In a longer recording a short sound stands alone, with little around it.
            window = np.zeros(WINDOW, np.float32)
            window[: len(sound)] = sound
        else:
            window = np.resize(sound, WINDOW)
        return np.roll(window, int(rng.integers(WINDOW)))


def load_rooms(audio: Path) -> list[Samples]:
    """Impulse responses under `audio`/rooms: mono, 1 s at most, the direct sound at the start."""
    rooms = []
    for row in manifest(audio / "rooms"):
        response = read_mono(audio / "rooms" / row["path"], max_s=4.0)
        response = response[int(np.argmax(np.abs(response))) :][:SAMPLE_RATE]
        rooms.append((response / np.sqrt(np.sum(np.square(response)))).astype(np.float32))
    return rooms


def _rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) + 1e-9


def _mix(first: Samples, second: Samples, *, ratio_db: float) -> Samples:
    gain = _rms(first) / _rms(second) * 10.0 ** (ratio_db / 20.0)
    return first + np.float32(gain) * second


def _set_level(window: Samples, rng: np.random.Generator) -> Samples:
    # Mostly what `level` will give at run time, give or take; now and then the quiet recordings
    # that it cannot raise all the way.
    window = level(window)
    offset_db = rng.normal(0.0, 3.0) if rng.random() < 0.9 else rng.uniform(-40.0, 0.0)
    gain = 10.0 ** ((LEVEL_DBFS + offset_db) / 20.0) / _rms(window)
    return window * np.float32(min(gain, 1e4))


def _equaliser(rng: np.random.Generator) -> Samples:
    """Gain in power for each mel band, a smooth random curve, shape (128, 1)."""
    points = rng.normal(0.0, 6.0, size=7)
    curve_db = np.interp(np.linspace(0, 6, N_MELS), np.arange(7), points)
    if rng.random() < 0.25:  # a telephone, an old tape, a wall between
        low, high = sorted(rng.integers(0, N_MELS, size=2))
        if high - low > 40:
            curve_db[:low] -= 30.0
            curve_db[high:] -= 30.0
    gain: Samples = (10.0 ** (curve_db / 10.0)).astype(np.float32)[:, None]
    return gain


def _noises(rng: np.random.Generator) -> list[Samples]:
    """A minute each of noise that falls by 0, 3, 6 and 9 dB an octave."""
    noises = []
    n = 60 * SAMPLE_RATE
    for slope in (0.0, 0.5, 1.0, 1.5):
        spectrum = np.fft.rfft(rng.standard_normal(n).astype(np.float32))
        spectrum *= np.maximum(np.arange(len(spectrum)), 60.0) ** -slope
        noise = np.fft.irfft(spectrum, n)
        noises.append((0.1 * noise / np.std(noise)).astype(np.float32))
    return noises

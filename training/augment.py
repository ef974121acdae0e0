"""Make training examples: one window of sound for every sample number, the same on every run.

Student and teacher both hear the result, so nothing here can make a label wrong: the more
different it sounds, the more the student learns of what the teacher knows.
"""

from dataclasses import dataclass
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
from training.resynthesis import trembling

WINDOW = 5 * SAMPLE_RATE
AUDIBLE = 600  # of 32,000, the peak of every recording
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """Sounds to draw from.

    Attributes
    ----------
    audio : ndarray, shape (n_samples,), int16
    clips : list of Clip
    weights : ndarray, shape (n_clips,)
        How often each is drawn; sums to 1.
    share : float
        How often a sound comes from this pool; the shares of all pools sum to 1.
    """

    audio: NDArray[np.int16]
    clips: list[Clip]
    weights: NDArray[np.float64]
    share: float


class Augmenter:
    """Draws windows from the training sounds and changes them.

    Parameters
    ----------
    pools : list of Pool
    rooms : list of ndarray
        Impulse responses at 32 kHz.
    seed : int
    """

    def __init__(self, pools: list[Pool], rooms: list[Samples], *, seed: int) -> None:
        self._pools = pools
        weights = np.concatenate([pool.share * pool.weights for pool in pools])
        self._cumulative = np.cumsum(weights) / np.sum(weights)
        self._rooms = rooms
        self._seed = seed
        self._noises = _noises(np.random.default_rng(seed))

    def mel(self, number: int, *, length: int = WINDOW) -> Samples:
        """Log-mel of sample `number`, a function of the number, the length and the seed.

        Parameters
        ----------
        number : int
        length : int
            Samples of the window.

        Returns
        -------
        ndarray, shape (128, length // 320), float32
        """
        rng = np.random.default_rng((self._seed, number))
        window = self._source(rng, length)
        if rng.random() < 0.6:
            window = _mix(window, self._source(rng, length), ratio_db=rng.uniform(-24.0, 6.0))
        if self._rooms and rng.random() < 0.12:
            room = self._rooms[rng.integers(len(self._rooms))]
            window = fftconvolve(window, room)[:length].astype(np.float32)
        if rng.random() < 0.25:
            noise = self._noises[rng.integers(len(self._noises))]
            at = rng.integers(len(noise) - length)
            window = _mix(window, noise[at : at + length], ratio_db=-rng.uniform(3.0, 40.0))
        window = _set_level(window, rng)
        power = mel_power(window)
        if rng.random() < 0.4:
            power = power * _equaliser(rng)
        return log_mel(power)

    def _source(self, rng: np.random.Generator, length: int) -> Samples:
        clip, audio = self._draw(rng)
        speed = _speed(rng)
        wanted = int(length * speed) + 2
        for _ in range(4):  # the silence around a sound teaches nothing
            at = int(rng.integers(max(1, clip.length - wanted + 1)))
            stop = min(clip.start + clip.length, clip.start + at + wanted)
            excerpt = audio[clip.start + at : stop]
            if np.max(excerpt) > AUDIBLE:
                break
        sound = excerpt.astype(np.float32) / np.float32(32768.0)
        if len(sound) > SAMPLE_RATE and rng.random() < 0.12:
            part = int(SAMPLE_RATE * rng.uniform(0.3, 2.5))
            begin = int(rng.integers(max(1, len(sound) - part)))
            sound = sound[begin : begin + part]
        if speed != 1.0:
            grid = np.arange(0.0, len(sound) - 1, speed)
            sound = np.interp(grid, np.arange(len(sound)), sound).astype(np.float32)
        window = _filled(sound, length, rng)
        if rng.random() < 0.04:
            window = window[::-1]
        if rng.random() < 0.05:
            window = trembling(window, rng)
        return np.roll(window, int(rng.integers(length)))

    def _draw(self, rng: np.random.Generator) -> tuple[Clip, NDArray[np.int16]]:
        number = int(np.searchsorted(self._cumulative, rng.random()))
        for pool in self._pools:
            if number < len(pool.clips):
                return pool.clips[number], pool.audio
            number -= len(pool.clips)
        raise IndexError(f"no sound {number} beyond the last pool")


def _filled(sound: Samples, length: int, rng: np.random.Generator) -> Samples:
    """A short sound alone, again and again with pauses, or end to end, as archives hold them.

    End to end only what is long enough: faster, a repetition is heard as a tone.
    """
    way = rng.random()
    if len(sound) < length and len(sound) > SAMPLE_RATE // 4 and way < 0.3:
        window = np.zeros(length, np.float32)
        window[: len(sound)] = sound
        return window
    if len(sound) < length and (way < 0.7 or len(sound) < SAMPLE_RATE // 2):
        pause = max(int(SAMPLE_RATE * rng.uniform(0.0, 2.0)), SAMPLE_RATE // 2 - len(sound))
        sound = np.concatenate([sound, np.zeros(pause, np.float32)])
    return np.resize(sound, length)


def _speed(rng: np.random.Generator) -> float:
    """Mostly within half an octave; now and then so far that the sound becomes another."""
    if rng.random() < 0.1:
        return float(np.exp(rng.uniform(np.log(0.4), np.log(2.2))))
    return float(np.exp(rng.uniform(np.log(0.7), np.log(1.4)))) if rng.random() < 0.55 else 1.0


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

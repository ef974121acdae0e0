"""New kinds of sounds from recorded ones: repeated, granulated, modulated, shifted, torn apart.

A blow repeated fifteen times a second is near a jackhammer, a click repeated unevenly near typing.
What comes out is named by the teacher, so any change is allowed.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert

from indexer.encoders.echoic_mini.mel import SAMPLE_RATE

Samples = NDArray[np.float32]
Rng = np.random.Generator
Source = Callable[[], Samples]


def rework(source: Source, rng: Rng, *, length: int) -> Samples:
    """Change one or more recordings beyond recognition.

    Parameters
    ----------
    source : callable
        Gives an excerpt of a random recording, 1 to `length` samples.
    rng : Generator
    length : int
        Samples of the result.

    Returns
    -------
    ndarray, shape (length,), float32
        Peak 1.
    """
    sound = MAKERS[rng.integers(len(MAKERS))](source, rng, length)
    for _ in range(rng.integers(0, 3)):
        sound = CHANGES[rng.integers(len(CHANGES))](sound, rng)
    peak = np.abs(sound).max(initial=0.0) + 1e-9
    return (sound / peak).astype(np.float32)


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def resampled(sound: Samples, speed: float) -> Samples:
    """Faster and higher, or slower and lower."""
    grid = np.arange(0.0, max(1, len(sound) - 1), speed)
    return np.interp(grid, np.arange(len(sound)), sound).astype(np.float32)


def _faded(sound: Samples, share: float = 0.05) -> Samples:
    edge = max(1, int(share * len(sound)))
    ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
    sound = sound.copy()
    sound[:edge] *= ramp
    sound[-edge:] *= ramp[::-1]
    return sound


def _loudest(sound: Samples, length: int, rng: Rng) -> Samples:
    """An excerpt that begins a little before the peak, or anywhere."""
    at = int(np.argmax(np.abs(sound))) if rng.random() < 0.6 else int(rng.integers(len(sound)))
    at = max(0, min(at - length // 10, len(sound) - length))
    return sound[at : at + length]


def plain(source: Source, rng: Rng, length: int) -> Samples:
    """One recording at a very different speed."""
    return np.resize(resampled(source(), _log_uniform(rng, 0.35, 2.5)), length)


def repeated(source: Source, rng: Rng, length: int) -> Samples:
    """A short piece again and again, 0.5 to 30 times a second, with a human or machine rhythm."""
    rate = _log_uniform(rng, 0.5, 30.0)
    wanted = int(SAMPLE_RATE * min(1.5, _log_uniform(rng, 0.3, 2.0) / rate))
    piece = _faded(_loudest(source(), max(64, wanted), rng), 0.02)
    pitch, spread = _log_uniform(rng, 0.5, 2.0), rng.uniform(0.0, 0.12)
    pieces = [resampled(piece, pitch * float(np.exp(rng.normal(0.0, spread)))) for _ in range(4)]
    jitter, loudness = _log_uniform(rng, 0.002, 0.7), rng.uniform(0.0, 0.6)
    result = np.zeros(length, np.float32)
    at, resting = 0.0, rng.random() < 0.35
    while at < length:
        one = pieces[rng.integers(4)][: length - int(at)]
        result[int(at) : int(at) + len(one)] += one * np.float32(np.exp(rng.normal(0.0, loudness)))
        at += max(0.2, 1.0 + rng.normal(0.0, jitter)) * SAMPLE_RATE / rate
        if resting and rng.random() < 0.5 / rate:
            at += SAMPLE_RATE * rng.uniform(0.2, 1.5)
    return result


def granulated(source: Source, rng: Rng, length: int) -> Samples:
    """A cloud of grains from one place or from everywhere in a recording."""
    sound = source()
    n = int(SAMPLE_RATE * _log_uniform(rng, 0.008, 0.3))
    if len(sound) < 2 * n:
        sound = np.resize(sound, 2 * n)
    shape = np.hanning(n).astype(np.float32)
    place, width = rng.random(), _log_uniform(rng, 0.01, 1.0)
    speed, spread = _log_uniform(rng, 0.4, 2.5), rng.uniform(0.0, 0.4)
    wanted = int(min(1500, length / n * _log_uniform(rng, 0.5, 6.0))) + 1
    result = np.zeros(length + n, np.float32)
    for at in rng.integers(length, size=wanted):
        where = np.clip(place + width * rng.uniform(-0.5, 0.5), 0.0, 1.0)
        begin = int(where * (len(sound) - n))
        grain = sound[begin : begin + n] * shape
        grain = resampled(grain, speed * float(np.exp(rng.normal(0.0, spread))))[:n]
        result[at : at + len(grain)] += grain
    return result[:length]


def frozen(source: Source, rng: Rng, length: int) -> Samples:
    """The colour of a recording without its course: a drone, a roar, a hiss."""
    sound = np.resize(resampled(source(), _log_uniform(rng, 0.4, 2.0)), length)
    spectrum = np.fft.rfft(sound)
    turned = spectrum * np.exp(2j * np.pi * rng.random(len(spectrum)))
    still: Samples = np.fft.irfft(turned, length).astype(np.float32)
    return still


def strung(source: Source, rng: Rng, length: int) -> Samples:
    """Pieces of several recordings, one after the other."""
    pieces = []
    for _ in range(rng.integers(2, 6)):
        n = int(SAMPLE_RATE * _log_uniform(rng, 0.1, 2.0))
        pieces.append(_faded(_loudest(source(), n, rng)))
        if rng.random() < 0.4:
            pieces.append(np.zeros(int(SAMPLE_RATE * rng.uniform(0.02, 0.6)), np.float32))
    return np.resize(np.concatenate(pieces), length)


def layered(source: Source, rng: Rng, length: int) -> Samples:
    """One recording under the loudness of another."""
    carrier = np.resize(source(), length)
    course = np.abs(np.resize(source(), length))
    smooth = int(SAMPLE_RATE * _log_uniform(rng, 0.002, 0.1))
    total = np.cumsum(np.concatenate([np.zeros(smooth), course]))
    envelope = (total[smooth:] - total[:-smooth])[:length]
    spectrum = np.fft.rfft(carrier)
    if rng.random() < 0.5:
        spectrum *= np.exp(2j * np.pi * rng.random(len(spectrum)))
    result: Samples = (np.fft.irfft(spectrum, length) * envelope).astype(np.float32)
    return result


def reversed_(sound: Samples, rng: Rng) -> Samples:
    """Backwards."""
    return sound[::-1].copy()


def trembling(sound: Samples, rng: Rng) -> Samples:
    """Louder and softer 1 to 60 times a second, smoothly or chopped."""
    rate = _log_uniform(rng, 1.0, 60.0)
    wave = np.sin(2.0 * np.pi * (rate * np.arange(len(sound)) / SAMPLE_RATE + rng.random()))
    gain = (0.5 + 0.5 * wave) ** _log_uniform(rng, 0.3, 12.0)
    floor = rng.uniform(0.0, 0.4)
    return (sound * (floor + (1.0 - floor) * gain)).astype(np.float32)


def shifted(sound: Samples, rng: Rng) -> Samples:
    """All frequencies moved by the same number of hertz, or mirrored around it."""
    hertz = _log_uniform(rng, 5.0, 2500.0) * rng.choice([-1.0, 1.0])
    turn = np.exp(2j * np.pi * hertz * np.arange(len(sound)) / SAMPLE_RATE)
    if rng.random() < 0.4:
        return (sound * turn.real).astype(np.float32)
    return (hilbert(sound) * turn).real.astype(np.float32)


def filtered(sound: Samples, rng: Rng) -> Samples:
    """One band alone, with steep edges."""
    spectrum = np.fft.rfft(sound)
    octave = np.log2(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE) + 1.0)
    low = rng.uniform(4.0, 12.5)
    high = low + rng.uniform(0.5, 6.0)
    outside = np.maximum(0.0, low - octave) + np.maximum(0.0, octave - high)
    spectrum *= 10.0 ** (-rng.uniform(12.0, 60.0) * outside / 20.0)
    result: Samples = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    return result


def distorted(sound: Samples, rng: Rng) -> Samples:
    """Overdriven, rectified, or with few steps."""
    sound = sound / (np.abs(sound).max() + 1e-9)
    kind = rng.integers(3)
    if kind == 0:
        return np.tanh(sound * np.float32(_log_uniform(rng, 2.0, 60.0)))
    if kind == 1:
        return np.abs(sound) - np.float32(np.mean(np.abs(sound)))
    steps = np.float32(_log_uniform(rng, 2.0, 30.0))
    return np.round(sound * steps) / steps


def swept(sound: Samples, rng: Rng) -> Samples:
    """Passing by: louder, then softer, higher, then lower."""
    time = np.linspace(-1.0, 1.0, len(sound))
    near = rng.uniform(-0.6, 0.6)
    width = _log_uniform(rng, 0.05, 0.6)
    gain = 1.0 / (1.0 + np.square((time - near) / width))
    speed = 1.0 - rng.uniform(0.0, 0.15) * np.tanh((time - near) / width)
    at = np.cumsum(speed)
    at *= (len(sound) - 1) / at[-1]
    return (np.interp(at, np.arange(len(sound)), sound) * gain).astype(np.float32)


MAKERS: tuple[Callable[[Source, Rng, int], Samples], ...] = (
    plain,
    plain,
    repeated,
    repeated,
    repeated,
    granulated,
    granulated,
    frozen,
    strung,
    layered,
)
CHANGES: tuple[Callable[[Samples, Rng], Samples], ...] = (
    reversed_,
    trembling,
    trembling,
    shifted,
    shifted,
    filtered,
    filtered,
    distorted,
    swept,
)

"""The building blocks of the demo sounds: noise, tones, resonances, envelopes, rooms.

Every demo sound is a function of a `Take` and is put together from the blocks below. All
signals are float64 arrays of shape (samples,), or (samples, 2) for stereo, in arbitrary units:
the archive brings each sound to its level when it writes the file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, signal

Signal = NDArray[np.float64]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Take:
    """What a sound is made with: its own random numbers, its sample rate, its length.

    Attributes
    ----------
    rng : numpy.random.Generator
        Seeded by the sound's name, so that a sound never depends on those made before it.
    sr : int
        Sample rate in Hz.
    n : int
        Length in samples.
    """

    rng: np.random.Generator
    sr: int
    n: int

    @property
    def t(self) -> Signal:
        """Time of each sample in seconds, shape (n,)."""
        times: Signal = np.arange(self.n, dtype=np.float64) / self.sr
        return times

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return self.n / self.sr

    def part(self, length_s: float) -> "Take":
        """Return a take of another length that draws from the same random numbers."""
        return Take(self.rng, self.sr, max(1, round(length_s * self.sr)))


Maker = Callable[[Take], Signal]


def curve(take: Take, points: Points) -> Signal:
    """Draw straight lines through (time in s, value), shape (n,); constant outside."""
    times, values = zip(*points, strict=True)
    drawn: Signal = np.interp(take.t, times, values)
    return drawn


def drift(take: Take, *, rate_hz: float, low: float, high: float) -> Signal:
    """Wander smoothly between `low` and `high`, with about `rate_hz` new goals a second."""
    count = max(4, round(take.length_s * rate_hz) + 4)
    goals = take.rng.uniform(low, high, count)
    at = np.arange(take.n) * (rate_hz / take.sr)
    left = at.astype(np.intp)
    # A raised cosine between goals: no corners, hence no clicks, and never outside the bounds.
    blend = 0.5 - 0.5 * np.cos(np.pi * (at - left))
    right = np.minimum(left + 1, count - 1)
    drawn: Signal = goals[np.minimum(left, count - 1)] * (1 - blend) + goals[right] * blend
    return drawn


def decay(take: Take, *, t60_s: float, attack_s: float = 0.002) -> Signal:
    """Rise linearly in `attack_s`, then fall by 60 dB every `t60_s`, shape (n,)."""
    t = take.t
    shape: Signal = np.minimum(t / attack_s, 1.0) * 10 ** (-3 * np.maximum(t - attack_s, 0) / t60_s)
    return shape


def noise(take: Take, points: Points) -> Signal:
    """Make Gaussian noise with a given spectrum.

    Parameters
    ----------
    points : sequence of (float, float)
        Break points of the spectrum (frequency in Hz, level in dB), joined over log frequency.

    Returns
    -------
    ndarray, shape (n,)
        Noise of unit standard deviation.
    """
    size = fft.next_fast_len(take.n, real=True)
    freqs = np.maximum(fft.rfftfreq(size, 1 / take.sr), 1.0)
    hz, level_db = zip(*points, strict=True)
    gain = 10 ** (np.interp(np.log(freqs), np.log(hz), level_db) / 20)
    gain[0] = 0
    spectrum = take.rng.standard_normal((2, gain.size))
    made: Signal = fft.irfft((spectrum[0] + 1j * spectrum[1]) * gain, size)[: take.n]
    return made / max(float(np.std(made)), 1e-12)


def tones(take: Take, partials: Sequence[tuple[float, float, float]]) -> Signal:
    """Add damped sines, each (frequency in Hz, amplitude, T60 in s): a struck body."""
    out = np.zeros(take.n)
    strike = np.zeros(take.n)
    strike[0] = 1.0
    for hz, amplitude, t60_s in partials:
        if hz < 0.45 * take.sr:
            # A damped sine is the impulse response of two poles: much faster than sines.
            turn, shrink = 2 * np.pi * hz / take.sr, 10 ** (-3 / (t60_s * take.sr))
            b = [0.0, amplitude * shrink * np.sin(turn)]
            out += signal.lfilter(b, [1.0, -2 * shrink * np.cos(turn), shrink**2], strike)
    return out


def phase(take: Take, hz: ArrayLike) -> Signal:
    """Integrate a frequency (in Hz, a number or shape (n,)) to a phase in radians."""
    return 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(hz, np.float64), take.n)) / take.sr


def buzz(take: Take, hz: ArrayLike, *, tilt: float = 1.0, harmonics: int = 40) -> Signal:
    """Add harmonics of a moving fundamental: a saw tooth without aliasing.

    Parameters
    ----------
    hz : array_like
        Fundamental in Hz, a number or shape (n,).
    tilt : float
        Amplitude of harmonic k is ``k ** -tilt``.
    """
    pitch = np.broadcast_to(np.asarray(hz, np.float64), take.n)
    turn = np.exp(1j * phase(take, pitch))
    top = float(np.max(pitch))
    now = np.ones(take.n, np.complex128)
    out = np.zeros(take.n)
    for k in range(1, harmonics + 1):
        if k * float(np.min(pitch)) > 0.48 * take.sr:
            break
        now *= turn
        partial = now.imag * k**-tilt
        out += partial if k * top < 0.48 * take.sr else partial * (k * pitch < 0.48 * take.sr)
    return out


def band(x: Signal, sr: int, low_hz: float | None, high_hz: float | None) -> Signal:
    """Keep what lies between two frequencies (second-order Butterworth; None: no limit)."""
    if low_hz is None and high_hz is None:
        return x
    if low_hz is None:
        sos = signal.butter(2, high_hz, "lowpass", fs=sr, output="sos")
    elif high_hz is None:
        sos = signal.butter(2, low_hz, "highpass", fs=sr, output="sos")
    else:
        sos = signal.butter(2, [low_hz, high_hz], "bandpass", fs=sr, output="sos")
    kept: Signal = signal.sosfilt(sos, x, axis=0)
    return kept


def formants(x: Signal, sr: int, peaks: Sequence[tuple[float, float, float]]) -> Signal:
    """Send a source through parallel resonators, each (frequency Hz, bandwidth Hz, gain)."""
    out = np.zeros_like(x)
    for hz, width_hz, gain in peaks:
        if hz < 0.45 * sr:
            b, a = signal.iirpeak(hz, hz / width_hz, fs=sr)
            out += gain * signal.lfilter(b, a, x)
    return out


def paint(x: Signal, sr: int, gain: Callable[[Signal, Signal], Signal]) -> Signal:
    """Filter with a spectrum that moves in time.

    Parameters
    ----------
    x : ndarray, shape (n,)
    gain : callable
        Given times in s, shape (frames, 1), and frequencies in Hz, shape (1, bins), it returns
        the gain of each, shape (frames, bins).
    """
    window = 1024
    hop = window // 4
    padded = np.pad(x, (window, 2 * window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    shape = signal.get_window("hann", window)
    times = (np.arange(len(frames))[:, None] * hop - window / 2) / sr
    spectrum = fft.rfft(frames * shape, axis=1)
    spectrum *= gain(times, fft.rfftfreq(window, 1 / sr)[None, :])
    back = fft.irfft(spectrum, window, axis=1) * shape
    out = np.zeros((len(back) + 3, hop))
    for quarter in range(4):
        out[quarter : quarter + len(back)] += back[:, quarter * hop : (quarter + 1) * hop]
    moved: Signal = out.ravel()[window : window + len(x)] / 1.5
    return moved


def scatter(take: Take, times_s: ArrayLike, gains: ArrayLike, grains: Sequence[Signal]) -> Signal:
    """Drop grains at given times, each time another grain, with given gains, shape (n,)."""
    at = (np.atleast_1d(np.asarray(times_s, np.float64)) * take.sr).astype(np.intp)
    loud = np.broadcast_to(np.asarray(gains, np.float64), at.shape)
    which = take.rng.integers(len(grains), size=at.size)
    inside = (at >= 0) & (at < take.n)
    out = np.zeros(take.n)
    for k, grain in enumerate(grains):
        chosen = inside & (which == k)
        if chosen.any():
            hits = np.bincount(at[chosen], weights=loud[chosen], minlength=take.n)
            out += signal.oaconvolve(hits, grain)[: take.n]
    return out


def random_times(take: Take, *, per_s: float) -> Signal:
    """Draw as many moments as a shower of `per_s` a second has, in s."""
    count = int(take.rng.poisson(per_s * take.length_s))
    return take.rng.uniform(0, take.length_s, count)


def regular_times(
    take: Take, *, every_s: float, jitter_s: float = 0.0, first_s: float = 0.0
) -> Signal:
    """List moments `every_s` apart, each shifted at random by up to `jitter_s`, in s."""
    at = np.arange(first_s, take.length_s, every_s)
    return np.maximum(at + take.rng.uniform(-jitter_s, jitter_s, at.size), 0)


def place(out: Signal, x: Signal, at: int, gain: float = 1.0) -> None:
    """Mix `x` into `out` in place from sample `at` on; what hangs over the end is cut."""
    end = min(len(out), at + len(x))
    if at < end:
        out[at:end] += gain * x[: end - at]


def fade(x: Signal, sr: int, *, in_s: float = 0.005, out_s: float = 0.02) -> Signal:
    """Fade in and out with raised cosines, so that a file neither starts nor ends with a click."""
    out = x.copy()
    for seconds, side in ((in_s, slice(None)), (out_s, slice(None, None, -1))):
        count = min(len(x), round(seconds * sr))
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / max(count, 1))
        view = out[side][:count]
        view *= ramp if x.ndim == 1 else ramp[:, None]
    return out


def room(take: Take, x: Signal, *, t60_s: float, wet: float, top_hz: float = 5000.0) -> Signal:
    """Add the sound of a room: a tail of decaying noise, darker than the sound itself.

    Parameters
    ----------
    x : ndarray, shape (n,)
    t60_s : float
        Reverberation time in s.
    wet : float
        Energy of the tail over the energy of the direct sound.
    """
    tail = take.part(t60_s)
    shape = noise(tail, [(60, -12), (200, 0), (top_hz, 0), (top_hz * 3, -30)])
    shape *= decay(tail, t60_s=t60_s, attack_s=0.004)
    shape *= np.sqrt(wet / np.sum(shape**2))
    wetted: Signal = x + signal.oaconvolve(x, shape)[: len(x)]
    return wetted


def air(take: Take, x: Signal, *, level_db: float = -55.0) -> Signal:
    """Add the faint noise that every microphone hears, `level_db` below the sound's peak."""
    peak = float(np.max(np.abs(x)))
    floor = noise(take.part(len(x) / take.sr), [(40, 0), (200, -6), (2000, -18), (16000, -36)])
    return x + floor[: len(x)] * peak * 10 ** (level_db / 20)


def pan(x: Signal, position: float | Signal) -> Signal:
    """Spread mono over two channels, -1 left to 1 right, at equal power, shape (n, 2)."""
    angle = (np.asarray(position) + 1) * np.pi / 4
    return np.stack([x * np.cos(angle), x * np.sin(angle)], axis=1)

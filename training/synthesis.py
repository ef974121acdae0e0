"""Sounds from nothing: engines, impacts, water, voices, insects, alarms by random recipes.

None has to be faithful. The teacher says what each resembles, `candidates.py` keeps those that it
takes for something of which the recordings hold little, and the student learns the answer as it
learns everything else.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from indexer.encoders.echoic_mini.mel import SAMPLE_RATE

LENGTH = 5 * SAMPLE_RATE
Samples = NDArray[np.float64]
Rng = np.random.Generator


def invent(rng: Rng) -> Samples:
    """Five seconds of a random kind, peak 1; often with a second kind, a room or a background."""
    sound = _one(rng)
    if rng.random() < 0.2:
        sound = sound + _one(rng) * log_uniform(rng, 0.05, 0.7)
    if rng.random() < 0.35:
        sound = _room(sound, rng)
    if rng.random() < 0.5:
        sound = sound + bed(rng) * log_uniform(rng, 0.003, 0.2)
    return normal(sound)


def _one(rng: Rng) -> Samples:
    return normal(FAMILIES[rng.integers(len(FAMILIES))](rng))


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number between `low` and `high`, every octave as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def normal(sound: Samples) -> Samples:
    """Peak 1."""
    return sound / (np.abs(sound).max(initial=0.0) + 1e-9)


def wander(rng: Rng, rate_hz: float, *, n: int = LENGTH) -> Samples:
    """A smooth random curve, about standard normal, that turns some `rate_hz` times a second."""
    points = max(4, int(n / SAMPLE_RATE * rate_hz) + 3)
    knots = rng.standard_normal(points)
    return np.interp(np.linspace(0, points - 1, n), np.arange(points), knots)


def shaped_noise(rng: Rng, *, n: int = LENGTH) -> Samples:
    """Noise with a random spectrum: a slope, and some broad hills."""
    octave = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0) / 1000.0)
    gain_db = rng.uniform(-9.0, 3.0) * octave
    for _ in range(rng.integers(0, 5)):
        centre, width = rng.uniform(-4.0, 3.5), log_uniform(rng, 0.05, 1.5)
        gain_db += rng.uniform(-10.0, 22.0) * np.exp(-0.5 * np.square((octave - centre) / width))
    if rng.random() < 0.4:
        gain_db -= rng.uniform(6.0, 48.0) * np.maximum(0.0, octave - rng.uniform(-3.0, 3.0))
    if rng.random() < 0.3:
        gain_db -= rng.uniform(6.0, 48.0) * np.maximum(0.0, rng.uniform(-3.0, 2.0) - octave)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * 10.0 ** (gain_db / 20.0)
    noise: Samples = np.fft.irfft(spectrum, n)
    return noise / (np.std(noise) + 1e-9)


def modes(
    rng: Rng, *, count: int, low_hz: float, high_hz: float, decay_s: tuple[float, float]
) -> Samples:
    """What something struck gives: decaying partials, harmonic, stretched or anyhow."""
    n = int(min(4.0, 6.0 * decay_s[1]) * SAMPLE_RATE) + 64
    time_s = np.arange(n) / SAMPLE_RATE
    base = log_uniform(rng, low_hz, high_hz)
    kind = rng.integers(3)
    if kind == 0:
        ratios = np.arange(1, count + 1) ** rng.uniform(0.9, 1.6)
    elif kind == 1:
        ratios = np.sort(np.exp(rng.uniform(0.0, 2.5, size=count)))
    else:
        ratios = np.sqrt(1.0 + np.square(np.arange(1, count + 1)) * rng.uniform(0.2, 3.0))
    tilt, falls = rng.uniform(0.0, 1.2), rng.uniform(0.0, 1.0)
    sound = np.zeros(n)
    for ratio in ratios[base * ratios < 15_500.0]:
        decay = log_uniform(rng, *decay_s) * ratio**-falls
        phase = rng.uniform(0.0, 2.0 * np.pi)
        partial = np.sin(2.0 * np.pi * base * ratio * time_s + phase) * np.exp(-time_s / decay)
        sound += rng.uniform(0.2, 1.0) * ratio**-tilt * partial
    return normal(sound)


def knock(rng: Rng) -> Samples:
    """A short impact of wood, stone, plastic, metal: a click of noise and a few modes."""
    body = modes(
        rng,
        count=int(rng.integers(2, 12)),
        low_hz=60.0,
        high_hz=4000.0,
        decay_s=(0.004, log_uniform(rng, 0.01, 0.4)),
    )
    n = int(SAMPLE_RATE * log_uniform(rng, 0.002, 0.12))
    click = shaped_noise(rng, n=max(64, n)) * np.exp(-np.linspace(0.0, 7.0, max(64, n)))
    sound = np.zeros(max(len(body), len(click)))
    sound[: len(body)] += body
    sound[: len(click)] += click * log_uniform(rng, 0.1, 3.0)
    return normal(sound)


def placed(starts_s: Samples, gains: Samples, hits: list[Samples], rng: Rng) -> Samples:
    """Each hit again and again at random among `starts_s`."""
    result = np.zeros(LENGTH)
    which = rng.integers(len(hits), size=len(starts_s))
    for number, hit in enumerate(hits):
        train = np.zeros(LENGTH)
        mine = (which == number) & (starts_s >= 0.0) & (starts_s < LENGTH / SAMPLE_RATE)
        np.add.at(train, (starts_s[mine] * SAMPLE_RATE).astype(int), gains[mine])
        if mine.any():
            result += fftconvolve(train, hit)[:LENGTH]
    return result


def beats(rng: Rng, rate_hz: float, *, jitter: float) -> Samples:
    """Times in seconds of a pulse whose rate wanders."""
    drift = np.exp(jitter * wander(rng, 1.0, n=500) + 0.3 * jitter * rng.standard_normal(500))
    phase = np.cumsum(rate_hz * drift) * 0.01
    return np.interp(np.arange(0.0, phase[-1]), phase, np.arange(500) * 0.01)


def _gains(rng: Rng, n: int, spread: float) -> Samples:
    gains: Samples = np.exp(spread * rng.standard_normal(n))
    return gains


def _pauses(rng: Rng) -> Samples:
    """On and off, in spells of 0.1 to 3 s, with soft edges."""
    gate = np.ones(500)
    at, on = 0, rng.random() < 0.7
    while at < 500:
        spell = int(100 * log_uniform(rng, 0.1, 3.0))
        gate[at : at + spell] = float(on)
        at, on = at + spell, not on
    soft = np.convolve(gate, np.ones(7) / 7.0, mode="same")
    return np.interp(np.linspace(0, 499, LENGTH), np.arange(500), soft)


def engine(rng: Rng) -> Samples:
    """Pulses at a wandering rate through resonances, with noise: motors, saws, rotors, tractors."""
    rate = log_uniform(rng, 6.0, 260.0)
    cylinders = int(rng.integers(1, 9))
    course = wander(rng, log_uniform(rng, 0.2, 3.0)) * log_uniform(rng, 0.005, 0.5)
    phase = np.cumsum(rate * np.exp(np.clip(course, -1.2, 1.2))) / SAMPLE_RATE
    number = np.floor(phase).astype(int)
    firing = np.flatnonzero(np.diff(number)) + 1
    late = rng.normal(0.0, log_uniform(rng, 0.001, 0.08) / rate * SAMPLE_RATE, len(firing))
    at = np.clip(firing + late.astype(int), 0, LENGTH - 1)
    strength = np.exp(0.4 * rng.standard_normal(cylinders))[np.arange(len(at)) % cylinders]
    train = np.zeros(LENGTH)
    np.add.at(train, at, strength * _gains(rng, len(at), rng.uniform(0.0, 0.5)))
    decay = log_uniform(rng, 0.0008, 0.03)
    pipe = modes(
        rng,
        count=int(rng.integers(3, 16)),
        low_hz=40.0,
        high_hz=900.0,
        decay_s=(0.3 * decay, 3.0 * decay),
    )
    sound = normal(fftconvolve(train, pipe)[:LENGTH])
    puff = lfilter([1.0], [1.0, -np.exp(-rate * rng.uniform(1.0, 8.0) / SAMPLE_RATE)], train)
    sound += normal(puff) * shaped_noise(rng) * log_uniform(rng, 0.02, 0.8)
    sound += shaped_noise(rng) * log_uniform(rng, 0.003, 0.15)
    if rng.random() < 0.4:
        sound = np.tanh(sound * log_uniform(rng, 1.0, 12.0))
    return sound * np.exp(0.5 * course)


def rotor(rng: Rng) -> Samples:
    """Noise and a tone chopped 4 to 40 times a second: helicopters, propellers, washing drums."""
    rate = log_uniform(rng, 2.0, 40.0) * np.exp(0.05 * wander(rng, 0.5))
    phase = 2.0 * np.pi * np.cumsum(rate) / SAMPLE_RATE
    chop = (0.5 + 0.5 * np.cos(phase)) ** log_uniform(rng, 0.7, 30.0)
    sound = chop * shaped_noise(rng) + shaped_noise(rng) * log_uniform(rng, 0.02, 0.6)
    if rng.random() < 0.6:
        sound += hum(rng) * log_uniform(rng, 0.05, 1.0)
    return sound * np.exp(rng.uniform(0.0, 0.8) * wander(rng, 0.4))


def hum(rng: Rng) -> Samples:
    """Steady harmonics of a machine or of the mains."""
    base = log_uniform(rng, 35.0, 900.0) * np.exp(log_uniform(rng, 1e-4, 0.05) * wander(rng, 2.0))
    phase = 2.0 * np.pi * np.cumsum(base) / SAMPLE_RATE
    tilt = rng.uniform(0.3, 2.0)
    count = min(40, int(14_000 / base.max()))
    sound = np.zeros(LENGTH)
    for partial in range(1, max(2, count)):
        if rng.random() < 0.7:
            gain = partial**-tilt * rng.uniform(0.1, 1.0)
            sound += gain * np.sin(partial * phase + rng.uniform(0.0, 6.28))
    return normal(sound)


def machine(rng: Rng) -> Samples:
    """Noise and hum, steady or pulsing: fans, vacuum cleaners, dryers, ventilation, drills."""
    sound = shaped_noise(rng) + hum(rng) * log_uniform(rng, 0.05, 10.0)
    if rng.random() < 0.5:
        rate, depth = log_uniform(rng, 0.3, 30.0), rng.uniform(0.1, 0.9)
        sound *= 1.0 + depth * np.sin(2.0 * np.pi * rate * np.arange(LENGTH) / SAMPLE_RATE)
    if rng.random() < 0.3:
        sound *= _pauses(rng)
    return sound


def drill(rng: Rng) -> Samples:
    """A buzz under load: drills, shavers, mosquitoes, sewing machines, mixers."""
    base = log_uniform(rng, 60.0, 1200.0)
    course = wander(rng, log_uniform(rng, 0.3, 6.0)) * log_uniform(rng, 0.003, 0.35)
    course += np.linspace(*rng.normal(0.0, 0.15, size=2), LENGTH)
    phase = np.cumsum(base * np.exp(course)) / SAMPLE_RATE
    saw = 2.0 * (phase % 1.0) - 1.0
    if rng.random() < 0.4:
        saw = np.sign(saw - rng.uniform(-0.8, 0.8))
    ripple = 1.0 + rng.uniform(0.0, 1.0) * np.sin(2.0 * np.pi * phase / rng.integers(2, 30))
    sound = saw * ripple * np.exp(rng.uniform(0.0, 0.6) * wander(rng, 4.0))
    sound = fftconvolve(sound, _mouth(rng))[:LENGTH]
    sound = normal(sound) + shaped_noise(rng) * log_uniform(rng, 0.005, 0.4)
    return sound * _pauses(rng) if rng.random() < 0.5 else sound


def _mouth(rng: Rng) -> Samples:
    """A short response with some resonances, as of a throat, a horn, a casing."""
    return modes(
        rng,
        count=int(rng.integers(2, 6)),
        low_hz=150.0,
        high_hz=1500.0,
        decay_s=(0.001, log_uniform(rng, 0.002, 0.015)),
    )


def hammering(rng: Rng) -> Samples:
    """Impacts in a rhythm: jackhammers, nails, woodpeckers, horses, footsteps, clocks, typing."""
    rate = log_uniform(rng, 0.7, 35.0)
    starts = beats(rng, rate, jitter=log_uniform(rng, 0.002, 0.8))
    hits = [knock(rng) for _ in range(rng.integers(1, 5))]
    sound = placed(starts, _gains(rng, len(starts), rng.uniform(0.0, 0.7)), hits, rng)
    if rng.random() < 0.3:  # each blow answered by a softer one, as in a clock or a heel and toe
        after = starts + rng.uniform(0.1, 0.6) / rate
        sound += rng.uniform(0.2, 1.0) * placed(after, np.ones(len(after)), [knock(rng)], rng)
    if rng.random() < 0.4:
        sound = normal(sound) * _pauses(rng)
    if rng.random() < 0.3:
        sound = np.tanh(normal(sound) * log_uniform(rng, 2.0, 30.0))
    return sound


def crackle(rng: Rng) -> Samples:
    """Clicks at random times over a soft roar: fire, rain drops, old records, popcorn, gravel."""
    density = log_uniform(rng, 2.0, 1500.0)
    swell = np.exp(rng.uniform(0.0, 1.2) * wander(rng, log_uniform(rng, 0.3, 8.0), n=5000))
    drawn = rng.random(max(1, int(5.0 * density)))
    starts = np.interp(drawn, np.cumsum(swell) / swell.sum(), np.linspace(0.0, 5.0, 5000))
    hits = [knock(rng)[: int(SAMPLE_RATE * log_uniform(rng, 0.002, 0.2))] for _ in range(4)]
    sound = normal(placed(starts, _gains(rng, len(starts), rng.uniform(0.3, 1.5)), hits, rng))
    return sound + shaped_noise(rng) * log_uniform(rng, 0.001, 0.2)


def bed(rng: Rng) -> Samples:
    """Noise that breathes: wind, rain, surf, traffic, a stream, static."""
    speed = log_uniform(rng, 0.1, 12.0)
    sound = shaped_noise(rng) * np.exp(rng.uniform(0.0, 1.3) * wander(rng, speed))
    if rng.random() < 0.4:
        sound = sound + shaped_noise(rng) * np.exp(rng.uniform(0.5, 1.5) * wander(rng, speed))
    return normal(sound)


def surge(rng: Rng) -> Samples:
    """Noise that rises and falls, its colour with it: waves, flushes, passing cars, jets."""
    time_s = np.arange(LENGTH) / SAMPLE_RATE
    peak, rise, fall = rng.uniform(0.2, 4.0), log_uniform(rng, 0.03, 2.0), log_uniform(rng, 0.05, 3)
    shape = np.exp(-np.abs(time_s - peak) / np.where(time_s < peak, rise, fall))
    dark, bright = shaped_noise(rng), shaped_noise(rng)
    sound = dark * shape + bright * shape ** rng.uniform(1.0, 4.0) * log_uniform(rng, 0.1, 3.0)
    if rng.random() < 0.4:
        sound += normal(bubbles(rng)) * shape * log_uniform(rng, 0.3, 8.0)
    return sound


def bubbles(rng: Rng) -> Samples:
    """Short rising tones, few or very many: drops, pouring, gurgling, boiling, streams."""
    density = log_uniform(rng, 1.0, 400.0)
    hits = []
    for _ in range(8):
        decay, rising = log_uniform(rng, 0.004, 0.08), rng.uniform(0.0, 1.2)
        base = log_uniform(rng, 200.0, 5000.0)
        n = int(6.0 * decay * SAMPLE_RATE)
        time = np.arange(n) / n
        phase = np.cumsum(base * np.exp(rising * time)) / SAMPLE_RATE
        hits.append(np.sin(2.0 * np.pi * phase) * np.exp(-6.0 * time))
    starts = np.sort(rng.uniform(0.0, 5.0, size=max(1, int(5.0 * density))))
    if rng.random() < 0.25:  # a dripping tap
        starts = beats(rng, log_uniform(rng, 0.5, 12.0), jitter=log_uniform(rng, 0.005, 0.4))
    sound = normal(placed(starts, _gains(rng, len(starts), 0.7), hits, rng))
    return sound + shaped_noise(rng) * log_uniform(rng, 0.001, 0.3)


def bells(rng: Rng) -> Samples:
    """Long ringing impacts: bells, glasses, bowls, chimes, coins, cutlery, anvils."""
    decay = log_uniform(rng, 0.05, 2.5)
    hits = [
        modes(
            rng,
            count=int(rng.integers(3, 20)),
            low_hz=120.0,
            high_hz=6000.0,
            decay_s=(0.2 * decay, decay),
        )
        for _ in range(rng.integers(1, 6))
    ]
    starts = beats(rng, log_uniform(rng, 0.3, 25.0), jitter=log_uniform(rng, 0.002, 1.0))
    return placed(starts, _gains(rng, len(starts), 0.5), hits, rng)


def blast(rng: Rng) -> Samples:
    """Bangs with an echo: shots, fireworks, thunder, doors, claps, machine guns."""
    n = int(SAMPLE_RATE * log_uniform(rng, 0.05, 3.0))
    tail = shaped_noise(rng, n=n) * np.exp(-np.linspace(0.0, rng.uniform(4.0, 9.0), n))
    tail[: min(n, 40)] *= rng.uniform(1.0, 8.0)
    if rng.random() < 0.5:
        dark = lfilter([0.05], [1.0, -0.95], shaped_noise(rng, n=n))
        tail += dark * np.exp(-np.linspace(0.0, 4.0, n)) * log_uniform(rng, 0.5, 20.0)
    rate = log_uniform(rng, 0.25, 16.0)
    starts = beats(rng, rate, jitter=log_uniform(rng, 0.005, 0.9)) + rng.uniform(0.0, 1.0)
    sound = placed(starts, _gains(rng, len(starts), 0.5), [normal(tail), knock(rng)], rng)
    if rng.random() < 0.5:
        sound = np.tanh(normal(sound) * log_uniform(rng, 1.0, 20.0))
    return sound * _pauses(rng) if rng.random() < 0.3 else sound


def siren(rng: Rng) -> Samples:
    """A tone that sweeps, steps or beeps: sirens, alarms, horns, phones, reversing lorries."""
    time_s = np.arange(LENGTH) / SAMPLE_RATE
    cycle = (time_s * log_uniform(rng, 0.1, 12.0) + rng.random()) % 1.0
    kind = rng.integers(5)
    wave = (
        np.sin(2.0 * np.pi * cycle),
        2.0 * np.abs(2.0 * cycle - 1.0) - 1.0,
        np.sign(cycle - 0.5),
        2.0 * cycle - 1.0,
        np.zeros(LENGTH),
    )[kind]
    base = log_uniform(rng, 150.0, 4500.0)
    sound = np.zeros(LENGTH)
    for ratio in (1.0, rng.choice([1.0, 1.01, 1.19, 1.26, 1.5, 2.0]))[: rng.integers(1, 3)]:
        course = ratio * base * np.exp(rng.uniform(0.0, 0.6) * wave + 0.003 * wander(rng, 3.0))
        phase = 2.0 * np.pi * np.cumsum(course) / SAMPLE_RATE
        tone = np.sin(phase + rng.uniform(0.0, 3.0) * np.sin(rng.integers(1, 4) * phase))
        sound += tone
    sound = np.tanh(sound * log_uniform(rng, 0.3, 8.0))
    if rng.random() < 0.5:
        beep = (time_s * log_uniform(rng, 0.4, 12.0)) % 1.0 < rng.uniform(0.15, 0.8)
        sound *= np.convolve(beep.astype(float), np.ones(64) / 64.0, mode="same")
    elif rng.random() < 0.4:
        sound *= _pauses(rng)
    return sound + shaped_noise(rng) * log_uniform(rng, 0.001, 0.1)


def chirps(rng: Rng) -> Samples:
    """Swept syllables in phrases: birds, crickets, frogs, squeaks, rodents, cicadas."""
    base, sweep = log_uniform(rng, 300.0, 9000.0), rng.normal(0.0, 0.5, size=3)
    hits = []
    for _ in range(rng.integers(1, 5)):
        n = int(SAMPLE_RATE * log_uniform(rng, 0.006, 0.5))
        time = np.linspace(0.0, 1.0, n)
        bend = sweep[0] * time + sweep[1] * np.sin(np.pi * time)
        bend += 0.15 * sweep[2] * np.sin(2.0 * np.pi * time * rng.uniform(1.0, 20.0))
        phase = np.cumsum(base * np.exp(bend + rng.normal(0.0, 0.15))) / SAMPLE_RATE
        voice = np.sin(2.0 * np.pi * phase)
        voice += rng.uniform(0.0, 0.6) * np.sin(4.0 * np.pi * phase)
        hits.append(voice * np.sin(np.pi * time) ** rng.uniform(0.3, 3.0))
    starts = beats(rng, log_uniform(rng, 0.6, 60.0), jitter=log_uniform(rng, 0.003, 0.8))
    sound = placed(starts, _gains(rng, len(starts), rng.uniform(0.0, 0.7)), hits, rng)
    return normal(sound) * (_pauses(rng) if rng.random() < 0.6 else 1.0)


def voice(rng: Rng) -> Samples:
    """A throat: coughs, sneezes, snores, barks, cries, moans, laughter, breathing."""
    base = log_uniform(rng, 20.0, 1000.0)
    rate = log_uniform(rng, 0.25, 7.0)
    phase_slow = np.cumsum(rate * np.exp(0.15 * wander(rng, 1.0))) / SAMPLE_RATE + rng.random()
    part = phase_slow % 1.0
    duty = rng.uniform(0.15, 0.95)
    inside = np.clip(part / duty, 0.0, 1.0)
    attack = rng.uniform(0.02, 0.6)
    shape = np.where(inside < attack, inside / attack, (1.0 - inside) / (1.0 - attack))
    shape = np.maximum(shape, 0.0) ** rng.uniform(0.4, 3.0)
    bend = rng.normal(0.0, 0.35) * inside + rng.normal(0.0, 0.4) * np.sin(np.pi * inside)
    rough = log_uniform(rng, 0.003, 0.3) * wander(rng, rng.uniform(10.0, 90.0))
    phase = np.cumsum(base * np.exp(bend + rough)) / SAMPLE_RATE
    pulses = np.exp(-log_uniform(rng, 2.0, 40.0) * (phase % 1.0))
    breath = shaped_noise(rng) * log_uniform(rng, 0.03, 6.0)
    if rng.random() < 0.5:
        breath *= pulses
    source = (normal(pulses - pulses.mean()) + 0.3 * breath) * shape
    formed = fftconvolve(source, _mouth(rng))[:LENGTH]
    change = np.clip(0.5 + 0.5 * wander(rng, rate), 0.0, 1.0)
    other = fftconvolve(source, _mouth(rng))[:LENGTH]
    sound = normal(formed) * change + normal(other) * (1.0 - change)
    return sound * _pauses(rng) if rng.random() < 0.3 else sound


def strokes(rng: Rng) -> Samples:
    """Noise in strokes: sawing, filing, sweeping, brushing, scrubbing, panting, zips, tearing."""
    rate = log_uniform(rng, 0.4, 14.0)
    phase = np.cumsum(rate * np.exp(0.15 * wander(rng, 2.0))) / SAMPLE_RATE
    part = phase % 1.0
    turn = rng.uniform(0.2, 0.8)
    forth = np.where(part < turn, np.sin(np.pi * part / turn), 0.0)
    back = np.where(part >= turn, np.sin(np.pi * (part - turn) / (1.0 - turn)), 0.0)
    forth, back = (s ** rng.uniform(0.3, 3.0) for s in (np.maximum(forth, 0), np.maximum(back, 0)))
    sound = forth * shaped_noise(rng) + back * shaped_noise(rng) * rng.uniform(0.0, 1.0)
    if rng.random() < 0.5:  # the teeth of a saw, a comb, a zip
        teeth = np.cumsum((0.15 + forth + back) * log_uniform(rng, 20.0, 900.0)) / SAMPLE_RATE
        sound *= np.exp(-log_uniform(rng, 1.0, 12.0) * (teeth % 1.0))
    return sound * _pauses(rng) if rng.random() < 0.3 else sound


def squeal(rng: Rng) -> Samples:
    """Stick and slip: hinges, brakes, tyres, chalk, rusty wheels, bowed metal."""
    base = log_uniform(rng, 40.0, 3500.0)
    course = rng.uniform(0.05, 0.7) * wander(rng, log_uniform(rng, 0.3, 10.0))
    rough = log_uniform(rng, 0.001, 0.2) * wander(rng, rng.uniform(20.0, 200.0))
    phase = np.cumsum(base * np.exp(course + rough)) / SAMPLE_RATE
    sound = fftconvolve(2.0 * (phase % 1.0) - 1.0, _mouth(rng))[:LENGTH]
    sound = normal(sound) * np.exp(0.8 * wander(rng, 3.0)) * _pauses(rng)
    return sound + shaped_noise(rng) * log_uniform(rng, 0.002, 0.2)


def notes(rng: Rng) -> Samples:
    """Plucked, struck, blown or electronic notes and drums."""
    scale = np.array([0, 2, 3, 5, 7, 9, 10, 12, 14, 15, 17, 19]) / 12.0
    base, decay = log_uniform(rng, 40.0, 900.0), log_uniform(rng, 0.05, 2.0)
    tilt, ratio = rng.uniform(0.0, 3.0), rng.choice([0.5, 1.0, 1.41, 2.0, 3.0, 7.0])
    attack = log_uniform(rng, 0.002, 0.15)
    drop = rng.uniform(0.3, 2.0) if rng.random() < 0.3 else 0.0
    hits = []
    for step in rng.choice(scale, size=rng.integers(1, 7)):
        n = int(min(4.0, 5.0 * decay) * SAMPLE_RATE)
        time_s = np.arange(n) / SAMPLE_RATE
        fall = np.exp(drop * np.exp(-time_s / 0.03))
        phase = 2.0 * np.pi * np.cumsum(base * 2.0**step * fall) / SAMPLE_RATE
        index = tilt * np.exp(-time_s / (0.5 * decay))
        tone = np.sin(phase + index * np.sin(ratio * phase))
        hits.append(tone * np.exp(-time_s / decay) * np.minimum(1.0, time_s / attack))
    starts = beats(rng, log_uniform(rng, 0.5, 12.0), jitter=log_uniform(rng, 0.001, 0.2))
    return placed(starts, _gains(rng, len(starts), 0.3), hits, rng)


def _room(sound: Samples, rng: Rng) -> Samples:
    length = int(SAMPLE_RATE * log_uniform(rng, 0.05, 2.5))
    tail = rng.standard_normal(length) * np.exp(-np.linspace(0.0, 7.0, length))
    tail = lfilter([1.0 - (dark := rng.uniform(0.0, 0.9))], [1.0, -dark], tail)
    tail *= log_uniform(rng, 0.05, 1.5) / np.sqrt(np.sum(np.square(tail)))
    tail[0] += 1.0
    wet: Samples = fftconvolve(sound, tail)[:LENGTH]
    return wet


FAMILIES: tuple[Callable[[Rng], Samples], ...] = (
    engine,
    engine,
    rotor,
    machine,
    drill,
    hammering,
    hammering,
    crackle,
    bed,
    surge,
    bubbles,
    bells,
    blast,
    siren,
    chirps,
    voice,
    voice,
    voice,
    strokes,
    squeal,
    notes,
)

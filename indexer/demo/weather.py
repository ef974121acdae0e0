"""Rain, wind, thunder, water and fire."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    curve,
    decay,
    drift,
    fade,
    formants,
    noise,
    paint,
    random_times,
    room,
    scatter,
    tones,
)


def _drops(
    take: Take, *, low_hz: float, high_hz: float, t60_s: float, count: int = 24
) -> list[Signal]:
    """Make short damped grains of noise and tone, each at another pitch."""
    grains = []
    for _ in range(count):
        one = take.part(t60_s)
        hz = float(np.exp(take.rng.uniform(np.log(low_hz), np.log(high_hz))))
        body = noise(one, [(hz / 3, -24), (hz, 0), (hz * 3, -18)])
        grains.append(
            (body + np.sin(2 * np.pi * hz * one.t)) * decay(one, t60_s=t60_s, attack_s=0.0005)
        )
    return grains


def rain(take: Take, *, drops_per_s: float = 300.0, wash_db: float = -6.0) -> Signal:
    """Let rain fall on ground and leaves: a wash of far drops and the clicks of near ones."""
    wash = noise(take, [(80, -18), (300, -10), (1200, -2), (3000, 0), (9000, -5), (16000, -14)])
    wash *= drift(take, rate_hz=0.7, low=0.85, high=1.1)
    at = random_times(take, per_s=drops_per_s)
    near = scatter(
        take,
        at,
        take.rng.lognormal(-0.5, 0.9, at.size),
        _drops(take, low_hz=1500, high_hz=9000, t60_s=0.012),
    )
    return near / max(float(np.std(near)), 1e-9) + wash * 10 ** (wash_db / 20)


def rain_on_tin(take: Take) -> Signal:
    """Let rain fall on a tin roof: each drop rings the sheet for a moment."""
    at = random_times(take, per_s=640)
    grains = []
    for _ in range(32):
        one = take.part(0.05)
        partials = [
            (hz * take.rng.uniform(0.86, 1.1), 0.15, take.rng.uniform(0.02, 0.05))
            for hz in (240, 720, 1040, 1900, 4220, 5400, 7060)
        ]
        knock = noise(one, [(150, -2), (1430, 0), (3250, -5), (7480, -27)])
        grains.append(tones(one, partials) + 5.0 * knock * decay(one, t60_s=0.018))
    roof = scatter(take, at, take.rng.lognormal(-0.5, 0.95, at.size), grains)
    wash = rain(take, drops_per_s=1500, wash_db=4.8)
    sheet = formants(wash, take.sr, [(hz, hz / 31, 1.4) for hz in (560, 680, 830, 5700)])
    return 0.7 * roof / float(np.std(roof)) + 0.43 * wash + 0.5 * sheet


def wind(take: Take, *, howl: float = 0.0, gust_hz: float = 0.2) -> Signal:
    """Let wind blow; `howl` adds what it whistles around a house, at wandering pitches."""
    gust = drift(take, rate_hz=gust_hz, low=0.16, high=0.8)
    puff = gust * drift(take, rate_hz=15, low=0.3, high=1.3)
    out = noise(take, [(40, 0), (90, 0), (240, -6), (990, -22), (1680, -31), (5610, -60)]) * puff
    leaves = noise(take, [(170, -10), (860, 0), (2400, -8), (6000, -24)])
    out += 0.14 * leaves * gust**2
    if howl > 0:
        source = noise(take, [(200, 0), (600, 0), (2700, -13)])
        times = take.t
        bounds = ((330.0, 620.0), (700.0, 1150.0))
        pitches = [drift(take, rate_hz=0.3, low=low, high=high) for low, high in bounds]

        def whistle(at: Signal, hz: Signal) -> Signal:
            gain = np.zeros((len(at), hz.size))
            for pitch, loud in zip(pitches, (1.0, 0.35), strict=True):
                middle = np.interp(at[:, 0], times, pitch)[:, None]
                gain += loud * np.exp(-0.5 * ((hz - middle) / 45) ** 2)
            return gain

        out += howl * paint(source, take.sr, whistle) * gust**1.5
    return out


def thunder(take: Take, *, distance: float = 0.5) -> Signal:
    """Strike once, then rumble: echoes of one crack from ever farther clouds."""
    t = take.t
    crack = noise(take, [(40, 0), (200, 0), (500, -8), (1500, -24), (6000, -60)])
    crack *= decay(take, t60_s=3.0, attack_s=0.05) * drift(take, rate_hz=7, low=0.3, high=1.0)
    rolls = np.zeros(take.n)
    for at in np.sort(take.rng.uniform(0.3, 0.6 * take.length_s, 9)):
        hill = np.exp(-0.5 * ((t - at) / take.rng.uniform(0.15, 0.5)) ** 2)
        rolls += take.rng.uniform(0.3, 1.0) * hill * np.exp(-0.25 * at)
    rumble = (
        noise(take, [(25, -3), (60, 0), (150, -4), (300, -12), (700, -30), (3000, -60)]) * rolls
    )
    shower = rain(take, drops_per_s=900, wash_db=6.0) * 0.08
    return fade((1 - distance) * crack + 1.6 * rumble + shower, take.sr, in_s=0.05, out_s=1.0)


def waves(take: Take, *, every_s: float = 4.8) -> Signal:
    """Let waves break on a beach: each one swells, breaks bright and draws back hissing."""
    out = noise(take, [(40, 0), (80, 0), (620, -19), (7580, -36)]) * 0.43
    hiss = noise(take, [(100, -10), (610, 0), (1600, 0), (14600, -8)])
    body = noise(take, [(20, -6), (410, 0), (1900, -14), (6000, -28)])
    first = take.rng.uniform(0.1, 0.9)
    for k in range(int(take.length_s / every_s) + 2):
        peak = first + 2 + (k - 1) * every_s + take.rng.uniform(-0.7, 1.2)
        loud = take.rng.uniform(0.8, 1.4)
        ago = take.t - peak
        out += loud * body * np.exp(np.where(ago < 0, ago / 1.2, -ago / 1.3))
        later = ago - 0.2
        out += 0.68 * loud * hiss * np.exp(np.where(later < 0, later / 0.68, -later / 1.2))
    return out


def _bubbles(take: Take, *, per_s: float, low_hz: float, high_hz: float, rise: float) -> Signal:
    """Sound air bubbles in water: damped sines that rise as they near the surface."""
    grains = []
    for _ in range(48):
        one = take.part(0.07)
        hz = float(np.exp(take.rng.uniform(np.log(low_hz), np.log(high_hz))))
        t60 = float(np.clip(60 / hz, 0.012, 0.07))
        turn = 2 * np.pi * hz * (one.t + rise * one.t**2)
        grains.append(np.sin(turn) * decay(one, t60_s=t60, attack_s=0.0015))
    at = random_times(take, per_s=per_s)
    return scatter(take, at, take.rng.lognormal(-0.8, 0.8, at.size), grains)


def stream(take: Take) -> Signal:
    """Let a brook run over stones: very many bubbles and a little rush."""
    bubbles = _bubbles(take, per_s=360, low_hz=350, high_hz=5960, rise=2.1)
    rush = noise(take, [(87, -24), (460, -5), (800, 0), (4110, -8), (8260, -24)])
    rush *= drift(take, rate_hz=2, low=0.86, high=1.2)
    return bubbles / float(np.std(bubbles)) + 0.53 * rush


def pouring(take: Take) -> Signal:
    """Pour water into a glass: the air above the water rings higher as the glass fills."""
    end = take.length_s
    flow = curve(take, [(0, 0), (0.2, 1), (end - 0.5, 1), (end - 0.3, 0)])
    bubbles = _bubbles(take, per_s=190, low_hz=480, high_hz=3820, rise=14.0)
    splash = noise(take, [(600, -15), (1020, 0), (4520, -8)])
    source = (bubbles / float(np.std(bubbles)) + 1.1 * splash) * flow

    def glass(at: Signal, hz: Signal) -> Signal:
        middle = 190 * 2.5 ** np.clip(at / end, 0, 1)
        gain = 0.31 + np.zeros_like(at * hz)
        for k, loud in ((1, 9.0), (2, 3.6)):
            gain += loud * np.exp(-(((hz - k * middle) / (69 * k)) ** 2))
        return gain

    return room(take, paint(source, take.sr, glass), t60_s=0.2, wet=0.05)


def fire(take: Take) -> Signal:
    """Burn wood: a low roar, a hiss, and crackles in bursts."""
    roar = noise(take, [(40, 0), (260, -4), (990, -18), (2280, -35)])
    roar *= drift(take, rate_hz=4, low=0.5, high=1.1)
    hiss = noise(take, [(700, -11), (3500, 0)]) * drift(take, rate_hz=1.5, low=0.5, high=2.5)
    grains = []
    for _ in range(30):
        one = take.part(0.036)
        hz = take.rng.uniform(760, 6260)
        snap = noise(one, [(hz / 2, -5), (hz, 0), (hz * 4.3, -12)])
        grains.append(snap * decay(one, t60_s=take.rng.uniform(0.004, 0.02), attack_s=0.0003))
    bursts = random_times(take, per_s=13)
    near = [burst + take.rng.exponential(0.026, take.rng.integers(1, 7)) for burst in bursts]
    at = np.concatenate([bursts, *near])
    loud = take.rng.lognormal(-0.67, 0.7, at.size)
    return 0.37 * roar + 0.084 * hiss + 0.91 * scatter(take, at, loud, grains)


def flush(take: Take) -> Signal:
    """Flush a toilet: a rush of water that swells, swirls and gurgles away."""
    level = [(0, 0), (0.08, 0.42), (0.37, 1), (4.2, 0.9), (5.5, 0.35), (take.length_s, 0.09)]
    rush = noise(take, [(28, -15), (250, 0), (1110, 0), (3680, -1), (8650, -20), (12500, -31)])
    swirl = paint(
        rush,
        take.sr,
        lambda at, hz: 0.87 + 0.75 * np.exp(-0.5 * ((hz - 300 - 210 * np.sin(7 * at)) / 260) ** 2),
    )
    gurgle = _bubbles(take, per_s=96, low_hz=400, high_hz=2300, rise=1.6)
    gurgle /= float(np.std(gurgle))
    late = curve(take, [(0, 0.2), (3.1, 0.6), (5.1, 0.7), (6.3, 0.35), (take.length_s, 0.07)])
    return room(take, swirl * curve(take, level) + 0.5 * gurgle * late, t60_s=0.4, wet=0.27)

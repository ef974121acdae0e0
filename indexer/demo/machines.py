"""Engines, vehicles, aircraft, trains and tools."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    buzz,
    curve,
    decay,
    drift,
    fade,
    formants,
    noise,
    paint,
    pan,
    phase,
    regular_times,
    room,
    scatter,
    tones,
)


def _firings(take: Take, rate_hz: Signal, *, jitter: float) -> Signal:
    """List the moments at which cylinders fire, in s, given their rate; `jitter` in periods."""
    turns = np.cumsum(rate_hz) / take.sr
    count = int(turns[-1])
    when = np.arange(count) + take.rng.uniform(-jitter, jitter, count)
    return np.interp(when, turns, take.t)


def combustion(
    take: Take,
    rate_hz: Signal,
    *,
    body_hz: float,
    rough: float = 0.08,
    ring: float = 1.0,
    blow: float = 0.8,
    knock: float = 0.2,
    spread: float = 0.05,
    t60_s: float = 0.09,
) -> Signal:
    """Run a piston engine: one short blow down the exhaust for each firing of a cylinder.

    Parameters
    ----------
    rate_hz : ndarray, shape (n,)
        Firings a second.
    body_hz : float
        Lowest resonance of exhaust and body; higher ones follow it.
    rough, spread : float
        How unevenly it fires, in periods, and how much the blows differ in pitch.
    ring, blow, knock : float
        Amplitudes of the body's resonances, of the exhaust's noise, of the valves' clatter.
    t60_s : float
        How long a blow rings.
    """
    grains = []
    for _ in range(8):
        one = take.part(1.5 * t60_s)
        wander = take.rng.uniform(1 - spread, 1 + spread, 4)
        parts = zip(
            (1, 2.3, 4.1, 7.7), wander, (1.0, 0.6, 0.35, 0.2), (1.0, 0.7, 0.45, 0.33), strict=True
        )
        body = tones(one, [(body_hz * k * w, loud, t60_s * t) for k, w, loud, t in parts])
        puff = noise(one, [(60, 0), (300, -4), (1500, -14), (5000, -24)])
        puff *= decay(one, t60_s=0.6 * t60_s, attack_s=0.001)
        click = noise(one, [(500, -12), (2500, 0), (7000, -6)]) * decay(
            one, t60_s=0.012, attack_s=0.0005
        )
        grains.append(ring * body + blow * puff + knock * click)
    at = _firings(take, rate_hz, jitter=rough)
    out = scatter(take, at, take.rng.uniform(0.7, 1.0, at.size), grains)
    return out / float(np.std(out))


def idling(take: Take, *, rpm: float = 540.0) -> Signal:
    """Let a four-cylinder engine idle: firings, valve clatter, fan."""
    rate = rpm / 30 * drift(take, rate_hz=2, low=0.97, high=1.03)
    out = combustion(take, rate, body_hz=69, rough=0.066)
    fan = noise(take, [(48, 6), (69, 0), (480, -12), (1470, -11), (4250, -37), (14800, -40)])
    return out + 0.6 * fan


def motorcycle(take: Take) -> Signal:
    """Rev a motorcycle three times and let it fall back to idle."""
    revs = [(0.0, 14.0), (0.9, 12.0), (1.4, 75.0), (3.0, 30.0), (3.7, 15.0), (4.2, 72.0)]
    revs += [(5.6, 28.0), (6.0, 18.0), (6.6, 85.0), (8.4, 18.0)]
    rate = curve(take, revs) * drift(take, rate_hz=2, low=0.75, high=1.2)
    out = combustion(take, rate, body_hz=130, rough=0.02)
    rasp = buzz(take, rate, tilt=0.75, harmonics=60) * noise(take, [(130, 0), (3280, -12)])
    rasp = formants(rasp, take.sr, [(260, 300, 1), (1380, 170, 0.85), (1880, 1280, 0.42)])
    return (out + 0.2 * rasp) * (0.49 + 0.33 * np.clip((rate - 25) / 44, 0, 1))


def car_passing(take: Take, *, speed_m_s: float = 13.0, distance_m: float = 7.6) -> Signal:
    """Drive past from left to right: tyres on asphalt, engine, Doppler shift. Stereo."""
    along = speed_m_s * (take.t - take.length_s / 2)
    far = np.hypot(along, distance_m)
    near = distance_m / far
    tyres = noise(take, [(66, -9), (270, -5), (1200, -1), (2200, 0), (4160, -21), (14000, -33)])
    top_hz = 530 + 5650 * near**2.1
    rush = paint(tyres, take.sr, lambda at, hz: 1 / (1 + hz / np.interp(at, take.t, top_hz)))
    motor = combustion(take, np.full(take.n, 78.0), body_hz=100, rough=0.07)
    motor = np.interp(take.t - far / 340, take.t, motor, left=0.0, right=0.0)
    passing = pan((0.73 * rush + 0.55 * motor) * near, along / far * 0.85)
    return fade(passing, take.sr, in_s=0.3, out_s=0.5)


def helicopter(take: Take, *, blades_hz: float = 14.5) -> Signal:
    """Hover: the rotor's thumps, the engine's roar that they chop, a turbine's whine."""
    rate = blades_hz * drift(take, rate_hz=0.5, low=0.93, high=1.07)
    turn = phase(take, rate)
    chop = np.exp(3.7 * (np.cos(turn) - 1))
    late = np.exp(1.2 * (np.cos(turn - 0.9) - 1))
    thump = noise(take, [(16, -3), (60, 0), (410, -1), (890, -4), (1810, -30)])
    roar = noise(take, [(32, 2), (180, 0), (530, -7), (1930, -18), (5290, -28), (16000, -21)])
    whine = buzz(take, 15 * rate, tilt=1.0, harmonics=12)
    swell = drift(take, rate_hz=0.27, low=0.67, high=1.0)
    return (1.8 * thump * chop + roar * (0.45 + 0.48 * late) + 0.014 * whine) * swell


def propeller_plane(take: Take) -> Signal:
    """Fly over in a small plane: the propeller's drone, falling as it leaves."""
    end = take.length_s
    fall = curve(take, [(0, 1.25), (0.42 * end, 1.2), (0.58 * end, 0.9), (end, 0.85)])
    hz = 82 * fall * drift(take, rate_hz=8, low=0.992, high=1.008)
    drone = combustion(take, hz, body_hz=62, rough=0.08)
    hum = buzz(take, hz, tilt=0.76, harmonics=30)
    hum = formants(hum, take.sr, [(110, 130, 1.0), (260, 350, 1.0), (900, 410, 0.26)])
    wash = noise(take, [(22, 2), (120, 0), (540, -5), (1160, -18), (4270, -44), (16200, -48)])
    near = 0.21 + 0.75 * np.exp(-(((take.t / end - 0.5) / 0.33) ** 2))
    return (0.23 * drone + 0.5 * hum / float(np.std(hum)) + 0.65 * wash) * near


def steam_train(take: Take) -> Signal:
    """Pull out of a station: chuffs that come ever faster, and hissing steam."""
    rate = curve(take, [(0, 1.3), (take.length_s, 4.3)])
    at = _firings(take, rate, jitter=0.018)
    grains = []
    for beat in range(4):
        one = take.part(0.7)
        chuff = noise(one, [(76, -6), (240, 0), (660, -3), (2000, -14), (3000, -28)])
        grains.append((0.88 + 0.11 * beat) * chuff * decay(one, t60_s=0.45, attack_s=0.075))
    out = scatter(take, at, take.rng.uniform(0.72, 1.3, at.size), grains)
    hiss = noise(take, [(940, -17), (4090, 0), (5300, 0)])
    roll = noise(take, [(23, 0), (95, -5), (200, -21), (1150, -22)])
    return room(take, out + 0.14 * hiss + 0.33 * roll, t60_s=0.9, wet=0.34)


def train_horn(take: Take) -> Signal:
    """Blow a five-chime locomotive horn twice, with an echo from the valley."""
    chord = np.zeros(take.n)
    for hz in (311.1, 370.0, 415.3, 493.9, 622.3):
        wobble = drift(take, rate_hz=3, low=0.998, high=1.002)
        chord += buzz(take, hz * wobble, tilt=0.54, harmonics=24)
    chord = formants(chord, take.sr, [(790, 500, 1), (1100, 700, 0.9), (2300, 2160, 0.5)])
    end = take.length_s
    first = [(0.1, 0), (0.25, 1), (0.29 * end, 1), (0.36 * end, 0)]
    second = [(0.44 * end, 0), (0.47 * end, 1), (0.8 * end, 0.95), (0.9 * end, 0)]
    steam = 0.19 * noise(take, [(250, -10), (2000, 0), (7600, -16)])
    blown = (chord / float(np.std(chord)) + steam) * curve(take, first + second)
    bed = noise(take, [(41, 0), (100, -5), (320, -20), (4000, -40)])
    return room(take, blown, t60_s=2.5, wet=0.3, top_hz=1900) + 0.15 * bed


def jackhammer(take: Take) -> Signal:
    """Break concrete: 22 blows a second, the steel's ring, the compressor behind it."""
    grains = []
    for _ in range(6):
        one = take.part(0.06)
        blow = noise(one, [(80, -4), (400, 0), (1500, -2), (4000, -6), (10000, -16)])
        ring = tones(
            one, [(hz * take.rng.uniform(0.97, 1.03), 0.5, 0.03) for hz in (640, 1480, 2350, 3900)]
        )
        grains.append((blow + ring) * decay(one, t60_s=0.035, attack_s=0.0008))
    working = curve(take, [(0.0, 1), (2.6, 1), (2.65, 0), (3.1, 0), (3.15, 1), (take.length_s, 1)])
    at = regular_times(take, every_s=1 / 22, jitter_s=0.002)
    loud = take.rng.uniform(0.7, 1.0, at.size) * np.interp(at, take.t, working)
    motor = combustion(take, np.full(take.n, 45.0), body_hz=80)
    blows = scatter(take, at, loud, grains)
    return room(take, blows / float(np.std(blows)) + 0.2 * motor, t60_s=0.5, wet=0.15)


def drill(take: Take) -> Signal:
    """Drill a wall: the motor spins up, bites, sags, and runs out."""
    end = take.length_s
    sag = [(0, 0.12), (0.7, 1), (1.2, 1), (2.0, 0.75), (end - 2.2, 0.8), (end - 1.3, 1)]
    speed = curve(take, [*sag, (end - 0.6, 1), (end, 0.04)])
    speed = speed * drift(take, rate_hz=4, low=0.9, high=1.15)
    whine = buzz(take, 160 * speed, tilt=0.71, harmonics=30)
    whine += 0.76 * buzz(take, 710 * speed, tilt=0.67, harmonics=12)
    gears = formants(whine, take.sr, [(2680, 300, 1), (4180, 740, 0.9), (6690, 840, 1.5)])
    biting = curve(take, [(0.7, 0), (1.4, 1), (end - 2.1, 1), (end - 1.3, 0)])
    grit = noise(take, [(320, -12), (1590, 0), (7670, -17), (15600, -13)])
    grit *= 1 + np.sin(phase(take, 140 * speed))
    brush = noise(take, [(410, -10), (4500, 0), (9000, -14)])
    out = gears / float(np.std(gears)) + 0.16 * brush + 0.29 * grit * biting
    return room(take, out * np.clip(speed, 0, 1), t60_s=0.32, wet=0.45)


def chainsaw(take: Take) -> Signal:
    """Cut with a two-stroke chainsaw: bursts of full throttle, idle between them."""
    first = [(0, 32), (0.4, 54), (1.0, 220), (3.2, 115), (3.9, 44)]
    rate = curve(take, [*first, (4.2, 50), (4.6, 140), (7.4, 112), (7.8, 57)])
    rate = rate * drift(take, rate_hz=10, low=0.95, high=1.03)
    out = combustion(
        take,
        rate,
        body_hz=250,
        rough=0.063,
        ring=0.47,
        blow=1.4,
        knock=0.92,
        spread=0.2,
        t60_s=0.031,
    )
    out += 3.0 * formants(out, take.sr, [(550, 250, 1), (1400, 730, 1.0), (3600, 1920, 2.0)])
    chain = noise(take, [(230, 0), (1500, 0), (6110, -3), (12000, -14)])
    chain *= 1 + 1.2 * np.sin(phase(take, rate))
    loud = 0.25 + 0.75 * np.clip((rate - 43) / 70, 0, 1)
    return (out / float(np.std(out)) + 0.5 * chain * loud) * loud


def reversing_beeper(take: Take) -> Signal:
    """Reverse a truck: beeps over the idling diesel."""
    on = (np.mod(take.t, 1.2) < 0.35).astype(np.float64)
    gate = np.convolve(on, np.full(401, 1 / 401), "same")
    beep = np.sin(phase(take, 1150.0)) * gate
    rate = 24 * drift(take, rate_hz=2, low=0.94, high=1.1)
    diesel = combustion(take, rate, body_hz=65)
    return room(take, beep, t60_s=0.8, wet=0.04) + 0.24 * diesel


def traffic(take: Take) -> Signal:
    """Hear a road far away: a low roar that comes and goes with the cars."""
    roar = noise(take, [(30, -6), (70, 0), (200, -4), (700, -14), (2000, -28), (8000, -56)])
    return roar * drift(take, rate_hz=0.3, low=0.5, high=1.0)

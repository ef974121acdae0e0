"""Shots, explosions, fireworks and arcade lasers."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    air,
    buzz,
    decay,
    drift,
    fade,
    noise,
    phase,
    place,
    room,
    scatter,
)


def explosion(take: Take) -> Signal:
    """Explode: a shock, a fireball's roar, debris."""
    blast = noise(take, [(37, 0), (120, 2), (390, -9), (880, -16), (6000, -37)])
    blast *= decay(take, t60_s=2.4, attack_s=0.0036)
    shock = noise(take, [(65, 0), (2600, 0), (3930, -15)])
    shock *= decay(take, t60_s=0.38, attack_s=0.0015)
    at = 0.24 + take.rng.exponential(0.66, 100)
    chip = take.part(0.022)
    grains = [
        noise(chip, [(hz / 2, -8), (hz, 0), (hz * 3, -19)]) * decay(chip, t60_s=0.016)
        for hz in take.rng.uniform(370, 6170, 15)
    ]
    debris = scatter(take, at, take.rng.lognormal(-0.6, 1.5, at.size), grains)
    debris *= np.exp(-np.clip(take.t - 0.2, 0, None))
    return fade(np.tanh(7.2 * (blast + shock)) + 0.04 * debris, take.sr, out_s=0.7)


def gunshots(take: Take) -> Signal:
    """Fire a rifle three times in the open."""
    out = np.zeros(take.n)
    for start in (0.15, 1.4, 2.4):
        one = take.part(1.1)
        crack = noise(one, [(64, 0), (320, 0), (2980, 0), (5930, -6)])
        crack *= decay(one, t60_s=0.16, attack_s=0.0005)
        boom = noise(one, [(40, 0), (110, 0), (170, -8), (1070, -20)])
        boom *= decay(one, t60_s=0.88, attack_s=0.004)
        shot = np.tanh(3 * (crack + 0.7 * boom))
        place(out, shot, round(start * take.sr), take.rng.uniform(0.85, 1.0))
    return air(take, room(take, out, t60_s=1.5, wet=0.31, top_hz=3400), level_db=-56)


def fireworks(take: Take) -> Signal:
    """Let off fireworks: a rocket whistles up, bursts, crackles."""
    out = np.zeros(take.n)
    pop = take.part(0.035)
    pops = [
        noise(pop, [(430, -7), (2440, 0), (8460, -8)]) * decay(pop, t60_s=0.034, attack_s=0.0003)
        for _ in range(6)
    ]
    for start in (0.1, 2.6):
        up = take.part(1.1)
        hz = (1120 + 1550 * up.t) * drift(up, rate_hz=30, low=0.98, high=1.02)
        rise = 0.12 * np.sin(phase(up, hz)) + 0.1 * noise(up, [(800, 0), (3380, 0)])
        place(out, fade(rise, take.sr, in_s=0.5, out_s=0.13), round(start * take.sr))
        burst = take.part(1.9)
        bang = noise(burst, [(38, 0), (300, 0), (1420, -8), (8000, -31)])
        bang *= decay(burst, t60_s=0.98, attack_s=0.0015)
        place(out, np.tanh(2.5 * bang), round((start + 1.15) * take.sr))
        at = start + 1.5 + take.rng.exponential(0.2, 60)
        out += scatter(take, at, take.rng.lognormal(-2.2, 0.34, at.size), pops)
    return air(take, room(take, out, t60_s=2.0, wet=0.2, top_hz=1130), level_db=-53)


def laser(take: Take) -> Signal:
    """Fire the lasers of an arcade game: fast falling sweeps."""
    out = np.zeros(take.n)
    one = take.part(0.45)
    for start in np.arange(0.1, take.length_s - 0.5, 0.9):
        hz = 130 + take.rng.uniform(1500, 4200) * np.exp(-one.t / 0.03)
        zap = buzz(one, hz, tilt=0.3, harmonics=8) * decay(one, t60_s=0.37, attack_s=0.006)
        place(out, zap, round(start * take.sr))
    return room(take, out, t60_s=0.8, wet=0.11)

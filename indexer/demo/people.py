"""Sounds that people make: their hearts, feet, hands and voices."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    air,
    buzz,
    curve,
    decay,
    drift,
    formants,
    noise,
    phase,
    place,
    regular_times,
    room,
    scatter,
)


def heartbeat(take: Take, *, per_minute: float = 72.0) -> Signal:
    """Beat as a heart does through a stethoscope: lub-dub."""
    out = np.zeros(take.n)
    every = 60 / per_minute
    for at in regular_times(take, every_s=every, jitter_s=0.02, first_s=0.2):
        for late, hz, loud in ((0.0, 37.0, 1.6), (0.37 * every, 60.0, 0.7)):
            one = take.part(0.16)
            fall = hz * (1 + 0.18 * np.exp(-one.t / 0.015))
            thud = np.sin(phase(one, fall)) * decay(one, t60_s=0.11, attack_s=0.0073)
            rub = noise(one, [(90, 0), (160, 0), (650, -39)])
            rub *= decay(one, t60_s=0.16, attack_s=0.029)
            place(out, loud * (thud + 0.63 * rub), round((at + late) * take.sr))
    return air(take, out, level_db=-40)


def steps_on_gravel(take: Take) -> Signal:
    """Walk on gravel: heel and sole, each a crunch of many small stones."""
    out = np.zeros(take.n)
    stone = take.part(0.0086)
    grains = [
        noise(stone, [(hz / 2, -9), (hz, 0), (hz * 3, -21)]) * decay(stone, t60_s=0.008)
        for hz in np.exp(take.rng.uniform(np.log(480), np.log(8000), 22))
    ]
    for at in regular_times(take, every_s=0.64, jitter_s=0.02, first_s=0.3):
        for late, length, loud in ((0.0, 0.15, 1.4), (0.16, 0.24, 0.93)):
            one = take.part(length)
            times = take.rng.beta(2.3, 2.2, 260) * length
            crunch = scatter(one, times, take.rng.lognormal(-0.4, 0.9, 260), grains)
            rub = noise(one, [(150, -8), (540, 0), (2250, -9), (5420, -6)])
            rub *= np.sin(np.pi * one.t / length)
            thud = noise(one, [(30, 0), (75, 0), (500, -6)])
            thud *= decay(one, t60_s=0.06, attack_s=0.017)
            step = crunch + 0.78 * rub + 1.2 * thud
            place(out, loud * step, round((at + late) * take.sr))
    bed = noise(take, [(57, 0), (350, -13), (1260, -11), (4000, -24), (6000, -22)])
    return room(take, out, t60_s=0.55, wet=0.16) + 0.59 * float(np.std(out)) * bed


def snoring(take: Take) -> Signal:
    """Snore: breath drawn in over a fluttering palate, then let go softly."""
    out = np.zeros(take.n)
    for start in np.arange(0.15, take.length_s - 0.9, 3.4):
        one = take.part(1.9)
        rate = 47 * drift(one, rate_hz=8, low=0.57, high=1.7)
        flutter = np.maximum(np.sin(phase(one, rate)), 0) ** 2
        source = noise(one, [(52, 0), (520, -2), (3480, -8)]) * (0.12 + flutter)
        tract = [(230, 160, 0.6), (400, 100, 2.4), (4090, 900, 0.68), (6420, 1360, 0.6)]
        throat = formants(source, take.sr, tract)
        place(out, throat * np.sin(np.pi * one.t / 1.9), round(start * take.sr))
        sigh = take.part(1.2)
        breath = noise(sigh, [(500, -7), (660, 0), (5250, -10), (14800, -16)])
        breath *= np.sin(np.pi * sigh.t / 1.2)
        place(out, breath, round((start + 2.0) * take.sr), 0.064)
    return air(take, room(take, out, t60_s=0.19, wet=0.11), level_db=-51)


def vowels(take: Take) -> Signal:
    """Sing five vowels on one note: a, e, i, o, u."""
    shapes: tuple[tuple[tuple[float, float, float], ...], ...] = (
        ((730, 90, 1.0), (1090, 110, 0.6), (2440, 170, 0.25), (3400, 250, 0.12)),
        ((530, 70, 1.0), (1840, 110, 0.4), (2480, 170, 0.25), (3500, 250, 0.12)),
        ((280, 60, 1.0), (2250, 110, 0.25), (2890, 170, 0.2), (3500, 250, 0.12)),
        ((500, 80, 1.0), (850, 100, 0.5), (2410, 170, 0.1), (3300, 250, 0.06)),
        ((310, 70, 1.0), (870, 100, 0.3), (2250, 170, 0.06), (3300, 250, 0.04)),
    )
    out = np.zeros(take.n)
    each = (take.length_s - 0.3) / len(shapes)
    for k, tract in enumerate(shapes):
        one = take.part(each * 1.05)
        hz = (
            130
            * (1 + 0.012 * np.sin(phase(one, 5.2)))
            * drift(one, rate_hz=12, low=0.994, high=1.006)
        )
        source = buzz(one, hz, tilt=1.2, harmonics=60)
        source = source / float(np.std(source)) + 0.02 * noise(one, [(500, -6), (3000, 0)])
        shape = curve(one, [(0, 0), (0.06, 1), (each * 0.85, 0.9), (each, 0)])
        place(out, formants(source, take.sr, tract) * shape, round((0.1 + each * k) * take.sr))
    return air(take, room(take, out, t60_s=0.6, wet=0.15), level_db=-50)


def applause(take: Take, *, people: int = 43) -> Signal:
    """Clap in a hall: many people, each at a pace and with hands of their own."""
    out = np.zeros(take.n)
    for _ in range(people):
        one = take.part(0.015)
        hz = take.rng.uniform(1150, 1400)
        clap = noise(one, [(hz / 6, -27), (hz, 0), (hz * 2, -7), (hz * 6, -20)])
        clap *= decay(one, t60_s=0.01, attack_s=0.0008)
        every = take.rng.uniform(0.22, 0.34)
        first = take.rng.uniform(0, every)
        at = regular_times(take, every_s=every, jitter_s=0.05, first_s=first)
        out += scatter(take, at, take.rng.lognormal(-2.2, 1.1), [clap])
    far = noise(take, [(310, -20), (1320, 0), (7800, -9)])
    return room(take, out + 0.037 * far, t60_s=4.0, wet=0.5, top_hz=6700)

"""Sounds of the house, of hands and feet, and bangs."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    air,
    buzz,
    decay,
    fade,
    noise,
    place,
    regular_times,
    room,
    scatter,
    tones,
)


def _knock(take: Take, *, body_hz: float, bright_db: float, t60_s: float = 0.08) -> Signal:
    """Strike something solid once: a contact, and the panel's resonances."""
    one = take.part(0.3)
    partials = [
        (body_hz * k * take.rng.uniform(0.97, 1.03), loud, t60_s * shorter)
        for k, loud, shorter in (
            (1, 1, 1),
            (1.7, 0.7, 0.8),
            (2.6, 0.5, 0.6),
            (4.3, 0.3, 0.4),
            (6.1, 0.15, 0.3),
        )
    ]
    contact = noise(
        one, [(body_hz / 2, -10), (body_hz * 2, 0), (4000, bright_db), (12000, bright_db - 16)]
    )
    return tones(one, partials) + contact * decay(one, t60_s=0.03, attack_s=0.001)


def clock(take: Take) -> Signal:
    """Tick, as a clock does: two ticks a second, every other one lower."""
    out = np.zeros(take.n)
    for k, at in enumerate(regular_times(take, every_s=0.5, first_s=0.2)):
        one = take.part(0.038)
        pitch = 0.73 if k % 2 else 0.86
        partials = ((2170, 0.56, 0.018), (2240, 0.39, 0.007), (4230, 1, 0.01))
        ring = tones(one, [(hz * pitch, loud, t60) for hz, loud, t60 in partials])
        click = noise(one, [(1170, -20), (5090, 0), (15300, -6)])
        click *= decay(one, t60_s=0.004, attack_s=0.0002)
        place(out, ring + 0.27 * click, round(at * take.sr))
    return air(take, room(take, out, t60_s=0.25, wet=0.26), level_db=-34)


def knocking(take: Take) -> Signal:
    """Knock at a wooden door, three times and again."""
    out = np.zeros(take.n)
    starts = [
        start + k * 0.28 for start in np.arange(0.26, take.length_s - 1.0, 1.8) for k in range(3)
    ]
    for at in starts:
        knock = _knock(take, body_hz=110, bright_db=-24)
        place(out, knock, round(at * take.sr), take.rng.uniform(0.85, 1))
    return air(take, room(take, out, t60_s=0.37, wet=0.23), level_db=-64)


def glass_breaking(take: Take) -> Signal:
    """Break a pane: the blow, then shards that ring and fall."""
    grains = []
    for _ in range(40):
        one = take.part(0.35)
        base = take.rng.uniform(2200, 7500)
        partials = [
            (base * k, take.rng.uniform(0.2, 1.0), take.rng.uniform(0.04, 0.3))
            for k in take.rng.uniform(1.0, 2.6, 4)
        ]
        tick = noise(one, [(2000, -12), (6000, 0)]) * decay(one, t60_s=0.01, attack_s=0.0003)
        grains.append(tones(one, partials) + tick)
    out = np.zeros(take.n)
    for start in (0.2, 0.55 * take.length_s):
        falls = start + np.concatenate(
            [take.rng.exponential(0.05, 30), 0.25 + take.rng.exponential(0.3, 50)]
        )
        out += scatter(
            take,
            falls,
            take.rng.lognormal(-0.9, 0.8, falls.size) * np.exp(-(falls - start)),
            grains,
        )
        blow = take.part(0.25)
        crash = noise(blow, [(300, -10), (1500, -2), (5000, 0), (14000, -6)]) * decay(
            blow, t60_s=0.22, attack_s=0.001
        )
        place(out, crash, round(start * take.sr), 2.2)
    return air(take, room(take, out, t60_s=0.6, wet=0.2, top_hz=9000), level_db=-52)


def typing(take: Take) -> Signal:
    """Type on a computer keyboard, in bursts, with the space bar now and then."""
    out = np.zeros(take.n)
    at = 0.2
    while at < take.length_s - 0.3:
        for _ in range(int(take.rng.integers(3, 9))):
            f = take.rng.uniform(0.85, 1.15)
            for late, loud in ((0.0, 1.0), (take.rng.uniform(0.05, 0.08), 0.5)):
                one = take.part(0.05)
                click = noise(one, [(400, -12), (2200 * f, 0), (5000, -4), (12000, -12)])
                click *= decay(one, t60_s=0.014, attack_s=0.0005)
                clack = tones(
                    one, [(340 * f, 0.5, 0.03), (1900 * f, 0.4, 0.015), (3300 * f, 0.4, 0.012)]
                )
                place(
                    out,
                    click + clack,
                    round((at + late) * take.sr),
                    loud * take.rng.uniform(0.6, 1.0),
                )
            at += take.rng.uniform(0.07, 0.17)
        at += take.rng.uniform(0.1, 0.35)
    return air(take, room(take, out, t60_s=0.3, wet=0.15), level_db=-46)


def camera(take: Take) -> Signal:
    """Release a camera's shutter: mirror up, curtain, mirror down, the motor winds."""
    out = np.zeros(take.n)
    clacks = ((0.0, 1500, 0.83), (0.035, 1800, 0.63), (0.095, 2600, 0.77), (0.11, 1450, 0.55))
    for start in np.arange(0.38, take.length_s - 0.4, 1.6):
        for late, hz, loud in clacks:
            one = take.part(0.045)
            slap = noise(one, [(hz / 4, -22), (hz, 0), (hz * 2, 0)])
            slap *= decay(one, t60_s=0.026, attack_s=0.0013)
            slap += 0.34 * tones(one, [(hz, 1, 0.0095), (hz * 1.5, 0.94, 0.019)])
            place(out, slap, round((start + late) * take.sr), loud)
        wind = take.part(0.17)
        motor = buzz(wind, 930.0, tilt=0.65, harmonics=20) * noise(wind, [(29, 0), (3720, -10)])
        motor = fade(motor, take.sr, in_s=0.03, out_s=0.08)
        place(out, motor, round((start + 0.12) * take.sr), 0.13)
    return air(take, room(take, out, t60_s=0.26, wet=0.12), level_db=-43)

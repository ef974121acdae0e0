"""Birds, insects, frogs and mammals, and the human voice: sources and formants."""

import numpy as np

from indexer.demo.synth import (
    Points,
    Signal,
    Take,
    air,
    buzz,
    curve,
    drift,
    fade,
    formants,
    noise,
    paint,
    phase,
    place,
    room,
)

Tract = tuple[tuple[float, float, float], ...]


def voice(
    take: Take,
    *,
    pitch: Points,
    loud: Points,
    tract: Tract,
    breath: float = 0.1,
    rough: float = 0.0,
) -> Signal:
    """Call once: a glottal buzz and breath through the resonances of a throat.

    Parameters
    ----------
    pitch : points
        Fundamental in Hz over time in s.
    loud : points
        Amplitude over time in s.
    tract : tuple of (float, float, float)
        Formants: frequency in Hz, bandwidth in Hz, gain.
    breath : float
        Share of noise in the source.
    rough : float
        How much the pitch jitters, as a share of it.
    """
    wobble = 1 + rough * drift(take, rate_hz=90, low=-1, high=1)
    hz = curve(take, pitch) * wobble * drift(take, rate_hz=8, low=0.99, high=1.01)
    source = buzz(take, hz, tilt=0.7, harmonics=50)
    source = source / float(np.std(source)) + breath * noise(
        take, [(200, -6), (1500, 0), (8000, -6)]
    )
    return formants(source, take.sr, tract) * curve(take, loud)


def _outdoors(take: Take, x: Signal, *, level_db: float = -38.0) -> Signal:
    """Put a call into the open: a short soft echo and the air around."""
    return air(take, room(take, x, t60_s=0.7, wet=0.08, top_hz=3500), level_db=level_db)


def _calls(take: Take, starts: Signal | list[float], one: list[Signal]) -> Signal:
    """Place calls in turn at the given times in s."""
    out = np.zeros(take.n)
    for k, start in enumerate(starts):
        place(out, one[k % len(one)], round(start * take.sr), take.rng.uniform(0.75, 1.0))
    return out


def dog(take: Take) -> Signal:
    """Bark: short, rough calls in twos and threes."""
    barks = []
    for _ in range(4):
        f = take.rng.uniform(0.7, 0.82)
        barks.append(
            voice(
                take.part(0.19),
                pitch=[(0, 180 * f), (0.03, 650 * f), (0.085, 740 * f), (0.12, 180 * f)],
                loud=[(0, 0), (0.007, 1), (0.07, 0.8), (0.14, 0.12), (0.18, 0)],
                tract=((980, 500, 1.5), (1470, 690, 0.5), (3180, 190, 1.2), (3710, 1900, 0.1)),
                breath=0.5,
                rough=0.03,
            )
        )
    starts = [0.2, 0.55, 1.7, 2.1, 3.7, 4.1, 4.5, 5.4]
    return _outdoors(take, _calls(take, [s for s in starts if s < take.length_s - 0.3], barks))


def cat(take: Take) -> Signal:
    """Meow: the mouth opens and closes over one long call."""
    out = np.zeros(take.n)
    for start, f in ((0.2, 1.0), (2.0, 0.85), (3.6, 0.92)):
        one = take.part(1.3)
        call = voice(
            one,
            pitch=[(0, 680 * f), (0.17, 450 * f), (0.5, 400 * f), (1.2, 420 * f)],
            loud=[(0, 0), (0.03, 0.55), (0.5, 1), (0.8, 0.6), (1.2, 0)],
            tract=((820, 500, 0.7), (1470, 500, 1.2), (1710, 330, 0.9), (3870, 1040, 0.25)),
            breath=0.03,
            rough=0.012,
        )

        def mouth(at: Signal, hz: Signal) -> Signal:
            wide = np.interp(at, [0, 0.1, 1.0, 1.3], [0.0, 0.8, 1.6, 1.2])
            first = np.exp(-0.5 * ((hz - 1060 - 1270 * wide) / 220) ** 2)
            second = np.exp(-0.5 * ((hz - 2390 + 1500 * wide) / 190) ** 2)
            third = np.exp(-0.5 * ((hz - 4650) / 1700) ** 2)
            return 0.1 + first + 1.6 * second + 0.3 * third

        place(out, paint(call, take.sr, mouth), round(start * take.sr))
    return air(take, room(take, out, t60_s=0.34, wet=0.12), level_db=-38)


def cow(take: Take) -> Signal:
    """Moo twice."""
    out = np.zeros(take.n)
    for start, f in ((0.4, 1.2), (3.1, 1.1)):
        moo = voice(
            take.part(1.7),
            pitch=[(0, 65 * f), (0.55, 150 * f), (1.3, 150 * f), (1.6, 75 * f)],
            loud=[(0, 0), (0.26, 0.7), (0.4, 1), (1.4, 0.95), (1.7, 0)],
            tract=((230, 80, 1.5), (570, 110, 1.0), (1100, 360, 0.4), (2020, 550, 0.16)),
            breath=0.27,
            rough=0.013,
        )
        place(out, moo, round(start * take.sr))
    return _outdoors(take, out)


def sheep(take: Take) -> Signal:
    """Bleat: a call that trembles many times a second."""
    out = np.zeros(take.n)
    for start, f in ((0.1, 0.8), (1.5, 0.75), (3.3, 0.95)):
        one = take.part(1.0)
        tremble = 0.64 + 0.36 * np.sin(phase(one, 13.0))
        baa = voice(
            one,
            pitch=[(0, 400 * f), (0.15, 215 * f), (0.75, 250 * f), (0.95, 160 * f)],
            loud=[(0, 0), (0.1, 1), (0.8, 1), (1.0, 0)],
            tract=((750, 160, 1.3), (1620, 250, 1.2), (2700, 250, 0.3), (3800, 820, 0.2)),
            breath=0.26,
            rough=0.02,
        )
        place(out, baa * tremble, round(start * take.sr))
    return _outdoors(take, out)


def rooster(take: Take) -> Signal:
    """Crow: cock-a-doodle-doo."""
    out = np.zeros(take.n)
    pitch = (
        (0, 680), (0.15, 720), (0.17, 560), (0.4, 760), (0.7, 690), (0.75, 780), (1.0, 940),
        (2.0, 560),
    )  # fmt: skip
    loud = (
        (0, 0), (0.04, 0.6), (0.16, 1.0), (0.18, 0.05), (0.29, 0.05), (0.31, 0.8), (0.62, 0.58),
        (0.63, 0.3), (0.71, 1), (1.2, 1), (1.9, 0),
    )  # fmt: skip
    for start in (0.24, 3.4):
        call = voice(
            take.part(1.9),
            pitch=pitch,
            loud=loud,
            tract=((1300, 320, 1.7), (4600, 600, 0.8), (6530, 950, 0.7), (7000, 1140, 0.4)),
            breath=0.31,
            rough=0.04,
        )
        place(out, call, round(start * take.sr))
    return _outdoors(take, out, level_db=-32)


def crow(take: Take) -> Signal:
    """Caw: hoarse calls in threes."""
    caws = []
    for _ in range(3):
        f = take.rng.uniform(0.95, 1.05)
        one = take.part(0.42)
        caws.append(
            voice(
                one,
                pitch=[(0, 480 * f), (0.08, 620 * f), (0.25, 560 * f), (0.38, 430 * f)],
                loud=[(0, 0), (0.03, 0.9), (0.25, 1), (0.38, 0)],
                tract=((1250, 300, 1.0), (1800, 350, 0.9), (3000, 700, 0.4)),
                breath=0.7,
                rough=0.08,
            )
        )
    starts = [0.3, 0.95, 1.6, 3.6, 4.25, 4.9]
    return _outdoors(take, _calls(take, [s for s in starts if s < take.length_s - 0.4], caws))


def owl(take: Take) -> Signal:
    """Hoot, as a tawny owl does: a call, a pause, a short one and a quavering one."""
    out = np.zeros(take.n)
    for start, length, quaver in ((0.3, 0.55, 0), (2.8, 0.16, 0), (3.4, 0.7, 1), (5.8, 0.55, 0)):
        one = take.part(length)
        t = np.minimum(one.t / length, 1.0)
        turn = phase(one, 820 + 160 * np.sin(np.pi * t) ** 0.8)
        shake = 1 - quaver * (0.5 + 0.35 * np.sin(phase(one, 8.9)))
        tone = np.sin(turn) + 0.09 * np.sin(2 * turn) + 0.05 * np.sin(3 * turn)
        breath = noise(one, [(900, -5), (1240, 0), (3160, -11)])
        hoot = (tone + 0.08 * breath) * np.sin(np.pi * t) ** 0.2 * shake
        place(out, fade(hoot, take.sr, in_s=0.03, out_s=0.05), round(start * take.sr))
    return _outdoors(take, out, level_db=-33)


def cuckoo(take: Take) -> Signal:
    """Call cuckoo: a falling third, again and again."""
    out = np.zeros(take.n)
    for start in np.arange(0.3, take.length_s - 0.8, 1.35):
        for late, hz, length in ((0.0, 660.0, 0.16), (0.32, 545.0, 0.26)):
            one = take.part(length)
            bend = hz * (1 + 0.03 * np.sin(np.pi * one.t / length))
            tone = np.sin(phase(one, bend)) + 0.1 * np.sin(2 * phase(one, bend))
            place(
                out, tone * np.sin(np.pi * one.t / length) ** 0.6, round((start + late) * take.sr)
            )
    return _outdoors(take, out, level_db=-40)


def chirps(
    take: Take, *, low_hz: float = 3200.0, high_hz: float = 6200.0, phrase: int = 5
) -> Signal:
    """Sing as a small bird: phrases of short whistles, each phrase of one shape."""
    out = np.zeros(take.n)
    at = 0.2
    while at < take.length_s - 0.8:
        start, end = take.rng.uniform(low_hz, high_hz, 2)
        length = take.rng.uniform(0.05, 0.14)
        arch = take.rng.uniform(-900, 900)
        one = take.part(length)
        x = one.t / length
        hz = start + (end - start) * x + arch * np.sin(np.pi * x)
        note = (np.sin(phase(one, hz)) + 0.08 * np.sin(2 * phase(one, hz))) * np.sin(
            np.pi * x
        ) ** 0.8
        for _ in range(int(take.rng.integers(2, phrase + 1))):
            place(out, note, round(at * take.sr), take.rng.uniform(0.6, 1.0))
            at += length + take.rng.uniform(0.03, 0.08)
        at += take.rng.uniform(0.1, 0.6)
    return _outdoors(take, out, level_db=-42)


def crickets(take: Take) -> Signal:
    """Let several crickets sing in the night: pulses of one high tone, in threes."""
    out = np.zeros(take.n)
    t = take.t
    for _ in range(5):
        hz = take.rng.uniform(4200, 4900)
        rate = take.rng.uniform(1.6, 2.6)
        turn = np.mod(t * rate + take.rng.uniform(0, 1), 1.0)
        pulse = np.sin(np.pi * np.clip(np.mod(turn * 3 / 0.45, 1.0) / 0.7, 0, 1)) * (turn < 0.45)
        out += take.rng.uniform(0.2, 1.0) * pulse * np.sin(phase(take, hz))
    night = noise(take, [(60, 0), (400, -12), (3000, -22), (6000, -18), (15000, -40)])
    return out + 0.03 * night


def frogs(take: Take) -> Signal:
    """Let frogs croak at a pond: trains of fast pulses through a swollen throat."""
    out = np.zeros(take.n)
    for _ in range(4):
        base = take.rng.uniform(0.85, 1.2)
        loud = take.rng.uniform(0.4, 1.0)
        for start in np.arange(
            take.rng.uniform(0.1, 1.0), take.length_s, take.rng.uniform(0.9, 1.4)
        ):
            one = take.part(0.45)
            rate = 42 * base * curve(one, [(0, 0.85), (0.4, 1.15)])
            pulses = np.maximum(np.sin(phase(one, rate)), 0) ** 3
            tone = buzz(one, 190 * base, tilt=0.3, harmonics=24) + 0.5 * noise(
                one, [(300, 0), (3000, -6)]
            )
            tract = ((620 * base, 120, 1.0), (1350 * base, 200, 1.2), (2500 * base, 400, 0.5))
            shape = np.sin(np.pi * np.clip(one.t / 0.42, 0, 1)) ** 0.5
            place(
                out, formants(tone * pulses, take.sr, tract) * shape, round(start * take.sr), loud
            )
    night = noise(take, [(60, 0), (400, -10), (3000, -20), (12000, -40)])
    return out + 0.02 * float(np.max(np.abs(out))) * night


def bee(take: Take, *, hz: float = 205.0) -> Signal:
    """Buzz around the listener as a fly or a bumblebee does, now near, now far."""
    pitch = hz * drift(take, rate_hz=2.6, low=0.95, high=1.12)
    pitch = pitch * drift(take, rate_hz=25, low=0.95, high=1.01)
    wings = buzz(take, pitch, tilt=0.29, harmonics=30)
    wings = formants(wings, take.sr, [(150, 560, 1.0), (1550, 620, 2.1), (2270, 970, 0.26)])
    near = drift(take, rate_hz=0.8, low=0.15, high=1.0) ** 1.6
    return air(take, wings * near, level_db=-39)


def mosquito(take: Take) -> Signal:
    """Whine close to the ear."""
    pitch = 670 * drift(take, rate_hz=2.1, low=0.96, high=1.05)
    pitch = pitch * drift(take, rate_hz=29, low=0.99, high=1.08)
    wings = buzz(take, pitch, tilt=0.34, harmonics=20)
    near = drift(take, rate_hz=1.2, low=0.06, high=0.92) ** 4
    return air(take, wings * near, level_db=-49)

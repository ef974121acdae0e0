"""Drums, strings, pipes and synthesisers."""

import numpy as np
from scipy import signal

from indexer.demo.synth import (
    Signal,
    Take,
    air,
    buzz,
    curve,
    decay,
    drift,
    fade,
    formants,
    noise,
    phase,
    place,
    room,
    tones,
)


def note_hz(name: float) -> float:
    """Return the frequency in Hz of a MIDI note number, A4 = 69 = 440 Hz."""
    return float(440.0 * 2 ** ((name - 69) / 12))


def _kick(take: Take) -> Signal:
    one = take.part(0.4)
    hz = 48 + 130 * np.exp(-one.t / 0.025)
    click = noise(one, [(500, 0), (3000, 0), (9000, -12)]) * decay(one, t60_s=0.02, attack_s=0.0005)
    return np.sin(phase(one, hz)) * decay(one, t60_s=0.35, attack_s=0.002) + 0.15 * click


def _snare(take: Take, *, length_s: float = 0.3) -> Signal:
    one = take.part(length_s)
    wires = noise(one, [(300, -12), (1500, -2), (5000, 0), (12000, -6)]) * decay(
        one, t60_s=0.24, attack_s=0.001
    )
    return 0.6 * wires + tones(one, [(185, 0.7, 0.15), (330, 0.5, 0.1), (470, 0.2, 0.07)])


def _hat(take: Take, *, t60_s: float = 0.07) -> Signal:
    one = take.part(max(0.08, 1.3 * t60_s))
    metal = sum(
        np.sign(np.sin(phase(one, hz * 14))) for hz in (205.3, 304.4, 369.6, 522.7, 540.0, 800.0)
    )
    hiss = noise(one, [(3000, -20), (8000, 0), (15000, -3)])
    sos = signal.butter(4, 6500, "highpass", fs=take.sr, output="sos")
    bright = signal.sosfilt(sos, np.asarray(metal) * 0.15 + 0.6 * hiss)
    shaped: Signal = bright * decay(one, t60_s=t60_s, attack_s=0.0008)
    return shaped


def drum_loop(take: Take, *, bpm: float = 112.0) -> Signal:
    """Play four-four on kick, snare and hi-hat, with a fill at the end of each second bar."""
    out = np.zeros(take.n)
    step = 60 / bpm / 4
    kick, snare, hat, open_ = _kick(take), _snare(take), _hat(take), _hat(take, t60_s=0.35)
    for k in range(int(take.length_s / step)):
        at = round((0.05 + k * step) * take.sr)
        beat = k % 16
        if beat in (0, 7, 8, 10):
            place(out, kick, at, 1.0 if beat != 7 else 0.7)
        if beat in (4, 12) or (k % 32 in (29, 30, 31)):
            place(out, snare, at, 0.8 if beat in (4, 12) else 0.5)
        if k % 2 == 0:
            place(out, open_ if beat == 14 else hat, at, 0.35 if beat % 4 == 0 else 0.25)
    return room(take, out, t60_s=0.5, wet=0.08, top_hz=7000)


def snare_roll(take: Take) -> Signal:
    """Roll on a snare drum, swelling to a last stroke."""
    out = np.zeros(take.n)
    strokes = [_snare(take) for _ in range(4)]
    end = take.length_s - 0.7
    for k, at in enumerate(np.arange(0.1, end, 1 / 19)):
        swell = 0.25 + 0.75 * (at / end) ** 1.5
        place(
            out,
            strokes[k % 4],
            round((at + take.rng.uniform(-0.004, 0.004)) * take.sr),
            swell * take.rng.uniform(0.7, 1),
        )
    place(out, strokes[0], round((end + 0.05) * take.sr), 1.6)
    return room(take, out, t60_s=0.6, wet=0.12, top_hz=7000)


def bass_drum(take: Take) -> Signal:
    """Strike a bass drum slowly, as in a march."""
    out = np.zeros(take.n)
    one = take.part(0.96)
    boom = tones(one, [(41, 0.5, 0.5), (98, 0.5, 0.4), (140, 0.5, 0.34), (170, 0.2, 0.22)])
    skin = noise(one, [(55, 0), (260, -7), (2170, -22)]) * decay(one, t60_s=0.095)
    for at in np.arange(0.065, take.length_s - 0.48, 0.95):
        place(out, boom + 0.28 * skin, round(at * take.sr), take.rng.uniform(1.0, 1.3))
    return room(take, out, t60_s=1.6, wet=0.14, top_hz=7000)


def hi_hat(take: Take) -> Signal:
    """Play eighths on a hi-hat, opening it on every fourth."""
    out = np.zeros(take.n)
    closed, open_ = _hat(take), _hat(take, t60_s=0.6)
    for k, at in enumerate(np.arange(0.1, take.length_s - 0.2, 0.25)):
        place(
            out, open_ if k % 4 == 3 else closed, round(at * take.sr), 1.0 if k % 2 == 0 else 0.65
        )
    return room(take, out, t60_s=0.4, wet=0.08, top_hz=9000)


def pluck(take: Take, hz: float, *, t60_s: float = 3.5, bright: float = 0.5) -> Signal:
    """Pluck a string by the Karplus-Strong algorithm, written as one IIR filter.

    References
    ----------
    K. Karplus and A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer
    Music Journal 7 (2), 1983.
    """
    period = take.sr / hz - 0.5
    whole = int(period)
    part = period - whole
    loss = 10 ** (-3 / (hz * t60_s))
    # A loop delay of `whole` samples, a two-point average (half a sample), and linear
    # interpolation for the rest of the period: three taps of one feedback polynomial.
    a = np.zeros(whole + 3)
    a[0] = 1
    a[whole : whole + 3] -= loss * np.convolve([1 - part, part], [0.5, 0.5])
    pick = np.zeros(take.n)
    burst = take.rng.uniform(-1, 1, whole)
    b = [1 - bright, bright] if bright < 0.5 else [bright, 1 - bright]
    pick[:whole] = signal.lfilter(b, [1], burst - burst.mean())[: take.n]
    string: Signal = signal.lfilter([1.0], a, pick)
    return string


def guitar(take: Take) -> Signal:
    """Pick broken chords on a steel-string guitar: E minor, C, G, D."""
    out = np.zeros(take.n)
    chords = (
        (40, 47, 52, 55, 59, 64),
        (48, 52, 55, 60, 64, 60),
        (43, 47, 50, 55, 59, 67),
        (50, 57, 62, 66, 62, 57),
    )
    step = 0.21
    for k, at in enumerate(np.arange(0.05, take.length_s - 0.4, step)):
        chord = chords[k // 6 % 4]
        string = pluck(take.part(1.8), note_hz(chord[k % 6]))
        place(
            out,
            fade(string, take.sr, in_s=0.001, out_s=0.2),
            round(at * take.sr),
            take.rng.uniform(0.7, 1.0),
        )
    body = out + 0.6 * formants(out, take.sr, [(105, 40, 1.0), (210, 60, 0.8), (430, 120, 0.4)])
    return air(take, room(take, body, t60_s=0.5, wet=0.12), level_db=-58)


def _piano_note(take: Take, hz: float, length_s: float) -> Signal:
    one = take.part(length_s)
    stiff = 0.0004 * (hz / 261) ** 1.2
    partials = []
    for k in range(1, 16):
        pitch = hz * k * np.sqrt(1 + stiff * k * k)
        loud = k**-1.1 * abs(np.sin(np.pi * k / 8.2)) * np.exp(-0.02 * k * hz / 261)
        t60 = 7.0 * (261 / hz) ** 0.6 / (1 + 0.3 * k)
        partials += [
            (pitch * (1 + d), loud * share, t60 * share * 1.4)
            for d, share in ((-0.0004, 0.6), (0.0005, 0.4))
        ]
    hammer = noise(one, [(80, -6), (300, 0), (1500, -10), (6000, -30)]) * decay(
        one, t60_s=0.06, attack_s=0.002
    )
    struck = tones(one, partials) * np.minimum(one.t / 0.003, 1.0) + 0.05 * hammer
    return fade(struck, take.sr, in_s=0.001, out_s=0.12)


def piano(take: Take) -> Signal:
    """Play a small tune on a piano, with chords under it."""
    out = np.zeros(take.n)
    tune = (
        (72, 0.0),
        (76, 0.4),
        (79, 0.8),
        (77, 1.2),
        (76, 1.6),
        (74, 2.0),
        (72, 2.4),
        (74, 2.8),
        (76, 3.2),
        (71, 3.6),
        (72, 4.0),
        (67, 4.8),
        (69, 5.2),
        (71, 5.6),
        (72, 6.0),
    )
    bass = (
        (48, 0.0),
        (52, 0.4),
        (55, 0.8),
        (53, 1.6),
        (57, 2.0),
        (43, 3.2),
        (50, 3.6),
        (48, 4.0),
        (55, 4.8),
        (43, 5.6),
        (48, 6.0),
    )
    for notes, loud, length in ((tune, 1.0, 1.6), (bass, 0.7, 2.0)):
        for name, at in notes:
            if at < take.length_s - 0.5:
                strength = loud * take.rng.uniform(0.75, 1.0)
                place(
                    out,
                    _piano_note(take, note_hz(name), length),
                    round((0.05 + at) * take.sr),
                    strength,
                )
    return air(take, room(take, out, t60_s=0.9, wet=0.12), level_db=-60)


def organ(take: Take) -> Signal:
    """Play four chords on a church organ: pipes in octaves and fifths, in a long room."""
    out = np.zeros(take.n)
    chords = ((48, 60, 64, 67), (41, 57, 60, 65), (43, 59, 62, 67), (48, 60, 64, 72))
    each = (take.length_s - 1.2) / 4
    for k, chord in enumerate(chords):
        one = take.part(each * 1.02)
        pipes = np.zeros(one.n)
        for name in chord:
            hz = note_hz(name)
            for rank, loud in ((1, 1.0), (2, 0.6), (3, 0.25), (4, 0.35), (6, 0.12), (8, 0.15)):
                pipes += loud * np.sin(
                    phase(one, hz * rank * (1 + take.rng.normal(0, 0.0004)))
                    + take.rng.uniform(0, 6)
                )
        chiff = noise(one, [(300, -10), (1500, 0), (5000, -12)])
        place(
            out,
            fade(pipes + 0.04 * chiff, take.sr, in_s=0.06, out_s=0.12),
            round((0.1 + k * each) * take.sr),
        )
    return room(take, out, t60_s=2.4, wet=0.6, top_hz=3500)


def flute(take: Take) -> Signal:
    """Play a phrase on a flute: a breathy tone with vibrato."""
    out = np.zeros(take.n)
    phrase = (
        (74, 0.1, 0.7),
        (77, 0.8, 0.35),
        (79, 1.15, 0.35),
        (81, 1.5, 1.1),
        (79, 2.65, 0.35),
        (77, 3.0, 0.35),
        (74, 3.4, 1.4),
    )
    for name, at, length in phrase:
        one = take.part(length)
        grow = np.clip((one.t - 0.15) / 0.3, 0, 1)
        vibrato = np.sin(phase(one, 5.3))
        hz = (
            note_hz(name)
            * (1 + 0.006 * grow * vibrato)
            * drift(one, rate_hz=9, low=0.998, high=1.002)
        )
        p = phase(one, hz)
        tone = np.sin(p) + 0.35 * np.sin(2 * p) + 0.14 * np.sin(3 * p) + 0.05 * np.sin(4 * p)
        breath = formants(
            noise(one, [(400, -8), (2000, 0), (8000, -10)]),
            take.sr,
            [(note_hz(name), 120, 1.0), (3000, 2500, 0.5)],
        )
        blown = (tone * (1 + 0.15 * grow * vibrato) + 0.25 * breath) * curve(
            one, [(0, 0), (0.05, 0.8), (0.2, 1), (length - 0.08, 0.9), (length, 0)]
        )
        place(out, blown, round(at * take.sr))
    return room(take, out, t60_s=1.3, wet=0.2)


def violin(take: Take) -> Signal:
    """Bow a phrase on a violin: a saw tooth through the box's resonances, with vibrato."""
    out = np.zeros(take.n)
    phrase = (
        (69, 0.1, 0.9), (66, 1.0, 0.45), (74, 1.45, 0.45), (78, 1.9, 1.2), (76, 3.1, 0.4),
        (73, 3.5, 0.4), (74, 3.9, 1.5),
    )  # fmt: skip
    for name, at, length in phrase:
        one = take.part(length)
        grow = np.clip((one.t - 0.14) / 0.33, 0, 1)
        hz = note_hz(name) * (1 + 0.0094 * grow * np.sin(phase(one, 5.8)))
        hz = hz * drift(one, rate_hz=31, low=0.998, high=1.002)
        string = buzz(one, hz, tilt=0.9, harmonics=40)
        bow = noise(one, [(650, -8), (1390, 0), (6250, -8)])
        bow *= 0.95 + 0.62 * np.sin(phase(one, hz))
        stroke = [(0, 0), (0.07, 0.52), (0.23, 1), (length - 0.08, 0.94), (length, 0)]
        place(out, (string + 0.1 * bow) * curve(one, stroke), round(at * take.sr))
    peaks = [
        (220, 31, 1.5), (580, 70, 1.3), (700, 340, 0.58), (1200, 400, 0.64), (2600, 900, 0.83),
        (3560, 1740, 0.55),
    ]  # fmt: skip
    return room(take, formants(out, take.sr, peaks) + 0.15 * out, t60_s=0.61, wet=0.2)


def arpeggio(take: Take, *, bpm: float = 124.0) -> Signal:
    """Run an arpeggio on a synthesiser while its filter opens and closes."""
    out = np.zeros(take.n)
    notes = (45, 57, 60, 64, 69, 64, 60, 57, 41, 53, 57, 60, 65, 60, 57, 53)
    step = 60 / bpm / 4
    for k, at in enumerate(np.arange(0.05, take.length_s - 0.3, step)):
        one = take.part(0.3)
        hz = note_hz(notes[k // 2 % 16] + (12 if k % 2 else 0))
        tilt = 1.3 - 0.5 * np.sin(2 * np.pi * at / 7)
        tone = buzz(one, hz, tilt=float(tilt), harmonics=30) + buzz(
            one, hz * 1.006, tilt=float(tilt), harmonics=30
        )
        place(out, tone * decay(one, t60_s=0.45, attack_s=0.004), round(at * take.sr))
        place(
            out,
            tone * decay(one, t60_s=0.45, attack_s=0.004),
            round((at + 3 * step) * take.sr),
            0.3,
        )
    return room(take, fade(out, take.sr), t60_s=0.8, wet=0.1)


def music_box(take: Take) -> Signal:
    """Turn a music box: plucked steel tongues, high and clear."""
    out = np.zeros(take.n)
    tune = (84, 88, 91, 96, 95, 91, 88, 91, 93, 89, 86, 89, 91, 88, 84, 79)
    for k, at in enumerate(np.arange(0.05, take.length_s - 0.6, 0.27)):
        one = take.part(1.4)
        hz = note_hz(tune[k % 16])
        tongue = tones(one, [(hz, 1.0, 1.6), (hz * 2.02, 0.15, 0.8), (hz * 6.27, 0.25, 0.25)])
        tick = noise(one, [(2000, -6), (7000, 0)]) * decay(one, t60_s=0.008, attack_s=0.0004)
        place(out, fade(tongue + 0.08 * tick, take.sr, in_s=0.001, out_s=0.2), round(at * take.sr))
    return air(take, room(take, out, t60_s=0.5, wet=0.1), level_db=-58)

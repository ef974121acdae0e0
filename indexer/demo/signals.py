"""Sirens, bells, telephones, alarms and test signals."""

import numpy as np

from indexer.demo.synth import (
    Signal,
    Take,
    band,
    buzz,
    decay,
    drift,
    formants,
    noise,
    phase,
    room,
    scatter,
    tones,
)

MORSE = {"E": ".", "C": "-.-.", "H": "....", "O": "---", "I": "..", "S": "..."}
DTMF = {
    "1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "4": (770, 1209), "5": (770, 1336),
    "6": (770, 1477), "7": (852, 1209), "8": (852, 1336), "9": (852, 1477), "0": (941, 1336),
}  # fmt: skip


def _gate(take: Take, spans: list[tuple[float, float]], *, edge_s: float = 0.004) -> Signal:
    """Open for each (onset, duration) in s, with edges soft enough not to click."""
    t = take.t
    out = np.zeros(take.n)
    for onset, length in spans:
        out += np.clip((t - onset) / edge_s, 0, 1) * np.clip((onset + length - t) / edge_s, 0, 1)
    return out


def siren(
    take: Take, *, low_hz: float = 600.0, high_hz: float = 1450.0, every_s: float = 4.5
) -> Signal:
    """Sweep an electronic siren up and down: a wail when slow, a yelp when fast."""
    turn = np.mod(take.t / every_s, 1.0)
    sweep = np.where(turn < 0.4, turn / 0.4, (1 - turn) / 0.6)
    hz = low_hz * (high_hz / low_hz) ** sweep
    tone = formants(
        buzz(take, hz, tilt=0.6, harmonics=14), take.sr, [(1100, 700, 1), (2600, 1600, 0.6)]
    )
    street = noise(take, [(30, 0), (100, -4), (600, -18), (4000, -40)])
    return room(take, tone / float(np.std(tone)), t60_s=1.2, wet=0.35, top_hz=3000) + 0.05 * street


def two_tone(take: Take, *, low_hz: float = 590.0, high_hz: float = 910.0) -> Signal:
    """Sound the two-tone horn of an ambulance."""
    hz = np.where(np.mod(take.t, 1.4) < 0.6, high_hz, low_hz)
    hz = np.convolve(np.pad(hz, 200, mode="edge"), np.full(401, 1 / 401), "valid")
    tone = buzz(take, hz, tilt=0.25, harmonics=20)
    tone = formants(tone, take.sr, [(1200, 450, 1), (1500, 2090, 0.5)])
    street = noise(take, [(34, 0), (84, -6), (440, -18), (6740, -40)])
    dry = tone / float(np.std(tone))
    return room(take, dry, t60_s=1.4, wet=0.4, top_hz=4000) + 0.06 * street


def alarm_clock(take: Take, *, hz: float = 2050.0) -> Signal:
    """Beep four times, wait, beep again, as a digital alarm clock does."""
    spans = [
        (start + 0.125 * k, 0.065) for start in np.arange(0.1, take.length_s, 1.0) for k in range(4)
    ]
    tone = buzz(take, hz, tilt=1.3, harmonics=6) * _gate(take, spans, edge_s=0.002)
    return room(take, tone, t60_s=0.35, wet=0.1)


def smoke_alarm(take: Take) -> Signal:
    """Shrill three times and pause, the pattern of a smoke alarm."""
    spans = [
        (start + 1.0 * k, 0.5) for start in np.arange(0.1, take.length_s, 4.0) for k in range(3)
    ]
    tone = buzz(take, 3150.0, tilt=1.2, harmonics=4) * _gate(take, spans)
    return room(take, tone, t60_s=0.5, wet=0.2, top_hz=8000)


def _bell(take: Take, hz: float, ratios: tuple[tuple[float, float, float], ...]) -> Signal:
    """Strike a bell once; each partial is doubled a little apart, so that it beats."""
    pairs = [(hz * r * (1 + d), a / 2, t60) for r, a, t60 in ratios for d in (-0.0006, 0.0006)]
    one = tones(take, pairs)
    tick = take.part(0.03)
    clapper = noise(tick, [(500, -10), (3000, 0), (9000, -8)]) * decay(
        tick, t60_s=0.02, attack_s=0.0005
    )
    one[: len(clapper)] += 0.3 * clapper[: len(one)]
    return one


def church_bell(take: Take, *, hz: float = 320.0, every_s: float = 5.0) -> Signal:
    """Toll a bell: its hum, its prime (`hz`), tierce, quint and partials above."""
    ratios = (
        (0.5, 0.5, 14.0), (1.0, 1.6, 5.5), (1.2, 0.9, 9.1), (1.5, 0.37, 5.0), (2.51, 0.6, 2.6),
        (3.2, 0.5, 1.1), (4.1, 0.85, 1.4), (4.2, 0.8, 2.0), (5.3, 0.4, 0.7), (6.8, 0.27, 0.6),
    )  # fmt: skip
    strike = _bell(take.part(min(take.length_s, 8.6)), hz, ratios)
    at = np.arange(0.15, take.length_s, every_s)
    out = scatter(take, at, take.rng.uniform(0.6, 1.0, at.size), [strike])
    town = noise(take, [(40, 0), (200, -2), (1000, -18), (9300, -41)])
    out = room(take, out, t60_s=2.7, wet=0.2, top_hz=3900) + 0.2 * float(np.std(out)) * town
    # Heard from the street: distance takes the treble, and the recorder rounds off the strokes.
    far = band(out, take.sr, 40, 6000)
    heard: Signal = np.tanh(far / (4 * float(np.std(far))))
    return heard


def bicycle_bell(take: Take) -> Signal:
    """Ring a bicycle bell: the clapper rolls, again and again."""
    ratios = (
        (0.9, 0.87, 1.1),
        (1.8, 1.4, 1.3),
        (3.0, 0.56, 0.47),
        (3.3, 1.4, 1.3),
        (5.9, 0.54, 0.43),
    )
    strike = _bell(take.part(1.3), 2410.0, ratios)
    strokes = np.array([0.25, 0.82, 0.77, 0.81, 1.9, 0.75])
    starts = np.arange(0.05, take.length_s, 1.6)
    rolls = np.concatenate([start + 0.035 * np.arange(strokes.size) for start in starts])
    rung = scatter(take, rolls, np.tile(strokes, starts.size), [strike])
    street = noise(take, [(30, 0), (100, -1), (1850, -22), (3000, -38)])
    return room(take, rung, t60_s=1.0, wet=0.17) + 0.039 * street


def telephone(take: Take) -> Signal:
    """Ring an old telephone: two bells and a clapper, again and again."""
    ratios = ((1.4, 1.1, 1.2), (1.6, 1.5, 2.1), (4.1, 1.2, 0.18))
    starts = np.arange(0.1, take.length_s, 3.2)
    out = np.zeros(take.n)
    for k, hz in enumerate((1440.0, 925.0)):
        at = np.concatenate([start + k / 26 + np.arange(0, 1.4, 1 / 22) for start in starts])
        bell = _bell(take.part(1.3), hz, ratios)
        out += scatter(take, at, take.rng.uniform(0.54, 3.0, at.size), [bell])
    return room(take, out, t60_s=0.32, wet=0.07)


def doorbell(take: Take) -> Signal:
    """Ring a two-note door chime: ding, dong."""
    ratios = ((1.0, 1.0, 2.1), (2.0, 0.18, 2.2), (2.76, 0.34, 1.7), (5.4, 0.19, 0.4))
    out = np.zeros(take.n)
    for hz, late in ((659.3, 0.0), (523.3, 0.61)):
        bell = _bell(take.part(2.8), hz, ratios)
        out += scatter(take, np.arange(0.1, take.length_s - 1.5, 2.3) + late, 1.0, [bell])
    return room(take, out, t60_s=0.46, wet=0.1)


def dial_tone(take: Take) -> Signal:
    """Hold the dial tone of a European telephone line, 425 Hz, with the line's noise."""
    line = noise(take, [(200, -20), (300, 0), (3400, -3), (4000, -40)])
    return np.sin(phase(take, 425.0)) + 0.15 * np.sin(phase(take, 850.0)) + 0.01 * line


def busy_signal(take: Take) -> Signal:
    """Hear a busy line: 480 and 620 Hz, half a second on, half off."""
    gate = _gate(take, [(float(s), 0.5) for s in np.arange(0, take.length_s, 1.0)])
    line = noise(take, [(200, -20), (300, 0), (3400, -3), (4000, -40)])
    return (np.sin(phase(take, 480.0)) + np.sin(phase(take, 620.0))) * gate + 0.01 * line


def dialling(take: Take, *, number: str = "4815162342") -> Signal:
    """Dial a number by touch tones (DTMF)."""
    out = np.zeros(take.n)
    for k, digit in enumerate(number):
        low, high = DTMF[digit]
        gate = _gate(take, [(0.15 + 0.22 * k, 0.12)])
        out += gate * (np.sin(phase(take, low)) + np.sin(phase(take, high)))
    line = noise(take, [(200, -20), (300, 0), (3400, -3), (4000, -40)])
    return out + 0.01 * line


def morse(
    take: Take, *, text: str = "ECHO ECHOIC SOS", hz: float = 700.0, dot_s: float = 0.06
) -> Signal:
    """Key a text in Morse code over a short-wave receiver's noise."""
    spans = []
    at = 0.2
    for letter in text:
        for sign in MORSE.get(letter, ""):
            spans.append((at, dot_s * (1 if sign == "." else 3)))
            at += spans[-1][1] + dot_s
        at += dot_s * (2 if letter != " " else 4)
    radio = noise(take, [(200, -20), (350, 0), (2600, -6), (4000, -40)])
    return np.sin(phase(take, hz)) * _gate(take, spans) + 0.03 * radio


def referee_whistle(take: Take) -> Signal:
    """Blow a pea whistle: two short blasts and a long one."""
    pea = 1 + 0.029 * np.sin(phase(take, 16.0)) + 0.0021 * noise(take, [(8, 0), (86, -21)])
    gate = _gate(take, [(0.1, 0.25), (0.55, 0.3), (1.1, take.length_s - 1.7)], edge_s=0.02)
    trill = 0.86 + 0.3 * np.sin(phase(take, 51.0))
    tone = np.sin(phase(take, 3560 * pea)) + 1.7 * np.sin(phase(take, 2410 * pea))
    breath = noise(take, [(1740, -13), (4190, 0), (7640, -20)])
    blown = (tone * trill + 0.08 * breath) * gate
    return room(take, blown, t60_s=0.57, wet=0.26, top_hz=11000)


def kettle_whistle(take: Take) -> Signal:
    """Bring a kettle to the boil: rumble, hiss, then a whistle that rises."""
    heat = take.t / take.length_s
    hz = 1580 + 610 * np.clip(heat * 2 - 0.7, 0, 1) + drift(take, rate_hz=11, low=-18, high=6)
    loud = np.clip(heat * 2.9 - 1.0, 0, 1)
    tone = buzz(take, hz, tilt=1.1, harmonics=5)
    steam = noise(take, [(800, -19), (1540, 0), (12200, -2)])
    boil = noise(take, [(62, -3), (220, 0), (830, -8), (4990, -36)])
    return room(take, tone * loud + 0.25 * steam * (0.3 + loud) + 0.2 * boil, t60_s=0.5, wet=0.1)


def car_horn(take: Take) -> Signal:
    """Honk twice: two notes a third apart."""
    tone = buzz(take, 405.0, tilt=0.4, harmonics=30) + buzz(take, 502.0, tilt=0.4, harmonics=26)
    tone = formants(tone, take.sr, [(1400, 900, 1.0), (2800, 1500, 0.8), (600, 400, 0.5)])
    gate = _gate(take, [(0.2, 0.35), (0.8, 1.1), (2.6, 0.3), (3.1, 1.0)], edge_s=0.015)
    street = noise(take, [(30, 0), (100, -4), (600, -18), (4000, -40)])
    return room(take, tone / float(np.std(tone)) * gate, t60_s=0.9, wet=0.2) + 0.05 * street


def test_tone(take: Take, *, hz: float = 1000.0) -> Signal:
    """Hold a sine at 1 kHz, the tone that levels are set by."""
    return np.sin(phase(take, hz))


def sweep(take: Take) -> Signal:
    """Sweep a sine from 50 Hz to 9 kHz, evenly in octaves."""
    return np.sin(phase(take, 50 * 180 ** (take.t / take.length_s)))


def white_noise(take: Take) -> Signal:
    """Make noise with equal power in every hertz."""
    return take.rng.standard_normal(take.n)


def pink_noise(take: Take) -> Signal:
    """Make noise with equal power in every octave, from 20 Hz up."""
    return noise(take, [(1, -40), (20, 0), (20000, -30.0)])

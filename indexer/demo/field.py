"""The demo's field recording: five minutes at the edge of a village, with known events."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from indexer.demo import animals, machines, people, signals, weather
from indexer.demo.synth import Maker, Signal, Take, band, curve, drift, fade, noise, pan, place

LENGTH_S = 300.0


@dataclass(frozen=True)
class FieldEvent:
    """Something that happens in the field recording.

    Attributes
    ----------
    label : str
        What is heard.
    onset_s, duration_s : float
        When it begins and how long it lasts, in s.
    """

    label: str
    onset_s: float
    duration_s: float

    @property
    def offset_s(self) -> float:
        """When it has ended, in s."""
        return self.onset_s + self.duration_s


@dataclass(frozen=True)
class _Staged:
    """An event with what the mixing desk needs to know.

    ``over_bed_db`` is the event's RMS level over the bed's; ``position`` runs from -1 (left) to
    1 (right); ``top_hz`` is what distance and air leave of the treble.
    """

    event: FieldEvent
    make: Maker
    over_bed_db: float
    position: float = 0.0
    top_hz: float = 9000.0
    passing: bool = False


_SCENE = (
    _Staged(FieldEvent("dog barking", 18.0, 6.0), animals.dog, 12, -0.5, 6000),
    _Staged(FieldEvent("church bell", 42.0, 14.0), signals.church_bell, 14, 0.3, 6000),
    _Staged(FieldEvent("car passing", 68.0, 8.0), machines.car_passing, 14),
    _Staged(FieldEvent("siren", 90.0, 12.0), signals.siren, 13, 0.6, 5000, passing=True),
    _Staged(FieldEvent("footsteps on gravel", 112.0, 9.0), people.steps_on_gravel, 12, -0.2),
    _Staged(FieldEvent("thunder", 135.0, 9.0), partial(weather.thunder, distance=0.3), 20),
    _Staged(FieldEvent("rain", 150.0, 18.0), weather.rain, 12),
    _Staged(
        FieldEvent("helicopter", 185.0, 14.0), machines.helicopter, 15, -0.3, 7000, passing=True
    ),
    _Staged(FieldEvent("crow cawing", 208.0, 6.0), animals.crow, 11, 0.5, 7000),
    _Staged(FieldEvent("alarm clock", 225.0, 6.0), signals.alarm_clock, 10, -0.6, 7000),
    _Staged(FieldEvent("train horn", 242.0, 7.0), machines.train_horn, 13, 0.7, 4000),
    _Staged(FieldEvent("motorcycle", 260.0, 9.0), machines.motorcycle, 13, -0.4, 7000),
    _Staged(FieldEvent("bicycle bell", 281.0, 3.0), signals.bicycle_bell, 12, 0.1),
)

FIELD_EVENTS: tuple[FieldEvent, ...] = tuple(staged.event for staged in _SCENE)


def _bed(take: Take) -> Signal:
    """Lay the bed: a breeze, a road far away, and small birds now and then. Unit RMS.

    It is made in blocks that fade into each other, for noise of five minutes in one piece would
    take a gigabyte.
    """
    block_s, blend_s = 30.0, 1.0
    bed = np.zeros((take.n, 2))
    for start_s in np.arange(0.0, take.length_s, block_s):
        part = take.part(block_s + blend_s)
        block = np.repeat(0.7 * machines.traffic(part)[:, None], 2, axis=1)
        for side in range(2):
            breeze = noise(part, [(30, -6), (80, 0), (400, -12), (2000, -24), (8000, -40)])
            block[:, side] += breeze * drift(part, rate_hz=0.25, low=0.7, high=1.0)
        # Root of a raised cosine: two blocks that know nothing of each other add by power.
        blend = np.sqrt(fade(np.ones(part.n), take.sr, in_s=blend_s, out_s=blend_s))
        place(bed, block * blend[:, None], round(start_s * take.sr))
    bed /= float(np.std(bed))
    for at_s in np.arange(4.0, take.length_s - 5.0, 17.0):
        part = take.part(take.rng.uniform(2.0, 4.5))
        song = band(animals.chirps(part), take.sr, 1500, None)
        song *= take.rng.uniform(0.3, 0.8) / float(np.max(np.abs(song)))
        place(bed, pan(song, take.rng.uniform(-0.8, 0.8)), round(at_s * take.sr))
    return bed


def _event(take: Take, staged: _Staged) -> Signal:
    """Make one event as it is heard from the microphone, at unit RMS, shape (n, 2)."""
    part = take.part(staged.event.duration_s)
    heard = staged.make(part)
    if heard.ndim == 1:
        heard = pan(heard, staged.position)
    heard = band(heard, take.sr, 40, min(staged.top_hz, 0.45 * take.sr))
    if staged.passing:
        end = staged.event.duration_s
        heard = heard * curve(part, [(0, 0.05), (0.5 * end, 1.0), (end, 0.05)])[:, None]
    heard = fade(heard, take.sr, in_s=0.02, out_s=0.3)
    # Blows and clicks are rounded off, or one of them would set the level of all five minutes.
    rounded: Signal = np.tanh(heard / (4 * float(np.std(heard))))
    return rounded / float(np.std(rounded))


def field_recording(take: Take) -> Signal:
    """Mix the field recording, shape (n, 2): the bed and the events of `FIELD_EVENTS`."""
    out = _bed(take)
    for staged in _SCENE:
        start = round(staged.event.onset_s * take.sr)
        heard = _event(take, staged) * 10 ** (staged.over_bed_db / 20)
        out[start : start + len(heard)] += heard
    return out


def audacity_labels(events: tuple[FieldEvent, ...] = FIELD_EVENTS) -> str:
    """Write events as an Audacity label track: onset, offset (s) and label, by tabs."""
    return "".join(f"{e.onset_s:.6f}\t{e.offset_s:.6f}\t{e.label}\n" for e in events)

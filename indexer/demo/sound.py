"""What a demo sound is, and how it is brought to its level."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.demo.synth import Maker, Take, fade

CREATOR = "Echoic demo synthesiser"
LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class Sound:
    """One sound of the demo archive: what it is, and how it is made and written.

    Attributes
    ----------
    path : str
        Relative to the archive's folder; the suffix says the format.
    title, description : str
        What one hears, for people.
    label : str
        The kind of sound in a word or two.
    tags : str
        More words, separated by semicolons; "synthetic" is always one of them.
    length_s : float
    make : callable
        Makes the sound from a `Take`.
    sr : int
        Sample rate in Hz.
    peak_dbfs : float
        Level of the highest sample in dB of full scale.
    wide : bool
        Stereo, by making the sound twice with other random numbers.
    bits : int
        16 or 24, for WAV and FLAC.
    """

    path: str
    title: str
    description: str
    label: str
    tags: str
    length_s: float
    make: Maker
    sr: int = 44_100
    peak_dbfs: float = -3.0
    wide: bool = False
    bits: int = 16


def render(sound: Sound) -> NDArray[np.float32]:
    """Make a sound at its level.

    Parameters
    ----------
    sound : Sound

    Returns
    -------
    ndarray of float32, shape (samples,) or (samples, 2)
        Without DC, faded at both ends, its peak at ``sound.peak_dbfs``.
    """
    # The seed is the name, so that no sound changes when another is added or renamed.
    rng = np.random.default_rng(zlib.crc32(sound.path.encode()))
    take = Take(rng, sound.sr, round(sound.length_s * sound.sr))
    made = sound.make(take)
    if sound.wide:
        made = np.stack([made, sound.make(take)], axis=1)
    made = made - made.mean(axis=0)
    made = fade(made, sound.sr)
    made *= 10 ** (sound.peak_dbfs / 20) / np.max(np.abs(made))
    return made.astype(np.float32)

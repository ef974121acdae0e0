"""A synthetic sound whose vector is on record, and the command that records it again.

After new weights: ``python -m tests.indexer.encoders.signals``.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini import EchoicMini

CANONICAL = Path(__file__).with_name("canonical_echoic_mini.json")
PHRASE = "A dog barks twice, then rain"


def swept_tone() -> NDArray[np.float32]:
    """Five seconds at 32 kHz: a tone from 200 Hz to 6 kHz, four beats a second, over soft noise."""
    time_s = np.arange(5 * 32_000) / 32_000
    phase = 2 * np.pi * (200.0 * time_s + 0.5 * (5_800.0 / 5.0) * time_s**2)
    beats = 0.5 - 0.5 * np.cos(2 * np.pi * 4.0 * time_s)
    noise = np.random.default_rng(7).standard_normal(len(time_s))
    return (0.2 * beats * np.sin(phase) + 0.005 * noise).astype(np.float32)


def record() -> None:
    """Write what the packaged encoder gives today."""
    encoder = EchoicMini()
    vectors = {
        "sound": encoder.embed_audio(swept_tone()[None])[0],
        "phrase": encoder.embed_text([PHRASE])[0],
    }
    rounded = {name: [round(float(x), 5) for x in vector] for name, vector in vectors.items()}
    CANONICAL.write_text(json.dumps({"id": encoder.id} | rounded) + "\n", "utf-8")


if __name__ == "__main__":
    record()

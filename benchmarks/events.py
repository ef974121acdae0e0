"""Known events in long mixtures: are they found where they are, and in their order?

Mixtures of five minutes are made of recordings of ``effects``: events at known times over a bed of
wind, rain or a street, at several ratios of signal to noise. Each is indexed and searched by words.
An event counts as found if the best passage of the mixture overlaps it; chance is the share of the
mixture within a passage's length of it. A query ``A then B`` is right if it is a hit where A comes
before B and none in the mixture where B comes before A.

    python -m benchmarks.events --audio ../shared/audio
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from db.catalogue import Catalogue
from search.calibration import POSSIBLE
from search.engine import SearchEngine
from search.hits import Hit
from search.ranking import Ranking

SR = 32_000
LENGTH_S = 300.0
GAP_S = 18.0
SEED = 20261121

# A label of `effects`, and what a person would type for it.
EVENTS = {
    "cow moo": "cow mooing",
    "rooster": "rooster crowing",
    "dog bark": "dog barking",
    "cat meow": "cat meowing",
    "horse neigh": "horse neighing",
    "duck quack": "duck quacking",
    "owl hoot": "owl hooting",
    "wolf howl": "wolf howling",
    "turkey gobble": "turkey gobbling",
    "lamb": "sheep bleating",
    "thunder": "thunder",
    "church bells": "church bell",
    "train whistle": "train whistle",
    "explosion": "explosion",
    "fireworks": "fireworks",
    "smash success / glass / smash success glass": "glass breaking",
    "vehicle horn": "car horn",
    "bicycle bell": "bicycle bell",
    "zipper": "zipper",
    "environment / ambient / police siren": "police siren",
    "laugh evil": "laughter",
    "door creak": "door creaking",
    "fire gun / machineguns / machinegun": "machine gun",
    "piano": "piano",
}
BEDS = {
    "wind": "wind",
    "rain": "rain light",
    "clear": "environment / weather / weather clear / weather clear winter",
}
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Event:
    """A sound in a mixture: what to ask for, and when it is there, in seconds."""

    query: str
    onset_s: float
    offset_s: float


@dataclass(frozen=True)
class Mixture:
    """Five minutes of sound, and what is in it, in order of time."""

    samples: Samples
    events: tuple[Event, ...]


def sources(effects: Path) -> dict[str, list[Path]]:
    """Return the files of `effects` by label."""
    found: dict[str, list[Path]] = {}
    with (effects / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["label"], []).append(effects / row["path"])
    return found


def load(path: Path, *, most_s: float = 6.0) -> Samples:
    """Decode a file as mono at 32 kHz, its beginning only."""
    samples, sr = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), sr, SR).astype(np.float32)
    return mono[: round(most_s * SR)]


def mixture(
    effects: Path, labels: list[str], bed: str, *, snr_db: float, rng: np.random.Generator
) -> Mixture:
    """Mix events into a bed, one every 18 s or so, in the order of `labels`.

    Parameters
    ----------
    snr_db : float
        Level of each event above the bed's, both as root mean square while the event sounds.
    """
    files = sources(effects)
    ground = load(files[BEDS[bed]][0], most_s=60.0)
    samples = np.resize(ground, round(LENGTH_S * SR)).copy()
    samples *= np.float32(10 ** (-38 / 20) / _rms(samples))
    events = []
    for place, label in enumerate(labels):
        sound = load(files[label][int(rng.integers(len(files[label])))])
        loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())
        sound = sound[loud[0] : loud[-1] + 1]
        onset = round((3.0 + GAP_S * place + rng.uniform(0.0, 8.0)) * SR)
        stretch = samples[onset : onset + len(sound)]
        gain = _rms(stretch) * 10 ** (snr_db / 20) / _rms(sound)
        stretch += np.float32(gain) * sound[: len(stretch)]
        events.append(Event(EVENTS[label], onset / SR, (onset + len(stretch)) / SR))
    peak = np.abs(samples).max()
    return Mixture((samples * min(1.0, 0.9 / peak)).astype(np.float32), tuple(events))


def found_at(hit: Hit | None, event: Event) -> bool:
    """Tell whether the best passage of a hit overlaps an event."""
    if hit is None or not hit.passages:
        return False
    best = hit.passages[0]
    return best.onset_s < event.offset_s and best.offset_s > event.onset_s


def measure(mixtures: list[Mixture], folder: Path) -> dict[str, float]:
    """Index mixtures as one archive, and ask for each event and for pairs in both orders."""
    (folder / "sounds").mkdir(parents=True)
    for number, one in enumerate(mixtures):
        soundfile.write(folder / "sounds" / f"{number:02}.flac", one.samples, SR)
    index = [sys.executable, "-m", "ui", "index", str(folder / "sounds")]
    place = ["--catalogue", str(folder / "catalogue"), "--no-descriptors", "--no-fingerprints"]
    subprocess.run([*index, *place], check=True, capture_output=True)
    overlap, hits, lengths, errors, right, reverse = [], [], [], [], [], []
    with Catalogue.open(folder / "catalogue") as catalogue:
        engine = SearchEngine(catalogue)

        def answer(query: str, number: int) -> Hit | None:
            results = engine.search(query, k=100, ranking=Ranking.SOUND, fold_copies=False)
            name = f"{number:02}.flac"
            every = [*results.hits, *results.near_misses]
            return next((hit for hit in every if hit.recording.files[0].path == name), None)

        for number, one in enumerate(mixtures):
            for event in one.events:
                hit = answer(event.query, number)
                overlap.append(found_at(hit, event))
                hits.append(overlap[-1] and hit is not None and hit.score >= POSSIBLE)
                if hit is not None and overlap[-1]:
                    best = hit.passages[0]
                    lengths.append(best.offset_s - best.onset_s)
                    errors.append(abs(best.onset_s - event.onset_s))
            for first, second in zip(one.events, one.events[1:], strict=False):
                within = f"then[{GAP_S + 12:.0f}s]"
                forth = answer(f"{first.query} {within} {second.query}", number)
                back = answer(f"{second.query} {within} {first.query}", number)
                heard = forth is not None and forth.score >= POSSIBLE
                right.append(heard)
                reverse.append(back is not None and back.score >= POSSIBLE)
    return {
        "events": len(overlap),
        "best_passage_overlaps": float(np.mean(overlap)),
        "and_is_a_hit": float(np.mean(hits)),
        "median_passage_s": float(np.median(lengths)),
        "median_onset_error_s": float(np.median(errors)),
        "pairs": len(right),
        "in_order_hit": float(np.mean(right)),
        "reverse_hit": float(np.mean(reverse)),
    }


def make(audio: Path, *, snr_db: float, count: int, seed: int = SEED) -> list[Mixture]:
    """Make mixtures whose events are drawn without repetition within each."""
    rng = np.random.default_rng(seed)
    beds = list(BEDS)
    return [
        mixture(
            audio / "effects",
            [str(label) for label in rng.permutation(list(EVENTS))[:16]],
            beds[number % len(beds)],
            snr_db=snr_db,
            rng=rng,
        )
        for number in range(count)
    ]


def _rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) + 1e-12


def main() -> None:
    """Measure at several ratios of signal to noise, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=Path("../shared/audio"))
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--snr-db", type=float, nargs="+", default=[20.0, 10.0, 0.0])
    options = parser.parse_args()
    result = {}
    for snr_db in options.snr_db:
        with tempfile.TemporaryDirectory() as folder:
            mixtures = make(options.audio, snr_db=snr_db, count=options.count)
            result[f"{snr_db:g} dB"] = measure(mixtures, Path(folder))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

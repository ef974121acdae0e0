"""How well taught sounds and tags do: folds 1-4 of ESC-10 and the effects; fold 5 is never read.

``python -m benchmarks.own_sounds --audio ../shared/audio [--draws 2]``

Teaching: three examples of each label with at least six clips, the rest to be found among all
clips of the set; mean average precision over labels, by the plain mean of the examples and as
taught, each without counter-examples and with the three best wrong hits as such. Then precision and
recall at the taught threshold. Tags: how many recordings of ESC-10 get a right tag, and how many of
the tags are right; `RIGHT` says which are.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from search.calibration import BackgroundCalibration, Calibration
from search.evaluation.clips import embed_clips
from search.feedback import DISLIKED_WEIGHT
from search.tagging import MOST_LABELS, WordListener
from search.teaching import Learner, learnt_threshold
from search.vocabulary import audioset

EXAMPLES = 3
BACKGROUND = 1000
RIGHT = {
    "dog": "Dog|Bark / Yip|Howl|Bow-wow|Growling|Whimper (dog)|Animal|Domestic animals, pets|"
    "Canidae, dogs, wolves",
    "rain": "Rain|Raindrop|Rain on surface / Water|Thunderstorm|Thunder|Drip|Stream|Pour|"
    "Waterfall|Gush",
    "sea waves": "Ocean|Waves, surf / Water|Wind|Stream|Waterfall|Boat, Water vehicle|Gush",
    "crying baby": "Baby cry, infant cry|Crying, sobbing / Whimper|Wail, moan|Screaming|"
    "Child speech, kid speaking|Children shouting|Babbling|Baby laughter",
    "clock tick": "Tick|Tick-tock|Clock / Mechanisms|Ratchet, pawl|Gears",
    "sneezing": "Sneeze / Cough|Sniff|Throat clearing|Breathing|Gasp|Snort",
    "helicopter": "Helicopter / Aircraft|Aircraft engine|Propeller, airscrew|Engine|Vehicle|"
    "Jet engine|Fixed-wing aircraft, airplane|Light engine (high frequency)|Idling|"
    "Medium engine (mid frequency)|Heavy engine (low frequency)",
    "chainsaw": "Chainsaw / Engine|Lawn mower|Power tool|Sawing|Tools|Vehicle|Motorcycle|Idling|"
    "Accelerating, revving, vroom|Engine starting|Filing (rasp)|Drill|Race car, auto racing|"
    "Light engine (high frequency)|Medium engine (mid frequency)|Heavy engine (low frequency)",
    "rooster": "Chicken, rooster|Crowing, cock-a-doodle-doo / Fowl|Cluck|Animal|Turkey|Gobble|"
    "Livestock, farm animals, working animals|Bird|Domestic animals, pets|"
    "Bird vocalization, bird call, bird song",
    "crackling fire": "Fire|Crackle / Rain|Burst, pop|Wood|Crack|Splinter|Crumpling, crinkling|"
    "Sizzle|Rustle",
}
"""Tags of each class of ESC-10: those that name it, after the stroke those that are not wrong."""

Vectors = NDArray[np.float32]


def read(audio: Path, name: str) -> tuple[list[Path], list[str]]:
    """Return the clips of a set and their labels, without fold 5."""
    with (audio / name / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("fold") != "5"]
    return [audio / name / row["path"] for row in rows], [row["label"] for row in rows]


def average_precision(scores: Vectors, relevant: NDArray[np.bool_]) -> float:
    """Return the mean precision at the ranks of what is relevant."""
    found = relevant[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found].mean())


def teaching(clips: list[Vectors], labels: list[str], everything: Vectors,
             calibration: Calibration, draws: int) -> None:  # fmt: skip
    """Print how well sounds are found that were taught by three examples."""
    rng = np.random.default_rng(0)
    names, counts = np.array(labels), Counter(labels)
    figures: dict[str, list[float]] = {}
    for label in sorted(label for label, n in counts.items() if n >= 2 * EXAMPLES):
        relevant = names == label
        for _ in range(draws):
            chosen = rng.choice(np.flatnonzero(relevant), EXAMPLES, replace=False)
            liked = [clips[at] for at in chosen]
            mean = unit(np.mean([unit(clip.mean(axis=0)) for clip in liked], axis=0))
            first = best(clips, mean)
            wrong = np.argsort(np.where(relevant, -9.0, first))[-EXAMPLES:]
            disliked = [clips[at] for at in wrong]
            away = unit(np.mean([unit(clip.mean(axis=0)) for clip in disliked], axis=0))
            learner = Learner([], everything)
            direction = learner.direction(liked)
            rest = np.ones(len(clips), dtype=bool)
            rest[chosen] = False
            shown = rest.copy()
            shown[wrong] = False
            for what, of, kept in (
                ("mean", mean, rest),
                ("taught", direction, rest),
                ("mean, less counter-examples", mean - DISLIKED_WEIGHT * away, shown),
                ("taught, with counter-examples",
                 Learner(disliked, everything).direction(liked), shown),
            ):  # fmt: skip
                scores = best(clips, of)
                figures.setdefault(f"mAP {what}", []).append(
                    average_precision(scores[kept], relevant[kept])
                )
            scale = calibration.scale(direction, by_words=False)
            threshold = learnt_threshold(
                scale, calibration.laws.example, learner.left_out_scores(liked)
            )
            heard = best(clips, direction)[rest] >= threshold
            n_right = int((heard & relevant[rest]).sum())
            figures.setdefault("precision", []).append(n_right / max(1, int(heard.sum())))
            figures.setdefault("recall", []).append(n_right / int(relevant[rest].sum()))
    for what, values in figures.items():
        print(f"  {what}: {np.mean(values):.3f} (n = {len(values)})", flush=True)


def tags(clips: list[Vectors], labels: list[str], model: Encoder, calibration: Calibration) -> None:
    """Print how right the tags of ESC-10 are."""
    listener = WordListener(audioset(), model, calibration)
    named, right, n_tags = 0, 0, 0
    for clip, label in zip(clips, labels, strict=True):
        scores = listener.listen(clip).max(axis=0)
        order = np.argsort(-scores, kind="stable")[:MOST_LABELS]
        found = {listener.labels[at] for at in order if scores[at] > 0.0}
        core, others = (set(part.split("|")) for part in RIGHT[label].split(" / "))
        named += bool(found & core)
        right += len(found & (core | others))
        n_tags += len(found)
    print(
        f"  {named / len(clips):.3f} of {len(clips)} recordings are named rightly; "
        f"{right / n_tags:.3f} of the tags are right; {n_tags / len(clips):.2f} tags a recording"
    )


def best(clips: list[Vectors], direction: Vectors) -> Vectors:
    """Return the score of each clip: that of its best segment."""
    return np.array([float((clip @ direction).max()) for clip in clips], dtype=np.float32)


def unit(vector: Vectors) -> Vectors:
    """Return a vector at unit length."""
    return vector / np.linalg.norm(vector)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--draws", type=int, default=2)
    arguments = parser.parse_args()
    model = load_encoder(arguments.encoder)
    if model.calibration is None:
        parser.error(f"{model.id} comes without a calibration: it learns one from an archive")
    calibration = BackgroundCalibration(model.calibration)
    sets = {}
    for name in ("effects", "esc10"):
        paths, labels = read(arguments.audio, name)
        clips = [clip.astype(np.float32) for clip in embed_clips(paths, model)]
        sets[name] = (clips, labels)
    of_all = np.concatenate([clip for clips, _ in sets.values() for clip in clips])
    sample = of_all[:: max(1, len(of_all) // BACKGROUND)]
    everything = np.concatenate([calibration.background, sample])
    for name, (clips, labels) in sets.items():
        print(f"{name}, {len(clips)} clips, {model.id}: taught by {EXAMPLES} examples", flush=True)
        teaching(clips, labels, everything, calibration, arguments.draws)
    print(f"esc10, {model.id}: tags", flush=True)
    tags(*sets["esc10"], model, calibration)


if __name__ == "__main__":
    main()

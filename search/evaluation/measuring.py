"""How well an encoder finds what people have said is there: by words, by example, by captions.

Every figure comes with a bootstrap interval, with what chance would give, and where a perfect
search could not reach 1, with that ceiling. docs/evaluation.md describes the protocol.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.encoders import Encoder
from search.evaluation import metrics
from search.evaluation.clips import (
    best_window,
    embed_clips,
    embed_phrases,
    example_queries,
    standardised,
)
from search.evaluation.ground_truth import GroundTruth
from search.evaluation.metrics import Values
from search.evaluation.prompts import PLAIN, plain_names, wording
from search.evaluation.questions import Gallery, Questions, alike, questions_of

CUTOFFS = (1, 5, 10)
K = 10
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes
    ----------
    measure : str
        ``"map"``, ``"recall_at_10"`` ...
    value : float
    low, high : float
        Ends of the bootstrap 95 % interval.
    chance : float
        What random scores give on average.
    ceiling : float or None
        What a perfect search gives, where that is less than 1.
    drawn : str
        What the bootstrap draws anew: ``"recordings"``, with all clips cut from them, or
        ``"classes"``.
    """

    measure: str
    value: float
    low: float
    high: float
    chance: float
    ceiling: float | None = None
    drawn: str = "recordings"


@dataclass(frozen=True, slots=True)
class Task:
    """Figures of one kind of query.

    Attributes
    ----------
    name : str
        ``"text_to_audio"``, ``"zero_shot"``, ``"by_example"`` or ``"captions"``.
    wording : str
        How classes were put into words; empty where they were not.
    n_queries, n_searched : int
        Queries, and clips that each of them was searched in; of zero-shot naming, clips that were
        named, and names to choose from.
    """

    name: str
    wording: str
    n_queries: int
    n_searched: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured, of what, and how.

    Attributes
    ----------
    encoder : str
        Its id.
    where : tuple of (str, str)
        Columns and values that chose the measured clips.
    n_clips, n_labels, n_sources : int
        Measured clips with a label or a caption, their classes, and the recordings that they come
        from, which are what the bootstrap draws.
    n_searched : int
        Clips that were searched through.
    source_column : str or None
    tasks : tuple of Task
    notes : tuple of str
        What a reader of the figures should know.
    """

    encoder: str
    manifest: str
    where: tuple[tuple[str, str], ...]
    gallery: Gallery
    source_column: str | None
    n_clips: int
    n_labels: int
    n_sources: int
    n_searched: int
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()

    def figure(self, task: str, measure: str, *, wording: str = "") -> Figure:
        """Return a figure.

        Raises
        ------
        KeyError
            If it was not measured.
        """
        for found in self.tasks:
            if (found.name, found.wording) == (task, wording):
                return {figure.measure: figure for figure in found.figures}[measure]
        raise KeyError((task, wording))


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How a model answers the questions; higher is better.

    Attributes
    ----------
    by_label : mapping of str to ndarray, shape (n_labels, n)
        One a wording.
    standardised : mapping of str to ndarray, shape (n_labels, n)
        The same after `search.evaluation.clips.standardised`; empty if no background comes with
        the model.
    by_example : ndarray, shape (n_measured, n)
    by_caption : ndarray, shape (n_captions, n)
    """

    by_label: Mapping[str, Values]
    standardised: Mapping[str, Values]
    by_example: Values
    by_caption: Values


def evaluate(
    encoder: Encoder,
    truth: GroundTruth,
    *,
    gallery: Gallery = Gallery.SAME,
    prompts: str = PLAIN,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure an encoder.

    Parameters
    ----------
    encoder : Encoder
    truth : GroundTruth
        See `search.evaluation.ground_truth.read_ground_truth`.
    gallery : Gallery
    prompts : str
        A wording beside the plain names of the classes: see `search.evaluation.prompts.wording`.
    on_clip : callable
        Told after each clip how many are embedded, of how many.

    Raises
    ------
    AudioError
        If a clip cannot be decoded.
    QueryError
        If a class lacks a prompt, or a phrase holds no word.
    """
    questions = questions_of(truth, gallery)
    named = [plain_names(questions.labels)]
    if prompts != PLAIN:
        named.append(wording(prompts, questions.labels))
    # Phrases first: what is wrong with them is told before hours of sound are decoded.
    phrases = {words.name: embed_phrases(words.phrases, encoder) for words in named}
    captions = embed_phrases([(caption,) for caption in questions.captions], encoder)
    total = len(questions.clips)
    clips = embed_clips(
        [clip.path for clip in questions.clips],
        encoder,
        on_clip=lambda done: on_clip(done, total),
    )
    by_label = {name: best_window(vectors, clips) for name, vectors in phrases.items()}
    scores = Scores(
        by_label,
        {
            name: standardised(phrases[name], by_label[name], encoder.calibration)
            for name in phrases
            if encoder.calibration is not None
        },
        best_window(example_queries([clips[at] for at in questions.measured]), clips)
        if len(questions.measured)
        else np.empty((0, total), dtype=np.float32),
        best_window(captions, clips),
    )
    return judge(encoder.id, truth, gallery, questions, scores)


def judge(
    encoder: str, truth: GroundTruth, gallery: Gallery, questions: Questions, scores: Scores
) -> Evaluation:
    """Compare the answers of a model with the truth."""
    tasks: list[Task] = []
    if len(questions.measured):
        named = scores.by_label.items()
        tasks += [_text_to_audio(questions, by_label, name) for name, by_label in named]
        tasks += [_zero_shot(questions, scores, name) for name in scores.by_label]
    examples = _by_example(questions, scores.by_example)
    if examples is not None:
        tasks.append(examples)
    if questions.captions:
        tasks.append(_captions(questions, scores.by_caption))
    answered = np.union1d(questions.measured, questions.described).astype(np.int64)
    return Evaluation(
        encoder,
        truth.manifest,
        truth.where,
        gallery,
        truth.source_column,
        len(answered),
        len(questions.asked),
        len(np.unique(questions.sources[answered])),
        len(questions.clips),
        tuple(tasks),
        tuple(_notes(truth, gallery, questions, examples)),
    )


def _text_to_audio(questions: Questions, scores: Values, name: str) -> Task:
    relevant, scores = questions.relevant[questions.asked], scores[questions.asked]
    n_relevant, n_clips = relevant.sum(axis=1), len(questions.clips)
    precisions = metrics.precisions(relevant, scores)
    low, high = metrics.interval_of_mean(precisions, questions.sources)
    figures = [
        Figure(
            "map",
            float(metrics.average_precision(relevant, scores).mean()),
            low,
            high,
            float(metrics.chance_average_precision(n_relevant, n_clips).mean()),
        )
    ]
    queries = np.arange(len(relevant))
    for k in CUTOFFS:
        found = metrics.recall_at(relevant, scores, k)
        chance = metrics.chance_recall_at(n_relevant, n_clips, k)
        figure = _mean_figure(f"recall_at_{k}", found, queries, chance)
        figures.append(replace(figure, drawn="classes"))
    return Task("text_to_audio", name, len(relevant), n_clips, tuple(figures))


def _zero_shot(questions: Questions, scores: Scores, name: str) -> Task:
    relevant = questions.relevant[:, questions.measured]
    sources, chance = questions.sources[questions.measured], relevant.mean(axis=0)
    ways = {"accuracy": scores.by_label, "accuracy_standardised": scores.standardised}
    figures = [
        _mean_figure(
            measure,
            metrics.decisions(relevant, answers[name][:, questions.measured]),
            sources,
            chance,
        )
        for measure, answers in ways.items()
        if name in answers
    ]
    n_clips, n_labels = len(questions.measured), len(questions.labels)
    return Task("zero_shot", name, n_clips, n_labels, tuple(figures))


def _by_example(questions: Questions, scores: Values) -> Task | None:
    """Measure the examples that have a like; None if no clip has."""
    if not len(scores):
        return None
    precision, among_first, n_alike, n_others = _of_examples(questions, scores)
    kept = n_alike > 0
    if not kept.any():
        return None
    sources = questions.sources[questions.measured[kept]]
    n_alike, n_others = n_alike[kept], n_others[kept]
    chance = metrics.chance_average_precision(n_alike, n_others)
    first = _mean_figure(
        f"precision_at_{K}", among_first[kept], sources, n_alike / np.maximum(n_others, K)
    )
    ceiling = float(metrics.ceiling_of_precision_at(n_alike, K).mean())
    figures = (
        _mean_figure("map", precision[kept], sources, chance),
        replace(first, ceiling=ceiling if ceiling < 1 else None),
    )
    return Task("by_example", "", int(kept.sum()), len(questions.clips), figures)


def _of_examples(questions: Questions, scores: Values) -> Values:
    """Average precision, precision at 10, number alike and number searched, of each example."""
    parts = []
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        others, relevant = alike(questions, questions.measured[rows])
        some = np.where(others, scores[rows], -np.inf)
        values = (
            metrics.average_precision(relevant, some),
            metrics.precision_at(relevant, some, K),
            relevant.sum(axis=1),
            others.sum(axis=1),
        )
        parts.append(np.stack(values))
    return np.concatenate(parts, axis=1)


def _captions(questions: Questions, scores: Values) -> Task:
    n_captions, n_clips = scores.shape
    relevant = np.zeros(scores.shape, dtype=np.bool_)
    relevant[np.arange(n_captions), questions.described] = True
    sources = questions.sources[questions.described]
    one = np.ones(n_captions)
    figures = [
        _mean_figure(
            f"recall_at_{k}",
            metrics.recall_at(relevant, scores, k),
            sources,
            metrics.chance_recall_at(one, n_clips, k),
        )
        for k in CUTOFFS
    ]
    rank = metrics.first_rank(relevant, scores)
    low, high = metrics.interval_of_median(rank, sources)
    figures.append(Figure("median_rank", float(np.median(rank)), low, high, (n_clips + 1) / 2))
    reach = min(K, n_clips)
    figures.append(
        _mean_figure(
            f"map_at_{K}",
            metrics.average_precision_at(relevant, scores, K),
            sources,
            one * (1 / np.arange(1, reach + 1)).sum() / n_clips,
        )
    )
    return Task("captions", "", n_captions, n_clips, tuple(figures))


def _mean_figure(
    measure: str, values: Values, clusters: NDArray[np.int64], chance: Values
) -> Figure:
    low, high = metrics.interval_of_mean(values, clusters)
    return Figure(measure, float(np.mean(values)), low, high, float(np.mean(chance)))


def _notes(
    truth: GroundTruth, gallery: Gallery, questions: Questions, examples: Task | None
) -> list[str]:
    n_measured = len(questions.measured)
    notes = []
    if n_measured and gallery is Gallery.ALL and truth.where:
        notes.append(
            "by words, every clip of the manifest that has the class counts, not only those that "
            "--where chose; --gallery same measures these alone"
        )
    if n_measured and truth.source_column is None:
        notes.append(
            "no column says which clips were cut from one recording (--source-column): "
            "each is taken for one of its own, and may find its siblings"
        )
    alone = n_measured - (examples.n_queries if examples else 0)
    if alone:
        notes.append(
            f"{alone} of {n_measured} clips are no examples: no other recording that is searched "
            "has a label of theirs"
        )
    if examples and truth.where:
        same, all_ = (_ceiling(truth, each) for each in Gallery)
        notes.append(
            f"precision@{K} by example cannot pass {same:.3f} among the measured clips "
            f"(--gallery same) and {all_:.3f} among all (--gallery all)"
        )
    return notes


def _ceiling(truth: GroundTruth, gallery: Gallery) -> float:
    questions = questions_of(truth, gallery)
    starts = range(0, len(questions.measured), _ROWS_AT_ONCE)
    rows = (questions.measured[start : start + _ROWS_AT_ONCE] for start in starts)
    n_alike = np.concatenate([alike(questions, some)[1].sum(axis=1) for some in rows])
    ceilings = metrics.ceiling_of_precision_at(n_alike[n_alike > 0], K)
    return float(ceilings.mean()) if len(ceilings) else 0.0

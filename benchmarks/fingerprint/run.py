"""Asks a system all the excerpts and sums up what it answered."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fingerprint.corpus import Corpus
from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.queries import TOLERANCE_S, Query
from benchmarks.fingerprint.systems import ACCEPTED_P, SYSTEMS, System

_FEATURES_HOURS = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one excerpt led to: the best answer, and whether it is right.

    Attributes
    ----------
    degradation : str
    name, offset_s : str, float
        Of the query.
    found, found_s : str, float
        Of the answer; empty and 0 without one.
    right : bool
        The recording, and the place within 0.5 s.
    score, p_false : float
        Minus infinity and 1 without an answer.
    cpu_ms : float
    """

    degradation: str
    name: str
    offset_s: float
    found: str
    found_s: float
    right: bool
    score: float
    p_false: float
    cpu_ms: float

    @property
    def is_drawn_place(self) -> bool:
        """Whether the answer is the place that the excerpt was cut from, not a repeat of it."""
        near = abs(self.found_s - self.offset_s) <= TOLERANCE_S
        return self.found == self.name and near

    @property
    def accepted(self) -> bool:
        """Whether the system itself would give this answer."""
        return self.p_false <= ACCEPTED_P


@dataclass(frozen=True, slots=True)
class Building:
    """What it took to make the index of the archive."""

    hours: float
    add_cpu_s: float
    finish_cpu_s: float
    features_hours_per_cpu_minute: float
    stored_mb_per_hour: float


def build(system: System, corpus: Corpus) -> Building:
    """Fill a system's index with the archive, on one core."""
    start = time.process_time()
    for source in corpus.archive:
        system.add(source.path, corpus.store.read(source.path))
    added = time.process_time()
    system.finish()
    finished = time.process_time()
    hours = sum(source.duration_s for source in corpus.archive) / 3600
    return Building(
        hours=hours,
        add_cpu_s=added - start,
        finish_cpu_s=finished - added,
        features_hours_per_cpu_minute=_features_speed(system, corpus),
        stored_mb_per_hour=system.stored_bytes() / 1e6 / hours,
    )


def _features_speed(system: System, corpus: Corpus) -> float:
    """Time the features alone on an hour of long recordings, samples in memory."""
    long = sorted(corpus.archive, key=lambda source: -source.duration_s)
    sounds: list[Samples] = []
    while sum(map(len, sounds)) < _FEATURES_HOURS * 3600 * SR and len(sounds) < len(long):
        sounds.append(corpus.store.read(long[len(sounds)].path))
    start = time.process_time()
    for sound in sounds:
        system.features(sound)
    minutes = (time.process_time() - start) / 60
    return sum(map(len, sounds)) / SR / 3600 / minutes


def ask(system: System, query: Query) -> Outcome:
    """Ask for one excerpt."""
    samples = query.samples
    start = time.process_time()
    answers = system.identify(samples)
    cpu_ms = (time.process_time() - start) * 1000
    asked = (query.degradation, query.name, query.offset_s)
    if not answers:
        return Outcome(*asked, "", 0.0, False, float("-inf"), 1.0, cpu_ms)
    best = answers[0]
    right = query.is_right(best.name, best.offset_s)
    return Outcome(*asked, best.name, best.offset_s, right, best.score, best.p_false, cpu_ms)


_worker: dict[str, System] = {}


def _start_worker(name: str, folder: Path) -> None:
    _worker["system"] = SYSTEMS[name](folder)


def _ask_in_worker(queries: Sequence[Query]) -> list[Outcome]:
    return [ask(_worker["system"], query) for query in queries]


def ask_all(name: str, folder: Path, queries: Sequence[Query], jobs: int) -> list[Outcome]:
    """Ask for all excerpts, in so many processes of one thread."""
    parts = [queries[start : start + 32] for start in range(0, len(queries), 32)]
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(name, folder)) as pool:
        # A process's first questions load files and code; they are not counted.
        list(pool.map(_ask_in_worker, [queries[:4]] * (4 * jobs)))
        return [outcome for part in pool.map(_ask_in_worker, parts) for outcome in part]


@dataclass(frozen=True, slots=True)
class Summary:
    """One length of excerpt.

    Attributes
    ----------
    threshold : float
        The largest score of an excerpt that is not in the archive; accepted is what is above.
    at_zero_false, own : dict of str to float
        By degradation: the share in percent that was right and above the threshold, and that was
        right and accepted by the system itself.
    n_shared : int
        Excerpts left out because they hold sound of the archive after all.
    raw : float
        As `at_zero_false`, its mean, if those counted as not in the archive.
    interval : tuple of float
        95 % interval of the mean of `at_zero_false`, by drawing recordings anew: which recordings
        the archive happens to have is what it depends on most.
    own_false : int
        Excerpts not in the archive of which the system accepted an answer.
    own_wrong : int
        Excerpts in the archive of which it accepted a wrong answer.
    right_any : dict of str to float
        Right, accepted or not.
    drawn_place : float
        As `at_zero_false`, its mean, if a sample-for-sample repeat of the place counted as wrong.
    music : tuple of float
        Means of `at_zero_false` and `own` over excerpts of music alone.
    copies_at_zero_false, copies_own : float
        The same of the re-encoded copies.
    """

    seconds: float
    n_matches: int
    n_negatives: int
    n_shared: int
    raw: float
    threshold: float
    at_zero_false: dict[str, float]
    own: dict[str, float]
    right_any: dict[str, float]
    drawn_place: float
    interval: tuple[float, float]
    own_false: int
    own_wrong: int
    music: tuple[float, float]
    copies_at_zero_false: float
    copies_own: float
    cpu_ms_match: tuple[float, float]
    cpu_ms_all_matches: tuple[float, float]
    cpu_ms_negative: tuple[float, float]

    @property
    def mean_at_zero_false(self) -> float:
        """Mean over the degradations."""
        return float(np.mean(list(self.at_zero_false.values())))

    @property
    def mean_own(self) -> float:
        """Mean over the degradations."""
        return float(np.mean(list(self.own.values())))


def summarise(
    seconds: float,
    matches: Sequence[Outcome],
    negatives: Sequence[Outcome],
    copies: Sequence[Outcome],
    *,
    shared: Sequence[Outcome],
) -> Summary:
    """Sum up one length of excerpt; `shared` were left out of the negatives."""
    threshold = _highest(negatives)
    raw_threshold = _highest([*negatives, *shared])
    found = [outcome for outcome in matches if outcome.right and outcome.score > threshold]
    times = [outcome.cpu_ms for outcome in (found or matches)]
    music = [outcome for outcome in matches if outcome.name.startswith("music/")]
    return Summary(
        seconds=seconds,
        n_matches=len(matches),
        n_negatives=len(negatives),
        n_shared=len(shared),
        raw=_rate(matches, lambda o: o.right and o.score > raw_threshold),
        threshold=threshold,
        at_zero_false=_rates(matches, lambda o: o.right and o.score > threshold),
        own=_rates(matches, lambda o: o.right and o.accepted),
        right_any=_rates(matches, lambda o: o.right),
        drawn_place=_rate(matches, lambda o: o.is_drawn_place and o.score > threshold),
        interval=_interval(matches, lambda o: o.right and o.score > threshold),
        own_false=sum(outcome.accepted for outcome in negatives),
        own_wrong=sum(outcome.accepted and not outcome.right for outcome in matches),
        music=(
            _rate(music, lambda o: o.right and o.score > threshold),
            _rate(music, lambda o: o.right and o.accepted),
        ),
        copies_at_zero_false=_rate(copies, lambda o: o.right and o.score > threshold),
        copies_own=_rate(copies, lambda o: o.right and o.accepted),
        cpu_ms_match=_percentiles(times),
        cpu_ms_all_matches=_percentiles([outcome.cpu_ms for outcome in matches]),
        cpu_ms_negative=_percentiles([outcome.cpu_ms for outcome in negatives]),
    )


def _highest(outcomes: Sequence[Outcome]) -> float:
    return max((outcome.score for outcome in outcomes), default=float("-inf"))


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 90th percentile."""
    if not values:
        return float("nan"), float("nan")
    median, ninth = np.percentile(np.array(values), (50, 90))
    return float(median), float(ninth)


def _rate(outcomes: Sequence[Outcome], good: Callable[[Outcome], bool]) -> float:
    return 100 * sum(map(good, outcomes)) / len(outcomes) if outcomes else float("nan")


def _interval(outcomes: Sequence[Outcome], good: Callable[[Outcome], bool]) -> tuple[float, float]:
    """Return the 95 % interval of a share in percent, drawing recordings 2,000 times."""
    names = sorted({outcome.name for outcome in outcomes})
    number = {name: at for at, name in enumerate(names)}
    n_good, n_all = np.zeros((2, len(names)))
    for outcome in outcomes:
        n_good[number[outcome.name]] += good(outcome)
        n_all[number[outcome.name]] += 1
    drawn = np.random.default_rng(1).integers(0, len(names), (2000, len(names)))
    low, high = np.percentile(n_good[drawn].sum(axis=1) / n_all[drawn].sum(axis=1), (2.5, 97.5))
    return 100 * float(low), 100 * float(high)


def _rates(outcomes: Sequence[Outcome], good: Callable[[Outcome], bool]) -> dict[str, float]:
    names = dict.fromkeys(outcome.degradation for outcome in outcomes)
    return {name: _rate([o for o in outcomes if o.degradation == name], good) for name in names}


def markdown(system: str, building: Building, summaries: Sequence[Summary]) -> Iterator[str]:
    """Yield the lines of the report."""
    heads = " | ".join(f"{summary.seconds:g} s" for summary in summaries)
    lines = "---:|" * len(summaries)
    costs = summaries[-1].cpu_ms_match[0]
    yield f"| | {heads} | hours of audio per CPU-minute | MB per hour | CPU ms a query |"
    yield f"|---|{lines}---:|---:|---:|"
    means = " | ".join(f"{summary.mean_at_zero_false:.1f}" for summary in summaries)
    yield (
        f"| {system} | {means} | {building.features_hours_per_cpu_minute:.1f} | "
        f"{building.stored_mb_per_hour:.2f} | {costs:.1f} |"
    )
    yield ""
    yield f"| no false positive / accepted by itself, % | {heads} |"
    yield f"|---|{lines}"
    for name in summaries[0].at_zero_false:
        yield _row(name, [(s.at_zero_false[name], s.own[name]) for s in summaries])
    yield _row("**mean**", [(s.mean_at_zero_false, s.mean_own) for s in summaries])
    yield _row("music alone", [s.music for s in summaries])
    yield _row("true copies", [(s.copies_at_zero_false, s.copies_own) for s in summaries])
    yield ""
    yield f"| | {heads} |"
    yield f"|---|{lines}"
    counts: dict[str, Callable[[Summary], Any]] = {
        "excerpts in the archive": lambda s: s.n_matches,
        "mean, 95 % interval by recording": lambda s: f"{s.interval[0]:.1f} to {s.interval[1]:.1f}",
        "mean, repeats counted as wrong": lambda s: f"{s.drawn_place:.1f}",
        "excerpts not in it": lambda s: s.n_negatives,
        "left out, for they hold its sound": lambda s: s.n_shared,
        "mean, if these counted as not in it": lambda s: f"{s.raw:.1f}",
        "of those not in it accepted": lambda s: s.own_false,
        "wrong answers accepted": lambda s: s.own_wrong,
        "threshold of no false positive": lambda s: f"{s.threshold:.4g}",
        "CPU ms, found: median / 90 %": lambda s: _pair(s.cpu_ms_match),
        "CPU ms, in the archive, found or not": lambda s: _pair(s.cpu_ms_all_matches),
        "CPU ms, not in the archive": lambda s: _pair(s.cpu_ms_negative),
    }
    for label, value in counts.items():
        yield f"| {label} | " + " | ".join(str(value(summary)) for summary in summaries) + " |"


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.1f} / {values[1]:.1f}"


def _row(name: str, values: Sequence[tuple[float, float]]) -> str:
    return f"| {name} | " + " | ".join(_pair(value) for value in values) + " |"

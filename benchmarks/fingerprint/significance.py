"""How sure queries that are not in the archive get, by fingerprints and when files are read again.

Run from the project's root::

    python -m benchmarks.fingerprint.significance

The laws of `search.significance` are fitted to the held-out excerpts of the split `dev`, then shown
against those of the split `test`; and in parts of the archive, for how they grow with its size.
Every query is searched for as `echoic identify` does it. The law of scores is of what landmarks
say, before any file is read again; that of correlations is of the largest distinctness of the
places of a query that are. What comes out in the end is told by the law of scores, too.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.fingerprint.adjudication import without_shared
from benchmarks.fingerprint.corpus import Corpus, load_corpus
from benchmarks.fingerprint.echoic_system import EchoicSystem
from benchmarks.fingerprint.materials import SR
from benchmarks.fingerprint.queries import CACHE, Query, load_queries
from benchmarks.fingerprint.run import Outcome
from db.catalogue import Catalogue
from indexer.fingerprint_places import open_fingerprints
from indexer.landmarks import LandmarkFingerprinter, QueryPeaks
from search.changes import changes_within
from search.correlation import Agreement, Waveform
from search.evidence import Evidence
from search.fingerprint_candidates import Candidate, best_score
from search.fingerprints import SURE, WORTH_KEEPING
from search.identify import Matcher
from search.rehearing import OnUnread, RecordedSound, Rehearing, pass_over
from search.scan import ArchiveScan
from search.significance import Law, p_agreement
from search.verification import Verifier

RESULTS = Path(__file__).parents[1] / "results" / "fingerprint_significance.json"
Values = NDArray[np.float64]

_TAIL = 0.2
"""The law is fitted to the highest scores, which are what thresholds are made of."""


def fit(scores: Values) -> tuple[float, float]:
    """Fit a Gumbel distribution to the upper tail; return its mode and scale.

    Above a high level the scores of a Gumbel law exceed it exponentially with its scale; the mode
    follows from how many do.
    """
    level = float(np.quantile(scores, 1 - _TAIL))
    scale = float((scores[scores > level] - level).mean())
    return level + scale * float(np.log(-np.log1p(-_TAIL))), scale


class _Noting(Rehearing):
    """Notes the largest distinctness that it comes across."""

    largest = 0.0

    def _agreement(
        self, waveform: Waveform, evidence: Evidence, on_unread: OnUnread
    ) -> Agreement | None:
        agreement = super()._agreement(waveform, evidence, on_unread)
        if agreement is not None:
            self.largest = max(self.largest, agreement.distinctness)
        return agreement


class _NotingMatcher(Matcher):
    """Notes the best score before files are read again."""

    by_landmarks: float | None = None

    def _heard(
        self,
        samples: NDArray[np.float32],
        found: list[Candidate],
        changed: list[Candidate],
        *,
        every: bool,
    ) -> list[Candidate]:
        self.by_landmarks = max(best_score(found), best_score(changed))
        return super()._heard(samples, found, changed, every=every)

    def _settled(
        self,
        samples: NDArray[np.float32],
        verifier: Verifier,
        peaks: QueryPeaks,
        found: list[Candidate],
    ) -> list[Candidate]:
        if self.by_landmarks is None:
            self.by_landmarks = best_score(found)
        return super()._settled(samples, verifier, peaks, found)


@dataclass(frozen=True, slots=True)
class _Best:
    """What a query got at most.

    Attributes
    ----------
    outcome : Outcome
        With what files say.
    by_landmarks : float
        The best score before they were read.
    distinctness : float
        The largest; 0 where nothing was read again.
    """

    outcome: Outcome
    by_landmarks: float
    distinctness: float


class _Asker:
    """Asks the archive in a folder, in a process of its own."""

    here: "_Asker"

    def __init__(self, folder: Path) -> None:
        self._fingerprinter = fingerprinter = LandmarkFingerprinter()
        self._names = EchoicSystem(folder).names
        catalogue = Catalogue.open(folder / "catalogue")
        self._index = open_fingerprints(catalogue, fingerprinter)
        self._sound = RecordedSound(catalogue, self._index, fingerprinter)
        self._changes = changes_within(0.024)
        self._scan = ArchiveScan(self._index)
        self._archive_s = self._index.n_frames * fingerprinter.frame_s

    def ask(self, query: Query) -> _Best:
        law = Law.of(duration_s=len(query.samples) / SR, archive_s=self._archive_s)
        rehearing = _Noting(self._sound, law, self._fingerprinter, on_unread=pass_over)
        matcher = _NotingMatcher(
            self._index,
            self._fingerprinter,
            sure=(law.threshold(SURE[0]), law.threshold(SURE[1])),
            changes=self._changes,
            scan=self._scan,
            least=law.threshold(WORTH_KEEPING),
            rehearing=rehearing,
        )
        found = matcher.candidates(soxr.resample(query.samples, SR, 8000))
        name = self._name(found[0]) if found else ""
        asked = (query.degradation, query.name, query.offset_s)
        outcome = Outcome(*asked, name, 0.0, False, best_score(found), 1.0, 0.0)
        return _Best(outcome, matcher.by_landmarks or 0.0, rehearing.largest)

    def _name(self, candidate: Candidate) -> str:
        first, last = candidate.extent
        middle = round(candidate.evidence.frame + (first + last) / 2)
        ids, _ = self._index.locate(np.array([middle], dtype=np.int64))
        return self._names.get(int(ids[0]), "")


def _start(folder: Path) -> None:
    _Asker.here = _Asker(folder)


def _ask(query: Query) -> _Best:
    return _Asker.here.ask(query)


def _asked(
    folder: Path, corpus: Corpus, queries: list[Query], seconds: float, jobs: int
) -> list[_Best]:
    """Ask for queries; leave out those whose answer turns out to hold their sound."""
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(folder,)) as pool:
        best = list(pool.map(_ask, queries, chunksize=16))
    kept = set(map(id, without_shared(corpus.store, seconds, [one.outcome for one in best])))
    return [one for one in best if id(one.outcome) in kept]


def _index(folder: Path, corpus: Corpus, share: float) -> float:
    """Index a share of the archive; return its length in hours."""
    system = EchoicSystem(folder)
    n_samples = 0
    for source in corpus.archive[:: round(1 / share)]:
        sound = corpus.store.read(source.path)
        system.add(source.path, sound)
        n_samples += len(sound)
    system.finish()
    return n_samples / SR / 3600


def main() -> None:
    """Fit on dev, show on test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--durations", type=float, nargs="+", default=[2, 5, 10], help="seconds")
    parser.add_argument("--splits", nargs="+", default=["dev", "test"])
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.25, 0.0625])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=CACHE)
    chosen = parser.parse_args()
    corpus = load_corpus(chosen.cache)
    results = []
    for share in chosen.shares:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            hours = _index(folder, corpus, share)
            for split in chosen.splits if share == 1 else chosen.splits[:1]:
                for seconds in chosen.durations:
                    queries = load_queries(split, seconds, "negatives", cache=chosen.cache)
                    best = _asked(folder, corpus, queries, seconds, chosen.jobs)
                    results.append(_report(split, seconds, hours, best))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results), encoding="utf-8")


def _report(split: str, seconds: float, hours: float, best: list[_Best]) -> dict[str, object]:
    law = Law.of(duration_s=seconds, archive_s=hours * 3600)
    scores = np.array([one.by_landmarks for one in best])
    together = np.array([one.outcome.score for one in best])
    heard = np.array([one.distinctness for one in best if one.distinctness > 0])
    print(f"{split} {seconds:g} s, {hours:.2f} h")
    mode, scale = _told("scores of landmarks", scores, law.p_false)
    if len(heard):
        _told("distinctness", heard, lambda value: p_agreement(value, seconds))
    _told("scores with sound", together, law.p_false)
    return {
        "split": split,
        "seconds": seconds,
        "hours": hours,
        "mode": mode,
        "scale": scale,
        "scores": np.round(np.sort(scores), 3).tolist(),
        "distinctness": np.round(np.sort(heard), 3).tolist(),
        "together": np.round(np.sort(together), 3).tolist(),
    }


def _told(what: str, values: Values, p_false: Callable[[float], float]) -> tuple[float, float]:
    """Print how values are distributed, and how often the law in force says less; fit a law."""
    mode, scale = fit(values)
    ps = np.array([p_false(float(value)) for value in values])
    below = ", ".join(f"{p:g}: {int((ps <= p).sum())}" for p in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5))
    print(
        f"  {what} of {len(values)}: fitted mode {mode:.3f}, scale {scale:.3f}; the law in force "
        f"calls so many less likely than {below}; highest "
        + ", ".join(f"{value:.2f}" for value in np.sort(values)[-5:]),
        flush=True,
    )
    return mode, scale


if __name__ == "__main__":
    main()

"""How the best scores of queries that are not in the archive are distributed.

Run from the project's root::

    python -m benchmarks.fingerprint.significance

The law of `search.significance` is fitted to the held-out excerpts of the split `dev`, then shown
against those of the split `test`; and in parts of the archive, for how it grows with its size.
Every query is searched for as `echoic identify` does it.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
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
from db.fingerprint_index import FingerprintIndex
from indexer.landmarks import LandmarkFingerprinter
from search.changes import changes_within
from search.fingerprints import SURE
from search.identify import Matcher
from search.scan import ArchiveScan
from search.significance import Law

RESULTS = Path(__file__).parents[1] / "results" / "fingerprint_significance.json"
_TAIL = 0.2
"""The law is fitted to the highest scores, which are what thresholds are made of."""


def fit(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Fit a Gumbel distribution to the upper tail; return its mode and scale.

    Above a high level the scores of a Gumbel law exceed it exponentially with its scale; the mode
    follows from how many do.
    """
    level = float(np.quantile(scores, 1 - _TAIL))
    scale = float((scores[scores > level] - level).mean())
    return level + scale * float(np.log(-np.log1p(-_TAIL))), scale


class _Asker:
    """Asks the archive in a folder, in a process of its own."""

    here: "_Asker"

    def __init__(self, folder: Path) -> None:
        self._fingerprinter = fingerprinter = LandmarkFingerprinter()
        self._names = EchoicSystem(folder).names
        self._index = FingerprintIndex.open(
            Catalogue.open(folder / "catalogue"),
            fingerprinter.id,
            fingerprinter.keys,
            key_bits=fingerprinter.key_bits,
        )
        self._changes = changes_within(0.024)
        self._scan = ArchiveScan(self._index)
        self._archive_s = self._index.n_frames * fingerprinter.frame_s

    def ask(self, query: Query) -> Outcome:
        asked = (query.degradation, query.name, query.offset_s)
        law = Law.of(duration_s=len(query.samples) / SR, archive_s=self._archive_s)
        sure = (law.threshold(SURE[0]), law.threshold(SURE[1]))
        matcher = Matcher(
            self._index,
            self._fingerprinter,
            sure=sure,
            changes=self._changes,
            scan=self._scan,
        )
        found = matcher.candidates(soxr.resample(query.samples, SR, 8000))
        if not found:
            return Outcome(*asked, "", 0.0, False, 0.0, 1.0, 0.0)
        evidence = found[0].evidence
        first, last = evidence.extent
        middle = round(evidence.frame + (first + last) / 2)
        ids, _ = self._index.locate(np.array([middle], dtype=np.int64))
        name = self._names.get(int(ids[0]), "")
        return Outcome(*asked, name, 0.0, False, found[0].score, 1.0, 0.0)


def _start(folder: Path) -> None:
    _Asker.here = _Asker(folder)


def _ask(query: Query) -> Outcome:
    return _Asker.here.ask(query)


def _scores(
    folder: Path, corpus: Corpus, queries: list[Query], seconds: float, jobs: int
) -> NDArray[np.float64]:
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(folder,)) as pool:
        outcomes = list(pool.map(_ask, queries, chunksize=16))
    return np.array([one.score for one in without_shared(corpus.store, seconds, outcomes)])


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
                    scores = _scores(folder, corpus, queries, seconds, chosen.jobs)
                    results.append(_report(split, seconds, hours, scores))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results), encoding="utf-8")


def _report(
    split: str, seconds: float, hours: float, scores: NDArray[np.float64]
) -> dict[str, object]:
    mode, scale = fit(scores)
    law = Law.of(duration_s=seconds, archive_s=hours * 3600)
    above = {p: int((scores >= law.threshold(p)).sum()) for p in (1e-1, 1e-2, 1e-3, 1e-5)}
    print(
        f"{split} {seconds:g} s, {hours:.2f} h, {len(scores)} queries: fitted mode {mode:.2f}, "
        f"scale {scale:.2f}; the law in force {law.mode:.2f}, {law.scale:.2f}; above its "
        + ", ".join(f"threshold for {p:g} ({law.threshold(p):.1f}): {n}" for p, n in above.items())
        + f"; highest {', '.join(f'{s:.1f}' for s in np.sort(scores)[-5:])}",
        flush=True,
    )
    return {
        "split": split,
        "seconds": seconds,
        "hours": hours,
        "mode": mode,
        "scale": scale,
        "scores": np.round(np.sort(scores), 3).tolist(),
    }


if __name__ == "__main__":
    main()

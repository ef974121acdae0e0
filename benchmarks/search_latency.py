"""How fast and how complete the search for vectors is, beside raw FAISS and NumPy in the same run.

Run from the project's root::

    python -m benchmarks.search_latency            # 10 k, 100 k and 1 M segments, some minutes
    python -m benchmarks.search_latency --quick    # 10 k and 100 k

Everything runs on one thread. The segments are synthetic: topics of very unequal size, recordings
around them, ten segments to a recording. Half of the queries are like new recordings of a topic
("example"), half lie far from all segments, as the vectors of phrases do ("words"); the best hits
of those are hardly better than thousands of others, which makes them the hard ones.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray

from db.faiss_index import FaissIndex
from db.vectors import SegmentBitmap, pack_ids, unpack

RESULTS = Path(__file__).parent / "results"
K = 10
N_TOPICS = 2000
SEGMENTS_PER_RECORDING = 10

Vectors = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One way to search one archive; recalls are at 10, against brute force."""

    n_segments: int
    what: str
    p50_ms: float
    p95_ms: float
    recall_example: float
    recall_words: float


@dataclass(frozen=True)
class Costs:
    """What it takes to make and keep our index of one archive."""

    n_segments: int
    n_lists: int
    add_s: float
    optimise_s: float
    save_s: float
    load_s: float
    file_mb: float
    memory_mb: float


@dataclass(frozen=True)
class Archive:
    """Synthetic segments and queries; the first half of the queries are examples."""

    segments: NDArray[np.float16]
    topics: NDArray[np.int64]
    queries: NDArray[np.float32]


def make_archive(n_segments: int, dim: int, n_queries: int) -> Archive:
    """Draw an archive; components have unequal variances, as those of real embeddings do."""
    rng = np.random.default_rng(0)
    spectrum = (1 / np.sqrt(1 + np.arange(dim) / 8)).astype(np.float32)

    def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)

    def draw(n: int) -> NDArray[np.float32]:
        return unit(rng.standard_normal((n, dim), dtype=np.float32) * spectrum)

    centres, mean = draw(N_TOPICS), draw(1)
    weights = (1 + np.arange(N_TOPICS)) ** -0.8
    weights /= weights.sum()
    segments = np.empty((n_segments, dim), dtype=np.float16)
    topics = np.empty(n_segments, dtype=np.int64)
    for start in range(0, n_segments, 100_000):
        n = min(100_000, n_segments - start)
        of = rng.choice(N_TOPICS, -(-n // SEGMENTS_PER_RECORDING), p=weights)
        recordings = centres[of] + 0.8 * draw(len(of)) + 0.7 * mean
        each = np.repeat(recordings, SEGMENTS_PER_RECORDING, axis=0)[:n]
        segments[start : start + n] = unit(each + 0.5 * draw(n))
        topics[start : start + n] = np.repeat(of, SEGMENTS_PER_RECORDING)[:n]
    n_half = n_queries // 2
    of = rng.choice(N_TOPICS, n_half, p=weights)
    examples = centres[of] + 0.8 * draw(n_half) + 0.7 * mean + 0.5 * draw(n_half)
    words = 0.35 * centres[of] + 0.1 * mean + unit(draw(1) + 0.5 * draw(n_half))
    return Archive(segments, topics, unit(np.concatenate([examples, words])))


def make_filters(archive: Archive) -> dict[str, SegmentBitmap | None]:
    """Return filters that let whole recordings through, and one that lets one topic through."""
    rng = np.random.default_rng(1)
    n = len(archive.segments)
    filters: dict[str, SegmentBitmap | None] = {"all": None}
    for percent in (50, 20, 5, 1, 0.1):
        recordings = rng.random(-(-n // SEGMENTS_PER_RECORDING)) < percent / 100
        chosen = np.flatnonzero(np.repeat(recordings, SEGMENTS_PER_RECORDING)[:n])
        filters[f"{percent} % of the recordings"] = pack_ids(chosen, n)
    largest = np.argsort(-np.bincount(archive.topics))[:4]
    chosen = np.flatnonzero(np.isin(archive.topics, largest))
    filters[f"4 topics ({len(chosen) / n:.0%})"] = pack_ids(chosen, n)
    return filters


def brute_force(archive: Archive) -> NDArray[np.float32]:
    """Return the score of each segment for each query, shape (queries, segments)."""
    scores = np.empty((len(archive.queries), len(archive.segments)), dtype=np.float32)
    for start in range(0, len(archive.segments), 50_000):
        block = slice(start, start + 50_000)
        scores[:, block] = archive.queries @ archive.segments[block].astype(np.float32).T
    return scores


def measure(
    search: Callable[[NDArray[np.float32]], NDArray[np.int64]],
    archive: Archive,
    exact_scores: NDArray[np.float32],
    what: str,
    allowed: SegmentBitmap | None = None,
) -> Row:
    """Search each query by itself; `search` returns its ids.

    A hit counts if its exact score reaches that of the tenth best, whatever its id.
    """
    n = len(archive.segments)
    members = np.ones(n, np.bool_) if allowed is None else unpack(allowed, n)
    search(archive.queries[:1])
    times_ms, recalls = [], []
    for query, scores in zip(archive.queries, exact_scores, strict=True):
        start = time.perf_counter()
        ids = search(query[np.newaxis])
        times_ms.append((time.perf_counter() - start) * 1000)
        wanted = min(K, int(np.count_nonzero(members)))
        least = np.partition(scores[members], -wanted)[-wanted] - 1e-6
        hits = ids[ids >= 0]
        recalls.append(np.count_nonzero(members[hits] & (scores[hits] >= least)) / wanted)
    half = len(recalls) // 2
    p50, p95 = np.percentile(times_ms, [50, 95])
    return Row(
        n,
        what,
        round(float(p50), 3),
        round(float(p95), 3),
        round(float(np.mean(recalls[:half])), 4),
        round(float(np.mean(recalls[half:])), 4),
    )


def measure_ours(archive: Archive, exact: NDArray[np.float32]) -> tuple[list[Row], Costs]:
    """Build, search, save and load our index."""
    process = psutil.Process()
    before = process.memory_info().rss
    index = FaissIndex(archive.segments.shape[1])
    seconds = [time.perf_counter()]
    index.add(np.arange(len(archive.segments)), archive.segments)
    seconds.append(time.perf_counter())
    index.optimise()
    seconds.append(time.perf_counter())
    memory_mb = (process.memory_info().rss - before) / 1e6
    rows = []
    for name, allowed in make_filters(archive).items():

        def ours(
            query: NDArray[np.float32], allowed: SegmentBitmap | None = allowed
        ) -> NDArray[np.int64]:
            return np.asarray(index.search(query, K, allowed=allowed)[1][0], np.int64)

        rows.append(measure(ours, archive, exact, f"Echoic, {name}", allowed))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        written = index.save(Path(folder) / "an.index")
        saved = time.perf_counter()
        FaissIndex.load(written.path, checksum=written.checksum)
        loaded = time.perf_counter()
    costs = Costs(
        n_segments=len(index),
        n_lists=index.n_lists,
        add_s=round(seconds[1] - seconds[0], 2),
        optimise_s=round(seconds[2] - seconds[1], 2),
        save_s=round(saved - start, 2),
        load_s=round(loaded - saved, 2),
        file_mb=round(written.size_bytes / 1e6, 1),
        memory_mb=round(memory_mb, 1),
    )
    return rows, costs


def measure_others(archive: Archive, exact: NDArray[np.float32]) -> list[Row]:
    """Search all segments with FAISS's flat indexes and with NumPy."""
    dim = archive.segments.shape[1]
    halves = faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    floats = faiss.IndexFlatIP(dim)
    rows = []
    for name, index in {"FAISS flat float16": halves, "FAISS IndexFlatIP": floats}.items():
        for start in range(0, len(archive.segments), 50_000):
            index.add(archive.segments[start : start + 50_000].astype(np.float32))

        def by_faiss(query: NDArray[np.float32], index: Any = index) -> NDArray[np.int64]:
            return np.asarray(index.search(query, K)[1][0], np.int64)

        rows.append(measure(by_faiss, archive, exact, name))
        index.reset()
    matrix = archive.segments.astype(np.float32)

    def by_numpy(query: NDArray[np.float32]) -> NDArray[np.int64]:
        scores = matrix @ query[0]
        best = np.argpartition(scores, -K)[-K:]
        return np.asarray(best[np.argsort(-scores[best])], np.int64)

    rows.append(measure(by_numpy, archive, exact, "NumPy float32 matmul"))
    return rows


def print_tables(rows: list[Row], costs: list[Costs]) -> None:
    """Print both tables in Markdown."""
    print("\n| Segments | Search | p50 ms | p95 ms | recall@10 by example | by words |")
    print("|---:|---|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.n_segments:,} | {row.what} | {row.p50_ms:.2f} | {row.p95_ms:.2f} "
            f"| {row.recall_example:.3f} | {row.recall_words:.3f} |"
        )
    print("\n| Segments | Lists | add s | optimise s | save s | load s | file MB | memory MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for cost in costs:
        print(
            f"| {cost.n_segments:,} | {cost.n_lists} | {cost.add_s:.1f} | {cost.optimise_s:.1f} "
            f"| {cost.save_s:.1f} | {cost.load_s:.1f} | {cost.file_mb:.0f} "
            f"| {cost.memory_mb:.0f} |"
        )


def main() -> None:
    """Measure, print, and write ``results/search_latency.json``."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--dim", type=int, default=384, help="components of a vector (384)")
    parser.add_argument("--queries", type=int, default=200, help="how many (200)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="10 k and 100 k segments, 40 queries")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.queries = [10_000, 100_000], 40
    rows: list[Row] = []
    costs: list[Costs] = []
    for size in options.sizes:
        archive = make_archive(size, options.dim, options.queries)
        exact = brute_force(archive)
        ours, cost = measure_ours(archive, exact)
        rows += [*ours, *measure_others(archive, exact)]
        costs.append(cost)
        print(f"{size:,} segments measured", flush=True)
    print_tables(rows, costs)
    RESULTS.mkdir(exist_ok=True)
    result = {
        "dim": options.dim,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "faiss": faiss.__version__,
        "search": [asdict(row) for row in rows],
        "costs": [asdict(cost) for cost in costs],
    }
    (RESULTS / "search_latency.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What vectors on a Milvus server cost: time to send and to search, bytes, and what filters lose.

Run from the project's root, with ``echoic[milvus]`` and milvus-lite installed::

    python -m benchmarks.milvus                                    # Milvus Lite, started for it
    python -m benchmarks.milvus --uri http://host:19530 --segments 10000000

Vectors lie in groups around centres, as those of sounds do; a filter allows recordings of ten
segments, drawn at random. The same vectors in FAISS in this process are the yardstick for hits and
times.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
import psutil
from numpy.typing import NDArray

from db.errors import VectorIndexError
from db.faiss_index import FaissIndex
from db.milvus_index import CLUSTERED, EXACT, EXACT_UP_TO, MilvusIndex
from db.milvus_server import MilvusServer
from db.vectors import VectorIndex, pack_ranges

RESULTS = Path(__file__).parent / "results"
SEGMENTS_PER_RECORDING = 10
SHARES = (None, 0.5, 0.05, 0.005, 0.001)
N_QUERIES = 20
K = 20
BLOCK = 10_000


def blocks(n: int, dim: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2000, dim)).astype(np.float32)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        drawn = centres[rng.integers(0, len(centres), count)]
        drawn = drawn + 0.6 * rng.standard_normal((count, dim)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        yield np.arange(start, start + count), drawn.astype(np.float16)


@contextmanager
def server(uri: str | None) -> Iterator[tuple[MilvusServer, psutil.Process | None, Path | None]]:
    """Give the server that is named, or Milvus Lite with its process and its folder."""
    if uri is not None:
        yield MilvusServer(uri), None, None
        return
    with tempfile.TemporaryDirectory() as folder:
        where = ["--host", "127.0.0.1", "--port", "19539", "--data-dir", folder]
        process = subprocess.Popen([sys.executable, "-m", "milvus_lite", "server", *where])
        try:
            yield _answering("http://127.0.0.1:19539"), psutil.Process(process.pid), Path(folder)
        finally:
            process.kill()
            process.wait()


def _answering(uri: str) -> MilvusServer:
    for _ in range(100):
        try:
            return MilvusServer(uri)
        except VectorIndexError:
            time.sleep(0.3)
    return MilvusServer(uri)


def timed(
    index: VectorIndex, queries: NDArray[np.float32], allowed: NDArray[np.uint8] | None
) -> tuple[float, NDArray[np.int64]]:
    """Return the median time of a query in milliseconds, and what all of them found."""
    index.search(queries[:1], K, allowed=allowed)
    took, found = [], []
    for query in queries:
        began = time.perf_counter()
        found.append(index.search(query[np.newaxis], K, allowed=allowed)[1][0])
        took.append(1000 * (time.perf_counter() - began))
    return float(np.median(took)), np.stack(found)


def measure(uri: str | None, n: int, dim: int) -> dict[str, Any]:
    exact = FaissIndex(dim, exact_up_to=10**9)
    queries = np.concatenate([vectors[:5] for _, vectors in blocks(4 * BLOCK, dim)])
    with server(uri) as (connected, process, folder):
        kind = EXACT if connected.is_lite or n <= EXACT_UP_TO else CLUSTERED
        index = MilvusIndex.create(connected, "echoic_benchmark", dim, kind=kind)
        sending_s = 0.0
        for ids, vectors in blocks(n, dim):
            exact.add(ids, vectors)
            began = time.perf_counter()
            index.add(ids, vectors)
            sending_s += time.perf_counter() - began
        began = time.perf_counter()
        index.optimise()
        flushing_s = time.perf_counter() - began
        result: dict[str, Any] = {
            "server": connected.version,
            "segments": n,
            "dim": dim,
            "index": kind,
            "sent_per_s": round(n / sending_s),
            "flushing_s": round(flushing_s, 2),
            "load": os.getloadavg()[0],
            "filters": [
                against(index, exact, queries.astype(np.float32), n, share) for share in SHARES
            ],
        }
        began = time.perf_counter()
        attached = MilvusIndex.attach(connected, index.name, dim)
        result["ids_read_per_s"] = round(len(attached) / (time.perf_counter() - began))
        if process is not None and folder is not None:
            result["server_memory_bytes"] = process.memory_info().rss
            files = [path for path in folder.rglob("*") if path.is_file()]
            result["server_disk_bytes"] = sum(path.stat().st_size for path in files)
        connected.drop(index.name)
    return result


def against(
    index: VectorIndex,
    exact: VectorIndex,
    queries: NDArray[np.float32],
    n: int,
    share: float | None,
) -> dict[str, Any]:
    allowed = None
    if share is not None:
        n_recordings = n // SEGMENTS_PER_RECORDING
        rng = np.random.default_rng(1)
        chosen = np.sort(rng.choice(n_recordings, round(share * n_recordings), replace=False))
        firsts = SEGMENTS_PER_RECORDING * chosen
        allowed = pack_ranges(firsts, np.full(len(firsts), SEGMENTS_PER_RECORDING), n)
    server_ms, found = timed(index, queries[:N_QUERIES], allowed)
    here_ms, wanted = timed(exact, queries[:N_QUERIES], allowed)
    hits = [np.isin(w, f).mean() for f, w in zip(found, wanted, strict=True)]
    return {
        "share": share,
        "recall": float(np.mean(hits)),
        "server_ms": round(server_ms, 1),
        "faiss_ms": round(here_ms, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uri")
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    result = measure(options.uri, options.segments, options.dim)
    print(json.dumps(result, indent=2))
    (RESULTS / "milvus.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

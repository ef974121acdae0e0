"""How long a search takes, everything included: words to hits, with conditions and facets.

A million segments of 100,000 recordings lie in a catalogue as `echoic index` makes them; names,
measures and vectors are made up (noise about the background of the encoder, so that real phrases
find something), the encoder and everything else are real. One query at a time, on one thread.

    python -m benchmarks.search_engine                 # about ten minutes, 8 GB of memory
    python -m benchmarks.search_engine --recordings 10000
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from sqlalchemy import insert, update

from benchmarks.absent_phrases import ABSENT
from benchmarks.filters import fill
from db.catalogue import Catalogue
from db.schema import EmbeddingRow, EncoderRow, RecordingRow
from db.segment_index import SegmentIndex, save_indexes
from db.writer import CatalogueWriter
from indexer.encoders import load_encoder
from search.engine import SearchEngine

SEGMENTS = 10
DURATION_S = 27.5
FACETS = ("tag", "category", "collection", "format", "licence")
CASES = {
    "words": "{}",
    "words, duration:<10000": "{} duration:<10000",
    "words, format:wav": "{} format:wav",
    "words, a collection, since 2000": '{} collection:"collection 3" recorded:2000..',
    "words, one category in 80": "{} category:category7",
    "words without music": "{} -music",
    "two sounds": "{} & rain",
    "one then another": "{} then rain",
}


def add_vectors(catalogue: Catalogue, n: int, segments: int = SEGMENTS) -> None:
    """Give every recording some segments, and save the index as a run of indexing does."""
    encoder = load_encoder()
    background = encoder.calibration.background
    rng = np.random.default_rng(1)
    with catalogue.transaction() as session:
        session.execute(update(RecordingRow).values(duration_s=DURATION_S))
        row = EncoderRow(
            name=encoder.id,
            dim=encoder.dim,
            sample_rate=encoder.sample_rate,
            window_s=encoder.window_s,
            hop_s=encoder.hop_s,
            next_segment=n * segments,
            n_removals=0,
        )
        session.add(row)
        session.flush()
        for start in range(0, n, 2000):
            count = min(2000, n - start)
            centres = background[rng.integers(len(background), size=count)]
            noise = rng.standard_normal((count, segments, encoder.dim)).astype(np.float32)
            vectors = centres[:, None] + 0.9 * noise / np.sqrt(encoder.dim)
            vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
            session.execute(
                insert(EmbeddingRow),
                list(_rows(vectors.astype("<f2"), start, row.id)),
            )
    with CatalogueWriter(catalogue) as writer:
        save_indexes(writer)


def _rows(vectors: np.ndarray, start: int, encoder_id: int) -> Iterator[dict[str, Any]]:
    for number, of_recording in enumerate(vectors):
        blob = of_recording.tobytes()
        yield {
            "recording_id": start + number + 1,
            "encoder_id": encoder_id,
            "first_segment": (start + number) * len(of_recording),
            "n_segments": len(of_recording),
            "checksum": zlib.crc32(blob),
            "vectors": blob,
        }


def measure(catalogue: Catalogue) -> dict[str, dict[str, float]]:
    """Time each case over all phrases, with five facets."""
    engine = SearchEngine(catalogue)
    in_index = 0.0
    searched = SegmentIndex.search

    def timed(*args: Any, **values: Any) -> Any:
        nonlocal in_index
        began = time.perf_counter()
        result = searched(*args, **values)
        in_index += time.perf_counter() - began
        return result

    SegmentIndex.search = timed
    for _ in range(2):
        engine.search("rain duration:<10000 format:wav", facets=FACETS)
    result = {}
    for name, pattern in CASES.items():
        times, n_hits = [], []
        in_index = 0.0
        for phrase in ABSENT:
            began = time.perf_counter()
            found = engine.search(pattern.format(phrase), facets=FACETS)
            times.append(time.perf_counter() - began)
            n_hits.append(len(found.hits) + len(found.near_misses))
        result[name] = {
            "p50_ms": round(1000 * float(np.median(times)), 1),
            "p95_ms": round(1000 * float(np.quantile(times, 0.95)), 1),
            "share_of_index": round(in_index / sum(times), 2),
            "hits_and_misses": round(float(np.mean(n_hits)), 1),
        }
        print(name, result[name], flush=True)
    return result


def main() -> None:
    """Make the catalogue, measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--catalogue", type=Path, help="keep the catalogue here, or use it again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = options.catalogue or Path(name) / "catalogue"
        is_new = not place.exists()
        with Catalogue.open(place, create=True) as catalogue:
            if is_new:
                fill(catalogue, options.recordings)
                add_vectors(catalogue, options.recordings)
            print(json.dumps(measure(catalogue), indent=2))


if __name__ == "__main__":
    main()

"""How long a search takes right after somebody has committed, in an engine that is open.

    python -m benchmarks.refresh                       # 10,000 and 100,000 recordings; ten minutes
    python -m benchmarks.refresh --recordings 1000000 --segments 1
    python -m benchmarks.refresh --postgres            # on a server that is started for it

The archive is made up, as in `filters.py`, with vectors and small fingerprints; the encoder and
everything else are real. One process commits as `echoic index` does and another, which has been
searching, asks again: words, a condition and five facets, as the browser asks. One thread.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from sqlalchemy import func, insert, select, text

from benchmarks.filters import fill, word
from benchmarks.search_engine import FACETS, add_vectors
from db.catalogue import Catalogue
from db.features import GUARD_FRAMES
from db.filters import RecordingFilter
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.landmarks import Landmarks, checksum, pack
from db.records import Analysis, Description, EncoderInfo, SchemeInfo
from db.schema import FileRow, FingerprintRow, FingerprintSchemeRow
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from indexer.encoders import load_encoder
from indexer.landmarks import LandmarkFingerprinter, stored_frequencies
from search.engine import SearchEngine
from search.language import parse
from tests.db.conftest import analysis
from tests.postgres import running_server

BATCH = 64
N_LANDMARKS, N_FRAMES = 40, 400
QUESTION = f"rain duration:<10000 tag:{word(10)}"
MARKS = LandmarkFingerprinter()


def landmarks(rng: np.random.Generator) -> Landmarks:
    """Make the landmarks of a few seconds."""
    frames = np.sort(rng.integers(0, N_FRAMES, N_LANDMARKS)).astype(np.int32)
    pitched = rng.integers(0, 1024, N_LANDMARKS).astype(np.float32)
    level, is_witness = np.zeros(N_LANDMARKS, np.float32), np.zeros(N_LANDMARKS, np.bool_)
    frequencies = stored_frequencies(pitched, level, is_witness)
    order = np.lexsort((frequencies, frames))
    return Landmarks(frames, frequencies[order], N_FRAMES)


def add_fingerprints(catalogue: Catalogue, n: int) -> None:
    """Give every recording a fingerprint, and save the index as a run of indexing does."""
    rng = np.random.default_rng(2)
    step = N_FRAMES + GUARD_FRAMES
    with catalogue.transaction() as session:
        scheme = FingerprintSchemeRow(
            name=MARKS.id, frame_s=MARKS.frame_s, next_frame=n * step, n_removals=0
        )
        session.add(scheme)
        session.flush()
        for start in range(0, n, 2000):
            rows = []
            for number in range(start, min(start + 2000, n)):
                blob = pack(landmarks(rng))
                rows.append(
                    {
                        "recording_id": number + 1,
                        "scheme_id": scheme.id,
                        "first_frame": number * step,
                        "n_frames": N_FRAMES,
                        "n_landmarks": N_LANDMARKS,
                        "checksum": checksum(blob),
                        "landmarks": blob,
                    }
                )
            session.execute(insert(FingerprintRow), rows)
    with CatalogueWriter(catalogue) as writer:
        save_fingerprint_index(writer, MARKS.id, MARKS.keys, key_bits=MARKS.key_bits)


class Others:
    """Who commits while somebody searches."""

    def __init__(self, location: str) -> None:
        self._catalogue = Catalogue.open(location)
        self._writer = CatalogueWriter(self._catalogue)
        self._writer.__enter__()
        encoder = load_encoder()
        self._encoder = EncoderInfo(
            encoder.id, encoder.dim, encoder.sample_rate, encoder.window_s, encoder.hop_s
        )
        self._rng = np.random.default_rng(3)
        self._n = self._file_id = 0
        self._name = f"new/{time.time_ns()}"  # contents that are there already are not stored again

    def close(self) -> None:
        """Let go of the catalogue."""
        self._writer.__exit__(None, None, None)
        self._catalogue.close()

    def add(self) -> None:
        """Commit a batch of new recordings."""
        self._writer.store([self._recording() for _ in range(BATCH)])

    def describe(self) -> None:
        """Say something else of one file."""
        said = Description(title=f"Changed {self._n}", tags=(word(10),))
        self._writer.redescribe(self._next_file(), said, None)

    def replace(self) -> None:
        """Put another content into the place of one file, whose old content goes."""
        file_id = self._next_file()
        with self._catalogue.session() as session:
            row = session.get_one(FileRow, file_id)
            collection_id, path = row.collection_id, row.path
        self._writer.store([replace(self._recording(), collection_id=collection_id, path=path)])

    def _next_file(self) -> int:
        self._file_id += 50
        return self._file_id

    def _recording(self) -> Analysis:
        self._n += 1
        said = Description(
            title=f"Take {self._n}", tags=(word(self._n % 50), "new"), creator="Person 7"
        )
        made = analysis(1, f"{self._name}/{self._n}.wav", n_segments=2, description=said)
        vectors = self._rng.standard_normal((2, self._encoder.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return replace(
            made,
            vectors={self._encoder: vectors.astype(np.float16)},
            fingerprints={SchemeInfo(MARKS.id, MARKS.frame_s): landmarks(self._rng)},
        )


def measure(catalogue: Catalogue, others: Others, rounds: int) -> None:
    """Print how long each part, and a whole search, takes after each kind of change."""
    engine = SearchEngine(catalogue)
    filter_ = RecordingFilter(catalogue)
    segments = SegmentIndex.open(catalogue, engine.encoder)
    marks = FingerprintIndex.open(catalogue, MARKS.id, MARKS.keys, key_bits=MARKS.key_bits)
    conditions = parse(QUESTION).conditions

    def facets() -> None:
        filter_.matching(conditions)
        filter_.facets(None, FACETS)

    parts: dict[str, Callable[[], Any]] = {
        "conditions and facets": facets,
        "index of vectors": segments.refresh,
        "index of fingerprints": marks.refresh,
        "a whole search": lambda: engine.search(QUESTION, facets=FACETS),
    }
    for part in parts.values():
        for _ in range(2):
            part()
    changes: dict[str, Callable[[], None]] = {
        "nothing": lambda: None,
        f"{BATCH} recordings added": others.add,
        "one file described": others.describe,
        "one file replaced": others.replace,
    }
    for change, commit in changes.items():
        found = []
        for name, part in parts.items():
            times = []
            for _ in range(rounds):
                commit()
                began, cpu = time.perf_counter(), time.process_time()
                part()
                times.append((time.perf_counter() - began, time.process_time() - cpu))
            elapsed_s, cpu_s = np.median(times, axis=0)
            found.append(f"{name} {elapsed_s:.3f} s ({cpu_s:.3f} s of CPU)")
        print(f"  {change}: {', '.join(found)}", flush=True)


@contextmanager
def new_location(*, on_server: bool) -> Iterator[str]:
    """Give a place for a catalogue that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if not on_server:
            yield str(Path(folder) / "catalogue")
            return
        os.environ["XDG_DATA_HOME"] = folder
        with running_server(durable=True) as server:
            yield server.new_database()


def prepare(location: str, n: int, segments: int) -> None:
    """Make the archive."""
    with Catalogue.open(location, create=True) as catalogue:
        fill(catalogue, n)
        add_vectors(catalogue, n, segments)
        add_fingerprints(catalogue, n)
        if "://" in location:
            with catalogue.transaction() as session:
                for table in ("recordings", "files"):  # numbers were given by us
                    most = select(func.max(text("id"))).select_from(text(table)).scalar_subquery()
                    sequence = func.pg_get_serial_sequence(table, "id")
                    session.execute(select(func.setval(sequence, most)))


def main() -> None:
    """Make archives, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--recordings", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--segments", type=int, default=2, help="of a recording")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--catalogue", type=Path, help="keep the catalogue here, or use it again")
    options = parser.parse_args()
    for n in options.recordings:
        with new_location(on_server=options.postgres) as location:
            place = str(options.catalogue) if options.catalogue else location
            if options.catalogue is None or not options.catalogue.exists():
                began = time.perf_counter()
                prepare(place, n, options.segments)
                print(f"{n:,} recordings, made in {time.perf_counter() - began:.0f} s", flush=True)
            others = Others(place)
            try:
                with Catalogue.open(place) as catalogue:
                    measure(catalogue, others, options.rounds)
            finally:
                others.close()


if __name__ == "__main__":
    main()

"""What SQLite and PostgreSQL bear under a catalogue: writing at once, bulk, searching meanwhile.

    python -m benchmarks.databases [--recordings 2000] [--url postgresql://USER@HOST/postgres]

Recordings are made up (24 segments of 384 numbers, 700 landmarks: a minute of sound); the rest is
what `echoic index` and the pages do. Each writer and each reader is a process of its own. Without a
URL a PostgreSQL server is started for the purpose, with the settings that it has by default.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
from sqlalchemy import text

from db.catalogue import Catalogue
from db.conditions import Condition, Range
from db.filters import RecordingFilter
from db.lists import NewEntry, add_entries
from db.records import Analysis, Description, EncoderInfo, SchemeInfo
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import analysis, marks
from tests.postgres import running_server

ENCODER = EncoderInfo("echoic-mini/2", dim=384, sample_rate=32_000, window_s=5.0, hop_s=2.5)
SCHEME = SchemeInfo("echoic-landmarks/3", frame_s=0.016)
N_SEGMENTS, N_LANDMARKS, N_FRAMES = 24, 700, 3750
BATCH = 64
_CONTEXT = multiprocessing.get_context("spawn")
_start: Barrier  # of all processes that work at the same time


def recording(collection_id: int, name: str) -> Analysis:
    """Make what analysing a minute of sound gives."""
    said = Description(title=f"Take {name}", description="A dog barks behind a gate", tags=("dog",))
    made = analysis(
        collection_id, f"{name}.wav", n_segments=N_SEGMENTS, description=said, encoder=ENCODER
    )
    landmarks = marks(name, n_landmarks=N_LANDMARKS, n_frames=N_FRAMES)
    return replace(made, fingerprints={SCHEME: landmarks})


def bulk(location: str, number: int, n: int) -> list[float]:
    """Index `n` recordings in batches, as fast as the database takes them."""
    with Catalogue.open(location) as catalogue, CatalogueWriter(catalogue, alone=False) as writer:
        collection = writer.add_collection(f"tapes-{number}", f"/tapes/{number}").id
        batches = [
            [recording(collection, f"{number}-{i}") for i in range(start, min(start + BATCH, n))]
            for start in range(0, n, BATCH)
        ]
        writer.store([recording(collection, f"{number}-first")])
        _start.wait()
        began, cpu = time.time(), time.process_time()
        for batch in batches:
            writer.store(batch)
        return [began, time.time(), time.process_time() - cpu]


def small(location: str, number: int, n: int) -> list[float]:
    """Put `n` passages into a list, each in a transaction of its own, as a user would."""
    with Catalogue.open(location) as catalogue:
        for i in range(2):  # the first take longer
            add_entries(catalogue, f"list {number}", [NewEntry(1, float(i), i + 0.5)])
        _start.wait()
        began = time.time()
        for i in range(n):
            add_entries(catalogue, f"list {number}", [NewEntry(1, float(i), i + 1.0)])
        return [began, time.time()]


def search(location: str, number: int, n: int) -> list[float]:
    """Search `n` times by sound, with a condition."""
    rng = np.random.default_rng(number)
    with Catalogue.open(location) as catalogue:
        index, recordings = SegmentIndex.open(catalogue, ENCODER.name), RecordingFilter(catalogue)

        def ask() -> None:
            query = rng.standard_normal((1, ENCODER.dim)).astype(np.float32)
            index.refresh()
            allowed = recordings.matching([Condition("duration", (Range(1.0, 60.0),))])
            _, segments = index.search(query, 80, recording_ids=allowed)
            owners, _ = index.locate(segments[segments >= 0])
            catalogue.recordings(owners[:20].tolist())

        ask()
        _start.wait()
        began = time.time()
        for _ in range(n):
            ask()
        return [began, time.time()]


def together(
    work: Callable[[str, int, int], list[float]], location: str, n_processes: int, n: int
) -> list[list[float]]:
    """Let processes do the same work at the same time."""
    with _pool(n_processes) as pool:
        tasks = [(location, number, n) for number in range(n_processes)]
        return pool.starmap(work, tasks, chunksize=1)


def _pool(n_processes: int) -> Pool:
    return _CONTEXT.Pool(n_processes, _prepare, (_CONTEXT.Barrier(n_processes),))


def _prepare(start: Barrier) -> None:
    global _start
    _start = start


def rate(spans: list[list[float]], n: int) -> float:
    """Return how many were done in a second, all processes together."""
    return len(spans) * n / (max(span[1] for span in spans) - min(span[0] for span in spans))


def measure(name: str, make: Callable[[], str], n: int) -> None:
    """Print the figures of one database."""
    location = ""
    for n_writers in (1, 4) if "PostgreSQL" in name else (1,):
        location = make()
        Catalogue.open(location, create=True).close()
        each = n // n_writers
        spans = together(bulk, location, n_writers, each)
        cpu_ms = 1000 * sum(span[2] for span in spans) / (each * n_writers)
        print(
            f"{name}: bulk, writers {n_writers}: {rate(spans, each):.0f} recordings/s, "
            f"{cpu_ms:.1f} ms of CPU each in the indexers",
            flush=True,
        )
    with Catalogue.open(location) as catalogue:
        print(f"{name}: {database_bytes(catalogue) / n:.0f} bytes a recording")
    for n_writers in (1, 4, 16):
        found = rate(together(small, location, n_writers, 40), 40)
        print(f"{name}: small changes, writers {n_writers}: {found:.0f} commits/s", flush=True)
    for n_readers in (1, 16):
        found = rate(together(search, location, n_readers, 20), 20)
        print(f"{name}: readers {n_readers}: {found:.0f} searches/s", flush=True)
    with _pool(17) as pool:
        tasks = [(location, number, 20) for number in range(16)]
        reading = pool.starmap_async(search, tasks, chunksize=1)
        pool.apply(bulk, (location, 99, n // 4))
        found = rate(reading.get(), 20)
    print(f"{name}: readers 16 while one indexes: {found:.0f} searches/s", flush=True)
    began = time.perf_counter()
    with Catalogue.open(location) as catalogue:
        index = SegmentIndex.open(catalogue, ENCODER.name)
        print(f"{name}: {len(index)} segments from SQL: {time.perf_counter() - began:.2f} s")


def database_bytes(catalogue: Catalogue) -> int:
    """Return the size of the catalogue's tables and indexes."""
    from db.engine import database_size

    with catalogue.session() as session:
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            return database_size(connection)
        sizes = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND "
        mine = "relnamespace = 'public'::regnamespace"
        return int(connection.execute(text(sizes + mine)).scalar_one())


@contextmanager
def databases(url: str | None) -> Iterator[Callable[[], str]]:
    """Give what makes an empty database on a server."""
    if url is None:
        with running_server(durable=True) as server:
            yield server.new_database
        return
    import uuid

    from sqlalchemy import create_engine, make_url

    server_url = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")

    def make() -> str:
        name = f"echoic_benchmark_{uuid.uuid4().hex[:8]}"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return server_url.set(database=name).render_as_string(hide_password=False)

    yield make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=2000)
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, databases(options.url) as on_server:
        os.environ["XDG_DATA_HOME"] = folder
        measure(
            "SQLite", lambda: str(Path(folder) / f"catalogue-{time.time_ns()}"), options.recordings
        )
        measure("PostgreSQL", on_server, options.recordings)


if __name__ == "__main__":
    main()

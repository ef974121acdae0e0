"""What fingerprints in parts on a Ray cluster cost against one index on one machine.

    python -m benchmarks.partitions [--hours 100] [--parts 3]

The archive is that of `benchmarks.postings`. The cluster is of this machine: two raylets, so that
the figures show what Ray itself costs, and nothing of a network.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import psutil

from benchmarks.postings import (
    KEY_BITS,
    RESULTS,
    SCHEME,
    described,
    made_up_keys,
    store,
    timed_ms,
    unequal_keys,
)
from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.fingerprint_location import OnCluster
from db.partitioned_index import PartitionedIndex
from db.writer import CatalogueWriter

LOOKUPS = ((1_500, 100_000), (4_500, 200_000))
"""Keys and budget of the first and the second look of `echoic identify`."""

PLACES, SPAN = 32, 625


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=int, default=100)
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head = {"num_cpus": 1, "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=1)
        place = OnCluster(cluster.address, arguments.parts)
        row = measure(Path(folder) / "catalogue", place, arguments.hours, arguments.repeats)
        cluster.shutdown()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "partitions.json").write_text(json.dumps(row, indent=2))


def measure(folder: Path, place: OnCluster, hours: int, repeats: int) -> dict[str, float]:
    """Make an archive and its index, both ways; return sizes and times."""
    from indexer.ray_cluster import disconnect
    from indexer.ray_parts import RayParts

    with Catalogue.open(folder, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        store(catalogue, hours)
        row: dict[str, float] = {"hours": hours}
        row["one machine: build s"] = timed_s(
            lambda: save_fingerprint_index(writer, SCHEME.name, made_up_keys, key_bits=KEY_BITS)
        )
        row["one machine: MB"] = megabytes(catalogue.index_folder.glob("*.postings"))
        alone = FingerprintIndex.open(catalogue, SCHEME.name, made_up_keys, key_bits=KEY_BITS)
        in_parts = PartitionedIndex.open(
            catalogue,
            SCHEME.name,
            made_up_keys,
            key_bits=KEY_BITS,
            connect=lambda: RayParts(
                catalogue, place, SCHEME.name, made_up_keys, key_bits=KEY_BITS
            ),
        )
        row["parts: build s"] = timed_s(in_parts.prepare)
        files = catalogue.index_folder / "parts"
        row["each part: MB"] = megabytes(files.rglob("*.postings")) / (place.n_parts or 1)
        for name, index in (("one machine", alone), ("parts", in_parts)):
            row |= measure_lookups(name, index, repeats)
            row |= measure_places(name, index, repeats)
        used = [process.memory_full_info().uss / 1e6 for process in processes()]
        row["each part: MB of its own memory"] = float(np.mean(used))
        print(described(row))
        disconnect()
    return row


def measure_lookups(name: str, index: ArchiveFrames, repeats: int) -> dict[str, float]:
    """Look up other keys each time, once before it counts."""
    row = {}
    for n_keys, budget in LOOKUPS:
        rng = np.random.default_rng(2)
        queries = [unequal_keys(rng, n_keys) for _ in range(repeats)]
        for keys in queries:
            index.lookup(keys, budget=budget)
        elapsed_ms = [
            timed_ms(lambda k=keys, b=budget: index.lookup(k, budget=b)) for keys in queries
        ]
        row[f"{name}: {n_keys} keys, ms"] = float(np.median(elapsed_ms))
        row[f"{name}: {n_keys} keys, fastest ms"] = min(elapsed_ms)
    return row


def measure_places(name: str, index: ArchiveFrames, repeats: int) -> dict[str, float]:
    """Read the landmarks of ten seconds at random places, as many as a query weighs."""
    rng = np.random.default_rng(3)
    elapsed_ms = []
    for _ in range(repeats):
        firsts = rng.integers(0, index.n_frames - SPAN, PLACES).tolist()
        spans = [(first, first + SPAN) for first in firsts]
        elapsed_ms.append(timed_ms(lambda s=spans: read(index, s)))
    return {
        f"{name}: {PLACES} places, ms": float(np.median(elapsed_ms)),
        f"{name}: {PLACES} places, fastest ms": min(elapsed_ms),
    }


def read(index: ArchiveFrames, spans: list[tuple[int, int]]) -> None:
    """Do what weighing does."""
    index.expect(spans)
    for span in spans:
        index.landmarks(*span)


def megabytes(files: Iterable[Path]) -> float:
    """Return the size of some files."""
    return sum(path.stat().st_size for path in files) / 1e6


def processes() -> list[psutil.Process]:
    """Return the processes of parts."""
    return [p for p in psutil.process_iter() if p.name().startswith("ray::Partition")]


def timed_s(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    return timed_ms(work) / 1e3


if __name__ == "__main__":
    main()

"""How large the fingerprint index is, how long it takes to build, and how long lookups take.

    python -m benchmarks.postings [--hours 10 100 1000]

Archives of recordings of an hour are made up: 24 landmarks and 120 keys a second, the keys as
unequal as those of real sound. Each is stored in a catalogue under a temporary folder, its index is
built as `echoic index` does, and then looked up in by keys of the same kind. A thousand hours take
3 GB of disk while the parts are merged.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.features import FeatureStore
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.landmarks import Landmarks
from db.records import SchemeInfo
from db.schema import RecordingRow
from db.writer import CatalogueWriter

RESULTS = Path(__file__).parent / "results"
SCHEME = SchemeInfo("made-up/1", 0.016)
KEY_BITS = 28
N_FRAMES = 225_000  # an hour
N_LANDMARKS = 24 * 3600
N_KEYS = 120 * 3600
N_DISTINCT = 1 << 24
BUDGET = 500_000
LOOKUPS = (500, 8_000, 50_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--repeats", type=int, default=21)
    arguments = parser.parse_args()
    rows = []
    for hours in arguments.hours:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder) / "catalogue", hours, arguments.repeats))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "postings.json").write_text(json.dumps(rows, indent=2))


def measure(folder: Path, hours: int, repeats: int) -> dict[str, float]:
    """Make an archive and its index; return sizes and times."""
    with Catalogue.open(folder, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        store(catalogue, hours)
        started = time.perf_counter()
        save_fingerprint_index(writer, SCHEME.name, made_up_keys, key_bits=KEY_BITS)
        row: dict[str, float] = {"hours": hours, "build_s": time.perf_counter() - started}
        row["build_peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        size_bytes = sum(path.stat().st_size for path in catalogue.index_folder.iterdir())
        row["mb_per_hour"] = size_bytes / 1e6 / hours
        started = time.perf_counter()
        index = FingerprintIndex.open(catalogue, SCHEME.name, made_up_keys, key_bits=KEY_BITS)
        row["open_ms"] = (time.perf_counter() - started) * 1e3
        print(f"{hours} h, {index.n_postings:,} postings: " + described(row))
        for n_keys in LOOKUPS:
            for budget in (None, BUDGET):
                name = f"{n_keys} keys, " + ("all" if budget is None else f"budget {budget}")
                row |= measure_lookups(index, name, n_keys, budget, repeats)
        row |= measure_landmarks(index, repeats)
        return row


def store(catalogue: Catalogue, hours: int) -> None:
    """Store recordings of an hour, each with landmarks of its own."""
    rng = np.random.default_rng(1)
    frames = np.sort(rng.integers(0, N_FRAMES, N_LANDMARKS)).astype(np.int32)
    for first in range(0, hours, 20):
        with catalogue.transaction() as session:
            for number in range(first, min(first + 20, hours)):
                frequencies = rng.integers(0, 1024, N_LANDMARKS).astype(np.uint16)
                order = np.lexsort((frequencies, frames))
                recording = made_up_recording(number)
                session.add(recording)
                session.flush()
                landmarks = Landmarks(frames, frequencies[order], N_FRAMES)
                FeatureStore(session, [recording.id]).add_fingerprint(
                    recording.id, SCHEME, landmarks
                )


def made_up_recording(number: int) -> RecordingRow:
    """Return a recording that nothing but its fingerprint is known of."""
    return RecordingRow(
        content_hash=f"sha256:{number}",
        size_bytes=0,
        duration_s=3600.0,
        sample_rate=44_100,
        channels=1,
        format="WAV",
        codec="PCM_16",
        bit_depth=16,
        warnings=[],
        indexed_at=datetime.now(UTC),
    )


def made_up_keys(landmarks: Landmarks) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Draw the keys of a recording; the same for the same landmarks."""
    rng = np.random.default_rng(landmarks.frequencies[:16])
    frames = rng.integers(0, landmarks.n_frames, N_KEYS, dtype=np.int32)
    return unequal_keys(rng, N_KEYS), frames


def unequal_keys(rng: np.random.Generator, count: int) -> NDArray[np.uint32]:
    """Draw keys of 28 bits, 2^24 different ones, so that two are alike once in about 2^22 times.

    The commonest stands for one key in 4,096, the frequency falls with the root of the rank.
    """
    ranks = (rng.random(count) ** 2 * N_DISTINCT).astype(np.uint32)
    keys: NDArray[np.uint32] = ranks * np.uint32(0x2545F491) & np.uint32(2**KEY_BITS - 1)
    return keys


def measure_lookups(
    index: FingerprintIndex, name: str, n_keys: int, budget: int | None, repeats: int
) -> dict[str, float]:
    """Look up other keys each time, then again the same ones."""
    rng = np.random.default_rng(2)
    queries = [unequal_keys(rng, n_keys) for _ in range(repeats)]
    n_found = np.median([len(index.lookup(keys, budget=budget).which) for keys in queries])
    elapsed_ms = [timed_ms(lambda keys=keys: index.lookup(keys, budget=budget)) for keys in queries]
    row = {
        f"{name}: ms": float(np.median(elapsed_ms)),
        f"{name}: fastest ms": min(elapsed_ms),
        f"{name}: postings": float(n_found),
    }
    print("    " + described(row))
    return row


def measure_landmarks(index: FingerprintIndex, repeats: int) -> dict[str, float]:
    """Read the landmarks of ten seconds at random places."""
    firsts = np.random.default_rng(3).integers(0, index.n_frames - 625, 50 * repeats).tolist()
    elapsed_ms = [timed_ms(lambda at=first: index.landmarks(at, at + 625)) for first in firsts]
    row = {"landmarks of 10 s: us": float(np.median(elapsed_ms)) * 1e3}
    print("    " + described(row))
    return row


def timed_ms(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def described(row: dict[str, float]) -> str:
    """Return figures as a line."""
    return ", ".join(f"{name} {value:,.2f}" for name, value in row.items())


if __name__ == "__main__":
    main()

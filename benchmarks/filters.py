"""How fast filters, facets and keywords are, and whether a filtered search still finds the best.

Run from the project's root::

    python -m benchmarks.filters                      # 100,000 recordings in SQL
    python -m benchmarks.filters --segments 1000000   # also bitmaps and recall; minutes, 5 GB

The catalogue is made up: every recording has a file with a name, a title, tags, a description of
some thirty words, and measures. "New" is a condition that was not asked before, "again" the same
one once more; "first" includes reading the columns from SQL, as after each change.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from sqlalchemy import insert

from db.catalogue import Catalogue
from db.conditions import Condition, Range, Text
from db.faiss_index import FaissIndex
from db.filters import FACETS, RecordingFilter
from db.full_text import put_full_text
from db.keywords import search_keywords
from db.places import Places
from db.schema import CollectionRow, DescriptorsRow, FileRow, RecordingRow
from db.storing import full_text, now
from db.vectors import pack_ranges

RESULTS = Path(__file__).parent / "results"
SEGMENTS_PER_RECORDING = 10
K = 10
N_WORDS = 20_000
KEYS = [name + mode for name in ("C", "D", "E", "F#", "G", "A", "A#") for mode in ("", "m")]


def fill(catalogue: Catalogue, n: int) -> None:
    """Make `n` recordings; the frequencies of words fall off as those of a language do."""
    rng = np.random.default_rng(0)
    weights = 1 / (10 + np.arange(N_WORDS))
    weights /= weights.sum()

    with catalogue.transaction() as session:
        session.add_all(
            CollectionRow(id=id_, name=f"collection {id_}", root=f"/c{id_}", created_at=now())
            for id_ in range(1, 6)
        )
        session.flush()
        for start in range(1, n + 1, 5000):
            ids = range(start, min(start + 5000, n + 1))
            session.execute(insert(RecordingRow), [_recording(id_, rng) for id_ in ids])
            session.execute(insert(DescriptorsRow), [_descriptors(id_, rng) for id_ in ids])
            drawn = rng.choice(N_WORDS, (len(ids), 38), p=weights)
            texts = [[word(number) for number in of_file] for of_file in drawn]
            session.execute(
                insert(FileRow), [_file(*each, rng) for each in zip(ids, texts, strict=True)]
            )
        for row in session.query(FileRow).yield_per(5000):
            put_full_text(session.connection(), row.id, full_text(row))


def word(number: int) -> str:
    """Return a word of letters, which no spelling takes apart: 10 is ``wba``."""
    return "w" + "".join("abcdefghij"[int(digit)] for digit in str(number))


def _recording(id_: int, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "id": id_,
        "content_hash": f"sha256:{id_:064x}",
        "size_bytes": int(rng.integers(10**4, 10**7)),
        "duration_s": float(rng.lognormal(3, 1)),
        "sample_rate": int(rng.choice([22_050, 44_100, 48_000, 96_000])),
        "channels": int(rng.choice([1, 2])),
        "format": str(rng.choice(["WAV", "FLAC", "MP3", "OGG"])),
        "codec": "PCM_16",
        "bit_depth": 16,
        "warnings": [],
        "indexed_at": now(),
    }


def _descriptors(id_: int, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "recording_id": id_,
        "scheme": "echoic-descriptors/1",
        "loudness_lufs": float(rng.normal(-25, 6)),
        "peak_dbfs": float(-rng.random()),
        "silence_share": float(rng.random()),
        "spectral_centroid_hz": float(rng.lognormal(7, 1)),
        "spectral_flatness": float(rng.random()),
        "onset_rate_hz": float(rng.random()),
        "tempo_bpm": float(rng.uniform(60, 180)),
        "key": str(rng.choice(KEYS)),
        "mfcc_mean": rng.random(13).tolist(),
    }


def _file(id_: int, words: list[str], rng: np.random.Generator) -> dict[str, Any]:
    name = words[:3]
    return {
        "id": id_,
        "collection_id": int(rng.integers(1, 6)),
        "path": f"{name[0]}/{'_'.join(name)}_{id_}.wav",
        "recording_id": id_,
        "size_bytes": 1,
        "mtime_ns": 1,
        "first_seen_at": now(),
        "title": " ".join(name),
        "description": " ".join(words[8:]),
        "creator": f"Person {int(rng.integers(2000))}",
        "licence": str(rng.choice(["CC0", "CC BY 4.0", "CC BY-NC 4.0"])),
        "recorded_at": f"{int(rng.integers(1950, 2025))}-{int(rng.integers(1, 13)):02d}",
        "category": f"CATEGORY{int(rng.integers(80))}",
        "subcategory": f"SUB{int(rng.integers(700))}",
        "tags": words[3:8],
        "extra": {},
        "embedded": {"title": " ".join(name), "software": "made up"},
    }


def cpu_ms(action: Callable[[], object], repeats: int = 7) -> float:
    """Return the median CPU time of an action in milliseconds; all runs on one thread."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append((time.process_time() - start) * 1000)
    return round(float(np.median(times)), 2)


def conditions() -> dict[str, list[list[Condition]]]:
    """Return several like conditions under a name, so that each can be new."""

    def texts(field: str, *values: str) -> list[list[Condition]]:
        return [[Condition(field, (Text(value),))] for value in values]

    return {
        "duration:<10 (a quarter)": [
            [Condition("duration", (Range(high=10 + i / 100),))] for i in range(7)
        ],
        "recorded:1962..1970": [
            [Condition("recorded", (Range(str(1962 - i), "1970"),))] for i in range(7)
        ],
        "tag:, frequent": texts("tag", *(word(i) for i in range(7))),
        "tag:wb.*": texts("tag", *(word(10 + i) + "*" for i in range(7))),
        "creator:": texts("creator", *(f"person {i}" for i in range(7))),
        "text:, one frequent word": texts("text", *(word(i) for i in range(7))),
        "text:, a rare word": texts("text", *(word(i) for i in range(15_000, 15_007))),
        'text:"two frequent words"': texts("text", *(f"{word(i)} {word(i + 1)}" for i in range(7))),
        "description:wba.*": texts("description", *(word(100 + i) + "*" for i in range(7))),
    }


def measure_sql(catalogue: Catalogue) -> dict[str, list[float]]:
    """Time filters, facets and keywords."""
    rows: dict[str, list[float]] = {}
    filter_ = RecordingFilter(catalogue)
    one_of_each = [like[0] for like in conditions().values()]

    def touch() -> None:
        with catalogue.transaction() as session:
            session.add(CollectionRow(name=str(time.time()), root="/x", created_at=now()))

    firsts = []
    for _ in range(3):
        touch()
        start = time.process_time()
        filter_.matching(one_of_each[0])
        middle = time.process_time()
        filter_.facets(None, FACETS)
        firsts.append([(middle - start) * 1000, (time.process_time() - middle) * 1000])
    by_number, all_columns = np.median(firsts, axis=0).round(1).tolist()
    rows["first: duration:<10, which reads one table"] = [by_number]
    rows["first: all facets, which read all others"] = [all_columns]
    for query in one_of_each:
        filter_.matching(query)
    for name, like in conditions().items():
        fresh = RecordingFilter(catalogue)
        queue = iter(like)
        new = cpu_ms(lambda fresh=fresh, queue=queue: fresh.matching(next(queue)))
        n = len(fresh.matching(like[0]))
        rows[f"{name}: {n} recordings (new, again)"] = [
            new,
            cpu_ms(lambda fresh=fresh, like=like: fresh.matching(like[0])),
        ]
    everyone = filter_.matching([])
    for share in (1.0, 0.1, 0.001):
        some = everyone[np.random.default_rng(0).random(len(everyone)) < share]
        rows[f"facets: all {len(FACETS)} fields over {len(some)}"] = [
            cpu_ms(lambda some=some: filter_.facets(some, FACETS))
        ]
    for name, numbers in {
        "one frequent word": [0],
        "three words, rather frequent": [20, 50, 90],
        "five rare words": [9000, 9001, 9002, 9003, 9004],
    }.items():
        phrase = " of the ".join(map(word, numbers))
        rows[f"keywords: {name}"] = [cpu_ms(lambda q=phrase: search_keywords(catalogue, q, 100))]
    return rows


def measure_segments(n_segments: int, dim: int) -> dict[str, list[float]]:
    """Time ids -> bitmap, and compare a filtered search with an exact one over what is allowed.

    Recall is the share of the ten best that are found, or others that score as high.
    """
    from benchmarks.search_latency import brute_force, make_archive

    archive = make_archive(n_segments, dim, 60)
    index = FaissIndex(dim)
    index.add(np.arange(n_segments), archive.segments)
    index.optimise()
    exact = brute_force(archive)
    n = n_segments // SEGMENTS_PER_RECORDING
    recordings = np.arange(1, n + 1)
    firsts = np.arange(n) * SEGMENTS_PER_RECORDING
    counts = np.full(n, SEGMENTS_PER_RECORDING)
    places = Places(recordings)
    rows = {}
    rng = np.random.default_rng(1)
    for percent in (100, 50, 20, 5, 0.5, 0.1):
        allowed = recordings[rng.random(n) < percent / 100]
        members = np.zeros(n_segments, dtype=np.bool_)
        members.reshape(n, -1)[allowed - 1] = True
        recalls: list[float] = []
        times: list[tuple[float, float]] = []
        for query, scores in zip(archive.queries, exact, strict=True):
            start = time.process_time()
            chosen = np.zeros(n, dtype=np.bool_)  # as SegmentIndex.search does
            chosen[places.find(allowed)[0]] = True
            bitmap = pack_ranges(firsts[chosen], counts[chosen], n_segments)
            middle = time.process_time()
            _, ids = index.search(query[np.newaxis], K, allowed=bitmap)
            times.append((middle - start, time.process_time() - middle))
            least = np.partition(scores[members], -K)[-K] - 1e-6
            recalls.append(np.count_nonzero(members[ids[0]] & (scores[ids[0]] >= least)) / K)
        rows[f"{percent} % allowed"] = [
            round(float(np.mean(recalls)), 4),
            *(np.median(times, axis=0) * 1000).round(2).tolist(),
        ]
    return rows


def main() -> None:
    """Measure, print, and write ``results/filters.json``."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--segments", type=int, default=0, help="how many (0: none)")
    parser.add_argument("--dim", type=int, default=384, help="components of a vector (384)")
    parser.add_argument("--catalogue", type=Path, help="keep it here, and use it if it is there")
    options = parser.parse_args()
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = options.catalogue or Path(folder) / "catalogue"
        is_new = not place.exists()
        if options.recordings:
            with Catalogue.open(place, create=True) as catalogue:
                if is_new:
                    fill(catalogue, options.recordings)
                rows |= measure_sql(catalogue)
    print("| | CPU ms |\n|---|---:|")
    for name, times in rows.items():
        print(f"| {name} | {', '.join(f'{time_:.2f}' for time_ in times)} |")
    if options.segments:
        found = measure_segments(options.segments, options.dim)
        print(
            "\n| recordings | recall@10 | bitmap, CPU ms | search, CPU ms |\n|---|---:|---:|---:|"
        )
        for name, (recall, bitmap, search) in found.items():
            print(f"| {name} | {recall:.4f} | {bitmap:.2f} | {search:.2f} |")
        rows |= found
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "filters.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

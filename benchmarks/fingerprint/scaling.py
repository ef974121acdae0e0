"""How the time of a query grows with the archive: 10, 100 and 1,000 hours.

Run from the project's root::

    python -m benchmarks.fingerprint.scaling --cache FOLDER    # builds once (10 minutes), asks
    python -m benchmarks.fingerprint.scaling --cache FOLDER --hours 6 100 --durations 10

The benchmark's own archive of real recordings is filled up with made-up ones. These are pieces of a
few seconds of the real recordings' landmarks, in another order, each run backwards and by 6 to 20 %
faster or slower: never a true match, but with the keys of real sound, the common ones as common as
they are. The keys of an excerpt that is not in the archive are found 0.058 times an hour in them,
0.060 times in real ones. (Moving pieces by semitones as well makes that 0.039: sounds of one kind
have their frequencies in common, and a query would seem faster than it is.) Of the made-up
recordings nothing else is real: there is no sound, each is ten minutes long, and a real archive of
that size has more kinds of sound than six hours have. A size below that of the real archive is the
real archive alone.

The catalogue and its index are made and asked by the real code. Excerpts are those of the split
`dev`, with all degradations. Each is asked several times, with all the others in between; the
fastest counts, because a busy machine only ever makes it slower. The files are read once before,
so that they are in the page cache; those that are mapped count as memory of the process.
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from numpy.typing import NDArray

from benchmarks.fingerprint.corpus import load_corpus
from benchmarks.fingerprint.echoic_system import EchoicSystem
from benchmarks.fingerprint.queries import CACHE, Query, load_queries
from benchmarks.fingerprint.run import Outcome, ask
from db.landmarks import Landmarks
from indexer.landmarks import LandmarkFingerprinter

RESULTS = Path(__file__).parents[1] / "results"

_FRAME_S = LandmarkFingerprinter.frame_s
_PIECE_S = (2.0, 8.0)
_RECORDING_S = 600.0
_TEMPO = (0.06, 0.2)  # how far off, either way

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Archive:
    """What was built.

    Attributes
    ----------
    hours : float
    n_recordings : int
    mb_per_hour : float
        Of the postings files.
    build_s, build_cpu_s : float
        From fingerprints in SQL to postings files.
    build_peak_mb : float
        Of the process that built it, its hours of real landmarks included.
    """

    hours: float
    n_recordings: int
    mb_per_hour: float
    build_s: float
    build_cpu_s: float
    build_peak_mb: float


@dataclass(frozen=True, slots=True)
class Asked:
    """How long excerpts of one kind and length took: the fastest of several times.

    Attributes
    ----------
    cpu_ms : tuple of float
        Median and 90 %.
    wall_ms : float
        Median.
    right : float
        Share in percent that was answered rightly, and accepted.
    accepted : float
        Share in percent of which any answer was accepted.
    """

    n: int
    cpu_ms: tuple[float, float]
    wall_ms: float
    right: float
    accepted: float


def main() -> None:
    """Build what is not there yet, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--durations", type=float, nargs="+", default=[2, 5, 10], help="seconds")
    parser.add_argument("--queries", type=int, default=64, help="of each kind and length")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=CACHE, help="3 GB for 1,000 hours are kept")
    chosen = parser.parse_args()
    folders = {hours: chosen.cache / f"scaling_{hours}h" for hours in chosen.hours}
    lacking = {hours: folder for hours, folder in folders.items() if not folder.exists()}
    if lacking:
        _in_a_process(build_all, lacking, chosen.cache)
    rows = []
    print("\n".join(_head()))
    for folder in folders.values():
        archive = Archive(**json.loads((folder / "built.json").read_text(encoding="utf-8")))
        for seconds in chosen.durations:
            asked = [
                chosen_queries(seconds, kind, chosen.queries, chosen.cache)
                for kind in ("matches", "negatives")
            ]
            match, negative, peak_mb = _in_a_process(ask_all, folder, *asked, chosen.repeats)
            print(_line(archive, seconds, match, negative, peak_mb), flush=True)
            results = {"match": asdict(match), "negative": asdict(negative), "peak_mb": peak_mb}
            rows.append({**asdict(archive), "seconds": seconds, **results})
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps(rows, indent=1)
    (RESULTS / "fingerprint_scaling.json").write_text(content, encoding="utf-8")


def _in_a_process(work: Callable[..., _Result], *arguments: object) -> _Result:
    """Do something in a process of its own, so that its memory is that of nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# -- building ----------------------------------------------------------------------------------


def build_all(folders: dict[int, Path], cache: Path) -> None:
    """Build archives of so many hours."""
    corpus = load_corpus(cache)
    reader = EchoicSystem(cache / "nowhere")
    real = {s.path: reader.landmarks(corpus.store.read(s.path)) for s in corpus.archive}
    for hours, folder in folders.items():
        print(f"building {folder}", flush=True)
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        archive = build(unfinished, real, hours)
        (unfinished / "built.json").write_text(json.dumps(asdict(archive)), encoding="utf-8")
        unfinished.rename(folder)


def build(folder: Path, real: dict[str, Landmarks], hours: float) -> Archive:
    """Build an archive: the real recordings, and made-up ones until it has its hours."""
    system = EchoicSystem(folder)
    recordings = itertools.chain(real.items(), made_up(list(real.values())))
    total_s, n_recordings = 0.0, 0
    for name, landmarks in recordings:
        if n_recordings >= len(real) and total_s >= hours * 3600:
            break
        system.add_landmarks(name, landmarks)
        total_s += landmarks.n_frames * _FRAME_S
        n_recordings += 1
    started, started_cpu = time.perf_counter(), time.process_time()
    system.finish()
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name == "index")
    return Archive(
        hours=total_s / 3600,
        n_recordings=n_recordings,
        mb_per_hour=sum(path.stat().st_size for path in files) / 1e6 / (total_s / 3600),
        build_s=time.perf_counter() - started,
        build_cpu_s=time.process_time() - started_cpu,
        build_peak_mb=_peak_mb(),
    )


def made_up(real: Sequence[Landmarks]) -> Iterator[tuple[str, Landmarks]]:
    """Yield recordings without end, made of pieces of the real ones; always the same."""
    rng = np.random.default_rng(3)
    pieces = [piece for landmarks in real for piece in _pieces(landmarks, rng)]
    order: list[int] = []
    for number in itertools.count():
        parts, n_frames = [], 0
        while n_frames * _FRAME_S < _RECORDING_S:
            # All of them once before one comes again, so that none weighs more than it should.
            order = order or rng.permutation(len(pieces)).tolist()
            part = _changed(pieces[order.pop()], rng)
            parts.append((part.frames.astype(np.int64) + n_frames) << 16 | part.frequencies)
            n_frames += part.n_frames
        joined = np.sort(np.concatenate(parts))
        frames, frequencies = (joined >> 16).astype(np.int32), (joined & 0xFFFF).astype(np.uint16)
        yield f"made up {number}", Landmarks(frames, frequencies, n_frames)


def _pieces(landmarks: Landmarks, rng: np.random.Generator) -> Iterator[Landmarks]:
    start = 0
    while start < landmarks.n_frames:
        end = min(start + round(rng.uniform(*_PIECE_S) / _FRAME_S), landmarks.n_frames)
        part = slice(*np.searchsorted(landmarks.frames, (start, end)))
        yield Landmarks(landmarks.frames[part] - start, landmarks.frequencies[part], end - start)
        start = end


def _changed(piece: Landmarks, rng: np.random.Generator) -> Landmarks:
    """Return a piece that runs backwards, at another tempo."""
    slower = (1 + rng.uniform(*_TEMPO)) ** rng.choice((-1, 1))
    frames = ((piece.n_frames - 1 - piece.frames[::-1]) * slower).astype(np.int32)
    return Landmarks(frames, piece.frequencies[::-1], int(piece.n_frames * slower) + 1)


# -- asking ------------------------------------------------------------------------------------


def chosen_queries(seconds: float, kind: str, n: int, cache: Path) -> list[Query]:
    """Return some excerpts of all degradations."""
    queries = load_queries("dev", seconds, kind, cache=cache)
    step = max(1, len(queries) // n)
    # The 16 degradations follow each other: an odd step comes to all of them.
    return queries[:: step - (step % 2 == 0)][:n]


def ask_all(
    folder: Path, matches: list[Query], negatives: list[Query], repeats: int
) -> tuple[Asked, Asked, float]:
    """Ask for all excerpts, several times; return also the peak of memory in MB."""
    for path in folder.rglob("*"):
        if path.is_file():
            _read(path)
    system = EchoicSystem(folder)
    for query in (*matches[:4], *negatives[:4]):
        ask(system, query)  # a process's first questions load code; they are not counted
    rounds = [[_timed(system, q) for q in (*matches, *negatives)] for _ in range(repeats)]
    fastest = [(outcomes[0][0], *_least(outcomes)) for outcomes in zip(*rounds, strict=True)]
    return _asked(fastest[: len(matches)]), _asked(fastest[len(matches) :]), _peak_mb()


def _timed(system: EchoicSystem, query: Query) -> tuple[Outcome, float]:
    started = time.perf_counter()
    outcome = ask(system, query)
    return outcome, (time.perf_counter() - started) * 1000


def _least(outcomes: Sequence[tuple[Outcome, float]]) -> tuple[float, float]:
    return min(outcome.cpu_ms for outcome, _ in outcomes), min(wall for _, wall in outcomes)


def _asked(fastest: Sequence[tuple[Outcome, float, float]]) -> Asked:
    outcomes = [outcome for outcome, _, _ in fastest]
    cpu_ms: NDArray[np.float64] = np.array([cpu for _, cpu, _ in fastest])
    return Asked(
        n=len(outcomes),
        cpu_ms=(float(np.median(cpu_ms)), float(np.percentile(cpu_ms, 90))),
        wall_ms=float(np.median([wall for _, _, wall in fastest])),
        right=100 * float(np.mean([o.accepted and o.right for o in outcomes])),
        accepted=100 * float(np.mean([o.accepted for o in outcomes])),
    )


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


# -- printing ----------------------------------------------------------------------------------


def _head() -> tuple[str, ...]:
    heads = (
        "hours",
        "MB per hour",
        "build s (CPU)",
        "excerpt",
        "match: CPU ms, median / 90 %",
        "wall ms",
        "right %",
        "no match: CPU ms, median / 90 %",
        "wall ms",
        "accepted %",
        "peak MB",
    )
    return f"| {' | '.join(heads)} |", "|" + "---:|" * len(heads)


def _line(archive: Archive, seconds: float, match: Asked, negative: Asked, peak_mb: float) -> str:
    cells = (
        f"{archive.hours:,.0f}",
        f"{archive.mb_per_hour:.2f}",
        f"{archive.build_s:.0f} ({archive.build_cpu_s:.0f})",
        f"{seconds:g} s",
        f"{match.cpu_ms[0]:.1f} / {match.cpu_ms[1]:.0f}",
        f"{match.wall_ms:.1f}",
        f"{match.right:.1f}",
        f"{negative.cpu_ms[0]:.1f} / {negative.cpu_ms[1]:.0f}",
        f"{negative.wall_ms:.1f}",
        f"{negative.accepted:.1f}",
        f"{peak_mb:.0f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

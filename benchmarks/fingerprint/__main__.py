"""Which share of damaged excerpts is identified, how fast, and how large the index is.

Run from the project's root::

    python -m benchmarks.fingerprint                  # 210 excerpts, 16 degradations, 2, 5, 10 s
    python -m benchmarks.fingerprint --split dev      # 70 other excerpts, for tuning
    python -m benchmarks.fingerprint --degradations tape --durations 10 --excerpts 40
"""

# ruff: noqa: E402 - the number of threads must be set before the libraries are loaded
import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from benchmarks.fingerprint.adjudication import without_shared
from benchmarks.fingerprint.corpus import describe, load_corpus
from benchmarks.fingerprint.degradations import DEGRADATIONS, TAPE
from benchmarks.fingerprint.queries import CACHE, DRAWS, EXCERPTS, NEGATIVES, load_queries
from benchmarks.fingerprint.run import Outcome, Summary, ask_all, build, markdown, summarise
from benchmarks.fingerprint.systems import SYSTEMS

RESULTS = Path(__file__).parents[1] / "results"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", choices=SYSTEMS, default="echoic")
    parser.add_argument("--split", choices=tuple(EXCERPTS), default="test")
    parser.add_argument("--draw", type=int, help="of excerpts; 5, or 1 of dev")
    parser.add_argument("--excerpts", type=int, help="before degradation; 210, or 70 of dev")
    parser.add_argument("--negatives", type=int, help="of each length; 1500, or 1000 of dev")
    parser.add_argument("--durations", type=float, nargs="+", default=[2, 5, 10], help="seconds")
    parser.add_argument("--degradations", nargs="+", default=["all"], help="names, all, or tape")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where excerpts are kept")
    return parser.parse_args()


def main() -> None:
    """Build, ask, sum up, print."""
    chosen = _arguments()
    groups = {"all": DEGRADATIONS, "tape": TAPE}
    names = tuple(n for given in chosen.degradations for n in groups.get(given, (given,)))
    corpus = load_corpus(chosen.cache)
    for part, size in describe(corpus).items():
        print(f"{part}: {size}")
    n_matches = chosen.excerpts or EXCERPTS[chosen.split]
    n_negatives = chosen.negatives or NEGATIVES[chosen.split]
    summaries: list[Summary] = []
    outcomes: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        building = build(SYSTEMS[chosen.system](Path(folder)), corpus)
        print(building, flush=True)
        for seconds in chosen.durations:
            answered = []
            for kind, n in (
                ("matches", n_matches),
                ("negatives", n_negatives),
                ("copies", n_matches),
            ):
                queries = load_queries(
                    chosen.split,
                    seconds,
                    kind,
                    cache=chosen.cache,
                    n=n,
                    degradations=names,
                    jobs=chosen.jobs,
                    draw=chosen.draw or DRAWS[chosen.split],
                )
                answered.append(ask_all(chosen.system, Path(folder), queries, chosen.jobs))
                outcomes[f"{kind} {seconds:g} s"] = answered[-1]
            matches, asked, copies = answered
            negatives = without_shared(corpus.store, seconds, asked)
            kept = set(map(id, negatives))
            shared = [outcome for outcome in asked if id(outcome) not in kept]
            summaries.append(summarise(seconds, matches, negatives, copies, shared=shared))
    lines = list(markdown(chosen.system, building, summaries))
    print("\n".join(lines))
    _write(chosen, lines, outcomes, [asdict(building), *map(asdict, summaries)])


def _write(
    chosen: argparse.Namespace,
    lines: list[str],
    outcomes: dict[str, list[Outcome]],
    results: list[dict[str, object]],
) -> None:
    RESULTS.mkdir(exist_ok=True)
    lengths = "_".join(f"{seconds:g}s" for seconds in chosen.durations)
    draw = chosen.draw or DRAWS[chosen.split]
    counts = {"excerpts": chosen.excerpts, "negatives": chosen.negatives}
    parts = ["fingerprint", chosen.system, chosen.split, f"draw{draw}", lengths]
    parts += [] if chosen.degradations == ["all"] else chosen.degradations
    parts += [f"{n}{of}" for of, n in counts.items() if n]
    stem = "_".join(parts)
    (RESULTS / f"{stem}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    every = {kind: [asdict(outcome) for outcome in rows] for kind, rows in outcomes.items()}
    content = {"results": results, "outcomes": every}
    (RESULTS / f"{stem}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    print(f"written to {RESULTS / stem}.md and .json")


if __name__ == "__main__":
    main()

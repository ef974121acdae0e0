"""Sound and keywords together: what does each find that the other misses?

The clips of ``effects`` and of folds of ESC-10 lie in an archive under numbers. Half of them, drawn
at random, are named by their label, as in an archive that was described in part. Every label with
at least four clips is a query. Keywords find named clips, the encoder those that sound so; fused,
both. Mean average precision over the labels, and the share of a label's clips in the first ten.

    python -m benchmarks.fusion --audio ../shared/audio
"""

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from db.catalogue import Catalogue
from search.engine import SearchEngine
from search.evaluation.metrics import average_precision
from search.ranking import Ranking

SEED = 20261121
LEAST_CLIPS = 4


def clips(audio: Path, folds: list[str]) -> list[tuple[Path, str]]:
    """Return files and their labels; of a label with steps ("a / b / c") the last."""
    found = []
    for folder in ("effects", "esc10"):
        with (audio / folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("fold") and row["fold"] not in folds:
                    continue
                label = re.sub(r"[^a-z ]", "", row["label"].split("/")[-1].lower()).strip()
                found.append((audio / folder / row["path"], label))
    return found


def build(files: list[tuple[Path, str]], folder: Path) -> None:
    """Link the clips under numbers, name half of them in a manifest, and index."""
    named = np.random.default_rng(SEED).random(len(files)) < 0.5
    (folder / "sounds").mkdir()
    with (folder / "sounds.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "title"])
        for number, (path, label) in enumerate(files):
            name = f"{number:05}{path.suffix}"
            shutil.copyfile(path, folder / "sounds" / name)
            table.writerow([name, label if named[number] else ""])
    command = [sys.executable, "-m", "ui", "index", "--manifest", str(folder / "sounds.csv")]
    place = ["--root", str(folder / "sounds"), "--catalogue", str(folder / "catalogue")]
    without = ["--no-descriptors", "--no-fingerprints"]
    subprocess.run([*command, *place, *without], check=True, capture_output=True)


def measure(files: list[tuple[Path, str]], folder: Path) -> dict[str, dict[str, float]]:
    """Ask for every label in each of the three ways."""
    counts = Counter(label for _, label in files)
    queries = sorted(label for label, n in counts.items() if n >= LEAST_CLIPS and label)
    result = {}
    with Catalogue.open(folder / "catalogue") as catalogue:
        engine = SearchEngine(catalogue)
        for ranking in Ranking:
            precisions, first_ten = [], []
            for label in queries:
                found = engine.search(f"({label})", k=2000, ranking=ranking, fold_copies=False)
                scores = np.zeros(len(files), dtype=np.float32)
                for hit in [*found.hits, *found.near_misses]:
                    scores[int(Path(hit.recording.files[0].path).stem)] = hit.score
                relevant = np.array([other == label for _, other in files])
                precisions.append(float(average_precision(relevant[None], scores[None])[0]))
                best = np.argsort(-scores, kind="stable")[:10]
                first_ten.append(relevant[best].sum() / min(10, relevant.sum()))
            result[ranking.value] = {
                "map": round(float(np.mean(precisions)), 3),
                "share_in_first_ten": round(float(np.mean(first_ten)), 3),
                "queries": len(queries),
                "clips": len(files),
            }
    return result


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=Path("../shared/audio"))
    parser.add_argument("--folds", nargs="+", default=["1", "2", "3", "4"])
    options = parser.parse_args()
    files = clips(options.audio, options.folds)
    with tempfile.TemporaryDirectory() as name:
        build(files, Path(name))
        print(json.dumps(measure(files, Path(name)), indent=2))


if __name__ == "__main__":
    main()

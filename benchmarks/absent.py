"""Sounds that are not there: how often does a search return something all the same?

An archive of clips whose classes are known is asked for its own classes, in several wordings, and
for sounds that it does not hold. For every threshold: the share of absent sounds for which anything
is returned (false alarms), the share of present ones for which nothing right is (misses), and how
many of the right recordings come. Each class is also taken out of the archive and asked for again:
absent sounds of which the archive holds the nearest relatives.

The laws of `search.calibration` were fitted on folds 1-4 of ESC-10 (`--folds 1 2 3 4`); fold 5 is
the measurement, neither trained nor fitted on.

    python -m benchmarks.absent --audio ../shared/audio --svg docs/absent-curve.svg

With `--calibration archive` scores mean what the archive's own sounds tell, as with encoders with
which nothing comes that tells it (docs/laion-clap.md); `--encoder` asks one of those.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.absent_phrases import ABSENT, PRESENT
from db.catalogue import Catalogue
from indexer.encoders import DEFAULT_ENCODER
from search.archive_calibration import archive_calibration
from search.calibration import POSSIBLE, STRONG
from search.encoders import encoder_for
from search.engine import SearchEngine
from search.ranking import Ranking

THRESHOLDS = np.round(np.concatenate([np.arange(0.02, 1.0, 0.02), [0.99, 0.995, 0.999]]), 3)


def scores_of(
    catalogue: Catalogue, *, of_archive: bool
) -> tuple[list[float], list[float], list[dict[str, object]]]:
    """Ask for everything.

    Returns
    -------
    absent, taken_out : list of float
        The best score of any recording, for each sound that is not there.
    present : list of dict
        For each phrase the scores of the right recordings and the best of the wrong ones.
    """
    calibration = archive_calibration(catalogue, encoder_for(catalogue)) if of_archive else None
    engine = SearchEngine(catalogue, calibration=calibration)
    absent = [_ranked(engine, phrase)[0][1] for phrase in ABSENT]
    present, taken_out = [], []
    for label, phrases in PRESENT.items():
        for phrase in phrases:
            ranked = _ranked(engine, phrase)
            right = [score for name, score in ranked if name == label]
            wrong = [score for name, score in ranked if name != label]
            taken_out.append(max(wrong))
            present.append({"phrase": phrase, "right": right, "wrong": max(wrong)})
    return absent, taken_out, present


def _ranked(engine: SearchEngine, phrase: str) -> list[tuple[str, float]]:
    results = engine.search(phrase, k=10_000, ranking=Ranking.SOUND, fold_copies=False)
    every = [*results.hits, *results.near_misses]
    return [(Path(hit.recording.files[0].path).parent.name, hit.score) for hit in every]


def index(audio: Path, folds: list[str], folder: Path, encoder: str) -> None:
    """Index the clips of some folds."""
    with (audio / "esc10" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] in folds]
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    command = [sys.executable, "-m", "ui", "index", "--manifest", str(folder / "clips.csv")]
    place = ["--root", str(audio / "esc10"), "--catalogue", str(folder / "catalogue")]
    what = ["--no-descriptors", "--no-fingerprints", "--encoder", encoder]
    subprocess.run([*command, *place, *what], check=True, capture_output=True)


def main() -> None:
    """Measure, print the table at the two thresholds in use, and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=Path("../shared/audio"))
    parser.add_argument("--folds", nargs="+", default=["5"])
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--calibration", choices=["shipped", "archive"], default="shipped")
    parser.add_argument("--svg", type=Path, help="draw the curve into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index(options.audio, options.folds, folder, options.encoder)
        with Catalogue.open(folder / "catalogue") as catalogue:
            of_archive = options.calibration == "archive"
            absent, taken_out, present = scores_of(catalogue, of_archive=of_archive)
    curve = [_at(threshold, absent, taken_out, present) for threshold in THRESHOLDS]
    print(json.dumps([_at(t, absent, taken_out, present) for t in (POSSIBLE, STRONG)], indent=2))
    worst = sorted(zip(absent, ABSENT, strict=True), reverse=True)[:8]
    print("absent, highest:", [(phrase, round(score, 3)) for score, phrase in worst])
    missed = [one["phrase"] for one in present if max(one["right"]) < POSSIBLE]
    print("present, not found:", missed)
    if options.svg:
        options.svg.write_text(_drawing(curve), encoding="utf-8")


def _at(threshold, absent, taken_out, present) -> dict[str, float]:
    right = np.concatenate([one["right"] for one in present])
    wrong = [one["wrong"] for one in present]
    return {
        "threshold": float(threshold),
        "absent_returned": float(np.mean(np.array(absent) >= threshold)),
        "taken_out_returned": float(np.mean(np.array(taken_out) >= threshold)),
        "present_found": float(np.mean([max(one["right"]) >= threshold for one in present])),
        "right_recordings_found": float(np.mean(right >= threshold)),
        "present_with_a_wrong_hit": float(np.mean(np.array(wrong) >= threshold)),
        "n_absent": len(absent),
        "n_present": len(present),
    }


def _drawing(curve: list[dict[str, float]]) -> str:
    """Draw shares over the threshold as SVG."""
    width, height, left, top = 640, 360, 56, 16
    inner_w, inner_h = width - left - 16, height - top - 48

    def point(x: float, y: float) -> str:
        return f"{left + x * inner_w:.1f},{top + (1 - y) * inner_h:.1f}"

    lines = (
        ("present_found", "#1f77b4", "present sounds found"),
        ("right_recordings_found", "#2ca02c", "right recordings found"),
        ("absent_returned", "#d62728", "absent sounds that return something"),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" role="img" '
        'aria-label="Shares of present and absent sounds found, by threshold">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for tick in np.arange(0.0, 1.01, 0.2):
        x, y = point(tick, tick).split(",")
        parts.append(
            f'<line x1="{left}" x2="{left + inner_w}" y1="{y}" y2="{y}" stroke="#ddd"/>'
            f'<text x="{left - 8}" y="{float(y) + 4:.1f}" text-anchor="end">'
            f"{100 * tick:.0f} %</text>"
            f'<text x="{x}" y="{top + inner_h + 18}" text-anchor="middle">{tick:.1f}</text>'
        )
    for threshold, word in ((POSSIBLE, "possible"), (STRONG, "strong")):
        x = point(threshold, 0).split(",")[0]
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{top}" y2="{top + inner_h}" stroke="#999" '
            f'stroke-dasharray="4 3"/><text x="{float(x) + 4}" y="{top + 12}">{word}</text>'
        )
    for row, (name, colour, words) in enumerate(lines):
        points = " ".join(point(one["threshold"], one[name]) for one in curve)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(
            f'<text x="{left + 12}" y="{top + inner_h - 44 + 16 * row}" fill="{colour}">'
            f"{words}</text>"
        )
    parts.append(
        f'<text x="{left + inner_w / 2}" y="{height - 8}" text-anchor="middle">score</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()

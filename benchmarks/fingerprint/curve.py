"""Draws how often excerpts that are not in the archive reach a score, and what the law says.

Scores are those that `echoic identify` tells, landmarks and sound together.

Run from the project's root, after `benchmarks.fingerprint.significance`::

    python -m benchmarks.fingerprint.curve docs/fingerprint-curve.svg
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from benchmarks.fingerprint.significance import RESULTS
from search.significance import Law

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 56
_SCORES, _DECADES = (7.0, 19.0), 5
_COLOURS = {2.0: "#c0392b", 5.0: "#2471a3", 10.0: "#1e8449"}


def _x(score: float) -> float:
    return _MARGIN + (score - _SCORES[0]) / (_SCORES[1] - _SCORES[0]) * (_WIDTH - 2 * _MARGIN)


def _y(share: float) -> float:
    return _MARGIN / 2 - math.log10(share) / _DECADES * (_HEIGHT - 1.5 * _MARGIN)


def _line(points: list[tuple[float, float]], colour: str, *, dashed: bool) -> str:
    path = " ".join(f"{_x(score):.1f},{_y(share):.1f}" for score, share in points)
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _axes() -> list[str]:
    parts = []
    for decade in range(_DECADES + 1):
        y = _y(10.0**-decade)
        parts.append(f'<path d="M{_MARGIN} {y:.1f}H{_WIDTH - _MARGIN}" stroke="#ddd"/>')
        label = "1" if decade == 0 else f"1 in {10**decade:,}"
        parts.append(_text(_MARGIN - 4, y + 4, label, anchor="end"))
    for score in range(int(_SCORES[0]), int(_SCORES[1]) + 1, 2):
        parts.append(_text(_x(score), _HEIGHT - _MARGIN + 18, str(score)))
    parts.append(_text(_WIDTH / 2, _HEIGHT - 16, "score"))
    return parts


def draw(results: list[dict], split: str) -> str:  # type: ignore[type-arg]
    """Return the drawing as SVG: solid what was counted, dashed the law."""
    parts = _axes()
    chosen = [result for result in results if result["split"] == split]
    if not chosen:
        raise SystemExit(f"no results of {split}: run benchmarks.fingerprint.significance on it")
    whole = max(result["hours"] for result in chosen)
    chosen = [result for result in chosen if result["hours"] == whole]
    for row, result in enumerate(chosen):
        colour = _COLOURS[result["seconds"]]
        scores = np.array(result["together"])
        shares = 1 - np.arange(len(scores)) / len(scores)
        seen = [(s, p) for s, p in zip(scores, shares, strict=True) if _SCORES[0] <= s]
        parts.append(_line(seen, colour, dashed=False))
        law = Law.of(duration_s=result["seconds"], archive_s=whole * 3600)
        at = np.linspace(*_SCORES, 200)
        curve = [(s, p) for s in at if (p := law.p_false(float(s))) >= 10.0**-_DECADES]
        parts.append(_line(curve, colour, dashed=True))
        note = f"{result['seconds']:g} s: {len(scores):,} excerpts (dashed: the law)"
        parts.append(_text(_WIDTH - _MARGIN, 46 + 20 * row, note, anchor="end", colour=colour))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-40 0 {_WIDTH + 40} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13"><rect x="-40" width="100%" height="100%" '
        'fill="white"/>' + "\n".join(parts) + "</svg>\n"
    )


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--split", default="dev")
    chosen = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    chosen.target.write_text(draw(results, chosen.split), encoding="utf-8")


if __name__ == "__main__":
    main()

"""How long the map of a large archive takes to draw, how well it keeps neighbours, how it moves.

The archive is that of `benchmarks.ui_first_hit`: vectors around those of real sounds, in a real
catalogue. The map is drawn by ``echoic map`` in a process of its own; neighbours are counted
against those among the stored vectors, for a sample of recordings; then a browser shows the map and
it is moved in every picture.

    python -m benchmarks.map                          # 100,000 recordings, some minutes, 3 GB
    python -m benchmarks.map --keep FOLDER            # keep the archive, or use it again
    python -m benchmarks.map --catalogue FOLDER       # of an archive of one's own, which gets a map
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ui_first_hit import make_archives, visited
from db.catalogue import Catalogue
from search.archive_map import mapped_encoder
from search.map_file import DrawnMap, load_map, map_path
from search.summaries import summaries_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

RESULTS = Path(__file__).parent / "results"
K = 10
SAMPLE = 2_000
MOVE_MS = 5000
# Turns the wheel in every picture, a little in and a little out, so that all is drawn anew.
MOVE = """async (wanted_ms) => {
  const stage = [...document.querySelectorAll("*")]
    .map((one) => one.shadowRoot?.querySelector(".stage")).find(Boolean)
  const box = stage.getBoundingClientRect()
  const place = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }
  const began = performance.now()
  const gaps = []
  let last = began
  await new Promise((done) => {
    const step = () => {
      const now = performance.now()
      gaps.push(now - last)
      last = now
      const deltaY = gaps.length % 60 < 30 ? -10 : 10
      stage.dispatchEvent(new WheelEvent("wheel", { ...place, deltaY, cancelable: true }))
      if (now - began > wanted_ms) done()
      else requestAnimationFrame(step)
    }
    requestAnimationFrame(step)
  })
  gaps.sort((a, b) => a - b)
  const at = (share) => Math.round(10 * gaps[Math.floor(share * (gaps.length - 1))]) / 10
  const rate = (1000 * gaps.length) / (performance.now() - began)
  return { frames_per_s: Math.round(10 * rate) / 10, p50_ms: at(0.5), p95_ms: at(0.95) }
}"""
# Makes WebGL by software pass for the work of a graphics processor.
HIDE = """
const told = WebGLRenderingContext.prototype.getParameter
WebGLRenderingContext.prototype.getParameter = function (what) {
  return what === 0x9246 || what === this.RENDERER ? "hidden" : told.call(this, what)
}
"""
RENDERER = """() => {
  const gl = document.createElement("canvas").getContext("webgl")
  const told = gl && gl.getExtension("WEBGL_debug_renderer_info")
  return told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : "none"
}"""


def draw(catalogue: Path) -> dict[str, float]:
    """Draw the map; return what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", "ui", "map", "--anew", "--catalogue", str(catalogue)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "peak_mb": round(after.ru_maxrss / 1000),
    }


def neighbours_kept(catalogue: Path) -> dict[str, float]:
    """Return the share of the ten nearest recordings that are among the nearest on the map."""
    with Catalogue.open(catalogue) as opened:
        name = mapped_encoder(opened)
        drawn = load_map(map_path(opened, name))
        if drawn is None:
            raise SystemExit("there is no map")
        vectors = summaries_of(opened, name, drawn.recordings.tolist()).vectors
    sample = np.linspace(0, len(vectors) - 1, min(SAMPLE, len(vectors))).astype(int)
    wanted = nearest(vectors.astype(np.float32), sample)
    return {
        "map": shared(wanted, nearest(drawn.places, sample)),
        "two principal components": shared(wanted, nearest(components_of(drawn, 2), sample)),
        "the fifty that it is made of": shared(wanted, nearest(components_of(drawn, 50), sample)),
        "chance": round(K / (len(vectors) - 1), 5),
    }


def components_of(drawn: DrawnMap, n: int) -> NDArray[np.float32]:
    """Return the first principal components."""
    return np.ascontiguousarray(drawn.reduced[:, :n], dtype=np.float32)


def nearest(points: NDArray[np.float32], sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ten nearest others of some points."""
    squares = (points**2).sum(axis=1)
    found = np.empty((len(sample), K), dtype=np.int64)
    for start in range(0, len(sample), 50):
        chosen = sample[start : start + 50]
        away = squares - 2 * points[chosen] @ points.T
        away[np.arange(len(chosen)), chosen] = np.inf
        found[start : start + 50] = np.argpartition(away, K, axis=1)[:, :K]
    return found


def shared(wanted: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Return the share of neighbours that are in both."""
    rows = zip(wanted, found, strict=True)
    return round(float(np.mean([len(np.intersect1d(a, b)) / K for a, b in rows])), 4)


def look(page: "Page") -> dict[str, Any]:
    """Show the map and move it: as Echoic draws it here, then by WebGL whatever does that."""
    address = page.url.rstrip("/")
    renderer = page.evaluate(RENDERER)
    first_s, again_s = shown(page, address), shown(page, address)
    ours = moved(page)
    page.add_init_script(HIDE)
    shown(page, address)
    return {
        "webgl_by": renderer,
        "first_shown_s": round(first_s, 2),
        "shown_again_s": round(again_s, 2),
        "as_drawn_here": ours,
        "by_webgl": moved(page),
    }


def shown(page: "Page", address: str) -> float:
    """Open the map; return the seconds until it is there."""
    began = time.perf_counter()
    page.goto(f"{address}/map")
    page.locator(".stage[data-zoom]").wait_for()
    passed_s = time.perf_counter() - began
    page.wait_for_timeout(2000)
    return passed_s


def moved(page: "Page") -> dict[str, Any]:
    """Zoom a little in and out, with all points in view and with some of them."""
    whole = page.evaluate(MOVE, MOVE_MS)
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()
    near = page.evaluate(MOVE, MOVE_MS)
    painter = page.locator("canvas").get_attribute("data-painter")
    return {"painter": painter, "all_in_view": whole, "zoomed_in": near}


def main() -> None:
    """Measure, print, and write ``results/map.json``."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the archive is kept")
    parser.add_argument("--catalogue", type=Path, metavar="FOLDER", help="an archive of one's own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        catalogue = options.catalogue
        if catalogue is None:
            made = make_archives(options.keep or Path(scratch), options.recordings)
            catalogue = made[f"{options.recordings:,} recordings"]
        result: dict[str, Any] = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "drawing": draw(catalogue),
            "neighbours": neighbours_kept(catalogue),
        }
        with visited(catalogue, Path(scratch) / "cache") as page:
            result["browser"] = look(page)
    text = json.dumps(result, indent=2)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "map.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

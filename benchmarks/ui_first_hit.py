"""How long it takes from Enter in the search box to the first hit that is painted.

Once on the demo and once on an archive of 100,000 recordings: names, measures and vectors of those
are made up, but the demo's sounds are among them as real files, so that the first hits have
pictures. Server, page and browser are the real ones. The questions are asked one after another by
one visitor; "picture" is when the first hit's picture is there too, "after a change" when somebody
has added to a list since the last question.

    python -m benchmarks.ui_first_hit                      # about 20 minutes, 8 GB of memory
    python -m benchmarks.ui_first_hit --recordings 0       # the demo alone
    python -m benchmarks.ui_first_hit --keep FOLDER        # keep the archives, or use them again
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from db.catalogue import Catalogue
from db.lists import NewEntry, add_entries

if TYPE_CHECKING:
    from playwright.sync_api import Page

RESULTS = Path(__file__).parent / "results"
PHRASES = (
    "dog barking",
    "church bell",
    "rain",
    "siren",
    "cat meowing",
    "waves on a beach",
    "door knock",
    "applause",
    "telephone ringing",
    "wind",
    "drum",
    "engine",
    "birds singing",
    "typing",
    "fire crackling",
    "piano",
    "bicycle bell",
    "sheep",
    "toilet flushing",
    "horn",
)
"""The demo holds these, so that real files are the first hits."""
BOX = 'input[aria-label="Search the archive"]'
# Looks at every frame whether the first card is an answer to what was asked last.
WATCH = """(wanted) => new Promise((done) => {
  const began = window.echoicEnter
  let painted = null
  const card = () => [...document.querySelectorAll('*')]
    .map((one) => one.shadowRoot?.querySelector('.card')).find(Boolean)
  const look = () => {
    const first = card()
    const link = first?.querySelector('h3 a')
    const asked = link && new URL(link.href).searchParams.get('q')
    if (asked === wanted && painted === null) {
      painted = performance.now() - began
    }
    const image = first?.querySelector('img')
    const shown = image?.complete && image.naturalWidth > 0
    if (painted !== null && shown) {
      requestAnimationFrame(() => done([painted, performance.now() - began]))
    } else if (performance.now() - began > 60000) {
      done([painted, null])
    } else {
      requestAnimationFrame(look)
    }
  }
  look()
})"""


def echoic(*arguments: str) -> None:
    """Run a command of Echoic's."""
    subprocess.run([sys.executable, "-m", "ui", *arguments], check=True, stdout=subprocess.DEVNULL)


def make_archives(folder: Path, n: int) -> dict[str, Path]:
    """Make what is not there yet; return the catalogues by what they are called."""
    sounds, demo, large = folder / "sounds", folder / "demo", folder / f"large-{n}"
    if not sounds.exists():
        echoic("demo", str(sounds))
    if not demo.exists():
        echoic("index", str(sounds), "--catalogue", str(demo))
    if not n:
        return {"demo": demo}
    if not large.exists():
        from benchmarks.filters import fill
        from benchmarks.search_engine import add_vectors

        with Catalogue.open(large, create=True) as catalogue:
            fill(catalogue, n)
            add_vectors(catalogue, n)
    echoic("index", str(sounds), "--catalogue", str(large))
    return {"demo": demo, f"{n:,} recordings": large}


@contextmanager
def visited(catalogue: Path, cache: Path) -> Iterator["Page"]:
    """Serve a catalogue; give a page of a browser that looks at it."""
    from playwright.sync_api import sync_playwright

    process = subprocess.Popen(
        [sys.executable, "-m", "ui", "ui", "--no-browser", "--catalogue", str(catalogue)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONUNBUFFERED": "1"},
    )
    try:
        found = re.search(r"http://\S+", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the server did not start")
        wait_for(f"{found[0]}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(90_000)
            page.goto(found[0])
            page.locator(BOX).wait_for()
            yield page
            browser.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def wait_for(address: str) -> None:
    """Wait until a server answers."""
    for _ in range(400):
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer")


def ask(page: "Page", phrase: str) -> tuple[float, float]:
    """Ask; return the seconds until the first hit was painted, and until its picture was."""
    box = page.locator(BOX)
    box.fill(phrase)
    page.evaluate(
        "() => addEventListener('keydown', (event) => {"
        " if (event.key === 'Enter') window.echoicEnter = performance.now() },"
        " { capture: true, once: true })"
    )
    box.press("Enter")
    painted, shown = page.evaluate(WATCH, phrase)
    page.locator("[data-test-script-state=notRunning]").wait_for()
    if painted is None or shown is None:
        raise SystemExit(f"{phrase!r} found nothing that could be shown")
    return painted / 1000, shown / 1000


def measure(catalogue: Path, cache: Path) -> dict[str, Any]:
    """Ask every phrase twice, and again with a change to a list before each."""
    with visited(catalogue, cache) as page:
        time.sleep(15)  # the server reads the archive before anyone asks
        new, again, changed = (
            [ask(page, phrase) for phrase in PHRASES],
            [ask(page, phrase) for phrase in PHRASES],
            [ask(page, phrase) for phrase in changing(catalogue)],
        )
    return {
        "new": figures(new),
        "again": figures(again),
        "after a change": figures(changed),
    }


def changing(catalogue: Path) -> Iterator[str]:
    """Yield the phrases; before each, another process adds to a list."""
    with Catalogue.open(catalogue) as opened:
        for number, phrase in enumerate(PHRASES, start=1):
            add_entries(opened, f"benchmark {time.time_ns()}", [NewEntry(number)])
            yield phrase


def figures(times: list[tuple[float, float]]) -> dict[str, float]:
    """Return the median and the slow end, in seconds."""
    painted, shown = np.array(times).T
    return {
        "p50_s": round(float(np.median(painted)), 3),
        "p95_s": round(float(np.quantile(painted, 0.95)), 3),
        "picture_p50_s": round(float(np.median(shown)), 3),
    }


def main() -> None:
    """Make the archives, measure, print, and write ``results/ui_first_hit.json``."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--recordings", type=int, default=100_000, help="0: the demo alone")
    parser.add_argument("--keep", type=Path, help="keep the archives here, or use them again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        found: dict[str, Any] = {}
        for called, catalogue in make_archives(folder, options.recordings).items():
            with tempfile.TemporaryDirectory() as cache:
                found[called] = measure(catalogue, Path(cache))
            found[called]["load"] = round(os.getloadavg()[0], 1)
            print(called, json.dumps(found[called], indent=1), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ui_first_hit.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

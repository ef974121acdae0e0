"""A small archive, the pages served over it, and a browser to look at them with."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from indexer.demo.archive import SOUNDS
from indexer.demo.encode import write_sound
from indexer.demo.sound import CREATOR, render
from tests.conftest import made_once

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Launch = Callable[..., "Browser"]

PROJECT = Path(__file__).resolve().parents[3]
NAMES = ("dog-barking", "crow-cawing", "cat-meowing", "church-bell", "siren-wail")
FIELD = "village-edge"
FIELD_LENGTH_S, FIELD_SR = 90.0, 32_000
EVENTS = {"dog-barking": 18.0, "church-bell": 36.0, "crow-cawing": 70.0}
"""What is heard in the field recording, and from when on, in seconds."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Put Python's main module back.

    Streamlit's AppTest puts the page in its place and leaves it there; worker processes that a
    later test starts would run the page.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the demo's sounds, a recording of three of them, and a file that is no sound."""
    return made_once(tmp_path_factory, "web", _make) / "sounds"


@pytest.fixture(scope="session")
def catalogue(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of `sounds`: a copy of this process, for pages keep lists in it."""
    target = tmp_path_factory.mktemp("web") / "catalogue"
    return Path(shutil.copytree(sounds.parent / "catalogue", target))


def _make(folder: Path) -> None:
    sounds = folder / "sounds"
    _write_sounds(sounds)
    ran = subprocess.run(
        [sys.executable, "-m", "ui", "index", str(sounds), "--catalogue", f"{folder}/catalogue"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr  # for the broken file


def _write_sounds(folder: Path) -> None:
    field = 0.003 * np.random.default_rng(0).standard_normal((round(FIELD_LENGTH_S * FIELD_SR), 2))
    for sound in SOUNDS:
        name = Path(sound.path).stem
        if name not in NAMES:
            continue
        samples = render(sound)
        tags = {"title": sound.title, "artist": CREATOR}
        write_sound(folder / sound.path, samples, sound.sr, tags=tags)
        if name in EVENTS:
            heard = soxr.resample(samples, sound.sr, FIELD_SR)
            first = round(EVENTS[name] * FIELD_SR)
            field[first : first + len(heard)] += 0.5 * heard.reshape(len(heard), -1)
    write_sound(
        folder / f"field/{FIELD}.flac",
        field.astype(np.float32),
        FIELD_SR,
        tags={"title": "Edge of a village", "artist": CREATOR},
    )
    shutil.copy(folder / "animals/dog-barking.wav", folder / "the same <b>dog & *more*.wav")
    (folder / "broken.wav").write_bytes(b"RIFF, but nothing else")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps pictures and excerpts."""
    return tmp_path_factory.mktemp("cache")


@contextmanager
def served(catalogue: Path, cache: Path, *, opening: str | None = None) -> Iterator[str]:
    """Run ``echoic ui`` over a catalogue; give its address.

    `opening` is the command that opens a browser; without it, none is opened.
    """
    quiet = [] if opening else ["--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ui", "ui", *quiet, "--catalogue", str(catalogue)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(cache),
            "PYTHONUNBUFFERED": "1",
            "BROWSER": opening or "",
        },
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://[\d.:]+", line):
                break
        else:
            pytest.fail(f"the server did not start:\n{''.join(said)}")
        # What it says later must not fill the pipe.
        threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True).start()
        _wait_for(found[0])
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        assert "Traceback" not in "".join(said), "".join(said)


def _wait_for(address: str) -> None:
    import time
    import urllib.error
    import urllib.request

    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.25)
    pytest.fail(f"{address} does not answer")


@pytest.fixture(scope="session")
def address(catalogue: Path, cache: Path) -> Iterator[str]:
    """The address of the pages over the small archive."""
    with served(catalogue, cache) as found:
        yield found


@pytest.fixture(scope="module")  # not longer: as long as it lasts, no test can use asyncio
def launch() -> Iterator[Launch]:
    """Starts the system's Chromium without a window; a skip says what to install."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        # CI asks for one, so that its absence is a failure there and not a silence.
        refuse = pytest.fail if os.environ.get("ECHOIC_REQUIRE_BROWSER") else pytest.skip
        refuse("no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(
            executable_path=program, args=[*_ARGUMENTS, *arguments]
        )


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Iterator["Browser"]:
    """A browser that most tests share."""
    found = launch()
    yield found
    found.close()


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """A new visitor's page, which must ask nothing of other machines and fail nowhere."""
    with visitor(browser, address) as found:
        yield found


@contextmanager
def visitor(browser: "Browser", address: str, **options: object) -> Iterator["Page"]:
    """Give a page of its own session, and look at what it did at the end."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
    context.set_default_timeout(20_000)
    page = context.new_page()
    elsewhere: list[str] = []
    faults: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))
            else elsewhere.append(request.url)
        ),
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        try:
            yield page
        except BaseException:
            if folder := os.environ.get("ECHOIC_SCREENSHOTS"):
                page.screenshot(path=Path(folder) / "failed.png")
            raise
        assert elsewhere == [], "the page asks other machines"
        assert faults == [], "the page's program failed"
    finally:
        context.close()


@pytest.fixture(scope="session")
def screenshot(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[["Page", str], Path]:
    """Keep what a page looks like: in ECHOIC_SCREENSHOTS if that is set."""
    folder = Path(os.environ.get("ECHOIC_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))

    def keep(page: "Page", name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    return keep

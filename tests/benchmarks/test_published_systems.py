"""Each published method finds an excerpt of a small archive at its place."""

import ctypes
import ctypes.util
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fingerprint.bit_errors import CodeArchive, Fit
from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.systems import SYSTEMS, System

EXCERPT_S = 6.0


def melody(seed: int, seconds: float) -> Samples:
    """Tones of random pitch, one after the other, over a little noise."""
    rng = np.random.default_rng(seed)
    made = 0.01 * rng.standard_normal(int(seconds * SR))
    start = 0
    while start < len(made):
        t = np.arange(min(int(rng.uniform(0.1, 0.3) * SR), len(made) - start)) / SR
        for hz in rng.uniform(300, 2500, 3):
            made[start : start + len(t)] += 0.1 * np.sin(2 * np.pi * hz * t) * np.exp(-4 * t)
        start += len(t)
    return made.astype(np.float32)


def has_chromaprint() -> bool:
    try:
        ctypes.CDLL(ctypes.util.find_library("chromaprint") or "libchromaprint.so.1")
    except OSError:
        return False
    return True


def needs(installed: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed, reason=f"{what} is not installed")


AUDFPRINT = needs(importlib.util.find_spec("audfprint2") is not None, "audfprint2")
DEJAVU = needs(importlib.util.find_spec("dejavu") is not None, "PyDejavu-Rollong")
CHROMAPRINT = needs(has_chromaprint(), "libchromaprint")


@pytest.fixture(
    params=[
        "plain",
        "philips",
        pytest.param("chromaprint", marks=CHROMAPRINT),
        pytest.param("audfprint", marks=AUDFPRINT),
        pytest.param("audfprint-dense", marks=AUDFPRINT),
        pytest.param("dejavu", marks=DEJAVU),
    ]
)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> System:
    """One whose archive are five melodies of 12 s and a sound of half a second."""
    filled = SYSTEMS[request.param](tmp_path)
    for seed in range(5):
        filled.add(f"melody {seed}", melody(seed, 12.0))
    filled.add("click", melody(99, 0.5))
    filled.finish()
    assert filled.stored_bytes() > 0
    return SYSTEMS[request.param](tmp_path)


def test_a_clean_excerpt_is_found_at_its_place_and_scores_above_what_is_not_there(
    system: System,
) -> None:
    start = int(3.217 * SR)
    excerpt = melody(3, 12.0)[start : start + int(EXCERPT_S * SR)]
    (found,) = system.identify(excerpt)
    assert found.name == "melody 3"
    assert found.offset_s == pytest.approx(3.217, abs=0.1)
    others = system.identify(melody(7, EXCERPT_S))
    assert all(other.score < found.score for other in others)


def test_what_is_too_short_for_a_method_has_no_answer(system: System) -> None:
    assert system.identify(np.zeros(SR // 10, dtype=np.float32)) == []


def test_the_place_with_the_fewest_wrong_bits_is_found_and_no_row_runs_over_an_end() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.integers(0, 1 << 32, n, dtype=np.uint32) for n in (200, 300))
    archive = CodeArchive.joined(["first", "second"], [first, second])
    wrong = second[50:150] ^ np.uint32(0b1011)
    everywhere = np.arange(500)
    assert archive.best(wrong, everywhere) == Fit("second", 50, 3 / 32, 1.0)
    assert archive.best(np.concatenate([first[150:], second[:50]]), np.array([150])) is None
    assert archive.best(second[250:], np.array([-1, 450, 451])) == Fit("second", 250, 0.0, 1.0)


def test_a_silence_that_is_like_another_scores_next_to_nothing() -> None:
    archive = CodeArchive.joined(["silence"], [np.zeros(300, dtype=np.uint32)])
    fit = archive.best(np.zeros(100, dtype=np.uint32), np.arange(300))
    assert fit is not None
    assert (fit.wrong, fit.score) == (0.0, 0.01)

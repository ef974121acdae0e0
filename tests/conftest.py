"""Fixtures that several folders of tests share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """The folder of real recordings, or a skip that says how to get one."""
    folder = Path(os.environ.get("ECHOIC_TEST_AUDIO", PROJECT.parent / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings in {folder}: set ECHOIC_TEST_AUDIO to a folder of them")
    return folder


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that is made once for all processes that run tests, and only read then."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each process has a folder of its own in it
    folder, whole = base / f"shared-{name}", base / f"shared-{name}.whole"
    with FileLock(f"{folder}.lock"):
        if not whole.exists():
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def _make_demo(folder: Path) -> None:
    for arguments in (
        ["demo", str(folder / "sounds")],
        ["index", str(folder / "sounds"), "--catalogue", str(folder / "catalogue")],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "ui", *arguments], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo archive in ``sounds`` and its catalogue in ``catalogue``."""
    return made_once(tmp_path_factory, "demo", _make_demo)

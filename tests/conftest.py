"""Fixtures that several folders of tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """The folder of real recordings, or a skip that says how to get one."""
    folder = Path(os.environ.get("ECHOIC_TEST_AUDIO", PROJECT.parent / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings in {folder}: set ECHOIC_TEST_AUDIO to a folder of them")
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo archive in ``sounds`` and its catalogue in ``catalogue``."""
    folder = tmp_path_factory.mktemp("demo")
    for arguments in (
        ["demo", str(folder / "sounds")],
        ["index", str(folder / "sounds"), "--catalogue", str(folder / "catalogue")],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "ui", *arguments], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder

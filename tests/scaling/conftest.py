"""Servers and archives for the tests of Echoic past one machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.indexer.conftest import write_sound
from tests.milvus import MilvusServerForTests
from tests.milvus import server_for_tests as milvus_for_tests
from tests.postgres import PostgresServer, server_for_tests

N_SOUNDS = 60


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server whose commits wait for the disk, as anybody's do."""
    with server_for_tests(durable=True) as server:
        yield server


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServerForTests]:
    """A Milvus Lite server that all tests share."""
    with milvus_for_tests(tmp_path_factory.mktemp("milvus")) as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the user on this machine; another would be another machine."""
    folder = tmp_path / "this-machine"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder


@pytest.fixture
def url(postgres: PostgresServer, machine: Path) -> str:
    """An empty database."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a catalogue can be made."""
    if request.param == "sqlite":
        return str(tmp_path / "catalogue")
    found: str = request.getfixturevalue("url")
    return found


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short sounds, all different, in two folders that have one in common."""
    root = tmp_path_factory.mktemp("scaling") / "sounds"
    for number in range(N_SOUNDS):
        folder = root / ("north" if number % 2 else "south")
        write_sound(folder / f"{number:02}.wav", seed=number, length_s=0.6 + number % 5)
    for folder in ("north", "south"):
        write_sound(root / folder / "both.wav", seed=999, length_s=3.0)
    return root


def echoic(
    *arguments: str, machine: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, on this machine or on another."""
    ran = subprocess.run(
        [sys.executable, "-m", "ui", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | ({} if machine is None else {"XDG_DATA_HOME": str(machine)}),
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran

"""Servers and archives for the tests of Echoic past one machine."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import make_url

from db.fingerprint_location import OnCluster
from tests.indexer.conftest import write_sound
from tests.milvus import MilvusServerForTests
from tests.milvus import server_for_tests as milvus_for_tests
from tests.postgres import GUEST_PASSWORD, PostgresServer, server_for_tests
from tests.scaling.running import Run

N_SOUNDS = 60
N_PARTS = 3


@pytest.fixture(autouse=True)
def runs_end() -> Iterator[None]:
    """No run outlives its test."""
    yield
    Run.kill_all()


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


@pytest.fixture(scope="session")
def guest(postgres: PostgresServer) -> str:
    """The URL of a user who needs a password, without it."""
    postgres.execute(f"CREATE ROLE guest LOGIN PASSWORD '{GUEST_PASSWORD}'")
    postgres.execute("CREATE DATABASE guests OWNER guest")
    return postgres.url("guests", "guest")


def with_password(url: str, password: str) -> str:
    """Return a URL with a password in it."""
    return make_url(url).set(password=password).render_as_string(hide_password=False)


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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray cluster of one machine that has a place for one actor that analyses."""
    if "ECHOIC_REQUIRE_RAY" not in os.environ:
        pytest.importorskip("ray", reason="install echoic[ray] to test on a cluster")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        # Ray writes its address there whatever folder it is given, and does not make it.
        Path("/tmp/ray").mkdir(exist_ok=True)
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "include_dashboard": False,
                "temp_dir": folder,
                "env_vars": on_machine(tmp_path_factory.mktemp("machine")),
            },
        )
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def here(cluster: Any) -> Iterator[OnCluster]:
    """The cluster, and this process of it while the tests of this module last."""
    from indexer.ray_cluster import connect, disconnect

    connect(cluster.address)
    yield OnCluster(cluster.address, N_PARTS)
    disconnect()


@pytest.fixture
def second(cluster: Any, tmp_path: Path) -> Iterator[Any]:
    """Another machine, which has a place for one actor, too."""
    with another_machine(cluster, env_vars=on_machine(tmp_path / "second-machine")) as node:
        yield node


@contextmanager
def another_machine(cluster: Any, **options: Any) -> Iterator[Any]:
    """Add a machine for a time; it is gone at the end, also where a test fails."""
    node = cluster.add_node(**({"num_cpus": 2} | options))
    try:
        yield node
    finally:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


def on_machine(folder: Path) -> dict[str, str]:
    """Return the environment of what keeps its files there."""
    return {"XDG_DATA_HOME": str(folder)}


def raylet_of(node: Any) -> psutil.Process:
    """Return the process that is a machine of a cluster."""
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


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

"""Every kind of database that a catalogue can live in."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.writer import CatalogueWriter


def _as_server_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server that is started for these tests alone, without its database."""
    pytest.importorskip("psycopg", reason="install echoic[postgres] to test on PostgreSQL")
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(binaries[-1]) if binaries else None)
    if initdb is None:
        pytest.skip("no PostgreSQL server is installed")
    folder = Path(tempfile.mkdtemp(prefix="echoic-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, tools = folder / "data", Path(initdb).parent
    user = ["--username=echoic", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
    run = {"check": True, "capture_output": True, "cwd": folder}
    subprocess.run([*_as_server_user(), initdb, "-D", data, *user], **run)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    control = [*_as_server_user(), tools / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*control, "-o", options, "start"], **run)
    try:
        yield f"postgresql+psycopg://echoic@/{{name}}?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Where a catalogue can be made."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if request.param == "sqlite":
        return str(tmp_path / "catalogue")
    import psycopg

    url: str = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    server = url.replace("+psycopg", "").format(name="postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.format(name=name)


@pytest.fixture
def catalogue(location: str) -> Iterator[Catalogue]:
    with Catalogue.open(location, create=True) as opened:
        yield opened


@pytest.fixture
def writer(catalogue: Catalogue) -> Iterator[CatalogueWriter]:
    with CatalogueWriter(catalogue) as opened:
        yield opened

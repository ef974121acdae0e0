"""A PostgreSQL server of one's own, for tests and benchmarks: started here, gone at the end."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GUEST_PASSWORD = "open/sesame@%"
"""Of the user ``guest``, the only one who needs one."""


class NoServer(Exception):
    """PostgreSQL is not installed."""


class PostgresServer:
    """A server in a folder of its own, reached through a socket in that folder."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        found = shutil.which("initdb")
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if found is None and not installed:
            raise NoServer("no PostgreSQL server is installed")
        self._tools = (Path(found).resolve() if found else installed[-1]).parent
        self._options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        if not durable:
            self._options += " -c fsync=off"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        user = ["--username=echoic", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        self._data = ["-D", str(folder / "data")]
        self._run("initdb", *self._data, *user)
        access = folder / "data" / "pg_hba.conf"
        access.write_text(f"local all guest scram-sha-256\n{access.read_text()}")
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        log = str(self.folder / "log")
        self._run("pg_ctl", *self._data, "-w", "-l", log, "-o", self._options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``immediate`` as if it had crashed, ``fast`` in good order."""
        self._run("pg_ctl", *self._data, "-w", "-m", mode, "stop")

    def url(self, database: str, user: str = "echoic") -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def execute(self, *statements: str) -> None:
        """Run statements that belong to no database of the tests."""
        import psycopg

        plain = self.url("postgres").replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def client(self, tool: str, *arguments: str) -> None:
        """Run a tool such as pg_dump; URLs may be those that Echoic is given."""
        self._run(tool, *(argument.replace("+psycopg", "") for argument in arguments))

    def _run(self, tool: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        ran = subprocess.run(
            [*as_user, str(self._tools / tool), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # no pipe: the server would keep it open
            cwd=self.folder,
            check=False,
        )
        if ran.returncode:
            log = self.folder / "log"
            said = log.read_text() if log.exists() else "nothing was said"
            raise RuntimeError(f"{tool} ended with {ran.returncode}: {said}")


@contextmanager
def running_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Give a server that is stopped and removed at the end.

    Parameters
    ----------
    durable
        Whether commits wait for the disk, as they do by default.

    Raises
    ------
    NoServer
        If none is installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="echoic-postgres-"))
    try:
        server = PostgresServer(folder, durable=durable)
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def server_for_tests(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Give a server; where there is none skip, or fail where tests must not be skipped."""
    is_required = "ECHOIC_REQUIRE_POSTGRES" in os.environ
    try:
        import psycopg  # noqa: F401

        with running_server(durable=durable) as server:
            yield server
    except (ImportError, NoServer) as error:
        if is_required:
            raise
        pytest.skip(f"{error}: install PostgreSQL and echoic[postgres] to test on it")

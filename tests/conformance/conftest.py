"""Every kind of database that a catalogue can live in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from tests.postgres import PostgresServer, server_for_tests


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that is started for these tests alone."""
    with server_for_tests() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Where a catalogue can be made."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if request.param == "sqlite":
        return str(tmp_path / "catalogue")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def catalogue(location: str) -> Iterator[Catalogue]:
    with Catalogue.open(location, create=True) as opened:
        yield opened


@pytest.fixture
def writer(catalogue: Catalogue) -> Iterator[CatalogueWriter]:
    with CatalogueWriter(catalogue) as opened:
        yield opened

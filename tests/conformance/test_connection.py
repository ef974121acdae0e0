"""How a server is connected to, and that a user's own settings for it stay."""

from pathlib import Path

import pytest
from sqlalchemy import text

from db.catalogue import Catalogue
from tests.postgres import PostgresServer

_NAMES = ("work_mem", "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")


def settings(url: str) -> dict[str, str]:
    """Return what a session was told when it began: through a socket, SHOW says 0 of some."""
    query = text("SELECT name, reset_val FROM pg_settings WHERE name = ANY(:names)")
    with Catalogue.open(url, create=True) as catalogue, catalogue.session() as session:
        rows = session.execute(query, {"names": list(_NAMES)})
        return {row.name: row.reset_val for row in rows}


def test_the_server_notices_a_machine_that_vanished_and_keeps_to_what_users_say(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    url = postgres.new_database()
    ours = dict(zip(_NAMES[1:], ("30", "10", "3"), strict=True))
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=5MB")
    assert settings(url) == ours | {"work_mem": "5120"}
    own = "-c%20work_mem%3D6MB%20-c%20tcp_keepalives_idle%3D50"
    assert settings(f"{url}&options={own}") == ours | {
        "work_mem": "6144",
        "tcp_keepalives_idle": "50",
    }

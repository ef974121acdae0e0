"""How a server is connected to, what it must be and allow, and that users' own settings stay."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from db.catalogue import Catalogue
from db.errors import CatalogueError, CatalogueMissing, CatalogueUnreachable
from db.writer import CatalogueWriter
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


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_all_names_is_refused_with_the_command_for_another(
    encoding: str, postgres: PostgresServer
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(CatalogueError, match=f"encoded in {encoding}.*-E UTF8 -T template0"):
        Catalogue.open(postgres.url(name), create=True)


def test_names_are_sent_in_utf8_whatever_the_environment_says(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Catalogue.open(postgres.new_database(), create=True) as catalogue:
        with CatalogueWriter(catalogue) as writer:
            writer.add_collection("Łódź", "/archive")
        assert [collection.name for collection in catalogue.collections()] == ["Łódź"]


def test_a_right_that_is_missing_is_named_with_how_it_is_given_and_is_no_damage(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    url = postgres.new_database()
    user = f"u{uuid.uuid4().hex}"
    name = url.partition("@/")[2].partition("?")[0]
    postgres.execute(f"CREATE ROLE {user} LOGIN", f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    theirs = postgres.url(name, user)

    def refused(*, create: bool = False) -> str:
        """Follow what the refusal says, as an administrator; return it."""
        with (
            pytest.raises(CatalogueError) as raised,
            Catalogue.open(theirs, create=create) as opened,
            CatalogueWriter(opened) as writer,
        ):
            writer.add_collection("tapes", "/tapes")
        said = str(raised.value)
        assert "backup" not in said
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("GRANT " + said.partition("GRANT ")[2])
        return said

    with pytest.raises(CatalogueUnreachable, match="may not connect"):
        Catalogue.open(theirs)
    assert "GRANT CONNECT" in refused()
    with pytest.raises(CatalogueMissing):
        Catalogue.open(theirs)
    assert "CREATE ON SCHEMA public" in refused(create=True)
    Catalogue.open(url, create=True).close()  # so that the tables are another's
    assert "GRANT SELECT ON" in refused()
    assert "INSERT" in refused()
    with Catalogue.open(theirs) as catalogue, CatalogueWriter(catalogue) as writer:
        writer.add_collection("tapes", "/tapes")


def test_a_schema_that_may_not_be_looked_into_is_not_taken_for_an_empty_one(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    url = postgres.new_database()
    Catalogue.open(url, create=True).close()
    user = f"u{uuid.uuid4().hex}"
    postgres.execute(f"CREATE ROLE {user} LOGIN")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    with pytest.raises(CatalogueError, match="GRANT USAGE, CREATE ON SCHEMA public"):
        Catalogue.open(url.replace("echoic@", f"{user}@"))

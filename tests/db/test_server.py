"""URLs of servers: read, shown without their password, refused in words. No server is needed."""

import sys
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.errors import CatalogueError, CatalogueUnreachable
from db.lock import this_process
from db.server import server_url, shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/home/ada/catalogue", "/home/ada/catalogue"),
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        ("postgresql://ada:secret@host:5432/db", "postgresql://ada:***@host:5432/db"),
        ("postgresql://ada:sec@ret:/@host/db", "postgresql://ada:***@host/db"),
        ("postgresql://first@corp:secret@host/db", "postgresql://first@corp:***@host/db"),
        ("postgresql://a/b?c:secret@host/db", "postgresql://a/b?c:***@host/db"),
        ("--catalogue=postgresql://ada:secret@host/db", "--catalogue=postgresql://ada:***@host/db"),
        ("http://host:19530?token=secret", "http://host:19530?token=***"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        (
            "postgresql://host/db?user=a&password=s&x=1",
            "postgresql://host/db?user=a&password=***&x=1",
        ),
        ("postgresql://h/db?sslPassword=s", "postgresql://h/db?sslPassword=***"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
    ],
)
def test_a_url_is_shown_without_its_password(given: str, expected: str) -> None:
    assert shown(given) == expected


def test_a_process_is_named_without_the_password_that_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql://ada:secret@host/db"
    monkeypatch.setattr(sys, "argv", ["/bin/echoic", "index", f"--catalogue={url}", url])
    shown_url = "postgresql://ada:***@host/db"
    assert this_process()["command"] == f"echoic index --catalogue={shown_url} {shown_url}"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_any_spelling_of_postgresql_goes_through_psycopg(scheme: str) -> None:
    assert server_url(f"{scheme}://host/db").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("mysql://ada:secret@host/db", "can hold a catalogue"),
        ("postgresql+asyncpg://ada:secret@host/db", "through psycopg"),
        ("postgresql://ada:secret@host:port/db", "not the URL of a database"),
        ("postgresql://ada:sec@ret@host/db", "write %40"),
        ("sqlite:///somewhere", "give the folder"),
        ("://", "not the URL of a database"),
    ],
)
def test_a_url_of_something_else_is_refused_without_its_password(
    location: str, expected: str
) -> None:
    with pytest.raises(CatalogueError, match=expected) as raised:
        Catalogue.open(location, create=True)
    assert "sec" not in str(raised.value)
    assert "ret" not in str(raised.value)


@pytest.mark.parametrize(
    "location",
    [
        "postgresql:/ada:secret@host/db",
        "postgresql:ada",
        "PostgreSQL+psycopg:/db",
        "postgres//ada:secret@host/db",
        "s3:/archive/catalogue",
        "sqlite:/catalogue",
    ],
)
def test_a_url_with_a_slip_in_it_is_refused_and_makes_no_folder(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CatalogueError, match="with two slashes") as raised:
        Catalogue.open(location, create=True)
    assert "secret" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tapes: 1962", "postgresql", "./s3:", "postgres 15/catalogue"])
def test_a_folder_with_a_colon_in_its_name_can_hold_a_catalogue(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Catalogue.open(name, create=True).close()
    assert (tmp_path / name).is_dir()


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="install echoic[postgres] to test on PostgreSQL")
    with pytest.raises(CatalogueUnreachable, match=r"does not answer.*start it") as raised:
        Catalogue.open(f"postgresql://ada:secret@/db?host={tmp_path}")
    assert str(tmp_path) in str(raised.value)
    assert "secret" not in str(raised.value)

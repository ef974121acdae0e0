"""A server that cannot be used: what is wrong and what to do, and never the password."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from db.catalogue import Catalogue
from db.errors import CatalogueError, CatalogueMissing, CatalogueUnreachable
from tests.postgres import GUEST_PASSWORD, PostgresServer
from tests.scaling.conftest import echoic, with_password


def test_a_database_that_is_not_there_is_answered_with_the_command_that_makes_it(
    postgres: PostgresServer,
) -> None:
    with pytest.raises(CatalogueUnreachable) as raised:
        Catalogue.open(postgres.url("nowhere"), create=True)
    expected = f"`createdb -h {postgres.folder} -U echoic nowhere` makes it"
    assert expected in str(raised.value)


def test_an_empty_database_holds_no_catalogue_until_something_is_indexed(url: str) -> None:
    with pytest.raises(CatalogueMissing, match="echoic index FOLDER"):
        Catalogue.open(url)


def test_a_user_whom_the_server_does_not_know_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(CatalogueUnreachable, match="knows no user 'nobody'"):
        Catalogue.open(postgres.url("postgres", "nobody"))


def test_a_password_that_is_wrong_or_missing_is_asked_for(guest: str) -> None:
    with pytest.raises(CatalogueUnreachable, match=r"wants a password.*pgpass"):
        Catalogue.open(guest)
    with pytest.raises(CatalogueUnreachable, match="does not let the user 'guest' in") as raised:
        Catalogue.open(with_password(guest, "wrong-secret"))
    assert "wrong-secret" not in str(raised.value)


def test_the_password_is_never_shown(guest: str, machine: Path) -> None:
    url = with_password(guest, GUEST_PASSWORD)
    archive = machine / "empty"
    archive.mkdir(parents=True)
    said = ""
    for arguments in (["index", str(archive)], ["status"], ["status", "--json"], ["check"]):
        ran = echoic(*arguments, "--catalogue", url, check=False)
        said += ran.stdout + ran.stderr
    assert "guest:***@" in said
    for written in (GUEST_PASSWORD, make_url(url).render_as_string(hide_password=False)):
        assert written not in said
    assert "sesame" not in said


def test_a_plain_url_of_postgresql_will_do(url: str) -> None:
    plain = url.replace("+psycopg", "")
    with Catalogue.open(plain, create=True) as catalogue:
        assert catalogue.collections() == []
    with Catalogue.open(url) as catalogue:
        assert catalogue.collections() == []


def test_a_number_that_is_too_large_for_the_server_is_one_that_is_not_there(url: str) -> None:
    with Catalogue.open(url, create=True) as catalogue:
        for number in (2**31, 2**63, 10**30, -5):
            with pytest.raises(CatalogueError, match=f"no recording {number} in the catalogue"):
                catalogue.recording(number)


def test_two_who_make_one_catalogue_at_once_both_get_it(url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def make(_: int) -> str:
        with Catalogue.open(url, create=True) as catalogue:
            return str(catalogue.cache.folder)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1

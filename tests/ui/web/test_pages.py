"""The pages' logic without a browser, through Streamlit's own test harness."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.web.conftest import PROJECT


@pytest.fixture
def app(catalogue: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The application over the small archive, before its first run."""
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(catalogue))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield AppTest.from_file(str(PROJECT / "ui" / "app.py"), default_timeout=60)


def said(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.info, *app.warning, *app.success]
    return "\n".join(str(part.value) for part in parts)


def test_an_empty_box_offers_something_to_ask(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert "of sound" in said(app)
    next(button for button in app.button if button.label == "dog barking").click().run()
    assert app.text_input(key="q").value == "dog barking"
    assert "sounds match" in said(app)


def test_the_address_asks_the_question(app: AppTest) -> None:
    app.query_params["q"] = "church bell"
    app.run()
    assert not app.exception
    assert app.text_input(key="q").value == "church bell"
    assert "match" in said(app)


def test_what_cannot_be_understood_is_said_in_a_sentence(app: AppTest) -> None:
    app.query_params["q"] = "dog lenght:<5"
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert "lenght" in app.error[0].value


def test_a_length_at_the_side_narrows_the_question_down(app: AppTest) -> None:
    app.query_params["q"] = "dog barking"
    app.run()
    pills = next(group for group in app.button_group if group.label == "Length")
    pills.set_value("30 s to 2 min").run()
    assert app.text_input(key="q").value == "dog barking duration:30..<120"


def test_without_a_catalogue_the_page_welcomes_and_refuses_folders_that_are_not_there(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "nothing"))
    app.run()
    assert not app.exception
    assert app.title[0].value == "Welcome to Echoic"
    app.text_input[0].set_value("sounds")
    app.button[0].click().run()
    assert "whole path" in app.error[0].value
    app.text_input[0].set_value(str(tmp_path / "no such folder"))
    app.button[0].click().run()
    assert "there is no folder" in app.error[0].value.lower()


def test_a_damaged_catalogue_is_an_error_in_words(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"no database")
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path))
    app.run()
    assert not app.exception
    assert len(app.error) == 1

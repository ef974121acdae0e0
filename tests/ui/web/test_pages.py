"""The pages' logic without a browser, through Streamlit's own test harness."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from db.catalogue import Catalogue
from db.lists import NewEntry, add_entries, entries, lists, make_list, remove_list, rename_list
from db.saved_searches import remove_search, saved_searches
from db.schema import CollectionRow, ListEntryRow, SavedSearchRow
from db.writer import CatalogueWriter
from search.saved import new_matches, save
from tests.ui.web.conftest import PROJECT
from ui.web.archive import archive


@pytest.fixture(scope="module")
def catalogue(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue in which nobody else keeps lists.

    A copy of what was indexed, not of what the browser tests use: one that was cut short leaves
    its list there.
    """
    target = tmp_path_factory.mktemp("pages") / "catalogue"
    return Path(shutil.copytree(sounds.parent / "catalogue", target))


@pytest.fixture
def app(catalogue: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The application over the small archive, before its first run."""
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(catalogue))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield AppTest.from_file(str(PROJECT / "ui" / "app.py"), default_timeout=60)


@pytest.fixture
def saved(app: AppTest) -> AppTest:
    """The page Saved by itself, over the same archive."""
    script = "from ui.web.pages import saved\nsaved.page()"
    return AppTest.from_string(script, default_timeout=60)


def said(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.info, *app.warning, *app.success]
    return "\n".join(str(part.value) for part in parts)


def test_an_empty_box_offers_something_to_ask(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert "of sound" in said(app)
    offered = next(button for button in app.button if (button.key or "").startswith("suggested_"))
    offered.click().run()
    assert app.text_input(key="q").value == offered.label
    assert "match" in said(app)
    assert "Nothing in this archive matches" not in said(app)


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


def test_what_is_not_there_is_said(app: AppTest) -> None:
    app.query_params["q"] = "xylophone duration:>1000"
    app.run()
    assert "Nothing in this archive matches" in said(app)
    assert "No recording meets the conditions" in said(app)


def test_conditions_that_keep_every_match_away_can_be_dropped(app: AppTest) -> None:
    app.query_params["q"] = "dog barking duration:<0.5 format:FLAC"
    app.run()
    assert "Nothing in this archive matches" not in said(app)
    assert "2 sounds match without them" in said(app)
    button(app, "Drop the conditions").click().run()
    assert app.text_input(key="q").value == "dog barking"
    assert "**2 sounds match**" in said(app)


def test_a_search_within_a_selection_asks_what_to_look_for(app: AppTest) -> None:
    app.query_params["q"] = "id:1..3"
    app.run()
    assert "3 recordings are selected: type in the box what to look for" in said(app)
    app.text_input(key="q").set_value("id:1..3 dog barking").run()
    assert "are selected" not in said(app)


def test_near_misses_are_only_those_that_are_somewhat_likely(app: AppTest) -> None:
    app.query_params["q"] = "bell"
    app.run()
    labels = [expander.label for expander in app.expander]
    assert labels == ["What comes nearest, but probably is something else (1)"]  # of five


def test_a_file_of_the_machine_cannot_be_named_in_the_box(app: AppTest) -> None:
    app.query_params["q"] = "like:/etc/hostname"
    app.run()
    assert "lies in none of the archive's folders" in app.error[0].value


def page_of(name: str) -> AppTest:
    """Return a page by itself, over the same archive."""
    script = f"from ui.web.pages import {name}\n{name}.page()"
    return AppTest.from_string(script, default_timeout=60)


def test_a_file_of_the_machine_cannot_be_named_for_a_recording(app: AppTest) -> None:
    recording = page_of("recording")
    recording.query_params["id"], recording.query_params["q"] = "1", "like:/etc/hostname"
    recording.run()
    assert not recording.exception
    assert "lies in none of the archive's folders" in recording.error[0].value
    assert "No passage of it" not in said(recording)


def test_a_recording_that_was_found_by_conditions_alone_has_no_passages_to_tell(
    app: AppTest,
) -> None:
    recording = page_of("recording")
    recording.query_params["id"], recording.query_params["q"] = "1", "duration:>0"
    recording.run()
    assert not recording.exception
    assert not recording.error
    assert "No passage of it" not in said(recording)


def test_a_recording_that_was_found_by_its_name_alone_says_so(
    app: AppTest, catalogue: Path
) -> None:
    with Catalogue.open(catalogue) as opened:
        known = opened.recordings(opened.columns().ids.tolist())
        field = next(id_ for id_, info in known.items() if "village" in info.files[0].path)
    recording = page_of("recording")
    recording.query_params["id"] = str(field)
    for text, answers in (("village edge", True), ("xylophone", False)):
        recording.query_params["q"] = text
        recording.run()
        assert not recording.exception
        assert ("It answers by its name and tags." in said(recording)) == answers
        assert ("No passage of it" in said(recording)) != answers


def test_what_sounds_like_a_recording_is_shown_although_its_file_is_gone(
    app: AppTest, catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(catalogue, tmp_path / "catalogue")
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "catalogue"))
    with Catalogue.open(tmp_path / "catalogue") as opened, opened.transaction() as session:
        session.execute(update(CollectionRow).values(root=str(tmp_path / "gone")))
    recording = page_of("recording")
    recording.query_params["id"] = "1"
    recording.run()
    button(recording, "Look for them").click().run()
    assert not recording.exception
    assert len(recording.error) == 1
    assert "Sounds like it" in said(recording)


def test_what_has_changed_since_is_asked_anew(
    app: AppTest, catalogue: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(catalogue, tmp_path / "catalogue")
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "catalogue"))
    served = archive()
    assert served.those_that_find(("church bell", "xylophone")) == ["church bell"]
    path = next(sounds.rglob("church-bell.*"))
    identify = page_of("identify")
    clip = served.uploads.keep(path.read_bytes(), path.name)
    identify.session_state["clip"] = (clip.name, path.name)
    identify.run()
    assert "church-bell" in identify.success[0].value
    assert served.identical(path) is not None
    with CatalogueWriter(served.catalogue) as writer:
        writer.forget_files(range(1, 100))
    identify.run()
    assert not identify.exception
    assert "Nothing in this archive matches" in said(identify)
    assert served.those_that_find(("church bell",)) == ["church bell"]  # for some minutes
    monkeypatch.setattr("ui.web.archive._ANSWERS_KEPT_S", 0.0)
    assert served.those_that_find(("church bell",)) == []


def test_a_silent_clip_gets_no_advice_that_cannot_help(app: AppTest, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32_000), 16_000)
    identify = page_of("identify")
    clip = archive().uploads.keep(silence.read_bytes(), silence.name)
    identify.session_state["clip"] = (clip.name, silence.name)
    identify.run()
    assert not identify.exception
    assert "Nothing in this archive matches" in said(identify)
    assert "it is silent" in said(identify)
    assert "What may help" not in said(identify)


def test_another_question_begins_with_its_first_page(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.web.pages.search._PAGE", 1)
    app.query_params["q"] = "duration:>0"
    app.run()
    assert "The first 1" in said(app)
    button(app, "Show more").click().run()
    assert "The first 2" in said(app)
    app.text_input(key="q").set_value("duration:>0.1").run()
    assert "The first 1" in said(app)


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


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def test_lists_are_made_renamed_and_deleted(saved: AppTest, catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        add_entries(opened, "bells", [NewEntry(1, 0.0, 1.0, "loud", "church bell", 0.9)])
        saved.query_params["list"] = "bells"
        saved.run()
        assert not saved.exception
        assert saved.selectbox(key="list").value == "bells"
        saved.text_input[0].set_value("an empty one")
        button(saved, "Make it").click().run()
        assert saved.selectbox(key="list").value == "an empty one"
        assert "Nothing is in it yet" in said(saved)
        named = next(one for one in saved.text_input if one.label == "New name")
        named.set_value("bells")
        button(saved, "Rename").click().run()
        assert "there is already a list" in saved.error[0].value.lower()
        named = next(one for one in saved.text_input if one.label == "New name")
        named.set_value("nothing yet")
        button(saved, "Rename").click().run()
        assert saved.selectbox(key="list").value == "nothing yet"
        button(saved, "Delete the list").click().run()
        assert [info.name for info in lists(opened)] == ["bells"]
        assert saved.selectbox(key="list").value == "bells"
        remove_list(opened, "bells")
        saved.run()
        assert "No lists yet" in said(saved)


def test_an_export_tells_what_does_not_fit_and_asks_for_what_it_needs(
    saved: AppTest, catalogue: Path
) -> None:
    with Catalogue.open(catalogue) as opened:
        add_entries(opened, "two", [NewEntry(1), NewEntry(2)])
        saved.query_params["list"] = "two"
        saved.run()
        saved.selectbox(key="list_format").select("audacity").run()
        button(saved, "Make the file").click().run()
        assert "audacity" in said(saved).lower()
        saved.selectbox(key="list_format").select("edl").run()
        assert not saved.error
        saved.selectbox(key="list_rate").select("29.97").run()
        assert not saved.exception
        saved.selectbox(key="list_format").select("wav").run()
        button(saved, "Make the file").click().run()
        assert not saved.error
        assert all(one.label != "Make the file" for one in saved.button)
        remove_list(opened, "two")


def test_a_file_is_offered_only_as_long_as_it_is_what_the_page_shows(
    saved: AppTest, catalogue: Path
) -> None:
    with Catalogue.open(catalogue) as opened:
        add_entries(opened, "one", [NewEntry(1)])
        saved.query_params["list"] = "one"
        saved.run()
        button(saved, "Make the file").click().run()
        assert all(one.label != "Make the file" for one in saved.button)
        add_entries(opened, "one", [NewEntry(2)])
        saved.run()
        assert button(saved, "Make the file")
        remove_list(opened, "one")


@pytest.mark.parametrize("label", ["Delete the list", "Rename"])
def test_a_button_that_was_seen_with_one_list_does_nothing_to_another(
    saved: AppTest, catalogue: Path, label: str
) -> None:
    with Catalogue.open(catalogue) as opened:
        add_entries(opened, "a", [NewEntry(1)])
        add_entries(opened, "b", [NewEntry(2)])
        saved.query_params["list"] = "a"
        saved.run()
        named = next(one for one in saved.text_input if one.label == "New name")
        named.set_value("other")
        rename_list(opened, "a", "c")  # by somebody else
        button(saved, label).click().run()
        assert "There is no list 'a'" in saved.error[0].value
        assert [(one.name, one.n_entries) for one in lists(opened)] == [("b", 1), ("c", 1)]
        remove_list(opened, "b")
        remove_list(opened, "c")


def test_a_refused_name_stays_where_it_was_written(saved: AppTest, catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        make_list(opened, "taken")
        saved.run()
        saved.text_input(key="new_list_name").set_value("taken")
        button(saved, "Make it").click().run()
        assert "there is already a list" in saved.error[0].value.lower()
        assert saved.text_input(key="new_list_name").value == "taken"
        remove_list(opened, "taken")


def test_what_the_archive_has_lost_is_taken_out_of_a_list_and_put_back(
    saved: AppTest, catalogue: Path
) -> None:
    with Catalogue.open(catalogue) as opened:
        add_entries(opened, "gaps", [NewEntry(1), NewEntry(2)])
        with opened.transaction(of_contents=False) as session:
            gone = ListEntryRow.content_hash == opened.recording(1).content_hash
            session.execute(update(ListEntryRow).where(gone).values(content_hash="sha256:gone"))
        saved.query_params["list"] = "gaps"
        saved.run()
        assert saved.expander[0].label.startswith("1 passage is of recordings")
        button(saved, "Take them out of the list").click().run()
        assert [one.recording_id for one in entries(opened, "gaps")] == [2]
        button(saved, "Put it back").click().run()
        assert [one.recording_id for one in entries(opened, "gaps")] == [None, 2]
        button(saved, "Take them out of the list").click().run()
        saved.query_params["list"] = "gaps"
        remove_list(opened, "gaps")
        button(saved, "Put it back").click().run()
        assert "There is no list 'gaps'" in saved.error[0].value
        assert "gaps" not in [one.name for one in lists(opened)]


def test_new_matches_beyond_those_that_are_given_can_be_let_go(
    saved: AppTest, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_matches, "__kwdefaults__", {"k": 1, "fold_copies": True})
    with Catalogue.open(catalogue) as opened:
        save(opened, "bells", "duration:>0")
        with opened.transaction(of_contents=False) as session:
            session.execute(update(SavedSearchRow).values(last_seen=0))
        saved.query_params["show"] = "searches"
        saved.run()
        assert "There may be more than these 1" in said(saved)
        button(saved, "Look from here on all the same").click().run()
        assert "Nothing has come into the archive since" in said(saved)
        remove_search(opened, "bells")


def test_a_saved_search_tells_what_is_new_until_somebody_has_seen_it(
    app: AppTest, saved: AppTest, catalogue: Path
) -> None:
    app.query_params["q"] = "dog barking"
    app.run()
    next(one for one in app.text_input if one.label == "Name").set_value("dogs")
    button(app, "Save").click().run()
    assert "Saved as dogs" in said(app)
    with Catalogue.open(catalogue) as opened:
        saved.query_params["show"] = "searches"
        saved.run()
        assert "Nothing has come into the archive since" in said(saved)
        with opened.transaction(of_contents=False) as session:  # as if saved when it was empty
            session.execute(update(SavedSearchRow).values(last_seen=0))
        saved.run()
        assert saved.expander[0].label.startswith("2 new sounds since")
        button(saved, "I have seen this").click().run()
        assert "Nothing has come into the archive since" in said(saved)
        named = next(one for one in saved.text_input if one.label == "New name")
        named.set_value("hounds")
        button(saved, "Rename").click().run()
        assert [search.name for search in saved_searches(opened)] == ["hounds"]
        button(saved, "Delete the search").click().run()
        assert saved_searches(opened) == []
        assert "No saved searches yet" in said(saved)


def test_a_hit_of_a_dropped_sound_is_opened_with_the_passages_that_are_like_it(
    app: AppTest, sounds: Path
) -> None:
    """The address of the page Recording says which sound was dropped in, and which part of it."""
    (number,) = archive().catalogue.find_files("village-edge.flac")
    page = AppTest.from_string(
        "from ui.web.pages import recording\nrecording.page()", default_timeout=60
    )
    page.query_params["id"] = str(number)
    for path, is_like in (("animals/dog-barking.wav", True), ("animals/cat-meowing.ogg", False)):
        upload = archive().uploads.keep((sounds / path).read_bytes(), path)
        for part in ("", "@0-4.5"):
            page.query_params["clip"] = f"{upload.name}{part}"
            page.run()
            assert not page.exception and not page.error
            said = [caption.value for caption in page.caption]
            assert any("No passage of it" in text for text in said) != is_like


def test_a_recording_with_very_many_re_uses_shows_the_first_of_them() -> None:
    script = """
from search.fingerprints import Match
from tests.search.export_cases import recording
from ui.web.pages.recording import _reuses

found = [(recording(number, f"{number}.wav"), 0, 9, 0, 9) for number in range(1, 61)]
_reuses([Match(*one, 1.0, 1.0, 30.0, 1e-9) for one in found])
"""
    app = AppTest.from_string(script, default_timeout=60).run()
    assert not app.exception
    assert said(app).startswith("There are 10 more: `echoic identify")

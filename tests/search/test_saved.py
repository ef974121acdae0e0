"""Saved searches and what is new to them, and hits in lists."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.lists import NewEntry, add_entries, entries
from db.saved_searches import saved_search
from db.writer import CatalogueWriter
from indexer.encoders import DEFAULT_ENCODER
from indexer.pipeline import run
from indexer.plan import Wanted
from indexer.sources import folder_source
from search.engine import SearchEngine
from search.errors import QueryError, QuerySyntaxError
from search.hits import Hit
from search.query import Archived
from search.saved import accept, entry_of_hit, entry_of_passage, hits_of_list, new_matches, save
from tests.indexer.conftest import write_sound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write_sound(tmp_path / "sounds" / f"bell-{number}.wav", seed=number)
    return tmp_path / "sounds"


def index(catalogue: Catalogue, folder: Path) -> None:
    with CatalogueWriter(catalogue) as writer:
        run(
            writer,
            [folder_source(writer, folder)],
            Wanted((DEFAULT_ENCODER,), (), describe=False),
            n_workers=1,
            on_event=lambda event: None,
            stop=threading.Event(),
        )


@pytest.fixture
def catalogue(folder: Path, tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "catalogue", create=True) as opened:
        index(opened, folder)
        yield opened


def names(hits: tuple[Hit, ...]) -> set[str]:
    return {hit.recording.files[0].path for hit in hits}


def test_new_matches_are_given_once_and_stay_new_until_they_are_accepted(
    catalogue: Catalogue, folder: Path
) -> None:
    save(catalogue, "bells", "name:bell")
    engine = SearchEngine(catalogue)
    assert new_matches(engine, "bells").results.hits == ()
    write_sound(folder / "bell-9.wav", seed=9)
    write_sound(folder / "drum.wav", seed=8)
    index(catalogue, folder)
    for _ in range(2):
        matches = new_matches(engine, "bells")
        assert names(matches.results.hits) == {"bell-9.wav"}
        assert matches.is_complete
    accept(catalogue, "bells", matches)
    assert new_matches(engine, "bells").results.hits == ()
    (folder / "bell-9.wav").rename(folder / "bell-moved.wav")
    index(catalogue, folder)
    assert new_matches(engine, "bells").results.hits == ()  # moved is not new


def test_what_comes_between_the_answer_and_its_acceptance_is_new_the_next_time(
    catalogue: Catalogue, folder: Path
) -> None:
    save(catalogue, "bells", "name:bell")
    engine = SearchEngine(catalogue)
    write_sound(folder / "bell-7.wav", seed=7)
    index(catalogue, folder)
    matches = new_matches(engine, "bells")
    write_sound(folder / "bell-8.wav", seed=8)
    index(catalogue, folder)
    accept(catalogue, "bells", matches)
    assert names(new_matches(engine, "bells").results.hits) == {"bell-8.wav"}


def test_an_answer_that_did_not_hold_all_new_matches_leaves_them_new(
    catalogue: Catalogue, folder: Path
) -> None:
    save(catalogue, "bells", "name:bell")
    engine = SearchEngine(catalogue)
    for number in (5, 6):
        write_sound(folder / f"bell-{number}.wav", seed=number)
    index(catalogue, folder)
    matches = new_matches(engine, "bells", k=1)
    assert (len(matches.results.hits), matches.is_complete) == (1, False)
    accept(catalogue, "bells", matches)
    assert len(new_matches(engine, "bells", k=10).results.hits) == 2


def test_a_saved_query_is_checked_and_keeps_its_files_wherever_it_is_run(
    catalogue: Catalogue, folder: Path
) -> None:
    saved = save(catalogue, "like", "like:bell-1.wav  -music", relative_to=folder)
    assert str(folder / "bell-1.wav") in saved.query
    assert saved_search(catalogue, "like").query == saved.query
    with pytest.raises(QuerySyntaxError):
        save(catalogue, "bad", "duration:long")
    with pytest.raises(QueryError):
        save(catalogue, "bad", "  ")
    with pytest.raises(UnknownName, match="like"):
        saved_search(catalogue, "bad")


def test_hits_become_entries_and_a_list_becomes_hits_without_what_has_gone(
    catalogue: Catalogue,
) -> None:
    results = SearchEngine(catalogue).search("like:#1", k=5)
    shown = [*results.hits, *results.near_misses]
    assert shown
    best = shown[0].passages[0]
    new = [entry_of_hit(hit, "like:#1") for hit in shown]
    assert (new[0].onset_s, new[0].offset_s, new[0].query) == (
        best.onset_s,
        best.offset_s,
        "like:#1",
    )
    new.append(entry_of_passage(catalogue, Archived(1, 0.5, None), "by hand"))
    add_entries(catalogue, "kept", new)
    with CatalogueWriter(catalogue) as writer:
        gone = shown[0].recording
        writer.forget_files([file.id for file in gone.files])
    hits, lost = hits_of_list(catalogue, "kept")
    assert [entry.content_hash for entry in lost] == [gone.content_hash]
    assert len(hits) == len(new) - 1
    assert hits[-1].recording.id == 1
    assert [hit.has_score for hit in hits] == [True] * (len(hits) - 1) + [False]
    assert (hits[-1].passages[0].onset_s, hits[-1].passages[0].offset_s) == (0.5, 1.0)
    assert [entry.note for entry in entries(catalogue, "kept")][-1] == "by hand"


def test_what_is_in_a_list_is_labelled_by_the_sound_of_its_query_and_has_its_note(
    catalogue: Catalogue,
) -> None:
    labels = {
        "a bell -music duration:<10": "a bell",
        "dog + rain": "dog + rain",
        "bell then dog": "",  # which of them it is no entry tells
        "name:bell": "",
        "": "",
        "duration:long": "",  # what this Echoic cannot read
    }
    new = [
        NewEntry(1, 0.0, 0.1 * (n + 1), note=f"stroke {n}", query=query)
        for n, query in enumerate(labels)
    ]
    add_entries(catalogue, "kept", new)
    hits, _ = hits_of_list(catalogue, "kept")
    assert [(hit.label, hit.note) for hit in hits] == [
        (label, f"stroke {n}") for n, label in enumerate(labels.values())
    ]


def test_a_passage_beyond_the_end_is_refused_and_a_whole_recording_has_no_times(
    catalogue: Catalogue,
) -> None:
    assert entry_of_passage(catalogue, Archived(2)).onset_s is None
    assert entry_of_passage(catalogue, Archived(2, 0.25, 99.0)).offset_s == pytest.approx(1.0)
    with pytest.raises(UnknownName):
        entry_of_passage(catalogue, Archived(99))
    with pytest.raises(QueryError, match="s long: the part"):
        entry_of_passage(catalogue, Archived(2, 5.0, 9.0))

"""What users make survives everything that happens to recordings, on every database."""

from dataclasses import replace

import numpy as np
import pytest

from db import consistency
from db.catalogue import Catalogue
from db.errors import CatalogueError, UnknownName
from db.heard import (
    forget_vocabulary,
    heard_in,
    store_heard,
    untagged,
    vocabularies,
)
from db.lists import (
    NewEntry,
    add_entries,
    entries,
    lists,
    make_list,
    move_entry,
    remove_entries,
    remove_list,
    rename_list,
)
from db.records import CollectionInfo
from db.saved_searches import (
    mark_seen,
    newest_recording,
    remove_search,
    rename_search,
    save_search,
    saved_search,
    saved_searches,
)
from db.sound_classes import (
    SoundClass,
    SoundExample,
    forget_sound_class,
    sound_class,
    sound_classes,
    store_sound_class,
)
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis

OTHER = replace(ENCODER, name="test/2")


@pytest.fixture
def tapes(writer: CatalogueWriter) -> CollectionInfo:
    """A collection of four recordings, numbered from 1."""
    collection = writer.add_collection("tapes", "/tapes")
    writer.store([analysis(collection.id, f"{name}.wav") for name in "abcd"])
    return collection


def taught(name: str = "wren", *, encoder: str = "test/1", shift: float = 0.0) -> SoundClass:
    direction = np.linspace(1.0, 2.0 + shift, 16, dtype=np.float32)
    examples = (
        SoundExample("sha256:a.wav", "/tapes/a.wav", 1.0, 2.5),
        SoundExample("sha256:x", "/elsewhere/x.wav", liked=False),
    )
    return SoundClass(name, encoder, direction / np.linalg.norm(direction), 0.4, "k/1", examples)


# -- tags ------------------------------------------------------------------------------------


def test_a_recording_is_compared_with_a_list_once_whether_anything_is_heard_or_not(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    assert untagged(catalogue, "birds", "d1", "test/1").tolist() == [1, 2, 3, 4]
    heard = {1: [("wren", 0.9), ("robin", 0.6)], 2: []}
    assert store_heard(catalogue, "birds", "d1", "test/1", heard) == 2
    assert untagged(catalogue, "birds", "d1", "test/1").tolist() == [3, 4]
    assert untagged(catalogue, "birds", "d1", "unknown/1").tolist() == []
    found = heard_in(catalogue, [1, 2, 3])
    assert list(found) == [1]
    assert [(tag.label, tag.score, tag.vocabulary, tag.encoder) for tag in found[1]] == [
        ("wren", 0.9, "birds", "test/1"),
        ("robin", 0.6, "birds", "test/1"),
    ]


def test_a_taught_sound_that_is_forgotten_takes_its_tags_along_and_no_others(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    store_sound_class(catalogue, taught())
    heard = {1: [("wren", 0.9), ("robin", 0.8)], 2: []}
    for vocabulary in ("taught", "birds"):
        store_heard(catalogue, vocabulary, "d1", "test/1", heard)
    assert forget_sound_class(catalogue, "wren", vocabulary="taught") == 1
    left = [(tag.vocabulary, tag.label) for tag in heard_in(catalogue, [1])[1]]
    assert sorted(left) == [("birds", "robin"), ("birds", "wren"), ("taught", "robin")]
    with pytest.raises(UnknownName, match="wren"):
        forget_sound_class(catalogue, "wren", vocabulary="taught")


def test_a_changed_list_takes_the_place_of_the_older_one_recording_by_recording(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    store_heard(catalogue, "birds", "d1", "test/1", {1: [("wren", 0.9)], 2: [("wren", 0.8)]})
    store_heard(catalogue, "bells", "e1", "test/1", {1: [("wren", 0.5)]})
    store_heard(catalogue, "birds", "d2", "test/1", {1: [("thrush", 0.7)]})
    found = heard_in(catalogue, [1, 2])
    assert [tag.label for tag in found[1]] == ["thrush", "wren"]
    assert found[1][1].vocabulary == "bells"
    assert [tag.label for tag in found[2]] == ["wren"]
    assert len(vocabularies(catalogue)) == 3
    store_heard(catalogue, "birds", "d2", "test/1", {2: []})
    assert [(v.name, v.digest, v.n_recordings, v.n_heard) for v in vocabularies(catalogue)] == [
        ("bells", "e1", 1, 1),
        ("birds", "d2", 2, 1),
    ]


def test_tags_go_with_their_recording_and_none_are_stored_for_one_that_has_gone(
    catalogue: Catalogue, writer: CatalogueWriter, tapes: CollectionInfo
) -> None:
    store_heard(catalogue, "birds", "d1", "test/1", {1: [("wren", 0.9)], 2: [("wren", 0.9)]})
    writer.forget_files([1])
    assert list(heard_in(catalogue, [1, 2])) == [2]
    assert store_heard(catalogue, "birds", "d1", "test/1", {1: [("wren", 0.9)], 3: []}) == 1
    forget_vocabulary(catalogue, "birds")
    assert vocabularies(catalogue) == []
    assert untagged(catalogue, "birds", "d1", "test/1").tolist() == [2, 3, 4]
    with pytest.raises(UnknownName, match="birds"):
        forget_vocabulary(catalogue, "birds")


# -- saved searches --------------------------------------------------------------------------


def test_a_saved_search_knows_what_is_new_and_never_goes_back(
    catalogue: Catalogue, writer: CatalogueWriter, tapes: CollectionInfo
) -> None:
    saved = save_search(catalogue, "dogs", "dog barking -music")
    assert (saved.query, saved.last_seen) == ("dog barking -music", 4)
    writer.forget_files([4])
    mark_seen(catalogue, "dogs", newest_recording(catalogue))
    assert newest_recording(catalogue) == 3
    assert saved_search(catalogue, "dogs").last_seen == 4
    writer.store([analysis(tapes.id, "e.wav")])
    assert newest_recording(catalogue) == 5  # the number 4 is not given out again
    mark_seen(catalogue, "dogs", 5)
    assert [search.last_seen for search in saved_searches(catalogue)] == [5]


def test_names_of_saved_searches_are_unique_and_an_unknown_one_lists_them(
    catalogue: Catalogue,
) -> None:
    save_search(catalogue, "dogs", "dog")
    with pytest.raises(CatalogueError, match="already"):
        save_search(catalogue, "dogs", "cat")
    with pytest.raises(CatalogueError, match="name"):
        save_search(catalogue, "  ", "cat")
    with pytest.raises(UnknownName, match="dogs"):
        saved_search(catalogue, "cats")
    remove_search(catalogue, "dogs")
    with pytest.raises(UnknownName, match="none yet"):
        remove_search(catalogue, "dogs")


def test_a_search_keeps_what_it_knows_under_another_name(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    before = save_search(catalogue, "dogs", "dog barking")
    save_search(catalogue, "cats", "cat")
    rename_search(catalogue, "dogs", "hounds")
    after = saved_search(catalogue, "hounds")
    assert replace(after, name="dogs") == before
    rename_search(catalogue, "hounds", "hounds")
    for name in ("cats", " "):
        with pytest.raises(CatalogueError):
            rename_search(catalogue, "hounds", name)
    with pytest.raises(UnknownName, match="hounds"):
        rename_search(catalogue, "dogs", "birds")
    assert [search.name for search in saved_searches(catalogue)] == ["cats", "hounds"]


# -- lists -----------------------------------------------------------------------------------


def test_a_list_keeps_its_order_and_no_passage_twice(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    new = [NewEntry(2, 1.0, 2.5, "first", "bell", 0.8), NewEntry(1), NewEntry(2, 1.0, 2.5)]
    assert add_entries(catalogue, "opening", new) == 2
    assert add_entries(catalogue, "opening", [NewEntry(1), NewEntry(3, 0.0, 1.0)]) == 1
    found = entries(catalogue, "opening")
    assert [(e.number, e.recording_id, e.onset_s, e.offset_s) for e in found] == [
        (1, 2, 1.0, 2.5),
        (2, 1, None, None),
        (3, 3, 0.0, 1.0),
    ]
    assert (found[0].note, found[0].query, found[0].score) == ("first", "bell", 0.8)
    assert found[0].path == "/tapes/b.wav"
    move_entry(catalogue, "opening", 3, 1)
    assert [e.recording_id for e in entries(catalogue, "opening")] == [3, 2, 1]
    move_entry(catalogue, "opening", 1, 99)
    assert [e.recording_id for e in entries(catalogue, "opening")] == [2, 1, 3]
    remove_entries(catalogue, "opening", [1, 3])
    assert [(e.number, e.recording_id) for e in entries(catalogue, "opening")] == [(1, 1)]
    assert [(info.name, info.n_entries) for info in lists(catalogue)] == [("opening", 1)]
    remove_list(catalogue, "opening")
    assert lists(catalogue) == []


def test_a_list_is_made_empty_and_keeps_what_is_in_it_under_another_name(
    catalogue: Catalogue, tapes: CollectionInfo
) -> None:
    make_list(catalogue, "ending")
    add_entries(catalogue, "opening", [NewEntry(1)])
    rename_list(catalogue, "opening", "first scene")
    assert [entry.recording_id for entry in entries(catalogue, "first scene")] == [1]
    rename_list(catalogue, "first scene", "first scene")
    for name in ("ending", ""):
        with pytest.raises(CatalogueError):
            rename_list(catalogue, "first scene", name)
        with pytest.raises(CatalogueError):
            make_list(catalogue, name)
    with pytest.raises(UnknownName, match="first scene"):
        rename_list(catalogue, "opening", "other")
    found = [(info.name, info.n_entries) for info in lists(catalogue)]
    assert found == [("ending", 0), ("first scene", 1)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (NewEntry(99), "no recording 99"),
        (NewEntry(1, 2.0, 2.0), "ends after it begins"),
        (NewEntry(1, -1.0, 2.0), "ends after it begins"),
        (NewEntry(1, 1.0, None), "or neither"),
    ],
)
def test_what_cannot_be_in_a_list_is_refused_and_nothing_of_it_is_kept(
    catalogue: Catalogue, tapes: CollectionInfo, entry: NewEntry, expected: str
) -> None:
    with pytest.raises(CatalogueError, match=expected):
        add_entries(catalogue, "opening", [NewEntry(2), entry])
    assert lists(catalogue) == []


def test_an_entry_outlives_its_recording_and_finds_it_again_when_it_is_indexed_anew(
    catalogue: Catalogue, writer: CatalogueWriter, tapes: CollectionInfo
) -> None:
    add_entries(catalogue, "opening", [NewEntry(2, 1.0, 2.0, "keep")])
    writer.forget_files([2])
    (entry,) = entries(catalogue, "opening")
    assert (entry.recording_id, entry.path, entry.note) == (None, "/tapes/b.wav", "keep")
    writer.store([analysis(tapes.id, "moved/b.wav", "b.wav")])
    (entry,) = entries(catalogue, "opening")
    assert entry.recording_id == 5


def test_unknown_lists_and_entries_are_named(catalogue: Catalogue, tapes: CollectionInfo) -> None:
    add_entries(catalogue, "opening", [NewEntry(1)])
    with pytest.raises(UnknownName, match="opening"):
        entries(catalogue, "ending")
    with pytest.raises(UnknownName, match="no entry 2"):
        remove_entries(catalogue, "opening", [1, 2])
    assert len(entries(catalogue, "opening")) == 1


# -- sound classes ---------------------------------------------------------------------------


def test_a_taught_sound_comes_back_as_it_was_stored(catalogue: Catalogue) -> None:
    sound = taught()
    store_sound_class(catalogue, sound)
    found = sound_class(catalogue, "wren", "test/1")
    np.testing.assert_array_equal(found.direction, sound.direction)
    assert found.direction.dtype == np.float32
    assert (found.threshold, found.kind, found.examples) == (0.4, "k/1", sound.examples)
    with pytest.raises(UnknownName, match="not to test/2"):
        sound_class(catalogue, "wren", "test/2")
    with pytest.raises(UnknownName, match="wren"):
        sound_class(catalogue, "robin", "test/1")


def test_the_same_examples_may_be_taught_to_several_encoders_and_other_examples_replace_all(
    catalogue: Catalogue,
) -> None:
    store_sound_class(catalogue, taught())
    store_sound_class(catalogue, taught(encoder="test/2", shift=1.0))
    (info,) = sound_classes(catalogue)
    assert info.encoders == ("test/1", "test/2")
    changed = replace(taught(), examples=taught().examples[:1])
    store_sound_class(catalogue, changed)
    (info,) = sound_classes(catalogue)
    assert (info.encoders, info.examples) == (("test/1",), changed.examples)
    forget_sound_class(catalogue, "wren", vocabulary="taught")
    assert sound_classes(catalogue) == []


def test_a_direction_that_is_damaged_is_told_and_not_used(catalogue: Catalogue) -> None:
    from sqlalchemy import update

    from db.schema import SoundDirectionRow

    store_sound_class(catalogue, taught())
    assert list(consistency.check(catalogue, schemes={})) == []
    with catalogue.transaction() as session:
        session.execute(update(SoundDirectionRow).values(direction=bytes(64)))
    with pytest.raises(CatalogueError, match="checksum"):
        sound_class(catalogue, "wren", "test/1")
    (problem,) = consistency.check(catalogue, schemes={})
    assert (problem.where, "echoic teach" in problem.remedy) == ("sounds", True)


def test_a_direction_of_another_length_than_one_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueError, match="unit length"):
        store_sound_class(catalogue, replace(taught(), direction=np.ones(16, np.float32)))
    assert sound_classes(catalogue) == []


# -- all of it -------------------------------------------------------------------------------


def test_own_work_survives_repair_a_move_forgotten_vectors_and_a_new_encoder(
    catalogue: Catalogue, writer: CatalogueWriter, tapes: CollectionInfo
) -> None:
    store_heard(catalogue, "birds", "d1", "test/1", {1: [("wren", 0.9)]})
    save_search(catalogue, "dogs", "dog")
    add_entries(catalogue, "opening", [NewEntry(1, 0.0, 1.0)])
    store_sound_class(catalogue, taught())

    def work() -> list[object]:
        found = sound_class(catalogue, "wren", "test/1")
        return [
            heard_in(catalogue, [1]),
            saved_searches(catalogue),
            entries(catalogue, "opening"),
            (found.direction.tolist(), found.examples),
        ]

    before = work()
    writer.mark_missing([1])
    writer.store([analysis(tapes.id, "new/a.wav", "a.wav")])
    writer.relocate(tapes.id, "/shelf")
    writer.forget_encoder("test/1")
    writer.store([analysis(tapes.id, "new/a.wav", "a.wav", encoder=OTHER)])
    consistency.repair(writer, schemes={})
    assert work() == before
    assert untagged(catalogue, "birds", "d1", "test/2").tolist() == [1]


def test_own_work_can_be_written_while_another_process_holds_the_writer_s_lock(
    catalogue: Catalogue, writer: CatalogueWriter, tapes: CollectionInfo
) -> None:
    with Catalogue.open(catalogue.location) as mine:
        save_search(mine, "dogs", "dog")
        add_entries(mine, "opening", [NewEntry(1)])
        writer.store([analysis(tapes.id, "e.wav")])
        store_heard(mine, "birds", "d1", "test/1", {5: [("wren", 0.9)]})
        store_sound_class(mine, taught())
    assert [search.name for search in saved_searches(catalogue)] == ["dogs"]
    assert list(heard_in(catalogue, [5])) == [5]

"""The index of fingerprints: always in step with SQL, whatever its files are like."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from db import consistency, fingerprint_index, postings_merge, stored_fingerprints
from db.catalogue import Catalogue
from db.errors import PostingsError, UnknownName
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.landmarks import Landmarks
from db.postings_file import open_postings_file
from db.postings_saving import stale_postings
from db.schema import PostingsFileRow
from db.vector_stores import stale_files
from db.writer import CatalogueWriter
from tests.conformance.fingerprints import (
    KEY_BITS,
    assert_in_step,
    forget,
    oracle,
    some_keys,
    store,
)
from tests.db.conftest import SCHEME, SCHEMES, analysis, expand, fingerprinted


def open_index(catalogue: Catalogue) -> FingerprintIndex:
    return FingerprintIndex.open(catalogue, SCHEME.name, expand, key_bits=KEY_BITS)


def save(writer: CatalogueWriter) -> list[str]:
    return save_fingerprint_index(writer, SCHEME.name, expand, key_bits=KEY_BITS)


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    """A collection of five recordings, and a saved index."""
    collection = writer.add_collection("tapes", "/tapes").id
    store(writer, collection, "abcde")
    save(writer)
    return collection


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few postings be many: several parts, several runs."""
    monkeypatch.setattr(postings_merge, "_LEAST_SIZE", 1)
    monkeypatch.setattr(postings_merge, "PART_POSTINGS", 150)
    monkeypatch.setattr(stored_fingerprints, "PART_POSTINGS", 400)
    monkeypatch.setattr(fingerprint_index, "PART_POSTINGS", 400)


def index_files(catalogue: Catalogue) -> list[Path]:
    return sorted(catalogue.index_folder.glob("*.postings*"))


# -- answers -------------------------------------------------------------------------------------


def test_a_saved_index_holds_all_postings(writer: CatalogueWriter, tapes: int) -> None:
    index = open_index(writer.catalogue)
    assert index.is_saved()
    assert (index.n_postings, index.n_unsaved) == (5 * 299, 0)
    store(writer, tapes, "f")
    index.refresh()
    assert (index.n_postings, index.n_unsaved) == (6 * 299, 299)


def test_keys_that_a_fingerprinter_must_not_make_are_refused(
    writer: CatalogueWriter, tapes: int
) -> None:
    with pytest.raises(UnknownName, match=rf"other/1.*{SCHEME.name}"):
        FingerprintIndex.open(writer.catalogue, "other/1", expand, key_bits=KEY_BITS)
    with pytest.raises(PostingsError, match="keys of more than 3 bits"):
        save_fingerprint_index(writer, SCHEME.name, expand, key_bits=3)


def test_an_empty_archive_has_no_files(writer: CatalogueWriter, tapes: int) -> None:
    index = open_index(writer.catalogue)
    writer.forget_collection(tapes)
    index.refresh()
    assert index.lookup(np.array([1, 2], dtype=np.uint32)).counts.tolist() == [0, 0]
    assert index.n_postings == 0
    index.save(writer)
    assert index_files(writer.catalogue) == []


def test_recordings_without_landmarks_and_without_frames_do_no_harm(
    writer: CatalogueWriter, tapes: int
) -> None:
    silence = Landmarks(np.empty(0, np.int32), np.empty(0, np.uint16), 100)
    nothing = Landmarks(np.empty(0, np.int32), np.empty(0, np.uint16), 0)
    for name, landmarks in (("silence", silence), ("nothing", nothing)):
        writer.store([fingerprinted(analysis(tapes, f"{name}.wav"), landmarks)])
        index = open_index(writer.catalogue)
        assert index.is_saved() == (name == "nothing")
        save(writer)
        index.refresh()
        assert index.is_saved()
    store(writer, tapes, "f")
    index.refresh()
    assert index.lookup(some_keys(writer.catalogue)).frames.tolist() != []


# -- in step with SQL ----------------------------------------------------------------------------


def test_an_open_index_takes_in_what_is_committed_later(
    writer: CatalogueWriter, tapes: int
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = open_index(elsewhere)
        for names, gone in (("fg", "b"), ("h", "g"), ("ij", "ea")):
            store(writer, tapes, names)
            forget(writer, gone)
            index.refresh()
            assert not index.is_saved()
            assert [bool(run.name) for run in index._view.runs] == [True, False]
            assert_in_step(index, elsewhere)


def test_recent_recordings_become_few_runs_in_memory(
    writer: CatalogueWriter, tapes: int, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(writer.catalogue)
    monkeypatch.setattr(fingerprint_index, "PART_POSTINGS", 10**6)
    for name in "fghijklmnop":
        store(writer, tapes, name, n_landmarks=40)
        index.refresh()
    assert len(index._view.runs) < 6
    assert_in_step(index, writer.catalogue)


@given(steps=st.lists(st.sampled_from(["store", "forget", "save", "refresh"]), max_size=14))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_course_of_events_leaves_right_answers(
    tmp_path_factory: pytest.TempPathFactory, small_steps: None, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("course") / "catalogue"
    names = iter("abcdefghijklmnopqrstuvwxyz" * 3)
    with Catalogue.open(folder, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        collection = writer.add_collection("tapes", "/tapes").id
        present = [next(names), next(names)]
        store(writer, collection, "".join(present))
        index = open_index(catalogue)
        for number, step in enumerate(steps):
            if step == "store":
                present.append(next(names))
                store(writer, collection, present[-1], n_landmarks=20 + 150 * (number % 3))
            elif step == "forget" and present:
                forget(writer, present.pop(number % len(present)))
            elif step == "save":
                save(writer)
                assert {path.name for path in index_files(catalogue)} == set(in_force(catalogue))
            else:
                index.refresh()
                assert_in_step(index, catalogue)
        assert_in_step(open_index(catalogue), catalogue)
        index.save(writer)
        assert index.is_saved()
        assert_in_step(index, catalogue)


def in_force(catalogue: Catalogue) -> list[str]:
    with catalogue.session() as session:
        return list(session.scalars(select(PostingsFileRow.name)))


def test_an_archive_of_several_parts_is_merged_into_one_file(
    writer: CatalogueWriter, small_steps: None
) -> None:
    collection = writer.add_collection("tapes", "/tapes").id
    store(writer, collection, "abcdefgh")
    assert len(open_index(writer.catalogue)._view.runs) > 3
    assert save(writer) == []
    assert len(index_files(writer.catalogue)) == 1
    assert_in_step(open_index(writer.catalogue), writer.catalogue)


def test_a_file_that_is_mostly_dead_is_written_again(writer: CatalogueWriter, tapes: int) -> None:
    (before,) = index_files(writer.catalogue)
    forget(writer, "a")
    assert open_index(writer.catalogue).is_saved()
    save(writer)
    assert index_files(writer.catalogue) == [before]
    forget(writer, "c")
    index = open_index(writer.catalogue)
    assert not index.is_saved()
    index.save(writer)
    (after,) = index_files(writer.catalogue)
    assert not before.exists()
    assert open_postings_file(after).n_postings == 3 * 299
    assert index.is_saved()
    assert_in_step(index, writer.catalogue)


# -- damage and crashes --------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["flip the header", "cut", "empty", "garbage", "missing", "old"])
def test_a_file_at_fault_is_noted_and_answers_are_right_all_the_same(
    writer: CatalogueWriter, tapes: int, damage: str
) -> None:
    (path,) = index_files(writer.catalogue)
    old = path.read_bytes()
    store(writer, tapes, "f")
    save(writer)
    (path,) = index_files(writer.catalogue)
    content = bytearray(path.read_bytes())
    content[40] ^= 0x40
    ruined = {
        "flip the header": bytes(content),
        "cut": bytes(content[: len(content) // 2]),
        "empty": b"",
        "garbage": b"\xff" * 5000,
        "old": old,
    }
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(ruined[damage])
    index = open_index(writer.catalogue)
    (note,) = index.notes
    assert path.name in note
    assert not index.is_saved()
    assert_in_step(index, writer.catalogue)
    index.save(writer)
    again = open_index(writer.catalogue)
    assert (again.notes, again.is_saved()) == ([], True)
    assert_in_step(again, writer.catalogue)


def test_damage_within_a_file_is_not_merged_into_one_that_looks_whole(
    writer: CatalogueWriter, tapes: int
) -> None:
    (path,) = index_files(writer.catalogue)
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.unlink()  # what is mapped is not changed
    path.write_bytes(content)
    assert any("checksum" in p.what for p in consistency.check(writer.catalogue, schemes=SCHEMES))
    store(writer, tapes, "f")
    (note,) = save(writer)
    assert path.name in note
    assert list(consistency.check(writer.catalogue, schemes=SCHEMES)) != []  # no /tapes folder
    assert_in_step(open_index(writer.catalogue), writer.catalogue)


def test_a_damaged_fingerprint_is_left_out_with_a_note(writer: CatalogueWriter, tapes: int) -> None:
    (path,) = index_files(writer.catalogue)
    path.unlink()
    with writer.catalogue.transaction() as session:
        session.execute(
            text("UPDATE fingerprints SET landmarks = zeroblob(900) WHERE recording_id = 3")
        )
    index = open_index(writer.catalogue)
    assert any("recording 3 is left out" in note for note in index.notes)
    assert index.n_postings == 4 * 299
    first, n_frames = index.span(3)
    assert index.landmarks(first, first + n_frames)[0].tolist() == []
    index.save(writer)
    assert index.is_saved()


def test_a_crash_between_writing_the_files_and_committing_leaves_the_old_ones_in_force(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = in_force(writer.catalogue)
    store(writer, tapes, "f")
    index = open_index(writer.catalogue)

    def power_loss(**_: bool) -> None:
        raise SystemExit("power loss")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(writer.catalogue, "transaction", power_loss)
        index.save(writer)
    assert len(index_files(writer.catalogue)) > 1
    assert in_force(writer.catalogue) == before
    again = open_index(writer.catalogue)
    assert again.notes == []
    assert_in_step(again, writer.catalogue)
    again.save(writer)
    assert len(index_files(writer.catalogue)) == 1
    assert_in_step(open_index(writer.catalogue), writer.catalogue)


def test_a_crash_after_committing_leaves_the_new_files_in_force(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, tapes, "f")

    def power_loss(_: Catalogue) -> None:
        raise SystemExit("power loss")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("db.postings_saving.stale_postings", power_loss)
        save(writer)
    assert len(index_files(writer.catalogue)) > 1
    index = open_index(writer.catalogue)
    assert (index.notes, index.is_saved()) == ([], True)
    assert_in_step(index, writer.catalogue)
    save(writer)
    assert len(index_files(writer.catalogue)) == 1


def test_files_that_were_put_out_of_force_meanwhile_do_not_live_on_in_merged_ones(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, tapes, "f")

    def expand_while_another_repairs(made: Landmarks) -> tuple[object, object]:
        with writer.catalogue.transaction() as session:
            session.execute(delete(PostingsFileRow))
        return expand(made)

    with pytest.raises(PostingsError, match="put in force while"):
        save_fingerprint_index(writer, SCHEME.name, expand_while_another_repairs, key_bits=KEY_BITS)
    assert in_force(writer.catalogue) == []
    assert len(index_files(writer.catalogue)) == 1
    save(writer)
    assert_in_step(open_index(writer.catalogue), writer.catalogue)


def test_a_full_disk_leaves_everything_as_it_was(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index_files(writer.catalogue)
    store(writer, tapes, "f")
    n_synced = 0

    def no_space_the_second_time(_: int) -> None:
        nonlocal n_synced
        n_synced += 1
        if n_synced > 2:  # the first file, and its folder
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(PostingsError, match="make room"):
        patch.setattr("os.fsync", no_space_the_second_time)
        save(writer)
    assert index_files(writer.catalogue) == before
    index = open_index(writer.catalogue)
    assert index.notes == []
    assert_in_step(index, writer.catalogue)


def test_a_reader_that_was_open_before_goes_on_with_files_that_are_gone(
    writer: CatalogueWriter, tapes: int
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = open_index(elsewhere)
        keys = some_keys(elsewhere)
        before = oracle(elsewhere, keys)
        (path,) = index_files(elsewhere)
        store(writer, tapes, "f")
        forget(writer, "ab")
        save(writer)
        assert not path.exists()
        found = index.lookup(keys)
        pairs = zip(found.which.tolist(), found.frames.tolist(), strict=True)
        assert sorted(pairs) == before
        index.refresh()
        assert index.is_saved()
        assert_in_step(index, elsewhere)


def test_a_reader_that_opens_while_files_are_exchanged_finds_the_new_ones(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, tapes, "f")
    waiting = [lambda: save(writer)]

    def open_late(path: Path, *, checksum: str | None = None) -> object:
        if waiting:
            waiting.pop()()
        return open_postings_file(path, checksum=checksum)

    monkeypatch.setattr(stored_fingerprints, "open_postings_file", open_late)
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = open_index(elsewhere)
    assert waiting == []
    assert (index.notes, index.is_saved()) == ([], True)
    assert_in_step(index, writer.catalogue)


def test_stray_files_are_removed_and_those_of_the_other_index_are_not(
    writer: CatalogueWriter, tapes: int
) -> None:
    folder = writer.catalogue.index_folder
    strays = [folder / "x.000009.postings", folder / "y.000003.postings.tmp"]
    others = [folder / "z.000001.index", folder / "z.000002.index.tmp"]
    for path in strays + others:
        path.write_bytes(b"stray")
    assert stale_postings(writer.catalogue) == strays
    assert stale_files(folder, frozenset()) == others
    assert open_index(writer.catalogue).notes == []
    store(writer, tapes, "f")
    save(writer)
    assert [path.exists() for path in strays + others] == [False, False, True, True]
    # A number is not used twice, even if it was a stray file's.
    assert in_force(writer.catalogue)[0].endswith(".000011.postings")

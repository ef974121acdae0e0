"""The index of fingerprints: always in step with SQL, whatever its files are like."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import select, text

from db import consistency, fingerprint_index, postings_merge, stored_fingerprints
from db.catalogue import Catalogue
from db.errors import PostingsError, UnknownName
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.landmarks import Landmarks, unpack
from db.postings_file import open_postings_file
from db.postings_saving import stale_postings
from db.schema import FingerprintRow, PostingsFileRow
from db.vector_stores import stale_files
from db.writer import CatalogueWriter
from tests.db.conftest import SCHEME, SCHEMES, analysis, expand, fingerprinted, marks

KEY_BITS = 20


def open_index(catalogue: Catalogue) -> FingerprintIndex:
    return FingerprintIndex.open(catalogue, SCHEME.name, expand, key_bits=KEY_BITS)


def save(writer: CatalogueWriter) -> list[str]:
    return save_fingerprint_index(writer, SCHEME.name, expand, key_bits=KEY_BITS)


def store(writer: CatalogueWriter, collection: int, names: str, **size: int) -> None:
    """Store a recording for each letter; their landmarks are of few frequencies, and so alike."""
    results = []
    for name in names:
        landmarks = marks(name, **size)
        frequencies = np.sort(landmarks.frequencies % 12)
        few = Landmarks(landmarks.frames, frequencies, landmarks.n_frames)
        results.append(fingerprinted(analysis(collection, f"{name}.wav"), few))
    writer.store(results)


def forget(writer: CatalogueWriter, names: str) -> None:
    for name in names:
        (id_,) = writer.catalogue.find_files(f"{name}.wav")
        writer.forget_files([file.id for file in writer.catalogue.recording(id_).files])


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


def stored(catalogue: Catalogue) -> dict[int, tuple[int, Landmarks]]:
    """First frame and landmarks of all recordings, from SQL."""
    with catalogue.session() as session:
        rows = session.execute(select(FingerprintRow, FingerprintRow.landmarks))
        return {
            row.recording_id: (row.first_frame, unpack(blob, row.n_landmarks, row.n_frames))
            for row, blob in rows
        }


def oracle(catalogue: Catalogue, keys: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Place among the keys and archive frame of all postings, by brute force."""
    found = []
    for first, landmarks in stored(catalogue).values():
        made, frames = expand(landmarks)
        for place, key in enumerate(keys.tolist()):
            found += [(place, first + int(frame)) for frame in frames[made == key]]
    return sorted(found)


def some_keys(catalogue: Catalogue) -> NDArray[np.uint32]:
    """Keys of all recordings, some twice, and some that are nowhere."""
    parts = [expand(landmarks)[0][::20] for _, landmarks in stored(catalogue).values()]
    ends = np.array([0, 0, 5, 2**KEY_BITS - 1], dtype=np.uint32)
    return np.concatenate([*parts, *parts[:1], ends])


def assert_in_step(index: FingerprintIndex, catalogue: Catalogue) -> None:
    """The index answers just as brute force over SQL does."""
    keys = some_keys(catalogue)
    found = index.lookup(keys)
    assert found.which.dtype == np.int32
    assert found.frames.dtype == np.int64
    pairs = zip(found.which.tolist(), found.frames.tolist(), strict=True)
    assert sorted(pairs) == oracle(catalogue, keys)
    assert (found.counts >= np.bincount(found.which, minlength=len(keys))).all()
    everything = stored(catalogue)
    assert sorted(index.recording_ids.tolist()) == sorted(everything)
    assert index.n_frames == sum(landmarks.n_frames for _, landmarks in everything.values())
    for recording_id, (first, landmarks) in everything.items():
        assert index.span(recording_id) == (first, landmarks.n_frames)
        frames, frequencies = index.landmarks(first, first + landmarks.n_frames)
        assert (frames - first).tolist() == landmarks.frames.tolist()
        assert frequencies.tolist() == landmarks.frequencies.tolist()
        ends = np.array([first - 1, first, first + landmarks.n_frames - 1])
        ids, within = index.locate(np.append(ends, first + landmarks.n_frames))
        assert ids.tolist() == [-1, recording_id, recording_id, -1]  # between are guard frames
        assert within.tolist() == [-1, 0, landmarks.n_frames - 1, -1]


# -- answers -------------------------------------------------------------------------------------


def test_a_saved_index_answers_as_brute_force_does(writer: CatalogueWriter, tapes: int) -> None:
    index = open_index(writer.catalogue)
    assert index.is_saved()
    assert index.notes == []
    assert index.n_postings == 5 * 299
    assert_in_step(index, writer.catalogue)


def test_counts_are_those_of_all_runs_whatever_the_budget(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, tapes, "fg")
    index = open_index(writer.catalogue)
    keys = some_keys(writer.catalogue)
    counts = np.bincount(
        [place for place, _ in oracle(writer.catalogue, keys)], minlength=len(keys)
    )
    for budget in (None, 0, 100, 10**9):
        assert index.lookup(keys, budget=budget).counts.tolist() == counts.tolist()


@pytest.mark.parametrize("budget", [0, 1, 50, 777, 10**9])
def test_within_a_budget_the_rarest_keys_are_served_wholly(
    writer: CatalogueWriter, tapes: int, budget: int
) -> None:
    store(writer, tapes, "fg")
    index = open_index(writer.catalogue)
    keys = some_keys(writer.catalogue)
    found = index.lookup(keys, budget=budget)
    n_served = np.bincount(found.which, minlength=len(keys))
    whole = n_served == found.counts
    assert len(found.which) <= 1.5 * budget
    left_out = found.counts[~whole]
    if len(left_out):
        assert found.counts[whole].sum() + left_out.min() > budget
        assert n_served[~whole].max() <= 0.5 * budget
    else:
        assert len(found.which) == found.counts.sum()


def test_of_a_key_beyond_the_budget_the_first_postings_are_served(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, tapes, "fghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    index = open_index(writer.catalogue)
    keys = some_keys(writer.catalogue)
    everything, some = index.lookup(keys), index.lookup(keys, budget=5000)
    n_all = np.bincount(everything.which, minlength=len(keys))
    n_some = np.bincount(some.which, minlength=len(keys))
    in_part = np.flatnonzero((n_some > 0) & (n_some < n_all))
    assert len(in_part)
    for key in in_part.tolist():
        of_all = np.sort(everything.frames[everything.which == key])
        of_some = np.sort(some.frames[some.which == key])
        assert set(of_some) < set(of_all)


def test_an_empty_archive_and_no_keys_give_nothing(writer: CatalogueWriter, tapes: int) -> None:
    index = open_index(writer.catalogue)
    assert len(index.lookup(np.empty(0, dtype=np.uint32), budget=5).frames) == 0
    writer.forget_collection(tapes)
    index.refresh()
    found = index.lookup(np.array([1, 2], dtype=np.uint32))
    assert (len(found.which), len(found.frames), found.counts.tolist()) == (0, 0, [0, 0])
    assert index.landmarks(0, 10**6)[0].tolist() == []
    assert index.locate(np.array([0, 5]))[0].tolist() == [-1, -1]
    assert (index.n_frames, index.n_postings, len(index.recording_ids)) == (0, 0, 0)
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


def test_keys_and_recordings_that_cannot_be_are_refused(
    writer: CatalogueWriter, tapes: int
) -> None:
    index = open_index(writer.catalogue)
    with pytest.raises(PostingsError, match=r"below 2 \*\* 20"):
        index.lookup(np.array([2**20], dtype=np.uint32))
    with pytest.raises(UnknownName, match="recording 99"):
        index.span(99)
    with pytest.raises(UnknownName, match=rf"other/1.*{SCHEME.name}"):
        FingerprintIndex.open(writer.catalogue, "other/1", expand, key_bits=KEY_BITS)
    with pytest.raises(PostingsError, match="keys of more than 3 bits"):
        save_fingerprint_index(writer, SCHEME.name, expand, key_bits=3)


def test_a_scheme_that_is_forgotten_is_an_error_for_an_open_index(
    writer: CatalogueWriter, tapes: int
) -> None:
    index = open_index(writer.catalogue)
    writer.forget_scheme(SCHEME.name)
    with pytest.raises(UnknownName, match="have been removed"):
        index.refresh()


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

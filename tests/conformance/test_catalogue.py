"""What any database must do under a catalogue: recordings, files, failures, full-text search."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select, update

from db import overview
from db.errors import CatalogueError, EncoderMismatch, UnknownName
from db.features import GUARD_FRAMES
from db.fingerprint_index import save_fingerprint_index
from db.keywords import search_keywords
from db.landmarks import Landmarks
from db.records import Analysis, Description, EncoderInfo, Failure, FileState, SchemeInfo
from db.schema import EmbeddingRow, FingerprintRow, FingerprintSchemeRow
from db.storing import Outcome
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, SCHEME, analysis, expand, fingerprinted, marks


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    return writer.add_collection("tapes", "/tapes").id


def store(writer: CatalogueWriter, *results: Analysis | Failure) -> list[str]:
    return [outcome.value for outcome in writer.store(list(results))]


def n_recordings(writer: CatalogueWriter) -> int:
    return overview.status(writer.catalogue).n_recordings


def test_storing_the_same_result_twice_changes_nothing(writer: CatalogueWriter, tapes: int) -> None:
    assert store(writer, analysis(tapes, "a.wav")) == ["added"]
    before = writer.catalogue.recording(1)
    assert store(writer, analysis(tapes, "a.wav")) == ["updated"]
    assert writer.catalogue.recording(1) == before
    assert n_recordings(writer) == 1


def test_one_content_under_two_paths_is_stored_once_with_both(
    writer: CatalogueWriter, tapes: int
) -> None:
    assert store(writer, analysis(tapes, "a.wav", "x")) == ["added"]
    assert store(writer, analysis(tapes, "b.wav", "x", known=True)) == ["linked"]
    assert [file.path for file in writer.catalogue.recording(1).files] == ["a.wav", "b.wav"]
    assert n_recordings(writer) == 1


def test_a_changed_file_replaces_the_content_that_lay_nowhere_else(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, analysis(tapes, "a.wav", "old"))
    assert store(writer, analysis(tapes, "a.wav", "new")) == ["replaced"]
    assert n_recordings(writer) == 1
    assert writer.catalogue.with_hash("sha256:old") is None
    assert writer.catalogue.recordings_with_vectors(ENCODER.name) == {2}


def test_a_changed_file_leaves_the_content_that_lies_elsewhere_too(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, analysis(tapes, "a.wav", "x"), analysis(tapes, "b.wav", "x"))
    assert store(writer, analysis(tapes, "a.wav", "new")) == ["replaced"]
    assert n_recordings(writer) == 2


def test_a_moved_file_keeps_its_entry_and_its_vectors(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, analysis(tapes, "old.wav", "x"))
    file = writer.catalogue.recording(1).files[0]
    writer.mark_missing([file.id])
    assert writer.catalogue.recording(1).files[0].missing_since is not None
    assert store(writer, analysis(tapes, "new.wav", "x", known=True)) == ["moved"]
    moved = writer.catalogue.recording(1).files
    assert [(f.id, f.path, f.missing_since) for f in moved] == [(file.id, "new.wav", None)]


def test_a_known_content_that_has_gone_is_reported_and_stores_nothing(
    writer: CatalogueWriter, tapes: int
) -> None:
    assert store(writer, analysis(tapes, "a.wav", "x", known=True)) == ["vanished"]
    assert n_recordings(writer) == 0
    assert writer.catalogue.known_files(tapes) == {}


def test_two_files_that_swap_their_names_lose_nothing(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, analysis(tapes, "a.wav", "x"), analysis(tapes, "b.wav", "y"))
    outcomes = store(
        writer,
        analysis(tapes, "a.wav", "y", known=True),
        analysis(tapes, "b.wav", "x", known=True),
    )
    assert outcomes == ["replaced", "vanished"]  # the pipeline analyses a vanished one in full
    assert store(writer, analysis(tapes, "b.wav", "x")) == ["replaced"]
    known = writer.catalogue.known_files(tapes)
    assert {p: f.content_hash for p, f in known.items()} == {
        "a.wav": "sha256:y",
        "b.wav": "sha256:x",
    }


def test_a_failure_counts_its_attempts_and_goes_when_the_file_is_indexed(
    writer: CatalogueWriter, tapes: int
) -> None:
    failure = Failure(tapes, "a.wav", "decode", "holds no audio", FileState(3, 4))
    assert store(writer, failure) == ["failed"]
    store(writer, failure)
    (found,) = writer.catalogue.failures()
    assert (found.path, found.stage, found.reason) == ("a.wav", "decode", "holds no audio")
    assert (found.attempts, found.state) == (2, FileState(3, 4))
    store(writer, analysis(tapes, "a.wav"))
    assert writer.catalogue.failures() == []


def test_a_failure_leaves_what_was_known_of_the_file(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, analysis(tapes, "a.wav"))
    store(writer, Failure(tapes, "a.wav", "decode", "damaged", FileState(3, 4)))
    assert n_recordings(writer) == 1


def test_a_batch_is_committed_as_a_whole_or_not_at_all(writer: CatalogueWriter, tapes: int) -> None:
    bad = EncoderInfo("test/1", dim=16, sample_rate=32_000, window_s=5.0, hop_s=1.0)
    with pytest.raises(EncoderMismatch, match=r"hop_s=2\.5.*hop_s=1\.0"):
        store(writer, analysis(tapes, "a.wav"), analysis(tapes, "b.wav", encoder=bad))
    assert n_recordings(writer) == 0


def test_vectors_of_the_wrong_length_are_refused(writer: CatalogueWriter, tapes: int) -> None:
    good = analysis(tapes, "a.wav")
    vectors = {ENCODER: np.zeros((2, 8), dtype=np.float16)}
    wrong = Analysis(*(getattr(good, name) for name in good.__slots__[:8]), vectors, None)
    with pytest.raises(CatalogueError, match=r"\(n, 16\)"):
        store(writer, wrong)


def test_segment_numbers_are_dense_and_never_used_again(
    writer: CatalogueWriter, tapes: int
) -> None:
    def ranges() -> list[tuple[int, int]]:
        query = select(EmbeddingRow.first_segment, EmbeddingRow.n_segments)
        with writer.catalogue.session() as session:
            rows = session.execute(query.order_by(EmbeddingRow.first_segment))
            return [(first, count) for first, count in rows]

    store(writer, *(analysis(tapes, f"{i}.wav", n_segments=i + 1) for i in range(3)))
    assert ranges() == [(0, 1), (1, 2), (3, 3)]
    (last,) = writer.catalogue.find_files("2.wav")
    writer.forget_files([writer.catalogue.recording(last).files[0].id])
    store(writer, analysis(tapes, "9.wav", n_segments=4))
    assert ranges() == [(0, 1), (1, 2), (6, 4)]


def assert_same(found: Landmarks, expected: Landmarks) -> None:
    np.testing.assert_array_equal(found.frames, expected.frames)
    np.testing.assert_array_equal(found.frequencies, expected.frequencies)
    assert (found.frames.dtype, found.frequencies.dtype) == (np.int32, np.uint16)
    assert found.n_frames == expected.n_frames


def test_landmarks_come_back_as_they_were_stored(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, fingerprinted(analysis(tapes, "a.wav"), marks("a", n_frames=700_000)))
    store(writer, analysis(tapes, "b.wav"))
    assert_same(writer.catalogue.landmarks(1, SCHEME.name), marks("a", n_frames=700_000))
    assert writer.catalogue.schemes() == [SCHEME]
    assert writer.catalogue.recordings_with_fingerprint(SCHEME.name) == {1}
    assert dict(writer.catalogue.recording(1).n_landmarks) == {SCHEME.name: 300}
    assert dict(writer.catalogue.recording(2).n_landmarks) == {}
    with pytest.raises(UnknownName, match="recording 2 has no fingerprint by test-marks/1"):
        writer.catalogue.landmarks(2, SCHEME.name)


@pytest.mark.parametrize("n_frames", [0, 3])
def test_a_recording_without_landmarks_has_a_fingerprint_all_the_same(
    writer: CatalogueWriter, tapes: int, n_frames: int
) -> None:
    store(writer, fingerprinted(analysis(tapes, "a.wav"), marks(n_landmarks=0, n_frames=n_frames)))
    assert writer.catalogue.recordings_with_fingerprint(SCHEME.name) == {1}
    assert_same(writer.catalogue.landmarks(1, SCHEME.name), marks(n_landmarks=0, n_frames=n_frames))


def test_a_fingerprint_can_be_added_to_a_recording_that_is_known(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, analysis(tapes, "a.wav"))
    vectors = writer.catalogue.vectors(1, ENCODER.name)
    assert store(writer, fingerprinted(analysis(tapes, "a.wav", known=True))) == ["updated"]
    found = writer.catalogue.recording(1)
    assert dict(found.n_landmarks) == {SCHEME.name: 300}
    assert found.descriptors is not None
    np.testing.assert_array_equal(writer.catalogue.vectors(1, ENCODER.name), vectors)
    # Nor does a part of what is wanted make a recording of a content that has gone meanwhile.
    assert store(writer, fingerprinted(analysis(tapes, "b.wav", known=True))) == ["vanished"]
    assert n_recordings(writer) == 1


def frame_ranges(writer: CatalogueWriter) -> list[tuple[int, int]]:
    query = select(FingerprintRow.first_frame, FingerprintRow.n_frames)
    with writer.catalogue.session() as session:
        rows = session.execute(query.order_by(FingerprintRow.first_frame))
        return [(first, count) for first, count in rows]


def n_removals(writer: CatalogueWriter) -> int:
    with writer.catalogue.session() as session:
        return session.scalars(select(FingerprintSchemeRow.n_removals)).one()


def test_frame_numbers_keep_a_distance_and_are_never_used_again(
    writer: CatalogueWriter, tapes: int
) -> None:
    for name in ("a.wav", "b.wav"):
        store(writer, fingerprinted(analysis(tapes, name)))
    store(writer, fingerprinted(analysis(tapes, "a.wav")))  # again: nothing new
    second = 750 + GUARD_FRAMES
    assert frame_ranges(writer) == [(0, 750), (second, 750)]
    before = n_removals(writer)
    store(writer, fingerprinted(analysis(tapes, "b.wav", "another content")))
    assert frame_ranges(writer) == [(0, 750), (2 * second, 750)]
    assert n_removals(writer) == before + 1
    writer.forget_collection(tapes)
    assert frame_ranges(writer) == []
    assert n_removals(writer) == before + 3


def broken(**changes: object) -> Landmarks:
    return replace(marks(), **changes)


@pytest.mark.parametrize(
    ("landmarks", "expected"),
    [
        (broken(frames=marks().frames[::-1].copy()), "order of time"),
        (broken(frames=np.zeros(300, dtype=np.int32)), "then of frequency"),
        (broken(n_frames=10), "beyond the 10 frames"),
        (broken(frames=marks().frames - np.int32(100)), "beyond the 750 frames"),
        (broken(frames=marks().frames.astype(np.int64)), "int64"),
        (broken(frequencies=marks().frequencies.astype(np.float32)), "float32"),
        (broken(frequencies=marks().frequencies[1:]), r"\(300,\) and \(299,\)"),
        (marks(n_landmarks=0, n_frames=-1), "-1 frames"),
    ],
)
def test_landmarks_that_are_not_what_they_should_be_are_refused(
    writer: CatalogueWriter, tapes: int, landmarks: Landmarks, expected: str
) -> None:
    with pytest.raises(CatalogueError, match=expected):
        store(writer, fingerprinted(analysis(tapes, "a.wav"), landmarks))
    assert n_recordings(writer) == 0


def test_a_scheme_that_changes_its_frames_is_refused(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, fingerprinted(analysis(tapes, "a.wav")))
    changed = SchemeInfo(SCHEME.name, frame_s=0.032)
    with pytest.raises(CatalogueError, match="needs a new id"):
        store(writer, replace(analysis(tapes, "b.wav"), fingerprints={changed: marks()}))


def test_damaged_landmarks_are_an_error_not_other_landmarks(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, fingerprinted(analysis(tapes, "a.wav")))
    with writer.catalogue.transaction() as session:
        session.execute(update(FingerprintRow).values(landmarks=b"x" * 10))
    with pytest.raises(CatalogueError, match="echoic repair"):
        writer.catalogue.landmarks(1, SCHEME.name)


def test_the_state_of_fingerprints_is_counted(writer: CatalogueWriter, tapes: int) -> None:
    assert overview.status(writer.catalogue).fingerprints == ()
    store(writer, fingerprinted(analysis(tapes, "a.wav")), analysis(tapes, "b.wav"))
    store(writer, fingerprinted(analysis(tapes, "c.wav"), marks(n_landmarks=0, n_frames=0)))
    (state,) = overview.status(writer.catalogue).fingerprints
    assert state.scheme == SCHEME
    assert (state.n_recordings, state.n_landmarks) == (2, 300)
    assert state.landmarks_bytes >= 900
    assert (state.n_files, state.files_bytes, state.up_to_date) == (0, 0, False)
    save_fingerprint_index(writer, SCHEME.name, expand, key_bits=20)
    (state,) = overview.status(writer.catalogue).fingerprints
    assert state.n_files == len(writer.catalogue.postings_file_names()) == 1
    assert state.files_bytes > 1000
    assert state.up_to_date
    assert not overview.has_unsaved_fingerprints(writer.catalogue, SCHEME.name)
    store(writer, fingerprinted(analysis(tapes, "d.wav")))
    assert overview.has_unsaved_fingerprints(writer.catalogue, SCHEME.name)


def test_forgetting_a_scheme_removes_its_fingerprints_and_files_alone(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, fingerprinted(analysis(tapes, "a.wav")))
    save_fingerprint_index(writer, SCHEME.name, expand, key_bits=20)
    assert len(list(writer.catalogue.index_folder.iterdir())) == 1
    writer.forget_scheme(SCHEME.name)
    assert writer.catalogue.schemes() == []
    assert dict(writer.catalogue.recording(1).n_landmarks) == {}
    assert dict(writer.catalogue.recording(1).n_segments) == {ENCODER.name: 3}
    assert list(writer.catalogue.index_folder.iterdir()) == []
    with pytest.raises(UnknownName, match="no fingerprints by"):
        writer.forget_scheme(SCHEME.name)


def test_forgetting_a_collection_keeps_what_lies_in_another(
    writer: CatalogueWriter, tapes: int
) -> None:
    other = writer.add_collection("other", "/other").id
    store(writer, analysis(tapes, "a.wav", "x"), analysis(tapes, "b.wav", "y"))
    store(writer, analysis(other, "a.wav", "x", known=True))
    assert writer.forget_collection(tapes) == 1
    assert [c.name for c in writer.catalogue.collections()] == ["other"]
    assert n_recordings(writer) == 1
    assert search_keywords(writer.catalogue, "b", 5) == []


def test_forgetting_an_encoder_leaves_the_others(writer: CatalogueWriter, tapes: int) -> None:
    second = EncoderInfo("other/1", 8, 16_000, 1.0, 1.0)
    store(writer, analysis(tapes, "a.wav"), analysis(tapes, "a.wav", encoder=second))
    assert dict(writer.catalogue.recording(1).n_segments) == {"test/1": 3, "other/1": 3}
    writer.forget_encoder("test/1")
    assert dict(writer.catalogue.recording(1).n_segments) == {"other/1": 3}
    with pytest.raises(UnknownName, match="test/1"):
        writer.forget_encoder("test/1")


def test_a_new_description_replaces_the_old_one_in_search(
    writer: CatalogueWriter, tapes: int
) -> None:
    store(writer, analysis(tapes, "a.wav", description=Description(title="Rooster")))
    file = writer.catalogue.recording(1).files[0]
    writer.redescribe(file.id, Description(title="Hen", extra={"note": "at dawn"}), "digest")
    assert search_keywords(writer.catalogue, "rooster", 5) == []
    assert [hit.recording_id for hit in search_keywords(writer.catalogue, "hen dawn", 5)] == [1]
    assert writer.catalogue.known_files(tapes)["a.wav"].sidecar_digest == "digest"


def test_a_name_is_given_to_one_collection_only(writer: CatalogueWriter, tapes: int) -> None:
    with pytest.raises(CatalogueError, match="another name"):
        writer.add_collection("tapes", "/elsewhere")


def test_the_outcomes_have_names_for_people() -> None:
    assert all(outcome.value.isalpha() for outcome in Outcome)


@pytest.mark.parametrize(
    "words",
    ["creak", "door creaking", "DoorCreak", "Müller", "muller", "wet, wood!", 'a "quoted" tag'],
)
def test_full_text_search_finds_names_tags_and_people(
    writer: CatalogueWriter, tapes: int, words: str
) -> None:
    description = Description(creator="Müller", tags=("wet wood", 'a "quoted" tag'))
    writer.store(
        [
            analysis(tapes, "fx/DoorCreak03.wav", description=description),
            analysis(tapes, "fx/rain.wav"),
        ]
    )
    found = search_keywords(writer.catalogue, words, 10)
    names = [writer.catalogue.recording(hit.recording_id).files[0].path for hit in found]
    assert names == ["fx/DoorCreak03.wav"]


@pytest.mark.parametrize("words", ["", '"', "AND OR NOT", "* ^ :", "absent", "x" * 2000])
def test_full_text_search_takes_any_text_for_words(
    writer: CatalogueWriter, tapes: int, words: str
) -> None:
    writer.store([analysis(tapes, "rain.wav")])
    assert search_keywords(writer.catalogue, words, 10) == []


def test_a_recording_is_found_by_the_end_of_its_path(writer: CatalogueWriter, tapes: int) -> None:
    writer.store([analysis(tapes, path) for path in ("a/dog.wav", "b/dog.wav", "b/hotdog.wav")])
    find = writer.catalogue.find_files
    assert len(find("dog.wav")) == 2
    assert len(find("b/dog.wav")) == 1
    assert len(find("/tapes/a/dog.wav")) == 1
    assert find("cat.wav") == []


def test_a_path_that_is_not_utf8_is_nobodys(writer: CatalogueWriter, tapes: int) -> None:
    store(writer, analysis(tapes, "dög.wav", "a"))
    found = writer.catalogue.find_files
    assert len(found("dög.wav")) == 1
    assert found("d\udcff\udcfeg.wav") == []

"""What any database must do under a catalogue: recordings, files, failures, full-text search."""

import numpy as np
import pytest

from db import overview
from db.errors import CatalogueError, EncoderMismatch, UnknownName
from db.records import Analysis, Description, EncoderInfo, Failure, FileState
from db.storing import Outcome
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis


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
    from sqlalchemy import select

    from db.schema import EmbeddingRow

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


def test_forgetting_a_collection_keeps_what_lies_in_another(
    writer: CatalogueWriter, tapes: int
) -> None:
    other = writer.add_collection("other", "/other").id
    store(writer, analysis(tapes, "a.wav", "x"), analysis(tapes, "b.wav", "y"))
    store(writer, analysis(other, "a.wav", "x", known=True))
    assert writer.forget_collection(tapes) == 1
    assert [c.name for c in writer.catalogue.collections()] == ["other"]
    assert n_recordings(writer) == 1
    assert writer.catalogue.search_descriptions("b", 5) == []


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
    assert writer.catalogue.search_descriptions("rooster", 5) == []
    assert [id_ for id_, _ in writer.catalogue.search_descriptions("hen dawn", 5)] == [1]
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
    found = writer.catalogue.search_descriptions(words, 10)
    names = [writer.catalogue.recording(id_).files[0].path for id_, _ in found]
    assert names == ["fx/DoorCreak03.wav"]


@pytest.mark.parametrize("words", ["", '"', "AND OR NOT", "* ^ :", "absent", "x" * 2000])
def test_full_text_search_takes_any_text_for_words(
    writer: CatalogueWriter, tapes: int, words: str
) -> None:
    writer.store([analysis(tapes, "rain.wav")])
    assert writer.catalogue.search_descriptions(words, 10) == []


def test_a_recording_is_found_by_the_end_of_its_path(writer: CatalogueWriter, tapes: int) -> None:
    writer.store([analysis(tapes, path) for path in ("a/dog.wav", "b/dog.wav", "b/hotdog.wav")])
    find = writer.catalogue.find_files
    assert len(find("dog.wav")) == 2
    assert len(find("b/dog.wav")) == 1
    assert len(find("/tapes/a/dog.wav")) == 1
    assert find("cat.wav") == []

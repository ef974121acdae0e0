"""The index of an encoder's vectors: always in step with SQL, whatever its file is like."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from db import consistency
from db.catalogue import Catalogue
from db.errors import UnknownName
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    """A collection of ten recordings with one to ten segments, and a saved index."""
    collection = writer.add_collection("tapes", "/tapes").id
    writer.store([analysis(collection, f"{i}.wav", n_segments=i + 1) for i in range(10)])
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    return collection


def index_file(catalogue: Catalogue) -> Path:
    (path,) = catalogue.index_folder.iterdir()
    return path


def forget(writer: CatalogueWriter, path: str) -> None:
    (id_,) = writer.catalogue.find_files(path)
    writer.forget_files([file.id for file in writer.catalogue.recording(id_).files])


def assert_in_step(index: SegmentIndex, catalogue: Catalogue) -> None:
    """Each stored vector finds itself, and nothing else is in the index."""
    total = 0
    for recording_id in sorted(catalogue.recordings_with_vectors(ENCODER.name)):
        vectors = catalogue.vectors(recording_id, ENCODER.name).astype(np.float32)
        scores, segments = index.search(vectors, 1)
        recordings, ordinals = index.locate(segments[:, 0])
        assert recordings.tolist() == [recording_id] * len(vectors)
        assert ordinals.tolist() == list(range(len(vectors)))
        np.testing.assert_allclose(scores[:, 0], 1.0, atol=5e-3)
        total += len(vectors)
    assert len(index) == total


def test_an_index_is_built_from_sql_when_there_is_no_file(
    writer: CatalogueWriter, tapes: int
) -> None:
    index_file(writer.catalogue).unlink()
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert_in_step(index, writer.catalogue)
    assert not index.is_saved()
    assert "missing" in index.notes[0] or "no such file" in index.notes[0].lower()


def test_a_saved_index_is_loaded_as_it_was(writer: CatalogueWriter, tapes: int) -> None:
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert index.is_saved()
    assert index.notes == []
    assert_in_step(index, writer.catalogue)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "garbage"])
def test_a_damaged_file_is_noted_and_answers_are_right_all_the_same(
    writer: CatalogueWriter, tapes: int, damage: str
) -> None:
    path = index_file(writer.catalogue)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    ruined = {
        "flip": bytes(content),
        "cut": bytes(content[: len(content) // 2]),
        "empty": b"",
        "garbage": b"\xff" * 5000,
    }
    path.write_bytes(ruined[damage])
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert len(index.notes) == 1
    assert_in_step(index, writer.catalogue)
    index.save(writer)
    assert SegmentIndex.open(writer.catalogue, ENCODER.name).notes == []


@pytest.mark.parametrize("blob", ["zeroblob(96)", "zeroblob(95)"])
def test_damaged_vectors_are_left_out_with_a_note_when_the_file_is_gone_too(
    writer: CatalogueWriter, tapes: int, blob: str
) -> None:
    index_file(writer.catalogue).unlink()
    with writer.catalogue.transaction() as session:
        session.execute(text(f"UPDATE embeddings SET vectors = {blob} WHERE recording_id = 3"))
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert len(index) == 55 - 3
    assert any("recording 3" in note for note in index.notes)
    assert any(
        "recording 3" in problem.what for problem in consistency.check(writer.catalogue, schemes={})
    )


@pytest.mark.parametrize("first", [2**60, 2**63 - 1, 900, -1])
def test_a_recording_whose_numbers_are_damaged_is_left_out_with_a_note(
    writer: CatalogueWriter, tapes: int, first: int
) -> None:
    with writer.catalogue.transaction() as session:
        damage = f"UPDATE embeddings SET first_segment = {first} WHERE recording_id = 3"
        session.execute(text(damage))
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert len(index) == 55 - 3
    assert any("recording 3" in note for note in index.notes)
    query = np.eye(1, ENCODER.dim, dtype=np.float32)
    _, found = index.search(query, 5, recording_ids=np.array([3, 4]))
    assert set(index.locate(found[found >= 0])[0].tolist()) == {4}


def test_an_older_file_is_completed_from_sql(writer: CatalogueWriter, tapes: int) -> None:
    writer.store([analysis(tapes, "new.wav", n_segments=5)])
    forget(writer, "3.wav")
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert index.notes == []
    assert not index.is_saved()
    assert_in_step(index, writer.catalogue)


def test_an_open_index_takes_in_what_is_committed_later(
    writer: CatalogueWriter, tapes: int
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = SegmentIndex.open(elsewhere, ENCODER.name)
        writer.store([analysis(tapes, "new.wav", n_segments=2)])
        forget(writer, "5.wav")
        writer.store([analysis(tapes, "4.wav", "other content")])
        index.refresh()
        assert_in_step(index, elsewhere)


def test_an_open_index_empties_when_all_is_forgotten(writer: CatalogueWriter, tapes: int) -> None:
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    writer.forget_collection(tapes)
    index.refresh()
    assert len(index) == 0


def test_a_crash_between_writing_the_file_and_committing_leaves_the_old_one_in_force(
    writer: CatalogueWriter, tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index_file(writer.catalogue)
    writer.store([analysis(tapes, "new.wav")])
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)

    def power_loss(**_: bool) -> None:
        raise SystemExit("power loss")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(writer.catalogue, "transaction", power_loss)
        index.save(writer)
    assert len(list(writer.catalogue.index_folder.iterdir())) == 2
    again = SegmentIndex.open(writer.catalogue, ENCODER.name)
    assert again.notes == []
    assert before.exists()
    assert_in_step(again, writer.catalogue)
    again.save(writer)
    assert len(list(writer.catalogue.index_folder.iterdir())) == 1


def test_only_the_recordings_that_are_allowed_are_searched(
    writer: CatalogueWriter, tapes: int
) -> None:
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    query: NDArray[np.float32] = writer.catalogue.vectors(1, ENCODER.name).astype(np.float32)
    _, segments = index.search(query, 100, recording_ids=np.array([4, 7]))
    found = segments[segments >= 0]
    assert set(index.locate(found)[0].tolist()) == {4, 7}
    assert len(found) == 4 + 7


def test_an_encoder_without_vectors_is_named_with_those_that_have_some(
    writer: CatalogueWriter, tapes: int
) -> None:
    with pytest.raises(UnknownName, match=r"laion-clap/x.*test/1"):
        SegmentIndex.open(writer.catalogue, "laion-clap/x")


def test_an_index_that_was_open_while_its_vectors_were_made_again_saves_the_new_ones(
    catalogue: Catalogue,
) -> None:
    newer = replace(ENCODER, name="test/2")  # keeps the number of the other from being used again
    with CatalogueWriter(catalogue) as writer:
        tapes = writer.add_collection("tapes", "/tapes").id
        writer.store([analysis(tapes, "1.wav"), analysis(tapes, "2.wav", encoder=newer)])
        index = SegmentIndex.open(catalogue, ENCODER.name)
        index.save(writer)
    with CatalogueWriter(catalogue) as another:
        another.forget_encoder(ENCODER.name)
        another.store([analysis(tapes, f"{i}.wav", n_segments=4) for i in range(3, 6)])
    with CatalogueWriter(catalogue) as writer:
        index.save(writer)
    assert_in_step(index, catalogue)
    assert index.is_saved()
    later = SegmentIndex.open(catalogue, ENCODER.name)
    assert later.is_saved()
    assert_in_step(later, catalogue)


def test_threads_may_search_while_recordings_come_and_go(
    writer: CatalogueWriter, tapes: int
) -> None:
    index = SegmentIndex.open(writer.catalogue, ENCODER.name)
    is_over = threading.Event()
    queries = np.random.default_rng(3).standard_normal((2, ENCODER.dim)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    def ask() -> int:
        n_asked = 0
        while not is_over.is_set():
            index.refresh()
            for allowed in (None, np.arange(0, 1000, 2)):
                _, segments = index.search(queries, 8, recording_ids=allowed)
                ids, ordinals = index.locate(segments[segments >= 0])
                assert ((ids == -1) == (ordinals == -1)).all()
                assert ordinals.max() < 12
            n_asked += 1
        return n_asked

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(8):
            names = [f"more {number} {part}.wav" for part in range(3)]
            writer.store([analysis(tapes, name, n_segments=12) for name in names])
            forget(writer, names[0])
        is_over.set()
        assert min(one.result() for one in asking) > 0
    index.refresh()
    assert_in_step(index, writer.catalogue)

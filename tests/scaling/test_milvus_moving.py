"""Moves of vectors that fail in the middle, and what they leave on servers and other machines."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from db import consistency
from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.milvus_server import MilvusServer
from db.schema import IndexFileRow
from db.segment_index import SegmentIndex
from db.vector_location import FILES
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis
from tests.db.test_segment_index import assert_in_step
from tests.milvus import MilvusServerForTests
from tests.milvus import server_for_tests as milvus_for_tests
from tests.scaling.test_milvus_store import collections_of, opened, problems


@pytest.fixture
def writer(location: str, machine: Path) -> Iterator[CatalogueWriter]:
    """Of a catalogue whose vectors are in a file."""
    with Catalogue.open(location, create=True) as catalogue, CatalogueWriter(catalogue) as made:
        tapes = made.add_collection("tapes", "/tapes").id
        made.store([analysis(tapes, f"{number}.wav", n_segments=4) for number in range(5)])
        opened(catalogue).save(made)
        yield made


def index_files(catalogue: Catalogue) -> list[str]:
    with catalogue.session() as session:
        in_sql = list(session.scalars(select(IndexFileRow.name)))
    return in_sql + [path.name for path in catalogue.index_folder.glob("*.index")]


def test_collections_on_a_server_that_goes_away_during_the_move_are_removed_by_repair(
    writer: CatalogueWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with milvus_for_tests(tmp_path) as milvus:
        move_vectors(writer, milvus.uri)
        save = SegmentIndex.save

        def save_and_stop(self: SegmentIndex, writer: CatalogueWriter) -> None:
            save(self, writer)
            milvus.stop()

        with monkeypatch.context() as patched:
            patched.setattr(SegmentIndex, "save", save_and_stop)
            done = move_vectors(writer, FILES)
        assert done[-1].startswith(f"left the collections on {milvus.uri} as they are (cannot")
        assert problems(writer.catalogue) == []
        assert consistency.repair(writer, schemes={}) == done[-1:]
        milvus.start()
        server = MilvusServer(milvus.uri)
        (name,) = collections_of(writer.catalogue, server)
        assert consistency.repair(writer, schemes={}) == [
            f"removed the collection {name} from {milvus.uri}"
        ]
        assert collections_of(writer.catalogue, server) == []
        assert consistency.repair(writer, schemes={}) == []
        server.close()


def test_a_move_to_a_server_that_is_cut_off_is_finished_by_repair(
    writer: CatalogueWriter, milvus: MilvusServerForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise VectorIndexError("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(MilvusServer, "put", fail)
        with pytest.raises(VectorIndexError, match="cut off"):
            move_vectors(writer, milvus.uri)
    assert_in_step(opened(writer.catalogue), writer.catalogue)
    consistency.repair(writer, schemes={})
    server = MilvusServer(milvus.uri)
    assert len(collections_of(writer.catalogue, server)) == 1
    server.close()
    assert index_files(writer.catalogue) == problems(writer.catalogue) == []
    assert_in_step(opened(writer.catalogue), writer.catalogue)


def test_a_move_between_servers_leaves_nothing_on_the_first(
    writer: CatalogueWriter, milvus: MilvusServerForTests, tmp_path: Path
) -> None:
    with milvus_for_tests(tmp_path) as second:
        for one, other in ((milvus, second), (second, milvus)):
            move_vectors(writer, one.uri)
            move_vectors(writer, other.uri)
            server, left = MilvusServer(other.uri), MilvusServer(one.uri)
            assert len(collections_of(writer.catalogue, server)) == 1
            assert collections_of(writer.catalogue, left) == []
            server.close()
            left.close()
            assert_in_step(opened(writer.catalogue), writer.catalogue)


def test_another_machine_removes_its_own_index_files_when_it_writes_and_not_when_it_reads(
    url: str,
    tmp_path: Path,
    machine: Path,
    milvus: MilvusServerForTests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Catalogue.open(url, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        tapes = writer.add_collection("tapes", "/tapes").id
        writer.store([analysis(tapes, "0.wav")])
        opened(catalogue).save(writer)
    machines = [str(tmp_path / name) for name in ("that writes", "that repairs", "that reads")]
    for folder in machines:
        monkeypatch.setenv("XDG_DATA_HOME", folder)
        with Catalogue.open(url) as there, CatalogueWriter(there) as writer:
            opened(there).save(writer)
    monkeypatch.setenv("XDG_DATA_HOME", str(machine))
    with Catalogue.open(url) as catalogue, CatalogueWriter(catalogue) as writer:
        move_vectors(writer, milvus.uri)
    for folder, n_left in zip(machines, (0, 0, 1), strict=True):
        monkeypatch.setenv("XDG_DATA_HOME", folder)
        with Catalogue.open(url) as there:
            assert_in_step(opened(there), there)
            assert len(list(there.index_folder.glob("*.index"))) == 1
            if folder.endswith("writes"):
                with CatalogueWriter(there, alone=False):
                    pass
            elif folder.endswith("repairs"):
                with CatalogueWriter(there, alone=False) as writer:
                    consistency.repair(writer, schemes={}, only_index=True)
            assert len(list(there.index_folder.glob("*.index"))) == n_left
            n_in_sql = len(index_files(there)) - n_left
    assert n_in_sql == 1  # that of the machine that has only read


def test_an_open_reader_follows_vectors_that_move_back_and_forth(
    writer: CatalogueWriter, milvus: MilvusServerForTests
) -> None:
    with Catalogue.open(writer.catalogue.location) as elsewhere:
        index = opened(elsewhere)
        server = MilvusServer(milvus.uri)
        for place in (milvus.uri, FILES, milvus.uri):
            move_vectors(writer, place)
            index.refresh()
            assert index.notes == []
            assert_in_step(index, elsewhere)
        # It really asks the server, and no longer what it had in memory.
        (name,) = collections_of(elsewhere, server)
        server.delete(name, index.search(index_query(elsewhere), 1)[1][0])
        assert index.search(index_query(elsewhere), 1)[0][0, 0] < 0.999
        server.close()


def index_query(catalogue: Catalogue) -> NDArray[np.float32]:
    return catalogue.vectors(3, ENCODER.name)[:1].astype(np.float32)


def test_what_keeps_the_server_from_being_compared_is_said(
    writer: CatalogueWriter, tmp_path: Path
) -> None:
    with milvus_for_tests(tmp_path) as milvus:
        move_vectors(writer, milvus.uri)
        index = opened(writer.catalogue)
        assert index.faults() == []
        milvus.stop()
        (fault,) = index.faults()
        assert fault.startswith("what the Milvus server holds could not be compared: cannot")

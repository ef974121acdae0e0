"""Copies and older states of one catalogue on one Milvus server: none spoils what another finds."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from db import consistency
from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.left_behind import left_behind
from db.milvus_filled import Filled
from db.milvus_server import MilvusServer
from db.segment_index import save_indexes
from db.vector_location import FILES
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis
from tests.db.test_segment_index import assert_in_step, forget
from tests.milvus import MilvusServerForTests
from tests.postgres import PostgresServer
from tests.scaling.test_milvus_store import collections_of, opened, problems

Copy = Callable[[str], str]


@pytest.fixture
def copy(request: pytest.FixtureRequest, location: str, tmp_path: Path) -> Copy:
    """Copies a catalogue that nobody has open, with its identity."""
    n_copies = 0

    def copied(original: str) -> str:
        nonlocal n_copies
        n_copies += 1
        if "://" not in original:
            return shutil.copytree(original, str(tmp_path / f"copy-{n_copies}"))
        server: PostgresServer = request.getfixturevalue("postgres")
        new = server.new_database()
        old, new_name = (make_url(url).database for url in (original, new))
        server.execute(f"DROP DATABASE {new_name}", f"CREATE DATABASE {new_name} TEMPLATE {old}")
        return new

    return copied


@pytest.fixture
def server(milvus: MilvusServerForTests) -> Iterator[MilvusServer]:
    connected = MilvusServer(milvus.uri)
    yield connected
    connected.close()


@pytest.fixture
def archive(location: str, machine: Path, milvus: MilvusServerForTests) -> str:
    """A catalogue whose twenty vectors are on the server."""
    with Catalogue.open(location, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        move_vectors(writer, milvus.uri)
    add(location, *(f"{number}.wav" for number in range(5)))
    return location


def add(location: str, *names: str, without: str | None = None, n_segments: int = 4) -> None:
    """Index some files, forget another, and send all that to the server."""
    with Catalogue.open(location) as catalogue, CatalogueWriter(catalogue) as writer:
        tapes = writer.add_collection("tapes", "/tapes").id
        writer.store([analysis(tapes, name, n_segments=n_segments) for name in names])
        if without is not None:
            forget(writer, without)
        assert save_indexes(writer) == []


def filled(catalogue: Catalogue) -> Filled:
    with catalogue.session() as session:
        found = Filled.read(session, 1)
    assert found is not None
    return found


def assert_right(location: str) -> None:
    """Fail unless whoever opens a catalogue now finds each vector, and nothing is amiss."""
    with Catalogue.open(location) as catalogue:
        index = opened(catalogue)
        assert index.notes == problems(catalogue) == []
        assert_in_step(index, catalogue)


def test_a_copy_and_its_original_that_both_write_never_find_what_the_other_sent(
    archive: str, copy: Copy, server: MilvusServer
) -> None:
    other = copy(archive)
    with ExitStack() as stack:
        reader = opened(stack.enter_context(Catalogue.open(archive)))
        add(other, "of the copy.wav", "and another.wav", without="2.wav")
        # The original has noted nothing yet: what the copy has removed comes from SQL.
        with Catalogue.open(archive) as catalogue:
            for index in (reader, opened(catalogue)):
                index.refresh()
                assert_in_step(index, catalogue)
                assert "was filled by a copy of this catalogue" in index.notes[0]
                assert not index.is_saved()
        # The same numbers for other vectors.
        add(archive, "of the original.wav", "and more.wav", without="3.wav")
        add(other, "later.wav")
        assert_right(archive)
        assert_right(other)
        reader.refresh()
        with Catalogue.open(archive) as catalogue:
            assert reader.notes == []
            assert_in_step(reader, catalogue)
            one = filled(catalogue).collection
            assert server.count(one) == len(opened(catalogue)) == 24
        with Catalogue.open(other) as catalogue:
            two = filled(catalogue).collection
            assert sorted([one, two]) == collections_of(catalogue, server)


def test_a_backup_from_before_the_line_that_was_left_gets_a_collection_of_its_own(
    archive: str, copy: Copy, server: MilvusServer
) -> None:
    first = copy(archive)
    add(archive, "one.wav")
    second = copy(archive)
    add(archive, "lost.wav", n_segments=6)
    for number, restored in enumerate((second, first)):
        with Catalogue.open(restored) as catalogue:
            index = opened(catalogue)
            assert_in_step(index, catalogue)
            assert "after the backup that this one was restored from" in index.notes[0]
        add(restored, f"new {number}.wav", "and more.wav", without="1.wav")
    for each in (archive, second, first):
        assert_right(each)
    with Catalogue.open(first) as catalogue:
        assert len(collections_of(catalogue, server)) == 3


def test_repair_says_what_it_leaves_to_copies_and_gives_a_restored_catalogue_its_own(
    archive: str, copy: Copy, server: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored = copy(archive)
    add(archive, "lost.wav")
    with monkeypatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", str(tmp_path / "another-machine"))
        with Catalogue.open(restored) as catalogue, CatalogueWriter(catalogue) as writer:
            of_the_other = filled(catalogue).collection
            assert any("was filled by a copy" in problem for problem in problems(catalogue))
            written, told = consistency.repair(writer, schemes={})
            assert "wrote the index of test/1 anew (20 segments)" in written
            assert f"left the collection {of_the_other} on {server.uri} as it is: a copy" in told
            assert consistency.repair(writer, schemes={}) == [told]
            move_vectors(writer, FILES)
            assert collections_of(catalogue, server) == [of_the_other]
        assert_right(restored)
    assert_right(archive)


def test_two_copies_that_begin_to_fill_one_collection_at_once_are_told_apart(
    archive: str, server: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    give = MilvusServer.set_token

    def give_and_lose(self: MilvusServer, name: str, token: str) -> None:
        give(self, name, token)
        give(self, name, "of the other copy")

    with Catalogue.open(archive) as catalogue, CatalogueWriter(catalogue) as writer:
        before = filled(catalogue).collection
        writer.store([analysis(1, "new.wav")])
        with monkeypatch.context() as patched:
            patched.setattr(MilvusServer, "set_token", give_and_lose)
            (note,) = save_indexes(writer)
        assert "a copy of this catalogue has begun to fill the collection" in note
        assert server.count(before) == 20
        assert save_indexes(writer) == []
        assert filled(catalogue).collection != before
    assert_right(archive)


def test_a_fill_that_is_cut_off_before_its_token_is_given_is_no_fill_by_another(
    archive: str, server: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise VectorIndexError("cut off")

    with Catalogue.open(archive) as catalogue, CatalogueWriter(catalogue) as writer:
        before = filled(catalogue)
        writer.store([analysis(1, "new.wav")])
        with monkeypatch.context() as patched:
            patched.setattr(MilvusServer, "set_token", fail)
            assert len(save_indexes(writer)) == 1
        assert len(filled(catalogue).tokens) == len(before.tokens) + 1
        assert opened(catalogue).notes == []
        assert save_indexes(writer) == []
        assert filled(catalogue).collection == before.collection
        # The server's own backup was restored: it is still that of this catalogue.
        server.set_token(before.collection, before.tokens[-1])
        writer.store([analysis(1, "newer.wav")])
        assert save_indexes(writer) == []
        assert filled(catalogue).collection == before.collection
    assert_right(archive)


def test_a_collection_whose_first_fill_was_cut_off_is_removed_by_the_next(
    archive: str, server: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise VectorIndexError("cut off")

    with Catalogue.open(archive) as catalogue, CatalogueWriter(catalogue) as writer:
        server.drop(filled(catalogue).collection)
        with monkeypatch.context() as patched:
            patched.setattr(MilvusServer, "put", fail)
            assert "cut off" in save_indexes(writer)[0]
        assert len(collections_of(catalogue, server)) == 1
        assert save_indexes(writer) == []
        assert collections_of(catalogue, server) == [filled(catalogue).collection]
        with catalogue.session() as session:
            assert left_behind(session) == []
    assert_right(archive)


def test_what_was_filled_before_collections_had_tokens_is_gone_on_with(
    archive: str, server: MilvusServer
) -> None:
    with Catalogue.open(archive) as catalogue, CatalogueWriter(catalogue) as writer:
        old = filled(catalogue)
        server.drop(old.collection)
        server.create(old.collection, ENCODER.dim, kind="FLAT", parameters={})
        with catalogue.transaction() as session:
            Filled(old.collection).write(session, 1)
        writer.store([analysis(1, "new.wav")])
        assert save_indexes(writer) == []
        assert filled(catalogue).collection == old.collection
        assert len(filled(catalogue).tokens) == 2
    assert_right(archive)

"""Whoever has a catalogue open while it is restored from a backup answers as a new reader would."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.opening import DATABASE_NAME
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.conformance.test_changes import Everything, Reader, assert_like_a_new_one
from tests.db.conftest import ENCODER, analysis, fingerprinted
from tests.postgres import PostgresServer

Restore = Callable[[], None]


def copied(source: Path, target: Path) -> None:
    """Copy a database as SQLite's ``.backup`` and ``.restore`` do."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def restored_by_sqlite(catalogue: Path) -> Restore:
    backup = catalogue.with_name("backup.sqlite")
    copied(catalogue / DATABASE_NAME, backup)
    return lambda: copied(backup, catalogue / DATABASE_NAME)


def put_in_its_place(catalogue: Path) -> Restore:
    backup = catalogue.with_name("backup.sqlite")
    copied(catalogue / DATABASE_NAME, backup)

    def restore() -> None:
        for end in ("-wal", "-shm"):
            (catalogue / f"{DATABASE_NAME}{end}").unlink(missing_ok=True)
        backup.replace(catalogue / DATABASE_NAME)

    return restore


def folder_for_folder(catalogue: Path) -> Restore:
    backup = catalogue.with_name("backup.sqlite")
    copied(catalogue / DATABASE_NAME, backup)

    def restore() -> None:
        shutil.rmtree(catalogue)
        catalogue.mkdir()
        backup.replace(catalogue / DATABASE_NAME)

    return restore


WAYS: dict[str, Callable[[Path], Restore]] = {
    way.__name__: way for way in (restored_by_sqlite, put_in_its_place, folder_for_folder)
}


@pytest.fixture(params=[*WAYS, "pg_restore"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if request.param in WAYS:
        return str(tmp_path / "catalogue")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def back_up(request: pytest.FixtureRequest, location: str, tmp_path: Path) -> Callable[[], Restore]:
    """Make a backup; return what restores it in place."""
    way = WAYS.get(request.node.callspec.params["location"])
    if way is not None:
        return lambda: way(Path(location))
    server: PostgresServer = request.getfixturevalue("postgres")

    def dump() -> Restore:
        file = server.folder / f"{tmp_path.name}.dump"  # where the server's user may write
        server.client("pg_dump", "--format=custom", f"--file={file}", location)
        target = f"--dbname={location}"
        return lambda: server.client("pg_restore", "--clean", "--no-owner", target, str(file))

    return dump


@pytest.fixture
def readers(writer: CatalogueWriter, location: str) -> Iterator[list[Reader]]:
    """Two readers of an archive that holds something, without index files."""
    collection = writer.add_collection("first", "/first").id
    writer.store([fingerprinted(analysis(collection, f"{n}.wav")) for n in range(3)])
    opened = [Reader(location) for _ in range(2)]
    yield opened
    for reader in opened:
        reader.catalogue.close()


def add(location: str, name: str, *, n_times: int) -> None:
    """Add recordings that have the numbers, and the lengths, of those of any other name."""
    with Catalogue.open(location) as catalogue, CatalogueWriter(catalogue) as writer:
        collection = writer.add_collection("more", "/more").id
        for n in range(n_times):
            writer.store([fingerprinted(analysis(collection, f"{n}.wav", f"{name} {n}"))])


def test_readers_see_what_was_restored_and_what_came_after_it(
    readers: list[Reader], location: str, back_up: Callable[[], Restore], writer: CatalogueWriter
) -> None:
    writer.__exit__(None, None, None)
    restore = back_up()
    add(location, "lost", n_times=3)
    for reader in readers:
        reader.answers()
    restore()
    assert_like_a_new_one(readers[0], location)
    # As much came since as had before: counts alone would not tell the two apart.
    add(location, "new", n_times=3)
    for reader in readers:
        assert_like_a_new_one(reader, location)
    add(location, "newer", n_times=1)
    for reader in readers:
        assert_like_a_new_one(reader, location)
    writer.__enter__()


def test_readers_of_saved_indexes_see_what_was_restored(
    readers: list[Reader], location: str, back_up: Callable[[], Restore], writer: CatalogueWriter
) -> None:
    everything = Everything(writer, "tapes", seed=3)
    for _ in range(4):
        everything.step()
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    readers[0].marks.save(writer)
    restore = back_up()
    for _ in range(6):
        everything.step()
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    for reader in readers:
        reader.answers()
    restore()
    everything = Everything(writer, "tapes", seed=4)
    for _ in range(8):
        everything.step()
    for reader in readers:
        # Files that went with the folder are missed by those only who have not got them open.
        assert_like_a_new_one(reader, location, but="notes")

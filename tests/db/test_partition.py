"""One part of an index of fingerprints: what it keeps, where, and whom it refuses."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from db.catalogue import Catalogue
from db.errors import CatalogueError, PostingsError
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.partition import Partition
from db.partitioned_index import PartitionedIndex
from db.writer import CatalogueWriter
from indexer.peaks import N_BINS
from search.scan import ArchiveScan
from tests.conformance.fingerprints import (
    KEY_BITS,
    PartsInProcess,
    assert_in_step,
    forget,
    found_by,
    some_keys,
    store,
)
from tests.db.conftest import SCHEME, expand


@pytest.fixture
def tapes(writer: CatalogueWriter) -> int:
    collection = writer.add_collection("tapes", "/tapes").id
    store(writer, collection, "abcde")
    return collection


@pytest.fixture
def parts(writer: CatalogueWriter, tapes: int) -> Iterator[PartsInProcess]:
    made = PartsInProcess(writer.catalogue, 3)
    yield made
    made.close()


def open_index(catalogue: Catalogue, parts: PartsInProcess) -> PartitionedIndex:
    return PartitionedIndex.open(
        catalogue, SCHEME.name, expand, key_bits=KEY_BITS, connect=lambda: parts
    )


def files(catalogue: Catalogue) -> list[Path]:
    return sorted((catalogue.index_folder / "parts").rglob("*.postings"))


def test_each_part_keeps_files_of_its_own_and_a_third_of_the_postings(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    index = open_index(writer.catalogue, parts)
    assert index.prepare() == []
    assert len({path.parent for path in files(writer.catalogue)}) == 3
    assert list(writer.catalogue.index_folder.glob("*.postings")) == []
    whole = sum(path.stat().st_size for path in files(writer.catalogue))
    assert max(path.stat().st_size for path in files(writer.catalogue)) < 0.6 * whole


def test_a_part_that_lost_its_files_is_made_of_sql_again(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    index = open_index(writer.catalogue, parts)
    keys = some_keys(writer.catalogue)
    before = found_by(index, keys, 500)
    parts.parts[1].close()
    shutil.rmtree(files(writer.catalogue)[1].parent.parent)
    parts.parts[1] = Partition(parts.spec(writer.catalogue, 1))
    assert found_by(index, keys, 500) == before
    assert len(files(writer.catalogue)) == 3


def test_a_part_saves_by_itself_what_has_become_much(
    writer: CatalogueWriter, tapes: int, parts: PartsInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.partition._MOST_UNSAVED", 0)
    index = open_index(writer.catalogue, parts)
    assert index.prepare() == []
    before = files(writer.catalogue)
    store(writer, tapes, "fg")
    index.refresh()
    assert_in_step(index, writer.catalogue)
    until = time.monotonic() + 60
    while set(before) & set(files(writer.catalogue)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not set(before) & set(files(writer.catalogue))
    assert_in_step(index, writer.catalogue)


def test_what_was_committed_since_the_last_refresh_is_not_found_in_parts_that_know_of_it(
    writer: CatalogueWriter, tapes: int, parts: PartsInProcess
) -> None:
    index, newer = open_index(writer.catalogue, parts), open_index(writer.catalogue, parts)
    keys = some_keys(writer.catalogue)
    before = found_by(index, keys)[0]
    store(writer, tapes, "fg")
    newer.refresh()
    assert len(found_by(newer, keys)[0]) > len(before)
    assert found_by(index, keys)[0] == before
    forget(writer, "a")
    index.refresh()
    assert_in_step(index, writer.catalogue)


def test_a_part_that_cannot_write_answers_from_memory_and_says_so(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    writer.catalogue.index_folder.mkdir(exist_ok=True)
    (writer.catalogue.index_folder / "parts").write_text("in the way")
    index = open_index(writer.catalogue, parts)
    assert_in_step(index, writer.catalogue)
    notes = index.prepare()
    assert any("no index can be kept in" in note for note in notes)
    assert any("part 2 is kept in memory" in note for note in notes)


def test_a_part_does_not_serve_another_catalogue_nor_another_echoic(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    spec = parts.spec(writer.catalogue, 0)
    with pytest.raises(CatalogueError, match="is another one there"):
        Partition(replace(spec, uuid="other")).prepare(1)
    with pytest.raises(PostingsError, match=r"not 99\.0 as this one"):
        Partition(replace(spec, version="99.0")).prepare(1)


def test_a_part_tells_when_it_holds_something_else_than_sql_and_is_made_anew(
    writer: CatalogueWriter, tapes: int, parts: PartsInProcess
) -> None:
    index = open_index(writer.catalogue, parts)
    index.prepare()
    store(writer, tapes, "fg")  # taken in by some parts only, and in no file
    index.refresh()
    found_by(index, some_keys(writer.catalogue)[:20])
    assert [part.faults() for part in parts.parts] == [[], [], []]
    # Behind everybody's back: two recordings have changed their landmarks with each other.
    columns = "n_landmarks, checksum, landmarks"
    with writer.catalogue.transaction(of_contents=False) as session:
        session.execute(
            text(f"CREATE TEMP TABLE held AS SELECT recording_id, {columns} FROM fingerprints")
        )
        session.execute(
            text(
                f"UPDATE fingerprints SET ({columns}) = (SELECT {columns} FROM held "
                "WHERE held.recording_id = 3 - fingerprints.recording_id) "
                "WHERE recording_id IN (1, 2)"
            )
        )
    faults = [fault for part in parts.parts for fault in part.faults()]
    assert len(faults) == 1  # the other parts have no landmarks of these
    assert "other landmarks of 2 recordings than the database" in faults[0]
    index.prepare(anew=True)
    assert [part.faults() for part in parts.parts] == [[], [], []]
    assert_in_step(index, writer.catalogue)


def test_a_file_of_a_part_that_is_damaged_is_told_and_made_anew(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    index = open_index(writer.catalogue, parts)
    index.prepare()
    file = files(writer.catalogue)[1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (fault,) = parts.parts[1].faults()
    assert file.name in fault
    index.prepare(anew=True)
    assert [part.faults() for part in parts.parts] == [[], [], []]
    assert_in_step(index, writer.catalogue)


def test_a_part_that_is_cleared_leaves_nothing_and_touches_no_other(
    writer: CatalogueWriter, parts: PartsInProcess
) -> None:
    index = open_index(writer.catalogue, parts)
    save_fingerprint_index(writer, SCHEME.name, expand, key_bits=KEY_BITS)
    own = set(writer.catalogue.index_folder.glob("*.postings"))
    parts.parts[2].clear()  # it has never been asked
    assert writer.catalogue.postings_file_names() == {path.name for path in own}
    index.prepare()
    folders = {path.parents[1] for path in files(writer.catalogue)}
    parts.parts[0].clear()
    assert sum(folder.exists() for folder in folders) == 2
    assert len(files(writer.catalogue)) == 2
    assert writer.catalogue.postings_file_names() == {path.name for path in own}


def test_a_scan_of_the_parts_finds_the_places_that_a_scan_of_the_whole_finds(
    writer: CatalogueWriter, tapes: int, parts: PartsInProcess
) -> None:
    whole = FingerprintIndex.open(writer.catalogue, SCHEME.name, expand, key_bits=KEY_BITS)
    parted = open_index(writer.catalogue, parts)
    spectrum = np.random.default_rng(4).standard_normal((60, N_BINS)).astype(np.float32)
    before = ArchiveScan(parted).best(spectrum, 20)
    assert len(before) > 5
    assert before == ArchiveScan(whole).best(spectrum, 20)
    forget(writer, "c")
    store(writer, tapes, "xyz")
    whole.refresh()
    parted.refresh()
    after = ArchiveScan(parted).best(spectrum, 20)
    assert after == ArchiveScan(whole).best(spectrum, 20) != before

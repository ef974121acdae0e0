"""What `check` finds and `repair` mends."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from db import consistency, damage
from db.catalogue import Catalogue
from db.content import content_hash
from db.damage import drop_damaged_fingerprint, drop_damaged_vectors
from db.engine import compact, make_engine, sqlite_url
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.records import Analysis, Description, FileState
from db.saved_searches import save_search, saved_searches
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import (
    ENCODER,
    SCHEME,
    SCHEMES,
    TECHNICAL,
    analysis,
    expand,
    fingerprinted,
)


@pytest.fixture
def archive(writer: CatalogueWriter, tmp_path: Path) -> Path:
    """Five files on disk that the catalogue knows as they are, and saved indexes."""
    root = tmp_path / "archive"
    root.mkdir()
    collection = writer.add_collection("tapes", str(root)).id
    results = []
    for number in range(5):
        path = root / f"{number}.wav"
        path.write_bytes(b"sound" * (number + 1))
        made = fingerprinted(analysis(collection, path.name))
        status = path.stat()
        state = FileState(status.st_size, status.st_mtime_ns)
        results.append(
            Analysis(
                collection,
                path.name,
                state,
                content_hash(path),
                TECHNICAL,
                Description(title=path.stem),
                {},
                None,
                made.vectors,
                None,
                made.fingerprints,
            )
        )
    writer.store(results)
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    save_fingerprint_index(writer, SCHEME.name, expand, key_bits=20)
    return root


def problems(catalogue: Catalogue, *, contents: bool = False) -> list[str]:
    found = consistency.check(catalogue, schemes=SCHEMES, contents=contents)
    return [f"{problem.where}: {problem.what}" for problem in found]


def execute(catalogue: Catalogue, statement: str) -> None:
    with catalogue.transaction() as session:
        session.execute(text(statement))


def test_a_whole_catalogue_has_no_problems(writer: CatalogueWriter, archive: Path) -> None:
    assert problems(writer.catalogue, contents=True) == []
    assert consistency.repair(writer, schemes=SCHEMES) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE embeddings SET vectors = zeroblob(96) WHERE recording_id = 2", "checksum"),
        ("UPDATE embeddings SET vectors = zeroblob(95) WHERE recording_id = 2", "95 bytes"),
        ("UPDATE embeddings SET first_segment = 4 WHERE recording_id = 1", "another recording"),
        ("UPDATE embeddings SET first_segment = 900 WHERE recording_id = 1", "never given out"),
        ("UPDATE fingerprints SET landmarks = zeroblob(9) WHERE recording_id = 2", "checksum"),
        ("UPDATE fingerprints SET n_landmarks = 9 WHERE recording_id = 2", "9 landmarks"),
        ("UPDATE fingerprints SET n_frames = 9 WHERE recording_id = 2", "its 9 frames"),
        ("UPDATE fingerprints SET first_frame = 4 WHERE recording_id = 3", "another recording"),
        ("UPDATE fingerprints SET first_frame = 90000 WHERE recording_id = 1", "never given out"),
        ("DELETE FROM files_text WHERE rowid = 3", "1 files cannot be found"),
        ("INSERT INTO files_text (rowid, path) VALUES (99, 'x')", "1 files that are gone"),
        ("DELETE FROM files WHERE id = 2", "recording 2 lies nowhere"),
    ],
)
def test_damage_in_sql_is_found_and_mended(
    writer: CatalogueWriter, archive: Path, damage: str, expected: str
) -> None:
    execute(writer.catalogue, damage)
    found = problems(writer.catalogue)
    assert any(expected in problem for problem in found), found
    assert consistency.repair(writer, schemes=SCHEMES)
    assert problems(writer.catalogue) == []


def n_matches(catalogue: Catalogue) -> dict[int, int]:
    """Return how many keys of each fingerprint are found at their place in its recording."""
    index = FingerprintIndex.open(catalogue, SCHEME.name, expand, key_bits=20)
    counts = {}
    for recording_id in catalogue.recordings_with_fingerprint(SCHEME.name):
        keys, frames = expand(catalogue.landmarks(recording_id, SCHEME.name))
        found = index.lookup(keys)
        recordings, within = index.locate(found.frames)
        right = (recordings == recording_id) & (within == frames[found.which])
        counts[recording_id] = len(set(found.which[right].tolist()))
    return counts


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE fingerprints SET landmarks = zeroblob(9) WHERE recording_id = 2",
        "UPDATE fingerprints SET first_frame = 4 WHERE recording_id = 2",
        "UPDATE fingerprints SET first_frame = 90000 WHERE recording_id = 2",
        "UPDATE fingerprints SET first_frame = 1000 WHERE recording_id = 1",  # 2 begins at 1006
    ],
)
def test_after_a_repair_every_fingerprint_that_is_left_is_found_where_it_is(
    writer: CatalogueWriter, archive: Path, damage: str
) -> None:
    n_keys = 299
    assert n_matches(writer.catalogue) == dict.fromkeys(range(1, 6), n_keys)
    execute(writer.catalogue, damage)
    consistency.repair(writer, schemes=SCHEMES)
    found = n_matches(writer.catalogue)
    assert len(found) == 4
    assert set(found.values()) == {n_keys}


def test_a_removed_orphan_is_found_no_more_by_those_who_have_the_indexes_open(
    writer: CatalogueWriter, archive: Path
) -> None:
    marks = FingerprintIndex.open(writer.catalogue, SCHEME.name, expand, key_bits=20)
    vectors = SegmentIndex.open(writer.catalogue, ENCODER.name)
    execute(writer.catalogue, "DELETE FROM files WHERE id = 2")
    consistency.repair(writer, schemes=SCHEMES)
    marks.refresh()
    vectors.refresh()
    assert marks.recording_ids.tolist() == [1, 3, 4, 5]
    assert len(vectors) == 4 * 3
    assert sorted(n_matches(writer.catalogue)) == [1, 3, 4, 5]


def test_fingerprints_of_a_scheme_that_is_not_known_are_pointed_out_and_kept(
    writer: CatalogueWriter, archive: Path
) -> None:
    (problem,) = consistency.check(writer.catalogue, schemes={})
    assert "5 fingerprints are by test-marks/1, which this Echoic does not know" in problem.what
    assert "echoic forget --fingerprinter test-marks/1" in problem.remedy
    assert consistency.repair(writer, schemes={}) == []
    assert len(writer.catalogue.recordings_with_fingerprint(SCHEME.name)) == 5


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def stray(path: Path) -> None:
    (path.parent / f"test-1.000099{path.suffix}").write_bytes(b"old")


@pytest.mark.parametrize("suffix", ["index", "postings"])
@pytest.mark.parametrize(
    ("damage", "expected"), [(Path.unlink, "index"), (flip, "index"), (stray, "belongs to no")]
)
def test_damage_of_index_files_is_found_and_mended(
    writer: CatalogueWriter,
    archive: Path,
    damage: Callable[[Path], None],
    expected: str,
    suffix: str,
) -> None:
    (path,) = writer.catalogue.index_folder.glob(f"*.{suffix}")
    damage(path)
    found = problems(writer.catalogue)
    assert len(found) == 1
    assert expected in found[0]
    assert consistency.repair(writer, schemes=SCHEMES)
    assert problems(writer.catalogue) == []
    assert n_matches(writer.catalogue) == dict.fromkeys(range(1, 6), 299)
    assert consistency.repair(writer, schemes=SCHEMES) == []


def test_files_that_changed_or_vanished_are_found(writer: CatalogueWriter, archive: Path) -> None:
    (archive / "0.wav").unlink()
    (archive / "1.wav").write_bytes(b"longer than it was before")
    found = problems(writer.catalogue)
    assert len(found) == 2
    assert "0.wav: it is no longer there" in found[0]
    assert "1.wav: it was changed" in found[1]


def test_bit_rot_is_found_by_reading_the_contents(writer: CatalogueWriter, archive: Path) -> None:
    path = archive / "2.wav"
    times = path.stat()
    flip(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert problems(writer.catalogue) == []
    (found,) = problems(writer.catalogue, contents=True)
    assert "2.wav" in found
    assert "bit rot" in found


def test_a_folder_that_is_not_there_is_one_problem_not_thousands(
    writer: CatalogueWriter, archive: Path
) -> None:
    archive.rename(archive.parent / "elsewhere")
    (found,) = problems(writer.catalogue)
    assert "is not there" in found


def test_a_database_that_is_being_read_says_why_it_was_not_made_smaller(
    writer: CatalogueWriter, archive: Path
) -> None:
    location = Path(writer.catalogue.location) / "catalogue.sqlite"
    engine = make_engine(sqlite_url(location))
    with closing(engine.raw_connection()) as connection:
        connection.execute("PRAGMA busy_timeout=50")  # the pool hands this one out again
    with closing(sqlite3.connect(location)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM files").fetchone()
        with writer.catalogue.transaction() as session:
            session.execute(text("UPDATE files SET title = 'another'"))
        assert compact(engine) == "another process is reading the catalogue"
    assert compact(engine) is None
    engine.dispose()


def test_repair_lets_others_write_while_it_reads_all_vectors_and_fingerprints(
    writer: CatalogueWriter, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(writer.catalogue, "UPDATE embeddings SET vectors = zeroblob(96) WHERE recording_id = 2")
    with Catalogue.open(writer.catalogue.location) as theirs:
        with theirs.session() as session:
            session.execute(text("PRAGMA busy_timeout = 50"))
        looks: dict[str, int] = {}

        def write_and_look(name: str) -> None:
            look = getattr(damage, name)

            def looking(*values: object, **options: object) -> object:
                looks[name] = looks.get(name, 0) + 1
                if looks[name] <= 5:  # the sixth is at what is to be dropped
                    save_search(theirs, f"{name} {looks[name]}", "dog")
                return look(*values, **options)

            monkeypatch.setattr(damage, name, looking)

        write_and_look("vector_fault")
        write_and_look("fingerprint_fault")
        assert consistency.repair(writer, schemes=SCHEMES)
        assert looks == {"vector_fault": 6, "fingerprint_fault": 5}
        assert len(saved_searches(theirs)) == 10


def test_what_was_made_whole_before_repair_got_its_turn_is_not_dropped(
    writer: CatalogueWriter, archive: Path
) -> None:
    before = writer.catalogue.vectors(2, ENCODER.name)
    with writer.catalogue.transaction() as session:
        assert not drop_damaged_vectors(session, 2, 1)
        assert not drop_damaged_vectors(session, 99, 1)
        assert not drop_damaged_fingerprint(session, 2, 1)
        assert not drop_damaged_fingerprint(session, 99, 1)
    assert writer.catalogue.vectors(2, ENCODER.name).tolist() == before.tolist()


def test_a_wild_segment_number_is_not_taken_for_given_out_when_others_are_dropped(
    writer: CatalogueWriter, archive: Path
) -> None:
    execute(writer.catalogue, "UPDATE embeddings SET vectors = zeroblob(96) WHERE recording_id = 2")
    execute(
        writer.catalogue,
        "UPDATE embeddings SET first_segment = 900000000 WHERE recording_id = 4",
    )
    assert len(consistency.repair(writer, schemes=SCHEMES)) == 3
    with writer.catalogue.session() as session:
        assert session.scalar(text("SELECT next_segment FROM encoders")) == 15
    assert problems(writer.catalogue) == []


def test_repair_of_a_whole_catalogue_lets_nobody_read_it_anew(
    writer: CatalogueWriter, archive: Path
) -> None:
    def n_changes() -> object:
        with writer.catalogue.session() as session:
            return session.scalar(text("SELECT value FROM catalogue_info WHERE key = 'n_changes'"))

    before = n_changes()
    consistency.repair(writer, schemes=SCHEMES)
    assert n_changes() == before

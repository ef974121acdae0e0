"""What `check` finds and `repair` mends."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from db import consistency
from db.catalogue import Catalogue
from db.content import content_hash
from db.records import Analysis, Description, FileState
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, TECHNICAL, analysis


@pytest.fixture
def archive(writer: CatalogueWriter, tmp_path: Path) -> Path:
    """Five files on disk that the catalogue knows as they are, and a saved index."""
    root = tmp_path / "archive"
    root.mkdir()
    collection = writer.add_collection("tapes", str(root)).id
    results = []
    for number in range(5):
        path = root / f"{number}.wav"
        path.write_bytes(b"sound" * (number + 1))
        made = analysis(collection, path.name)
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
            )
        )
    writer.store(results)
    SegmentIndex.open(writer.catalogue, ENCODER.name).save(writer)
    return root


def problems(catalogue: Catalogue, *, contents: bool = False) -> list[str]:
    found = consistency.check(catalogue, contents=contents)
    return [f"{problem.where}: {problem.what}" for problem in found]


def execute(catalogue: Catalogue, statement: str) -> None:
    with catalogue.transaction() as session:
        session.execute(text(statement))


def test_a_whole_catalogue_has_no_problems(writer: CatalogueWriter, archive: Path) -> None:
    assert problems(writer.catalogue, contents=True) == []
    assert consistency.repair(writer) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("UPDATE embeddings SET vectors = zeroblob(96) WHERE recording_id = 2", "checksum"),
        ("UPDATE embeddings SET vectors = zeroblob(95) WHERE recording_id = 2", "95 bytes"),
        ("UPDATE embeddings SET first_segment = 4 WHERE recording_id = 1", "another recording"),
        ("UPDATE embeddings SET first_segment = 900 WHERE recording_id = 1", "never given out"),
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
    assert consistency.repair(writer)
    assert problems(writer.catalogue) == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def stray(path: Path) -> None:
    (path.parent / "test-1.000099.index").write_bytes(b"old")


@pytest.mark.parametrize(
    ("damage", "expected"), [(Path.unlink, "index"), (flip, "index"), (stray, "belongs to no")]
)
def test_damage_of_index_files_is_found_and_mended(
    writer: CatalogueWriter, archive: Path, damage: Callable[[Path], None], expected: str
) -> None:
    (path,) = writer.catalogue.index_folder.iterdir()
    damage(path)
    found = problems(writer.catalogue)
    assert len(found) == 1
    assert expected in found[0]
    assert consistency.repair(writer)
    assert problems(writer.catalogue) == []


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

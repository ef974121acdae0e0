"""Compare everything a catalogue holds twice, and mend what can be mended.

SQL is the truth: what is derived from it (index files, full-text search) is made anew; vectors
that are damaged in SQL itself are dropped, so that the next indexing run makes them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db import engine as database
from db.catalogue import Catalogue
from db.content import content_hash
from db.records import CollectionInfo, KnownFile
from db.schema import EmbeddingRow, EncoderRow, FileRow, RecordingRow
from db.segment_index import SegmentIndex, stale_files
from db.storing import full_text, vector_fault
from db.writer import CatalogueWriter


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a catalogue that is not as it should be.

    Attributes
    ----------
    where : str
        ``database``, ``vectors``, ``full-text``, ``index`` or ``files``.
    what : str
        In words.
    remedy : str
        What to do about it.
    """

    where: str
    what: str
    remedy: str


def check(catalogue: Catalogue, *, contents: bool = False) -> Iterator[Problem]:
    """Look for contradictions between SQL, BLOBs, index files and the files on disk.

    Changes nothing.

    Parameters
    ----------
    contents
        Read every file and compare its hash, which finds bit rot; takes as long as reading the
        whole archive.

    Yields
    ------
    Problem
        Nothing when all is well.
    """
    with catalogue.session() as session:
        faults = database.integrity_problems(session.connection())
    for fault in faults:
        yield Problem("database", fault, "restore the database from a backup")
    if faults:
        return  # nothing else that it says can be trusted
    with catalogue.session() as session:
        for recording_id, _, fault in _damaged_vectors(session):
            yield Problem("vectors", f"recording {recording_id}: {fault}", _REPAIR_AND_INDEX)
        for fault in _full_text_faults(session):
            yield Problem("full-text", fault, _REPAIR)
        for recording_id in _orphans(session):
            yield Problem("database", f"recording {recording_id} lies nowhere", _REPAIR)
    yield from _index_problems(catalogue)
    for collection in catalogue.collections():
        yield from _file_problems(catalogue, collection, contents=contents)


_REPAIR = "run `echoic repair`"
_REPAIR_AND_INDEX = "run `echoic repair`, then `echoic index` again"


def repair(writer: CatalogueWriter) -> list[str]:
    """Mend what `check` finds and SQL can mend; return what was done, in words.

    No file of the archive is touched.
    """
    catalogue = writer.catalogue
    done = []
    with catalogue.transaction() as session:
        damaged = list(_damaged_vectors(session))
        for recording_id, encoder_id, _ in damaged:
            _drop_vectors(session, recording_id, encoder_id)
            done.append(f"dropped the damaged vectors of recording {recording_id}")
        if _full_text_faults(session):
            done.append(f"wrote full-text search anew for {_rebuild_full_text(session)} files")
        orphans = list(_orphans(session))
        for recording_id in orphans:
            session.execute(delete(RecordingRow).where(RecordingRow.id == recording_id))
        if orphans:
            session.execute(update(EncoderRow).values(n_removals=EncoderRow.n_removals + 1))
            done.append(f"removed {len(orphans)} recordings that lay nowhere")
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        if index.notes or not index.is_saved():
            index.save(writer)
            done.append(f"wrote the index of {encoder.name} anew ({len(index)} segments)")
    for path in _stray_files(catalogue):
        path.unlink(missing_ok=True)
        done.append(f"removed the stray index file {path.name}")
    return done


def _damaged_vectors(session: Session) -> Iterator[tuple[int, int, str]]:
    """Yield recording, encoder and fault of each BLOB that is not what was stored."""
    query = (
        select(EmbeddingRow, EmbeddingRow.vectors, EncoderRow.dim, EncoderRow.next_segment)
        .join(EncoderRow)
        .order_by(EmbeddingRow.encoder_id, EmbeddingRow.first_segment)
    )
    previous: tuple[int, int] | None = None
    for row, blob, dim, next_segment in session.execute(query).yield_per(200):
        after = row.first_segment + row.n_segments
        fault = vector_fault(blob, row.n_segments, dim, row.checksum)
        if fault is None and after > next_segment:
            fault = "its segment numbers were never given out"
        overlaps = previous and previous[0] == row.encoder_id and row.first_segment < previous[1]
        if fault is None and overlaps:
            fault = "its segment numbers belong to another recording"
        previous = (row.encoder_id, after)
        if fault is not None:
            yield row.recording_id, row.encoder_id, fault


def _drop_vectors(session: Session, recording_id: int, encoder_id: int) -> None:
    session.execute(
        delete(EmbeddingRow).where(
            EmbeddingRow.recording_id == recording_id, EmbeddingRow.encoder_id == encoder_id
        )
    )
    row = session.get_one(EncoderRow, encoder_id)
    row.n_removals += 1
    last = (
        select(EmbeddingRow.first_segment + EmbeddingRow.n_segments)
        .where(EmbeddingRow.encoder_id == encoder_id)
        .order_by(EmbeddingRow.first_segment.desc())
        .limit(1)
    )
    row.next_segment = max(row.next_segment, session.scalar(last) or 0)


def _full_text_faults(session: Session) -> list[str]:
    files = set(session.scalars(select(FileRow.id)))
    known = database.full_text_ids(session.connection())
    faults = []
    if files - known:
        faults.append(f"{len(files - known)} files cannot be found by their names and tags")
    if known - files:
        faults.append(f"{len(known - files)} files that are gone can still be found")
    return faults


def _rebuild_full_text(session: Session) -> int:
    connection = session.connection()
    database.delete_full_text(connection, sorted(database.full_text_ids(connection)))
    n_files = 0
    for row in session.scalars(select(FileRow)):
        database.put_full_text(connection, row.id, full_text(row))
        n_files += 1
    return n_files


def _orphans(session: Session) -> Iterator[int]:
    has_file = select(FileRow.id).where(FileRow.recording_id == RecordingRow.id).exists()
    yield from session.scalars(select(RecordingRow.id).where(~has_file))


def _index_problems(catalogue: Catalogue) -> Iterator[Problem]:
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        for note in index.notes:
            if not note.startswith("recording "):  # those are known from the vectors themselves
                yield Problem("index", note, _REPAIR)
    for path in _stray_files(catalogue):
        yield Problem("index", f"{path.name} belongs to no index", _REPAIR)


def _stray_files(catalogue: Catalogue) -> list[Path]:
    return stale_files(catalogue.index_folder, catalogue.index_file_names())


def _file_problems(
    catalogue: Catalogue, collection: CollectionInfo, *, contents: bool
) -> Iterator[Problem]:
    root = Path(collection.root)
    if not root.is_dir():
        what = f"the folder of the collection {collection.name!r}, {root}, is not there"
        remedy = f"connect its disk, or run `echoic relocate {collection.name} NEW_ROOT`"
        yield Problem("files", what, remedy)
        return
    for file in catalogue.known_files(collection.id).values():
        fault = None if file.missing else _file_fault(root / file.path, file, contents=contents)
        if fault is not None:
            yield Problem("files", f"{root / file.path}: {fault[0]}", fault[1])


def _file_fault(path: Path, file: KnownFile, *, contents: bool) -> tuple[str, str] | None:
    reindex = "run `echoic index` on its folder"
    try:
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) != (file.state.size_bytes, file.state.mtime_ns):
            return "it was changed since it was indexed", reindex
        if contents and content_hash(path) != file.content_hash:
            return (
                "its content changed although size and time did not: bit rot or a silent edit",
                "restore it from a backup, or accept it with `echoic index --verify`",
            )
    except FileNotFoundError:
        return "it is no longer there", reindex
    except OSError as error:
        return f"it cannot be read: {error.strerror}", "give yourself the right to read it"
    return None

"""Compare everything a catalogue holds twice, and mend what can be mended.

SQL is the truth: what is derived from it (index files, postings files, full-text search) is made
anew; vectors and fingerprints that are damaged in SQL itself are dropped, so that the next indexing
run makes them again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import engine as database
from db.calibrations import damaged_calibrations
from db.catalogue import Catalogue
from db.content import content_hash
from db.errors import PostingsError
from db.features import GUARD_FRAMES, note_removal, vector_fault
from db.fingerprint_index import save_fingerprint_index
from db.fingerprint_location import cluster_of_fingerprints
from db.full_text import full_text_ids
from db.landmarks import fingerprint_fault
from db.postings_file import verify_postings_file
from db.postings_merge import Expand
from db.postings_saving import stale_postings
from db.records import CollectionInfo, KnownFile
from db.schema import (
    CalibrationRow,
    EmbeddingRow,
    EncoderRow,
    FileRow,
    FingerprintRow,
    FingerprintSchemeRow,
    PostingsFileRow,
    RecordingRow,
)
from db.segment_index import SegmentIndex
from db.sound_classes import damaged_sounds
from db.storing import rebuild_full_text
from db.vector_location import vector_location
from db.vector_moving import remove_strays
from db.vector_stores import stale_files
from db.writer import CatalogueWriter

Schemes: TypeAlias = Mapping[str, tuple[Expand, int]]
"""How the fingerprint schemes that this Echoic knows make keys, and the bits of a key, by name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a catalogue that is not as it should be.

    Attributes
    ----------
    where : str
        ``database``, ``vectors``, ``fingerprints``, ``calibrations``, ``sounds``, ``full-text``,
        ``index`` or ``files``.
    what : str
        In words.
    remedy : str
        What to do about it.
    """

    where: str
    what: str
    remedy: str


def check(catalogue: Catalogue, *, schemes: Schemes, contents: bool = False) -> Iterator[Problem]:
    """Look for contradictions between SQL, BLOBs, index files and the files on disk.

    Changes nothing.

    Parameters
    ----------
    schemes
        The fingerprint schemes that are known.
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
        for recording_id, _, fault in _damaged_fingerprints(session):
            yield Problem("fingerprints", f"recording {recording_id}: {fault}", _REPAIR_AND_INDEX)
        for _, name in damaged_calibrations(session):
            yield Problem("calibrations", f"that of {name} is damaged", _REPAIR_AND_INDEX)
        for fault, remedy in damaged_sounds(session):
            yield Problem("sounds", fault, remedy)
        for fault in _full_text_faults(session):
            yield Problem("full-text", fault, _REPAIR)
        for recording_id in _orphans(session):
            yield Problem("database", f"recording {recording_id} lies nowhere", _REPAIR)
    yield from _index_problems(catalogue)
    yield from _postings_problems(catalogue, schemes)
    for collection in catalogue.collections():
        yield from _file_problems(catalogue, collection, contents=contents)


_REPAIR = "run `echoic repair`"
_REPAIR_AND_INDEX = "run `echoic repair`, then `echoic index` again"


def repair(writer: CatalogueWriter, *, schemes: Schemes, only_index: bool = False) -> list[str]:
    """Mend what `check` finds and SQL can mend; return what was done, in words.

    No file of the archive is touched.

    Parameters
    ----------
    writer
        It must be alone, unless `only_index`.
    only_index
        Bring this machine's index files up to date and change nothing else.
    """
    done = []
    if not only_index:
        with writer.catalogue.transaction() as session:
            done = _repair_sql(session)
    with writer.catalogue.cache.saving():
        done += _repair_indexes(writer)
        done += _repair_postings(writer, schemes)
    return done


def _repair_sql(session: Session) -> list[str]:
    done = []
    for recording_id, encoder_id, _ in list(_damaged_vectors(session)):
        _drop_vectors(session, recording_id, encoder_id)
        done.append(f"dropped the damaged vectors of recording {recording_id}")
    for recording_id, scheme_id, _ in list(_damaged_fingerprints(session)):
        _drop_fingerprint(session, recording_id, scheme_id)
        done.append(f"dropped the damaged fingerprint of recording {recording_id}")
    for encoder_id, name in list(damaged_calibrations(session)):
        session.execute(delete(CalibrationRow).where(CalibrationRow.encoder_id == encoder_id))
        done.append(f"dropped the damaged calibration of {name}")
    if _full_text_faults(session):
        done.append(f"wrote full-text search anew for {rebuild_full_text(session)} files")
    orphans = list(_orphans(session))
    for recording_id in orphans:
        note_removal(session, recording_id)
        session.execute(delete(RecordingRow).where(RecordingRow.id == recording_id))
    if orphans:
        done.append(f"removed {len(orphans)} recordings that lay nowhere")
    return done


def _repair_indexes(writer: CatalogueWriter) -> list[str]:
    catalogue, done = writer.catalogue, []
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        if index.notes or index.faults() or not index.is_saved():
            index.save(writer, thorough=True)
            done.append(f"wrote the index of {encoder.name} anew ({len(index)} segments)")
    for path in _stray_files(catalogue):
        path.unlink(missing_ok=True)
        done.append(f"removed the stray index file {path.name}")
    return done + remove_strays(catalogue, vector_location(catalogue))


def _repair_postings(writer: CatalogueWriter, schemes: Schemes) -> list[str]:
    catalogue, done = writer.catalogue, []
    for name, _ in list(_postings_faults(catalogue)):
        with catalogue.transaction(of_contents=False) as session:
            session.execute(
                delete(PostingsFileRow).where(
                    PostingsFileRow.name == name, PostingsFileRow.cache == catalogue.cache.id
                )
            )
    for path in stale_postings(catalogue):
        path.unlink(missing_ok=True)
        done.append(f"removed the postings file {path.name}, which was damaged or of no index")
    done += [f"wrote postings files of {name} anew" for name in save_postings(writer, schemes)]
    return done


def save_postings(writer: CatalogueWriter, schemes: Schemes) -> list[str]:
    """Bring all postings files up to date with SQL; return the schemes that had some written.

    Those of a scheme that is not known stay as they are. There are none where fingerprints are
    looked up on a cluster: its parts take in by themselves what was committed.
    """
    catalogue, changed = writer.catalogue, []
    if cluster_of_fingerprints(catalogue) is not None:
        return []
    for scheme in catalogue.schemes():
        if scheme.name in schemes:
            expand, key_bits = schemes[scheme.name]
            before = catalogue.postings_file_names()
            save_fingerprint_index(writer, scheme.name, expand, key_bits=key_bits)
            if catalogue.postings_file_names() != before:
                changed.append(scheme.name)
    return changed


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


def _damaged_fingerprints(session: Session) -> Iterator[tuple[int, int, str]]:
    """Yield recording, scheme and fault of each fingerprint that is not what was stored."""
    query = (
        select(FingerprintRow, FingerprintRow.landmarks, FingerprintSchemeRow.next_frame)
        .join(FingerprintSchemeRow)
        .order_by(FingerprintRow.scheme_id, FingerprintRow.first_frame)
    )
    previous: tuple[int, int] | None = None
    for row, blob, next_frame in session.execute(query).yield_per(200):
        end_frame = row.first_frame + row.n_frames
        fault = fingerprint_fault(
            blob, n_landmarks=row.n_landmarks, n_frames=row.n_frames, checksum=row.checksum
        )
        if fault is None and end_frame > next_frame:
            fault = "its frame numbers were never given out"
        overlaps = previous and previous[0] == row.scheme_id and row.first_frame < previous[1]
        if fault is None and overlaps:
            fault = "its frame numbers belong to another recording"
        previous = (row.scheme_id, end_frame)
        if fault is not None:
            yield row.recording_id, row.scheme_id, fault


def _drop_fingerprint(session: Session, recording_id: int, scheme_id: int) -> None:
    row = session.get_one(FingerprintRow, (recording_id, scheme_id))
    # Postings of its frames may be of another recording that has the same: they are made anew.
    session.execute(
        delete(PostingsFileRow).where(
            PostingsFileRow.scheme_id == scheme_id,
            PostingsFileRow.first_frame < row.first_frame + row.n_frames,
            PostingsFileRow.end_frame > row.first_frame,
        )
    )
    session.delete(row)
    scheme = session.get_one(FingerprintSchemeRow, scheme_id)
    scheme.n_removals += 1
    session.flush()
    last = (
        select(FingerprintRow.first_frame + FingerprintRow.n_frames)
        .where(FingerprintRow.scheme_id == scheme_id)
        .order_by(FingerprintRow.first_frame.desc())
        .limit(1)
    )
    scheme.next_frame = max(scheme.next_frame, (session.scalar(last) or 0) + GUARD_FRAMES)


def _full_text_faults(session: Session) -> list[str]:
    files = set(session.scalars(select(FileRow.id)))
    tables = full_text_ids(session.connection())
    lacking = set[int]().union(*(files - known for known in tables))
    gone = set[int]().union(*(known - files for known in tables))
    faults = []
    if lacking:
        faults.append(f"{len(lacking)} files cannot be found by their names and tags")
    if gone:
        faults.append(f"{len(gone)} files that are gone can still be found")
    return faults


def _orphans(session: Session) -> Iterator[int]:
    has_file = select(FileRow.id).where(FileRow.recording_id == RecordingRow.id).exists()
    yield from session.scalars(select(RecordingRow.id).where(~has_file))


def _index_problems(catalogue: Catalogue) -> Iterator[Problem]:
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        for note in index.notes:
            if not note.startswith("recording "):  # those are known from the vectors themselves
                yield Problem("index", note, _REPAIR)
        for fault in index.faults():
            yield Problem("index", fault, _REPAIR)
    for path in _stray_files(catalogue):
        yield Problem("index", f"{path.name} belongs to no index", _REPAIR)


def _postings_problems(catalogue: Catalogue, schemes: Schemes) -> Iterator[Problem]:
    for scheme in catalogue.schemes():
        if scheme.name not in schemes:
            n_recordings = len(catalogue.recordings_with_fingerprint(scheme.name))
            what = (
                f"{n_recordings} fingerprints are by {scheme.name}, which this Echoic does not know"
            )
            remedy = f"use an Echoic that does, or `echoic forget --fingerprinter {scheme.name}`"
            yield Problem("fingerprints", what, remedy)
    for _, fault in _postings_faults(catalogue):
        yield Problem("index", fault, _REPAIR)
    for path in stale_postings(catalogue):
        yield Problem("index", f"{path.name} belongs to no index", _REPAIR)


def _postings_faults(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Read all postings files in force; yield name and fault of each that is not whole."""
    query = (
        select(PostingsFileRow.name, PostingsFileRow.checksum)
        .where(PostingsFileRow.cache == catalogue.cache.id)
        .order_by(PostingsFileRow.name)
    )
    with catalogue.session() as session:
        files = session.execute(query).all()
    for name, checksum in files:
        try:
            verify_postings_file(catalogue.index_folder / name, checksum=checksum)
        except PostingsError as error:
            yield name, str(error)


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

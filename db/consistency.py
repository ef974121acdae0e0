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
from db.damage import (
    damaged_fingerprints,
    damaged_vectors,
    drop_damaged_fingerprint,
    drop_damaged_vectors,
)
from db.errors import StorageError
from db.features import note_removal
from db.fingerprint_index import save_fingerprint_index
from db.fingerprint_location import cluster_of_fingerprints
from db.full_text import full_text_ids
from db.postings_merge import Expand
from db.postings_saving import postings_faults, stale_postings
from db.records import CollectionInfo, KnownFile
from db.schema import (
    CalibrationRow,
    FileRow,
    PostingsFileRow,
    RecordingRow,
)
from db.segment_index import SegmentIndex
from db.sound_classes import damaged_sounds
from db.storage import AnyFile, file_at, file_state, root_is_gone
from db.storing import rebuild_full_text
from db.vector_moving import others_on_the_server, tidy
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
        for recording_id, _, fault in damaged_vectors(session):
            yield Problem("vectors", f"recording {recording_id}: {fault}", _REPAIR_AND_INDEX)
        for recording_id, _, fault in damaged_fingerprints(session):
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
    done = [] if only_index else _repair_sql(writer.catalogue)
    with writer.catalogue.cache.saving():
        done += _repair_indexes(writer)
        done += _repair_postings(writer, schemes)
    return done


def _repair_sql(catalogue: Catalogue) -> list[str]:
    # Everything is read while others may write; only what is damaged is read again in their way.
    with catalogue.session() as session:
        vectors = [ids for *ids, _ in damaged_vectors(session)]
        marks = [ids for *ids, _ in damaged_fingerprints(session)]
        has_more = _has_other_faults(session)
    done = []
    # The last first: what has a number that was never given out must not count as given out.
    for recording_id, encoder_id in reversed(vectors):
        with catalogue.transaction() as session:
            if drop_damaged_vectors(session, recording_id, encoder_id):
                done.append(f"dropped the damaged vectors of recording {recording_id}")
    for recording_id, scheme_id in reversed(marks):
        with catalogue.transaction() as session:
            if drop_damaged_fingerprint(session, recording_id, scheme_id):
                done.append(f"dropped the damaged fingerprint of recording {recording_id}")
    if has_more:
        with catalogue.transaction() as session:
            done += _repair_the_rest(session)
    return done


def _has_other_faults(session: Session) -> bool:
    calibrations, orphans = damaged_calibrations(session), _orphans(session)
    return any(True for _ in (*calibrations, *_full_text_faults(session), *orphans))


def _repair_the_rest(session: Session) -> list[str]:
    done = []
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
    return done + tidy(catalogue) + others_on_the_server(catalogue)


def _repair_postings(writer: CatalogueWriter, schemes: Schemes) -> list[str]:
    catalogue, done = writer.catalogue, []
    for name, _ in list(postings_faults(catalogue)):
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
    for _, fault in postings_faults(catalogue):
        yield Problem("index", fault, _REPAIR)
    for path in stale_postings(catalogue):
        yield Problem("index", f"{path.name} belongs to no index", _REPAIR)


def _stray_files(catalogue: Catalogue) -> list[Path]:
    return stale_files(catalogue.index_folder, catalogue.index_file_names())


def _file_problems(
    catalogue: Catalogue, collection: CollectionInfo, *, contents: bool
) -> Iterator[Problem]:
    if root_is_gone(collection.root):
        what = f"the folder of the collection {collection.name!r}, {collection.root}, is not there"
        remedy = f"connect its disk, or run `echoic relocate {collection.name} NEW_ROOT`"
        yield Problem("files", what, remedy)
        return
    for file in catalogue.known_files(collection.id).values():
        place = file_at(collection.root, file.path)
        fault = None if file.missing else _file_fault(place, file, contents=contents)
        if fault is not None:
            yield Problem("files", f"{place}: {fault[0]}", fault[1])


def _file_fault(path: AnyFile, file: KnownFile, *, contents: bool) -> tuple[str, str] | None:
    reindex = "run `echoic index` on its folder"
    try:
        if file_state(path) != file.state:
            return "it was changed since it was indexed", reindex
        if contents and content_hash(path) != file.content_hash:
            return (
                "its content changed although size and time did not: bit rot or a silent edit",
                "restore it from a backup, or accept it with `echoic index --verify`",
            )
    except FileNotFoundError:
        return "it is no longer there", reindex
    except StorageError as error:
        return f"it cannot be read ({error})", "check it again when its storage answers"
    except OSError as error:
        return f"it cannot be read: {error.strerror}", "give yourself the right to read it"
    return None

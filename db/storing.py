"""How one result becomes rows, within a transaction that `db.writer` owns."""

import enum
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.changes import touch
from db.errors import UnknownName
from db.features import FeatureStore, note_removal
from db.full_text import delete_full_text, full_text_ids, put_full_text
from db.records import UNREAD, Analysis, Description, Failure, FileState, Technical
from db.rows import description_of
from db.schema import (
    CollectionRow,
    FailureRow,
    FileRow,
    RecordingRow,
)
from db.words import joined, spellings, words_of

_Row = TypeVar("_Row", CollectionRow, FileRow)


class Outcome(enum.Enum):
    """What storing one result did."""

    ADDED = "added"  # a content that was not there
    REPLACED = "replaced"  # the path held another content before
    LINKED = "linked"  # the content was there already, under another path
    MOVED = "moved"  # the content was there already, under a path that has vanished
    UPDATED = "updated"  # path and content were there: new features, tags or times
    FAILED = "failed"  # a failure was recorded
    VANISHED = "vanished"  # the known content it referred to is gone: analyse the file in full


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def get_row(session: Session, kind: type[_Row], id_: int) -> _Row:
    """Return a row by its id.

    Raises
    ------
    UnknownName
        If there is none.
    """
    row = session.get(kind, id_)
    if row is None:
        raise UnknownName(f"there is no {kind.__tablename__[:-1]} {id_} in the catalogue")
    return row


def store_failure(session: Session, failure: Failure) -> Outcome:
    """Record that a file could not be indexed. What was known of it before stays.

    If the file has changed since, that content is no longer there: it is marked missing.
    """
    row = _failure_row(session, failure.collection_id, failure.path)
    if row is None:
        row = FailureRow(collection_id=failure.collection_id, path=failure.path, attempts=0)
        session.add(row)
    row.stage = failure.stage
    row.reason = failure.reason
    row.size_bytes = failure.state.size_bytes if failure.state else None
    row.mtime_ns = failure.state.mtime_ns if failure.state else None
    row.attempts += 1
    row.failed_at = now()
    here = (FileRow.collection_id == failure.collection_id) & (FileRow.path == failure.path)
    file = session.scalar(select(FileRow).where(here))
    if file is not None and failure.state not in (None, FileState(file.size_bytes, file.mtime_ns)):
        file.missing_since = file.missing_since or now()
        touch(session, [file.recording_id])
    session.flush()
    return Outcome.FAILED


def clear_failure(session: Session, collection_id: int, path: str) -> None:
    """Forget that a file could not be indexed."""
    row = _failure_row(session, collection_id, path)
    if row is not None:
        session.delete(row)


def store_results(session: Session, results: Sequence[Analysis | Failure]) -> list[Outcome]:
    """Make the rows of a batch of results; see `db.writer.CatalogueWriter.store`."""
    touch(session, [])
    outcomes = []
    placed: list[tuple[int, Analysis]] = []
    for result in results:
        if isinstance(result, Failure):
            outcomes.append(store_failure(session, result))
            continue
        outcome, recording_id = _place(session, result)
        outcomes.append(outcome)
        if recording_id is not None:
            placed.append((recording_id, result))
    features = FeatureStore(session, (id_ for id_, _ in placed))
    for recording_id, analysis in placed:
        for encoder, vectors in analysis.vectors.items():
            features.add_vectors(recording_id, encoder, vectors)
        for scheme, landmarks in analysis.fingerprints.items():
            features.add_fingerprint(recording_id, scheme, landmarks)
        if analysis.descriptors is not None:
            features.add_descriptors(recording_id, analysis.descriptors)
    session.flush()
    return outcomes


def _place(session: Session, analysis: Analysis) -> tuple[Outcome, int | None]:
    """Make the rows of a content, and of the file that it was found in; return the content's id."""
    known = select(RecordingRow.id).where(RecordingRow.content_hash == analysis.content_hash)
    recording_id = session.scalar(known)
    is_new = recording_id is None
    if recording_id is None:
        if analysis.technical is None:
            return Outcome.VANISHED, None
        recording_id = _add_recording(session, analysis, analysis.technical).id
    touch(session, [recording_id])
    outcome = _link_file(session, analysis, recording_id)
    clear_failure(session, analysis.collection_id, analysis.path)
    if outcome is Outcome.LINKED and is_new:
        return Outcome.ADDED, recording_id
    return outcome, recording_id


def describe(session: Session, row: FileRow, description: Description) -> None:
    """Write what is said of a file into its row and into full-text search."""
    row.title = description.title
    row.description = description.description
    row.creator = description.creator
    row.licence = description.licence
    row.recorded_at = description.recorded_at
    row.category = description.category
    row.subcategory = description.subcategory
    row.tags = list(description.tags)
    row.extra = dict(description.extra)
    is_known = row.id is not None
    session.flush()  # a new row gets its id here
    if is_known:
        delete_full_text(session.connection(), [row.id])
    put_full_text(session.connection(), row.id, full_text(row))


def full_text(row: FileRow) -> dict[str, list[str]]:
    """Return what full-text search reads of a file, by field."""
    names = {
        "path": [row.path.rsplit(".", 1)[0]],
        "name": [row.path.rsplit("/", 1)[-1]],
        "location": [row.path],
        "title": [row.title],
        "tags": row.tags,
    }
    texts = {
        "description": [row.description],
        "creator": [row.creator],
        "category": [row.category, row.subcategory],
        "other": [*(str(value) for value in row.extra.values()), row.licence],
    }
    of_names = {
        field: joined(words for name in held for words in spellings(name))
        for field, held in names.items()
    }
    return of_names | {field: joined(map(words_of, held)) for field, held in texts.items()}


def rebuild_full_text(session: Session) -> int:
    """Write full-text search anew; return for how many files."""
    connection = session.connection()
    delete_full_text(connection, sorted(set[int]().union(*full_text_ids(connection))))
    n_files = 0
    for row in session.scalars(select(FileRow).execution_options(yield_per=1000)):
        put_full_text(connection, row.id, full_text(row))
        n_files += 1
    return n_files


def remove_files(session: Session, rows: list[FileRow]) -> int:
    """Remove files, and the recordings that no other file holds; return how many of these."""
    delete_full_text(session.connection(), [row.id for row in rows])
    recordings = {row.recording_id for row in rows}
    touch(session, recordings)
    for row in rows:
        session.delete(row)
    session.flush()
    return sum(_drop_if_orphaned(session, recording_id) for recording_id in sorted(recordings))


def _failure_row(session: Session, collection_id: int, path: str) -> FailureRow | None:
    return session.scalar(
        select(FailureRow).where(FailureRow.collection_id == collection_id, FailureRow.path == path)
    )


def _add_recording(session: Session, analysis: Analysis, technical: Technical) -> RecordingRow:
    row = RecordingRow(
        content_hash=analysis.content_hash,
        size_bytes=analysis.state.size_bytes,
        duration_s=technical.duration_s,
        sample_rate=technical.sample_rate,
        channels=technical.channels,
        format=technical.format,
        codec=technical.codec,
        bit_depth=technical.bit_depth,
        warnings=list(technical.warnings),
        indexed_at=now(),
    )
    session.add(row)
    session.flush()
    return row


def _link_file(session: Session, analysis: Analysis, recording_id: int) -> Outcome:
    here = (FileRow.collection_id == analysis.collection_id) & (FileRow.path == analysis.path)
    row = session.scalar(select(FileRow).where(here))
    description = analysis.description
    before = None if row is None else row.recording_id
    outcome = Outcome.UPDATED if before == recording_id else Outcome.REPLACED
    if row is None:
        row = _vanished_file(session, analysis.collection_id, recording_id)
        outcome = Outcome.LINKED if row is None else Outcome.MOVED
    if row is None:
        row = FileRow(first_seen_at=now(), tags=[], extra={})
        session.add(row)
    elif analysis.sidecar_digest == UNREAD:
        description = description_of(row)
    row.collection_id = analysis.collection_id
    row.path = analysis.path
    row.recording_id = recording_id
    row.size_bytes = analysis.state.size_bytes
    row.mtime_ns = analysis.state.mtime_ns
    row.missing_since = None
    row.embedded = dict(analysis.embedded)
    row.sidecar_digest = analysis.sidecar_digest
    describe(session, row, description)
    if before is not None and before != recording_id:
        touch(session, [before])
        # Moved onto a name that was taken: the old name's entry goes, as with any move.
        vanished = _vanished_file(session, analysis.collection_id, recording_id)
        if vanished is not None and vanished.collection_id == analysis.collection_id:
            remove_files(session, [vanished])
        _drop_if_orphaned(session, before)
    return outcome


def _vanished_file(session: Session, collection_id: int, recording_id: int) -> FileRow | None:
    """Find the entry of a file that has gone from where it was: the new path is where it went."""
    elsewhere = FileRow.collection_id != collection_id
    return session.scalar(
        select(FileRow)
        .where(FileRow.recording_id == recording_id, FileRow.missing_since.is_not(None))
        .order_by(elsewhere, FileRow.id)
        .limit(1)
    )


def _drop_if_orphaned(session: Session, recording_id: int) -> bool:
    files = select(func.count()).where(FileRow.recording_id == recording_id)
    if session.scalar(files):
        return False
    note_removal(session, recording_id)
    # Vectors, fingerprints and descriptors go with it: the database cascades.
    session.execute(delete(RecordingRow).where(RecordingRow.id == recording_id))
    return True

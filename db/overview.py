"""What a catalogue holds, in numbers."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import engine as database
from db.catalogue import Catalogue, collection_info, encoder_info
from db.opening import FORMAT
from db.records import CollectionStatus, IndexState, Status
from db.schema import (
    CollectionRow,
    EmbeddingRow,
    EncoderRow,
    FailureRow,
    FileRow,
    IndexFileRow,
    RecordingRow,
)


def status(catalogue: Catalogue) -> Status:
    """Count recordings, hours, failures, vectors and bytes."""
    with catalogue.session() as session:
        n_recordings, duration_s = session.execute(
            select(func.count(), func.coalesce(func.sum(RecordingRow.duration_s), 0.0))
        ).one()
        return Status(
            catalogue.location,
            FORMAT,
            n_recordings,
            duration_s,
            database.database_size(session.connection()),
            tuple(_collection_status(session, row) for row in _by_name(session)),
            tuple(_index_state(catalogue, session, row) for row in _encoders(session)),
        )


def _by_name(session: Session) -> list[CollectionRow]:
    return list(session.scalars(select(CollectionRow).order_by(CollectionRow.name)))


def _encoders(session: Session) -> list[EncoderRow]:
    return list(session.scalars(select(EncoderRow).order_by(EncoderRow.id)))


def _collection_status(session: Session, row: CollectionRow) -> CollectionStatus:
    of_collection = FileRow.collection_id == row.id
    n_files = session.scalar(select(func.count(FileRow.id)).where(of_collection))
    missing = FileRow.missing_since.is_not(None)
    n_missing = session.scalar(select(func.count(FileRow.id)).where(of_collection, missing))
    failed = select(func.count(FailureRow.id)).where(FailureRow.collection_id == row.id)
    contents = select(FileRow.recording_id).where(of_collection).distinct()
    duration_s = session.scalar(
        select(func.sum(RecordingRow.duration_s)).where(RecordingRow.id.in_(contents))
    )
    return CollectionStatus(
        collection_info(row),
        n_files or 0,
        n_missing or 0,
        session.scalar(failed) or 0,
        duration_s or 0.0,
    )


def _index_state(catalogue: Catalogue, session: Session, row: EncoderRow) -> IndexState:
    n_recordings, n_segments = session.execute(
        select(func.count(), func.coalesce(func.sum(EmbeddingRow.n_segments), 0)).where(
            EmbeddingRow.encoder_id == row.id
        )
    ).one()
    file = session.get(IndexFileRow, row.id)
    path = catalogue.index_folder / file.name if file else None
    covered = file and (file.next_segment, file.n_removals) == (row.next_segment, row.n_removals)
    return IndexState(
        encoder_info(row),
        n_recordings,
        n_segments,
        n_segments * row.dim * 2,
        file.name if file else None,
        path.stat().st_size if path and path.exists() else 0,
        bool(covered and path and path.exists()),
    )

"""What a catalogue holds, in numbers."""

from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import engine as database
from db.catalogue import Catalogue
from db.changes import last_change
from db.fingerprint_location import cluster_of_fingerprints
from db.milvus_filled import Filled
from db.opening import FORMAT
from db.records import CollectionStatus, FileState, FingerprintState, IndexState, Status
from db.rows import collection_info, encoder_info, scheme_info
from db.schema import (
    CollectionRow,
    EmbeddingRow,
    EncoderRow,
    FailureRow,
    FileRow,
    FingerprintRow,
    FingerprintSchemeRow,
    IndexFileRow,
    PostingsFileRow,
    RecordingRow,
)
from db.vector_location import FILES, vector_location

_MOST_UNSAVED: Final = 50_000  # segments: reading them from SQL takes half a second
_UNSAVED_SHARE: Final = 64


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
            tuple(_fingerprint_state(catalogue, session, row) for row in _schemes(session)),
        )


def extent(catalogue: Catalogue) -> tuple[int, float]:
    """Return how many recordings there are, and how long all are in seconds: that is quick."""
    with catalogue.session() as session:
        n, duration_s = session.execute(
            select(func.count(), func.coalesce(func.sum(RecordingRow.duration_s), 0.0))
        ).one()
        return n, duration_s


def indexed_state(catalogue: Catalogue, file_id: int) -> FileState | None:
    """Return how a file looked when it was indexed; None if it is not known any more."""
    with catalogue.session() as session:
        row = session.get(FileRow, file_id)
        return None if row is None else FileState(row.size_bytes, row.mtime_ns)


def contents_stamp(catalogue: Catalogue) -> str:
    """Return a text that changes with what is known of recordings."""
    with catalogue.session() as session:
        return str(last_change(session.connection()))


def count_recordings(catalogue: Catalogue) -> int:
    """Count recordings, and nothing else: that is quick."""
    with catalogue.session() as session:
        return session.scalar(select(func.count(RecordingRow.id))) or 0


def count_without_vectors(catalogue: Catalogue, encoder: str) -> int:
    """Count the recordings that an encoder has not embedded."""
    embedded = select(func.count()).select_from(EmbeddingRow).join(EncoderRow)
    with catalogue.session() as session:
        n_recordings = session.scalar(select(func.count(RecordingRow.id))) or 0
        return n_recordings - (session.scalar(embedded.where(EncoderRow.name == encoder)) or 0)


def count_without_landmarks(catalogue: Catalogue, scheme: str) -> int:
    """Count the recordings in which a fingerprint scheme has found nothing to go by."""
    without = (
        select(func.count())
        .select_from(FingerprintRow)
        .join(FingerprintSchemeRow)
        .where(FingerprintSchemeRow.name == scheme, FingerprintRow.n_landmarks == 0)
    )
    with catalogue.session() as session:
        return session.scalar(without) or 0


def lags_behind(catalogue: Catalogue, encoder: str) -> bool:
    """Tell whether what is kept of an encoder's vectors lacks so much that saving them is worth it.

    They are found all the same: whoever opens the index reads from SQL what is newer. To write a
    million vectors for a few new ones would cost more.
    """
    with catalogue.session() as session:
        row = session.scalar(select(EncoderRow).where(EncoderRow.name == encoder))
        return row is not None and _lags(catalogue, session, row)


def has_unsaved_fingerprints(catalogue: Catalogue, scheme: str) -> bool:
    """Tell whether a scheme has fingerprints that are in no postings file.

    They are found all the same, but to find them takes longer.
    """
    query = select(FingerprintSchemeRow).where(FingerprintSchemeRow.name == scheme)
    with catalogue.session() as session:
        row = session.scalar(query)
        if row is None:
            return False
        files = _postings_files(catalogue, session, row)
        return _lacks_postings(catalogue, session, row) or not all(path.exists() for path in files)


def _by_name(session: Session) -> list[CollectionRow]:
    return list(session.scalars(select(CollectionRow).order_by(CollectionRow.name)))


def _encoders(session: Session) -> list[EncoderRow]:
    return list(session.scalars(select(EncoderRow).order_by(EncoderRow.id)))


def _schemes(session: Session) -> list[FingerprintSchemeRow]:
    return list(session.scalars(select(FingerprintSchemeRow).order_by(FingerprintSchemeRow.id)))


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
    place = vector_location(catalogue)
    path = _index_path(catalogue, session, row) if place == FILES else None
    return IndexState(
        encoder_info(row),
        n_recordings,
        n_segments,
        n_segments * row.dim * 2,
        place,
        path.name if path else None,
        path.stat().st_size if path and path.exists() else 0,
        not _lags(catalogue, session, row),
    )


def _index_path(catalogue: Catalogue, session: Session, row: EncoderRow) -> Path | None:
    file = session.get(IndexFileRow, (row.id, catalogue.cache.id))
    return catalogue.index_folder / file.name if file else None


def _lags(catalogue: Catalogue, session: Session, row: EncoderRow) -> bool:
    kept: Filled | IndexFileRow | None = Filled.read(session, row.id)
    if vector_location(catalogue) == FILES:
        kept = session.get(IndexFileRow, (row.id, catalogue.cache.id))
        path = _index_path(catalogue, session, row)
        if path is None or not path.exists():
            return row.next_segment > 0
    if kept is None:
        return row.next_segment > 0
    n_new = row.next_segment - kept.next_segment
    n_changes = n_new + row.n_removals - kept.n_removals
    return n_new < 0 or n_changes > min(_MOST_UNSAVED, kept.n_vectors // _UNSAVED_SHARE)


def _fingerprint_state(
    catalogue: Catalogue, session: Session, row: FingerprintSchemeRow
) -> FingerprintState:
    of_scheme = FingerprintRow.scheme_id == row.id
    n_recordings, n_landmarks, n_bytes = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(FingerprintRow.n_landmarks), 0),
            func.coalesce(func.sum(func.length(FingerprintRow.landmarks)), 0),
        ).where(of_scheme)
    ).one()
    cluster = cluster_of_fingerprints(catalogue)
    files = _postings_files(catalogue, session, row)
    is_saved = not _lacks_postings(catalogue, session, row) and all(path.exists() for path in files)
    return FingerprintState(
        scheme_info(row),
        n_recordings,
        n_landmarks,
        n_bytes,
        str(cluster or FILES),
        len(files),
        sum(path.stat().st_size for path in files if path.exists()),
        cluster is not None or is_saved,
    )


def _postings_files(
    catalogue: Catalogue, session: Session, row: FingerprintSchemeRow
) -> list[Path]:
    query = select(PostingsFileRow.name).where(
        PostingsFileRow.scheme_id == row.id, PostingsFileRow.cache == catalogue.cache.id
    )
    names = session.scalars(query)
    return [catalogue.index_folder / name for name in names]


def _lacks_postings(catalogue: Catalogue, session: Session, row: FingerprintSchemeRow) -> bool:
    """Tell whether there is a fingerprint that no postings file covers."""
    end_frame = FingerprintRow.first_frame + FingerprintRow.n_frames
    covered = (
        select(PostingsFileRow.name)
        .where(
            PostingsFileRow.scheme_id == row.id,
            PostingsFileRow.cache == catalogue.cache.id,
            PostingsFileRow.first_frame <= FingerprintRow.first_frame,
            PostingsFileRow.end_frame >= end_frame,
        )
        .exists()
    )
    lacking = select(FingerprintRow.recording_id).where(
        FingerprintRow.scheme_id == row.id, FingerprintRow.n_frames > 0, ~covered
    )
    return session.scalar(lacking.limit(1)) is not None

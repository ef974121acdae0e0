"""Vectors and fingerprints that are no longer what was stored: found, and dropped.

Finding reads all of them and is done while others write. Whoever drops one looks at it again, in
the transaction that does.
"""

from collections.abc import Iterator

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.features import GUARD_FRAMES, vector_fault
from db.landmarks import fingerprint_fault
from db.schema import (
    EmbeddingRow,
    EncoderRow,
    FingerprintRow,
    FingerprintSchemeRow,
    PostingsFileRow,
)


def damaged_vectors(session: Session) -> Iterator[tuple[int, int, str]]:
    """Yield recording, encoder and fault of each BLOB that is not what was stored."""
    query = (
        select(EmbeddingRow, EmbeddingRow.vectors, EncoderRow)
        .join(EncoderRow)
        .order_by(EmbeddingRow.encoder_id, EmbeddingRow.first_segment)
    )
    previous: EmbeddingRow | None = None
    for row, blob, encoder in session.execute(query).yield_per(200):
        if previous is not None and previous.encoder_id != row.encoder_id:
            previous = None
        fault = _vector_fault(row, blob, encoder, previous)
        if fault is not None:
            yield row.recording_id, row.encoder_id, fault
        previous = row


def drop_damaged_vectors(session: Session, recording_id: int, encoder_id: int) -> bool:
    """Drop the vectors of a recording if they are still damaged; tell whether they were."""
    row = session.get(EmbeddingRow, (recording_id, encoder_id))
    if row is None:
        return False
    encoder = session.get_one(EncoderRow, encoder_id)
    in_order = (
        select(EmbeddingRow)
        .where(EmbeddingRow.encoder_id == encoder_id)
        .order_by(EmbeddingRow.first_segment.desc())
        .limit(1)
    )
    previous = session.scalar(in_order.where(EmbeddingRow.first_segment < row.first_segment))
    if _vector_fault(row, row.vectors, encoder, previous) is None:
        return False
    session.delete(row)
    session.flush()
    encoder.n_removals += 1
    last = session.scalar(in_order)
    if last is not None:
        encoder.next_segment = max(encoder.next_segment, last.first_segment + last.n_segments)
    return True


def _vector_fault(
    row: EmbeddingRow, blob: bytes, encoder: EncoderRow, previous: EmbeddingRow | None
) -> str | None:
    fault = vector_fault(blob, row.n_segments, encoder.dim, row.checksum)
    if fault is not None:
        return fault
    if row.first_segment + row.n_segments > encoder.next_segment:
        return "its segment numbers were never given out"
    if previous is not None and row.first_segment < previous.first_segment + previous.n_segments:
        return "its segment numbers belong to another recording"
    return None


def damaged_fingerprints(session: Session) -> Iterator[tuple[int, int, str]]:
    """Yield recording, scheme and fault of each fingerprint that is not what was stored."""
    query = (
        select(FingerprintRow, FingerprintRow.landmarks, FingerprintSchemeRow)
        .join(FingerprintSchemeRow)
        .order_by(FingerprintRow.scheme_id, FingerprintRow.first_frame)
    )
    previous: FingerprintRow | None = None
    for row, blob, scheme in session.execute(query).yield_per(200):
        if previous is not None and previous.scheme_id != row.scheme_id:
            previous = None
        fault = _fingerprint_fault(row, blob, scheme, previous)
        if fault is not None:
            yield row.recording_id, row.scheme_id, fault
        previous = row


def drop_damaged_fingerprint(session: Session, recording_id: int, scheme_id: int) -> bool:
    """Drop the fingerprint of a recording if it is still damaged; tell whether it was."""
    row = session.get(FingerprintRow, (recording_id, scheme_id))
    if row is None:
        return False
    scheme = session.get_one(FingerprintSchemeRow, scheme_id)
    in_order = (
        select(FingerprintRow)
        .where(FingerprintRow.scheme_id == scheme_id)
        .order_by(FingerprintRow.first_frame.desc())
        .limit(1)
    )
    previous = session.scalar(in_order.where(FingerprintRow.first_frame < row.first_frame))
    if _fingerprint_fault(row, row.landmarks, scheme, previous) is None:
        return False
    # Postings of its frames may be of another recording that has the same: they are made anew.
    session.execute(
        delete(PostingsFileRow).where(
            PostingsFileRow.scheme_id == scheme_id,
            PostingsFileRow.first_frame < row.first_frame + row.n_frames,
            PostingsFileRow.end_frame > row.first_frame,
        )
    )
    session.delete(row)
    session.flush()
    scheme.n_removals += 1
    last = session.scalar(in_order)
    end_frame = 0 if last is None else last.first_frame + last.n_frames
    scheme.next_frame = max(scheme.next_frame, end_frame + GUARD_FRAMES)
    return True


def _fingerprint_fault(
    row: FingerprintRow, blob: bytes, scheme: FingerprintSchemeRow, previous: FingerprintRow | None
) -> str | None:
    fault = fingerprint_fault(
        blob, n_landmarks=row.n_landmarks, n_frames=row.n_frames, checksum=row.checksum
    )
    if fault is not None:
        return fault
    if row.first_frame + row.n_frames > scheme.next_frame:
        return "its frame numbers were never given out"
    if previous is not None and row.first_frame < previous.first_frame + previous.n_frames:
        return "its frame numbers belong to another recording"
    return None

"""What a catalogue keeps so that scores of an encoder mean the same from one day to the next.

For an encoder with which nothing comes that tells what its scores are worth, a sample of the
archive's own vectors tells. It is kept, not drawn anew for every search: a score must not change
because somebody has added a recording.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CalibrationDamaged, UnknownName
from db.rows import vectors_from_blob
from db.schema import CalibrationRow, EmbeddingRow, EncoderRow, RecordingRow
from db.stored_vectors import vector_blocks
from db.storing import now

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class StoredCalibration:
    """What was drawn once.

    Attributes
    ----------
    kind : str
        How it was drawn.
    n_recordings : int
        How many the archive held then.
    sample : ndarray, shape (n_segments, dim), float32
        Vectors of segments.
    anchors : ndarray, shape (n_anchors, dim), float32
        Vectors of phrases.
    """

    kind: str
    n_recordings: int
    sample: Vectors
    anchors: Vectors


def stored_calibration(catalogue: Catalogue, encoder: str) -> StoredCalibration | None:
    """Return the calibration of an encoder; None if there is none.

    Raises
    ------
    CalibrationDamaged
        If it is not what was stored.
    """
    query = (
        select(CalibrationRow, EncoderRow.dim).join(EncoderRow).where(EncoderRow.name == encoder)
    )
    with catalogue.session() as session:
        found = session.execute(query).one_or_none()
    if found is None:
        return None
    row, dim = found
    if _checksum(row.sample, row.anchors) != row.checksum:
        raise CalibrationDamaged(f"the calibration of {encoder} in the catalogue is damaged")
    sample = vectors_from_blob(row.sample, dim).astype(np.float32)  # as the segments are stored
    anchors = vectors_from_blob(row.anchors, dim).astype(np.float32)
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    return StoredCalibration(row.kind, row.n_recordings, sample, anchors)


def store_calibration(catalogue: Catalogue, encoder: str, calibration: StoredCalibration) -> None:
    """Keep a calibration, in place of an older one of the encoder.

    Raises
    ------
    UnknownName
        If the catalogue holds no vectors by the encoder.
    """
    sample = _blob(calibration.sample)
    anchors = _blob(calibration.anchors)
    with catalogue.transaction(of_contents=False) as session:
        encoder_id = session.scalar(select(EncoderRow.id).where(EncoderRow.name == encoder))
        if encoder_id is None:
            raise UnknownName(f"the catalogue holds no vectors by {encoder!r}")
        session.merge(
            CalibrationRow(
                encoder_id=encoder_id,
                kind=calibration.kind,
                n_recordings=calibration.n_recordings,
                checksum=_checksum(sample, anchors),
                sample=sample,
                anchors=anchors,
                made_at=now(),
            )
        )


def damaged_calibrations(session: Session) -> Iterator[tuple[int, str]]:
    """Yield id and name of each encoder whose calibration is not what was stored."""
    query = select(CalibrationRow, EncoderRow.name).join(EncoderRow).order_by(EncoderRow.id)
    for row, name in session.execute(query).yield_per(1):
        if _checksum(row.sample, row.anchors) != row.checksum:
            yield row.encoder_id, name


def calibrations_stamp(catalogue: Catalogue) -> tuple[object, ...]:
    """Return what changes whenever a calibration is stored or dropped; none of them is read."""
    query = select(CalibrationRow.encoder_id, CalibrationRow.checksum, CalibrationRow.made_at)
    with catalogue.session() as session:
        return tuple(session.execute(query.order_by(CalibrationRow.encoder_id)))


def count_with_vectors(catalogue: Catalogue, encoder: str) -> int:
    """Return how many recordings an encoder has embedded."""
    with catalogue.session() as session:
        return _count(session, encoder)


def sample_vectors(
    catalogue: Catalogue, encoder: str, *, most_recordings: int, each: int
) -> tuple[int, Vectors]:
    """Draw segments of the archive, the same whenever it holds the same recordings.

    Which recordings are drawn depends on their contents alone: those with the least content hashes,
    which are as good as random. Of each, segments that are evenly spaced in it.

    Parameters
    ----------
    most_recordings : int
    each : int
        At most so many segments of a recording.

    Returns
    -------
    n_recordings : int
        How many there are to draw from.
    vectors : ndarray, shape (n, dim), float32
        In the order of the hashes; none if nothing has been embedded.
    """
    query = (
        select(EmbeddingRow.recording_id)
        .join(EncoderRow)
        .join(RecordingRow, RecordingRow.id == EmbeddingRow.recording_id)
        .where(EncoderRow.name == encoder)
        .order_by(RecordingRow.content_hash)
        .limit(most_recordings)
    )
    with catalogue.session() as session:
        n_recordings = _count(session, encoder)
        chosen = list(session.scalars(query))
    drawn = {
        id_: vectors[_evenly(len(vectors), each)]
        for block in vector_blocks(catalogue, encoder, chosen)
        for id_, vectors in block.each()
    }
    parts = [drawn[id_] for id_ in chosen if id_ in drawn]
    if not parts:
        return n_recordings, np.empty((0, 0), dtype=np.float32)
    return n_recordings, np.concatenate(parts)


def _count(session: Session, encoder: str) -> int:
    query = select(func.count()).select_from(EmbeddingRow).join(EncoderRow)
    return session.scalar(query.where(EncoderRow.name == encoder)) or 0


def _evenly(n: int, most: int) -> Sequence[int]:
    if n <= most:
        return range(n)
    return [(2 * step + 1) * n // (2 * most) for step in range(most)]


def _blob(vectors: Vectors) -> bytes:
    return np.ascontiguousarray(vectors, dtype="<f2").tobytes()


def _checksum(sample: bytes, anchors: bytes) -> int:
    return zlib.crc32(anchors, zlib.crc32(sample))

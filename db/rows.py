"""From rows to frozen values, within a session that `db.catalogue` owns."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, bindparam, select
from sqlalchemy.orm import Session

from db.records import (
    CollectionInfo,
    Description,
    EncoderInfo,
    Failure,
    FileInfo,
    FileState,
    KnownFile,
    RecordingInfo,
    SchemeInfo,
    Technical,
)
from db.schema import (
    LARGEST_ID,
    CollectionRow,
    DescriptorsRow,
    EmbeddingRow,
    EncoderRow,
    FailureRow,
    FileRow,
    FingerprintRow,
    FingerprintSchemeRow,
    RecordingRow,
)


def collection_info(row: CollectionRow) -> CollectionInfo:
    """Return a collection from its row."""
    return CollectionInfo(row.id, row.name, row.root, row.manifest)


def encoder_info(row: EncoderRow) -> EncoderInfo:
    """Return the geometry of an encoder from its row."""
    return EncoderInfo(row.name, row.dim, row.sample_rate, row.window_s, row.hop_s)


def scheme_info(row: FingerprintSchemeRow) -> SchemeInfo:
    """Return a fingerprint scheme from its row."""
    return SchemeInfo(row.name, row.frame_s)


def vectors_from_blob(blob: bytes, dim: int) -> NDArray[np.float16]:
    """Return the vectors in a BLOB of ``embeddings``, shape (n_segments, dim), little-endian."""
    return np.frombuffer(blob, dtype="<f2").reshape(-1, dim)


def known_file(row: FileRow, content_hash: str) -> KnownFile:
    """Return a file, as far as a scan must know it, from its row."""
    return KnownFile(
        row.id,
        row.path,
        row.recording_id,
        content_hash,
        FileState(row.size_bytes, row.mtime_ns),
        row.missing_since is not None,
        row.sidecar_digest,
        row.embedded,
    )


def failure(row: FailureRow) -> Failure:
    """Return a file that could not be indexed from its row."""
    return Failure(
        row.collection_id,
        row.path,
        row.stage,
        row.reason,
        None
        if row.size_bytes is None or row.mtime_ns is None
        else FileState(row.size_bytes, row.mtime_ns),
        row.attempts,
        row.failed_at,
    )


# Statements are made once: making them takes longer than asking them of a few recordings.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_RECORDINGS = select(RecordingRow).where(RecordingRow.id.in_(_IDS))
_DESCRIPTORS = select(DescriptorsRow).where(DescriptorsRow.recording_id.in_(_IDS))
_SEGMENTS = (
    select(EmbeddingRow.recording_id, EncoderRow.name, EmbeddingRow.n_segments)
    .join(EncoderRow)
    .where(EmbeddingRow.recording_id.in_(_IDS))
)
_LANDMARKS = (
    select(FingerprintRow.recording_id, FingerprintSchemeRow.name, FingerprintRow.n_landmarks)
    .join(FingerprintSchemeRow)
    .where(FingerprintRow.recording_id.in_(_IDS))
)
_FILES = (
    select(FileRow, CollectionRow.name, CollectionRow.root)
    .join(CollectionRow)
    .where(FileRow.recording_id.in_(_IDS))
    .order_by(FileRow.missing_since.is_not(None), CollectionRow.name, FileRow.path)
)


def load_recordings(session: Session, ids: list[int]) -> dict[int, RecordingInfo]:
    """Return recordings with all their files by id; no more ids than one IN clause takes."""
    # People may ask for any number; a server calls one that no column holds an error.
    asked = {"ids": [id_ for id_ in ids if 0 < id_ <= LARGEST_ID]}
    files = _files(session, asked)
    described = {
        row.recording_id: _descriptor_values(row) for row in session.scalars(_DESCRIPTORS, asked)
    }
    segments = _counts(session.execute(_SEGMENTS, asked))
    landmarks = _counts(session.execute(_LANDMARKS, asked))
    return {
        row.id: RecordingInfo(
            row.id,
            row.content_hash,
            row.size_bytes,
            _technical(row),
            row.indexed_at,
            tuple(files.get(row.id, ())),
            described.get(row.id),
            segments.get(row.id, {}),
            landmarks.get(row.id, {}),
        )
        for row in session.scalars(_RECORDINGS, asked)
    }


def _files(session: Session, asked: dict[str, list[int]]) -> dict[int, list[FileInfo]]:
    """Return the files of recordings, present before missing, then by name.

    Not by number: that is the order of indexing, in which workers may change places.
    """
    files: dict[int, list[FileInfo]] = {}
    for row, collection, root in session.execute(_FILES, asked):
        files.setdefault(row.recording_id, []).append(_file_info(row, collection, root))
    return files


def _counts(rows: Iterable[Sequence[Any]]) -> dict[int, dict[str, int]]:
    """Return rows (recording, name, count) as counts by recording and name."""
    counts: dict[int, dict[str, int]] = {}
    for recording_id, name, count in rows:
        counts.setdefault(recording_id, {})[name] = count
    return counts


def description_of(row: FileRow) -> Description:
    """Return what is stored of a file's description."""
    return Description(
        row.title,
        row.description,
        row.creator,
        row.licence,
        row.recorded_at,
        row.category,
        row.subcategory,
        tuple(row.tags),
        row.extra,
    )


def _file_info(row: FileRow, collection: str, root: str) -> FileInfo:
    return FileInfo(row.id, collection, root, row.path, row.missing_since, description_of(row))


def _technical(row: RecordingRow) -> Technical:
    return Technical(
        row.duration_s,
        row.sample_rate,
        row.channels,
        row.format,
        row.codec,
        row.bit_depth,
        tuple(row.warnings),
    )


def _descriptor_values(row: DescriptorsRow) -> dict[str, object]:
    columns = (column.key for column in DescriptorsRow.__table__.columns)
    return {key: getattr(row, key) for key in columns if key not in ("recording_id", "scheme")}

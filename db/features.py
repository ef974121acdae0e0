"""How the features of a recording become rows: its vectors and its fingerprints."""

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import landmarks as blobs
from db.changes import last_change
from db.errors import CatalogueError, EncoderMismatch
from db.landmarks import Landmarks
from db.records import EncoderInfo, SchemeInfo
from db.rows import encoder_info, scheme_info, vectors_from_blob
from db.schema import (
    DescriptorsRow,
    EmbeddingRow,
    EncoderRow,
    FingerprintRow,
    FingerprintSchemeRow,
    RecordingRow,
)

_SLICE = 500  # ids in one IN clause

NORM_TOLERANCE = 0.01  # float16 keeps three digits

GUARD_FRAMES = 256
"""So many frame numbers between two recordings belong to none, so that a match whose offset is a
little uncertain never reaches into the next."""


def unit_length(vectors: NDArray[np.float16]) -> bool:
    """Tell whether all vectors (n, dim) are of unit length, as far as float16 can say."""
    norms = np.linalg.norm(vectors.astype(np.float32), axis=1)
    return bool(np.all(np.abs(norms - 1.0) < NORM_TOLERANCE))


def vector_fault(blob: bytes, n_segments: int, dim: int, checksum: int) -> str | None:
    """Say what is wrong with a BLOB of vectors; None if it is what was stored."""
    if len(blob) != n_segments * dim * 2:
        return f"{len(blob)} bytes where {n_segments} vectors of {dim} should be"
    if zlib.crc32(blob) != checksum:
        return "the vectors do not match their checksum"
    if not unit_length(vectors_from_blob(blob, dim)):
        return "the vectors are not of unit length"
    return None


class FeatureStore:
    """Stores what was computed of some recordings, unless it is there.

    All that is known of them is read at once and what is new is written at the end: a server is
    asked over a network, and others wait for their turn meanwhile.

    Parameters
    ----------
    recording_ids : iterable of int
        All recordings that features will be stored of. Those that are not there are passed over.
    """

    def __init__(self, session: Session, recording_ids: Iterable[int]) -> None:
        self._session = session
        self._encoders: dict[str, EncoderRow] = {}
        self._schemes: dict[str, FingerprintSchemeRow] = {}
        self._there: set[int] = set()
        self._embedded: set[tuple[int, int]] = set()
        self._fingerprinted: set[tuple[int, int]] = set()
        self._described: dict[int, DescriptorsRow] = {}
        ids = sorted(set(recording_ids))
        for start in range(0, len(ids), _SLICE):
            self._read(ids[start : start + _SLICE])

    def add_vectors(
        self, recording_id: int, encoder: EncoderInfo, vectors: NDArray[np.float16]
    ) -> None:
        """Store the vectors (n_segments, dim) of a recording, unless it has some by this encoder.

        Raises
        ------
        CatalogueError
            If they are not of unit length, or none, or not of the encoder's dimension.
        EncoderMismatch
            If the catalogue knows the encoder with another geometry.
        """
        if vectors.ndim != 2 or vectors.shape[0] == 0 or vectors.shape[1] != encoder.dim:
            raise CatalogueError(
                f"vectors of {encoder.name} must have the shape (n, {encoder.dim}) with n > 0, "
                f"not {vectors.shape}"
            )
        if not unit_length(vectors):
            raise CatalogueError(f"vectors of {encoder.name} must be finite and of unit length")
        if encoder.name not in self._encoders:
            self._encoders[encoder.name] = _encoder_row(self._session, encoder)
        row = self._encoders[encoder.name]
        _check_geometry(row, encoder)
        if recording_id not in self._there or (recording_id, row.id) in self._embedded:
            return
        self._embedded.add((recording_id, row.id))
        blob = np.ascontiguousarray(vectors, dtype="<f2").tobytes()
        self._session.add(
            EmbeddingRow(
                recording_id=recording_id,
                encoder_id=row.id,
                first_segment=row.next_segment,
                n_segments=len(vectors),
                checksum=zlib.crc32(blob),
                vectors=blob,
            )
        )
        row.next_segment += len(vectors)

    def add_fingerprint(self, recording_id: int, scheme: SchemeInfo, landmarks: Landmarks) -> None:
        """Store the landmarks of a recording, unless it has some by this scheme.

        Raises
        ------
        CatalogueError
            If they are not as `db.landmarks.Landmarks` says, or the catalogue knows the scheme with
            frames of another length.
        """
        fault = _landmarks_fault(landmarks)
        if fault is not None:
            raise CatalogueError(f"landmarks of {scheme.name} cannot be stored: {fault}")
        if scheme.name not in self._schemes:
            self._schemes[scheme.name] = _scheme_row(self._session, scheme)
        row = self._schemes[scheme.name]
        _check_frames(row, scheme)
        if recording_id not in self._there or (recording_id, row.id) in self._fingerprinted:
            return
        self._fingerprinted.add((recording_id, row.id))
        blob = blobs.pack(landmarks)
        self._session.add(
            FingerprintRow(
                recording_id=recording_id,
                scheme_id=row.id,
                first_frame=row.next_frame,
                n_frames=landmarks.n_frames,
                n_landmarks=len(landmarks),
                checksum=blobs.checksum(blob),
                landmarks=blob,
            )
        )
        row.next_frame += landmarks.n_frames + GUARD_FRAMES

    def add_descriptors(self, recording_id: int, descriptors: Mapping[str, object]) -> None:
        """Store the descriptors of a recording in the place of those that it has."""
        if recording_id not in self._there:
            return
        row = self._described.get(recording_id)
        if row is None:
            row = DescriptorsRow(recording_id=recording_id, **descriptors)
            self._described[recording_id] = row
            self._session.add(row)
        for name, value in descriptors.items():
            setattr(row, name, value)

    def _read(self, ids: list[int]) -> None:
        session = self._session
        self._there |= set(session.scalars(select(RecordingRow.id).where(RecordingRow.id.in_(ids))))
        vectors = select(EmbeddingRow.recording_id, EmbeddingRow.encoder_id)
        marks = select(FingerprintRow.recording_id, FingerprintRow.scheme_id)
        for row in session.execute(vectors.where(EmbeddingRow.recording_id.in_(ids))):
            self._embedded.add((row.recording_id, row.encoder_id))
        for row in session.execute(marks.where(FingerprintRow.recording_id.in_(ids))):
            self._fingerprinted.add((row.recording_id, row.scheme_id))
        described = select(DescriptorsRow).where(DescriptorsRow.recording_id.in_(ids))
        self._described |= {row.recording_id: row for row in session.scalars(described)}


def _beyond_all_before(session: Session) -> int:
    """Return a number of removals that one of this name, forgotten since, cannot have had.

    Numbers are given out anew after it was forgotten; how far they are and how many were removed
    tells readers, and parts on other machines, which numbering they have seen.
    """
    return last_change(session.connection())


def _encoder_row(session: Session, encoder: EncoderInfo) -> EncoderRow:
    row = session.scalar(select(EncoderRow).where(EncoderRow.name == encoder.name))
    if row is None:
        row = EncoderRow(
            name=encoder.name,
            dim=encoder.dim,
            sample_rate=encoder.sample_rate,
            window_s=encoder.window_s,
            hop_s=encoder.hop_s,
            next_segment=0,
            n_removals=_beyond_all_before(session),
        )
        session.add(row)
        session.flush()
    return row


def _check_geometry(row: EncoderRow, encoder: EncoderInfo) -> None:
    if encoder_info(row) != encoder:
        raise EncoderMismatch(
            f"the catalogue knows {encoder_info(row)}, but was given vectors of {encoder}: "
            "an encoder that changes its geometry needs a new id"
        )


def _landmarks_fault(landmarks: Landmarks) -> str | None:
    frames, frequencies = landmarks.frames, landmarks.frequencies
    if frames.dtype != np.int32 or frequencies.dtype != np.uint16:
        return f"they are {frames.dtype} and {frequencies.dtype}, not int32 and uint16"
    if frames.ndim != 1 or frames.shape != frequencies.shape:
        return f"the shapes {frames.shape} and {frequencies.shape} are not one (n,)"
    steps = np.diff(frames.astype(np.int64) << 16 | frequencies)
    if landmarks.n_frames < 0:
        return f"a recording cannot have {landmarks.n_frames} frames"
    if np.any(steps < 0):
        return "they are not in order of time, then of frequency"
    if len(frames) and (frames[0] < 0 or frames[-1] >= landmarks.n_frames):
        return f"they reach beyond the {landmarks.n_frames} frames of the recording"
    return None


def _scheme_row(session: Session, scheme: SchemeInfo) -> FingerprintSchemeRow:
    query = select(FingerprintSchemeRow).where(FingerprintSchemeRow.name == scheme.name)
    row = session.scalar(query)
    if row is None:
        row = FingerprintSchemeRow(
            name=scheme.name,
            frame_s=scheme.frame_s,
            next_frame=0,
            n_removals=_beyond_all_before(session),
        )
        session.add(row)
        session.flush()
    return row


def _check_frames(row: FingerprintSchemeRow, scheme: SchemeInfo) -> None:
    if scheme_info(row) != scheme:
        raise CatalogueError(
            f"the catalogue knows {scheme_info(row)}, but was given landmarks of {scheme}: "
            "a fingerprinter that changes its frames needs a new id"
        )


def note_removal(session: Session, recording_id: int) -> None:
    """Let all indexes know that the features of a recording are about to go."""
    encoders = select(EmbeddingRow.encoder_id).where(EmbeddingRow.recording_id == recording_id)
    session.execute(
        update(EncoderRow)
        .where(EncoderRow.id.in_(list(session.scalars(encoders))))
        .values(n_removals=EncoderRow.n_removals + 1)
    )
    schemes = select(FingerprintRow.scheme_id).where(FingerprintRow.recording_id == recording_id)
    session.execute(
        update(FingerprintSchemeRow)
        .where(FingerprintSchemeRow.id.in_(list(session.scalars(schemes))))
        .values(n_removals=FingerprintSchemeRow.n_removals + 1)
    )

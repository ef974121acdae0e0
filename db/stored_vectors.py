"""The vectors of an encoder as SQL has them, a block of recordings at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.features import vector_fault
from db.rows import vectors_from_blob
from db.schema import EmbeddingRow, EncoderRow

_BLOBS_AT_ONCE = 200
_SEGMENTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class VectorBlock:
    """The vectors of some recordings, one below the other.

    Attributes
    ----------
    recording_ids : tuple of int
    counts : ndarray, shape (n_recordings,), int64
        Segments of each recording, none of them 0.
    vectors : ndarray, shape (n_segments, dim), float32
    """

    recording_ids: tuple[int, ...]
    counts: NDArray[np.int64]
    vectors: NDArray[np.float32]

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The row in which each recording begins, shape (n_recordings,), int64."""
        return np.cumsum(self.counts) - self.counts

    def each(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield each recording with its vectors, shape (n_segments, dim)."""
        for id_, first, count in zip(self.recording_ids, self.firsts, self.counts, strict=True):
            yield id_, self.vectors[first : first + count]


def vector_blocks(
    catalogue: Catalogue, encoder: str, recording_ids: Sequence[int]
) -> Iterator[VectorBlock]:
    """Read the vectors of recordings, in the order of their ids and in bounded memory.

    Recordings without vectors are left out, and so are those whose vectors are damaged: `echoic
    check` tells of them. No transaction stays open between two blocks.
    """
    wanted = sorted(recording_ids)
    query = (
        select(EmbeddingRow, EmbeddingRow.vectors, EncoderRow.dim)
        .join(EncoderRow)
        .where(EncoderRow.name == encoder)
        .order_by(EmbeddingRow.recording_id)
    )
    for start in range(0, len(wanted), _BLOBS_AT_ONCE):
        chosen = EmbeddingRow.recording_id.in_(wanted[start : start + _BLOBS_AT_ONCE])
        ids: list[int] = []
        parts: list[NDArray[np.float16]] = []
        with catalogue.session() as session:
            rows = session.execute(query.where(chosen)).all()
        for row, blob, dim in rows:
            if vector_fault(blob, row.n_segments, dim, row.checksum) is None:
                ids.append(row.recording_id)
                parts.append(vectors_from_blob(blob, dim))
            if sum(map(len, parts)) >= _SEGMENTS_AT_ONCE:
                yield _block(ids, parts)
                ids, parts = [], []
        if parts:
            yield _block(ids, parts)


def count_changes(catalogue: Catalogue, encoder: str) -> tuple[int, int]:
    """Return two numbers that change with the vectors of an encoder: segments ever, removals.

    Raises
    ------
    UnknownName
        If the catalogue holds no vectors by this encoder.
    """
    query = select(EncoderRow.next_segment, EncoderRow.n_removals)
    with catalogue.session() as session:
        row = session.execute(query.where(EncoderRow.name == encoder)).one_or_none()
    if row is None:
        raise UnknownName(f"the catalogue holds no vectors by {encoder}")
    return row.next_segment, row.n_removals


def _block(ids: list[int], parts: list[NDArray[np.float16]]) -> VectorBlock:
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    return VectorBlock(tuple(ids), counts, np.concatenate(parts).astype(np.float32))

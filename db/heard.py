"""What was heard in recordings: labels of vocabularies, with a score.

A recording has one set of labels a vocabulary: of the newest list of that name and of the encoder
that listened last. They belong to the recording and go with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.changes import touch
from db.errors import UnknownName
from db.schema import (
    EmbeddingRow,
    EncoderRow,
    HeardTagRow,
    RecordingRow,
    TaggingRow,
    VocabularyRow,
)
from db.storing import now

_SLICE = 500


@dataclass(frozen=True, slots=True)
class VocabularyInfo:
    """A list of sounds that recordings were compared with.

    Attributes
    ----------
    digest : str
        Changes when the list does, or the way of comparing.
    encoder : str
        The encoder that listened.
    n_recordings : int
        How many were compared, whether anything was heard or not.
    n_heard : int
        How many labels they got.
    """

    name: str
    digest: str
    encoder: str
    created_at: datetime
    n_recordings: int
    n_heard: int


@dataclass(frozen=True, slots=True)
class HeardTag:
    """A sound that was heard in a recording.

    Attributes
    ----------
    score : float
        Between 0 and 1.
    """

    label: str
    score: float
    vocabulary: str
    encoder: str


def vocabularies(catalogue: Catalogue) -> list[VocabularyInfo]:
    """Return all vocabularies by name, then by age."""
    compared = (
        select(TaggingRow.vocabulary_id, func.count().label("n"))
        .group_by(TaggingRow.vocabulary_id)
        .subquery()
    )
    heard_in = (
        select(HeardTagRow.vocabulary_id, func.count().label("n"))
        .group_by(HeardTagRow.vocabulary_id)
        .subquery()
    )
    query = (
        select(VocabularyRow, func.coalesce(compared.c.n, 0), func.coalesce(heard_in.c.n, 0))
        .outerjoin(compared, compared.c.vocabulary_id == VocabularyRow.id)
        .outerjoin(heard_in, heard_in.c.vocabulary_id == VocabularyRow.id)
        .order_by(VocabularyRow.name, VocabularyRow.id)
    )
    with catalogue.session() as session:
        return [
            VocabularyInfo(row.name, row.digest, row.encoder, row.created_at, n_compared, n_heard)
            for row, n_compared, n_heard in session.execute(query)
        ]


def untagged(catalogue: Catalogue, name: str, digest: str, encoder: str) -> NDArray[np.int64]:
    """Return the recordings that an encoder has embedded and not yet compared with a list.

    Returns
    -------
    ndarray of int64
        Their ids, ascending.
    """
    compared = (
        select(TaggingRow.recording_id)
        .join(VocabularyRow)
        .where(
            VocabularyRow.name == name,
            VocabularyRow.digest == digest,
            VocabularyRow.encoder == encoder,
            TaggingRow.recording_id == EmbeddingRow.recording_id,
        )
        .exists()
    )
    query = (
        select(EmbeddingRow.recording_id)
        .join(EncoderRow)
        .where(EncoderRow.name == encoder, ~compared)
        .order_by(EmbeddingRow.recording_id)
    )
    with catalogue.session() as session:
        return np.array(session.scalars(query).all(), dtype=np.int64)


def store_heard(
    catalogue: Catalogue,
    name: str,
    digest: str,
    encoder: str,
    heard: Mapping[int, Sequence[tuple[str, float]]],
) -> int:
    """Store what was heard in some recordings; return how many of them are still there.

    It takes the place of what an older list of the same name gave them. All of it is committed
    together, so that a run that is cut off goes on where it was.

    Parameters
    ----------
    heard : mapping of int to sequence of (str, float)
        Labels, each once, and their scores by recording; none where nothing was heard.
    """
    with catalogue.transaction() as session:
        vocabulary_id = _vocabulary_id(session, name, digest, encoder)
        same_name = select(VocabularyRow.id).where(VocabularyRow.name == name)
        there = _present(session, sorted(heard))
        touch(session, there)
        for start in range(0, len(there), _SLICE):
            session.execute(  # their labels go with them: the database cascades
                delete(TaggingRow).where(
                    TaggingRow.recording_id.in_(there[start : start + _SLICE]),
                    TaggingRow.vocabulary_id.in_(same_name),
                )
            )
        taggings = [{"recording_id": id_, "vocabulary_id": vocabulary_id} for id_ in there]
        labels = [
            {
                "recording_id": id_,
                "vocabulary_id": vocabulary_id,
                "label": label,
                "score": float(score),
            }
            for id_ in there
            for label, score in heard[id_]
        ]
        if taggings:
            session.execute(insert(TaggingRow), taggings)
        if labels:
            session.execute(insert(HeardTagRow), labels)
        _drop_unused(session, keep=vocabulary_id)
        return len(there)


def heard_in(catalogue: Catalogue, recording_ids: Iterable[int]) -> dict[int, tuple[HeardTag, ...]]:
    """Return what was heard in recordings, surest first; those without anything are left out."""
    wanted = sorted(set(recording_ids))
    found: dict[int, list[HeardTag]] = {}
    with catalogue.session() as session:
        for start in range(0, len(wanted), _SLICE):
            query = (
                select(HeardTagRow, VocabularyRow.name, VocabularyRow.encoder)
                .join(VocabularyRow, VocabularyRow.id == HeardTagRow.vocabulary_id)
                .where(HeardTagRow.recording_id.in_(wanted[start : start + _SLICE]))
                .order_by(HeardTagRow.score.desc(), HeardTagRow.label, VocabularyRow.name)
            )
            for row, vocabulary, encoder in session.execute(query):
                tag = HeardTag(row.label, row.score, vocabulary, encoder)
                found.setdefault(row.recording_id, []).append(tag)
    return {id_: tuple(tags) for id_, tags in found.items()}


def forget_vocabulary(catalogue: Catalogue, name: str) -> None:
    """Forget all labels of a vocabulary.

    Raises
    ------
    UnknownName
        If no recording was compared with one of this name; the message lists those there are.
    """
    with catalogue.transaction() as session:
        rows = session.scalars(select(VocabularyRow).where(VocabularyRow.name == name)).all()
        if not rows:
            names = session.scalars(select(VocabularyRow.name).distinct().order_by("name"))
            known = ", ".join(names) or "none yet"
            raise UnknownName(f"there are no tags of a vocabulary {name!r} (known: {known})")
        for row in rows:
            session.delete(row)


def forget_label(session: Session, vocabulary: str, label: str) -> int:
    """Forget one label of a vocabulary; return in how many recordings it was heard."""
    of_it = (
        HeardTagRow.vocabulary_id.in_(
            select(VocabularyRow.id).where(VocabularyRow.name == vocabulary)
        ),
        HeardTagRow.label == label,
    )
    ids = set(session.scalars(select(HeardTagRow.recording_id).where(*of_it)))
    touch(session, ids)
    session.execute(delete(HeardTagRow).where(*of_it))
    return len(ids)


def _vocabulary_id(session: Session, name: str, digest: str, encoder: str) -> int:
    row = session.scalar(
        select(VocabularyRow).where(
            VocabularyRow.name == name,
            VocabularyRow.digest == digest,
            VocabularyRow.encoder == encoder,
        )
    )
    if row is None:
        row = VocabularyRow(name=name, digest=digest, encoder=encoder, created_at=now())
        session.add(row)
        session.flush()
    return row.id


def _present(session: Session, ids: list[int]) -> list[int]:
    """Return those of the recordings that are there, and keep them so until the commit."""
    found: list[int] = []
    for start in range(0, len(ids), _SLICE):
        query = select(RecordingRow.id).where(RecordingRow.id.in_(ids[start : start + _SLICE]))
        found += session.scalars(query.with_for_update(read=True, key_share=True))
    return sorted(found)


def _drop_unused(session: Session, *, keep: int) -> None:
    in_use = select(TaggingRow.recording_id).where(TaggingRow.vocabulary_id == VocabularyRow.id)
    session.execute(delete(VocabularyRow).where(VocabularyRow.id != keep, ~in_use.exists()))

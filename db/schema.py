"""The tables of a catalogue.

A *recording* is a content, known by its hash; a *file* is a place where that content was found.
What a path tells (its name, its tags, a manifest's row) belongs to the file, what the samples tell
(vectors, fingerprints, descriptors) to the recording, so that one content under two paths is
analysed and stored once. ``docs/format.md`` describes every table and column.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

REVISION = "0007"
"""The migration that these tables are the result of; stands in every database."""

LARGEST_ID = 2**31 - 1
"""No row has a greater number: PostgreSQL keeps numbers of rows in 32 bits."""


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, stored and returned in UTC on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        # SQLite forgets the zone; what was written was UTC.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it as a class attribute)
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
        list[float]: JSON(),
        str: Text(),
    }


class CatalogueInfo(Base):
    """One row a fact about the catalogue: ``format``, ``uuid``, ``created_at``, ``n_changes``.

    And what its users have chosen for it: ``default_encoder``, ``vectors``, ``fingerprints``.
    """

    __tablename__ = "catalogue_info"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]


class ChangeRow(Base):
    """A recording that the change of this number touched; 0: it may be any. See `db.changes`."""

    __tablename__ = "changes"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    recording_id: Mapped[int] = mapped_column(primary_key=True)


class CollectionRow(Base):
    """A folder of recordings. Paths of files are relative to its root."""

    __tablename__ = "collections"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    root: Mapped[str]
    manifest: Mapped[str | None]
    created_at: Mapped[datetime]


class RecordingRow(Base):
    """One content: what its bytes and samples say, wherever it lies."""

    __tablename__ = "recordings"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(80), unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger, index=True)
    duration_s: Mapped[float]
    sample_rate: Mapped[int]
    channels: Mapped[int]
    format: Mapped[str]
    codec: Mapped[str]
    bit_depth: Mapped[int | None]
    warnings: Mapped[list[str]]
    indexed_at: Mapped[datetime]


class FileRow(Base):
    """A place where a recording was found, and what that place says about it."""

    __tablename__ = "files"
    __table_args__ = (
        UniqueConstraint("collection_id", "path"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    path: Mapped[str]
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id"), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    missing_since: Mapped[datetime | None]
    first_seen_at: Mapped[datetime]
    title: Mapped[str]
    description: Mapped[str]
    creator: Mapped[str]
    licence: Mapped[str]
    recorded_at: Mapped[str] = mapped_column(String(32), index=True)
    category: Mapped[str] = mapped_column(index=True)
    subcategory: Mapped[str]
    tags: Mapped[list[str]]
    extra: Mapped[dict[str, Any]]
    embedded: Mapped[dict[str, Any]]
    sidecar_digest: Mapped[str | None]


class EncoderRow(Base):
    """An encoder whose vectors this catalogue holds, and the numbering of its segments."""

    __tablename__ = "encoders"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    dim: Mapped[int]
    sample_rate: Mapped[int]
    window_s: Mapped[float]
    hop_s: Mapped[float]
    next_segment: Mapped[int] = mapped_column(BigInteger, default=0)
    n_removals: Mapped[int] = mapped_column(BigInteger, default=0)


class EmbeddingRow(Base):
    """All vectors of one recording by one encoder: ``float16 (n_segments, dim)``, little-endian."""

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("encoder_id", "first_segment"),)

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    encoder_id: Mapped[int] = mapped_column(
        ForeignKey("encoders.id", ondelete="CASCADE"), primary_key=True
    )
    first_segment: Mapped[int] = mapped_column(BigInteger)
    n_segments: Mapped[int]
    checksum: Mapped[int] = mapped_column(BigInteger)
    vectors: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class CalibrationRow(Base):
    """What scores of an encoder mean here: sounds of the archive, and phrases, as it embeds them.

    ``sample`` is ``float16 (n_segments, dim)``, ``anchors`` ``float16 (n_anchors, dim)``, both
    little-endian. What is made of them is `search.archive_calibration`'s.
    """

    __tablename__ = "calibrations"

    encoder_id: Mapped[int] = mapped_column(
        ForeignKey("encoders.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str]
    n_recordings: Mapped[int]
    checksum: Mapped[int] = mapped_column(BigInteger)
    sample: Mapped[bytes] = mapped_column(LargeBinary)
    anchors: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]


class FingerprintSchemeRow(Base):
    """A way of fingerprinting that was used here, and the numbering of its frames."""

    __tablename__ = "fingerprint_schemes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    frame_s: Mapped[float]
    next_frame: Mapped[int] = mapped_column(BigInteger, default=0)
    n_removals: Mapped[int] = mapped_column(BigInteger, default=0)


class FingerprintRow(Base):
    """The landmarks of one recording by one scheme, packed as `db.landmarks` says.

    A recording owns the frame numbers from ``first_frame`` on, ``n_frames`` of them; no number is
    given out twice.
    """

    __tablename__ = "fingerprints"
    __table_args__ = (UniqueConstraint("scheme_id", "first_frame"),)

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    scheme_id: Mapped[int] = mapped_column(
        ForeignKey("fingerprint_schemes.id", ondelete="CASCADE"), primary_key=True
    )
    first_frame: Mapped[int] = mapped_column(BigInteger)
    n_frames: Mapped[int]
    n_landmarks: Mapped[int]
    checksum: Mapped[int] = mapped_column(BigInteger)
    landmarks: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class DescriptorsRow(Base):
    """What the samples of a recording measure: level, spectrum, rhythm, key."""

    __tablename__ = "descriptors"

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    scheme: Mapped[str] = mapped_column(String(64))
    loudness_lufs: Mapped[float | None]
    peak_dbfs: Mapped[float | None]
    silence_share: Mapped[float | None]
    spectral_centroid_hz: Mapped[float | None]
    spectral_bandwidth_hz: Mapped[float | None]
    spectral_rolloff_hz: Mapped[float | None]
    spectral_flatness: Mapped[float | None]
    zero_crossing_rate: Mapped[float | None]
    onset_rate_hz: Mapped[float | None]
    tempo_bpm: Mapped[float | None]
    tempo_confidence: Mapped[float | None]
    key: Mapped[str | None] = mapped_column(String(8))
    key_confidence: Mapped[float | None]
    mfcc_mean: Mapped[list[float] | None]


class FailureRow(Base):
    """A file that could not be indexed: where it stopped, why, and when."""

    __tablename__ = "failures"
    __table_args__ = (UniqueConstraint("collection_id", "path"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    path: Mapped[str]
    stage: Mapped[str]
    reason: Mapped[str]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int]
    failed_at: Mapped[datetime]


class IndexFileRow(Base):
    """The index file that is in force for an encoder, and the state of SQL that it covers.

    Of a catalogue on a server each machine has its own files; `cache` is the name of theirs.
    """

    __tablename__ = "index_files"

    encoder_id: Mapped[int] = mapped_column(
        ForeignKey("encoders.id", ondelete="CASCADE"), primary_key=True
    )
    cache: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    generation: Mapped[int]
    n_vectors: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[str]
    next_segment: Mapped[int] = mapped_column(BigInteger)
    n_removals: Mapped[int] = mapped_column(BigInteger)
    written_at: Mapped[datetime]


class PostingsFileRow(Base):
    """A postings file that is in force, and the frames of SQL that it covers; `cache` as above."""

    __tablename__ = "postings_files"

    name: Mapped[str] = mapped_column(primary_key=True)
    cache: Mapped[str] = mapped_column(primary_key=True)
    scheme_id: Mapped[int] = mapped_column(
        ForeignKey("fingerprint_schemes.id", ondelete="CASCADE"), index=True
    )
    first_frame: Mapped[int] = mapped_column(BigInteger)
    end_frame: Mapped[int] = mapped_column(BigInteger)
    n_postings: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[str]
    written_at: Mapped[datetime]


class VocabularyRow(Base):
    """A list of sounds that recordings were compared with by an encoder."""

    __tablename__ = "vocabularies"
    __table_args__ = (UniqueConstraint("name", "digest", "encoder"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    encoder: Mapped[str]
    created_at: Mapped[datetime]


class TaggingRow(Base):
    """A recording that was compared with a vocabulary, whether any of its sounds was heard or not.

    A recording is held under one vocabulary of a name: the newer takes the place of the older.
    """

    __tablename__ = "taggings"

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    vocabulary_id: Mapped[int] = mapped_column(
        ForeignKey("vocabularies.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class HeardTagRow(Base):
    """A sound of a vocabulary that was heard in a recording. Vocabularies may share labels."""

    __tablename__ = "heard_tags"
    __table_args__ = (
        ForeignKeyConstraint(
            ["recording_id", "vocabulary_id"],
            ["taggings.recording_id", "taggings.vocabulary_id"],
            ondelete="CASCADE",
        ),
    )

    recording_id: Mapped[int] = mapped_column(primary_key=True)
    vocabulary_id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True, index=True)
    score: Mapped[float]


class SavedSearchRow(Base):
    """A query that is kept under a name, and the newest recording that it has been run over."""

    __tablename__ = "saved_searches"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    query: Mapped[str]
    created_at: Mapped[datetime]
    last_seen: Mapped[int]
    seen_at: Mapped[datetime]


class ListRow(Base):
    """A list of passages that a user keeps."""

    __tablename__ = "lists"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class ListEntryRow(Base):
    """A passage in a list. It knows its recording by content, so that it outlives its row."""

    __tablename__ = "list_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(80), index=True)
    path: Mapped[str]
    onset_s: Mapped[float | None]
    offset_s: Mapped[float | None]
    note: Mapped[str]
    query: Mapped[str]
    score: Mapped[float | None]
    added_at: Mapped[datetime]


class SoundClassRow(Base):
    """A sound that a user has taught by examples."""

    __tablename__ = "sound_classes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class SoundExampleRow(Base):
    """A passage that a sound class was taught by, as an example or a counter-example."""

    __tablename__ = "sound_examples"

    id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(
        ForeignKey("sound_classes.id", ondelete="CASCADE"), index=True
    )
    liked: Mapped[bool]
    content_hash: Mapped[str] = mapped_column(String(80))
    path: Mapped[str]
    from_s: Mapped[float | None]
    to_s: Mapped[float | None]


class SoundDirectionRow(Base):
    """What a sound class is to an encoder: a ``float32 (dim,)`` of unit length, little-endian."""

    __tablename__ = "sound_directions"

    class_id: Mapped[int] = mapped_column(
        ForeignKey("sound_classes.id", ondelete="CASCADE"), primary_key=True
    )
    encoder: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    dim: Mapped[int]
    threshold: Mapped[float]
    checksum: Mapped[int] = mapped_column(BigInteger)
    direction: Mapped[bytes] = mapped_column(LargeBinary)
    taught_at: Mapped[datetime]

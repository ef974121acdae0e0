"""First light: recordings, files, embeddings, descriptors, failures, index files."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "catalogue_info",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_catalogue_info")),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("name", name=op.f("uq_collections_name")),
    )
    op.create_table(
        "encoders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("window_s", sa.Double(), nullable=False),
        sa.Column("hop_s", sa.Double(), nullable=False),
        sa.Column("next_segment", sa.BigInteger(), nullable=False),
        sa.Column("n_removals", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encoders")),
        sa.UniqueConstraint("name", name=op.f("uq_encoders_name")),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("bit_depth", sa.Integer(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("indexed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_recordings_content_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_recordings_size_bytes"), "recordings", ["size_bytes"], unique=False)
    op.create_table(
        "descriptors",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("scheme", sa.String(length=64), nullable=False),
        sa.Column("loudness_lufs", sa.Double(), nullable=True),
        sa.Column("peak_dbfs", sa.Double(), nullable=True),
        sa.Column("silence_share", sa.Double(), nullable=True),
        sa.Column("spectral_centroid_hz", sa.Double(), nullable=True),
        sa.Column("spectral_bandwidth_hz", sa.Double(), nullable=True),
        sa.Column("spectral_rolloff_hz", sa.Double(), nullable=True),
        sa.Column("spectral_flatness", sa.Double(), nullable=True),
        sa.Column("zero_crossing_rate", sa.Double(), nullable=True),
        sa.Column("onset_rate_hz", sa.Double(), nullable=True),
        sa.Column("tempo_bpm", sa.Double(), nullable=True),
        sa.Column("tempo_confidence", sa.Double(), nullable=True),
        sa.Column("key", sa.String(length=8), nullable=True),
        sa.Column("key_confidence", sa.Double(), nullable=True),
        sa.Column("mfcc_mean", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_descriptors_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_descriptors")),
    )
    op.create_table(
        "embeddings",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("first_segment", sa.BigInteger(), nullable=False),
        sa.Column("n_segments", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["encoders.id"],
            name=op.f("fk_embeddings_encoder_id_encoders"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_embeddings_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", "encoder_id", name=op.f("pk_embeddings")),
        sa.UniqueConstraint("encoder_id", "first_segment", name=op.f("uq_embeddings_encoder_id")),
    )
    op.create_table(
        "failures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("fk_failures_collection_id_collections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failures")),
        sa.UniqueConstraint("collection_id", "path", name=op.f("uq_failures_collection_id")),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.String(length=32), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("subcategory", sa.Text(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("embedded", sa.JSON(), nullable=False),
        sa.Column("sidecar_digest", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("fk_files_collection_id_collections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_files_recording_id_recordings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("collection_id", "path", name=op.f("uq_files_collection_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_files_category"), "files", ["category"], unique=False)
    op.create_index(op.f("ix_files_recorded_at"), "files", ["recorded_at"], unique=False)
    op.create_index(op.f("ix_files_recording_id"), "files", ["recording_id"], unique=False)
    op.create_table(
        "fingerprints",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("scheme", sa.String(length=64), nullable=False),
        sa.Column("n_hashes", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_fingerprints_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", "scheme", name=op.f("pk_fingerprints")),
    )
    op.create_table(
        "index_files",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("n_vectors", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("next_segment", sa.BigInteger(), nullable=False),
        sa.Column("n_removals", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["encoders.id"],
            name=op.f("fk_index_files_encoder_id_encoders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("encoder_id", name=op.f("pk_index_files")),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE files_text USING fts5(path, title, description, tags, creator, "
            "category, other, tokenize='porter unicode61 remove_diacritics 2')"
        )
    else:
        op.execute("CREATE TABLE files_text (rowid BIGINT PRIMARY KEY, document tsvector NOT NULL)")
        op.execute("CREATE INDEX files_text_document ON files_text USING gin(document)")


def downgrade() -> None:
    op.execute("DROP TABLE files_text")
    op.drop_table("index_files")
    op.drop_table("fingerprints")
    op.drop_index(op.f("ix_files_recording_id"), table_name="files")
    op.drop_index(op.f("ix_files_recorded_at"), table_name="files")
    op.drop_index(op.f("ix_files_category"), table_name="files")
    op.drop_table("files")
    op.drop_table("failures")
    op.drop_table("embeddings")
    op.drop_table("descriptors")
    op.drop_index(op.f("ix_recordings_size_bytes"), table_name="recordings")
    op.drop_table("recordings")
    op.drop_table("encoders")
    op.drop_table("collections")
    op.drop_table("catalogue_info")

"""Fingerprints: landmarks instead of the hashes that 0001 had reserved a table for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.drop_table("fingerprints")  # no Echoic has ever written to it
    op.create_table(
        "fingerprint_schemes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("frame_s", sa.Double(), nullable=False),
        sa.Column("next_frame", sa.BigInteger(), nullable=False),
        sa.Column("n_removals", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprint_schemes")),
        sa.UniqueConstraint("name", name=op.f("uq_fingerprint_schemes_name")),
    )
    op.create_table(
        "fingerprints",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("n_frames", sa.Integer(), nullable=False),
        sa.Column("n_landmarks", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("landmarks", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_fingerprints_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["scheme_id"],
            ["fingerprint_schemes.id"],
            name=op.f("fk_fingerprints_scheme_id_fingerprint_schemes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", "scheme_id", name=op.f("pk_fingerprints")),
        sa.UniqueConstraint("scheme_id", "first_frame", name=op.f("uq_fingerprints_scheme_id")),
    )
    op.create_table(
        "postings_files",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scheme_id", sa.Integer(), nullable=False),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.Column("n_postings", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme_id"],
            ["fingerprint_schemes.id"],
            name=op.f("fk_postings_files_scheme_id_fingerprint_schemes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_postings_files")),
    )
    op.create_index(
        op.f("ix_postings_files_scheme_id"), "postings_files", ["scheme_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_postings_files_scheme_id"), table_name="postings_files")
    op.drop_table("postings_files")
    op.drop_table("fingerprints")
    op.drop_table("fingerprint_schemes")
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

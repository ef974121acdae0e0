"""Index files of several machines: those of each are known by the name of its cache."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INDEX_FILES = (
    "encoder_id, name, generation, n_vectors, checksum, next_segment, n_removals, written_at"
)
_POSTINGS_FILES = "name, scheme_id, first_frame, end_frame, n_postings, checksum, written_at"


def upgrade() -> None:
    _set_aside()
    _create("cache")
    if op.get_bind().dialect.name == "sqlite":  # on a server nobody knows whose files they are
        _take_back("cache, ", "'', ")
    _drop_old()


def downgrade() -> None:
    _set_aside()
    _create()
    if op.get_bind().dialect.name == "sqlite":
        _take_back("", "")
    _drop_old()


def _set_aside() -> None:
    op.drop_index(op.f("ix_postings_files_scheme_id"), table_name="postings_files")
    op.rename_table("index_files", "old_index_files")
    op.rename_table("postings_files", "old_postings_files")
    if op.get_bind().dialect.name != "sqlite":  # there the names of constraints go with the table
        for table in ("index_files", "postings_files"):
            op.drop_constraint(op.f(f"pk_{table}"), f"old_{table}")


def _take_back(column: str, value: str) -> None:
    for table, columns in (("index_files", _INDEX_FILES), ("postings_files", _POSTINGS_FILES)):
        op.execute(
            f"INSERT INTO {table} ({column}{columns}) SELECT {value}{columns} FROM old_{table}"
        )


def _drop_old() -> None:
    op.drop_table("old_index_files")
    op.drop_table("old_postings_files")


def _create(*cache: str) -> None:
    op.create_table(
        "index_files",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in cache),
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
        sa.PrimaryKeyConstraint("encoder_id", *cache, name=op.f("pk_index_files")),
    )
    op.create_table(
        "postings_files",
        sa.Column("name", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in cache),
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
        sa.PrimaryKeyConstraint("name", *cache, name=op.f("pk_postings_files")),
    )
    op.create_index(
        op.f("ix_postings_files_scheme_id"), "postings_files", ["scheme_id"], unique=False
    )

"""Which recordings each change touched, so that readers need not read all of them again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", "recording_id", name=op.f("pk_changes")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("changes")

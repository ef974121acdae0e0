"""What the scores of an encoder mean in this archive, where nothing that comes with it tells."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("n_recordings", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("sample", sa.LargeBinary(), nullable=False),
        sa.Column("anchors", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["encoder_id"],
            ["encoders.id"],
            name=op.f("fk_calibrations_encoder_id_encoders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("encoder_id", name=op.f("pk_calibrations")),
    )


def downgrade() -> None:
    op.drop_table("calibrations")

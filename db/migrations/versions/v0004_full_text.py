"""Full-text search that knows words as they are written, and takes all names apart."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.full_text import create_words, drop_words, put_full_text
from db.storing import full_text

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FILES = sa.table(
    "files",
    sa.column("id", sa.Integer()),
    *(
        sa.column(name, sa.Text())
        for name in (
            "path",
            "title",
            "description",
            "creator",
            "licence",
            "category",
            "subcategory",
        )
    ),
    sa.column("tags", sa.JSON()),
    sa.column("extra", sa.JSON()),
)


def upgrade() -> None:
    connection = op.get_bind()
    create_words(connection)
    for row in connection.execute(sa.select(_FILES)).all():
        put_full_text(connection, row.id, full_text(row))


def downgrade() -> None:
    drop_words(op.get_bind())

"""Full-text search that knows words as they are written, and takes all names apart.

Only the tables: `db.migrate` fills them when all migrations have run.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE files_words USING fts5(name, location, title, description, tags, "
            "creator, category, other, tokenize='unicode61 remove_diacritics 0')"
        )
        return
    op.execute("CREATE TABLE files_words (rowid BIGINT PRIMARY KEY, document tsvector NOT NULL)")
    op.execute("CREATE INDEX files_words_document ON files_words USING gin(document)")
    # PostgreSQL's own "english" forgets some 130 common words, "off" and "down" among them.
    op.execute(
        "CREATE TEXT SEARCH DICTIONARY echoic_stem (TEMPLATE = snowball, Language = english)"
    )
    op.execute("CREATE TEXT SEARCH CONFIGURATION echoic (COPY = english)")
    op.execute(
        "ALTER TEXT SEARCH CONFIGURATION echoic ALTER MAPPING REPLACE english_stem WITH echoic_stem"
    )


def downgrade() -> None:
    op.execute("DROP TABLE files_words")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP TEXT SEARCH CONFIGURATION echoic")
        op.execute("DROP TEXT SEARCH DICTIONARY echoic_stem")

"""What users make: tags that were heard, saved searches, lists of hits, sounds that are taught."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "lists",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lists")),
        sa.UniqueConstraint("name", name=op.f("uq_lists_name")),
    )
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
        sa.UniqueConstraint("name", name=op.f("uq_saved_searches_name")),
    )
    op.create_table(
        "sound_classes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sound_classes")),
        sa.UniqueConstraint("name", name=op.f("uq_sound_classes_name")),
    )
    op.create_table(
        "vocabularies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vocabularies")),
        sa.UniqueConstraint("name", "digest", "encoder", name=op.f("uq_vocabularies_name")),
    )
    op.create_table(
        "list_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("onset_s", sa.Double(), nullable=True),
        sa.Column("offset_s", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"],
            ["lists.id"],
            name=op.f("fk_list_entries_list_id_lists"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_entries")),
    )
    op.create_index(
        op.f("ix_list_entries_content_hash"), "list_entries", ["content_hash"], unique=False
    )
    op.create_index(op.f("ix_list_entries_list_id"), "list_entries", ["list_id"], unique=False)
    op.create_table(
        "sound_directions",
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("encoder", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.LargeBinary(), nullable=False),
        sa.Column("taught_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["sound_classes.id"],
            name=op.f("fk_sound_directions_class_id_sound_classes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("class_id", "encoder", name=op.f("pk_sound_directions")),
    )
    op.create_table(
        "sound_examples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("liked", sa.Boolean(), nullable=False),
        sa.Column("content_hash", sa.String(length=80), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("from_s", sa.Double(), nullable=True),
        sa.Column("to_s", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["class_id"],
            ["sound_classes.id"],
            name=op.f("fk_sound_examples_class_id_sound_classes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sound_examples")),
    )
    op.create_index(
        op.f("ix_sound_examples_class_id"), "sound_examples", ["class_id"], unique=False
    )
    op.create_table(
        "taggings",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_taggings_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["vocabulary_id"],
            ["vocabularies.id"],
            name=op.f("fk_taggings_vocabulary_id_vocabularies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", "vocabulary_id", name=op.f("pk_taggings")),
    )
    op.create_index(op.f("ix_taggings_vocabulary_id"), "taggings", ["vocabulary_id"], unique=False)
    op.create_table(
        "heard_tags",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("vocabulary_id", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id", "vocabulary_id"],
            ["taggings.recording_id", "taggings.vocabulary_id"],
            name=op.f("fk_heard_tags_recording_id_taggings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "recording_id", "vocabulary_id", "label", name=op.f("pk_heard_tags")
        ),
    )
    op.create_index(op.f("ix_heard_tags_label"), "heard_tags", ["label"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_heard_tags_label"), table_name="heard_tags")
    op.drop_table("heard_tags")
    op.drop_index(op.f("ix_taggings_vocabulary_id"), table_name="taggings")
    op.drop_table("taggings")
    op.drop_index(op.f("ix_sound_examples_class_id"), table_name="sound_examples")
    op.drop_table("sound_examples")
    op.drop_table("sound_directions")
    op.drop_index(op.f("ix_list_entries_list_id"), table_name="list_entries")
    op.drop_index(op.f("ix_list_entries_content_hash"), table_name="list_entries")
    op.drop_table("list_entries")
    op.drop_table("vocabularies")
    op.drop_table("sound_classes")
    op.drop_table("saved_searches")
    op.drop_table("lists")

"""Runs the migrations on the connection that `db.migrate` hands over."""

from alembic import context

from db.schema import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
    transactional_ddl=True,  # our SQLite connections begin transactions themselves
)
context.run_migrations()

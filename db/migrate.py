"""Bring the tables of a database to the newest format."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from db.errors import CatalogueVersionError
from db.storing import rebuild_full_text

_SCRIPTS = Path(__file__).parent / "migrations"
_FULL_TEXT_SINCE = "0004"  # the last migration that changed what full-text search is given


def newest_revision() -> str:
    """Return the id of the newest migration."""
    head = _script_directory().get_current_head()
    if head is None:
        raise CatalogueVersionError("Echoic's migrations are missing: install it again")
    return head


def current_revision(connection: Connection) -> str | None:
    """Return the id of the last migration that ran on a database; None when none did."""
    return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Tell whether this Echoic has the migration; if not, a newer one made it."""
    return any(script.revision == revision for script in _script_directory().walk_revisions())


def upgrade(connection: Connection) -> None:
    """Run all migrations that are still missing, within the caller's transaction.

    A migration never runs what may change after it was written; so what is derived is made anew at
    the end, when the tables are those that this Echoic knows.
    """
    before = current_revision(connection)
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if before is not None and before < _FULL_TEXT_SINCE:
        with Session(connection, join_transaction_mode="rollback_only") as session:
            rebuild_full_text(session)
            session.flush()


def _script_directory() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))

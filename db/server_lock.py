"""Who may write to a catalogue on a server: many indexers at once, or one process alone.

Transactions take turns anyway (`db.engine`). This lock is for what is more than one transaction: no
upgrade, no repair and no forgetting in the middle of a run.
"""

from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError

from db.engine import LOCK_SPACE
from db.errors import CatalogueLocked, CatalogueVersionError
from db.lock import this_process
from db.schema import REVISION
from db.server import telling

WRITING: Final = 2
FILLING: Final = 3
"""Numbers of locks: for who writes, and for who sends vectors to a server of their own."""

_LONGEST_NAME: Final = 63  # of PostgreSQL's, in bytes

_THE_LOCK = (
    "l.locktype = 'advisory' AND l.classid = :space AND l.objid = :which AND l.granted AND "
    "l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_HOLDER = text(
    "SELECT a.application_name, a.usename, a.backend_start FROM pg_locks l "
    f"JOIN pg_stat_activity a ON a.pid = l.pid WHERE {_THE_LOCK} ORDER BY a.backend_start LIMIT 1"
)


class ServerLock:
    """An advisory lock of PostgreSQL, held by a connection of its own.

    The server frees it when that connection ends, however it ends. So the holder may lose it
    without noticing, and `assure` is asked in each transaction.

    Parameters
    ----------
    alone : bool
        Nobody else may hold it, or else all who do not want to be alone may.
    which : int
        `WRITING` or `FILLING`.
    """

    def __init__(self, engine: Engine, location: str, *, alone: bool, which: int = WRITING) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._location = location
        self._lock = {"space": LOCK_SPACE, "which": which}
        self._try = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
        self._connection: Connection | None = None

    def acquire(self) -> None:
        """Take the lock at once or not at all.

        Raises
        ------
        CatalogueLocked
            If another process holds it; the message names that process.
        CatalogueError
            If the server cannot be reached.
        """
        with telling(self._location, "written to"):
            connection = self._engine.connect()
            try:
                statement = text(f"SELECT {self._try}(:space, :which)")
                if not connection.execute(statement, self._lock).scalar():
                    holder = connection.execute(_HOLDER, self._lock).one_or_none()
                    raise CatalogueLocked(
                        f"the catalogue {self._location} is being written to by "
                        f"{_described(holder)}: wait until it has finished, or stop it"
                    )
                name = text("SELECT set_config('application_name', :name, false)")
                connection.execute(name, {"name": _name()})
            except BaseException:
                connection.close()
                raise
        self._connection = connection

    def release(self) -> None:
        """Give the lock back."""
        if self._connection is not None:
            # Its end frees the lock as well, but only when the server notices.
            if not self._connection.invalidated:
                with suppress(DBAPIError):
                    self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            with suppress(DBAPIError):  # the server may be gone, and the lock with it
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def assure(self, connection: Connection) -> None:
        """Take the lock again if it was lost; called in each transaction before it changes a thing.

        Should it be lost and taken by another while the transaction goes on, the other has to wait
        for its turn until this one is committed.

        Raises
        ------
        CatalogueLocked
            If the lock was lost, and another process has it now.
        CatalogueVersionError
            If the tables were changed in the meantime.
        """
        if self.is_held():
            return
        self.release()
        self.acquire()
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if revision != REVISION:
            raise CatalogueVersionError(
                f"the catalogue {self._location} was upgraded while this run was cut off from it: "
                "upgrade Echoic here, too, then run the same command again"
            )

    def is_held(self) -> bool:
        """Tell whether the lock's connection is alive: as long as it is, so is the lock."""
        try:
            return self._connection is not None and bool(
                self._connection.execute(text("SELECT true")).scalar()
            )
        except DBAPIError:
            return False


def _name() -> str:
    process = this_process()
    name = f"process {process['pid']} on {process['host']}: {process['command']}"
    return name.encode("ascii", "replace")[:_LONGEST_NAME].decode("ascii")


def _described(holder: Row[Any] | None) -> str:
    if holder is None or not holder.application_name:
        return "another process"  # of another user, of which the server does not tell
    return (
        f"{holder.application_name} (as {holder.usename}, since "
        f"{holder.backend_start.isoformat(timespec='seconds')})"
    )

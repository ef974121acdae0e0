"""Find the database of a catalogue, make it if asked to, and check its format."""

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, insert, inspect, select, text

from db.engine import for_writing, make_engine, server_database, sqlite_url
from db.errors import CatalogueError, CatalogueMissing, CatalogueVersionError
from db.location import index_folder
from db.lock import Lock, WriterLock
from db.schema import REVISION, CatalogueInfo
from db.server import assure_fit, assure_no_url, server_url, shown, telling

if TYPE_CHECKING:
    from db.server_lock import ServerLock

FORMAT = "1"
DATABASE_NAME = "catalogue.sqlite"
_OWN_NAMES = frozenset(
    {
        DATABASE_NAME,
        f"{DATABASE_NAME}-wal",
        f"{DATABASE_NAME}-shm",
        "writer.lock",
        "writer.json",
        "index",
    }
)


def open_database(location: str, *, create: bool) -> tuple[Engine, Path]:
    """Connect to a catalogue's database; return it and the folder of this machine's index files.

    Errors are those of `db.catalogue.Catalogue.open`.
    """
    if "://" in location:
        folder, engine = None, _connect_to_url(location)
    else:
        assure_no_url(location)
        folder = Path(location).expanduser().absolute()
        engine = _connect_to_folder(folder, create=create)
    location = shown(location)
    try:
        with telling(location, "read"):
            _bring_to_format(engine, location, folder, create=create)
            query = select(CatalogueInfo.value).where(CatalogueInfo.key == "uuid")
            with engine.connect() as connection:
                identity = connection.execute(query).scalar_one()
    except CatalogueError:
        engine.dispose()
        raise
    return engine, folder or index_folder(identity)


def writer_lock(location: str, engine: Engine, folder: Path, *, alone: bool) -> Lock:
    """Return the lock that a writer must hold; see `db.catalogue.Catalogue.lock`."""
    if "://" not in location:
        folder.mkdir(parents=True, exist_ok=True)
        return WriterLock(folder)

    from db.server_lock import ServerLock

    return ServerLock(engine, location, alone=alone)


def filling_lock(location: str, engine: Engine) -> "ServerLock | None":
    """Return the lock of `db.catalogue.Catalogue.filling_lock`."""
    if "://" not in location:
        return None

    from db.server_lock import FILLING, ServerLock

    return ServerLock(engine, location, alone=True, which=FILLING)


def _connect_to_url(location: str) -> Engine:
    url = server_url(location)
    try:
        return make_engine(url)
    except ModuleNotFoundError as error:
        raise CatalogueError(
            f"the driver {error.name!r} for {shown(location)!r} is not installed: "
            'for PostgreSQL, `pip install "echoic[postgres]"`'
        ) from error


def _connect_to_folder(folder: Path, *, create: bool) -> Engine:
    try:
        is_file, is_there = folder.is_file(), (folder / DATABASE_NAME).exists()
    except OSError as error:
        raise CatalogueError(f"cannot look into {folder}: {error.strerror}") from error
    if is_file:
        raise CatalogueError(f"{folder} is a file: a catalogue is a folder")
    if not is_there:
        if not create:
            raise _missing(str(folder))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            foreign = sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            raise CatalogueError(
                f"cannot make a catalogue in {folder}: {error.strerror}"
            ) from error
        foreign = [name for name in foreign if name not in _OWN_NAMES]
        if foreign:
            raise CatalogueError(
                f"{folder} holds other things ({foreign[0]}, ...): "
                "give the catalogue a new or an empty folder"
            )
    writable = os.access(folder, os.W_OK)
    if not writable and (folder / f"{DATABASE_NAME}-wal").exists():
        raise CatalogueError(
            f"the catalogue {folder} cannot be read where nothing can be written, because its log "
            "(catalogue.sqlite-wal) has not been folded in: open it once where it can be written, "
            "or copy it to such a place"
        )
    return make_engine(sqlite_url(folder / DATABASE_NAME, read_only=not writable))


def _missing(location: str) -> CatalogueMissing:
    if (Path(location) / DATABASE_NAME).exists():
        return CatalogueMissing(
            f"the catalogue at {location} is empty, its making was cut off: "
            "`echoic index FOLDER` completes it"
        )
    return CatalogueMissing(f"there is no catalogue at {location}: `echoic index FOLDER` makes one")


def _revision(engine: Engine, location: str) -> str | None:
    # Alembic would tell, but importing it costs every search a quarter of a second.
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            assure_fit(server_database(connection), location)
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _bring_to_format(engine: Engine, location: str, folder: Path | None, *, create: bool) -> None:
    revision = _revision(engine, location)
    if revision == REVISION:
        return
    if revision is None and not create:
        raise _missing(location)

    from db import migrate

    if revision is not None and not migrate.is_known(revision):
        raise CatalogueVersionError(
            f"the catalogue {location} was written by a newer Echoic "
            f"(tables {revision}, this one knows {REVISION}): upgrade Echoic"
        )
    if not create:
        raise CatalogueVersionError(
            f"the catalogue {location} has an older format (tables {revision}, now {REVISION}): "
            "the next `echoic index` upgrades it"
        )
    # On a server whoever makes a catalogue waits for its turn; nobody can be writing to it yet.
    is_new = folder is None and revision is None
    lock = None if is_new else writer_lock(location, engine, folder or Path(), alone=True)
    if lock:
        lock.acquire()
    try:
        with for_writing(engine).begin() as connection:
            _make_tables(connection)
    finally:
        if lock:
            lock.release()


def _make_tables(connection: Connection) -> None:
    from db import migrate

    revision = migrate.current_revision(connection)
    if revision == REVISION:
        return  # another process has made them in the meantime
    migrate.upgrade(connection)
    if revision is None:
        facts = {
            "format": FORMAT,
            "uuid": str(uuid.uuid4()),
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        rows = [{"key": key, "value": value} for key, value in facts.items()]
        connection.execute(insert(CatalogueInfo), rows)

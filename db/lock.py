"""One writer at a time, and everybody can read its name."""

import getpass
import json
import os
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection

from db.errors import CatalogueError, CatalogueLocked
from db.server import shown


class Lock(Protocol):
    """What a writer of a catalogue holds."""

    def acquire(self) -> None:
        """Take the lock at once or not at all: then `CatalogueLocked` names its holder."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...

    def assure(self, connection: Connection) -> None:
        """Make sure, within a transaction that is about to write, that the lock is still held."""
        ...


class WriterLock:
    """An advisory lock on a catalogue's folder, held by one process.

    The operating system frees it when the process ends, however it ends, so that a crash never
    leaves a lock behind. ``writer.json`` beside it names the holder for messages; only the lock
    itself decides.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / "writer.lock")
        self._holder = folder / "writer.json"

    def acquire(self) -> None:
        """Take the lock at once or not at all.

        Raises
        ------
        CatalogueLocked
            If another process holds it; the message names that process.
        CatalogueError
            If the folder cannot be written to.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogueLocked(
                f"the catalogue {self._holder.parent} is being written to by "
                f"{described_holder(self._holder)}: wait until it has finished, or stop it"
            ) from None
        except OSError as error:
            raise CatalogueError(
                f"cannot write to the catalogue's folder {self._holder.parent}: {error.strerror}"
            ) from error
        name_holder(self._holder)

    def release(self) -> None:
        """Give the lock back."""
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def assure(self, connection: Connection) -> None:
        """Do nothing: the operating system takes no lock away."""


def name_holder(path: Path) -> None:
    """Write beside a lock that this process holds it."""
    with suppress(OSError):  # a full disk: the lock holds without its name
        path.write_text(json.dumps(this_process()), encoding="utf-8")


def described_holder(path: Path) -> str:
    """Return who holds a lock, as `name_holder` has written it."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return (
            f"process {holder['pid']} ({holder['command']}) of {holder['user']} "
            f"on {holder['host']}, since {holder['since']}"
        )
    except (OSError, ValueError, KeyError):
        return "another process"  # it has taken the lock but not yet written its name


def this_process() -> dict[str, str | int]:
    """Return what a message says of this process: pid, host, user, command, since."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in a bare container
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": user,
        "command": " ".join([Path(sys.argv[0]).name, *map(shown, sys.argv[1:4])]),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }

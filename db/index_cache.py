"""The index files that one machine keeps of a catalogue, and how the database tells them apart."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from db.errors import IndexFolderUnusable, TurnMissed
from db.index_folder import write_atomically
from db.lock import described_holder, name_holder

# As long as a transaction waits for its turn.
_MOST_WAIT_S: Final = 60.0
_UNNAMED: Final = "-"  # nothing has been saved; in SQL no file is of this cache


class IndexCache:
    """A folder of index files.

    A catalogue in a folder has one, within it. Of a catalogue on a server each machine has its own,
    which lie in the user's data folder; machines that share that folder share the files.

    Parameters
    ----------
    is_one_of_many : bool
        Whether the catalogue is on a server.
    """

    def __init__(self, folder: Path, *, is_one_of_many: bool) -> None:
        self.folder = folder
        self._is_one_of_many = is_one_of_many
        self._name_file = folder / "cache-id"
        self._id = ""
        self._lock = FileLock(folder / "saving.lock")
        self._holder = folder / "saving.json"

    @property
    def id(self) -> str:
        """What stands in SQL beside the names of its files; empty for one within a catalogue."""
        if not self._is_one_of_many:
            return ""
        if not self._id and self._name_file.exists():
            self._id = self._name_file.read_text(encoding="ascii").strip()
        return self._id or _UNNAMED

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Keep other processes from saving or removing files here; those of a folder's writer wait
        for its lock already. May be entered again within.

        Raises
        ------
        TurnMissed
            If another process has not finished within a minute; the message names it. Who is
            patient (`db.patience`) tells that, and waits on.
        IndexFolderUnusable
            If nothing can be written to the folder.
        """
        if not self._is_one_of_many:
            yield
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_MOST_WAIT_S)
        except Timeout:
            raise TurnMissed(
                f"the index files in {self.folder} are being written by "
                f"{described_holder(self._holder)}: wait until it has finished, or stop it"
            ) from None
        except OSError as error:
            raise IndexFolderUnusable(
                f"no index can be kept in {self.folder}: {error.strerror}; give yourself the right "
                "to write there, or set XDG_DATA_HOME to another folder"
            ) from error
        is_outermost = self._lock.lock_counter == 1
        try:
            if is_outermost:
                name_holder(self._holder)
            if self.id == _UNNAMED:
                self._make_id()
            yield
        finally:
            if is_outermost:
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _make_id(self) -> None:
        with write_atomically(self._name_file) as file:
            file.write(f"{uuid.uuid4()}\n".encode("ascii"))

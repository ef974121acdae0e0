"""Files in remote storage that failed with it, and not by themselves, are tried once more.

A file of a storage that is away costs its worker many seconds, in which all is tried again. So
after some in a row the storage itself is asked: it is waited for, or no further file of it is
begun.
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final

from db.errors import StorageError
from db.remote import is_folder
from indexer.analysis import Job

_SUSPICIOUS: Final = 3


class Verdict(Enum):
    """What is to be done with a file that its storage did not give."""

    AGAIN = auto()
    """Try it again at the end of the run."""
    LEFT = auto()
    """Leave it for the next run: its storage is away."""
    FAILED = auto()
    """Record the failure: the storage answers, and failed with this file twice."""


class SecondChances:
    """Judges files that their storage did not give.

    Parameters
    ----------
    outlast : callable
        Calls what it is given, again as long as a storage is waited for.

    Attributes
    ----------
    lost : dict of str to str
        The addresses of collections that are out of reach for this run, and why.
    """

    def __init__(self, outlast: Callable[[Callable[[], None]], None]) -> None:
        self.lost: dict[str, str] = {}
        self._outlast = outlast
        self._n_in_row: Counter[str] = Counter()
        self._had: set[tuple[int, str]] = set()

    def answered(self, root: str) -> None:
        """Take note that a storage gave a file."""
        self._n_in_row.pop(root, None)

    def judge(self, job: Job) -> Verdict:
        """Say what is to be done with a file that was not given."""
        if job.root in self.lost:
            return Verdict.LEFT
        self._n_in_row[job.root] += 1
        if self._n_in_row[job.root] >= _SUSPICIOUS:
            try:
                self._outlast(partial(_look_at, job.root))
            except StorageError as error:
                self.lost[job.root] = str(error)
                return Verdict.LEFT
            self.answered(job.root)
        key = (job.collection_id, job.path)
        if key in self._had:
            return Verdict.FAILED
        self._had.add(key)
        return Verdict.AGAIN


def _look_at(root: str) -> None:
    """Ask for a collection's folder, not for what is in it, which may be much.

    Raises
    ------
    StorageError
        If it cannot be reached, or is not there.
    """
    try:
        is_folder(root)
    except FileNotFoundError as error:
        raise StorageError(f"there is nothing at {root} any more") from error

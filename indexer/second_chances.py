"""Files in remote storage that failed with it, and not by themselves, are tried again.

A file of a storage that is away costs its worker many seconds, in which all is tried again. So
after some in a row the storage itself is asked: it is waited for, or no further file of it is
begun. It is asked as well before a file is said to have failed: what a storage that was away did
not give counts for no file.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from db.errors import StorageError
from db.remote import is_folder
from indexer.analysis import Job

_SUSPICIOUS: Final = 3
# As often a file is tried at most, however often its storage goes away: perhaps because of it.
_MOST_TRIES: Final = 10


class Verdict(Enum):
    """What is to be done with a file that its storage did not give."""

    AGAIN = auto()
    """Try it again at the end of the run."""
    LEFT = auto()
    """Leave it for the next run: its storage is away."""
    FAILED = auto()
    """Record the failure: the storage answers, and failed with this file again."""


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
        self._n_tries: Counter[tuple[str, str]] = Counter()
        self._had: dict[str, set[str]] = defaultdict(set)

    def answered(self, root: str) -> None:
        """Take note that a storage gave a file."""
        self._n_in_row.pop(root, None)

    def judge(self, job: Job) -> Verdict:
        """Say what is to be done with a file that was not given."""
        root, path = job.root, job.path
        if root in self.lost:
            return Verdict.LEFT
        self._n_in_row[root] += 1
        self._n_tries[root, path] += 1
        was_away = False
        if self._n_in_row[root] >= _SUSPICIOUS or path in self._had[root]:
            try:
                was_away = self._was_away(root)
            except StorageError as error:
                self.lost[root] = str(error)
                return Verdict.LEFT
            self.answered(root)
        if was_away:
            self._had[root].clear()
        elif path in self._had[root]:
            return Verdict.FAILED
        else:
            self._had[root].add(path)
        return Verdict.AGAIN if self._n_tries[root, path] < _MOST_TRIES else Verdict.FAILED

    def _was_away(self, root: str) -> bool:
        """Ask for a storage; tell whether it had to be waited for."""
        n_asked = 0

        def look() -> None:
            nonlocal n_asked
            n_asked += 1
            _look_at(root)

        self._outlast(look)
        return n_asked > 1


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

"""Filling a collection on a Milvus server: one process at a time, and SQL is never wrong.

SQL says which vectors a collection holds, and readers go by that. So vectors are there before it
says so, and stay until it no longer does. Whatever else lies in the collection counts for nothing:
after a database was restored from a backup it would be the vectors of recordings that are gone,
under numbers that are given out again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from db.catalogue import Catalogue
from db.errors import CatalogueLocked, VectorIndexError
from db.milvus_index import MilvusIndex
from db.milvus_server import MilvusServer
from db.server_lock import ServerLock
from db.vectors import as_ids

# An indexer sends 50,000 vectors at once; two that end together shall both have sent theirs.
_MOST_WAIT_S: Final = 60.0
_BETWEEN_TRIES_S: Final = 0.5


class FillingIndex(MilvusIndex):
    """A `MilvusIndex` that takes nothing from the server before `purge` is called."""

    _leaving: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    @classmethod
    def attach_to_fill(
        cls,
        server: MilvusServer,
        name: str,
        dim: int,
        noted: NDArray[np.int64],
        *,
        thorough: bool = False,
    ) -> "FillingIndex":
        """Use a collection that is there, but of its vectors only those that SQL has noted.

        Parameters
        ----------
        noted : ndarray of int64
            Their ids.
        thorough
            Ask the server for all ids even if it holds as many as were noted.

        Raises
        ------
        CollectionGone
            If there is no such collection, or its vectors have another number of components.
        VectorIndexError
            If the server does not answer.
        """
        surplus = np.empty(0, dtype=np.int64)
        if thorough or server.count(name) != len(noted):
            there = server.ids(name)
            surplus = np.setdiff1d(there, noted, assume_unique=True)
            noted = np.intersect1d(there, noted, assume_unique=True)
        index = cls.attach(server, name, dim, present=noted)
        index._leaving = surplus
        return index

    def remove(self, ids: ArrayLike) -> int:
        """Let go of vectors; return how many of them were there. Unknown ids are passed over."""
        with self._writer:
            leaving = self._present.discard(as_ids(ids, "ids"))
            self._leaving = np.union1d(self._leaving, leaving)
        return len(leaving)

    def purge(self) -> None:
        """Take from the server what was let go and not added again, and what nobody had noted."""
        with self._writer:
            leaving = np.setdiff1d(self._leaving, self._present.ids(), assume_unique=True)
            if len(leaving):
                self._server.delete(self.name, leaving)
            self._leaving = leaving[:0]


@contextmanager
def filling(catalogue: Catalogue) -> Iterator[Callable[[], None]]:
    """Keep others from filling the collections of a catalogue.

    Yields what must be called before SQL is told what a collection holds: it raises if the lock was
    lost in the meantime.

    Raises
    ------
    VectorIndexError
        If another process is filling them, and has not finished within a minute.
    """
    lock = catalogue.filling_lock()
    if lock is None:
        yield lambda: None
        return
    try:
        _acquire(lock)
    except CatalogueLocked as error:
        raise VectorIndexError(
            f"another process is sending vectors to the server ({error}); they can be sent from "
            "here when it is done"
        ) from error

    def assure() -> None:
        if not lock.is_held():
            raise VectorIndexError(
                "the connection to the database was lost while vectors were sent to the server: "
                "they are sent again when the index is brought up to date the next time"
            )

    try:
        yield assure
    finally:
        lock.release()


def _acquire(lock: ServerLock) -> None:
    until = time.monotonic() + _MOST_WAIT_S
    while True:
        try:
            lock.acquire()
        except CatalogueLocked:
            if time.monotonic() > until:
                raise
            time.sleep(_BETWEEN_TRIES_S)
        else:
            return

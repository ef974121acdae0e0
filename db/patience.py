"""Waiting for a database that is away or busy, so that a night's run outlives that."""

import math
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from db.errors import CatalogueUnreachable, StorageUnreachable, TurnMissed

_PAUSE_S: Final = 0.5

_PASSES: Final = (CatalogueUnreachable, StorageUnreachable, TurnMissed)

_Done = TypeVar("_Done")


class Stop(Protocol):
    """Asked whether to give up; `threading.Event` will do."""

    def is_set(self) -> bool: ...


class Patience:
    """Waits for a server or for its turn, and tells so. For one thread.

    Parameters
    ----------
    say : callable
        Told in a sentence when the waiting begins and when it ends.
    stop : Stop
        When it is set, the waiting ends.
    most_s : float
        The longest wait in seconds; by default for ever.
    """

    def __init__(self, say: Callable[[str], None], stop: Stop, *, most_s: float = math.inf) -> None:
        self._say = say
        self._stop = stop
        self._most_s = most_s
        self._is_waiting = False

    def outlast(self, work: Callable[[], _Done]) -> _Done:
        """Do something; begin again if the server goes away in the middle, or the turn is missed.

        What it does may use this as well: then the outermost waits.

        Raises
        ------
        CatalogueUnreachable, StorageUnreachable
            If it stays away for too long, or `stop` is set meanwhile.
        TurnMissed
            If the turn does not come for as long, or `stop` is set meanwhile.
        """
        if self._is_waiting:
            return work()
        try:
            return work()
        except _PASSES as trouble:
            over = _over(trouble)
            self._say(f"Waiting: {trouble}. What was committed is safe")
            gave_way = time.monotonic()
            self._is_waiting = True
        try:
            done = self._again(work, gave_way)
        finally:
            self._is_waiting = False
        self._say(over)
        return done

    def _again(self, work: Callable[[], _Done], gave_way: float) -> _Done:
        while True:
            time.sleep(_PAUSE_S)
            try:
                return work()
            except _PASSES:
                if self._stop.is_set() or time.monotonic() - gave_way >= self._most_s:
                    raise


def _over(trouble: Exception) -> str:
    if isinstance(trouble, TurnMissed):
        return "It is our turn again"
    is_storage = isinstance(trouble, StorageUnreachable)
    return f"The {'storage' if is_storage else 'database server'} answers again"

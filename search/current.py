"""The engine that answers now, for what runs on while the catalogue changes."""

import threading

from db.calibrations import calibrations_stamp
from db.catalogue import Catalogue
from db.default_encoder import default_encoder
from search.engine import SearchEngine


class CurrentEngine:
    """Opens an engine, and another when it is time. Threads may share one.

    A server runs for weeks. When another encoder is chosen for the catalogue meanwhile, or `echoic
    index` learns anew what scores mean, the next question is answered accordingly; those in hand
    are answered to their end by the engine that they began with.

    Parameters
    ----------
    encoder
        As of `SearchEngine`.
    """

    def __init__(self, catalogue: Catalogue, *, encoder: str | None = None) -> None:
        self._catalogue = catalogue
        self._encoder = encoder
        self._lock = threading.Lock()
        self._state: object = None
        self._engine: SearchEngine | None = None

    def now(self) -> SearchEngine:
        """Return the engine; opened if there is none that answers as the catalogue has it now.

        Raises
        ------
        EchoicError
            If the catalogue cannot be searched; see `SearchEngine`.
        """
        with self._lock:
            state = (default_encoder(self._catalogue), calibrations_stamp(self._catalogue))
            if self._engine is None or state != self._state:
                self._engine = SearchEngine(self._catalogue, encoder=self._encoder)
                self._state = state
            return self._engine

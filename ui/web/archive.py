"""The archive that the pages are about: one for all who look at them."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from db.catalogue import Catalogue
from db.filters import FACETS
from db.location import catalogue_location
from db.overview import contents_stamp
from db.records import RecordingInfo
from db.remote import is_address
from db.storage import AnyFile
from search.archive_map import MapReader
from search.current import CurrentEngine
from search.engine import SearchEngine
from search.excerpts import Excerpts
from search.fingerprints import FingerprintEngine, Match
from search.hits import Passage, Results
from search.language import parse
from search.pictures import Pictures
from search.query import Query
from search.rehearing import OnUnread
from search.saved import NewMatches, new_matches
from ui.web import asking
from ui.web.exports import Exports
from ui.web.uploads import Uploads

_ANSWERS_KEPT_S = 300.0
"""While a folder is indexed the archive changes every few seconds."""


class Archive:
    """A catalogue with what the pages ask of it. Threads may share one.

    Raises
    ------
    CatalogueError
        If there is no catalogue, or it cannot be opened.
    """

    def __init__(self, location: str) -> None:
        self.catalogue = Catalogue.open(location)
        self.excerpts = Excerpts()
        self.pictures = Pictures()
        self.uploads = Uploads()
        self.exports = Exports()
        self.map = MapReader(self.catalogue)
        self._engines = CurrentEngine(self.catalogue)
        self._finds: dict[str, bool] = {}
        self._finds_of, self._finds_at = "", -math.inf
        self._searching = threading.Lock()
        self._identifying = threading.Lock()  # of its own: an hour of radio takes a while

    @property
    def _engine(self) -> SearchEngine:
        return self._engines.now()

    @cached_property
    def _fingerprints(self) -> FingerprintEngine:
        return FingerprintEngine(self.catalogue)

    def warm(self) -> None:
        """Read what the first question needs, so that whoever asks it need not wait for that."""
        with self._searching:
            self._engine.search(parse("sound"), k=1, facets=FACETS)

    def search(self, query: Query, *, k: int, facets: Sequence[str] = ()) -> Results:
        """Answer a query; see `SearchEngine.search`.

        Raises
        ------
        QueryError
            Also if it names a file that may not be read.
        """
        asking.check_files(query, self.folders)
        with self._searching:
            return self._engine.search(query, k=k, facets=facets)

    def those_that_find(self, texts: tuple[str, ...]) -> list[str]:
        """Return the queries that something in the archive answers.

        They are asked anew when the archive has changed, but not every time while it does.
        """
        stamp, now_s = contents_stamp(self.catalogue), time.monotonic()
        if stamp != self._finds_of and now_s - self._finds_at > _ANSWERS_KEPT_S:
            self._finds, self._finds_of, self._finds_at = {}, stamp, now_s
        finds = self._finds
        for text in texts:
            if text not in finds:
                finds[text] = bool(self.search(parse(text), k=1).hits)
        return [text for text in texts if finds[text]]

    def occurrences(self, query: Query, recording_id: int) -> tuple[Passage, ...]:
        """Find every passage of one recording; see `SearchEngine.occurrences`.

        Raises
        ------
        QueryError
            Also if the query names a file that may not be read.
        """
        asking.check_files(query, self.folders)
        with self._searching:
            return self._engine.occurrences(query, recording_id)

    def new_matches(self, name: str) -> NewMatches:
        """Find what is new to a saved search; see `search.saved.new_matches`."""
        with self._searching:
            return new_matches(self._engine, name)

    @property
    def folders(self) -> list[Path]:
        """Where files lie that may be named in a query."""
        roots = [one.root for one in self.catalogue.collections()]
        return [self.uploads.folder, *(Path(root) for root in roots if not is_address(root))]

    def identical(self, path: AnyFile) -> RecordingInfo | None:
        """Return the recording that has the very bytes of a file, if any."""
        with self._identifying:
            return self._fingerprints.identical(path)

    @property
    def not_identified(self) -> list[str]:
        """What `identify` cannot find, and why, in words."""
        return self._fingerprints.notes

    def identify(
        self,
        path: AnyFile,
        *,
        all_occurrences: bool = False,
        on_progress: Callable[[float], None] | None = None,
        on_unread: OnUnread | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> list[Match]:
        """Find which recordings a file was taken from; see `FingerprintEngine.identify`."""
        with self._identifying:
            return self._fingerprints.identify(
                path,
                all_occurrences=all_occurrences,
                on_progress=on_progress,
                on_unread=on_unread,
                on_warning=on_warning,
            )


_opening = threading.Lock()


def archive() -> Archive:
    """Return the archive that is served.

    Raises
    ------
    CatalogueError
        If there is none, or it cannot be opened. The next call tries again.
    """
    with _opening:  # or two would each read all of it
        return _open(catalogue_location())


@lru_cache(maxsize=1)
def _open(location: str) -> Archive:
    return Archive(location)

"""The archive that the pages are about: one for all who look at them."""

import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from db.catalogue import Catalogue
from db.location import catalogue_location
from db.records import RecordingInfo
from indexer.errors import AudioError
from search.engine import SearchEngine
from search.excerpts import Excerpts
from search.export import first_place, full_path
from search.fingerprints import FingerprintEngine, Match
from search.hits import Passage, Results
from search.pictures import Pictures
from search.query import Query
from ui.web.uploads import Uploads


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
        self._searching = threading.Lock()
        self._identifying = threading.Lock()  # of its own: an hour of radio takes a while

    @cached_property
    def _engine(self) -> SearchEngine:
        return SearchEngine(self.catalogue)

    @cached_property
    def _fingerprints(self) -> FingerprintEngine:
        return FingerprintEngine(self.catalogue)

    @property
    def notes(self) -> list[str]:
        """What is wrong with the index, in words."""
        with self._searching:
            return self._engine.notes

    def search(self, query: Query, *, k: int, facets: Sequence[str] = ()) -> Results:
        """Answer a query; see `SearchEngine.search`."""
        with self._searching:
            return self._engine.search(query, k=k, facets=facets)

    def occurrences(self, query: Query, recording_id: int) -> tuple[Passage, ...]:
        """Find every passage of one recording; see `SearchEngine.occurrences`."""
        with self._searching:
            return self._engine.occurrences(query, recording_id)

    def identical(self, path: Path) -> RecordingInfo | None:
        """Return the recording that has the very bytes of a file, if any."""
        with self._identifying:
            return self._fingerprints.identical(path)

    def identify(self, path: Path) -> list[Match]:
        """Find which recordings a file was taken from; see `FingerprintEngine.identify`."""
        with self._identifying:
            return self._fingerprints.identify(path)

    def file_of(self, recording_id: int) -> tuple[Path, str, float]:
        """Return where a recording lies, its content hash and its length in seconds.

        Raises
        ------
        UnknownName
            If there is no such recording.
        AudioError
            If it is in none of its places, or not below its collection's folder.
        """
        recording = self.catalogue.recording(recording_id)
        file = first_place(recording)
        if file is None:
            raise AudioError("the archive knows no place of this recording any more")
        path = Path(full_path(file))
        if ".." in Path(file.path).parts or not path.is_relative_to(file.root):
            raise AudioError("this recording does not lie in its collection's folder")
        if not path.is_file():
            raise AudioError(f"the file is not there: {file.path} in {file.root}")
        return path, recording.content_hash, recording.technical.duration_s


def archive() -> Archive:
    """Return the archive that is served.

    Raises
    ------
    CatalogueError
        If there is none, or it cannot be opened. The next call tries again.
    """
    return _open(catalogue_location())


@lru_cache(maxsize=1)
def _open(location: str) -> Archive:
    return Archive(location)

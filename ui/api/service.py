"""What all requests share: one catalogue, its engines, and how uploads and questions are taken."""

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Annotated, Final

from anyio import CapacityLimiter
from fastapi import Depends, Request, UploadFile

from db.catalogue import Catalogue
from db.filters import RecordingFilter
from indexer.errors import AudioError
from search.current import CurrentEngine
from search.engine import SearchEngine
from search.errors import QueryError
from search.excerpts import Excerpts
from search.fingerprints import MAX_CHANGE, FingerprintEngine
from search.language import parse
from search.query import Example, Query
from ui.api.guard import too_large

MAX_TAPE_CHANGE: Final = 0.1
"""How far speed and pitch may be off if a query is said to come from a tape."""

_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


class Service:
    """A catalogue with what is asked of it. Threads share one.

    Parameters
    ----------
    max_upload : int
        The largest upload, in bytes.

    Raises
    ------
    EchoicError
        If the catalogue cannot be searched; see `SearchEngine`.
    """

    def __init__(
        self, catalogue: Catalogue, *, encoder: str | None = None, max_upload: int
    ) -> None:
        self.catalogue = catalogue
        self._engines = CurrentEngine(catalogue, encoder=encoder)
        self._engines.now()  # what cannot be searched is told before anybody asks
        self.filter = RecordingFilter(catalogue)
        self.excerpts = Excerpts()
        self.max_upload = max_upload
        # What takes seconds waits for its turn elsewhere than what takes a moment.
        self.long_jobs = CapacityLimiter(min(os.cpu_count() or 1, 4))
        self._fingerprints: dict[float, FingerprintEngine] = {}
        self._opening = threading.Lock()

    @property
    def engine(self) -> SearchEngine:
        """The engine that answers now.

        Raises
        ------
        EchoicError
            If the catalogue can be searched no more; see `SearchEngine`.
        """
        return self._engines.now()

    def fingerprints(self, *, tape: bool = False) -> FingerprintEngine:
        """Return the engine that identifies; opened when it is first wanted.

        Raises
        ------
        UnknownName
            If the catalogue holds no fingerprints.
        """
        most = MAX_TAPE_CHANGE if tape else MAX_CHANGE
        with self._opening:
            if most not in self._fingerprints:
                self._fingerprints[most] = FingerprintEngine(self.catalogue, max_change=most)
            return self._fingerprints[most]


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Shared = Annotated[Service, Depends(_service)]
"""What the endpoints ask for to get the service."""


def question(text: str) -> Query:
    """Read a question that came over the network; one that names a file is refused.

    Else whoever may ask could find out which files this machine has, and what they sound like.

    Raises
    ------
    QueryError
        Also if the text is no query.
    """
    query = parse(text)
    terms = (term for sound in (*query.sounds, *query.without) for term in sound.terms)
    if any(isinstance(term, Example) for term in terms):
        raise QueryError(
            "like: names a file, and this server reads none of its own: send the file to "
            "/api/similar, or name a recording of the archive, as like:#42"
        )
    if query.copies:
        raise QueryError(
            "copyof: names a file, and this server reads none of its own: send the file to "
            "/api/identify"
        )
    return query


@contextmanager
def uploaded(file: UploadFile, service: Service) -> Iterator[Path]:
    """Give a file that holds an upload, and is removed at the end whatever happens.

    Raises
    ------
    Refused
        If it is too large.
    AudioError
        If it is empty, or what reads it says so; it is named as its sender calls it.
    """
    if file.size is not None and file.size > service.max_upload:
        raise too_large(service.max_upload)
    name = PurePath(file.filename or "").name
    suffix = PurePath(name).suffix.lower()
    with tempfile.TemporaryDirectory(prefix="echoic-upload-") as folder:
        path = Path(folder) / f"upload{suffix if _SUFFIX.fullmatch(suffix) else '.audio'}"
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy, 1 << 20)
        if not path.stat().st_size:
            raise AudioError("the upload is empty")
        try:
            yield path
        except AudioError as error:
            said = str(error).removeprefix(f"{path}: ").replace(str(path), "the upload")
            raise AudioError(f"{name or 'the upload'}: {said}") from error

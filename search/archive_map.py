"""The map of an archive: every recording a point, those that sound alike together.

A map is drawn once and kept. Recordings that come later are put beside those that they sound like,
which takes no time and moves no other point; those that go, go. Drawn anew of the same archive, it
is the same map.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.default_encoder import default_encoder
from db.errors import UnknownName
from db.stored_vectors import count_changes
from indexer.encoders import known_encoders, named_among
from search.encoders import usual
from search.layout import lay_out
from search.map_file import DrawnMap, MapError, load_map, map_path, save_map
from search.summaries import Summaries, principal, reduce, summaries_of

_LIKE: Final = 5
"""A recording that came later lies between so many that it sounds like."""
_SAME: Final = 1e-4
"""At such a distance two vectors are those of one sound."""

OnProgress = Callable[[str, int, int], None]
Ids = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """All recordings of an archive on its map.

    Attributes
    ----------
    encoder : str
    drawn_at : datetime
        In UTC.
    recordings : ndarray, shape (n,), int64
        Their ids, ascending.
    places : ndarray, shape (n, 2), float32
        Between 0 and 1.
    onsets_s : ndarray, shape (n,), float32
        Where the passage begins that is most like all of a recording.
    is_new : ndarray, shape (n,), bool
        It came after the map was drawn.
    n_gone : int
        So many have gone since.
    """

    encoder: str
    drawn_at: datetime
    recordings: Ids
    places: Floats
    onsets_s: Floats
    is_new: NDArray[np.bool_]
    n_gone: int

    @property
    def n_new(self) -> int:
        """How many came after the map was drawn."""
        return int(np.count_nonzero(self.is_new))


def draw_map(
    catalogue: Catalogue,
    *,
    encoder: str | None = None,
    on_progress: OnProgress = lambda doing, done, of: None,
) -> DrawnMap:
    """Draw the map of an archive and keep it.

    Parameters
    ----------
    encoder
        The encoder's id or family name. By default the one that was chosen for the catalogue, or
        the bundled one if the catalogue holds its vectors, or the oldest there.
    on_progress
        Told what is being done, and how much of that is done, of how much.

    Raises
    ------
    MapError
        If nothing has been indexed yet, another process draws it already, or it cannot be kept.
    UnknownName
        If the catalogue holds no vectors by this encoder.
    """
    name = mapped_encoder(catalogue, encoder)
    path = map_path(catalogue, name)
    with _alone(path):
        ids = sorted(catalogue.recordings_with_vectors(name))
        read = summaries_of(catalogue, name, ids, lambda n: on_progress("Reading", n, len(ids)))
        if not len(read.ids):
            raise MapError("nothing has been indexed yet: `echoic index FOLDER` does that")
        mean, components = principal(read.vectors)
        reduced = reduce(read.vectors, mean, components)
        on_progress("Comparing", 0, 1)
        places = lay_out(reduced, on_progress=lambda n, of: on_progress("Arranging", n, of))
        drawn = DrawnMap(
            name,
            datetime.now(UTC),
            read.ids,
            _into_unit_square(places),
            read.typical,
            reduced.astype(np.float16),
            mean,
            components,
        )
        save_map(path, drawn)
    return drawn


def mapped_encoder(catalogue: Catalogue, encoder: str | None = None) -> str:
    """Return the encoder whose vectors are mapped: this one, or the one that the catalogue uses.

    Raises
    ------
    MapError
        If nothing has been indexed yet.
    UnknownName
        If the catalogue holds no vectors by the encoder that is asked for, or was chosen for it.
    EncoderError
        If it holds those of several that may be meant.
    """
    held = [info.name for info in catalogue.encoders()]
    if not held:
        raise MapError("nothing has been indexed yet: `echoic index FOLDER` does that")
    encoder = encoder or default_encoder(catalogue)
    if encoder is None:
        return usual(held) or held[0]  # vectors can be drawn without what made them
    here = known_encoders()
    named = named_among(encoder, [name for name in held if name in here])
    named = named or named_among(encoder, held)
    if named is None:
        raise UnknownName(
            f"the catalogue holds no vectors by {encoder} (it holds: {', '.join(held)}): "
            f"`echoic index --encoder {encoder}` makes them"
        )
    return named


class MapReader:
    """Gives the map of a catalogue as it is now. Threads may share one."""

    def __init__(self, catalogue: Catalogue, *, encoder: str | None = None) -> None:
        self._catalogue = catalogue
        self._encoder = encoder
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._key: tuple[str, int, int] | None = None
        self._drawn: DrawnMap | None = None
        self._added = Summaries.none()
        self._points: MapPoints | None = None

    def points(self) -> MapPoints | None:
        """Return all recordings on the map, those that are new as well; None if none was drawn.

        Raises
        ------
        MapError
            If nothing has been indexed yet, or the map is damaged.
        """
        name = mapped_encoder(self._catalogue, self._encoder)
        with self._lock:
            self._load(name)
            if self._drawn is None:
                return None
            key = (name, *count_changes(self._catalogue, name))
            if self._points is None or self._key != key:
                self._points, self._key = self._placed(self._drawn), key
            return self._points

    def _load(self, name: str) -> None:
        """Read the map, if it is another one than before."""
        path = map_path(self._catalogue, name)
        try:
            file = path.stat()
        except OSError:
            stamp = None
        else:
            stamp = (file.st_mtime_ns, file.st_size)
        if stamp is None or stamp != self._stamp:
            self._drawn, self._points, self._added = None, None, Summaries.none()
            found = load_map(path)
            self._drawn = found if found is not None and found.encoder == name else None
            self._stamp = stamp

    def _placed(self, drawn: DrawnMap) -> MapPoints:
        encoders = {info.name: info for info in self._catalogue.encoders()}
        there = np.array(
            sorted(self._catalogue.recordings_with_vectors(drawn.encoder)), dtype=np.int64
        )
        lacking = np.setdiff1d(there, np.union1d(drawn.recordings, self._added.ids))
        read = summaries_of(self._catalogue, drawn.encoder, lacking.tolist())
        self._added = added = self._added.joined(read)
        ids = np.concatenate([drawn.recordings, added.ids])
        places = np.concatenate([drawn.places, place_among(drawn, added.vectors)])
        typical = np.concatenate([drawn.typical, added.typical])
        is_new = np.arange(len(ids)) >= len(drawn.recordings)
        order = np.argsort(ids)
        order = order[np.isin(ids[order], there, assume_unique=True)]
        n_gone = len(drawn.recordings) - int(np.count_nonzero(~is_new[order]))
        hop_s = encoders[drawn.encoder].hop_s
        return MapPoints(
            drawn.encoder,
            drawn.drawn_at,
            ids[order],
            places[order],
            typical[order].astype(np.float32) * np.float32(hop_s),
            is_new[order],
            n_gone,
        )


def place_among(drawn: DrawnMap, vectors: NDArray[np.float16]) -> Floats:
    """Return where recordings lie that came after a map was drawn.

    Parameters
    ----------
    vectors : ndarray, shape (n, dim), float16
        One a recording, unit length.

    Returns
    -------
    ndarray, shape (n, 2), float32
        Between those that they sound like, nearest to the most alike.
    """
    if not len(vectors):
        return np.empty((0, 2), dtype=np.float32)
    import faiss

    reduced = reduce(vectors, drawn.mean, drawn.components)
    known = drawn.reduced.astype(np.float32)
    squares, near = faiss.knn(reduced, known, min(_LIKE, len(known)))
    weights = 1 / np.maximum(squares, np.float32(_SAME)) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkd->nd", weights, drawn.places[near]), dtype=np.float32)


def _into_unit_square(places: Floats) -> Floats:
    low, high = places.min(axis=0), places.max(axis=0)
    extent = max(float((high - low).max()), 1e-9)
    return np.asarray((places - (low + high) / 2) / extent + 0.5, dtype=np.float32)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time draw a map."""
    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MapError("the map is being drawn by another process: wait until it is done") from None
    except OSError as error:
        raise MapError(f"the map cannot be kept in {path.parent}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()

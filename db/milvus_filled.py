"""What SQL knows of the collections of vectors that a Milvus server keeps for a catalogue."""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.schema import CatalogueInfo
from db.vectors import expand_ranges

_KEY: Final = "vectors of encoder {}"
_IDS_KEY: Final = "segments on the server of encoder {}"


@dataclass(frozen=True, slots=True)
class Filled:
    """What SQL knows of a collection on a server.

    Attributes
    ----------
    collection : str
        Its name.
    generation : int
        Counts the collections of this encoder.
    next_segment, n_removals : int
        How far SQL had come when it was filled; see `db.vector_stores.Progress`.
    n_vectors : int
    """

    collection: str
    generation: int
    next_segment: int = 0
    n_removals: int = 0
    n_vectors: int = 0

    @classmethod
    def read(cls, session: Session, encoder_id: int) -> Self | None:
        """Return what is known; None if nothing is."""
        row = session.get(CatalogueInfo, _KEY.format(encoder_id))
        return None if row is None else cls(**json.loads(row.value))

    @staticmethod
    def read_ids(session: Session, encoder_id: int) -> NDArray[np.int64]:
        """Return the segments that the collection holds, ascending."""
        row = session.get(CatalogueInfo, _IDS_KEY.format(encoder_id))
        return np.empty(0, dtype=np.int64) if row is None else _unpacked(row.value)

    def write(self, session: Session, encoder_id: int, ids: NDArray[np.int64]) -> None:
        """Remember it."""
        values = {name: getattr(self, name) for name in self.__slots__}
        session.merge(CatalogueInfo(key=_KEY.format(encoder_id), value=json.dumps(values)))
        session.merge(CatalogueInfo(key=_IDS_KEY.format(encoder_id), value=_packed(ids)))


def forget_filled(session: Session, encoder_id: int) -> None:
    """Let SQL forget what a server holds of an encoder."""
    for key in (_KEY, _IDS_KEY):
        row = session.get(CatalogueInfo, key.format(encoder_id))
        if row is not None:
            session.delete(row)


def _packed(ids: NDArray[np.int64]) -> str:
    """Return ascending ids as text: the borders of their runs, each by its distance to the last."""
    gaps = np.flatnonzero(np.diff(ids) != 1)
    firsts = np.concatenate((ids[:1], ids[gaps + 1]))
    ends = np.concatenate((ids[gaps], ids[-1:])) + 1
    borders = np.stack((firsts, ends), axis=1).ravel()
    steps = np.diff(borders, prepend=0).astype("<i8")
    return base64.b85encode(zlib.compress(steps.tobytes())).decode("ascii")


def _unpacked(text: str) -> NDArray[np.int64]:
    steps = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype="<i8")
    firsts, ends = np.cumsum(steps).reshape(-1, 2).T
    return expand_ranges(firsts, ends - firsts)

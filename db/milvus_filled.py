"""What SQL knows of the collections of vectors that a Milvus server keeps for a catalogue.

Whoever fills a collection gives it a new token first, in SQL and then on the server. A copy of the
catalogue, or an older state of it, does not know the token that another has given since: so each
sees what it may go on with, and no number in a collection ever stands for two vectors.
"""

import base64
import json
import secrets
import zlib
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.left_behind import LeftBehind, leave_behind
from db.schema import CatalogueInfo
from db.vectors import expand_ranges

_KEY: Final = "vectors of encoder {}"
_IDS_KEY: Final = "segments on the server of encoder {}"
# An older token is known again only after the server itself was restored from a backup.
_MOST_TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class Filled:
    """What SQL knows of a collection on a server.

    Attributes
    ----------
    collection : str
        Its name.
    uri : str
        The server's address as it was when the collection was filled.
    tokens : tuple of str
        Those it was given, the newest last; ``""`` is that of a collection that was given none.
    next_segment, n_removals : int
        How far SQL had come when it was filled; see `db.vector_stores.Progress`.
    n_vectors : int
    """

    collection: str
    uri: str = ""
    tokens: tuple[str, ...] = ("",)
    next_segment: int = 0
    n_removals: int = 0
    n_vectors: int = 0

    @classmethod
    def read(cls, session: Session, encoder_id: int) -> Self | None:
        """Return what is known; None if nothing is."""
        row = session.get(CatalogueInfo, _KEY.format(encoder_id))
        if row is None:
            return None
        values = json.loads(row.value)
        known = {name: values[name] for name in cls.__slots__ if name in values}
        return cls(**known | {"tokens": tuple(values.get("tokens", ("",)))})

    @staticmethod
    def read_ids(session: Session, encoder_id: int) -> NDArray[np.int64]:
        """Return the segments that the collection holds, ascending."""
        row = session.get(CatalogueInfo, _IDS_KEY.format(encoder_id))
        return np.empty(0, dtype=np.int64) if row is None else _unpacked(row.value)

    def write(
        self, session: Session, encoder_id: int, ids: NDArray[np.int64] | None = None
    ) -> None:
        """Remember it; without ids, those that were written last are still there."""
        values = {name: getattr(self, name) for name in self.__slots__}
        session.merge(CatalogueInfo(key=_KEY.format(encoder_id), value=json.dumps(values)))
        if ids is not None:
            session.merge(CatalogueInfo(key=_IDS_KEY.format(encoder_id), value=_packed(ids)))

    def with_token(self, token: str) -> Self:
        """Return it with one more token."""
        return replace(self, tokens=(*self.tokens, token)[-_MOST_TOKENS:])

    def left(self) -> LeftBehind:
        """Return how it is noted when it is no longer used."""
        return LeftBehind(self.uri, self.collection, self.tokens[-1])


def new_token() -> str:
    """Return a token that no other fill has ever had."""
    return secrets.token_hex(8)


def forget_filled(session: Session, encoder_id: int) -> None:
    """Let a collection no longer be used; it is noted as left behind."""
    filled = Filled.read(session, encoder_id)
    if filled is not None:
        leave_behind(session, filled.left())
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

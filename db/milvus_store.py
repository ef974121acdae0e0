"""The vectors of an encoder on a Milvus server, shared by all who read the catalogue.

Only who writes to the catalogue writes to the server, one at a time. It notes in SQL which ids the
server then holds, so that a reader need not ask it for all of them, and how far SQL had come.
Whatever was committed after that a reader takes from SQL and keeps in its own memory.

A copy of a catalogue, or one that was restored from a backup, goes on with a collection only if
nobody else has filled it since (`db.milvus_filled`). Else it fills one of its own, and leaves the
other to whoever uses it.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CollectionGone, VectorIndexError
from db.faiss_index import FaissIndex
from db.layered_index import LayeredIndex
from db.left_behind import LeftBehind, leave_behind, settle
from db.milvus_filled import Filled, new_token
from db.milvus_filling import FillingIndex, filling
from db.milvus_index import CLUSTERED, EXACT, EXACT_UP_TO, MilvusIndex
from db.milvus_server import MilvusServer
from db.milvus_tidying import collection_prefix, drop_left_behind
from db.records import EncoderInfo
from db.schema import EmbeddingRow
from db.vector_stores import BringInStep, Loaded, Progress
from db.writer import CatalogueWriter

MOST_LACKING: Final = 300_000
"""So many vectors a reader takes from SQL into its memory: 230 MB at 384 components."""

# A collection that is searched wholly is made anew with lists when it has become so much greater.
_OUTGROWN: Final = 4
# Two copies of a catalogue that begin to fill one collection at once read each other's token then.
_SETTLING_S: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A collection to fill.

    Attributes
    ----------
    held : FillingIndex
    filled : Filled
        What SQL is to know of it, but for what it holds then.
    is_new : bool
        Whether it was made for this, and is noted as left behind until it is in force.
    replaced : LeftBehind or None
        What it takes the place of.
    """

    held: FillingIndex
    filled: Filled
    is_new: bool = False
    replaced: LeftBehind | None = None


class MilvusStore:
    """A `db.vector_stores.VectorStore` on a Milvus server.

    Parameters
    ----------
    uri : str
        Of the server.
    """

    most_lacking: int | None = MOST_LACKING

    def __init__(
        self, catalogue: Catalogue, encoder_id: int, encoder: EncoderInfo, uri: str
    ) -> None:
        self.place = uri
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._encoder = encoder
        self._connected: MilvusServer | None = None
        # The collection that was loaded, and the token that it had; None if none could be.
        self._loaded: tuple[str, str] | None = None

    def load(self) -> Loaded:
        """Find the collection; SQL tells what it holds, unless it holds fewer vectors.

        If a copy of the catalogue has filled it since, that may have removed some: then the server
        is asked. What it still has is right, for a number never stands for two vectors.
        """
        self._loaded = None
        try:
            filled, ids, token = self._noted()
            if filled is None:
                return self._nothing()
            server, notes = self._server(), []
            if token not in filled.tokens:
                ids = np.intersect1d(ids, server.ids(filled.collection), assume_unique=True)
                notes.append(self._note_on_another(filled))
            held = MilvusIndex.attach(server, filled.collection, self._encoder.dim, present=ids)
        except VectorIndexError as error:
            return self._nothing(f"{error}; searching without it, from the database")
        if not notes and len(held) != filled.n_vectors:
            notes.append(self._note_on_loss(held, filled))
        self._loaded = filled.collection, token
        return Loaded(LayeredIndex(held), _progress(filled), tuple(notes))

    def is_outdated(self, loaded: Loaded) -> bool:
        """Tell whether a writer has filled the collection further."""
        filled = self._filled()
        return filled is not None and _progress(filled) != loaded.progress

    def is_lost(self) -> bool:
        """Tell whether another copy of the catalogue has begun to fill the collection."""
        if self._loaded is None:
            return False
        collection, known = self._loaded
        try:
            token = self._server().token(collection)
        except VectorIndexError:
            return False  # the search will say so
        if token == known:
            return False
        filled = self._filled()
        if filled is None or filled.collection != collection or token not in filled.tokens:
            return True
        self._loaded = collection, token
        return False

    def faults(self) -> list[str]:
        """Ask the server for all ids, and compare them with what SQL says it holds."""
        if self._loaded is None:
            return []  # there is nothing, or `load` has told why
        try:
            filled, ids, _ = self._noted()
            if filled is None:
                return []
            held = self._server().ids(filled.collection)
        except VectorIndexError as error:
            return [f"what the Milvus server holds could not be compared: {error}"]
        n_lacking = len(np.setdiff1d(ids, held, assume_unique=True))
        n_surplus = len(np.setdiff1d(held, ids, assume_unique=True))
        if not n_lacking and not n_surplus:
            return []
        return [
            f"the collection {filled.collection} of the Milvus server {self.place} lacks "
            f"{n_lacking:,} vectors that were put there, and holds {n_surplus:,} that were not"
        ]

    def save(
        self, writer: CatalogueWriter, bring_in_step: BringInStep, *, thorough: bool = False
    ) -> Loaded:
        """Send to the server what it lacks, remove what it holds too much, and note that in SQL.

        If this is cut off, what was sent counts for nothing and is sent again the next time.

        Parameters
        ----------
        thorough
            Ask the server for all ids instead of trusting SQL as to what it holds.

        Raises
        ------
        VectorIndexError
            If the server does not answer or refuses, or another process is filling it.
        """
        with filling(self._catalogue) as assure_alone:
            return self._fill(writer, bring_in_step, assure_alone, thorough=thorough)

    # -- loading ---------------------------------------------------------------------------

    def _noted(self) -> tuple[Filled | None, NDArray[np.int64], str]:
        """Return what SQL says of the collection, its ids, and its token on the server."""
        filled, ids = self._in_sql()
        if filled is None:
            return None, ids, ""
        try:
            token = self._server().token(filled.collection)
            if token in filled.tokens:
                return filled, ids, token
        except CollectionGone:
            pass
        # A writer may have given it, or put another in its place, since SQL was read.
        filled, ids = self._in_sql()
        return filled, ids, "" if filled is None else self._server().token(filled.collection)

    def _in_sql(self) -> tuple[Filled | None, NDArray[np.int64]]:
        with self._catalogue.session() as session:
            return (
                Filled.read(session, self._encoder_id),
                Filled.read_ids(session, self._encoder_id),
            )

    def _filled(self) -> Filled | None:
        with self._catalogue.session() as session:
            return Filled.read(session, self._encoder_id)

    def _nothing(self, *notes: str) -> Loaded:
        return Loaded(LayeredIndex(FaissIndex(self._encoder.dim)), Progress(0, 0), notes)

    def _note_on_loss(self, held: MilvusIndex, filled: Filled) -> str:
        return (
            f"the collection {held.name} of the Milvus server {self.place} holds {len(held):,} "
            f"vectors where {filled.n_vectors:,} were put: `echoic repair` puts that right"
        )

    def _note_on_another(self, filled: Filled) -> str:
        return (
            f"the collection {filled.collection} of the Milvus server {self.place} was filled by a "
            "copy of this catalogue, or after the backup that this one was restored from: "
            "`echoic repair` fills one of its own"
        )

    # -- filling ---------------------------------------------------------------------------

    def _fill(
        self,
        writer: CatalogueWriter,
        bring_in_step: BringInStep,
        assure_alone: Callable[[], None],
        *,
        thorough: bool,
    ) -> Loaded:
        server = self._server()
        work = self._work(server, writer, thorough=thorough)
        held = work.held
        progress = bring_in_step(held)
        held.optimise()
        filled = replace(
            work.filled,
            next_segment=progress.next_segment,
            n_removals=progress.n_removals,
            n_vectors=len(held),
        )
        _assure_ours(server, filled)
        if work.is_new:
            # A copy that was made meanwhile knows the old token as one to tidy away.
            filled = filled.with_token(new_token())
        with writer.catalogue.transaction(of_contents=False) as session:
            assure_alone()
            filled.write(session, self._encoder_id, held.ids())
            settle(session, filled.collection)
            if work.replaced is not None:
                leave_behind(session, work.replaced)
        if work.is_new:
            server.set_token(filled.collection, filled.tokens[-1])
        held.purge()
        drop_left_behind(self._catalogue, server)
        self._loaded = filled.collection, filled.tokens[-1]
        return Loaded(LayeredIndex(held), progress)

    def _server(self) -> MilvusServer:
        if self._connected is None:
            self._connected = MilvusServer(self.place)
        return self._connected

    def _work(self, server: MilvusServer, writer: CatalogueWriter, *, thorough: bool) -> _Work:
        """Return the collection to fill: that which SQL knows, or else a new one."""
        filled, ids = self._in_sql()
        with self._catalogue.session() as session:
            n_segments = _count_segments(session, self._encoder_id)
        if filled is None:
            return self._new(server, writer, n_segments)
        name = filled.collection
        try:
            if server.token(name) not in filled.tokens:
                # It is another's by now, and stays there for whoever that is.
                return self._new(server, writer, n_segments)
            if _has_outgrown(server, name, n_segments):
                # Readers go on with the one there is until the new one is filled.
                return self._new(server, writer, n_segments, replaced=filled.left())
            filled = self._claim(server, writer, filled)
            held = FillingIndex.attach_to_fill(
                server, name, self._encoder.dim, ids, thorough=thorough
            )
        except CollectionGone:  # or there is one that is of no use
            return self._new(server, writer, n_segments, replaced=filled.left())
        return _Work(held, filled)

    def _claim(self, server: MilvusServer, writer: CatalogueWriter, filled: Filled) -> Filled:
        """Give a collection a new token: in SQL first, so that it is known wherever it is found."""
        claimed = replace(filled, uri=self.place).with_token(new_token())
        with writer.catalogue.transaction(of_contents=False) as session:
            claimed.write(session, self._encoder_id)
        server.set_token(filled.collection, claimed.tokens[-1])
        time.sleep(_SETTLING_S)
        _assure_ours(server, claimed)
        return claimed

    def _new(
        self,
        server: MilvusServer,
        writer: CatalogueWriter,
        n_segments: int,
        replaced: LeftBehind | None = None,
    ) -> _Work:
        """Make a collection, which is put in force when it is filled."""
        # Milvus takes no other signs in a name.
        encoder = re.sub(r"[^A-Za-z0-9]+", "_", self._encoder.name)
        token = new_token()
        with writer.catalogue.transaction(of_contents=False) as session:
            name = f"{collection_prefix(session)}{encoder}_{token}"
            filled = Filled(name, self.place, (token,))
            leave_behind(session, filled.left())
        is_small = server.is_lite or n_segments <= EXACT_UP_TO
        kind = EXACT if is_small else CLUSTERED
        held = FillingIndex.create(server, name, self._encoder.dim, kind=kind, token=token)
        return _Work(held, filled, is_new=True, replaced=replaced)


def _assure_ours(server: MilvusServer, filled: Filled) -> None:
    """Make sure that nobody else has begun to fill a collection."""
    if server.token(filled.collection) != filled.tokens[-1]:
        raise VectorIndexError(
            f"a copy of this catalogue has begun to fill the collection {filled.collection} of the "
            f"Milvus server {server.uri}: the next time vectors are sent, they go into a new one"
        )


def _has_outgrown(server: MilvusServer, name: str, n_segments: int) -> bool:
    """Tell whether a collection that is searched wholly should have lists by now."""
    if server.is_lite or n_segments <= _OUTGROWN * EXACT_UP_TO:
        return False
    return server.index_kind(name) == EXACT


def _count_segments(session: Session, encoder_id: int) -> int:
    query = select(func.sum(EmbeddingRow.n_segments)).where(EmbeddingRow.encoder_id == encoder_id)
    return session.scalar(query) or 0


def _progress(filled: Filled) -> Progress:
    return Progress(filled.next_segment, filled.n_removals)

"""The vectors of an encoder on a Milvus server, shared by all who read the catalogue.

Only who writes to the catalogue writes to the server, one at a time. It notes in SQL which ids the
server then holds, so that a reader need not ask it for all of them, and how far SQL had come.
Whatever was committed after that a reader takes from SQL and keeps in its own memory.
"""

import re
from collections.abc import Callable
from typing import Final

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CollectionGone, VectorIndexError
from db.faiss_index import FaissIndex
from db.layered_index import LayeredIndex
from db.milvus_filled import Filled
from db.milvus_filling import FillingIndex, filling
from db.milvus_index import CLUSTERED, EXACT, EXACT_UP_TO, MilvusIndex
from db.milvus_server import MilvusServer
from db.records import EncoderInfo
from db.schema import EmbeddingRow, EncoderRow
from db.vector_stores import BringInStep, Loaded, Progress
from db.writer import CatalogueWriter

MOST_LACKING: Final = 300_000
"""So many vectors a reader takes from SQL into its memory: 230 MB at 384 components."""

# A collection that is searched wholly is made anew with lists when it has become so much greater.
_OUTGROWN: Final = 4


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
        self._catalogue = catalogue
        self._encoder_id = encoder_id
        self._encoder = encoder
        self._uri = uri
        self._connected: MilvusServer | None = None

    def load(self) -> Loaded:
        """Find the collection; SQL tells what it holds, unless it holds fewer vectors."""
        nothing = LayeredIndex(FaissIndex(self._encoder.dim))
        with self._catalogue.session() as session:
            filled = Filled.read(session, self._encoder_id)
            ids = Filled.read_ids(session, self._encoder_id)
        if filled is None:
            return Loaded(nothing, Progress(0, 0))
        try:
            held = MilvusIndex.attach(
                self._server(), filled.collection, self._encoder.dim, present=ids
            )
        except VectorIndexError as error:
            note = f"{error}; searching without it, from the database"
            return Loaded(nothing, Progress(0, 0), (note,))
        return Loaded(LayeredIndex(held), _progress(filled), self._notes_on(held, filled))

    def is_outdated(self, loaded: Loaded) -> bool:
        """Tell whether a writer has filled the collection further."""
        with self._catalogue.session() as session:
            filled = Filled.read(session, self._encoder_id)
        return filled is not None and _progress(filled) != loaded.progress

    def faults(self) -> list[str]:
        """Ask the server for all ids, and compare them with what SQL says it holds."""
        with self._catalogue.session() as session:
            filled = Filled.read(session, self._encoder_id)
            ids = Filled.read_ids(session, self._encoder_id)
        if filled is None:
            return []
        try:
            server = self._server()
            held = server.ids(filled.collection)
        except VectorIndexError:
            return []  # `load` has told
        n_lacking = len(np.setdiff1d(ids, held, assume_unique=True))
        n_surplus = len(np.setdiff1d(held, ids, assume_unique=True))
        if not n_lacking and not n_surplus:
            return []
        return [
            f"the collection {filled.collection} of the Milvus server {self._uri} lacks "
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

    # -- inside ----------------------------------------------------------------------------

    def _fill(
        self,
        writer: CatalogueWriter,
        bring_in_step: BringInStep,
        assure_alone: Callable[[], None],
        *,
        thorough: bool,
    ) -> Loaded:
        server = self._server()
        held, generation = self._held(server, writer, thorough=thorough)
        progress = bring_in_step(held)
        held.optimise()
        filled = Filled(
            held.name, generation, progress.next_segment, progress.n_removals, len(held)
        )
        with writer.catalogue.transaction(of_contents=False) as session:
            assure_alone()
            filled.write(session, self._encoder_id, held.ids())
        held.purge()
        for name in stray_collections(self._catalogue, server):
            server.drop(name)
        return Loaded(LayeredIndex(held), progress)

    def _server(self) -> MilvusServer:
        if self._connected is None:
            self._connected = MilvusServer(self._uri)
        return self._connected

    def _held(
        self, server: MilvusServer, writer: CatalogueWriter, *, thorough: bool
    ) -> tuple[FillingIndex, int]:
        """Return the collection to fill, and its generation; make one if need be."""
        with writer.catalogue.session() as session:
            filled = Filled.read(session, self._encoder_id)
            ids = Filled.read_ids(session, self._encoder_id)
            n_segments = _count_segments(session, self._encoder_id)
        if filled is not None:
            try:
                held = FillingIndex.attach_to_fill(
                    server, filled.collection, self._encoder.dim, ids, thorough=thorough
                )
            except CollectionGone:
                return self._new(server, filled.generation, n_segments, writer)
            has_outgrown = held.n_lists == 1 and n_segments > _OUTGROWN * EXACT_UP_TO
            if server.is_lite or not has_outgrown:
                return held, filled.generation
            # Readers go on with the one there is until the new one is filled.
            return self._new(server, filled.generation + 1, n_segments, None)
        return self._new(server, 1, n_segments, writer)

    def _new(
        self,
        server: MilvusServer,
        generation: int,
        n_segments: int,
        writer: CatalogueWriter | None,
    ) -> tuple[FillingIndex, int]:
        """Make a collection; with a writer, put it in force at once."""
        # Milvus takes no other signs in a name.
        encoder = re.sub(r"[^A-Za-z0-9]+", "_", self._encoder.name)
        name = f"{_prefix(self._catalogue)}{encoder}_{generation:06d}"
        if writer is not None:
            # Readers shall not look for what was in one that is gone.
            with writer.catalogue.transaction(of_contents=False) as session:
                nothing = np.empty(0, dtype=np.int64)
                Filled(name, generation).write(session, self._encoder_id, nothing)
        if server.has(name):
            server.drop(name)
        is_small = server.is_lite or n_segments <= EXACT_UP_TO
        kind = EXACT if is_small else CLUSTERED
        return FillingIndex.create(server, name, self._encoder.dim, kind=kind), generation

    def _notes_on(self, held: MilvusIndex, filled: Filled) -> tuple[str, ...]:
        if len(held) == filled.n_vectors:
            return ()
        return (
            f"the collection {held.name} of the Milvus server {self._uri} holds {len(held):,} "
            f"vectors where {filled.n_vectors:,} were put: `echoic repair` puts that right",
        )


def _count_segments(session: Session, encoder_id: int) -> int:
    query = select(func.sum(EmbeddingRow.n_segments)).where(EmbeddingRow.encoder_id == encoder_id)
    return session.scalar(query) or 0


def stray_collections(catalogue: Catalogue, server: MilvusServer) -> list[str]:
    """Return the collections that a server keeps for a catalogue and that are not in force.

    Raises
    ------
    VectorIndexError
        If the server does not answer.
    """
    with catalogue.session() as session:
        known = [Filled.read(session, id_) for id_ in session.scalars(select(EncoderRow.id))]
    in_force = {filled.collection for filled in known if filled is not None}
    prefix = _prefix(catalogue)
    return [
        name for name in server.collections() if name.startswith(prefix) and name not in in_force
    ]


def _prefix(catalogue: Catalogue) -> str:
    identity = catalogue.uuid.replace("-", "")
    return f"echoic_{identity[:16]}_"


def _progress(filled: Filled) -> Progress:
    return Progress(filled.next_segment, filled.n_removals)

"""Moving the vectors of a catalogue from files to a server, from one server to another, and back.

They are sent from SQL. What kept them before is removed only when all of them are in the new place.
"""

import os

from sqlalchemy import delete, select

from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.milvus_filled import forget_filled
from db.milvus_filling import filling
from db.milvus_server import MilvusServer
from db.milvus_store import stray_collections
from db.schema import EncoderRow, IndexFileRow
from db.segment_index import SegmentIndex
from db.server import shown
from db.vector_location import (
    ENVIRONMENT_VARIABLE,
    FILES,
    checked_location,
    store_location,
    stored_location,
)
from db.vector_stores import stale_files
from db.writer import CatalogueWriter


def move_vectors(writer: CatalogueWriter, location: str) -> list[str]:
    """Keep the vectors at another place from now on; return what was done, in words.

    Parameters
    ----------
    location : str
        ``files``, or the URI of a Milvus server.

    Raises
    ------
    VectorIndexError
        If it can be neither, the server does not answer, or ``ECHOIC_VECTORS`` says otherwise. If
        it fails midway, the catalogue names the new place already: `echoic repair` goes on.
    """
    catalogue = writer.catalogue
    location = checked_location(location)
    said = os.environ.get(ENVIRONMENT_VARIABLE)
    if said and said != location:
        raise VectorIndexError(
            f"{ENVIRONMENT_VARIABLE} says that the vectors are at {shown(said)}: unset it before "
            f"you move them to {location}"
        )
    with catalogue.session() as session:
        before = stored_location(session)
    if before == location:
        return []
    if location != FILES:
        MilvusServer(location).close()  # so that nothing is changed if it does not answer
    store_location(catalogue, location)
    done = [f"keeping vectors at {location} from now on"]
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        index.save(writer)
        done.append(f"put {len(index):,} vectors by {encoder.name} there")
    return done + _tidy(catalogue, before, location)


def remove_strays(catalogue: Catalogue, location: str) -> list[str]:
    """Remove collections that belong to no encoder any more; return what was done, in words.

    Raises
    ------
    VectorIndexError
        If the server does not answer, or another process is filling it.
    """
    if location == FILES:
        return []
    with filling(catalogue):  # what another has just begun to fill is no stray
        server = MilvusServer(location)
        strays = stray_collections(catalogue, server)
        for name in strays:
            server.drop(name)
        server.close()
    return [f"removed the stray collection {name} from {location}" for name in strays]


def _tidy(catalogue: Catalogue, before: str, now: str) -> list[str]:
    """Remove what kept the vectors before."""
    if before == FILES:
        with catalogue.transaction(of_contents=False) as session:
            session.execute(delete(IndexFileRow).where(IndexFileRow.cache == catalogue.cache.id))
        for path in stale_files(catalogue.index_folder, frozenset()):
            path.unlink(missing_ok=True)
        return []
    if now != FILES:
        # It may be the same server under another name.
        return [f"left what {before} keeps as it is"]
    with catalogue.transaction(of_contents=False) as session:
        for id_ in session.scalars(select(EncoderRow.id)).all():
            forget_filled(session, id_)
    try:
        return remove_strays(catalogue, before)
    except VectorIndexError as error:
        return [f"left the collections on {before} as they are ({error})"]

"""Moving the vectors of a catalogue from files to a server, from one server to another, and back.

They are sent from SQL. What kept them before is noted as left behind, and removed when all of them
are in the new place; if that is cut off, or cannot be, `echoic repair` does it.
"""

import os

from sqlalchemy import select

from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.files_left_behind import remove_files_left_behind
from db.milvus_filled import forget_filled
from db.milvus_server import MilvusServer
from db.milvus_tidying import other_collections, remove_left_behind
from db.schema import EncoderRow
from db.segment_index import SegmentIndex
from db.server import shown
from db.vector_location import (
    ENVIRONMENT_VARIABLE,
    FILES,
    checked_location,
    put_location,
    stored_location,
    vector_location,
)
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
    with catalogue.transaction(of_contents=False) as session:
        for encoder_id in session.scalars(select(EncoderRow.id)).all():
            forget_filled(session, encoder_id)
        put_location(session, location)
    done = [f"keeping vectors at {location} from now on"]
    for encoder in catalogue.encoders():
        index = SegmentIndex.open(catalogue, encoder.name)
        index.save(writer)
        done.append(f"put {len(index):,} vectors by {encoder.name} there")
    return done + tidy(catalogue)


def tidy(catalogue: Catalogue) -> list[str]:
    """Remove what is left where vectors were kept before; return what was done, in words.

    What cannot be removed now stays noted.
    """
    remove_files_left_behind(catalogue)
    return remove_left_behind(catalogue)


def others_on_the_server(catalogue: Catalogue) -> list[str]:
    """Say which collections of copies of this catalogue are on the server; nothing is removed.

    Raises
    ------
    VectorIndexError
        If the server does not answer.
    """
    location = vector_location(catalogue)
    if location == FILES:
        return []
    return [
        f"left the collection {name} on {location} as it is: a copy of this catalogue has filled "
        "it, or this one did before it was restored from a backup; if no copy uses it, drop it "
        "there"
        for name in other_collections(catalogue, location)
    ]

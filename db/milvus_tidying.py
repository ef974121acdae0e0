"""Removing from Milvus servers what a catalogue no longer uses, and nothing that a copy uses."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import VectorIndexError
from db.left_behind import LeftBehind, left_behind, settle
from db.milvus_filled import Filled
from db.milvus_filling import filling
from db.milvus_server import MilvusServer
from db.schema import CatalogueInfo, EncoderRow
from db.vector_location import stored_location


def collection_prefix(session: Session) -> str:
    """Return how the names of all collections of a catalogue, and of its copies, begin."""
    identity = session.get_one(CatalogueInfo, "uuid").value.replace("-", "")
    return f"echoic_{identity[:16]}_"


def remove_left_behind(catalogue: Catalogue) -> list[str]:
    """Remove all collections that are noted as left behind; return what was done, in words.

    What cannot be removed, since a server is away or another process is filling one, stays noted.
    """
    with catalogue.session() as session:
        left, here = left_behind(session), stored_location(session)
    if not left:
        return []
    done = []
    try:
        with filling(catalogue):  # what another has just begun to fill is noted, too
            for uri in sorted({each.uri or here for each in left}):
                done += _remove_from(catalogue, uri)
    except VectorIndexError as error:
        done.append(f"left collections that are no longer used as they are ({error})")
    return done


def _remove_from(catalogue: Catalogue, uri: str) -> list[str]:
    try:
        server = MilvusServer(uri)
    except VectorIndexError as error:
        return [f"left the collections on {uri} as they are ({error})"]
    done = drop_left_behind(catalogue, server)
    server.close()
    return done


def drop_left_behind(catalogue: Catalogue, server: MilvusServer) -> list[str]:
    """Remove what is left behind on one server; for who keeps others from filling it.

    Returns what was done, in words.
    """
    done = []
    with catalogue.session() as session:
        left, here = left_behind(session), stored_location(session)
    for each in left:
        if (each.uri or here) != server.uri:
            continue
        try:
            if _is_ours(server, each):
                server.drop(each.collection)
                done.append(f"removed the collection {each.collection} from {server.uri}")
        except VectorIndexError as error:
            done.append(f"left the collection {each.collection} as it is ({error})")
            continue
        with catalogue.transaction(of_contents=False) as session:
            settle(session, each.collection)
    return done


def _is_ours(server: MilvusServer, left: LeftBehind) -> bool:
    """Tell whether a collection is there, and no copy of the catalogue has gone on with it."""
    return server.has(left.collection) and server.token(left.collection) == left.token


def other_collections(catalogue: Catalogue, uri: str) -> list[str]:
    """Return the collections on a server that copies or older states of a catalogue have filled.

    Raises
    ------
    VectorIndexError
        If the server does not answer.
    """
    server = MilvusServer(uri)
    # Asked for before SQL: what is made meanwhile is not among them.
    names = server.collections()
    server.close()
    with catalogue.session() as session:
        prefix = collection_prefix(session)
        known = {each.collection for each in left_behind(session)}
        for encoder_id in session.scalars(select(EncoderRow.id)):
            filled = Filled.read(session, encoder_id)
            known |= set() if filled is None else {filled.collection}
    return [name for name in names if name.startswith(prefix) and name not in known]

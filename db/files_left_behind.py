"""Index files that a machine still has although the vectors are on a server by now.

Whoever moves vectors removes those of its own machine. The others remove theirs when they next
write to the catalogue; a reader removes nothing.
"""

from contextlib import suppress

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.milvus_filled import Filled
from db.schema import IndexFileRow
from db.vector_location import FILES, vector_location


def remove_files_left_behind(catalogue: Catalogue) -> list[str]:
    """Remove this machine's index files of vectors that a server holds; return their names."""
    if vector_location(catalogue) == FILES:
        return []
    with catalogue.session() as session:
        if not _left_behind(session, catalogue.cache.id):
            return []
    with catalogue.transaction(of_contents=False) as session:
        files = _left_behind(session, catalogue.cache.id)
        session.execute(
            delete(IndexFileRow).where(
                IndexFileRow.cache == catalogue.cache.id, IndexFileRow.encoder_id.in_(files)
            )
        )
    for name in files.values():
        with suppress(OSError):  # `echoic repair` tries again, and says why if it cannot
            (catalogue.index_folder / name).unlink(missing_ok=True)
    return sorted(files.values())


def _left_behind(session: Session, cache: str) -> dict[int, str]:
    """Return the index files of a machine whose vectors were sent to a server, by encoder."""
    query = select(IndexFileRow.encoder_id, IndexFileRow.name).where(IndexFileRow.cache == cache)
    return {
        encoder_id: name
        for encoder_id, name in session.execute(query)
        if Filled.read(session, encoder_id) is not None
    }

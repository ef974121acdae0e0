"""Changes of lists by those who look at them, maybe while others change them too.

What somebody sees may be minutes old. So entries are named by their keys, not by their numbers, and
each change finds and changes what is meant in one transaction.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import select

from db.catalogue import Catalogue
from db.errors import CatalogueError
from db.lists import ListEntry, entry_from, entry_rows, key_of, list_row, number_anew
from db.schema import ListEntryRow, RecordingRow


class ListChanged(CatalogueError):
    """Somebody else has changed a list meanwhile."""


def take_out(catalogue: Catalogue, name: str, keys: Collection[str]) -> list[ListEntry]:
    """Take passages out of a list; return them, for `put_back`.

    Raises
    ------
    ListChanged
        If one of them is not in it any more. Then nothing has been taken out.
    UnknownName
        If there is no such list.
    """
    with catalogue.transaction(of_contents=False) as session:
        rows = {key_of(row): (n, row) for n, row in enumerate(entry_rows(session, name), start=1)}
        if not rows.keys() >= set(keys):
            raise _changed(name)
        found = sorted((rows[key] for key in set(keys)), key=lambda one: one[0])
        for _, row in found:
            session.delete(row)
        return [entry_from(row, number, None) for number, row in found]


def put_back(catalogue: Catalogue, name: str, taken: Iterable[ListEntry]) -> None:
    """Put passages where they were before they were taken out of a list.

    Those that are in it again already are passed over.

    Raises
    ------
    UnknownName
        If there is no such list any more. Then nothing has been put back.
    """
    with catalogue.transaction(of_contents=False) as session:
        list_id = list_row(session, name).id
        rows = entry_rows(session, name)
        there = {_passage(row) for row in rows}
        for entry in sorted(taken, key=lambda entry: entry.number):
            if _passage(entry) not in there:
                rows.insert(entry.number - 1, _row(list_id, entry))
        number_anew(rows)
        session.add_all(rows)


def shift_entry(catalogue: Catalogue, name: str, key: str, *, up: bool) -> None:
    """Move a passage past its neighbour, of those whose recordings the catalogue holds.

    Raises
    ------
    ListChanged
        If it is not in the list any more. Then nothing has been moved.
    UnknownName
        If there is no such list.
    """
    with catalogue.transaction(of_contents=False) as session:
        rows = entry_rows(session, name)
        at = next((place for place, row in enumerate(rows) if key_of(row) == key), None)
        if at is None:
            raise _changed(name)
        held = (
            select(ListEntryRow.id)
            .join(RecordingRow, RecordingRow.content_hash == ListEntryRow.content_hash)
            .where(ListEntryRow.list_id == rows[at].list_id)
        )
        present = set(session.scalars(held))
        beyond = reversed(range(at)) if up else range(at + 1, len(rows))
        to = next((place for place in beyond if rows[place].id in present), None)
        if to is not None:
            rows.insert(to, rows.pop(at))
            number_anew(rows)


def _row(list_id: int, entry: ListEntry) -> ListEntryRow:
    return ListEntryRow(
        list_id=list_id,
        content_hash=entry.content_hash,
        path=entry.path,
        onset_s=entry.onset_s,
        offset_s=entry.offset_s,
        note=entry.note,
        query=entry.query,
        score=entry.score,
        added_at=entry.added_at,
    )


def _passage(entry: ListEntry | ListEntryRow) -> tuple[str, float | None, float | None]:
    return entry.content_hash, entry.onset_s, entry.offset_s


def _changed(name: str) -> ListChanged:
    return ListChanged(
        f"the list {name!r} has been changed elsewhere meanwhile: look at it again, and choose anew"
    )

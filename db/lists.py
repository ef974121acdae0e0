"""Lists of passages that users keep.

An entry knows its recording by the hash of its content. So it finds it again wherever the file has
moved and however often it is indexed, and it stays readable when the recording has been forgotten:
it says where the recording lay, and finds it again once that content is indexed anew.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CatalogueError, UnknownName
from db.rows import load_recordings
from db.schema import ListEntryRow, ListRow, RecordingRow
from db.storing import now


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A passage to be put into a list.

    Attributes
    ----------
    onset_s, offset_s : float or None
        In seconds from the start of the recording; None for the whole of it.
    query : str
        What found it, in the query language; empty if nothing did.
    score : float or None
    """

    recording_id: int
    onset_s: float | None = None
    offset_s: float | None = None
    note: str = ""
    query: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class ListEntry:
    """A passage in a list.

    Attributes
    ----------
    number : int
        Its place in the list, the first being 1.
    recording_id : int or None
        None while the catalogue holds no recording of this content.
    path : str
        Where the recording lay when the entry was made, an absolute path.
    """

    id: int
    number: int
    recording_id: int | None
    content_hash: str
    path: str
    onset_s: float | None
    offset_s: float | None
    note: str
    query: str
    score: float | None
    added_at: datetime

    @property
    def key(self) -> str:
        """Names the entry for as long as it is there, and no other ever after."""
        return key_of(self)


@dataclass(frozen=True, slots=True)
class ListInfo:
    """A list and how long it is."""

    name: str
    created_at: datetime
    n_entries: int


def lists(catalogue: Catalogue) -> list[ListInfo]:
    """Return all lists by name."""
    query = (
        select(ListRow.name, ListRow.created_at, func.count(ListEntryRow.id))
        .outerjoin(ListEntryRow, ListEntryRow.list_id == ListRow.id)
        .group_by(ListRow.id, ListRow.name, ListRow.created_at)
        .order_by(ListRow.name)
    )
    with catalogue.session() as session:
        return [ListInfo(*row) for row in session.execute(query)]


def entries(
    catalogue: Catalogue, name: str, *, present: bool | None = None, limit: int | None = None
) -> list[ListEntry]:
    """Return what is in a list, in its order.

    Parameters
    ----------
    present
        True: only what the catalogue holds the recording of; False: only what it does not.
    limit
        No more than so many, the first ones.

    Raises
    ------
    UnknownName
        If there is no list of this name; the message lists those there are.
    """
    with catalogue.session() as session:
        number = func.row_number().over(order_by=(ListEntryRow.position, ListEntryRow.id))
        numbered = (
            select(ListEntryRow.id, number.label("number"))
            .where(ListEntryRow.list_id == list_row(session, name).id)
            .subquery()
        )
        query = (
            select(ListEntryRow, numbered.c.number, RecordingRow.id)
            .join(numbered, numbered.c.id == ListEntryRow.id)
            .outerjoin(RecordingRow, RecordingRow.content_hash == ListEntryRow.content_hash)
            .order_by(numbered.c.number)
            .limit(limit)
        )
        if present is not None:
            query = query.where(RecordingRow.id.is_not(None) == present)
        return [entry_from(*row) for row in session.execute(query)]


def add_entries(catalogue: Catalogue, name: str, new: Sequence[NewEntry]) -> int:
    """Put passages at the end of a list, which is made if there is none; return how many.

    Passages that are in it already are passed over.

    Raises
    ------
    CatalogueError
        If the name is blank, or a passage does not end after its beginning.
    UnknownName
        If there is no such recording. Then nothing has been added.
    """
    if not name.strip():
        raise CatalogueError("a list needs a name")
    for entry in new:
        _check_passage(entry)
    with catalogue.session() as session:  # before others have to wait
        places = _places(session, sorted({entry.recording_id for entry in new}))
    with catalogue.transaction(of_contents=False) as session:
        row = session.scalar(select(ListRow).where(ListRow.name == name))
        if row is None:
            row = ListRow(name=name, created_at=now())
            session.add(row)
            session.flush()
        present = select(
            ListEntryRow.content_hash, ListEntryRow.onset_s, ListEntryRow.offset_s
        ).where(ListEntryRow.list_id == row.id)
        there = {tuple(found) for found in session.execute(present)}
        last = select(func.max(ListEntryRow.position)).where(ListEntryRow.list_id == row.id)
        first = position = (session.scalar(last) or 0) + 1
        for entry in new:
            content_hash, path = places[entry.recording_id]
            passage = (content_hash, entry.onset_s, entry.offset_s)
            if passage not in there:
                there.add(passage)
                session.add(_entry_row(row.id, position, entry, content_hash, path))
                position += 1
        return position - first


def remove_entries(catalogue: Catalogue, name: str, numbers: Collection[int]) -> None:
    """Take passages out of a list, by their numbers in it.

    Raises
    ------
    UnknownName
        If there is no such list or entry. Then nothing has been removed.
    """
    with catalogue.transaction(of_contents=False) as session:
        rows = entry_rows(session, name)
        for number in set(numbers):
            session.delete(_numbered(rows, name, number))


def move_entry(catalogue: Catalogue, name: str, number: int, to: int) -> None:
    """Move a passage to another place in its list; beyond the end means the end.

    Raises
    ------
    UnknownName
        If there is no such list or entry.
    """
    with catalogue.transaction(of_contents=False) as session:
        rows = entry_rows(session, name)
        row = _numbered(rows, name, number)
        rows.remove(row)
        rows.insert(max(to, 1) - 1, row)
        number_anew(rows)


def remove_list(catalogue: Catalogue, name: str) -> None:
    """Forget a list and what is in it.

    Raises
    ------
    UnknownName
        If there is no list of this name.
    """
    with catalogue.transaction(of_contents=False) as session:
        session.delete(list_row(session, name))


def make_list(catalogue: Catalogue, name: str) -> None:
    """Make an empty list.

    Raises
    ------
    CatalogueError
        If the name is blank or taken.
    """
    with catalogue.transaction(of_contents=False) as session:
        _check_name(session, name)
        session.add(ListRow(name=name, created_at=now()))


def rename_list(catalogue: Catalogue, name: str, new_name: str) -> None:
    """Give a list another name.

    Raises
    ------
    UnknownName
        If there is no list of this name.
    CatalogueError
        If the new name is blank or that of another list.
    """
    with catalogue.transaction(of_contents=False) as session:
        row = list_row(session, name)
        if new_name != name:
            _check_name(session, new_name)
        row.name = new_name


def _check_name(session: Session, name: str) -> None:
    if not name.strip():
        raise CatalogueError("a list needs a name")
    if session.scalar(select(ListRow.id).where(ListRow.name == name)):
        raise CatalogueError(f"there is already a list {name!r}: give another name")


def _check_passage(entry: NewEntry) -> None:
    if (entry.onset_s is None) != (entry.offset_s is None):
        raise CatalogueError("a passage has a beginning and an end, or neither")
    if entry.onset_s is None or entry.offset_s is None:
        return
    if not 0 <= entry.onset_s < entry.offset_s:
        raise CatalogueError(
            f"a passage from {entry.onset_s:g} to {entry.offset_s:g} s is none: "
            "it ends after it begins"
        )


def _places(session: Session, recording_ids: list[int]) -> dict[int, tuple[str, str]]:
    """Return content hash and path of recordings, by id."""
    found: dict[int, tuple[str, str]] = {}
    for start in range(0, len(recording_ids), 500):
        for id_, info in load_recordings(session, recording_ids[start : start + 500]).items():
            path = f"{info.files[0].root}/{info.files[0].path}" if info.files else ""
            found[id_] = (info.content_hash, path)
    for id_ in recording_ids:
        if id_ not in found:
            raise UnknownName(f"there is no recording {id_} in the catalogue")
    return found


def _entry_row(
    list_id: int, position: int, entry: NewEntry, content_hash: str, path: str
) -> ListEntryRow:
    return ListEntryRow(
        list_id=list_id,
        position=position,
        content_hash=content_hash,
        path=path,
        onset_s=entry.onset_s,
        offset_s=entry.offset_s,
        note=entry.note,
        query=entry.query,
        score=entry.score,
        added_at=now(),
    )


def list_row(session: Session, name: str) -> ListRow:
    """Return a list's row, or raise `UnknownName`."""
    row = session.scalar(select(ListRow).where(ListRow.name == name))
    if row is None:
        known = ", ".join(session.scalars(select(ListRow.name).order_by(ListRow.name)))
        raise UnknownName(f"there is no list {name!r} (known: {known or 'none yet'})")
    return row


def entry_rows(session: Session, name: str) -> list[ListEntryRow]:
    """Return the rows of a list's entries, in its order, or raise `UnknownName`."""
    query = (
        select(ListEntryRow)
        .where(ListEntryRow.list_id == list_row(session, name).id)
        .order_by(ListEntryRow.position, ListEntryRow.id)
    )
    return list(session.scalars(query))


def _numbered(rows: list[ListEntryRow], name: str, number: int) -> ListEntryRow:
    if not 1 <= number <= len(rows):
        raise UnknownName(f"the list {name!r} has no entry {number}: it has {len(rows)}")
    return rows[number - 1]


def number_anew(rows: Iterable[ListEntryRow]) -> None:
    """Give entries the places that they have in a sequence."""
    for position, row in enumerate(rows, start=1):
        row.position = position


def entry_from(row: ListEntryRow, number: int, recording_id: int | None) -> ListEntry:
    """Return a row as what others see of it."""
    return ListEntry(
        row.id,
        number,
        recording_id,
        row.content_hash,
        row.path,
        row.onset_s,
        row.offset_s,
        row.note,
        row.query,
        row.score,
        row.added_at,
    )


def key_of(entry: ListEntry | ListEntryRow) -> str:
    """Return what names an entry; see `ListEntry.key`."""
    # The time too, for SQLite may give the number of an entry that has gone to a new one.
    return f"{entry.id}-{entry.added_at.isoformat()}"

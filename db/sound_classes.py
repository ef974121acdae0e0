"""Sounds that users have taught: the examples, and what they are to an encoder.

The examples are the user's work and belong to the class; they know their recordings by content.
What an encoder makes of them, a direction in the space of its vectors, can be made again from them.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import CatalogueError, UnknownName
from db.heard import forget_label
from db.schema import SoundClassRow, SoundDirectionRow, SoundExampleRow
from db.storing import now


@dataclass(frozen=True, slots=True)
class SoundExample:
    """A passage that a sound was taught by.

    Attributes
    ----------
    content_hash : str
        Of the file that it is in, whether that is in the catalogue or not.
    path : str
        Where the file lay at that time, an absolute path.
    from_s, to_s : float or None
        The part, in seconds; None: from the beginning, to the end.
    liked : bool
        True: this is the sound. False: this is not.
    """

    content_hash: str
    path: str
    from_s: float | None = None
    to_s: float | None = None
    liked: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class SoundClass:
    """A sound as one encoder hears it.

    Attributes
    ----------
    encoder : str
        The encoder's id.
    direction : ndarray, shape (dim,), float32
        Unit length; its inner product with a segment's vector says how much it is that sound.
    threshold : float
        Segments that reach this inner product count as the sound.
    kind : str
        How direction and threshold were made.
    examples : tuple of SoundExample
    """

    name: str
    encoder: str
    direction: NDArray[np.float32]
    threshold: float
    kind: str
    examples: tuple[SoundExample, ...]


@dataclass(frozen=True, slots=True)
class SoundClassInfo:
    """A sound that has been taught, without what encoders make of it.

    Attributes
    ----------
    encoders : tuple of str
        Those that it has been taught to.
    """

    name: str
    created_at: datetime
    encoders: tuple[str, ...]
    examples: tuple[SoundExample, ...]


def sound_classes(catalogue: Catalogue) -> list[SoundClassInfo]:
    """Return all sounds that have been taught, by name."""
    with catalogue.session() as session:
        rows = session.scalars(select(SoundClassRow).order_by(SoundClassRow.name))
        return [
            SoundClassInfo(
                row.name, row.created_at, _encoders(session, row), _examples(session, row)
            )
            for row in rows
        ]


def sound_class(catalogue: Catalogue, name: str, encoder: str) -> SoundClass:
    """Return a sound as an encoder hears it.

    Raises
    ------
    UnknownName
        If no such sound has been taught (the message lists those that have been), or not to this
        encoder.
    CatalogueError
        If what was stored is damaged.
    """
    with catalogue.session() as session:
        row = _row(session, name)
        found = session.get(SoundDirectionRow, (row.id, encoder))
        if found is None:
            held = ", ".join(_encoders(session, row)) or "no encoder"
            raise UnknownName(
                f"the sound {name!r} has been taught to {held}, not to {encoder}: "
                f"`echoic teach {name!r} --encoder {encoder}` teaches it from the same examples"
            )
        fault = _direction_fault(found)
        if fault is not None:
            raise CatalogueError(f"the sound {name!r}: {fault}; {_teach_again(name, encoder)}")
        direction = np.frombuffer(found.direction, dtype="<f4").astype(np.float32)
        return SoundClass(
            name, encoder, direction, found.threshold, found.kind, _examples(session, row)
        )


def sound_examples(catalogue: Catalogue, name: str) -> tuple[SoundExample, ...]:
    """Return the examples of a sound.

    Raises
    ------
    UnknownName
        If no such sound has been taught; the message lists those that have been.
    """
    with catalogue.session() as session:
        return _examples(session, _row(session, name))


def store_sound_class(catalogue: Catalogue, sound: SoundClass) -> None:
    """Store a sound, in place of what was stored under its name.

    If the examples are other ones than before, what other encoders made of the old ones goes.

    Raises
    ------
    CatalogueError
        If the name is blank, or the direction is not of unit length.
    """
    if not sound.name.strip():
        raise CatalogueError("a sound needs a name")
    direction = np.ascontiguousarray(sound.direction, dtype="<f4")
    if direction.ndim != 1 or not abs(float(np.linalg.norm(direction)) - 1.0) < 1e-3:
        raise CatalogueError(f"the direction of the sound {sound.name!r} is not of unit length")
    with catalogue.transaction(of_contents=False) as session:
        row = session.scalar(select(SoundClassRow).where(SoundClassRow.name == sound.name))
        if row is None:
            row = SoundClassRow(name=sound.name, created_at=now())
            session.add(row)
            session.flush()
        if _examples(session, row) != sound.examples:
            for table in (SoundExampleRow, SoundDirectionRow):
                session.execute(delete(table).where(table.class_id == row.id))
            session.add_all(_example_row(row.id, example) for example in sound.examples)
        session.merge(
            SoundDirectionRow(
                class_id=row.id,
                encoder=sound.encoder,
                kind=sound.kind,
                dim=len(direction),
                threshold=sound.threshold,
                checksum=zlib.crc32(direction.tobytes()),
                direction=direction.tobytes(),
                taught_at=now(),
            )
        )


def forget_sound_class(catalogue: Catalogue, name: str, *, vocabulary: str) -> int:
    """Forget a sound and its examples, and where it was heard.

    Parameters
    ----------
    vocabulary : str
        The vocabulary under which sounds that were taught are heard.

    Returns
    -------
    int
        Number of recordings in which it was heard.

    Raises
    ------
    UnknownName
        If no such sound has been taught.
    """
    with catalogue.transaction() as session:
        session.delete(_row(session, name))
        return forget_label(session, vocabulary, name)


def damaged_sounds(session: Session) -> Iterator[tuple[str, str]]:
    """Yield fault and remedy of each direction that is not what was stored."""
    query = select(SoundDirectionRow, SoundClassRow.name).join(SoundClassRow)
    for row, name in session.execute(query):
        fault = _direction_fault(row)
        if fault is not None:
            yield f"the sound {name!r}: {fault}", _teach_again(name, row.encoder)


def _direction_fault(row: SoundDirectionRow) -> str | None:
    if len(row.direction) != 4 * row.dim:
        return f"{len(row.direction)} bytes where a direction of {row.dim} should be"
    if zlib.crc32(row.direction) != row.checksum:
        return "its direction does not match its checksum"
    return None


def _teach_again(name: str, encoder: str) -> str:
    return f"`echoic teach {name!r} --encoder {encoder}` teaches it again from its examples"


def _row(session: Session, name: str) -> SoundClassRow:
    row = session.scalar(select(SoundClassRow).where(SoundClassRow.name == name))
    if row is None:
        names = session.scalars(select(SoundClassRow.name).order_by(SoundClassRow.name))
        known = ", ".join(names) or "none yet"
        raise UnknownName(f"no sound {name!r} has been taught (known: {known})")
    return row


def _encoders(session: Session, row: SoundClassRow) -> tuple[str, ...]:
    query = select(SoundDirectionRow.encoder).where(SoundDirectionRow.class_id == row.id)
    return tuple(session.scalars(query.order_by(SoundDirectionRow.encoder)))


def _examples(session: Session, row: SoundClassRow) -> tuple[SoundExample, ...]:
    query = select(SoundExampleRow).where(SoundExampleRow.class_id == row.id)
    return tuple(
        SoundExample(found.content_hash, found.path, found.from_s, found.to_s, found.liked)
        for found in session.scalars(query.order_by(SoundExampleRow.id))
    )


def _example_row(class_id: int, example: SoundExample) -> SoundExampleRow:
    return SoundExampleRow(
        class_id=class_id,
        liked=example.liked,
        content_hash=example.content_hash,
        path=example.path,
        from_s=example.from_s,
        to_s=example.to_s,
    )

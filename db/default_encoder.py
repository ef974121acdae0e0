"""Which encoder answers for a catalogue when none is named: what its users have chosen."""

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.schema import CatalogueInfo, EncoderRow

_KEY: Final = "default_encoder"


def default_encoder(catalogue: Catalogue) -> str | None:
    """Return the id of the encoder that was chosen; None if none was."""
    with catalogue.session() as session:
        row = session.get(CatalogueInfo, _KEY)
        return None if row is None else row.value


def store_default_encoder(catalogue: Catalogue, name: str | None) -> None:
    """Choose the encoder that answers from now on; None takes a choice back.

    Raises
    ------
    UnknownName
        If the catalogue holds no vectors by it: nothing could answer.
    """
    with catalogue.transaction(of_contents=False) as session:
        if name is None:
            session.execute(delete(CatalogueInfo).where(CatalogueInfo.key == _KEY))
            return
        held = list(session.scalars(select(EncoderRow.name).order_by(EncoderRow.id)))
        if name not in held:
            holds = ", ".join(held) or "none"
            raise UnknownName(
                f"the catalogue holds no vectors by {name} (it holds: {holds}): "
                f"`echoic index --encoder {name}` makes them"
            )
        session.merge(CatalogueInfo(key=_KEY, value=name))


def forget_default_encoder(session: Session, name: str) -> None:
    """Take the choice back if it is of an encoder whose vectors go."""
    chosen = (CatalogueInfo.key == _KEY) & (CatalogueInfo.value == name)
    session.execute(delete(CatalogueInfo).where(chosen))

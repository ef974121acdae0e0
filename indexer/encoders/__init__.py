"""The encoders that this Echoic knows, by id. Loading one imports only what it needs."""

from collections.abc import Callable

from indexer.encoders.base import Anchors, Encoder, Law, Laws
from indexer.errors import EncoderError

DEFAULT_ENCODER = "echoic-mini/2"


def _load_echoic_mini() -> Encoder:
    from indexer.encoders.echoic_mini import EchoicMini

    return EchoicMini()


ENCODERS: dict[str, Callable[[], Encoder]] = {"echoic-mini/2": _load_echoic_mini}
"""One loader an encoder id."""


def encoder_id(name: str) -> str:
    """Return the full id for a name that may lack its version, as ``echoic-mini``.

    Raises
    ------
    EncoderError
        If this Echoic has no such encoder; the message lists those it has.
    """
    if name in ENCODERS:
        return name
    of_family = [id_ for id_ in ENCODERS if id_.split("/", 1)[0] == name]
    if not of_family:
        known = ", ".join(ENCODERS)
        raise EncoderError(f"there is no encoder {name!r} in this Echoic (known: {known})")
    return of_family[-1]


def load_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """Load an encoder by its id.

    Raises
    ------
    EncoderError
        If it is unknown, or its files are missing or damaged.
    """
    return ENCODERS[encoder_id(name)]()


__all__ = [
    "DEFAULT_ENCODER",
    "ENCODERS",
    "Anchors",
    "Encoder",
    "Law",
    "Laws",
    "encoder_id",
    "load_encoder",
]

"""The encoders that this Echoic has, by id. Loading one imports only what it needs.

One comes with Echoic; others are installed as model packages, see `indexer.encoders.packages`.
"""

from collections.abc import Callable, Collection, Sequence

from indexer.encoders.base import Anchors, Encoder, Law, Laws, ShippedCalibration
from indexer.encoders.packages import ModelPackage, damaged, installed, package_folder, read_package
from indexer.errors import EncoderError

DEFAULT_ENCODER = "echoic-mini/2"
"""The one that comes with Echoic."""

LAION_CLAP = "laion-clap"
"""The family whose packages can be installed."""

_PREFERRED = {LAION_CLAP: "laion-clap/htsat-unfused"}
"""What the name of a family alone means where several of it are installed."""


def _load_echoic_mini() -> Encoder:
    from indexer.encoders.echoic_mini import EchoicMini

    return EchoicMini()


def _load_laion_clap(package: ModelPackage) -> Encoder:
    from indexer.encoders.laion_clap import LaionClap

    return LaionClap(package)


_BUNDLED: dict[str, Callable[[], Encoder]] = {DEFAULT_ENCODER: _load_echoic_mini}
_FAMILIES: dict[str, Callable[[ModelPackage], Encoder]] = {LAION_CLAP: _load_laion_clap}


def known_encoders() -> tuple[str, ...]:
    """Return the ids of all encoders that can be loaded: the bundled one, then installed ones."""
    packages = (package.id for package in installed())
    return (*_BUNDLED, *(id_ for id_ in packages if _family(id_) in _FAMILIES))


def encoder_id(name: str, held: Collection[str] = ()) -> str:
    """Return the full id for a name that may lack its version, as ``echoic-mini``.

    Parameters
    ----------
    name
    held
        The encoders whose vectors a catalogue holds. The name of a family means one of these, if
        there is one: it must mean the same to whatever embeds, searches, draws and chooses.

    Raises
    ------
    EncoderError
        If this Echoic has no such encoder, or several of the family; the message lists those it
        has and says how to get others.
    """
    known = known_encoders()
    used = [id_ for id_ in known if id_ in held]
    found = named_among(name, used) or named_among(name, known)
    if found is None:
        has = f"known: {', '.join(known)}"
        raise EncoderError(f"there is no encoder {name!r} in this Echoic ({has}){_advice(name)}")
    return found


def named_among(name: str, ids: Sequence[str]) -> str | None:
    """Return which of some encoders an id or the name of a family means; None if none of them.

    Raises
    ------
    EncoderError
        If it may be several.
    """
    if name in ids:
        return name
    of_family = [id_ for id_ in ids if _family(id_) == name]
    if _PREFERRED.get(name) in of_family:
        return _PREFERRED[name]
    if len(of_family) > 1:
        raise EncoderError(
            f"there are several encoders {name!r}: name one of {', '.join(of_family)}"
        )
    return of_family[0] if of_family else None


def load_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """Load an encoder by its id.

    Raises
    ------
    EncoderError
        If it is unknown, or its files are missing or damaged.
    """
    id_ = encoder_id(name)
    if id_ in _BUNDLED:
        return _BUNDLED[id_]()
    return _FAMILIES[_family(id_)](read_package(package_folder(id_)))


def can_be_installed(name: str) -> bool:
    """Tell whether `echoic models install` can bring an encoder, or one of a family."""
    from indexer.encoders.published import AVAILABLE

    return any(name in (published.id, _family(published.id)) for published in AVAILABLE)


def _family(id_: str) -> str:
    return id_.partition("/")[0]


def _advice(name: str) -> str:
    faults = [fault for folder, fault in damaged() if f"{folder.parent.name}/{folder.name}" == name]
    if faults:
        return f": {faults[0]}"
    return f": `echoic models install {name}` gets it" if can_be_installed(name) else ""


__all__ = [
    "DEFAULT_ENCODER",
    "LAION_CLAP",
    "Anchors",
    "Encoder",
    "Law",
    "Laws",
    "ShippedCalibration",
    "can_be_installed",
    "encoder_id",
    "known_encoders",
    "load_encoder",
    "named_among",
]

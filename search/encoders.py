"""Which encoder answers for a catalogue, and what to say when none can.

The vectors of a catalogue outlive the encoder that made them: a newer Echoic has newer weights,
under another id. Vectors of two encoders are never compared.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from db.catalogue import Catalogue
from db.default_encoder import default_encoder
from db.overview import count_without_vectors
from indexer.encoders import (
    DEFAULT_ENCODER,
    Encoder,
    can_be_installed,
    encoder_id,
    known_encoders,
    load_encoder,
)
from indexer.errors import EncoderError
from search.errors import QueryError


def encoder_for(catalogue: Catalogue, name: str | None = None) -> Encoder:
    """Load the encoder that is to answer for a catalogue.

    Parameters
    ----------
    name
        Its id or family name. By default that which was chosen for the catalogue; else the bundled
        one if the catalogue holds its vectors, else the oldest there that this Echoic has.

    Raises
    ------
    EncoderError
        If this Echoic does not have the encoder, or none that made vectors of the catalogue.
    QueryError
        If nothing has been indexed yet, or not by the encoder that is named.
    """
    return load_encoder(answering(catalogue, name))


def answering(catalogue: Catalogue, name: str | None = None) -> str:
    """Return the id of the encoder that is to answer for a catalogue, without loading it.

    Its parameters and errors are those of `encoder_for`.
    """
    held = [encoder.name for encoder in catalogue.encoders()]
    if name is None and not held:
        raise QueryError("nothing has been indexed yet: `echoic index FOLDER` does that")
    if name is not None:
        return _named(name, held, known_encoders())
    chosen = default_encoder(catalogue)
    if chosen is not None:
        with _choice(chosen):
            return _named(chosen, held, known_encoders())
    found = usual(held)
    if found is None:
        raise EncoderError(_not_here(held))
    return found


def usual(held: Sequence[str]) -> str | None:
    """Return which of the encoders of a catalogue answers where none was chosen; None if none can.

    It is the bundled one, else the oldest there that this Echoic has.
    """
    here = known_encoders()
    known = [encoder for encoder in held if encoder in here]
    if DEFAULT_ENCODER in known:
        return DEFAULT_ENCODER
    return known[0] if known else None


def _named(name: str, held: Sequence[str], here: Sequence[str]) -> str:
    """Return the id of the encoder that is meant by a name."""
    id_ = name if name in held else encoder_id(name, held)
    if id_ not in here:
        raise EncoderError(_not_here([id_]))
    if held and not any(encoder in here for encoder in held):
        raise EncoderError(_not_here(held))
    return id_


def embedding(catalogue: Catalogue, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the ids of the encoders that are to embed what is indexed into a catalogue.

    Parameters
    ----------
    names
        Ids or family names. By default the one that was chosen for the catalogue, else the bundled
        one.

    Raises
    ------
    EncoderError
        If this Echoic does not have one of them.
    """
    if names:
        held = [encoder.name for encoder in catalogue.encoders()]
        return tuple(dict.fromkeys(encoder_id(name, held) for name in names))
    chosen = default_encoder(catalogue)
    if chosen is None:
        return (DEFAULT_ENCODER,)
    with _choice(chosen):
        return (encoder_id(chosen),)


@contextmanager
def _choice(chosen: str) -> Iterator[None]:
    """Have an error say how to take the choice back that leads to it."""
    try:
        yield
    except EncoderError as error:
        raise EncoderError(
            f"{error}; {chosen} was chosen for this catalogue, "
            "`echoic models default --unset` takes that back"
        ) from error


def notes_on_vectors(catalogue: Catalogue, encoder: str) -> list[str]:
    """Say what an encoder cannot find because it has not embedded it yet."""
    n_lacking = count_without_vectors(catalogue, encoder)
    if not n_lacking:
        return []
    have = "recording has" if n_lacking == 1 else "recordings have"
    return [
        f"{n_lacking:,} {have} no vectors by {encoder} and cannot be found by sound: "
        f"`echoic index --encoder {encoder}` makes them"
    ]


def _not_here(names: Sequence[str]) -> str:
    """Say that vectors are by encoders that this Echoic does not have, and what to do."""
    here = ", ".join(known_encoders())
    forget = ", ".join(f"`echoic forget --encoder {name}`" for name in names)
    install = [name for name in names if can_be_installed(name)]
    again = "".join(f"`echoic models install {name}` brings it back; " for name in install)
    family = DEFAULT_ENCODER.partition("/")[0]
    return (
        f"the vectors of this catalogue are by {', '.join(names)}, which this Echoic does not have "
        f"(it has: {here}), so they cannot be searched: {again}`echoic index --encoder {family}` "
        f"makes new ones of all that is indexed; the old ones stay until {forget}"
    )

"""Which encoder answers for a catalogue, and what to say when none can.

The vectors of a catalogue outlive the encoder that made them: a newer Echoic has newer weights,
under another id. Vectors of two encoders are never compared.
"""

from collections.abc import Sequence

from db.catalogue import Catalogue
from db.overview import count_without_vectors
from indexer.encoders import DEFAULT_ENCODER, ENCODERS, Encoder, encoder_id, load_encoder
from indexer.errors import EncoderError
from search.errors import QueryError


def encoder_for(catalogue: Catalogue, name: str | None = None) -> Encoder:
    """Load the encoder that is to answer for a catalogue.

    Parameters
    ----------
    name
        Its id or family name. By default the bundled one if the catalogue holds its vectors, else
        the oldest there that this Echoic has.

    Raises
    ------
    EncoderError
        If this Echoic does not have the encoder, or none that made vectors of the catalogue.
    QueryError
        If nothing has been indexed yet.
    """
    held = [encoder.name for encoder in catalogue.encoders()]
    known = [encoder for encoder in held if encoder in ENCODERS]
    if name is None and not held:
        raise QueryError("nothing has been indexed yet: `echoic index FOLDER` does that")
    wanted = name if name is None or name in held else encoder_id(name)
    if wanted in held and wanted not in known:
        raise EncoderError(_not_here([wanted]))
    if held and not known:
        raise EncoderError(_not_here(held))
    if wanted is None:
        wanted = DEFAULT_ENCODER if DEFAULT_ENCODER in known else known[0]
    return load_encoder(wanted)


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
    family = DEFAULT_ENCODER.partition("/")[0]
    forget = ", ".join(f"`echoic forget --encoder {name}`" for name in names)
    return (
        f"the vectors of this catalogue are by {', '.join(names)}, which this Echoic does not have "
        f"(it has: {', '.join(ENCODERS)}), so they cannot be searched: `echoic index --encoder "
        f"{family}` makes new ones of all that is indexed; the old ones stay until {forget}"
    )

"""What recordings can be filtered by, and how each field is compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What a field holds, and so how it is compared.

    Upper and lower case, accents and the signs between words never matter.
    """

    NUMBER = "number"
    """Compared with `db.conditions.Range`."""
    DATE = "date"
    """Compared with `db.conditions.Range` of ISO dates, whole or in part: ``1962``, ``1962-05``."""
    TEXT = "text"
    """Holds whole words; several of them in this order. ``*`` at the end: words that begin so."""
    CHOICE = "choice"
    """The whole value. ``*`` at the end: values that begin so."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something that is known of a recording and that a condition can ask for.

    Attributes
    ----------
    name : str
    kind : Kind
    help : str
        One line: what it holds and, where that is not plain from the kind, how it is compared.
    unit : str
        Of numbers; empty if they have none.
    measured : bool
        A number that is hardly ever whole or round, so that nobody means a single value exactly:
        the query language takes ``duration:10`` for all that round to it.
    values : tuple of str
        All that there are, where that is the same in every catalogue.
    """

    name: str
    kind: Kind
    help: str
    unit: str = ""
    measured: bool = False
    values: tuple[str, ...] = ()


HAS: Final = (
    "tags",
    "title",
    "description",
    "creator",
    "licence",
    "recorded",
    "category",
    "tempo",
    "key",
    "warnings",
    "fingerprint",
    "heard",
    "copies",
)
"""What the field ``has`` can ask for; ``copies``: lies in several files."""


def _text(name: str, help_: str) -> Field:
    return Field(name, Kind.TEXT, help_)


def _choice(name: str, help_: str, values: tuple[str, ...] = ()) -> Field:
    return Field(name, Kind.CHOICE, help_, values=values)


def _number(name: str, help_: str, unit: str = "", *, measured: bool = False) -> Field:
    return Field(name, Kind.NUMBER, help_, unit, measured)


_ALL = (
    _text("text", "words in name, folder, title, tags, description or any other text about it"),
    _text("path", "words in the path below the collection's folder, as animals/dog"),
    _text("name", "words in the file name; DogBark_03.wav holds dog, bark, dogbark and 03"),
    _text("title", "words in the title"),
    _text("description", "words in the description"),
    _text("creator", "words in the name of who made it"),
    _text("licence", "words in the licence: by finds CC BY 4.0 and CC BY-NC 4.0"),
    _choice("tag", "one of its tags, the whole tag; rain* finds raindrops too"),
    _choice("category", "category of the Universal Category System, the whole name"),
    _choice("subcategory", "subcategory of the Universal Category System, the whole name"),
    _choice("collection", "name of the collection that it lies in"),
    _choice("format", "kind of file: WAV, FLAC, MP3 ..."),
    _choice("codec", "how samples are coded: PCM_16, VORBIS ...; pcm* finds all PCM"),
    Field("recorded", Kind.DATE, "date of recording; of 1962 alone nobody knows whether it is May"),
    Field("indexed", Kind.DATE, "date of its first indexing, in UTC"),
    _number("duration", "length", "s", measured=True),
    _number("samplerate", "sample rate", "Hz"),
    _number("channels", "number of channels"),
    _number("bitdepth", "bits of a sample, where the codec has them", "bit"),
    _number("size", "size of the file", "bytes"),
    _number("loudness", "integrated loudness (EBU R 128)", "LUFS", measured=True),
    _number("peak", "highest sample", "dBFS", measured=True),
    _number("silence", "share of it that is silent, 0 to 1", measured=True),
    _number(
        "centroid", "spectral centroid, where the middle of the spectrum lies", "Hz", measured=True
    ),
    _number("flatness", "spectral flatness: 0 is a tone, 1 white noise", measured=True),
    _number("tempo", "tempo", "BPM", measured=True),
    _number("onsets", "onsets per second", "1/s", measured=True),
    _choice("key", "musical key: Am, A minor, Bb, F# major"),
    _number("id", "number of the recording in the catalogue"),
    _choice("heard", "a sound that was heard in it (`echoic tag`), the whole name"),
    _choice("has", "whether something is known of it: " + ", ".join(HAS), HAS),
)

FIELDS: Final[Mapping[str, Field]] = MappingProxyType({field.name: field for field in _ALL})
"""All fields by name, in the order in which people should read of them."""

OTHER_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType({"license": "licence"})
"""Names of fields as they are written elsewhere, and here."""

FACETS: Final = (
    "tag",
    "category",
    "subcategory",
    "collection",
    "format",
    "codec",
    "samplerate",
    "channels",
    "bitdepth",
    "licence",
    "creator",
    "key",
    "heard",
)
"""The fields whose values are worth counting."""

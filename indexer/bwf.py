"""What Broadcast WAV files say of themselves: the chunks bext, iXML and LIST INFO.

References
----------
EBU Tech 3285 (bext); ixml.info (iXML 3.0); Microsoft, "Multimedia Programming Interface and Data
Specifications", 1991 (INFO).
"""

import struct
from collections.abc import Iterator
from xml.etree import ElementTree

from db.storage import AnyFile
from indexer.riff import chunks, read_chunk

_LIMIT = 1 << 20  # 1 MB: more text than that in one chunk is damage

_INFO = {
    b"INAM": "title",
    b"ISBJ": "description",
    b"ICMT": "comment",
    b"IART": "artist",
    b"ICOP": "copyright",
    b"ICRD": "date",
    b"IGNR": "genre",
    b"IKEY": "keywords",
    b"IPRD": "album",
    b"ISRC": "source",
    b"IENG": "engineer",
    b"ITCH": "digitised_by",
    b"ISFT": "software",
    b"IMED": "medium",
    b"IARL": "archival_location",
}

# iXML's own names, and those that sound-effects software adds under USER and ASWG.
_IXML = {
    "PROJECT": "project",
    "SCENE": "scene",
    "TAKE": "take",
    "TAPE": "tape",
    "NOTE": "note",
    "TRACKTITLE": "title",
    "FXNAME": "title",
    "DESCRIPTION": "description",
    "KEYWORDS": "keywords",
    "CATEGORY": "category",
    "SUBCATEGORY": "subcategory",
    "CATID": "catid",
    "DESIGNER": "creator",
    "RECORDIST": "creator",
    "ARTIST": "creator",
    "LIBRARY": "library",
    "MICROPHONE": "microphone",
    "MICPERSPECTIVE": "mic_perspective",
    "LOCATION": "location",
    "LOCATION_NAME": "location",
    "LOCATION_GPS": "location_gps",
    "SHOW": "show",
    "RELEASEDATE": "release_date",
}


def read_bwf(path: AnyFile, *, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the named texts of a WAV, RF64 or BW64 file; of others, nothing.

    Parameters
    ----------
    path : Path or RemoteFile
    warnings : list of str
        Where damage is noted.

    Yields
    ------
    (str, str)
        Name and text, the more deliberate chunk first: iXML, bext, INFO.
    """
    held: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            for chunk in chunks(file):
                if chunk.name in (b"iXML", b"bext", b"LIST"):
                    data = read_chunk(file, chunk, limit=_LIMIT)
                    kind = data[:4] if chunk.name == b"LIST" else chunk.name
                    held.setdefault(kind.decode("latin-1"), data)
    except OSError as error:
        warnings.append(f"its chunks could not be read: {error.strerror}")
        return
    if data := held.get("iXML", b""):
        yield from _ixml(data, warnings)
    if data := held.get("bext", b""):
        yield from _bext(data, warnings)
    if data := held.get("INFO", b""):
        yield from _info(data)


def _text(data: bytes) -> str:
    """Decode text up to its NUL. Old recorders write Latin-1, new ones UTF-8, none say so."""
    data = data.split(b"\0", 1)[0]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _bext(data: bytes, warnings: list[str]) -> Iterator[tuple[str, str]]:
    if len(data) < 602:
        warnings.append(f"bext: {len(data)} bytes where 602 belong")
        data = data.ljust(602, b"\0")
    description, originator, reference, day, time = struct.unpack_from("<256s32s32s10s8s", data)
    yield "description", _text(description)
    yield "originator", _text(originator)
    yield "originator_reference", _text(reference)
    yield "recorded_at", _text(day)
    yield "recorded_time", _text(time)
    yield "coding_history", _text(data[602:])


def _info(data: bytes) -> Iterator[tuple[str, str]]:
    position = 4
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name in _INFO:
            yield _INFO[name], _text(data[position + 8 : position + 8 + size])
        position += 8 + size + size % 2


def _ixml(data: bytes, warnings: list[str]) -> Iterator[tuple[str, str]]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        warnings.append("iXML: declares entities, which iXML has no use for; not read")
        return
    try:
        root = ElementTree.fromstring(data.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        warnings.append(f"iXML: damaged: {error}")
        return
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2].upper()
        if name in _IXML and element.text and len(element) == 0:
            yield _IXML[name], element.text

"""The tags of audio files, whatever their format calls them."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import mutagen
from mutagen.asf import ASFTags
from mutagen.id3 import ID3
from mutagen.mp4 import MP4Tags

from db.storage import AnyFile

# mutagen parses what anybody may have written; these are what its parsers raise on damage.
_DAMAGE = (
    mutagen.MutagenError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    struct.error,
)

_ID3 = {
    "TIT1": "grouping",
    "TIT2": "title",
    "TIT3": "subtitle",
    "TPE1": "artist",
    "TPE2": "album_artist",
    "TCOM": "composer",
    "TALB": "album",
    "TRCK": "track",
    "TDRC": "date",
    "TDOR": "originaldate",
    "TYER": "year",
    "TCON": "genre",
    "TCOP": "copyright",
    "TPUB": "publisher",
    "TLAN": "language",
    "TMED": "medium",
    "TSRC": "isrc",
}
_MP4 = {
    "\xa9nam": "title",
    "\xa9ART": "artist",
    "aART": "album_artist",
    "\xa9wrt": "composer",
    "\xa9alb": "album",
    "\xa9day": "date",
    "\xa9gen": "genre",
    "\xa9cmt": "comment",
    "\xa9grp": "grouping",
    "desc": "description",
    "ldes": "description",
    "cprt": "copyright",
    "keyw": "keywords",
}
_ASF = {
    "author": "artist",
    "wm/albumtitle": "album",
    "wm/albumartist": "album_artist",
    "wm/year": "year",
    "wm/genre": "genre",
    "wm/composer": "composer",
    "wm/publisher": "publisher",
    "wm/subtitle": "subtitle",
    "wm/tracknumber": "track",
}
# Bulk and noise: pictures, names of encoders, identifiers of other programs' databases.
_SKIPPED = (
    "metadata_block_picture",
    "coverart",
    "replaygain",
    "musicbrainz",
    "acoustid",
    "itun",
    "encod",
)


def read_tags(path: AnyFile, *, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the tags of a file as named texts; pictures are left out.

    Parameters
    ----------
    path : Path or RemoteFile
        Opened read-only.
    warnings : list of str
        Where damage is noted: damaged tags never fail a recording.

    Yields
    ------
    (str, str)
        Name in lower case (``"title"``, ``"artist"``, ``"album"`` ...) and text.
    """
    try:
        with path.open("rb") as file:
            opened = mutagen.File(file, options=None)
            pairs = list(_pairs(opened.tags)) if opened is not None and opened.tags else []
    except _DAMAGE as error:
        warnings.append(f"its tags are damaged: {error or type(error).__name__}")
        return
    for name, text in pairs:
        key = name.casefold()
        if text and not key.startswith(_SKIPPED):
            yield "publisher" if key == "label" else key, text  # a record label is no tag


def _pairs(tags: Any) -> Iterable[tuple[str, str]]:
    if isinstance(tags, ID3):
        return _id3(tags)
    if isinstance(tags, MP4Tags):
        return _mp4(tags)
    if isinstance(tags, ASFTags):
        return ((_ASF.get(key.casefold(), key), str(value)) for key, value in tags)
    return _plain(tags)


def _id3(tags: Any) -> Iterator[tuple[str, str]]:
    for frame in tags.values():
        kind = frame.FrameID
        if kind in _ID3:
            texts = frame.genres if kind == "TCON" else frame.text
            for text in texts:
                yield _ID3[kind], str(text)
        elif kind == "TXXX":
            yield frame.desc, "; ".join(str(text) for text in frame.text)
        elif kind == "COMM":
            # iTunes keeps its normalisation and gapless data in comments.
            name = frame.desc if frame.desc and frame.desc.casefold() != "comment" else "comment"
            yield name, "\n".join(str(text) for text in frame.text)
        elif kind == "WCOP":
            yield "licence", str(frame.url)


def _mp4(tags: Any) -> Iterator[tuple[str, str]]:
    for key, values in tags.items():
        if key.startswith("----:"):
            texts = [bytes(value).decode("utf-8", "replace") for value in values]
            yield key.rpartition(":")[2], "; ".join(texts)
        elif key in _MP4:
            for value in values if isinstance(values, list) else [values]:
                yield _MP4[key], str(value)


def _plain(tags: Any) -> Iterator[tuple[str, str]]:
    """Vorbis comments and APE tags: names are free, texts are texts."""
    for key in dict.fromkeys(str(key).casefold() for key in tags.keys()):  # noqa: SIM118
        value = tags[key]
        kind = getattr(value, "kind", 0)
        if kind:  # an APE tag that is binary or an address of one
            continue
        for text in value if isinstance(value, list) else str(value).split("\0"):
            yield key, str(text)

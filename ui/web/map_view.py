"""The map as the browser gets it: points in one compact piece, names when somebody asks for them.

The piece begins with ``ECHOMAP1``, the number of points and zero (uint32 each); then come the ids
(uint32), the places (two uint16 each, 65535 being one unit) and the groups (uint8, 255 for none).
All numbers are little-endian. A hundred thousand recordings are 900 kB.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.filters import RecordingFilter
from db.groups import Groups, groups_of
from search.archive_map import MapPoints
from ui.commands.common import duration_text
from ui.components.map import MOST_GROUPS
from ui.web.archive import Archive
from ui.web.texts import place_of, title_of

COLOURS = {
    "heard": "What is heard",
    "category": "Category",
    "tag": "Tags",
    "collection": "Collection",
    "creator": "Made by",
    "licence": "Licence",
    "format": "Format",
    "channels": "Channels",
    "key": "Key",
    "none": "None",
}
"""What points can be coloured by: fields, and nothing."""

_LEAST_COLOURED = 1 / 3

_MAGIC = b"ECHOMAP1"
_NONE = 255
_PLAYED_S = 8.0
"""As much is played of a recording that the pointer is on."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A map with its colours.

    Attributes
    ----------
    groups : tuple of (str, int)
        Label and size of each colour.
    content : bytes
        What the browser gets.
    """

    points: MapPoints
    groups: tuple[tuple[str, int], ...]
    content: bytes

    def address(self, field: str) -> str:
        """Return where the browser gets it from; another one for other content."""
        return f"/map/points.bin?{urlencode({'by': field, 'v': f'{zlib.crc32(self.content):08x}'})}"


def drawing(served: Archive, field: str) -> Drawing | None:
    """Return the map with its points coloured by one of `COLOURS`; None if none was drawn.

    Raises
    ------
    MapError
        If nothing has been indexed yet, or the map is damaged.
    ConditionError
        If recordings cannot be grouped by this field.
    """
    points = served.map.points()
    if points is None:
        return None
    groups = _groups(served.catalogue, field, points.recordings)
    codes = np.where(groups.codes < 0, _NONE, groups.codes)
    content = b"".join(
        (
            struct.pack("<8sII", _MAGIC, len(codes), 0),
            points.recordings.astype("<u4").tobytes(),
            np.rint(np.clip(points.places, 0, 1) * 65535).astype("<u2").tobytes(),
            codes.astype(np.uint8).tobytes(),
        )
    )
    return Drawing(points, tuple(zip(groups.labels, groups.sizes.tolist(), strict=True)), content)


def fields_that_differ(catalogue: Catalogue) -> list[str]:
    """Return the fields of `COLOURS` that have several values in an archive, then ``none``."""
    fields = tuple(field for field in COLOURS if field != "none")
    counts = RecordingFilter(catalogue).facets(None, fields, limit=2)
    return [*(field for field in fields if len(counts[field]) > 1), "none"]


def field_that_tells(catalogue: Catalogue, fields: Sequence[str]) -> str:
    """Return the first field that gives a colour to a good part of an archive; else ``none``."""
    ids = catalogue.columns().ids
    for field in fields:
        if np.mean(_groups(catalogue, field, ids).codes >= 0) >= _LEAST_COLOURED:
            return field
    return "none"


def _groups(catalogue: Catalogue, field: str, recording_ids: NDArray[np.int64]) -> Groups:
    if field == "none":
        return Groups((), np.full(len(recording_ids), -1, dtype=np.int64))
    return groups_of(catalogue, field, recording_ids, limit=MOST_GROUPS)


def names(served: Archive, recording_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return what the browser says of points, and which passages it plays.

    Recordings that are not there, or not on the map, are left out.
    """
    points = served.map.points()
    if points is None:
        return []
    known = served.catalogue.recordings(recording_ids)
    found = []
    for id_, at in zip(
        recording_ids, np.searchsorted(points.recordings, recording_ids), strict=True
    ):
        if id_ not in known or at == len(points.recordings) or points.recordings[at] != id_:
            continue
        duration_s = known[id_].technical.duration_s
        from_s, to_s = _played(float(points.onsets_s[at]), duration_s)
        found.append(
            {
                "id": id_,
                "title": title_of(known[id_]),
                "about": f"{place_of(known[id_])} · {duration_text(duration_s)}",
                "sound": f"/sound/recording/{id_}",
                "version": known[id_].content_hash[-8:],
                "page": f"/recording?id={id_}",
                "from": round(from_s, 3),
                "to": round(to_s, 3),
            }
        )
    return found


def _played(onset_s: float, duration_s: float) -> tuple[float, float]:
    """Return the passage that stands for a recording: all of it if it is short."""
    if duration_s <= _PLAYED_S:
        return 0.0, max(duration_s, 0.01)
    from_s = max(0.0, min(onset_s, duration_s - _PLAYED_S))
    return from_s, from_s + _PLAYED_S


def within(recording_ids: Sequence[int]) -> str:
    """Return the condition of the query language that lets just these recordings through."""
    spans: list[list[int]] = []
    for id_ in sorted(recording_ids):
        if spans and id_ == spans[-1][1] + 1:
            spans[-1][1] = id_
        else:
            spans.append([id_, id_])
    texts = (f"{first}" if first == last else f"{first}..{last}" for first, last in spans)
    return f"id:{','.join(texts)}"

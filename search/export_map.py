"""The map of an archive as plain values, and as CSV."""

import csv
from collections.abc import Iterator
from typing import Any, TextIO

from db.catalogue import Catalogue
from search.archive_map import MapPoints
from search.export import first_place, full_path

MAP_COLUMNS = ("recording_id", "path", "x", "y", "onset_s", "new")

_AT_ONCE = 1_000


def map_rows(catalogue: Catalogue, points: MapPoints) -> Iterator[dict[str, Any]]:
    """Yield each recording of a map as plain values, by `MAP_COLUMNS`.

    ``x`` and ``y`` lie between 0 and 1. ``onset_s`` is where the passage begins that is most like
    all of the recording. ``new`` is true of those that came after the map was drawn.
    """
    for start in range(0, len(points.recordings), _AT_ONCE):
        ids = points.recordings[start : start + _AT_ONCE].tolist()
        known = catalogue.recordings(ids)
        for at, id_ in enumerate(ids, start=start):
            recording = known.get(id_)
            file = first_place(recording) if recording else None
            yield {
                "recording_id": id_,
                "path": full_path(file) if file else None,
                "x": round(float(points.places[at, 0]), 6),
                "y": round(float(points.places[at, 1]), 6),
                "onset_s": round(float(points.onsets_s[at]), 3),
                "new": bool(points.is_new[at]),
            }


def write_map_csv(catalogue: Catalogue, points: MapPoints, stream: TextIO) -> None:
    """Write a map as CSV, one row a recording."""
    table = csv.DictWriter(stream, MAP_COLUMNS)
    table.writeheader()
    table.writerows(map_rows(catalogue, points))

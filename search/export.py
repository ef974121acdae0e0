"""Hits as plain values, and as CSV."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from search.hits import Hit

COLUMNS = (
    "rank",
    "score",
    "onset_s",
    "offset_s",
    "path",
    "collection",
    "title",
    "duration_s",
    "recording_id",
    "content_hash",
    "licence",
    "creator",
)


def hit_values(hit: Hit, rank: int) -> dict[str, Any]:
    """Return a hit as plain values: numbers, strings, lists; for JSON and tables.

    Times are in seconds from the start of the recording. ``path`` is the first place where the
    recording lies, present ones before missing ones; ``paths`` has all.
    """
    recording = hit.recording
    # Present before missing; of these, one that is there now, should a whole folder have moved.
    there = (file for file in recording.files if os.path.exists(Path(file.root) / file.path))  # noqa: PTH110
    file = next(there, recording.files[0] if recording.files else None)
    best = hit.passages[0] if hit.passages else None
    return {
        "rank": rank,
        "score": round(hit.score, 4),
        "onset_s": round(best.onset_s, 3) if best else None,
        "offset_s": round(best.offset_s, 3) if best else None,
        "path": str(Path(file.root) / file.path) if file else None,
        "collection": file.collection if file else None,
        "title": file.description.title if file else None,
        "duration_s": round(recording.technical.duration_s, 3),
        "recording_id": recording.id,
        "content_hash": recording.content_hash,
        "licence": file.description.licence if file else None,
        "creator": file.description.creator if file else None,
        "missing": bool(file and file.missing_since),
        "paths": [str(Path(file.root) / file.path) for file in recording.files],
        "passages": [
            {
                "onset_s": round(passage.onset_s, 3),
                "offset_s": round(passage.offset_s, 3),
                "score": round(passage.score, 4),
            }
            for passage in hit.passages
        ],
    }


def write_csv(hits: Iterable[Hit], stream: TextIO) -> None:
    """Write hits as CSV, one row each, with the time of the best passage.

    Columns are those of `COLUMNS`; UTF-8 is the caller's business.
    """
    table = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
    table.writeheader()
    for rank, hit in enumerate(hits, start=1):
        table.writerow(hit_values(hit, rank))

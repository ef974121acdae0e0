"""CSV and JSON lines: everything that is known of the hits."""

import csv
import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from search.export.clips import ExportOptions
from search.export.text import utf8
from search.export.values import hit_values
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
    "missing",
    "strength",
    "found_by",
    "passage",
    "passage_score",
    "n_copies",
    "note",
)

# JSON may hold these; what reads line by line may take them for the end of a line.
_LINE_ENDS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "\x85\u2028\u2029"}


def write_csv(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write one row for each passage, one for a hit without any.

    Columns are those of `COLUMNS`. ``score`` is the hit's; ``passage`` counts from 1, the best, so
    that the rows whose passage is not above 1 are the hits.

    References
    ----------
    RFC 4180: Common Format and MIME Type for Comma-Separated Values Files. In UTF-8.
    """
    with utf8(stream) as text:
        table = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        table.writeheader()
        for rank, hit in enumerate(hits, start=1):
            table.writerows(_rows(hit, rank))
    return []


def write_json_lines(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write one line of JSON for each hit, with the values of `hit_values` and the hit's note.

    References
    ----------
    https://jsonlines.org
    """
    for rank, hit in enumerate(hits, start=1):
        values = hit_values(hit, rank) | {"note": hit.note}
        line = json.dumps(values, ensure_ascii=False).translate(_LINE_ENDS)
        stream.write(f"{line}\n".encode())
    return []


def _rows(hit: Hit, rank: int) -> list[dict[str, Any]]:
    values = hit_values(hit, rank)
    values |= {
        "found_by": " ".join(values["found_by"]),
        "n_copies": len(values["copies"]),
        "note": hit.note,
    }
    return [
        {
            **values,
            "onset_s": passage["onset_s"],
            "offset_s": passage["offset_s"],
            "passage": number,
            "passage_score": passage["score"],
        }
        for number, passage in enumerate(values["passages"], start=1)
    ] or [values]

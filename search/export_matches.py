"""Matches of fingerprints as plain values, and as CSV."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from db.records import RecordingInfo
from search.export import recording_values
from search.fingerprints import Match

MATCH_COLUMNS = (
    "query",
    "query_onset_s",
    "query_offset_s",
    "onset_s",
    "offset_s",
    "path",
    "speed",
    "pitch",
    "score",
    "p_false",
    "collection",
    "title",
    "duration_s",
    "recording_id",
    "content_hash",
    "licence",
    "creator",
    "missing",
    "identical",
    "error",
    "too_little",
    "unread",
    "warnings",
)


def match_values(match: Match) -> dict[str, Any]:
    """Return a match as plain values, for JSON and tables.

    ``onset_s`` and ``offset_s`` are seconds from the start of the recording, ``query_onset_s`` and
    ``query_offset_s`` from the start of the query's file.
    """
    return {
        "query_onset_s": round(match.query_onset_s, 3),
        "query_offset_s": round(match.query_offset_s, 3),
        "onset_s": round(match.onset_s, 3),
        "offset_s": round(match.offset_s, 3),
        "speed": round(match.speed, 4),
        "pitch": round(match.pitch, 4),
        "score": round(match.score, 2),
        "p_false": float(f"{match.p_false:.3g}"),
        **recording_values(match.recording),
    }


class MatchTable:
    """Writes matches as CSV, one row each, query by query; every query has a row.

    Columns are those of `MATCH_COLUMNS`; UTF-8 is the caller's business. ``identical`` says whether
    the recording is the very file asked about, ``too_little`` why nothing could be found in one,
    ``unread`` how many recordings that may match could not be read, ``warnings`` what is wrong with
    the query, in each row of it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._table = csv.DictWriter(stream, MATCH_COLUMNS, extrasaction="ignore")
        self._table.writeheader()

    def add(
        self,
        query: str,
        matches: Iterable[Match],
        *,
        identical: RecordingInfo | None = None,
        too_little: str = "",
        n_unread: int = 0,
        warnings: Sequence[str] = (),
    ) -> None:
        """Write the matches of a query; without any, a row that has nothing but its name.

        Parameters
        ----------
        identical : RecordingInfo, optional
            The recording that is the very file asked about. It is a row without times if no match
            is one of it, as of silence.
        too_little : str
            What `search.too_little.too_little` says of a query without matches.
        n_unread : int
            Of how many recordings `on_unread` of `FingerprintEngine.identify` was told.
        warnings : sequence of str
            What its `on_warning` was told.
        """
        rows: list[dict[str, Any]] = []
        for match in matches:
            is_itself = identical is not None and match.recording.id == identical.id
            rows.append({**match_values(match), "identical": is_itself})
        if identical is not None and not any(row["identical"] for row in rows):
            rows.insert(0, {**recording_values(identical), "identical": True})
        of_query = {
            "query": query,
            "too_little": too_little,
            "unread": n_unread,
            "warnings": "; ".join(warnings),
        }
        self._table.writerows({**of_query, **row} for row in rows or [{}])

    def add_failed(self, query: str, reason: str) -> None:
        """Write a row that says why a query could not be answered."""
        self._table.writerow({"query": query, "error": reason})

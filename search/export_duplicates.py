"""Duplicates as plain values, and as CSV."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from db.records import FileInfo, RecordingInfo
from search.duplicates import Duplicates, Group, Kind, Overlap, Pair
from search.export import first_place, full_path, recording_values

PAIR_COLUMNS = (
    "kind",
    "group",
    "first_path",
    "first_onset_s",
    "first_offset_s",
    "first_duration_s",
    "second_path",
    "second_onset_s",
    "second_offset_s",
    "second_duration_s",
    "share",
    "speed",
    "pitch",
    "score",
    "first_recording_id",
    "second_recording_id",
    "first_missing",
    "second_missing",
)


def duplicates_values(found: Duplicates) -> dict[str, Any]:
    """Return duplicates as plain values, for JSON.

    Each recording of a group comes with all the files that hold its very bytes.
    """
    return {
        "groups": [_group_values(group) for group in found.groups],
        "excerpts": [pair_values(pair) for pair in found.excerpts],
        "notes": list(found.notes),
    }


def pair_values(pair: Pair) -> dict[str, Any]:
    """Return two recordings that share sound as plain values."""
    return {
        "kind": pair.kind.value,
        "first": _named(pair.first),
        "second": _named(pair.second),
        "overlaps": [_overlap_values(overlap) for overlap in pair.overlaps],
        **_strength(pair),
    }


def write_duplicates_csv(found: Duplicates, stream: TextIO) -> None:
    """Write duplicates as CSV, one row for each stretch that two files share.

    Files with the same bytes are rows of the kind ``identical``. Groups are numbered from 1;
    excerpts belong to none. Columns are those of `PAIR_COLUMNS`; ``score`` is the stretch's own.
    """
    table = csv.DictWriter(stream, PAIR_COLUMNS)
    table.writeheader()
    for number, group in enumerate(found.groups, start=1):
        for recording in group.recordings:
            table.writerows({"group": number, **row} for row in _identical_rows(recording))
        table.writerows({"group": number, **row} for row in _pair_rows(group.pairs))
    table.writerows({"group": None, **row} for row in _pair_rows(found.excerpts))


def other_places(recording: RecordingInfo) -> list[FileInfo]:
    """Return the files that hold the same bytes as the first place of a recording."""
    first = first_place(recording)
    return [file for file in recording.files if first is not None and file.id != first.id]


def _group_values(group: Group) -> dict[str, Any]:
    return {
        "recordings": [
            {
                **recording_values(recording),
                "files": [
                    {"path": full_path(file), "missing": file.missing_since is not None}
                    for file in recording.files
                ],
            }
            for recording in group.recordings
        ],
        "pairs": [pair_values(pair) for pair in group.pairs],
    }


def _named(recording: RecordingInfo) -> dict[str, Any]:
    values = recording_values(recording)
    return {key: values[key] for key in ("path", "recording_id", "duration_s", "missing")}


def _overlap_values(overlap: Overlap) -> dict[str, Any]:
    return {
        "first_onset_s": round(overlap.first_onset_s, 3),
        "first_offset_s": round(overlap.first_offset_s, 3),
        "second_onset_s": round(overlap.second_onset_s, 3),
        "second_offset_s": round(overlap.second_offset_s, 3),
        "share": round(overlap.share, 3),
        "score": round(overlap.score, 2),
    }


def _strength(pair: Pair) -> dict[str, Any]:
    return {
        "speed": round(pair.speed, 4),
        "pitch": round(pair.pitch, 4),
        "score": round(pair.score, 2),
    }


def _pair_rows(pairs: Sequence[Pair]) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        sides = {
            f"{side}_{key}": value
            for side, recording in (("first", pair.first), ("second", pair.second))
            for key, value in _named(recording).items()
        }
        for overlap in pair.overlaps:
            values = {"kind": pair.kind.value, **_strength(pair), **_overlap_values(overlap)}
            yield {**sides, **values}


def _identical_rows(recording: RecordingInfo) -> Iterator[dict[str, Any]]:
    first = first_place(recording)
    length_s = round(recording.technical.duration_s, 3)
    for other in other_places(recording):
        row: dict[str, Any] = {"kind": Kind.IDENTICAL.value}
        for side, file in (("first", first), ("second", other)):
            row |= {
                f"{side}_path": full_path(file) if file else None,
                f"{side}_onset_s": 0.0,
                f"{side}_offset_s": length_s,
                f"{side}_duration_s": length_s,
                f"{side}_recording_id": recording.id,
                f"{side}_missing": bool(file and file.missing_since),
            }
        yield {**row, "share": 1.0, "speed": 1.0, "pitch": 1.0, "score": None}

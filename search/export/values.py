"""Hits and recordings as plain values: numbers, strings, lists; for JSON and tables."""

from typing import Any

from db.records import FileInfo, RecordingInfo
from db.storage import file_at, seems_there
from search.hits import Hit


def hit_values(hit: Hit, rank: int) -> dict[str, Any]:
    """Return a hit as plain values.

    Times are in seconds from the start of the recording; ``onset_s`` and ``offset_s`` are those of
    the best passage. ``path`` is the first place where the recording lies, present ones before
    missing ones; ``paths`` has all. A hit without a score has None for each score and its strength.
    """
    best = hit.passages[0] if hit.passages else None
    return {
        "rank": rank,
        "score": round(hit.score, 4) if hit.has_score else None,
        "strength": hit.strength.value if hit.has_score else None,
        "found_by": [source.value for source in hit.found_by],
        "onset_s": round(best.onset_s, 3) if best else None,
        "offset_s": round(best.offset_s, 3) if best else None,
        **recording_values(hit.recording),
        "passages": [
            {
                "onset_s": round(passage.onset_s, 3),
                "offset_s": round(passage.offset_s, 3),
                "score": round(passage.score, 4) if hit.has_score else None,
                "sound": passage.sound,
            }
            for passage in hit.passages
        ],
        "copies": [_named(copy) for copy in hit.copies],
    }


def recording_values(recording: RecordingInfo) -> dict[str, Any]:
    """Return what identifies a recording as plain values, of the first place where it lies."""
    file = first_place(recording)
    return {
        "path": full_path(file) if file else None,
        "collection": file.collection if file else None,
        "title": file.description.title if file else None,
        "duration_s": round(recording.technical.duration_s, 3),
        "recording_id": recording.id,
        "content_hash": recording.content_hash,
        "licence": file.description.licence if file else None,
        "creator": file.description.creator if file else None,
        "missing": bool(file and file.missing_since),
        "paths": list(dict.fromkeys(full_path(place) for place in recording.files)),
    }


def first_place(recording: RecordingInfo) -> FileInfo | None:
    """Return the place to name a recording by: present before missing.

    Of these, one that is there now, should a whole folder have moved.
    """
    there = (one for one in recording.files if seems_there(file_at(one.root, one.path)))
    return next(there, recording.files[0] if recording.files else None)


def full_path(file: FileInfo) -> str:
    """Return the absolute path of a file of the catalogue, or its address."""
    return str(file_at(file.root, file.path))


def _named(recording: RecordingInfo) -> dict[str, Any]:
    file = first_place(recording)
    return {"recording_id": recording.id, "path": full_path(file) if file else None}

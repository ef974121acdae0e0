"""What the archive holds: recordings, what is known of them, and how they sound."""

import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi import Path as InPath
from starlette.responses import FileResponse

from db import overview
from db.heard import heard_in
from db.storage import AnyFile
from indexer.errors import AudioError
from search.excerpts import MAX_EXCERPT_S, Kind
from search.export import recording_values
from search.originals import original
from ui.api.models import (
    Health,
    Heard,
    Occurrences,
    RecordingDetails,
    RecordingsPage,
    StatusValues,
)
from ui.api.problems import Refused, documented
from ui.api.questions import MAX_ID, MAX_TIME_S, QuestionText, check_part
from ui.api.service import Shared, question

router = APIRouter(prefix="/api", tags=["archive"])

RecordingId = Annotated[int, InPath(ge=1, le=MAX_ID, description="Of a recording.")]
_RANGE = re.compile(r"bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*")
_MEDIA_TYPES = {Kind.LISTEN: "audio/flac", Kind.TAKE: "audio/wav"}


@router.get("/recordings", responses=documented(422, 503))
def recordings(
    service: Shared,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="Begin after this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RecordingsPage:
    """List all recordings, by number, page by page."""
    ids = service.filter.matching(())
    first = int(ids.searchsorted(after, side="right"))
    chosen = ids[first : first + limit].tolist()
    found = service.catalogue.recordings(chosen)
    is_last = first + limit >= len(ids)
    return RecordingsPage.model_validate(
        {
            "recordings": [recording_values(found[id_]) for id_ in sorted(found)],
            "n_all": len(ids),
            "next_after": None if is_last else chosen[-1],
        }
    )


@router.get("/recordings/{recording_id}", responses=documented(404, 422, 503))
def recording(service: Shared, recording_id: RecordingId) -> RecordingDetails:
    """Return all that is known of a recording."""
    found = service.catalogue.recording(recording_id)
    return RecordingDetails.model_validate(
        {
            **recording_values(found),
            "size_bytes": found.size_bytes,
            "indexed_at": found.indexed_at,
            "technical": found.technical,
            "descriptors": found.descriptors,
            "files": [asdict(file) for file in found.files],
            "n_segments": dict(found.n_segments),
            "n_landmarks": dict(found.n_landmarks),
        }
    )


@router.get(
    "/recordings/{recording_id}/audio",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The excerpt.",
            "content": {kind: {} for kind in _MEDIA_TYPES.values()},
        },
        206: {"description": "The bytes that the header Range asks for."},
        **documented(400, 404, 416, 422, 503),
    },
)
def audio(
    service: Shared,
    recording_id: RecordingId,
    from_s: Annotated[float, Query(ge=0, le=MAX_TIME_S)] = 0.0,
    to_s: Annotated[
        float | None,
        Query(
            gt=0,
            le=MAX_TIME_S,
            description=f"At most {MAX_EXCERPT_S:.0f} s after from_s, which is the default; "
            "beyond the end means the end.",
        ),
    ] = None,
    kind: Annotated[
        Kind,
        Query(
            alias="format",
            description="`flac`: what every browser plays. `wav`: all channels and the full depth.",
        ),
    ] = Kind.LISTEN,
    range_: Annotated[str | None, Header(alias="Range", include_in_schema=False)] = None,
) -> FileResponse:
    """Return an excerpt of a recording; ranges of bytes are answered."""
    check_part(from_s, to_s)
    if range_ is not None and not _RANGE.fullmatch(range_):
        raise Refused(400, "bad_request", "Range: write it as bytes=0-1023")
    try:
        found = original(service.catalogue, recording_id)
    except AudioError as error:
        raise Refused(404, "file_missing", str(error)) from error
    if from_s >= found.duration_s:
        raise Refused(422, "bad_audio", f"from_s: it is {found.duration_s:.3f} s long")
    end_s = min(from_s + MAX_EXCERPT_S, found.duration_s) if to_s is None else to_s
    path = _cut(service, found.path, found.content_hash, (from_s, end_s), kind)
    # The cache touches its files when they are used: what is the same must not look changed.
    headers = {"ETag": f'"{path.name}"', "Cache-Control": "private, max-age=3600"}
    return FileResponse(path, media_type=_MEDIA_TYPES[kind], headers=headers)


@router.get("/recordings/{recording_id}/occurrences", responses=documented(400, 404, 422, 503))
def occurrences(service: Shared, recording_id: RecordingId, q: QuestionText) -> Occurrences:
    """Find every passage of a recording that answers a question, in order of time."""
    passages = service.engine.occurrences(question(q), recording_id)
    return Occurrences.model_validate({"passages": [asdict(one) for one in passages]})


@router.get("/recordings/{recording_id}/tags", responses=documented(404, 422, 503))
def tags(service: Shared, recording_id: RecordingId) -> Heard:
    """Return what `echoic tag` heard in a recording; tags of its files are with the recording."""
    service.catalogue.recording(recording_id)
    heard = heard_in(service.catalogue, [recording_id]).get(recording_id, ())
    return Heard(tags=list(heard))


@router.get("/status", responses=documented(503))
def status(service: Shared) -> StatusValues:
    """Say what the archive holds."""
    found = overview.status(service.catalogue)
    return StatusValues.model_validate(
        {
            "version": version("echoic"),
            "format": found.format,
            "encoder": service.engine.encoder,
            "n_recordings": found.n_recordings,
            "duration_s": found.duration_s,
            "collections": [
                {**asdict(part), "name": part.collection.name} for part in found.collections
            ],
            "encoders": [
                {"name": index.encoder.name, **_coverage(index.n_recordings, index.up_to_date)}
                for index in found.indexes
            ],
            "fingerprints": [
                {"name": part.scheme.name, **_coverage(part.n_recordings, part.up_to_date)}
                for part in found.fingerprints
            ],
            "max_upload": service.max_upload,
            "notes": service.engine.notes,
        }
    )


@router.get("/health", responses=documented(503))
def health(service: Shared) -> Health:
    """Answer if all is well; needs no token."""
    overview.count_recordings(service.catalogue)
    return Health(status="ok")


def _coverage(n_recordings: int, up_to_date: bool) -> dict[str, int]:
    return {"n_recordings": n_recordings, "up_to_date": up_to_date}


def _cut(
    service: Shared, path: AnyFile, content_hash: str, part: tuple[float, float], kind: Kind
) -> Path:
    try:
        return service.excerpts.excerpt(path, content_hash, *part, kind)
    except AudioError as error:
        raise Refused(422, "bad_audio", str(error)) from error

"""Hits as files for other programs."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, BinaryIO, Final
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from search.errors import ExportError
from search.export import EXPORTS, FRAME_RATES, Export, ExportOptions, sound_labels
from search.hits import Hit
from ui.api.problems import documented
from ui.api.questions import Wanted
from ui.api.service import Service, Shared, question

router = APIRouter(prefix="/api", tags=["questions"])

_MOST_SOUND_S: Final = 3600.0
_SOUND: Final = ("wav", "flac")
_NOTES_LENGTH: Final = 2000
_BLOCK: Final = 1 << 16


class WantedExport(Wanted):
    """The parameters of exports."""

    format_name: str = Field(
        "csv", alias="format", json_schema_extra={"enum": list(EXPORTS)}, description="Of the file."
    )
    frame_rate: str = Field(
        "25", json_schema_extra={"enum": list(FRAME_RATES)}, description="Of an EDL."
    )


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file. The header Echoic-Notes, percent-encoded, says what was left "
            "out.",
            "content": {export.media_type: {} for export in EXPORTS.values()},
        },
        **documented(400, 404, 422, 503),
    },
)
async def export(service: Shared, wanted: Annotated[WantedExport, Query()]) -> StreamingResponse:
    """Return hits as a file for another program."""
    return await to_thread.run_sync(_exported, service, wanted, limiter=service.long_jobs)


def _exported(service: Service, wanted: WantedExport) -> StreamingResponse:
    chosen = EXPORTS.get(wanted.format_name)
    if chosen is None:
        raise ExportError(f"no format {wanted.format_name!r}: choose one of {', '.join(EXPORTS)}")
    query = question(wanted.q)
    results = service.engine.search(query, k=wanted.k, ranking=wanted.by, fold_copies=wanted.fold)
    if wanted.format_name in _SOUND:
        _check_length(results.hits)
    options = ExportOptions(
        title=wanted.q, labels=sound_labels(query), frame_rate=wanted.frame_rate
    )
    file = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it has been sent)
    try:
        notes = [*results.notes, *chosen.write(results.hits, file, options)]
        return _sent(file, chosen, notes)
    except BaseException:
        file.close()
        raise


def _check_length(hits: tuple[Hit, ...]) -> None:
    length_s = sum(
        sum(passage.offset_s - passage.onset_s for passage in hit.passages)
        or hit.recording.technical.duration_s
        for hit in hits
    )
    if length_s > _MOST_SOUND_S:
        raise ExportError(
            f"these hits last {length_s:,.0f} s, and at most {_MOST_SOUND_S:,.0f} s of sound are "
            "sent at once: ask for fewer with k, or narrow the question"
        )


def _sent(file: BinaryIO, export: Export, notes: list[str]) -> StreamingResponse:
    headers = {
        "Content-Disposition": f'attachment; filename="echoic{export.extension}"',
        "Content-Length": str(file.tell()),
    }
    if notes:
        headers["Echoic-Notes"] = quote("; ".join(notes)[:_NOTES_LENGTH])
    file.seek(0)
    return StreamingResponse(_blocks(file), media_type=export.media_type, headers=headers)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with closing(file):
        while block := file.read(_BLOCK):
            yield block

"""Pictures and excerpts of sounds, by address; nothing is named by its path.

``/sound/recording/12`` is a recording, ``/sound/upload/NAME`` something that was dropped in; below
either are ``picture.png``, ``excerpt.flac`` and ``passage.wav``. ``/export/NAME/TITLE`` is a file
that was made to be taken away.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from db.errors import EchoicError, UnknownName
from db.storage import AnyFile
from search.excerpts import Kind
from search.export import EXPORTS, format_of
from search.originals import original
from search.pictures import View
from ui.commands.common import clock_text
from ui.web.archive import Archive, archive
from ui.web.map_routes import map_routes

_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "X-Content-Type-Options": "nosniff",
    # Other sites that are open in the same browser may not use what is here.
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Sound(NamedTuple):
    path: AnyFile
    content_hash: str
    duration_s: float
    title: str


class _NotThere(EchoicError):
    """The address means nothing."""


def routes() -> list[Route]:
    """Return the routes, for a Starlette application."""
    return [
        Route("/sound/{kind}/{name}/picture.png", _answering(_picture)),
        Route("/sound/{kind}/{name}/excerpt.flac", _answering(_excerpt)),
        Route("/sound/{kind}/{name}/passage.wav", _answering(_passage)),
        Route("/export/{name}/{title}", _answering(_export)),
        *map_routes(_answering),
    ]


def _answering(make: Callable[[Archive, Request], Response]) -> Callable[[Request], Response]:
    """Turn Echoic's errors into sentences. Not a coroutine: Starlette gives it a thread."""

    def answer(request: Request) -> Response:
        try:
            return make(archive(), request)
        except (UnknownName, _NotThere) as error:
            return PlainTextResponse(str(error), 404, _HEADERS | {"Cache-Control": "no-store"})
        except EchoicError as error:
            return PlainTextResponse(str(error), 422, _HEADERS | {"Cache-Control": "no-store"})

    return answer


def _picture(served: Archive, request: Request) -> Response:
    sound = _sound(served, request)
    try:
        view = View(request.query_params.get("view", View.SPECTROGRAM))
    except ValueError:
        raise _NotThere(f"there is no such view: ask for {' or '.join(View)}") from None
    path = served.pictures.picture(
        sound.path,
        sound.content_hash,
        sound.duration_s,
        view=view,
        from_s=_time(request, "from", 0.0),
        to_s=_time(request, "to", sound.duration_s),
        coarse="coarse" in request.query_params,
    )
    return FileResponse(path, media_type="image/png", headers=_HEADERS)


def _excerpt(served: Archive, request: Request) -> Response:
    return FileResponse(
        _cut(served, request, _sound(served, request), Kind.LISTEN),
        media_type="audio/flac",
        headers=_HEADERS,
    )


def _passage(served: Archive, request: Request) -> Response:
    sound = _sound(served, request)
    path = _cut(served, request, sound, Kind.TAKE)
    from_s, to_s = _time(request, "from", 0.0), _time(request, "to", sound.duration_s)
    part = f"{clock_text(from_s)}-{clock_text(to_s)}".replace(":", ".")
    name = quote(f"{sound.title} {part}.wav", safe=" ()[]!'+,;=@&$-._~")
    disposition = f"attachment; filename*=UTF-8''{name.replace(' ', '%20')}"
    headers = _HEADERS | {"Content-Disposition": disposition}
    return FileResponse(path, media_type="audio/wav", headers=headers)


def _export(served: Archive, request: Request) -> Response:
    path = served.exports.find(request.path_params["name"])
    if path is None:
        raise _NotThere("this file is not kept any more: go back, and make it again")
    media_type = EXPORTS[format_of(path)].media_type
    title = request.path_params["title"]
    return FileResponse(path, media_type=media_type, filename=title, headers=_HEADERS)


def _cut(served: Archive, request: Request, sound: _Sound, kind: Kind) -> Path:
    from_s, to_s = _time(request, "from", 0.0), _time(request, "to", sound.duration_s)
    return served.excerpts.excerpt(sound.path, sound.content_hash, from_s, to_s, kind)


def _sound(served: Archive, request: Request) -> _Sound:
    kind, name = request.path_params["kind"], request.path_params["name"]
    if kind == "recording" and name.isdecimal() and len(name) < 19:
        file = original(served.catalogue, int(name))
        return _Sound(file.path, file.content_hash, file.duration_s, file.path.stem)
    upload = served.uploads.find(name) if kind == "upload" else None
    if upload is None:
        raise _NotThere("there is no such sound here: it may have been removed")
    return _Sound(upload.path, upload.content_hash, upload.duration_s, "excerpt")


def _time(request: Request, name: str, default: float) -> float:
    try:
        value = float(request.query_params.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _NotThere(f"{name} must be a time in seconds")
    return value

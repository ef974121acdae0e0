"""The map's data, by address: ``/map/points.bin`` and ``/map/names``."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.errors import UnknownName
from search.map_file import MapError
from ui.web.archive import Archive
from ui.web.map_view import COLOURS, drawing, names

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Other sites that are open in the same browser may not use what is here.
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MOST_NAMES = 200

Answering = Callable[[Callable[[Archive, Request], Response]], Callable[[Request], Response]]


def map_routes(answering: Answering) -> list[Route]:
    """Return the routes; `answering` makes an answer of what a function gives or raises."""
    return [
        Route("/map/points.bin", answering(_points)),
        Route("/map/names", answering(_names)),
    ]


def _points(served: Archive, request: Request) -> Response:
    field = request.query_params.get("by", "")
    if field not in COLOURS:
        raise UnknownName(f"points have no colours by {field!r}: by {', '.join(COLOURS)} they have")
    found = drawing(served, field)
    if found is None:
        raise MapError("no map has been drawn yet: `echoic map` does that")
    # The address changes with the content.
    headers = {**_HEADERS, "Cache-Control": "private, max-age=3600"}
    return Response(found.content, media_type="application/octet-stream", headers=headers)


def _names(served: Archive, request: Request) -> Response:
    texts = request.query_params.get("ids", "").split(",")
    if len(texts) > _MOST_NAMES or not all(
        text.isascii() and text.isdecimal() and len(text) < 19 for text in texts
    ):
        raise UnknownName(f"ids must be numbers of recordings, at most {_MOST_NAMES}")
    found = names(served, list(dict.fromkeys(map(int, texts))))
    return JSONResponse(found, headers={**_HEADERS, "Cache-Control": "no-store"})

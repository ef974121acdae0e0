"""Who may ask, and how much: looked at before anything else is done for a request."""

import hmac
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.api.problems import Refused

OPEN_PATH = "/api/health"
"""Needs no token, and tells nothing."""

_MOST_AT_ONCE = 64
_FORM_BYTES = 65_536
"""What the other fields of a form, and the lines between them, may take."""

_ADDED = {
    "X-Content-Type-Options": "nosniff",
    # Other sites that are open in the same browser may not show or play what is here.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:[a-z]+://)?(\[[0-9a-f:.]+\]|[^:/@]+)(?::\d+)?", re.IGNORECASE)


class Guard:
    """Refuses who may not ask, what is too large, and what is too much at once; an ASGI layer.

    Without a token only this machine is served, and only to those who call it by its own name: a
    page from elsewhere that gives its name our address ("DNS rebinding") does not.

    Parameters
    ----------
    token : str or None
        What has to be sent as ``Authorization: Bearer``.
    hosts : collection of str
        Without a token: the names that the header ``Host`` may have, in lower case.
    max_upload : int
        The largest upload, in bytes.
    """

    def __init__(
        self, app: ASGIApp, *, token: str | None, hosts: Collection[str], max_upload: int
    ) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = hosts
        self._max_upload = max_upload
        self._n_served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope["path"], Headers(scope=scope))
        if refused is not None:
            await refused.response()(scope, receive, _adding(send))
            return
        self._n_served += 1
        try:
            await self._app(scope, self._bounded(receive), _adding(send))
        finally:
            self._n_served -= 1

    def _refused(self, path: str, headers: Headers) -> Refused | None:
        refused = self._stranger(headers) if self._token is None else self._unknown(path, headers)
        if refused is not None:
            return refused
        if self._n_served >= _MOST_AT_ONCE:
            return Refused(503, "busy", "too many questions at once: ask again in a moment")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_upload + _FORM_BYTES:
            return self._too_large()
        return None

    def _stranger(self, headers: Headers) -> Refused | None:
        if _name_in(headers.get("host", "")) not in self._hosts:
            return Refused(
                400, "unknown_host", "this server does not go by the name in the header Host"
            )
        origin = headers.get("origin")
        if origin is not None and _name_in(origin) not in self._hosts:
            return Refused(403, "foreign_origin", "pages of other sites may not ask here")
        return None

    def _unknown(self, path: str, headers: Headers) -> Refused | None:
        if path == OPEN_PATH:
            return None
        given = _BEARER.fullmatch(headers.get("authorization", ""))
        if given and hmac.compare_digest(given[1].encode(), self._token or b""):
            return None
        return Refused(
            401,
            "unauthorised",
            "send the server's token: Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )

    def _bounded(self, receive: Receive) -> Receive:
        """Count what comes, for a length need not be told, nor be true."""
        n_received = 0

        async def bounded() -> Message:
            nonlocal n_received
            message = await receive()
            n_received += len(message.get("body", b""))
            if n_received > self._max_upload + _FORM_BYTES:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> Refused:
        return too_large(self._max_upload)


def too_large(max_upload: int) -> Refused:
    """Return the refusal of an upload that is larger than so many bytes."""
    return Refused(
        413,
        "too_large",
        f"an upload may have {max_upload:,} bytes: send a part of it, or a compressed file",
        {"Connection": "close"},
    )


def _name_in(authority: str) -> str:
    """Return the name in ``name:port`` or ``http://name:port``; nothing if it is neither."""
    found = _AUTHORITY.fullmatch(authority)
    return found[1].lower() if found else ""


def _adding(send: Send) -> Send:
    """Add the headers that every answer has, unless it has its own."""

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _ADDED.items():
                headers.setdefault(name, value)
        await send(message)

    return adding

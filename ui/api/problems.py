"""What goes wrong, as JSON: a word for programs, a sentence for people, never a traceback."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from db.errors import (
    CatalogueError,
    CatalogueUnreachable,
    ConditionError,
    EchoicError,
    UnknownName,
)
from indexer.errors import AudioError
from search.errors import ExportError, QueryError

_LOG = logging.getLogger("uvicorn.error")
_STATUS = {
    UnknownName: (404, "not_found"),
    CatalogueError: (503, "unavailable"),
    ConditionError: (400, "bad_query"),
    QueryError: (400, "bad_query"),
    ExportError: (400, "bad_export"),
    AudioError: (422, "bad_audio"),
}
_WORDS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "invalid_request",
}
_SENTENCES = {
    404: "there is nothing at this address: /api/openapi.json describes what there is",
    405: "this address does not take that method: /api/openapi.json describes it",
}


class Problem(BaseModel):
    """What went wrong."""

    error: str = Field(description="A word for programs, such as `bad_query`.")
    detail: str = Field(description="A sentence that says what to do.")


class Refused(HTTPException):
    """A request that is not answered.

    Parameters
    ----------
    status : int
    error : str
        A word for programs.
    detail : str
        A sentence for people.
    """

    def __init__(
        self, status: int, error: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.error = error

    def response(self) -> Response:
        """Return what the client gets."""
        return _answer(self.status_code, self.error, self.detail, self.headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the entries of OpenAPI for problems with some statuses."""
    meaning = {
        400: "The question or the request cannot be understood.",
        404: "There is no such thing in the archive.",
        413: "The upload is too large.",
        416: "The file has no such range of bytes; there is no body.",
        422: "A parameter is out of bounds, or a sound cannot be read.",
        503: "The archive cannot answer at the moment.",
    }
    return {
        status: {"description": meaning[status]} | ({} if status == 416 else {"model": Problem})
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make an application answer in this way."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(EchoicError, _failed)
    app.add_exception_handler(Exception, _broken)


def _refused(_request: Request, error: Exception) -> Response:
    if isinstance(error, Refused):
        return error.response()
    if not isinstance(error, HTTPException):
        raise error
    word = _WORDS.get(error.status_code, "refused")
    said = _SENTENCES.get(error.status_code, str(error.detail))
    return _answer(error.status_code, word, said, error.headers)


def _invalid(_request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in found]
    return _answer(422, "invalid_request", "; ".join(said) or "the request is not valid")


def _failed(_request: Request, error: Exception) -> Response:
    kinds = (kind for kind in type(error).__mro__ if kind in _STATUS)
    status, word = _STATUS[next(kinds, CatalogueError)]
    if status == 503:
        # The sentence may name servers and folders, which are nobody's business out there.
        _LOG.error("%s: %s", type(error).__name__, error)
        if isinstance(error, CatalogueUnreachable):
            return _answer(503, word, "the archive's database does not answer; ask again later")
        return _answer(503, word, "the archive cannot be read; the server's log says why")
    return _answer(status, word, str(error))


def _broken(_request: Request, _error: Exception) -> Response:
    return _answer(500, "internal", "the server failed at this; its log says why")


def _answer(
    status: int, error: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"error": error, "detail": detail}, status, headers)

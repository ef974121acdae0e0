"""The application: endpoints, description, guard."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp

from ui.api import exporting, problems, questions, recordings
from ui.api.guard import Guard
from ui.api.service import Service

_THREADS: Final = 8
"""Each may hold two connections to the database, of which SQLAlchemy gives out fifteen."""

_ABOUT: Final = """
Search a sound archive by words, by example and by fingerprint.

The query language is that of `echoic search`, without its terms that name files. Times are seconds.
Whatever goes wrong is `{"error": "a_word", "detail": "a sentence"}`.
"""


def application(service: Service, *, token: str | None, hosts: Collection[str]) -> ASGIApp:
    """Make the application that answers.

    Parameters
    ----------
    token, hosts
        See `ui.api.guard.Guard`.
    """
    app = FastAPI(
        title="Echoic",
        version=version("echoic"),
        description=_ABOUT.strip(),
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages would load their programs from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        # Nothing is reported to anyone.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.service = service
    for part in (questions, exporting, recordings):
        app.include_router(part.router)
    problems.install(app)
    if token is not None:
        _describe_token(app)
    return Guard(app, token=token, hosts=hosts, max_upload=service.max_upload)


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _describe_token(app: FastAPI) -> None:
    """Say in the description that a token is needed, for programs that are made from it."""
    described: dict[str, Any] = app.openapi()
    schemes = described.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["token"] = {"type": "http", "scheme": "bearer"}
    described["security"] = [{"token": []}]
    described["paths"]["/api/health"]["get"]["security"] = []

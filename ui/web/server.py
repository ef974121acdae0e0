"""Starts the pages."""

import ipaddress
import logging
import os
import socket
import threading
import time
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path

import click
import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from db.errors import EchoicError
from db.location import ENVIRONMENT_VARIABLE
from ui.web import settings
from ui.web.archive import archive
from ui.web.routes import routes

_SCRIPT = Path(__file__).resolve().parent.parent / "app.py"
_FIRST_PORT, _PORTS_TRIED = 8501, 50
_MOST_UPLOAD_MB = 1000
_PATIENCE = 300  # tenths of a second
_THEME = {
    "theme.light.primaryColor": "#5b3fd6",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f2f8",
    "theme.light.textColor": "#14121b",
    "theme.dark.primaryColor": "#8b73f5",
    "theme.dark.backgroundColor": "#14131a",
    "theme.dark.secondaryBackgroundColor": "#211f2b",
    "theme.dark.textColor": "#eceaf4",
}


class ServerError(EchoicError):
    """The pages cannot be served."""


class _NoLeavers(logging.Filter):
    """Drops what Streamlit says of visitors who leave while their page still connects.

    It is a traceback, of which nobody can make anything.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        # Its class is named otherwise in other versions of Starlette.
        return type(error).__module__ != "starlette.websockets"


def serve(location: str | None, *, host: str, port: int | None, browser: bool) -> None:
    """Serve the pages until Ctrl-C.

    Parameters
    ----------
    location
        The catalogue; None: that of the environment, or the user's own.
    port
        None: 8501, or the next that is free.
    browser
        Open a browser.

    Raises
    ------
    ServerError
        If the address or the port cannot be had.
    """
    if location is not None:
        os.environ[ENVIRONMENT_VARIABLE] = location
    settings.is_local = _is_loopback(host)
    chosen = _free_port(host, port)
    _say(host, chosen)
    threading.Thread(target=_warm, name="warming", daemon=True).start()
    if browser:
        threading.Thread(target=_open_browser, args=(host, chosen), daemon=True).start()
    hosts = ["localhost", "127.0.0.1", "[::1]", host] if settings.is_local else ["*"]
    app = st.App(
        _SCRIPT,
        routes=routes(),
        # Against other sites that give their own name our address ("DNS rebinding").
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
    )
    logging.getLogger("uvicorn.error").addFilter(_NoLeavers())
    app.run(
        config={
            "server.address": host,
            "server.port": chosen,
            "server.headless": True,  # Streamlit opens no browser for what it runs like this
            "server.showEmailPrompt": False,
            "server.fileWatcherType": "none",
            "server.maxUploadSize": _MOST_UPLOAD_MB,
            "browser.gatherUsageStats": False,
            "client.toolbarMode": "viewer",
            "client.showErrorDetails": "none",
            "logger.hideWelcomeMessage": True,
            **_THEME,
        }
    )


def _warm() -> None:
    """Open the archive before anyone asks: a large one takes some seconds to read."""
    with suppress(EchoicError):  # the pages say what is wrong, to whoever comes
        archive().warm()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _free_port(host: str, port: int | None) -> int:
    """Return a port that can be listened on; the one that was asked for, if one was."""
    tried = [port] if port is not None else range(_FIRST_PORT, _FIRST_PORT + _PORTS_TRIED)
    reason = ""
    for candidate in tried:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                return int(probe.getsockname()[1])
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
    raise ServerError(
        f"cannot listen on {host}, port {tried[0]} ({reason}): choose another with --port, "
        "or end what uses it"
    )


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _open_browser(host: str, port: int) -> None:
    """Open a browser as soon as the pages are there."""
    address = _address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)
    for _ in range(_PATIENCE):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                break
        except OSError:
            time.sleep(0.1)
    webbrowser.open(address)


def _say(host: str, port: int) -> None:
    click.echo(f"Echoic is at {_address(host, port)} (Ctrl-C ends it)")
    if not settings.is_local:
        click.echo(
            "Note: everyone who can reach this address can listen to the archive; there is no "
            "password.",
            err=True,
        )

"""Starts the server."""

import ipaddress
import logging
import socket
from contextlib import suppress
from typing import Final

import click
import uvicorn

from db.catalogue import Catalogue
from db.errors import EchoicError
from db.location import catalogue_location
from ui.api.application import application
from ui.api.service import Service

_LEAST_TOKEN: Final = 16
_BACKLOG: Final = 128


class ServerError(EchoicError):
    """The server cannot be started as it was asked for."""


def serve(
    location: str | None,
    *,
    host: str,
    port: int,
    token: str | None,
    encoder: str | None,
    max_upload: int,
) -> None:
    """Serve a catalogue until Ctrl-C.

    Parameters
    ----------
    port : int
        0: any that is free.
    token : str or None
        What clients have to send; needed unless only this machine can reach `host`.
    max_upload : int
        In bytes.

    Raises
    ------
    ServerError
        If a token is needed or too simple, or the address cannot be had.
    EchoicError
        If the catalogue cannot be searched.
    """
    hosts = allowed_hosts(host, token)
    with Catalogue.open(catalogue_location(location)) as catalogue:
        service = Service(catalogue, encoder=encoder, max_upload=max_upload)
        for note in service.engine.notes:
            click.echo(f"Note: {note}.", err=True)
        app = application(service, token=token, hosts=hosts)
        with listening(host, port) as sock:
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{sock.getsockname()[1]}/api"
            click.echo(f"Echoic answers at {address} (Ctrl-C ends it)")
            with suppress(KeyboardInterrupt):  # that is how it ends
                uvicorn.Server(configured(app)).run(sockets=[sock])


def allowed_hosts(host: str, token: str | None) -> frozenset[str]:
    """Return the names that a request may call this server by, if it needs no token.

    Raises
    ------
    ServerError
        If it needs one, and there is none that is fit.
    """
    if token is None and not _is_loopback(host):
        raise ServerError(
            f"others can reach {host}, so a token is needed: set ECHOIC_TOKEN to one that "
            "`openssl rand -hex 16` makes, or leave --host away"
        )
    if token is not None and (len(token) < _LEAST_TOKEN or not _is_plain(token)):
        raise ServerError(
            f"the token must have at least {_LEAST_TOKEN} letters, digits and signs, without "
            "spaces: `openssl rand -hex 16` makes one"
        )
    shown = f"[{host}]" if ":" in host else host
    return frozenset({"localhost", "127.0.0.1", "[::1]", shown.lower()})


def configured(app: object) -> uvicorn.Config:
    """Return how uvicorn runs an application."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application; uvicorn's types are its own
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ServerError
        If the address or the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ServerError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --port "
            "or --host, or end what uses it"
        ) from error
    return sock


def _is_plain(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""``echoic serve``: the archive over HTTP, for other programs."""

import click

from ui.commands.common import catalogue_option, encoder_option

_MB = 1_000_000


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on; only this machine can reach the default. Others need a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    metavar="NUMBER",
    help="The port to listen on; 0 for any that is free.",
)
@click.option(
    "--token",
    envvar="ECHOIC_TOKEN",
    metavar="TEXT",
    help="What clients have to send as `Authorization: Bearer TEXT`; better in ECHOIC_TOKEN, for "
    "other users of this machine see commands.",
)
@click.option(
    "--max-upload",
    "max_upload_mb",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    metavar="MB",
    help="The largest upload.",
)
@encoder_option
@catalogue_option
def serve(
    host: str,
    port: int,
    token: str | None,
    max_upload_mb: int,
    encoder: str | None,
    location: str | None,
) -> None:
    """Answer over HTTP, for other programs: search, similar, identify, excerpts, exports.

    The description is at /api/openapi.json. No file of this machine can be named in a question, and
    nothing is changed. Ctrl-C ends it.

    \b
    Examples:
      echoic serve
      ECHOIC_TOKEN=$(openssl rand -hex 16) echoic serve --host 0.0.0.0
    """
    from ui.api.server import serve as serve_http

    serve_http(
        location,
        host=host,
        port=port,
        token=token or None,
        encoder=encoder,
        max_upload=max_upload_mb * _MB,
    )

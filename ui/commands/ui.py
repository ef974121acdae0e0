"""``echoic ui``: the archive in a browser."""

import click

from ui.commands.common import catalogue_option


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="NUMBER",
    help="The port to listen on.  [default: 8501, or the next that is free]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on; only this machine can reach the default.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@catalogue_option
def ui(port: int | None, host: str, no_browser: bool, location: str | None) -> None:
    """Open the archive in a browser: search, listen, identify, see what is there.

    Everything stays on this machine. Without a catalogue, the first page offers to make one.
    Ctrl-C ends it.

    \b
    Examples:
      echoic ui
      echoic ui --catalogue demo-archive/catalogue --port 9000
    """
    from ui.web.server import serve

    serve(location, host=host, port=port, browser=not no_browser)

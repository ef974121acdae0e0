"""The command ``echoic``: here, and only here, errors become sentences.

Every command lives in a module of ``ui.commands`` and imports what it needs when it runs, so that
``echoic --help`` loads no model, no database and no audio library.
"""

import errno
import os
import sys
from typing import Any, TextIO

import click

from db.errors import EchoicError
from ui.commands.archive import forget, relocate, show, status
from ui.commands.convert import convert
from ui.commands.demo import demo
from ui.commands.duplicates import duplicates
from ui.commands.evaluate import evaluate
from ui.commands.failures import failures
from ui.commands.fetch import fetch
from ui.commands.health import check, repair
from ui.commands.identify import identify
from ui.commands.index import INTERRUPTED, index, watch
from ui.commands.lists import lists
from ui.commands.map import map_command
from ui.commands.models import models
from ui.commands.saved import saved
from ui.commands.search import search, similar
from ui.commands.serve import serve
from ui.commands.tag import tag
from ui.commands.teach import teach
from ui.commands.ui import ui

READER_GONE = 141
"""What shells report of a program that a closed pipe has ended: 128 and the number of SIGPIPE."""


class NothingDone(click.ClickException):
    """Prints one sentence and ends with exit code 2: nothing could be done."""

    exit_code = 2


class EchoicGroup(click.Group):
    """A group of commands that turns Echoic's errors into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except EchoicError as error:
            raise NothingDone(str(error)) from error
        except BrokenPipeError as error:  # as in `echoic search dog | head -1`: no fault
            raise click.exceptions.Exit(READER_GONE) from error
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise NothingDone(
                f"{error.strerror}: make room on the disk that this is written to"
            ) from error


@click.group(
    cls=EchoicGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="echoic")
def cli() -> None:
    """Search sound archives by words, by example and by fingerprint.

    Index a folder once, then ask for what you want to hear:

    \b
      echoic index ~/sounds
      echoic search "rain on a tin roof"
      echoic similar clip.wav --from 12.5 --to 15
      echoic identify excerpt.mp3
    """


for command in (
    index,
    search,
    similar,
    saved,
    lists,
    map_command,
    tag,
    teach,
    identify,
    ui,
    serve,
    duplicates,
    models,
    status,
    show,
    failures,
    watch,
    check,
    repair,
    relocate,
    forget,
    fetch,
    demo,
    evaluate,
):
    cli.add_command(command)
models.add_command(convert)


def main() -> None:
    """Run the command line; the exit code tells what happened."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that cannot be shown is no error
    try:
        code = cli.main(prog_name="echoic", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    code = code if isinstance(code, int) else 0
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not _is_written(stream):
            code = code or READER_GONE
    sys.exit(code)


def _is_written(stream: TextIO) -> bool:
    """Write what is left; if that cannot be, Python is kept from complaining of it at its end."""
    if stream.closed:
        return False
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True

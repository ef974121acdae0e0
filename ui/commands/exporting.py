"""The options by which hits become files for other programs."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import Command, LocalPath, count_text, print_notes, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.hits import Hit

FORMATS = (
    "csv",
    "jsonl",
    "m3u8",
    "audacity",
    "audacity-zip",
    "raven",
    "raven-zip",
    "edl",
    "reaper",
    "reaper-zip",
    "wav",
    "flac",
)
"""The names of `search.export.EXPORTS`, which would load NumPy to print a help text."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What was asked for; by default nothing.

    Attributes
    ----------
    name : str or None
        The format.
    hit : int or None
        The rank of the only hit to export.
    """

    path: Path | None = None
    name: str | None = None
    hit: int | None = None
    frame_rate: str = "25"
    overwrite: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether hits shall be exported instead of listed."""
        return self.path is not None or self.name is not None


def export_options(command: Command) -> Command:
    """Add the options of exports to a command, which is given `export`, an `ExportRequest`."""

    @functools.wraps(command)
    def with_request(*args: Any, **values: Any) -> Any:
        path, name = values.pop("export_path"), values.pop("format_name")
        if values.pop("as_csv"):
            if path is not None or name is not None:
                raise click.UsageError("choose one of --csv, --export and --format, not both")
            name = "csv"
        hit, frame_rate = values.pop("only_hit"), values.pop("frame_rate")
        request = ExportRequest(path, name, hit, frame_rate or "25", values.pop("overwrite"))
        if not request.is_wanted and (hit or frame_rate or request.overwrite):
            raise click.UsageError(
                "--hit, --frame-rate and --overwrite go with --export FILE, --format NAME or --csv"
            )
        return command(*args, export=request, **values)

    wrapped: Callable[..., Any] = with_request
    for option in reversed(_options()):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click hands on what it is given


def _options() -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    return [
        click.option(
            "--export",
            "export_path",
            type=LocalPath(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write the hits to FILE, in the format of its ending: .csv, .jsonl, .m3u8, .edl, "
            ".txt (Audacity), .selections.txt (Raven), .regions.csv (Reaper), .zip (the sounds).",
        ),
        click.option(
            "--format",
            "format_name",
            type=click.Choice(FORMATS),
            metavar="NAME",
            help=f"The format, if FILE's ending does not tell it; without --export it is printed. "
            f"One of {', '.join(FORMATS)}.",
        ),
        click.option(
            "--csv", "as_csv", is_flag=True, help="Print CSV, one passage a row: --format csv."
        ),
        click.option(
            "--hit", "only_hit", type=click.IntRange(1), metavar="N", help="Export hit N alone."
        ),
        click.option(
            "--frame-rate", metavar="RATE", help="Of an EDL: 23.976 to 60.  [default: 25]"
        ),
        click.option("--overwrite", is_flag=True, help="Replace FILE if it exists."),
    ]


def export_hits(
    hits: "Sequence[Hit]", request: ExportRequest, *, title: str, labels: tuple[str, ...] = ()
) -> None:
    """Write hits as they were asked for: to a file, or to standard output.

    Parameters
    ----------
    title : str
        The question; it heads lists that have a heading.
    labels : tuple of str
        What to call passages, by the sounds of the query.
    """
    from search.errors import ExportError
    from search.export import EXPORTS, ExportOptions, write_file

    if request.hit is not None:
        if request.hit > len(hits):
            raise ExportError(
                f"there is no hit {request.hit}: {count_text(len(hits), 'hit')} found"
            )
        hits = hits[request.hit - 1 : request.hit]
    if not hits:
        print_notes(["nothing matches, so what is exported holds no hit"])
    options = ExportOptions(title=title, labels=labels, frame_rate=request.frame_rate)
    if request.path is not None:
        notes = write_file(
            hits, request.path, name=request.name, options=options, overwrite=request.overwrite
        )
        click.echo(f"Wrote {count_text(len(hits), 'hit')} to {printable(str(request.path))}.")
    else:
        export = EXPORTS[request.name or "csv"]
        if export.binary and sys.stdout.isatty():
            raise ExportError(
                f"the format {request.name} is not for reading: add --export FILE, or send the "
                "output to a file"
            )
        stream = sys.stdout.buffer
        notes = export.write(hits, stream, options)
        stream.flush()
    print_notes(printable(note) for note in notes)

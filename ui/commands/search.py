"""``echoic search`` and ``echoic similar``: questions, and hits as tables, JSON or CSV."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    Command,
    catalogue_option,
    duration_text,
    encoder_option,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
    span_text,
)

if TYPE_CHECKING:
    from search.hits import Hit


def output_options(command: Command) -> Command:
    """Add the options that say how many hits there are and how they are printed."""
    for option in (
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one hit a row."),
        json_option(),
        click.option(
            "-k",
            "k",
            type=click.IntRange(1, 10_000),
            default=20,
            show_default=True,
            help="The greatest number of hits.",
        ),
    ):
        command = option(command)
    return command


class TimeInRecording(click.ParamType[float]):
    """Seconds, or minutes and seconds as Echoic prints them: ``90``, ``1:30``, ``1:02:05.5``."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the time in seconds."""
        if isinstance(value, float):
            return value
        try:
            parts = [float(part) for part in value.split(":")]
        except ValueError:
            parts = []
        if not 0 < len(parts) < 4 or not all(map(math.isfinite, parts)):
            self.fail(f"{value!r} is not a time: give seconds, or minutes as in 1:30", param, ctx)
        return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))


def part_options(command: Command) -> Command:
    """Add the options that choose a part of the file that is asked about."""
    for option in (
        click.option("--to", "to_s", type=TimeInRecording(), metavar="TIME", help="End of it."),
        click.option(
            "--from",
            "from_s",
            type=TimeInRecording(),
            metavar="TIME",
            help="Start of the part that is meant: seconds, or m:ss.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--by",
    type=click.Choice(["sound", "description"]),
    default="sound",
    show_default=True,
    help="Listen to the sounds, or read file names, tags and manifests.",
)
@output_options
@encoder_option
@catalogue_option
def search(
    words: tuple[str, ...],
    by: str,
    k: int,
    as_json: bool,
    as_csv: bool,
    encoder: str | None,
    location: str | None,
) -> None:
    """Find recordings by words: what they sound like, or what is written about them.

    \b
    Examples:
      echoic search "dog barking" -k 10
      echoic search rain on a tin roof --json
      echoic search --by description "tape 17"
    """
    _refuse_two_formats(as_json, as_csv)
    from search.engine import SearchEngine, by_description

    question = " ".join(words)
    with open_catalogue(location) as catalogue:
        if by == "description":
            hits = by_description(catalogue, question, k=k)
        else:
            engine = SearchEngine(catalogue, encoder=encoder)
            hits = engine.by_words(question, k=k)
            print_notes(engine.notes)
    _print_hits(hits, as_json=as_json, as_csv=as_csv)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@part_options
@output_options
@encoder_option
@catalogue_option
def similar(
    file: Path,
    from_s: float | None,
    to_s: float | None,
    k: int,
    as_json: bool,
    as_csv: bool,
    encoder: str | None,
    location: str | None,
) -> None:
    """Find recordings that sound like FILE, or like a part of it.

    FILE need not be in the catalogue; if it is, it is left out of the hits.

    \b
    Examples:
      echoic similar clip.wav
      echoic similar tape.flac --from 12.5 --to 15
    """
    _refuse_two_formats(as_json, as_csv)
    from search.engine import SearchEngine

    with open_catalogue(location) as catalogue:
        engine = SearchEngine(catalogue, encoder=encoder)
        hits = engine.by_example(file, from_s=from_s, to_s=to_s, k=k)
        print_notes(engine.notes)
    _print_hits(hits, as_json=as_json, as_csv=as_csv)


def _refuse_two_formats(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise click.UsageError("choose --json or --csv, not both")


def _print_hits(hits: "list[Hit]", *, as_json: bool, as_csv: bool) -> None:
    from search.export import hit_values, write_csv

    if as_json:
        print_json([hit_values(hit, rank) for rank, hit in enumerate(hits, start=1)])
    elif as_csv:
        write_csv(hits, sys.stdout)
    elif not hits:
        click.echo("No hits.")
    else:
        _print_table([hit_values(hit, rank) for rank, hit in enumerate(hits, start=1)])


def _print_table(values: list[dict[str, Any]]) -> None:
    for hit in values:
        if hit["onset_s"] is None:
            when = duration_text(hit["duration_s"])
        else:
            when = span_text(hit["onset_s"], hit["offset_s"])
        more = f"  (+{len(hit['passages']) - 1} more)" if len(hit["passages"]) > 1 else ""
        gone = "  [missing]" if hit["missing"] else ""
        path = printable(hit["path"])
        click.echo(f"{hit['rank']:>3}  {hit['score']:6.3f}  {when:>13}  {path}{more}{gone}")

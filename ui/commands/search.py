"""``echoic search`` and ``echoic similar``: questions, and hits as tables, JSON or files."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    Command,
    LocalPath,
    catalogue_option,
    count_text,
    duration_text,
    encoder_option,
    exact_span_text,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
    span_text,
)
from ui.commands.exporting import ExportRequest, export_hits, export_options

if TYPE_CHECKING:
    from search.hits import Hit, Results
    from search.query import Query


_NEAR, _NEAREST = 0.1, 3
"""What scores so much comes near; so many are shown if nothing matches."""
_SHORT_S = 3.0
_WITHOUT = re.compile(r"-(?!k?\d|[hk]$)\w")
"""What a question may hold and options hardly do: a minus sign, and no number behind it."""


def output_options(command: Command) -> Command:
    """Add the options that say how many hits there are and how they are printed."""
    for option in (
        json_option(),
        click.option("--unfold", is_flag=True, help="List near-copies of a hit as hits, too."),
        click.option("--weak", is_flag=True, help="List the nearest misses, too."),
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


class QuestionCommand(click.Command):
    """A command with a question, whose first words a command line may take for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; say what to do about ``-music``."""
        given = args[: args.index("--")] if "--" in args else list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            word = next((text for text in given if _WITHOUT.match(text)), None)
            if word is None:
                raise
            raise click.UsageError(
                f"{printable(word)!r} is taken for options. If it belongs to the question, put -- "
                f"before it, which ends the options: {ctx.command_path} ... -- {printable(word)!r}",
                ctx,
            ) from error


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
        is_time = 0 < len(parts) < 4 and all(map(math.isfinite, parts))
        *whole, seconds = parts if is_time else [math.nan]
        is_time &= not whole or 0 <= seconds < 60
        is_time &= all(minutes < 60 for minutes in whole[1:])
        if not is_time or not all(part >= 0 and part.is_integer() for part in whole):
            self.fail(
                f"{value!r} is not a time: give seconds, or minutes and seconds below 60 as in "
                "1:30",
                param,
                ctx,
            )
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


@click.command(cls=QuestionCommand)
@click.argument("words", nargs=-1, required=True)
@click.option(
    "--by",
    "ranking",
    type=click.Choice(["fused", "sound", "words"]),
    default="fused",
    show_default=True,
    help="Listen to the sounds, read names, tags and manifests, or both.",
)
@click.option(
    "--facet",
    "facets",
    multiple=True,
    metavar="FIELD",
    help="Count the values of FIELD among all that matches, as: tag, collection, format.",
)
@output_options
@export_options
@encoder_option
@catalogue_option
def search(
    words: tuple[str, ...],
    ranking: str,
    facets: tuple[str, ...],
    encoder: str | None,
    location: str | None,
    **output: Any,
) -> None:
    """Find recordings by words: what they sound like, and what is written about them.

    The words may be a whole question in the query language: what must not be heard, several
    sounds, an order, examples, and conditions on what is known of a recording.

    \b
    Examples:
      echoic search "dog barking" -k 10
      echoic search rain on a tin roof --json
      echoic search "dog barking -music duration:<30"
      echoic search "church bell & crowd"
      echoic search "dog barking then car door"
      echoic search '"tape 17" format:wav'
      echoic search "dog barking" --export dogs.m3u8
    """
    from db.fields import OTHER_SPELLINGS
    from search.language import parse

    # After "--" a shell hands "-music" on as a word of its own.
    question = " ".join(words)
    _answer(
        parse(question, relative_to=Path.cwd()),
        question,
        ranking=ranking,
        facets=tuple(OTHER_SPELLINGS.get(field, field) for field in facets),
        encoder=encoder,
        location=location,
        **output,
    )


@click.command()
@click.argument(
    "example",
    type=LocalPath(
        "a file on this machine, or a recording by its number, as #13, which `echoic show` tells"
    ),
)
@part_options
@output_options
@export_options
@encoder_option
@catalogue_option
def similar(
    example: str,
    from_s: float | None,
    to_s: float | None,
    encoder: str | None,
    location: str | None,
    **output: Any,
) -> None:
    """Find recordings that sound like EXAMPLE, or like a part of it.

    EXAMPLE is a file, or a recording of the catalogue by its number, as #42. The example itself
    is left out of the hits.

    \b
    Examples:
      echoic similar clip.wav
      echoic similar tape.flac --from 12.5 --to 15
      echoic similar "#42" --from 1:30 --to 1:40
    """
    if to_s is not None and to_s <= (from_s or 0.0):
        raise click.UsageError("the part ends before it begins: --to has to lie after --from")
    from search.query import Archived, Example, Query, Sound

    number = re.fullmatch(r"#(\d+)", example)
    term = (
        Archived(int(number[1]), from_s, to_s)
        if number and not Path(example).exists()
        else Example(Path(example), from_s, to_s)
    )
    _answer(
        Query((Sound((term,)),)),
        f"like {Path(example).name}",
        ranking="sound",
        facets=(),
        encoder=encoder,
        location=location,
        **output,
    )


def _answer(
    query: "Query",
    question: str,
    *,
    ranking: str,
    facets: tuple[str, ...],
    encoder: str | None,
    location: str | None,
    k: int,
    as_json: bool,
    weak: bool,
    unfold: bool,
    export: ExportRequest,
) -> None:
    """Search, and print or export what was found."""
    refuse_two_formats(as_json, export)
    if facets and export.is_wanted:
        raise click.UsageError(
            "--facet goes with the table and with --json: exports hold hits and no counts"
        )
    from search.engine import SearchEngine
    from search.ranking import Ranking

    with open_catalogue(location) as catalogue:
        engine = SearchEngine(catalogue, encoder=encoder)
        results = engine.search(
            query, k=k, ranking=Ranking(ranking), fold_copies=not unfold, facets=facets
        )
    print_results(results, query, question, as_json=as_json, weak=weak, export=export)


def refuse_two_formats(as_json: bool, export: ExportRequest) -> None:
    """Refuse to print one answer in several formats.

    Raises
    ------
    click.UsageError
        If several are asked for.
    """
    if as_json and export.is_wanted:
        raise click.UsageError("choose one of --json, --csv and --export, not both")


def print_results(
    results: "Results",
    query: "Query",
    question: str,
    *,
    as_json: bool,
    weak: bool,
    export: ExportRequest,
) -> None:
    """Print or export what was found, as the options of `output_options` ask."""
    from search.export import sound_labels

    print_notes(results.notes)
    hits = [*results.hits, *results.near_misses] if weak else list(results.hits)
    if export.is_wanted:
        export_hits(hits, export, title=question, labels=sound_labels(query))
    elif as_json:
        print_json(_values(results, hits))
    else:
        _print_table(results, hits)


def _values(results: "Results", hits: "list[Hit]") -> dict[str, Any]:
    from search.export import hit_values

    return {
        "hits": [hit_values(hit, rank) for rank, hit in enumerate(hits, start=1)],
        "n_near_misses": len(results.near_misses),
        "n_allowed": results.n_allowed,
        "facets": {facet.field: dict(facet.counts) for facet in results.facets},
        "notes": list(results.notes),
    }


def _print_table(results: "Results", hits: "list[Hit]") -> None:
    from search.export import hit_values

    if not results.n_allowed:
        click.echo("No recording meets these conditions.")
    elif not results.hits:
        click.echo("Nothing in this archive matches.")
    for rank, hit in enumerate(hits, start=1):
        _print_hit(hit, hit_values(hit, rank))
    left_out = [hit for hit in results.near_misses if hit.score >= _NEAR and hit not in hits]
    if left_out and not hits:
        click.echo("Nearest, but probably something else:")
        for rank, hit in enumerate(left_out[:_NEAREST], start=1):
            _print_hit(hit, hit_values(hit, rank))
        left_out = left_out[_NEAREST:]
    if left_out:
        click.echo("Near misses are left out; --weak shows them.")
    for facet in results.facets:
        counts = ", ".join(f"{printable(value)} {n:,}" for value, n in facet.counts)
        click.echo(f"{facet.field}: {counts or 'nothing'}")


def _print_hit(hit: "Hit", values: dict[str, Any]) -> None:
    if not hit.passages:
        when = duration_text(values["duration_s"])
    else:
        # Of several sounds the best passage of each, which come first.
        n_shown = len({passage.sound for passage in hit.passages})
        when = ", ".join(_span_text(one.onset_s, one.offset_s) for one in hit.passages[:n_shown])
    n_more = max(0, len(hit.passages) - len({passage.sound for passage in hit.passages}))
    more = f"  (+{n_more} more)" if n_more else ""
    copies = f"  (+{count_text(len(hit.copies), 'copy', 'copies')})" if hit.copies else ""
    gone = "  [missing]" if values["missing"] else ""
    path = printable(values["path"])
    found_by = "+".join(hit.found_by)
    click.echo(
        f"{values['rank']:>3}  {hit.score:4.2f} {hit.strength:<8}  {found_by:<11}  {when:>13}  "
        f"{path}{more}{copies}{gone}"
    )


def _span_text(onset_s: float, offset_s: float) -> str:
    """Say a passage: to the second, a short one to a tenth."""
    return (span_text if offset_s - onset_s >= _SHORT_S else exact_span_text)(onset_s, offset_s)

"""``echoic saved``: queries that are kept, and what is new to them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ui.commands.common import (
    catalogue_option,
    encoder_option,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
)
from ui.commands.exporting import ExportRequest, export_options
from ui.commands.search import QuestionCommand, output_options, print_results, refuse_two_formats


@click.group(invoke_without_command=True)
@click.pass_context
def saved(ctx: click.Context) -> None:
    """Keep searches under a name, run them again, and see what is new since the last time.

    \b
    Examples:
      echoic saved add dogs "dog barking -music"
      echoic saved run dogs
      echoic saved run dogs --new
      echoic saved list
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_saved)


@saved.command("add", cls=QuestionCommand)
@click.argument("name")
@click.argument("query", nargs=-1, required=True)
@catalogue_option
def add(name: str, query: tuple[str, ...], location: str | None) -> None:
    """Keep QUERY under NAME. What is in the catalogue now does not count as new to it."""
    from search.saved import save

    with open_catalogue(location) as catalogue:
        kept = save(catalogue, name, " ".join(query), relative_to=Path.cwd())
    click.echo(f"Saved {printable(kept.name)}: {printable(kept.query)}")


@saved.command("list")
@json_option()
@catalogue_option
def list_saved(as_json: bool, location: str | None) -> None:
    """List the saved searches, and when each was last asked for what is new."""
    from db.saved_searches import saved_searches

    with open_catalogue(location) as catalogue:
        found = saved_searches(catalogue)
    if as_json:
        print_json([asdict(search) for search in found])
        return
    if not found:
        click.echo("No saved searches yet: `echoic saved add NAME QUERY` keeps one.")
    for search in found:
        click.echo(
            f"{printable(search.name)}: {printable(search.query)}  "
            f"(new since {search.seen_at.astimezone():%Y-%m-%d %H:%M})"
        )


@saved.command("run")
@click.argument("name")
@click.option(
    "--new",
    "only_new",
    is_flag=True,
    help="Only recordings that were added since NAME was last asked for new ones.",
)
@output_options
@export_options
@encoder_option
@catalogue_option
@click.pass_context
def run_saved(
    ctx: click.Context,
    name: str,
    only_new: bool,
    encoder: str | None,
    location: str | None,
    k: int,
    as_json: bool,
    weak: bool,
    unfold: bool,
    export: ExportRequest,
) -> None:
    """Run the saved search NAME.

    With --new, over what has come into the catalogue since it was last run with --new (or saved);
    all of that is listed unless -k says otherwise. Matches that did not fit stay new.
    """
    refuse_two_formats(as_json, export)
    from db.saved_searches import saved_search
    from search.engine import SearchEngine
    from search.language import parse
    from search.saved import MOST_NEW, accept, new_matches

    printing: dict[str, Any] = {"as_json": as_json, "weak": weak}
    given = ctx.get_parameter_source("k") is click.core.ParameterSource.COMMANDLINE
    with open_catalogue(location) as catalogue:
        kept = saved_search(catalogue, name)
        query = parse(kept.query)
        engine = SearchEngine(catalogue, encoder=encoder)
        if not only_new:
            results = engine.search(query, k=k, fold_copies=not unfold)
            print_results(results, query, kept.query, export=export, **printing)
            return
        k = k if given else MOST_NEW
        matches = new_matches(engine, name, k=k, fold_copies=not unfold)
        if not (matches.results.hits or as_json or export.is_wanted or weak):
            click.echo("Nothing new.")
        else:
            print_results(matches.results, query, kept.query, export=export, **printing)
        accept(catalogue, name, matches)
    if not matches.is_complete:
        print_notes(
            [f"there may be more than these {k}; all of them stay new: ask with -k {10 * k}"]
        )


@saved.command("rename")
@click.argument("name")
@click.argument("new_name")
@catalogue_option
def rename(name: str, new_name: str, location: str | None) -> None:
    """Call the saved search NAME NEW_NAME from now on; what is new to it stays new."""
    from db.saved_searches import rename_search

    with open_catalogue(location) as catalogue:
        rename_search(catalogue, name, new_name)
    click.echo(f"Renamed {printable(name)} to {printable(new_name)}.")


@saved.command("remove")
@click.argument("name")
@catalogue_option
def remove(name: str, location: str | None) -> None:
    """Forget the saved search NAME. No recording is touched."""
    from db.saved_searches import remove_search

    with open_catalogue(location) as catalogue:
        remove_search(catalogue, name)
    click.echo(f"Removed {printable(name)}.")

"""``echoic lists``: passages that are kept."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    catalogue_option,
    count_text,
    encoder_option,
    exact_span_text,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
)
from ui.commands.exporting import ExportRequest, export_hits, export_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.catalogue import Catalogue
    from db.lists import ListEntry, NewEntry
    from search.query import Archived

_ROUNDING_S = 0.05  # of a length as `echoic show` tells it


@click.group(invoke_without_command=True)
@click.pass_context
def lists(ctx: click.Context) -> None:
    """Keep passages in lists: put hits into them, order them, export them.

    \b
    Examples:
      echoic lists add opening '#42@1:30-1:40' --note "after the title"
      echoic lists add opening --query "church bell" -k 5
      echoic lists show opening
      echoic lists export opening --export opening.edl
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(show)


@lists.command("add")
@click.argument("name")
@click.argument("passages", nargs=-1)
@click.option("--query", metavar="QUERY", help="Add the hits of QUERY, each with its best passage.")
@click.option(
    "-k",
    "k",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="The greatest number of hits of --query.",
)
@click.option(
    "--note", default="", metavar="TEXT", help="What to remember about them; in exports, too."
)
@encoder_option
@catalogue_option
def add(
    name: str,
    passages: tuple[str, ...],
    query: str | None,
    k: int,
    note: str,
    encoder: str | None,
    location: str | None,
) -> None:
    """Put PASSAGES at the end of the list NAME, which is made if there is none.

    A passage is the number of a recording, as `echoic show` tells it, and a part of it: '#42' or
    '#42@1:30-1:40'. What is in the list already is passed over. If --query finds nothing, it adds
    nothing.
    """
    if not note.isascii() and note != note.encode("utf-8", "replace").decode():
        raise click.UsageError("the note is no text in UTF-8: write it in another way")
    if not passages and query is None:
        raise click.UsageError("name passages, as '#42@1:30-1:40', or give a --query")
    from db.lists import add_entries
    from search.marking import read_archived
    from search.saved import entry_of_passage

    with open_catalogue(location) as catalogue:
        asked = [read_archived(text) for text in passages]
        new = [entry_of_passage(catalogue, passage, note) for passage in asked]
        clipped = _clipped(passages, asked, new)
        if query is not None:
            found = _found(catalogue, query, k, note, encoder)
            if not found:
                click.echo(f"Nothing in this archive matches {printable(query)}.")
            new += found
        if not new:
            click.echo(f"Nothing was added to {printable(name)}.")
            return
        n_added = add_entries(catalogue, name, new)
    print_notes(clipped)
    n_present = len(new) - n_added
    there = f"; {count_text(n_present, 'was', 'were')} in it already" if n_present else ""
    click.echo(f"Added {count_text(n_added, 'passage')} to {printable(name)}{there}.")


def _clipped(
    texts: "Sequence[str]", asked: "Sequence[Archived]", entries: "Sequence[NewEntry]"
) -> list[str]:
    """Say which passages go beyond the end of their recording, by more than lengths are rounded."""
    return [
        f"{printable(text)} goes beyond the end of the recording: it is kept as "
        f"{exact_span_text(entry.onset_s or 0.0, entry.offset_s)}"
        for text, passage, entry in zip(texts, asked, entries, strict=True)
        if passage.to_s is not None
        and entry.offset_s is not None
        and passage.to_s - entry.offset_s > _ROUNDING_S
    ]


def _found(
    catalogue: "Catalogue", query: str, k: int, note: str, encoder: str | None
) -> "list[NewEntry]":
    from dataclasses import replace
    from pathlib import Path

    from search.engine import SearchEngine
    from search.language import parse, write
    from search.saved import entry_of_hit

    asked = parse(query, relative_to=Path.cwd())
    results = SearchEngine(catalogue, encoder=encoder).search(asked, k=k)
    print_notes(results.notes)
    return [replace(entry_of_hit(hit, write(asked)), note=note) for hit in results.hits]


@lists.command("show")
@click.argument("name", required=False)
@json_option()
@catalogue_option
def show(name: str | None, as_json: bool, location: str | None) -> None:
    """Show what is in the list NAME; without it, what lists there are."""
    from db.lists import entries
    from db.lists import lists as all_lists

    with open_catalogue(location) as catalogue:
        if name is None:
            known = all_lists(catalogue)
            if as_json:
                print_json([asdict(info) for info in known])
                return
            for info in known:
                click.echo(f"{printable(info.name)}: {count_text(info.n_entries, 'passage')}")
            if not known:
                click.echo("No lists yet: `echoic lists add NAME '#42@1:30-1:40'` makes one.")
            return
        found = entries(catalogue, name)
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    for entry in found:
        _print_entry(entry)


def _print_entry(entry: "ListEntry") -> None:
    when = "whole"
    if entry.onset_s is not None and entry.offset_s is not None:
        when = exact_span_text(entry.onset_s, entry.offset_s)
    about = [f"by: {entry.query}"] if entry.query else []
    if entry.score is not None:
        about.append(f"{entry.score:.2f}")
    if entry.recording_id is None:
        about.append("[not in the catalogue any more]")
    extra = "  ".join(map(printable, [*([entry.note] if entry.note else []), *about]))
    number = "" if entry.recording_id is None else f"#{entry.recording_id}"
    click.echo(
        f"{entry.number:>3}  {number:>7}  {when:>15}  {printable(entry.path)}"
        + (f"\n     {extra}" if extra else "")
    )


@lists.command("move")
@click.argument("name")
@click.argument("number", type=click.IntRange(1))
@click.argument("to", type=click.IntRange(1))
@catalogue_option
def move(name: str, number: int, to: int, location: str | None) -> None:
    """Move passage NUMBER of the list NAME to the place TO."""
    from db.lists import move_entry

    with open_catalogue(location) as catalogue:
        move_entry(catalogue, name, number, to)


@lists.command("rename")
@click.argument("name")
@click.argument("new_name")
@catalogue_option
def rename(name: str, new_name: str, location: str | None) -> None:
    """Call the list NAME NEW_NAME from now on."""
    from db.lists import rename_list

    with open_catalogue(location) as catalogue:
        rename_list(catalogue, name, new_name)
    click.echo(f"Renamed {printable(name)} to {printable(new_name)}.")


@lists.command("export")
@click.argument("name")
@export_options
@catalogue_option
def export(name: str, export: ExportRequest, location: str | None) -> None:
    """Write the passages of the list NAME for other programs, in the list's order.

    \b
    Examples:
      echoic lists export opening --export opening.edl
      echoic lists export opening --csv
    """
    if not export.is_wanted:
        raise click.UsageError("say where to: --export FILE, or --csv or --format NAME to print it")
    from search.errors import ExportError
    from search.export.text import first_few
    from search.saved import hits_of_list

    with open_catalogue(location) as catalogue:
        hits, lost = hits_of_list(catalogue, name)
    if lost:
        paths = first_few([printable(entry.path) for entry in lost])
        told = f"passages of recordings that the catalogue does not hold any more: {len(lost):,}"
        if not hits:
            raise ExportError(
                f"{printable(name)} holds only {told} ({paths}): index their files again, and make "
                "the list anew"
            )
        print_notes([f"left out: {told} ({paths})"])
    export_hits(hits, export, title=name)


@lists.command("remove")
@click.argument("name")
@click.argument("numbers", nargs=-1, type=click.IntRange(1))
@catalogue_option
def remove(name: str, numbers: tuple[int, ...], location: str | None) -> None:
    """Take passages out of the list NAME by their NUMBERS; without any, remove the whole list.

    No recording is touched.
    """
    from db.lists import remove_entries, remove_list

    with open_catalogue(location) as catalogue:
        if numbers:
            remove_entries(catalogue, name, numbers)
            what = f"{count_text(len(set(numbers)), 'passage')} from {printable(name)}"
        else:
            remove_list(catalogue, name)
            what = f"the list {printable(name)}"
    click.echo(f"Removed {what}.")

"""``echoic check`` and ``echoic repair``: whether the catalogue is whole."""

from dataclasses import asdict

import click

from ui.commands.common import (
    catalogue_option,
    count_text,
    fingerprint_schemes,
    fingerprints_option,
    json_option,
    open_catalogue,
    print_json,
    printable,
    vectors_option,
)

PROBLEMS_FOUND = 1


@click.command()
@click.option("--contents", is_flag=True, help="Read every file and compare its content (slow).")
@json_option()
@catalogue_option
@click.pass_context
def check(ctx: click.Context, contents: bool, as_json: bool, location: str | None) -> None:
    """Look for contradictions between database, vectors, fingerprints, index files, what servers
    and a cluster keep, and the files on disk.

    Changes nothing. Exits with 1 if anything is wrong.
    """
    from db import consistency
    from indexer.fingerprint_places import part_problems

    with open_catalogue(location) as catalogue:
        found = consistency.check(catalogue, schemes=fingerprint_schemes(), contents=contents)
        problems = list(found)
        # What parts hold is compared with a database that can be trusted, or not at all.
        if not any(problem.where == "database" for problem in problems):
            problems += (
                consistency.Problem("fingerprints", what, remedy)
                for what, remedy in part_problems(catalogue)
            )
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.where}: {printable(problem.what)}\n    {problem.remedy}")
        click.echo(f"{count_text(len(problems), 'problem')} found." if problems else "All is well.")
    ctx.exit(PROBLEMS_FOUND if problems else 0)


@click.command()
@click.option(
    "--index-only",
    is_flag=True,
    help="Only bring this machine's index files up to date; others may index meanwhile.",
)
@vectors_option
@fingerprints_option
@catalogue_option
def repair(
    index_only: bool, vectors: str | None, fingerprints: str | None, location: str | None
) -> None:
    """Mend what `echoic check` finds and the database can mend: indexes, full-text search.

    No file of the archive is touched.
    """
    for option, place in (("--vectors", vectors), ("--fingerprints", fingerprints)):
        if index_only and place:
            raise click.UsageError(f"{option} moves them for everybody: leave out --index-only")
    from db import consistency
    from db.vector_moving import move_vectors
    from db.writer import CatalogueWriter
    from indexer.fingerprint_places import move_fingerprints, repair_parts

    with (
        open_catalogue(location) as catalogue,
        CatalogueWriter(catalogue, alone=not index_only) as writer,
    ):
        done = move_vectors(writer, vectors) if vectors else []
        moved = move_fingerprints(writer, fingerprints) if fingerprints else []
        done += moved
        done += consistency.repair(writer, schemes=fingerprint_schemes(), only_index=index_only)
        if not moved and not index_only:
            done += repair_parts(catalogue)
    for action in done:
        click.echo(action[0].upper() + action[1:] + ".")
    if not done:
        click.echo("Nothing to repair.")

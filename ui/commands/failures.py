"""``echoic failures``: what could not be indexed, and why."""

import click

from ui.commands.common import (
    catalogue_option,
    failure_texts,
    json_option,
    open_catalogue,
    print_json,
    printable,
)
from ui.commands.index import SOME_FAILED, run_index, wanted_features, worker_option


@click.command()
@click.option("--retry", is_flag=True, help="Try to index all of them again.")
@json_option("Print JSON; with --retry, one object a line.")
@worker_option
@catalogue_option
@click.pass_context
def failures(
    ctx: click.Context, retry: bool, as_json: bool, n_workers: int, location: str | None
) -> None:
    """List the files that could not be indexed, with the stage and the reason.

    Exits with 1 if there are any.
    """
    from db.storage import file_at

    with open_catalogue(location) as catalogue:
        found = catalogue.failures()
        roots = {collection.id: collection.root for collection in catalogue.collections()}
        held = tuple(encoder.name for encoder in catalogue.encoders())
    if retry and found:
        from indexer.encoders import known_encoders
        from indexer.sources import failed_sources

        here = known_encoders()
        wanted = wanted_features(tuple(name for name in held if name in here), retry=True)
        code = run_index(
            location,
            lambda writer: failed_sources(writer.catalogue),
            wanted,
            n_workers=n_workers,
            as_json=as_json,
        )
        ctx.exit(code)
    if as_json:
        print_json(
            [
                {
                    "path": str(file_at(roots[failure.collection_id], failure.path)),
                    "stage": failure.stage,
                    "reason": failure.reason,
                    "attempts": failure.attempts,
                    "failed_at": failure.failed_at,
                }
                for failure in found
            ]
        )
    else:
        for failure in found:
            path = printable(str(file_at(roots[failure.collection_id], failure.path)))
            times = f", {failure.attempts} times" if failure.attempts > 1 else ""
            click.echo(f"{path}\n    {failure.stage}: {failure.reason}{times}")
        for text in failure_texts(found):
            click.echo(f"{text}.")
    ctx.exit(SOME_FAILED if found else 0)

"""``echoic index`` and ``echoic watch``: take an archive in, and keep it so."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    Command,
    absolute,
    catalogue_option,
    json_option,
    open_catalogue,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from db.writer import CatalogueWriter
    from indexer.plan import Wanted
    from indexer.sources import Source

SOME_FAILED = 1
NOTHING_DONE = 2
INTERRUPTED = 130


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_option(command: Command) -> Command:
    """Add ``--workers`` to a command that indexes."""
    return click.option(
        "--workers",
        "n_workers",
        type=click.IntRange(1, 256),
        default=_available_cores,
        show_default="one for each core",
        help="Processes that analyse files.",
    )(command)


def analysis_options(command: Command) -> Command:
    """Add the options that say what is computed."""
    for option in (
        worker_option,
        click.option("--no-descriptors", is_flag=True, help="Leave loudness, tempo, key... out."),
        click.option("--no-fingerprints", is_flag=True, help="Leave fingerprints out."),
        click.option(
            "--encoder",
            "encoders",
            metavar="NAME",
            multiple=True,
            help="The encoder; may be given several times.  [default: echoic-mini]",
        ),
        click.option("--collection", metavar="NAME", help="The collection to index into."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("folders", nargs=-1, metavar="FOLDER...")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Index the files on this list, with what it says of them.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder of the manifest's files.  [default: that of the manifest]",
)
@analysis_options
@click.option("--verify", is_flag=True, help="Compare contents, too, not only sizes and times.")
@click.option("--retry", is_flag=True, help="Try files again that failed before.")
@json_option("Print one JSON object a line while it goes on.")
@catalogue_option
@click.pass_context
def index(
    ctx: click.Context,
    folders: tuple[str, ...],
    manifest: Path | None,
    root: Path | None,
    collection: str | None,
    encoders: tuple[str, ...],
    no_descriptors: bool,
    no_fingerprints: bool,
    n_workers: int,
    verify: bool,
    retry: bool,
    as_json: bool,
    location: str | None,
) -> None:
    """Index folders, or single files; with --encoder and no FOLDER, all that is indexed already.

    Each FOLDER becomes a collection. Run the same command again at any time: unchanged files are
    skipped, changed ones analysed anew, moved ones recognised by their content, vanished ones
    marked missing. Files are only ever read. Ctrl-C ends the run after the files in hand; what is
    done stays done. Another encoder adds its vectors to those that are there.

    Exit codes: 0 all well, 1 some files failed, 2 nothing could be done, 130 interrupted.

    \b
    Examples:
      echoic index ~/sounds /media/tapes
      echoic index --manifest list.csv --root /media/tapes
      echoic index --encoder echoic-mini
    """
    if not folders and manifest is None and not encoders:
        raise click.UsageError(
            "name a folder or file to index, or a --manifest; or an --encoder, for all that is "
            "indexed already"
        )
    if folders and manifest is not None:
        raise click.UsageError("give folders or a --manifest, not both")
    wanted = wanted_features(
        encoders,
        descriptors=not no_descriptors,
        fingerprints=not no_fingerprints,
        verify=verify,
        retry=retry,
    )

    left_out: list[str] = []

    def sources(writer: "CatalogueWriter") -> "list[Source]":
        from indexer.sources import folder_source, known_sources, manifest_source

        if manifest is not None:
            return [manifest_source(writer, manifest, root, name=collection)]
        if folders:
            return [folder_source(writer, absolute(folder), name=collection) for folder in folders]
        found, out_of_reach = known_sources(writer.catalogue, name=collection)
        left_out.extend(each.name for each in out_of_reach)
        return found

    code = run_index(location, sources, wanted, n_workers=n_workers, as_json=as_json)
    if left_out:
        click.echo(
            f"Note: left out, because no file of theirs is there: {', '.join(left_out)}. "
            "Connect the disk and run this again.",
            err=True,
        )
    ctx.exit(code or (SOME_FAILED if left_out else 0))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@analysis_options
@json_option("Print one JSON object a line while it goes on.")
@catalogue_option
@click.pass_context
def watch(
    ctx: click.Context,
    folder: Path,
    collection: str | None,
    encoders: tuple[str, ...],
    no_descriptors: bool,
    no_fingerprints: bool,
    n_workers: int,
    as_json: bool,
    location: str | None,
) -> None:
    """Index FOLDER, then again whenever something in it changes, until Ctrl-C.

    The catalogue is free for other writers between the runs.
    """
    from watchfiles import watch as watch_changes

    from db.errors import CatalogueLocked
    from db.location import catalogue_location
    from indexer.errors import IndexingError

    wanted = wanted_features(
        encoders, descriptors=not no_descriptors, fingerprints=not no_fingerprints
    )
    catalogue = absolute(catalogue_location(location))

    def sources(writer: "CatalogueWriter") -> "list[Source]":
        from indexer.sources import folder_source

        return [folder_source(writer, absolute(str(folder)), name=collection)]

    def run() -> int:
        return run_index(location, sources, wanted, n_workers=n_workers, as_json=as_json)

    if run() == INTERRUPTED:
        ctx.exit(INTERRUPTED)
    with stop_on_interrupt("Watching has ended.") as stop:
        click.echo(f"Watching {folder}. Ctrl-C ends.", err=True)
        # Two quiet seconds: a file that is still being copied is not yet worth reading.
        changes = watch_changes(
            folder,
            # Should the catalogue lie within, what is written to it is no news.
            watch_filter=lambda _, path: not Path(path).is_relative_to(catalogue),
            stop_event=stop,
            debounce=10_000,
            step=2_000,
            rust_timeout=5_000,
            yield_on_timeout=True,
        )
        pending = True  # what came while the first run went on has not been seen
        for found in changes:
            if stop.is_set() or not (found or pending):
                continue
            try:
                pending = False
                if run() == INTERRUPTED:
                    break
            except (CatalogueLocked, IndexingError) as error:
                pending = True  # the next turn comes in five seconds
                click.echo(f"Waiting: {error}.", err=True)


def wanted_features(
    encoders: tuple[str, ...],
    *,
    descriptors: bool = True,
    fingerprints: bool = True,
    verify: bool = False,
    retry: bool = False,
) -> "Wanted":
    """Return what a run is to compute, as its options say."""
    from indexer.encoders import DEFAULT_ENCODER, encoder_id
    from indexer.fingerprint import DEFAULT_FINGERPRINTER
    from indexer.plan import Wanted

    return Wanted(
        tuple(dict.fromkeys(encoder_id(name) for name in encoders or (DEFAULT_ENCODER,))),
        (DEFAULT_FINGERPRINTER,) if fingerprints else (),
        describe=descriptors,
        verify=verify,
        retry=retry,
    )


def run_index(
    location: str | None,
    sources: "Callable[[CatalogueWriter], list[Source]]",
    wanted: "Wanted",
    *,
    n_workers: int,
    as_json: bool,
) -> int:
    """Run the indexer with progress on the terminal; return the exit code."""
    from db.writer import CatalogueWriter
    from indexer.encoders import load_encoder
    from indexer.pipeline import run
    from ui.progress import progress

    for name in wanted.encoders:
        load_encoder(name)  # a missing or damaged one is told before a file is touched
    with (
        open_catalogue(location, create=True) as catalogue,
        CatalogueWriter(catalogue) as writer,
        stop_on_interrupt() as stop,
        progress(as_json=as_json) as show,
    ):
        chosen = sources(writer)
        summary = run(writer, chosen, wanted, n_workers=n_workers, on_event=show.event, stop=stop)
        show.finish(summary, catalogue.location)
        for name, root in _moved_away(catalogue):
            click.echo(
                f"Note: the folder of the collection {name!r}, {root}, is not there. "
                f"If it was moved: echoic relocate {name} NEW_FOLDER",
                err=True,
            )
    if summary.stopped:
        return INTERRUPTED
    bad = summary.failures or summary.failed_before or summary.notes
    if not bad and summary.n_found:
        return 0
    return SOME_FAILED if summary.outcomes or summary.n_unchanged else NOTHING_DONE


def _moved_away(catalogue: "Catalogue") -> list[tuple[str, str]]:
    return [(c.name, c.root) for c in catalogue.collections() if not os.path.isdir(c.root)]  # noqa: PTH112


@contextmanager
def stop_on_interrupt(
    saying: str = "Stopping after the files in hand. Ctrl-C again stops at once.",
) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or a polite kill) into a request to stop; the second ends at once."""
    stop = threading.Event()

    def request(signum: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo(saying, err=True)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""``echoic index`` and ``echoic watch``: take an archive in, and keep it so."""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ui.commands.common import (
    Command,
    LocalPath,
    absolute,
    catalogue_option,
    json_option,
    open_catalogue,
    print_notes,
    printable,
    vectors_option,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from db.writer import CatalogueWriter
    from indexer.encoders import Encoder
    from indexer.pipeline import OnRay
    from indexer.plan import Wanted
    from indexer.sources import Source

SOME_FAILED = 1
NOTHING_DONE = 2
INTERRUPTED = 130

_TRY_AGAIN_AFTER_S = 3.0


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
            help="The encoder; may be given several times.  [default: the catalogue's, at first "
            "echoic-mini]",
        ),
        click.option("--collection", metavar="NAME", help="The collection to index into."),
        click.option(
            "--max-wait",
            "max_wait_s",
            type=click.FloatRange(min=0.0),
            metavar="SECONDS",
            default=math.inf,
            help="How long to wait when the catalogue's database server, or the storage of the "
            "sounds, goes away during the run.  [default: until it is back]",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("folders", nargs=-1, metavar="FOLDER...")
@click.option(
    "--manifest",
    type=LocalPath("a list on this machine; --root may be an address", path_type=Path),
    metavar="CSV",
    help="Index the files on this list, with what it says of them.",
)
@click.option(
    "--root",
    metavar="FOLDER",
    help="The folder of the manifest's files, or its address.  [default: that of the manifest]",
)
@analysis_options
@click.option("--verify", is_flag=True, help="Compare contents, too, not only sizes and times.")
@click.option("--retry", is_flag=True, help="Try files again that failed before.")
@click.option(
    "--ray",
    "ray_address",
    metavar="ADDRESS",
    help="Analyse on the machines of a Ray cluster: its HOST:PORT, auto for the one that this "
    "machine belongs to, or local for one that is made here for this run. Then --workers counts "
    "processes on all of them.  [--workers default: one for each core but one of each machine]",
)
@vectors_option
@json_option("Print one JSON object a line while it goes on.")
@catalogue_option
@click.pass_context
def index(
    ctx: click.Context,
    folders: tuple[str, ...],
    manifest: Path | None,
    root: str | None,
    collection: str | None,
    encoders: tuple[str, ...],
    no_descriptors: bool,
    no_fingerprints: bool,
    n_workers: int,
    max_wait_s: float,
    verify: bool,
    retry: bool,
    ray_address: str | None,
    vectors: str | None,
    as_json: bool,
    location: str | None,
) -> None:
    """Index folders, or single files; with --encoder and no FOLDER, all that is indexed already.

    Each FOLDER becomes a collection, unless it lies within one; it may be an address, as
    s3://BUCKET/FOLDER. Run the same command again at any time: unchanged files are skipped, changed
    ones analysed anew, moved ones recognised by their content, vanished ones marked missing. Files
    are only ever read. Ctrl-C ends the run after the files in hand; what is done stays done.
    Another encoder adds its vectors to those that are there.

    Exit codes: 0 all well, 1 some files failed, 2 nothing could be done, 130 interrupted.

    \b
    Examples:
      echoic index ~/sounds /media/tapes
      echoic index s3://archive/tapes
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
        _meant_encoders(location, encoders),
        descriptors=not no_descriptors,
        fingerprints=not no_fingerprints,
        verify=verify,
        retry=retry,
    )

    left_out: list[str] = []

    def sources(writer: "CatalogueWriter") -> "list[Source]":
        from indexer.sources import known_sources, manifest_source

        if manifest is not None:
            return [manifest_source(writer, manifest, root, name=collection)]
        if folders:
            # Each once: the counts would be wrong.
            return list(dict.fromkeys(_source(writer, folder, collection) for folder in folders))
        found, out_of_reach = known_sources(writer.catalogue, name=collection)
        left_out.extend(each.name for each in out_of_reach)
        return found

    if vectors:
        _move_vectors(location, vectors)
    code = run_index(
        location,
        sources,
        wanted,
        n_workers=n_workers if ray_address is None else _on_ray(ctx, ray_address, n_workers),
        as_json=as_json,
        max_wait_s=max_wait_s,
    )
    if left_out:
        click.echo(
            f"Note: left out, because no file of theirs is there: {', '.join(left_out)}. "
            "Connect the disk or network and run this again.",
            err=True,
        )
    ctx.exit(code or (SOME_FAILED if left_out else 0))


@click.command()
@click.argument("folder")
@analysis_options
@json_option("Print one JSON object a line while it goes on.")
@catalogue_option
@click.pass_context
def watch(
    ctx: click.Context,
    folder: str,
    collection: str | None,
    encoders: tuple[str, ...],
    no_descriptors: bool,
    no_fingerprints: bool,
    n_workers: int,
    max_wait_s: float,
    as_json: bool,
    location: str | None,
) -> None:
    """Index FOLDER, then again whenever something in it changes, until Ctrl-C.

    The catalogue is free for other writers between the runs.
    """
    from db.errors import CatalogueLocked, CatalogueUnreachable
    from db.location import catalogue_location
    from indexer.errors import IndexingError

    watched = _folder_to_watch(folder)
    wanted = wanted_features(
        _meant_encoders(location, encoders),
        descriptors=not no_descriptors,
        fingerprints=not no_fingerprints,
    )
    catalogue = absolute(catalogue_location(location))

    def sources(writer: "CatalogueWriter") -> "list[Source]":
        from indexer.sources import folder_source

        return [folder_source(writer, watched, name=collection)]

    def run() -> int:
        return run_index(
            location, sources, wanted, n_workers=n_workers, as_json=as_json, max_wait_s=max_wait_s
        )

    with stop_on_interrupt("Watching has ended.") as stop:
        # The first turn comes when changes are being noted, so that the first run misses none.
        pending = is_first = True
        for found in _changes(watched, catalogue, stop):
            if stop.is_set() or not (found or pending):
                continue
            try:
                pending = False
                if run() == INTERRUPTED:
                    ctx.exit(INTERRUPTED if is_first else 0)
            except (CatalogueLocked, CatalogueUnreachable, IndexingError) as error:
                if is_first:
                    raise
                pending = True
                click.echo(f"Waiting: {error}.", err=True)
                stop.wait(_TRY_AGAIN_AFTER_S)
            if is_first:
                click.echo(f"Watching {printable(folder)}. Ctrl-C ends.", err=True)
            is_first = False


def _folder_to_watch(folder: str) -> Path:
    from db.remote import is_address

    if is_address(folder):
        raise click.UsageError(
            "object storage tells of no changes: run `echoic index` on it from time to time"
        )
    path = absolute(folder)
    if not path.is_dir():
        what = "is a single file: name its folder" if path.exists() else "is not there"
        raise click.UsageError(f"{path} {what}")
    return path


def _changes(folder: Path, catalogue: Path, stop: threading.Event) -> Iterator[bool]:
    """Tell every two seconds whether something in a folder has changed, until `stop` is set."""
    from watchfiles import watch as watch_changes

    # Two quiet seconds: a file that is still being copied is not yet worth reading.
    found = watch_changes(
        folder,
        # Should the catalogue lie within, what is written to it is no news.
        watch_filter=lambda _, path: not Path(path).is_relative_to(catalogue),
        stop_event=stop,
        debounce=10_000,
        step=2_000,
        rust_timeout=1_000,
        yield_on_timeout=True,
    )
    return map(bool, found)


def wanted_features(
    encoders: tuple[str, ...],
    *,
    descriptors: bool = True,
    fingerprints: bool = True,
    verify: bool = False,
    retry: bool = False,
) -> "Wanted":
    """Return what a run is to compute, as its options say; `encoders` are ids."""
    from indexer.encoders import DEFAULT_ENCODER
    from indexer.fingerprint import DEFAULT_FINGERPRINTER
    from indexer.plan import Wanted

    return Wanted(
        encoders or (DEFAULT_ENCODER,),
        (DEFAULT_FINGERPRINTER,) if fingerprints else (),
        describe=descriptors,
        verify=verify,
        retry=retry,
    )


def _meant_encoders(location: str | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids that names mean for a catalogue; without any, what the catalogue says."""
    from db.errors import CatalogueMissing, CatalogueVersionError
    from indexer.encoders import encoder_id
    from search.encoders import embedding

    try:
        with open_catalogue(location) as catalogue:
            return embedding(catalogue, names)
    except CatalogueMissing:
        return tuple(dict.fromkeys(encoder_id(name) for name in names))
    except CatalogueVersionError:
        # If it is an older one, indexing brings it up to date: what was chosen is read after that.
        with open_catalogue(location, create=True) as catalogue:
            return embedding(catalogue, names)


def run_index(
    location: str | None,
    sources: "Callable[[CatalogueWriter], list[Source]]",
    wanted: "Wanted",
    *,
    n_workers: "int | OnRay",
    as_json: bool,
    max_wait_s: float = math.inf,
) -> int:
    """Run the indexer with progress on the terminal; return the exit code."""
    from db.patience import Patience
    from db.writer import CatalogueWriter
    from indexer.encoders import load_encoder
    from indexer.pipeline import run
    from ui.progress import progress

    # A missing or damaged one is told before a file is touched.
    encoders = [load_encoder(name) for name in wanted.encoders]
    with (
        stop_on_interrupt() as stop,
        open_catalogue(
            location, create=True, patience=Patience(_tell, stop, most_s=max_wait_s)
        ) as catalogue,
        CatalogueWriter(catalogue, alone=False) as writer,
        progress(as_json=as_json) as show,
    ):
        if isinstance(n_workers, int):  # else they run on other machines, which may have others
            _try_out(catalogue, encoders)
        chosen = sources(writer)
        summary = run(writer, chosen, wanted, n_workers=n_workers, on_event=show.event, stop=stop)
        show.finish(summary, catalogue.location)
        if not summary.stopped:
            _calibrate(catalogue, encoders)
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


def _try_out(catalogue: "Catalogue", encoders: "Iterable[Encoder]") -> None:
    """Let the encoders that do not come with Echoic listen to silence, and read if they will.

    Whether a network can be run shows only then, and no file is to blame if it cannot.
    """
    import numpy as np

    from indexer.encoders import DEFAULT_ENCODER
    from search.archive_calibration import reads_phrases

    for encoder in encoders:
        if encoder.id != DEFAULT_ENCODER:
            silence = np.zeros((1, round(encoder.window_s * encoder.sample_rate)), dtype=np.float32)
            encoder.embed_audio(silence)
            if reads_phrases(catalogue, encoder):
                encoder.embed_text(["silence"])


def _calibrate(catalogue: "Catalogue", encoders: "Iterable[Encoder]") -> None:
    """Learn what the scores of encoders mean here, of those of which nobody else knows it.

    What was indexed stays when that fails: a search draws a calibration for itself.
    """
    from indexer.errors import EncoderError
    from search.archive_calibration import calibrate

    for encoder in encoders:
        try:
            calibrate(catalogue, encoder, on_start=_tell)
        except EncoderError as error:
            print_notes([f"what scores by {encoder.id} mean could not be learnt here: {error}"])


def _move_vectors(location: str | None, vectors: str) -> None:
    """Let the catalogue keep its vectors at another place before anything is added."""
    from db.vector_location import stored_location, vector_location
    from db.vector_moving import move_vectors
    from db.writer import CatalogueWriter

    with open_catalogue(location, create=True) as catalogue:
        with catalogue.session() as session:
            stored = stored_location(session)
        if stored == vectors == vector_location(catalogue):
            return  # nothing for which other indexers would have to be kept out
        with CatalogueWriter(catalogue) as writer:
            for action in move_vectors(writer, vectors):
                _tell(action[0].upper() + action[1:])


def _on_ray(ctx: click.Context, address: str, n_workers: int) -> "OnRay":
    from indexer.pipeline import OnRay
    from indexer.ray_cluster import assure_that_it_answers

    assure_that_it_answers(address)  # also where there turns out to be nothing to do
    is_default = ctx.get_parameter_source("n_workers") is ParameterSource.DEFAULT
    return OnRay(address, None if is_default else n_workers, _tell)


def _tell(news: str) -> None:
    click.echo(f"{news}.", err=True)


def _source(writer: "CatalogueWriter", place: str, collection: str | None) -> "Source":
    from db.remote import is_address
    from indexer.sources import address_source, folder_source

    if is_address(place):
        return address_source(writer, place, name=collection)
    return folder_source(writer, absolute(place), name=collection)


def _moved_away(catalogue: "Catalogue") -> list[tuple[str, str]]:
    from db.storage import root_is_gone

    return [(c.name, c.root) for c in catalogue.collections() if root_is_gone(c.root)]


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

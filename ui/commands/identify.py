"""``echoic identify``: which recording is this, and where in it."""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    Command,
    LocalPath,
    catalogue_option,
    duration_text,
    json_option,
    open_catalogue,
    print_notes,
    printable,
)
from ui.commands.index import NOTHING_DONE, SOME_FAILED
from ui.commands.matches import (
    MOST_CHANGE,
    STANDARD_INPUT,
    USUAL_P,
    Answer,
    CsvDisplay,
    CueDisplay,
    Display,
    JsonDisplay,
    Query,
    TableDisplay,
)
from ui.commands.search import part_options

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from search.fingerprints import FingerprintEngine


class Percent(click.FloatRange):
    """A percentage; click itself lets what is not a number pass any range."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


_LONG_S = 60.0
_LINE_EVERY_S = 600.0


def acceptance_options(command: Command) -> Command:
    """Add the options that say what counts as a match."""
    for option in (
        click.option(
            "--p-false",
            type=Percent(1e-12, 0.5),
            default=USUAL_P,
            show_default=True,
            metavar="PROBABILITY",
            help="The chance of a false match that is accepted for each query.",
        ),
        click.option(
            "--max-change",
            "most_change",
            type=Percent(0, MOST_CHANGE),
            default=2.4,
            show_default=True,
            metavar="PERCENT",
            help="How much too fast, slow, high or low the query may be, in steps of 0.4; up to "
            "10, which takes longer when nothing else is found.",
        ),
        click.option(
            "--all-occurrences",
            is_flag=True,
            help="Find every place, up to a thousand or so, not just the best. It takes a closer "
            "look, which scores a little differently; repetitions that a beat may explain can be "
            "missing. The surest comes first; of more than 15 s, what begins first in the query.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="Of --all-occurrences, the N with the highest scores of each query.",
        ),
    ):
        command = option(command)
    return command


def reading_options(command: Command) -> Command:
    """Add the option that says what is read of the archive."""
    return click.option(
        "--fingerprints-only",
        is_flag=True,
        help="Do not read the archive's own files where fingerprints leave a doubt, as when they "
        "lie on a slow drive. Less is found in loud noise, and of passages much alike the wrong "
        "one may be named. What lies in object storage is never read for that.",
    )(command)


def format_options(command: Command) -> Command:
    """Add the options that say how matches are printed."""
    for option in (
        click.option(
            "--cue",
            "as_cue",
            is_flag=True,
            help="Print a cue sheet of whole files: what was played.",
        ),
        click.option(
            "--csv",
            "as_csv",
            is_flag=True,
            help="Print CSV, one match a row; a query without one is a row, too, and one that "
            "failed.",
        ),
        json_option(),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("given", nargs=-1, required=True, metavar="QUERY...", type=LocalPath())
@part_options
@acceptance_options
@reading_options
@format_options
@catalogue_option
@click.pass_context
def identify(
    ctx: click.Context,
    given: tuple[str, ...],
    from_s: float | None,
    to_s: float | None,
    all_occurrences: bool,
    fingerprints_only: bool,
    limit: int | None,
    most_change: float,
    p_false: float,
    as_json: bool,
    as_csv: bool,
    as_cue: bool,
    location: str | None,
) -> None:
    """Find the recording that QUERY comes from, and where in it.

    QUERY is a file, a folder of files, or - for standard input. It may be noisy, encoded anew,
    played in a room, or run a little too fast. A long one, such as an hour of radio, is gone
    through from beginning to end: what was played when.

    Exit codes: 0 all well, with a match or without, 1 some files failed, 2 nothing could be done.

    \b
    Examples:
      echoic identify excerpt.mp3
      echoic identify tape.flac --from 1:30 --to 1:45 --max-change 10
      echoic identify radio.mp3 --cue > radio.cue
    """
    formats = [
        kind
        for kind, on in ((JsonDisplay, as_json), (CsvDisplay, as_csv), (CueDisplay, as_cue))
        if on
    ]
    if len(formats) > 1:
        raise click.UsageError("choose one of --json, --csv and --cue")
    if as_cue and (all_occurrences or from_s is not None or to_s is not None):
        raise click.UsageError(
            "a cue sheet says what was played in a whole file: "
            "it goes with none of --all-occurrences, --from and --to"
        )
    if as_cue and STANDARD_INPUT in given:
        raise click.UsageError(
            "a cue sheet names the file that programs shall play, and standard input has no name: "
            "write it into a file, and give that"
        )
    if limit is not None and not all_occurrences:
        raise click.UsageError("--limit goes with --all-occurrences: without it the best is given")
    for name in given:
        _must_be_a_name(name)
    if STANDARD_INPUT in given and sys.stdin.isatty():
        raise click.UsageError("there is nothing on standard input: pipe a file into it")
    from search.fingerprints import FingerprintEngine
    from search.rehearing import unread_note

    several = len(given) > 1 or Path(given[0]).is_dir()
    more_may_help = {
        f"--p-false {USUAL_P:g}, as usual": p_false < USUAL_P,
        f"--max-change {MOST_CHANGE:.0f} for a tape at the wrong speed": most_change < MOST_CHANGE,
        "the likeliest place alone, without --all-occurrences": all_occurrences,
    }
    files = ["the archive's own files, without --fingerprints-only"] if fingerprints_only else []
    table = TableDisplay(
        named=several,
        hints=[hint for hint, may in more_may_help.items() if may],
        hints_for_short=files,
    )
    with open_catalogue(location) as catalogue, tempfile.TemporaryDirectory() as folder:
        engine = FingerprintEngine(
            catalogue, max_change=most_change / 100, reads_files=not fingerprints_only
        )
        identifier = _Identifier(catalogue, engine, from_s, to_s, p_false, all_occurrences, limit)
        told = engine.notes
        print_notes(told)
        show = formats[0]() if formats else table
        exit_code = _answer(_queries(given, Path(folder)), identifier.answer, show)
        print_notes(note for note in engine.notes if note not in told)
        if identifier.unread:
            note = unread_note(identifier.unread)
            print_notes([f"{note}; `--fingerprints-only` reads none"])
        ctx.exit(exit_code)


@dataclass(slots=True)
class _Identifier:
    """Answers queries; `unread` are the recordings that could not be read for any of them."""

    catalogue: "Catalogue"
    engine: "FingerprintEngine"
    from_s: float | None
    to_s: float | None
    p_false: float
    all_occurrences: bool
    limit: int | None
    unread: dict[int, str] = field(default_factory=dict)

    def answer(self, path: Path) -> Answer:
        """Find what a file, or the part of it, was taken from."""
        from search.too_little import too_little

        unread: dict[int, str] = {}
        warnings: list[str] = []
        parts_s: list[float] = []
        with _progress(path.name) as tell:

            def on_progress(second: float) -> None:
                parts_s.append(second)
                tell(second)

            matches = self.engine.identify(
                path,
                from_s=self.from_s,
                to_s=self.to_s,
                p_false=self.p_false,
                all_occurrences=self.all_occurrences,
                limit=self.limit,
                on_progress=on_progress,
                on_unread=unread.__setitem__,
                on_warning=warnings.append,
            )
        self.unread.update(unread)
        recordings = self.catalogue.recordings(unread)
        return Answer(
            self.engine.identical(path),
            matches,
            too_little="" if matches else too_little(path, from_s=self.from_s, to_s=self.to_s),
            unread=[(recordings[id_], why) for id_, why in unread.items() if id_ in recordings],
            is_long=len(parts_s) > 1,
            warnings=warnings,
        )


def _must_be_a_name(name: str) -> None:
    if not name:
        raise click.UsageError("a QUERY is empty: give a file, a folder, or - for standard input")
    try:
        Path(name).stat()
    except FileNotFoundError:
        pass  # told when its turn comes; the others are answered
    except OSError as error:
        raise click.UsageError(f"{printable(name[:80])}: {error.strerror}") from error


def _answer(
    queries: "Iterator[Query]", identified: "Callable[[Path], Answer]", show: "Display"
) -> int:
    """Answer each query, whatever becomes of the others; return the exit code."""
    from indexer.errors import AudioError

    n_done = n_failed = 0
    for query in queries:
        try:
            if query.fault is not None:
                raise AudioError(query.fault)
            answer = identified(query.path)
            print_notes(f"{query.title}: {warning}" for warning in answer.warnings)
            show.answer(query, answer)
            n_done += 1
        except AudioError as error:
            n_failed += 1
            reason = str(error).removeprefix(f"{query.path}: ")
            click.echo(f"Failed: {query.title}: {printable(reason)}", err=True)
            show.failed(query, reason)
    show.finish()
    if not n_failed:
        return 0
    return SOME_FAILED if n_done else NOTHING_DONE


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """Say how far a long query has been gone through: on a terminal always, else now and then."""
    if not sys.stderr.isatty():
        yield _lines(name)
        return
    told = False

    def tell(second: float) -> None:
        nonlocal told
        if second >= _LONG_S:
            click.echo(f"\rListened to {duration_text(second)} ", err=True, nl=False)
            told = True

    try:
        yield tell
    finally:  # what is said next, of a file that broke off, has the line for itself
        if told:
            click.echo("\r" + " " * 40 + "\r", err=True, nl=False)


def _lines(name: str) -> Callable[[float], None]:
    """Print a line for every ten minutes of a query: for logs and pipes."""
    n_told: int | None = None

    def tell(second: float) -> None:
        nonlocal n_told
        n_past = int(second // _LINE_EVERY_S)
        # What lies before the part that is asked for has not been listened to.
        if n_told is not None and n_past > n_told:
            at = duration_text(n_past * _LINE_EVERY_S)
            click.echo(f"Listened to {printable(name)} up to {at}", err=True)
        n_told = n_past

    return tell


def _queries(given: tuple[str, ...], folder: Path) -> Iterator[Query]:
    """Yield all files that are meant; what comes on standard input is kept in `folder`."""
    from indexer.scan import Found, Scanner

    for name in dict.fromkeys(given):
        path = Path(name)
        if name == STANDARD_INPUT:
            path = folder / "standard input"
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield Query(name, path)
        elif not path.is_dir():
            yield Query(name, path)
        else:
            empty = True
            for found in Scanner(path):
                empty = False
                fault = None if isinstance(found, Found) else found.reason
                yield Query(str(path / found.path), path / found.path, fault)
            if empty:
                yield Query(name, path, "no audio files in this folder")

"""``echoic identify``: which recording is this, and where in it."""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    Command,
    catalogue_option,
    exact_span_text,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
)
from ui.commands.index import NOTHING_DONE, SOME_FAILED
from ui.commands.search import part_options

if TYPE_CHECKING:
    from search.fingerprints import Match

_STANDARD_INPUT = "-"


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


_MOST_CHANGE = 10.0


def acceptance_options(command: Command) -> Command:
    """Add the options that say what counts as a match."""
    for option in (
        click.option(
            "--p-false",
            type=Percent(1e-12, 0.5),
            default=1e-3,
            show_default=True,
            metavar="PROBABILITY",
            help="The chance of a false match that is accepted for each query.",
        ),
        click.option(
            "--max-change",
            "most_change",
            type=Percent(0, _MOST_CHANGE),
            default=2.4,
            show_default=True,
            metavar="PERCENT",
            help="How much too fast, slow, high or low the query may be, in steps of 0.4; up to "
            "10, which takes longer when nothing else is found.",
        ),
        click.option(
            "--all-occurrences",
            is_flag=True,
            help="Find every place (of an excerpt, the best first), not just the best.",
        ),
    ):
        command = option(command)
    return command


def format_options(command: Command) -> Command:
    """Add the options that say how matches are printed."""
    for option in (
        click.option("--cue", "as_cue", is_flag=True, help="Print a cue sheet: what was played."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one match a row."),
        json_option(),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("given", nargs=-1, required=True, metavar="QUERY...")
@part_options
@acceptance_options
@format_options
@catalogue_option
@click.pass_context
def identify(
    ctx: click.Context,
    given: tuple[str, ...],
    from_s: float | None,
    to_s: float | None,
    all_occurrences: bool,
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
    formats = [kind for kind, on in ((_Json, as_json), (_Csv, as_csv), (_Cue, as_cue)) if on]
    if len(formats) > 1:
        raise click.UsageError("choose one of --json, --csv and --cue")
    if as_cue and (all_occurrences or from_s is not None or to_s is not None):
        raise click.UsageError(
            "a cue sheet says what was played in a whole file: "
            "it goes with none of --all-occurrences, --from and --to"
        )
    for name in given:
        _must_be_a_name(name)
    if _STANDARD_INPUT in given and sys.stdin.isatty():
        raise click.UsageError("there is nothing on standard input: pipe a file into it")
    from search.fingerprints import FingerprintEngine

    def identified(path: Path) -> "list[Match]":
        return engine.identify(
            path, from_s=from_s, to_s=to_s, p_false=p_false, all_occurrences=all_occurrences
        )

    several = len(given) > 1 or Path(given[0]).is_dir()
    table = _Table(named=several, may_change_more=most_change < _MOST_CHANGE)
    show = formats[0]() if formats else table
    with open_catalogue(location) as catalogue, tempfile.TemporaryDirectory() as folder:
        engine = FingerprintEngine(catalogue, max_change=most_change / 100)
        print_notes(engine.notes)
        ctx.exit(_answer(_queries(given, Path(folder)), identified, show))


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
    queries: "Iterator[_Query]", identified: "Callable[[Path], list[Match]]", show: "_Display"
) -> int:
    """Answer each query, whatever becomes of the others; return the exit code."""
    from indexer.errors import AudioError

    n_done = n_failed = 0
    for query in queries:
        try:
            if query.fault is not None:
                raise AudioError(query.fault)
            show.matches(query, identified(query.path))
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


@dataclass(frozen=True, slots=True)
class _Query:
    """A file that is asked about; `name` is what the user calls it."""

    name: str
    path: Path
    fault: str | None = None

    @property
    def title(self) -> str:
        return "standard input" if self.name == _STANDARD_INPUT else printable(self.name)


def _queries(given: tuple[str, ...], folder: Path) -> Iterator[_Query]:
    """Yield all files that are meant; what comes on standard input is kept in `folder`."""
    from indexer.scan import Found, Scanner

    for name in dict.fromkeys(given):
        path = Path(name)
        if name == _STANDARD_INPUT:
            path = folder / "standard input"
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield _Query(name, path)
        elif not path.is_dir():
            yield _Query(name, path)
        else:
            empty = True
            for found in Scanner(path):
                empty = False
                fault = None if isinstance(found, Found) else found.reason
                yield _Query(str(path / found.path), path / found.path, fault)
            if empty:
                yield _Query(name, path, "no audio files in this folder")


class _Display:
    """Prints answers as they come."""

    def matches(self, query: _Query, matches: "list[Match]") -> None:
        """Print, or keep, the answer to a query."""
        raise NotImplementedError

    def failed(self, query: _Query, reason: str) -> None:
        """Take note of a query that could not be read; people are told already."""

    def finish(self) -> None:
        """Print what comes after all answers."""


class _Json(_Display):
    """One document: a list of queries, each with its matches or what was wrong with it."""

    def __init__(self) -> None:
        self._answers: list[dict[str, Any]] = []

    def matches(self, query: _Query, matches: "list[Match]") -> None:
        from search.export_matches import match_values

        values = [match_values(match) for match in matches]
        self._answers.append({"query": query.name, "error": None, "matches": values})

    def failed(self, query: _Query, reason: str) -> None:
        self._answers.append({"query": query.name, "error": reason, "matches": []})

    def finish(self) -> None:
        print_json(self._answers)


class _Csv(_Display):
    """One match a row."""

    def __init__(self) -> None:
        from search.export_matches import MatchTable

        self._table = MatchTable(sys.stdout)

    def matches(self, query: _Query, matches: "list[Match]") -> None:
        self._table.add(query.name, matches)


class _Cue(_Display):
    """One cue sheet of all queries."""

    def __init__(self) -> None:
        from search.cue_sheet import CueSheet

        self._sheet = CueSheet()

    def matches(self, query: _Query, matches: "list[Match]") -> None:
        text = self._sheet.add(query.name, matches, length_s=_length_s(query.path))
        click.echo(text, nl=False)

    def finish(self) -> None:
        print_notes(self._sheet.notes)


def _length_s(path: Path) -> float:
    """Return how long a file plays, by decoding it: headers lie."""
    from indexer.audio import open_audio

    with open_audio(path) as reader:
        n_frames = sum(len(block) for block in reader.blocks())
        return n_frames / reader.info.sample_rate


class _Table(_Display):
    """A line a match, below the name of its query if there are several."""

    def __init__(self, *, named: bool, may_change_more: bool) -> None:
        self._named = named
        self._may_change_more = may_change_more
        self._n_without = 0
        self._begun = False

    def matches(self, query: _Query, matches: "list[Match]") -> None:
        if matches and not self._begun:
            click.echo(
                f"{'in the query':>17}{'in the recording':>19}{'score':>7}  "
                f"{'by chance':<21}  recording"
            )
            self._begun = True
        if self._named:
            click.echo(query.title)
        if not matches:
            self._n_without += 1
            click.echo("Nothing in the archive matches.")
        for match in matches:
            click.echo(_line(match))

    def finish(self) -> None:
        if self._n_without:
            hints = ["a longer excerpt"]
            if self._may_change_more:
                hints.append(f"--max-change {_MOST_CHANGE:.0f} for a tape at the wrong speed")
            click.echo(f"What may help: {', or '.join(hints)}.")


def _line(match: "Match") -> str:
    from search.export_matches import match_values

    values = match_values(match)
    here = exact_span_text(values["query_onset_s"], values["query_offset_s"])
    there = exact_span_text(values["onset_s"], values["offset_s"])
    changed = change_text(values["speed"], values["pitch"])
    notes = "".join(f"  [{note}]" for note in (changed, values["missing"] and "missing") if note)
    return (
        f"{here:>17}{there:>19}{values['score']:>7.1f}  {odds_text(values['p_false']):<21}  "
        f"{printable(values['path'])}{notes}"
    )


def change_text(speed: float, pitch: float) -> str:
    """Say how a sound differs from its original: ``"2.0 % fast"``; nothing if it does not."""
    speed_percent, pitch_percent = round(100 * (speed - 1), 1), round(100 * (pitch - 1), 1)
    if speed_percent and speed_percent == pitch_percent:
        return f"{abs(speed_percent)} % {'fast' if speed_percent > 0 else 'slow'}"
    said = []
    if speed_percent:
        said.append(f"tempo {abs(speed_percent)} % {'fast' if speed_percent > 0 else 'slow'}")
    if pitch_percent:
        said.append(f"pitch {abs(pitch_percent)} % {'high' if pitch_percent > 0 else 'low'}")
    return ", ".join(said)


def odds_text(p: float) -> str:
    """Say a small probability: ``"1 in 10 million"``, rounded so as not to promise too much."""
    if p < 1e-12:
        return "under 1 in a trillion"
    odds = 1 / p * (1 + 1e-9)  # 1 / 1e-3 may be a hair below 1000
    step = 10 ** (len(str(int(odds))) - 1)
    whole = int(odds // step * step)
    for unit, name in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if whole >= unit:
            return f"1 in {whole // unit} {name}"
    return f"1 in {whole:,}"

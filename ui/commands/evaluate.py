"""``echoic evaluate``: how well an encoder finds what a manifest says is there."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import LocalPath, count_text, json_option, print_json

if TYPE_CHECKING:
    from search.evaluation.measuring import Evaluation, Figure, Task

_TELL_EVERY_S = 10.0
_WIDTH = 34
_MEASURES = {
    "map": "mAP",
    "accuracy_standardised": "accuracy, standardised scores",
    "median_rank": "median rank",
}


class Condition(click.ParamType[tuple[str, str]]):
    """A column and a value, as ``fold=5``."""

    name = "condition"

    def convert(
        self,
        value: str | tuple[str, str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Return column and value."""
        if isinstance(value, tuple):
            return value
        column, equals, text = value.partition("=")
        if not equals or not column.strip():
            self.fail(f"{value!r} is not COLUMN=VALUE, as fold=5", param, ctx)
        return column.strip(), text.strip()


@click.command()
@click.argument("manifest", type=LocalPath(path_type=Path))
@click.option(
    "--root",
    type=LocalPath(path_type=Path),
    metavar="FOLDER",
    help="The folder of the manifest's files.  [default: that of the manifest]",
)
@click.option(
    "--where",
    type=Condition(),
    metavar="COLUMN=VALUE",
    multiple=True,
    help="Measure the clips that have this value, as fold=5; may be given several times.",
)
@click.option(
    "--gallery",
    type=click.Choice(["same", "all"]),
    default="same",
    show_default=True,
    help="Search through the clips that are measured, or through all of the manifest.",
)
@click.option(
    "--label-column",
    metavar="NAME",
    help="The column with the classes.  [default: label]",
)
@click.option(
    "--source-column",
    metavar="NAME",
    help="The column that says which clips are of one recording.  [default: freesound_id]",
)
@click.option(
    "--prompts",
    metavar="FILE",
    default="plain",
    show_default=True,
    help="Beside plain class names: 'descriptive', or a CSV with the columns label, prompt.",
)
@click.option(
    "--encoder", "encoder_name", metavar="NAME", help="The encoder.  [default: echoic-mini]"
)
@json_option()
def evaluate(
    manifest: Path,
    root: Path | None,
    where: tuple[tuple[str, str], ...],
    gallery: str,
    label_column: str | None,
    source_column: str | None,
    prompts: str,
    encoder_name: str | None,
    as_json: bool,
) -> None:
    """Measure how well an encoder finds the clips of MANIFEST, a CSV that says what is in them.

    With the columns path and label: class names as queries (mAP, recall), naming the clips
    (zero-shot accuracy), clips as examples (mAP, precision@10; clips of one recording do not find
    each other). With caption, caption_1, ...: captions as queries. Each figure has a bootstrap 95 %
    interval and what chance would give. No catalogue is needed. docs/evaluation.md has the details.

    \b
    Examples:
      echoic evaluate esc50.csv --where fold=5 --prompts descriptive
      echoic evaluate esc50.csv --where fold=5 --gallery all --json
    """
    from indexer.encoders import DEFAULT_ENCODER, load_encoder
    from search.evaluation.ground_truth import read_ground_truth
    from search.evaluation.measuring import evaluate as measure
    from search.evaluation.questions import Gallery

    truth = read_ground_truth(
        manifest, root=root, where=where, label_column=label_column, source_column=source_column
    )
    encoder = load_encoder(encoder_name or DEFAULT_ENCODER)
    with _progress() as on_clip:
        found = measure(encoder, truth, gallery=Gallery(gallery), prompts=prompts, on_clip=on_clip)
    if as_json:
        print_json(_values(found))
    else:
        _print_report(found)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how many clips are embedded: a bar on a terminal, else lines."""
    if not sys.stderr.isatty():
        yield _Teller()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        "clips",
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Teller:
    """Says now and then how many clips are done."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._told_at > _TELL_EVERY_S:
            self._told_at = time.monotonic()
            click.echo(f"{done:,} of {count_text(total, 'clip')}", err=True)


def _values(found: "Evaluation") -> dict[str, Any]:
    values = asdict(found)
    values["where"] = [list(condition) for condition in found.where]
    for task in values["tasks"]:
        task["figures"] = {figure.pop("measure"): figure for figure in task["figures"]}
    return values


def _print_report(found: "Evaluation") -> None:
    where = "".join(f", {column}={value}" for column, value in found.where)
    labels = f" with {count_text(found.n_labels, 'label')}" if found.n_labels else ""
    click.echo(
        f"{found.encoder} on {found.manifest}{where}: {count_text(found.n_clips, 'clip')}{labels}, "
        f"of {count_text(found.n_sources, 'recording')}"
    )
    click.echo(f"{'':{_WIDTH}}{'value':>8}{'95 % interval':>19}{'chance':>9}{'ceiling':>9}")
    for task in found.tasks:
        click.echo(_title(task))
        for figure in task.figures:
            click.echo(_line(figure))
    drawn = "original recordings with all their clips" if found.source_column else "clips"
    click.echo(f"Intervals: bootstrap over {drawn}; recall of class names: over the classes.")
    for note in found.notes:
        click.echo(f"Note: {note}.")


def _title(task: "Task") -> str:
    n, searched = task.n_queries, count_text(task.n_searched, "clip")
    if task.name == "text_to_audio":
        what = count_text(n, "class", "classes")
        return f"By words: {what} ({task.wording}), each looked for in {searched}"
    if task.name == "zero_shot":
        names = count_text(task.n_searched, "class", "classes")
        return (
            f"Naming, zero-shot: {count_text(n, 'clip')}, {names} to choose from ({task.wording})"
        )
    if task.name == "by_example":
        return (
            f"By example: {count_text(n, 'clip')}, each looked for in {searched} "
            "but those of its own recording"
        )
    return f"By caption: {count_text(n, 'caption')}, each looked for in {searched}"


def _line(figure: "Figure") -> str:
    name = _MEASURES.get(figure.measure, figure.measure.replace("_at_", "@").replace("map", "mAP"))
    interval = f"{_number(figure, figure.low)} - {_number(figure, figure.high)}"
    ceiling = "" if figure.ceiling is None else f"{figure.ceiling:.3f}"
    return (
        f"  {name:{_WIDTH - 2}}{_number(figure, figure.value):>8}{interval:>19}"
        f"{_number(figure, figure.chance):>9}{ceiling:>9}"
    ).rstrip()


def _number(figure: "Figure", value: float) -> str:
    return f"{value:,.1f}" if figure.measure == "median_rank" else f"{value:.3f}"

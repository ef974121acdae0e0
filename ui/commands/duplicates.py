"""``echoic duplicates``: what in the archive is a copy of what, or holds a part of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    catalogue_option,
    count_text,
    duration_text,
    exact_span_text,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
)
from ui.commands.matches import change_text

if TYPE_CHECKING:
    from db.records import FileInfo, RecordingInfo
    from search.duplicates import Duplicates, Group, Overlap, Pair


@click.command()
@click.option(
    "--min-overlap",
    "min_overlap_s",
    type=click.FloatRange(1.0, 3600.0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="The shortest passage that counts. A copy may be shorter.",
)
@click.option("--no-excerpts", is_flag=True, help="List copies only, no shared passages.")
@json_option()
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one shared stretch a row.")
@catalogue_option
def duplicates(
    min_overlap_s: float, no_excerpts: bool, as_json: bool, as_csv: bool, location: str | None
) -> None:
    """Find recordings that the archive holds more than once, whole or in part.

    Groups of copies come first: identical files, and the same recording in another codec, at
    another level or trimmed. Then passages of one recording that are part of another. The same
    piece in another performance is neither. Copies that run more than 0.5 % fast or slow are not
    found, nor all that lie under noise.

    It reads the fingerprints in the catalogue, not the files, and no file is ever touched: what to
    keep is yours to decide.
    """
    if as_json and as_csv:
        raise click.UsageError("choose --json or --csv, not both")
    from dataclasses import replace

    from search.duplicates import find_duplicates

    with open_catalogue(location) as catalogue, _progress() as on_progress:
        found = find_duplicates(catalogue, on_progress=on_progress, min_overlap_s=min_overlap_s)
    print_notes(found.notes)
    if no_excerpts:
        found = replace(found, excerpts=())
    if as_json:
        from search.export_duplicates import duplicates_values

        print_json(duplicates_values(found))
    elif as_csv:
        from search.export_duplicates import write_duplicates_csv

        write_duplicates_csv(found, sys.stdout)
    else:
        _print(found)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal, and nothing where standard error goes elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label="Comparing", file=sys.stderr) as bar:

        def move(n_done: int, n_all: int) -> None:
            bar.length = max(n_all, 1)
            bar.update(n_done - bar.pos)

        yield move


def _print(found: "Duplicates") -> None:
    for number, group in enumerate(found.groups, start=1):
        _print_group(number, group)
    if found.excerpts:
        click.echo("Passages that two recordings share:")
    for pair in found.excerpts:
        _print_excerpt(pair)
    if found.groups or found.excerpts:
        groups = count_text(len(found.groups), "group of copies", "groups of copies")
        pairs = count_text(
            len(found.excerpts), "pair that shares a passage", "pairs that share a passage"
        )
        click.echo(f"{groups}, {pairs}. No file was touched.")
    else:
        click.echo(
            "No duplicates among what could be compared." if found.notes else "No duplicates."
        )


def _print_group(number: int, group: "Group") -> None:
    from search.export import first_place
    from search.export_duplicates import other_places

    n_files = sum(len(recording.files) for recording in group.recordings)
    click.echo(f"Group {number}: {count_text(n_files, 'file')}")
    order = {recording.id: place for place, recording in enumerate(group.recordings, start=1)}
    for recording in group.recordings:
        length = duration_text(recording.technical.duration_s)
        click.echo(f"{order[recording.id]:>4}{length:>9}  {_path(first_place(recording))}")
        for file in other_places(recording):
            click.echo(f"{'':>15}{_path(file)}  [identical]")
        for line in _relations(recording, group, order):
            click.echo(f"{'':>15}{line}")


def _relations(recording: "RecordingInfo", group: "Group", order: dict[int, int]) -> Iterator[str]:
    """Say of which earlier recordings of the group this is a copy, and what they share."""
    for pair in group.pairs:
        turned = pair.first.id == recording.id
        if not turned and pair.second.id != recording.id:
            continue
        other = order[pair.second.id if turned else pair.first.id]
        if other > order[recording.id]:
            continue
        spans = [_spans(overlap) for overlap in pair.overlaps]
        yield from _with_strength(
            pair,
            [
                f"{first} is {second} of {other}" if turned else f"{second} is {first} of {other}"
                for first, second in spans
            ],
        )


def _print_excerpt(pair: "Pair") -> None:
    from search.export import first_place

    click.echo(f"  {_path(first_place(pair.first))}")
    click.echo(f"  {_path(first_place(pair.second))}")
    spans = [_spans(overlap) for overlap in pair.overlaps]
    for line in _with_strength(
        pair, [f"{second} of the second is {first} of the first" for first, second in spans]
    ):
        click.echo(f"{'':>15}{line}")


def _with_strength(pair: "Pair", texts: list[str]) -> list[str]:
    """Add to a line for each overlap how sure it is, and to the last what holds for all."""
    lines = [
        f"{text}, {overlap.share:.0%} found again"
        for text, overlap in zip(texts, pair.overlaps, strict=True)
    ]
    lines[-1] += f", score {pair.score:.0f}" + (" in all" if len(lines) > 1 else "")
    changed = change_text(pair.speed, pair.pitch)
    lines[-1] += f", {changed}" if changed else ""
    return lines


def _spans(overlap: "Overlap") -> tuple[str, str]:
    return (
        exact_span_text(overlap.first_onset_s, overlap.first_offset_s),
        exact_span_text(overlap.second_onset_s, overlap.second_offset_s),
    )


def _path(file: "FileInfo | None") -> str:
    from search.export import full_path

    if file is None:
        return "[in no file]"
    gone = "  [missing]" if file.missing_since else ""
    return f"{printable(full_path(file))}{gone}"

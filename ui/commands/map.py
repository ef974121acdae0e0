"""``echoic map``: every recording a point, those that sound alike together."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    catalogue_option,
    count_text,
    encoder_option,
    json_option,
    open_catalogue,
    print_json,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from search.archive_map import MapPoints


@click.command("map")
@click.option("--anew", is_flag=True, help="Draw it anew, although there is one.")
@json_option("Print all points as JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all points as CSV.")
@click.option("--events", is_flag=True, hidden=True)  # for the page: progress, a JSON line a step
@encoder_option
@catalogue_option
def map_command(
    anew: bool,
    as_json: bool,
    as_csv: bool,
    events: bool,
    encoder: str | None,
    location: str | None,
) -> None:
    """Draw the map of the archive: every recording a point, those that sound alike together.

    It is drawn once and kept; the page Map of `echoic ui` shows it. Recordings that come later are
    put beside those that they sound like, until --anew draws all of it again. The same archive gets
    the same map.

    \b
    Examples:
      echoic map
      echoic map --anew
      echoic map --csv > map.csv
    """
    if as_json and as_csv:
        raise click.UsageError("choose --json or --csv, not both")
    from search.archive_map import MapReader, draw_map

    with open_catalogue(location) as catalogue:
        reader = MapReader(catalogue, encoder=encoder)
        points = None if anew else reader.points()
        if points is None:
            with _progress(events=events) as on_progress:
                draw_map(catalogue, encoder=encoder, on_progress=on_progress)
            points = reader.points()
        if points is not None:
            _print(catalogue, points, as_json=as_json, as_csv=as_csv)


def _print(catalogue: "Catalogue", points: "MapPoints", *, as_json: bool, as_csv: bool) -> None:
    from search.export_map import map_rows, write_map_csv

    if as_json:
        print_json(list(map_rows(catalogue, points)))
    elif as_csv:
        write_map_csv(catalogue, points, sys.stdout)
    else:
        n_drawn = len(points.recordings) - points.n_new
        click.echo(
            f"The map holds {count_text(n_drawn, 'recording')}, drawn "
            f"{points.drawn_at:%Y-%m-%d %H:%M} UTC by {points.encoder}."
        )
        if points.n_new:
            lie = (
                "lies beside what it sounds" if points.n_new == 1 else "lie beside what they sound"
            )
            click.echo(
                f"{count_text(points.n_new, 'recording')} came later and {lie} like: "
                "`echoic map --anew` draws all of it again."
            )
        click.echo("See and hear it on the page Map: `echoic ui`.")


@contextmanager
def _progress(*, events: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far it is: JSON lines if asked for, a bar on a terminal, else nothing."""
    if events:
        yield _tell
        return
    if not sys.stderr.isatty():
        yield lambda doing, done, of: None
        return
    with click.progressbar(length=1, file=sys.stderr) as bar:

        def move(doing: str, done: int, of: int) -> None:
            bar.label, bar.length = doing, max(of, 1)
            bar.update(done - bar.pos)

        yield move


def _tell(doing: str, done: int, of: int) -> None:
    if done % max(1, of // 100) == 0 or done == of:
        event = {"event": "drawing", "doing": doing, "n_done": done, "n_all": of}
        click.echo(json.dumps(event))

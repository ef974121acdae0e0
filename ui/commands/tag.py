"""``echoic tag``: what is heard in recordings, from a list of sounds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    absolute,
    catalogue_option,
    count_text,
    encoder_option,
    json_option,
    open_catalogue,
    print_json,
    printable,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from search.tagging import Tagged

_SHOWN = 20


@click.command()
@click.option(
    "--vocabulary",
    "vocabulary_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Your own list: one sound a line, or `label: what it sounds like`.  "
    "[default: the 527 sounds of AudioSet]",
)
@click.option("--name", metavar="NAME", help="Call your list so.  [default: FILE without ending]")
@click.option("--taught", is_flag=True, help="Tag with the sounds that `echoic teach` was taught.")
@click.option("--list", "list_them", is_flag=True, help="List the vocabularies that were used.")
@click.option("--forget", "forgotten", metavar="NAME", help="Remove all tags of a vocabulary.")
@json_option()
@encoder_option
@catalogue_option
def tag(
    vocabulary_file: Path | None,
    name: str | None,
    taught: bool,
    list_them: bool,
    forgotten: str | None,
    as_json: bool,
    encoder: str | None,
    location: str | None,
) -> None:
    """Tag recordings with the sounds that are heard in them.

    Compares what is indexed with a list of sounds, without reading the files again. Each recording
    gets at most 8 tags, or none. Run it again at any time: only new recordings are looked at; after
    a change of the list, all of them. `echoic search heard:dog` finds them then.

    \b
    Examples:
      echoic tag
      echoic tag --vocabulary my-sounds.txt
      echoic tag --list
    """
    chosen = (vocabulary_file is not None, taught, list_them, forgotten is not None)
    if sum(chosen) > 1 or (name is not None and vocabulary_file is None):
        raise click.UsageError(
            "choose one of --vocabulary FILE (with --name), --taught, --list and --forget"
        )
    with open_catalogue(location) as catalogue:
        if list_them:
            _print_vocabularies(catalogue, as_json=as_json)
        elif forgotten is not None:
            from db.heard import forget_vocabulary

            forget_vocabulary(catalogue, forgotten)
            click.echo(f"Removed all tags of {printable(forgotten)}.")
        else:
            _run(catalogue, vocabulary_file, name, encoder, taught=taught, as_json=as_json)


def _run(
    catalogue: "Catalogue",
    vocabulary_file: Path | None,
    name: str | None,
    encoder: str | None,
    *,
    taught: bool,
    as_json: bool,
) -> None:
    from search.encoders import encoder_for
    from search.tagging import tag_recordings, tag_with_taught_sounds
    from search.vocabulary import audioset, read_vocabulary

    chosen = encoder_for(catalogue, encoder).id
    with click.progressbar(length=1, label="Tagging", file=sys.stderr) as bar:

        def on_progress(done: int, of: int) -> None:
            bar.length = max(1, of)
            bar.update(done - bar.pos)

        if taught:
            found = tag_with_taught_sounds(catalogue, chosen, on_progress=on_progress)
        else:
            vocabulary = (
                audioset()
                if vocabulary_file is None
                else read_vocabulary(absolute(str(vocabulary_file)), name=name)
            )
            found = tag_recordings(catalogue, vocabulary, chosen, on_progress=on_progress)
    _print_tagged(found, as_json=as_json)


def _print_tagged(found: "Tagged", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "n_recordings": found.n_recordings,
                "n_heard": found.n_heard,
                "labels": dict(found.labels.most_common()),
            }
        )
        return
    if not found.n_recordings:
        click.echo("Nothing to do: all recordings have been compared with this list.")
        return
    click.echo(
        f"Compared {count_text(found.n_recordings, 'recording')}; something was heard in "
        f"{found.n_heard:,}."
    )
    for label, n in found.labels.most_common(_SHOWN):
        click.echo(f"{n:>8,}  {printable(label)}")
    if len(found.labels) > _SHOWN:
        click.echo(f"{'':>8}  and {count_text(len(found.labels) - _SHOWN, 'other')}")


def _print_vocabularies(catalogue: "Catalogue", *, as_json: bool) -> None:
    from dataclasses import asdict

    from db.heard import vocabularies

    found = vocabularies(catalogue)
    if as_json:
        print_json([asdict(vocabulary) for vocabulary in found])
        return
    if not found:
        click.echo("No tags yet: `echoic tag` makes them.")
    for vocabulary in found:
        click.echo(
            f"{printable(vocabulary.name)}: {count_text(vocabulary.n_recordings, 'recording')}, "
            f"{count_text(vocabulary.n_heard, 'tag')}, by {vocabulary.encoder}, since "
            f"{vocabulary.created_at:%Y-%m-%d}"
        )

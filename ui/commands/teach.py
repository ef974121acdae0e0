"""``echoic teach``: sounds that are learnt from a few examples."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.commands.common import (
    catalogue_option,
    count_text,
    encoder_option,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue


@click.command()
@click.argument("name", required=False)
@click.option(
    "--like",
    "liked",
    multiple=True,
    metavar="PASSAGE",
    help="This is the sound: FILE, FILE@12.5-15, '#42' or '#42@1:30-1:40' of the catalogue.",
)
@click.option(
    "--unlike", "disliked", multiple=True, metavar="PASSAGE", help="This is not the sound."
)
@click.option("--add", "adds", is_flag=True, help="Add these to the examples that NAME has.")
@click.option("--replace", "replaces", is_flag=True, help="Teach NAME anew, by these alone.")
@click.option("--list", "list_them", is_flag=True, help="List the sounds that have been taught.")
@click.option("--forget", "forgotten", is_flag=True, help="Forget NAME, its examples and tags.")
@json_option()
@encoder_option
@catalogue_option
def teach(
    name: str | None,
    liked: tuple[str, ...],
    disliked: tuple[str, ...],
    adds: bool,
    replaces: bool,
    list_them: bool,
    forgotten: bool,
    as_json: bool,
    encoder: str | None,
    location: str | None,
) -> None:
    """Teach a sound by examples and keep it under NAME.

    Three examples are a good beginning. Then `echoic search sound:NAME` finds it, and `echoic tag
    --taught` tags the archive with it. Without any example, a sound is taught again from the ones
    that it has, as to another --encoder.

    \b
    Examples:
      echoic teach wren --like wren1.wav --like wren2.wav --like '#42@1:30-1:40'
      echoic teach wren --like wren1.wav --like wren2.wav --unlike robin.wav
      echoic teach wren --like wren3.wav --add
      echoic teach --list
      echoic teach wren --forget
    """
    if list_them == (name is not None) or (forgotten and (liked or disliked)):
        raise click.UsageError("give a NAME with --like PASSAGE or --forget, or --list alone")
    if adds and replaces:
        raise click.UsageError("choose --add or --replace, not both")
    if disliked and not (liked or adds):
        raise click.UsageError("a sound is taught by at least one example: --like PASSAGE")
    with open_catalogue(location) as catalogue:
        if name is None:
            _print_sounds(catalogue, as_json=as_json)
        elif forgotten:
            from db.sound_classes import forget_sound_class
            from search.vocabulary import TAUGHT

            n_heard = forget_sound_class(catalogue, name, vocabulary=TAUGHT)
            tags = f", and its tags of {count_text(n_heard, 'recording')}" if n_heard else ""
            click.echo(f"Forgot the sound {printable(name)}{tags}.")
        else:
            known = None if adds else replaces
            _teach(catalogue, name, liked, disliked, encoder, known, as_json=as_json)


def _teach(
    catalogue: "Catalogue",
    name: str,
    liked: tuple[str, ...],
    disliked: tuple[str, ...],
    encoder: str | None,
    replaces: bool | None,
    *,
    as_json: bool,
) -> None:
    """Teach a sound; `replaces` says what becomes of examples it has, None keeps them."""
    from search.encoders import encoder_for
    from search.marking import read_marked
    from search.teaching import teach as teach_sound
    from search.teaching import teach_again

    chosen = encoder_for(catalogue, encoder).id
    if liked or disliked:
        here = Path.cwd()
        positives, negatives = (
            [read_marked(text, relative_to=here) for text in texts] for texts in (liked, disliked)
        )
        sound = teach_sound(catalogue, name, positives, negatives, chosen, replaces=replaces)
    else:
        again = teach_again(catalogue, name, chosen)
        print_notes(printable(note) for note in again.notes)
        sound = again.sound
    n_liked = sum(example.liked for example in sound.examples)
    if as_json:
        print_json(
            {
                "name": sound.name,
                "encoder": sound.encoder,
                "kind": sound.kind,
                "threshold": round(sound.threshold, 4),
                "examples": [asdict(example) for example in sound.examples],
            }
        )
        return
    click.echo(
        f"Taught {printable(name)} to {sound.encoder} by {count_text(n_liked, 'example')} and "
        f"{count_text(len(sound.examples) - n_liked, 'counter-example')}. "
        f"Find it: echoic search sound:{_quoted(name)}"
    )


def _quoted(name: str) -> str:
    """Write a name as the query language and a shell read it."""
    return name if name.replace("-", "").replace("_", "").isalnum() else f"'\"{printable(name)}\"'"


def _print_sounds(catalogue: "Catalogue", *, as_json: bool) -> None:
    from db.sound_classes import sound_classes

    found = sound_classes(catalogue)
    if as_json:
        print_json([asdict(sound) for sound in found])
        return
    if not found:
        click.echo("No sound has been taught yet: `echoic teach NAME --like FILE` does that.")
    for sound in found:
        n_liked = sum(example.liked for example in sound.examples)
        n_disliked = len(sound.examples) - n_liked
        click.echo(
            f"{printable(sound.name)}: {count_text(n_liked, 'example')}, "
            f"{count_text(n_disliked, 'counter-example')}, taught to "
            f"{', '.join(sound.encoders) or 'no encoder'} (since {sound.created_at:%Y-%m-%d})"
        )

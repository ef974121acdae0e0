"""``echoic models convert``: original checkpoints of LAION-CLAP."""

from pathlib import Path

import click

from ui.commands.common import printable, size_text

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("checkpoint", type=_FILE)
@click.option("--name", help="A name for the model, in place of the checkpoint's.")
@click.option(
    "--tokenizer",
    type=_FILE,
    metavar="FILE",
    help="RoBERTa's tokenizer.json; by default an installed model's, else it is downloaded.",
)
@click.option(
    "--licence",
    "--license",
    "licence",
    help="Of the weights, if it is not one of the published checkpoints.",
)
def convert(
    checkpoint: Path, name: str | None, tokenizer: Path | None, licence: str | None
) -> None:
    """Make a model of an original CHECKPOINT of LAION-CLAP.

    It may be HTSAT-tiny or HTSAT-base, trained without fusion. It takes a minute or two and some 3
    GB of memory, and needs the extra `clap`: pip install "echoic[clap]".

    \b
    Examples:
      echoic models convert 630k-audioset-best.pt
      echoic models convert music_speech_audioset_epoch_15_esc_89.98.pt --name music-and-speech
      echoic models convert my-birds.pt --licence CC-BY-4.0 --tokenizer tokenizer.json
    """
    from indexer.encoders.conversion.converting import convert as convert_checkpoint
    from ui.progress import Teller

    with Teller() as teller:
        package = convert_checkpoint(
            checkpoint,
            name=name,
            tokenizer=tokenizer,
            licence=licence,
            tell=lambda said: click.echo(printable(said), err=True),
            progress=teller,
        )
    click.echo(
        f"Installed {package.id} ({size_text(package.size_bytes)}) in "
        f"{printable(str(package.folder))}\n"
        f"Licence of the weights: {printable(package.licence)}\n"
        f"Next: echoic index --encoder {package.id}"
    )

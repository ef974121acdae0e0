"""``echoic demo``: an archive to try things on, synthesised here and now."""

from pathlib import Path

import click

from ui.commands.common import LocalPath, count_text


@click.command()
@click.argument("folder", type=LocalPath(path_type=Path))
def demo(folder: Path) -> None:
    """Write a small archive of synthetic sounds into FOLDER, to try Echoic on.

    The sounds are made by signal processing and named for what they imitate; none is a recording.
    What is there already is kept.
    """
    from indexer.demo.archive import COPIES, SOUNDS, write_demo_archive

    with click.progressbar(length=len(SOUNDS) + len(COPIES), label="Synthesising") as bar:
        try:
            archive = write_demo_archive(folder, progress=lambda path: bar.update(1))
        except OSError as error:
            raise click.ClickException(f"cannot write to {folder}: {error.strerror}") from error
    click.echo(
        f"{count_text(len(archive.files), 'synthetic sound')} in {folder}, "
        f"{len(archive.written)} of them made now."
    )

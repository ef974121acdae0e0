"""``echoic demo``: an archive to try things on, synthesised here and now."""

from pathlib import Path

import click

from ui.commands.common import count_text


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def demo(folder: Path) -> None:
    """Write a small archive of synthetic sounds into FOLDER, to try Echoic on.

    The sounds are made by signal processing and named for what they imitate; none is a recording.
    """
    from indexer.demo.archive import write_demo_archive

    archive = write_demo_archive(folder, progress=None)
    click.echo(f"{count_text(len(archive.files), 'synthetic sound')} in {folder}")
    click.echo(f"Index them: echoic index {folder}")

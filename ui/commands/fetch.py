"""``echoic fetch``: public collections, for those who have the internet."""

from pathlib import Path

import click

from ui.commands.common import LocalPath, count_text


@click.command()
@click.argument("name", required=False)
@click.argument("folder", type=LocalPath(path_type=Path), required=False)
def fetch(name: str | None, folder: Path | None) -> None:
    """Download the public collection NAME into FOLDER, and check it; without NAME, list them.

    Run it again after an interruption: it goes on where it stopped. FOLDER is ./NAME by default.

    \b
    Examples:
      echoic fetch
      echoic fetch esc50 ~/sounds/esc50
    """
    from indexer.fetch import fetch as fetch_manifest
    from indexer.manifest import list_manifests, packaged_manifest, put_beside
    from ui.progress import Teller

    if name is None:
        for available in list_manifests():
            manifest = packaged_manifest(available)
            header = manifest.header
            if not manifest.is_fetchable:
                continue
            click.echo(f"{available}: {header.title}")
            click.echo(f"    {count_text(len(manifest.entries), 'file')}; {header.homepage}")
            click.echo(f"    Licence: {header.licence}")
        return
    manifest = packaged_manifest(name)
    target = folder or Path(name)
    click.echo(f"{manifest.header.title}\nLicence: {manifest.header.licence}")
    with Teller() as teller:
        report = fetch_manifest(manifest, target, progress=teller)
    unverified = f", {report.n_unverified:,} without a checksum" if report.n_unverified else ""
    click.echo(
        f"{target}: {count_text(report.n_fetched, 'file')} fetched, "
        f"{report.n_present:,} there before{unverified}."
    )
    put_beside(name, target)
    click.echo(f"Index them: echoic index {target}")

"""``echoic models``: the encoders that are here, and those that can be had."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ui.commands.common import (
    catalogue_option,
    count_text,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
    size_text,
)
from ui.commands.health import PROBLEMS_FOUND
from ui.commands.index import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from indexer.encoders.hub import HubFile
    from indexer.encoders.inventory import Model
    from indexer.encoders.packages import ModelPackage
    from indexer.encoders.published import PublishedPackage


@click.group(invoke_without_command=True)
@json_option()
@catalogue_option
@click.pass_context
def models(ctx: click.Context, as_json: bool, location: str | None) -> None:
    """List the encoders: what comes with Echoic, what is installed, what can be installed.

    \b
    Examples:
      echoic models
      echoic models install laion-clap
      echoic index --encoder laion-clap
      echoic models default laion-clap
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx)
        return
    from indexer.encoders.inventory import inventory
    from indexer.encoders.packages import models_folder

    default = _default_of(location)
    found = inventory()
    folder = str(models_folder())
    if as_json:
        listed = [{**asdict(model), "is_default": model.id == default} for model in found]
        print_json({"folder": folder, "models": listed})
        return
    width = max(len(model.id) for model in found)
    for model in found:
        note = "  [default of this catalogue]" if model.id == default else ""
        click.echo(f"{model.id:{width}}  {printable(_line(model))}{note}")
    click.echo(f"`echoic models install NAME` puts an available one into {printable(folder)}")


@models.command("install")
@click.argument("name")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Take the files from FOLDER, where you have put them; nothing is downloaded.",
)
@click.option("--light", is_flag=True, help="The quantised one: a quarter of the size, faster.")
@click.pass_context
def install_command(ctx: click.Context, name: str, source: Path | None, light: bool) -> None:
    """Download the model NAME, check it and install it.

    Run it again after an interruption: it goes on where it stopped.

    \b
    Examples:
      echoic models install laion-clap
      echoic models install laion-clap --light
      echoic models install laion-clap --from ~/Downloads
    """
    from indexer.encoders.installing import install, install_from
    from indexer.encoders.published import HUB, endpoint, find_published
    from ui.progress import Teller

    published = find_published(name, light=light)
    _print_heading(published)
    if source is None and endpoint() != HUB:
        click.echo(f"  by way of {printable(endpoint())}, as HF_ENDPOINT says")
    try:
        with Teller() as teller:
            if source is None:
                package = install(published, announce=_print_files, progress=teller)
            else:
                package = install_from(published, source, progress=teller)
    except KeyboardInterrupt:
        click.echo("Stopped. Run the same command again to go on.", err=True)
        ctx.exit(INTERRUPTED)
    if source is not None:
        _print_taken(package, published)
    click.echo(
        f"Installed {package.id} in {printable(str(package.folder))}\n"
        f"Next: echoic index --encoder {package.id}"
    )


@models.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@catalogue_option
def remove(name: str, yes: bool, location: str | None) -> None:
    """Remove the model NAME.

    It goes from this machine; of one whose download was interrupted, what has come of it. The
    vectors that it made stay in the catalogue, but cannot be searched without it.
    """
    from indexer.encoders import DEFAULT_ENCODER
    from indexer.encoders.installing import forget_unfinished
    from indexer.encoders.inventory import id_here
    from indexer.encoders.packages import package_folder, remove_package

    id_ = id_here(name)
    if id_ == DEFAULT_ENCODER:
        raise click.UsageError(f"{id_} comes with Echoic and stays")
    note = _vectors_note(id_, location)
    if note:
        click.echo(note)
    if not yes:
        click.confirm(f"Remove {id_}?", abort=True)
    if package_folder(id_).exists():
        remove_package(id_)
    forget_unfinished(id_)
    click.echo(f"Removed {id_}.")


@models.command("check")
@click.argument("name", required=False)
@json_option()
@click.pass_context
def check_command(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Compare the models with their hashes.

    Reads every file of all that are installed, or of the model NAME. Exits with 1 if anything is
    wrong.
    """
    from indexer.encoders.inventory import check_models, id_here, inventory

    states = {model.id: model.state for model in inventory()}
    found = check_models(None if name is None else id_here(name))
    if as_json:
        print_json(found)
    else:
        for id_, faults in found.items():
            click.echo(f"{id_}: {printable('; '.join(faults)) or 'whole'}")
            if faults and states.get(id_) in ("installed", "damaged"):
                click.echo(f"    `echoic models remove {id_}`, then install it again")
    ctx.exit(PROBLEMS_FOUND if any(found.values()) else 0)


@models.command("default")
@click.argument("name", required=False)
@click.option("--unset", is_flag=True, help="Take the choice back.")
@catalogue_option
def default_command(name: str | None, unset: bool, location: str | None) -> None:
    """Choose the encoder that answers for the catalogue.

    From now on searches that name none ask NAME. Without NAME, say which it is.
    """
    from db.default_encoder import store_default_encoder
    from indexer.encoders import encoder_id
    from search.encoders import answering, notes_on_vectors

    if name and unset:
        raise click.UsageError("give a name or --unset, not both")
    with open_catalogue(location) as catalogue:
        if name or unset:
            held = [encoder.name for encoder in catalogue.encoders()]
            store_default_encoder(catalogue, encoder_id(name, held) if name else None)
        id_ = answering(catalogue)
        print_notes(notes_on_vectors(catalogue, id_))
        where = printable(str(catalogue.location))
    click.echo(f"{id_} answers for the catalogue {where} where no encoder is named.")


def _refuse_options_before(ctx: click.Context) -> None:
    """Refuse options of the list before another command, which would not heed them."""
    for option in ctx.command.params:
        if ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            name = option.opts[0]
            raise click.UsageError(f"write {name} after {ctx.invoked_subcommand}, if it takes it")


def _line(model: "Model") -> str:
    """Say in one line what is to be said of a model."""
    size = size_text(model.size_bytes)
    if model.state in ("damaged", "newer"):
        return f"{model.state}, {size}: {model.fault}"
    if model.state == "unfinished":
        return f"unfinished, {size} of it here: `echoic models install {model.id}` goes on"
    said = ", ".join([model.state, size, model.precision, model.licence])
    return f"{said}{_source_text(model.source)}"


def _source_text(source: "Mapping[str, str]") -> str:
    kind = source.get("kind")
    if kind == "huggingface":
        hub = source.get("endpoint", "huggingface.co")
        return f", from {hub}/{source['repository']} at {source['revision'][:8]}"
    if kind in ("folder", "checkpoint"):
        place = source.get("folder") or source.get("file", "")
        return f", from {place}"
    return ""


def _default_of(location: str | None) -> str | None:
    """Return the encoder that answers for the catalogue if none is named, if there is one."""
    from db.errors import CatalogueMissing, EchoicError
    from search.encoders import answering
    from search.errors import QueryError

    try:
        with open_catalogue(location) as catalogue:
            return answering(catalogue)
    except (CatalogueMissing, QueryError):
        return None  # nothing has been indexed yet
    except EchoicError as error:
        print_notes([str(error)])
        return None


def _vectors_note(id_: str, location: str | None) -> str:
    """Say what will be missed in the catalogue, the only one that can be looked at from here."""
    from db.errors import CatalogueMissing
    from db.overview import count_recordings, count_without_vectors

    try:
        with open_catalogue(location) as catalogue:
            n_held = count_recordings(catalogue) - count_without_vectors(catalogue, id_)
            where = printable(str(catalogue.location))
    except CatalogueMissing:
        return ""
    if not n_held:
        return ""
    return (
        f"The catalogue {where} holds vectors of {count_text(n_held, 'recording')} by it, which "
        f"cannot be searched without it (`echoic forget --encoder {id_}` drops them)."
    )


def _print_heading(published: "PublishedPackage") -> None:
    click.echo(
        f"{published.id}: {size_text(published.size_bytes)}, {published.precision}, licence "
        f"{published.licence}, from {published.repository} at {published.revision[:8]}"
    )


def _print_files(files: "Sequence[HubFile]") -> None:
    for file in files:
        known = "known to Echoic" if file.is_pinned else "as the hub tells it for this revision"
        click.echo(
            f"  {file.path}, {size_text(file.size_bytes)}\n    SHA-256 {file.sha256} ({known})"
        )


def _print_taken(package: "ModelPackage", published: "PublishedPackage") -> None:
    for name, file in package.files.items():
        known = "known to Echoic" if published.files[name].sha256 else "could not be checked"
        click.echo(
            f"  {published.files[name].path}, {size_text(file.size_bytes)}\n"
            f"    SHA-256 {file.sha256} ({known})"
        )

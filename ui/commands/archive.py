"""``echoic status``, ``show``, ``relocate`` and ``forget``: what is in the catalogue."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    absolute,
    catalogue_option,
    count_text,
    duration_text,
    fingerprint_schemes,
    json_option,
    open_catalogue,
    print_json,
    print_notes,
    printable,
    size_text,
)

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from db.records import FingerprintState, IndexState, RecordingInfo, Status


@click.command()
@json_option()
@catalogue_option
def status(as_json: bool, location: str | None) -> None:
    """Say what the catalogue holds: collections, hours, encoders, indexes, bytes."""
    from db import overview
    from db.storage import root_is_gone

    with open_catalogue(location) as catalogue:
        found = overview.status(catalogue)
    if as_json:
        print_json(_status_values(found))
        return
    click.echo(f"Catalogue {found.location} (format {found.format})")
    click.echo(
        f"{count_text(found.n_recordings, 'recording')}, {duration_text(found.duration_s)} of "
        f"audio, database {size_text(found.database_bytes)}"
    )
    for part in found.collections:
        missing = f", {part.n_missing:,} missing" if part.n_missing else ""
        failed = f", {count_text(part.n_failures, 'failure')}" if part.n_failures else ""
        is_gone = root_is_gone(part.collection.root)
        gone = f"  [folder not there: echoic relocate {part.collection.name}]" if is_gone else ""
        click.echo(
            f"  {part.collection.name}: {count_text(part.n_files, 'file')}, "
            f"{duration_text(part.duration_s)}{missing}{failed}  ({part.collection.root}){gone}"
        )
    _print_indexes(found)


def _status_values(found: "Status") -> dict[str, Any]:
    from indexer.encoders import known_encoders
    from indexer.fingerprint import FINGERPRINTERS

    known = known_encoders()
    values = asdict(found)
    for index in values["indexes"]:
        index["is_searchable"] = index["encoder"]["name"] in known
    for part in values["fingerprints"]:
        part["is_searchable"] = part["scheme"]["name"] in FINGERPRINTERS
    return values


def _vectors_notes(found: "Status", index: "IndexState") -> list[str]:
    """Say what is to be done about the vectors of an encoder."""
    from indexer.encoders import DEFAULT_ENCODER, can_be_installed, known_encoders

    known = known_encoders()
    name = index.encoder.name
    n_lacking = found.n_recordings - index.n_recordings
    if name in known and n_lacking:
        without = count_text(n_lacking, "recording has", "recordings have")
        return [f"{without} no vectors by it yet: `echoic index --encoder {name}` makes them"]
    if name in known:
        return []
    complete = [
        other.encoder.name
        for other in found.indexes
        if other.encoder.name in known and other.n_recordings == found.n_recordings
    ]
    free = f"`echoic forget --encoder {name}`"
    notes = ["this Echoic does not have that encoder: these vectors cannot be searched"]
    if can_be_installed(name):
        notes.append(f"`echoic models install {name}` brings it back")
    if complete:
        notes.append(f"{complete[0]} has all recordings, so these can go: {free}")
    else:
        family = DEFAULT_ENCODER.partition("/")[0]
        notes.append(
            f"`echoic index --encoder {family}` makes new ones of all that is indexed; after that "
            f"these can go: {free}"
        )
    return notes


def _fingerprints_notes(found: "Status", part: "FingerprintState") -> list[str]:
    """Say what is to be done about the fingerprints of a scheme."""
    from indexer.fingerprint import FINGERPRINTERS

    n_lacking = found.n_recordings - part.n_recordings
    if part.scheme.name in FINGERPRINTERS:
        without = count_text(n_lacking, "recording has", "recordings have")
        again = f"{without} no fingerprint yet: `echoic index FOLDER` again makes it"
        return [again] if n_lacking else []
    free = f"`echoic forget --fingerprinter {part.scheme.name}`"
    complete = [
        other.scheme.name
        for other in found.fingerprints
        if other.scheme.name in FINGERPRINTERS and other.n_recordings == found.n_recordings
    ]
    unused = "made by another version of Echoic: nothing is looked up in these"
    if complete:
        return [unused, f"{complete[0]} has all recordings, so these can go: {free}"]
    return [unused, f"`echoic index FOLDER` again makes new ones; after that these can go: {free}"]


def _print_indexes(found: "Status") -> None:
    from indexer.encoders import known_encoders
    from indexer.fingerprint import FINGERPRINTERS

    known = known_encoders()
    for index in found.indexes:
        state = _state(index.up_to_date, is_used=index.encoder.name in known)
        kept = size_text(index.file_bytes) if index.place == "files" else f"on {index.place}"
        click.echo(
            f"  {index.encoder.name}: {count_text(index.n_segments, 'segment')} of "
            f"{count_text(index.n_recordings, 'recording')}, vectors "
            f"{size_text(index.vectors_bytes)}, index {kept} ({state})"
        )
        for note in _vectors_notes(found, index):
            click.echo(f"    {note}")
    for part in found.fingerprints:
        state = _state(part.up_to_date, is_used=part.scheme.name in FINGERPRINTERS)
        kept = f"{size_text(part.files_bytes)} in {count_text(part.n_files, 'file')} ({state})"
        if part.place != "files":
            kept = f"on {part.place}"
        click.echo(
            f"  {part.scheme.name}: {count_text(part.n_landmarks, 'landmark')} of "
            f"{count_text(part.n_recordings, 'recording')}, fingerprints "
            f"{size_text(part.landmarks_bytes)}, index {kept}"
        )
        for note in _fingerprints_notes(found, part):
            click.echo(f"    {note}")
    if found.n_recordings and not found.fingerprints:
        click.echo("  No fingerprints yet: `echoic index FOLDER` again makes them")


def _state(up_to_date: bool, *, is_used: bool) -> str:
    if not is_used:
        return "not in use"
    return "up to date" if up_to_date else "lags behind: `echoic repair`"


@click.command()
@click.argument("recording")
@json_option()
@catalogue_option
def show(recording: str, as_json: bool, location: str | None) -> None:
    """Show all that is known of RECORDING: its number, or its path or the end of it.

    \b
    Examples:
      echoic show 12
      echoic show animals/dog.wav
    """
    from db.heard import heard_in

    with open_catalogue(location) as catalogue:
        found = _find(catalogue, recording)
        heard = heard_in(catalogue, (info.id for info in found))
    if as_json:
        tags = {id_: [asdict(tag) for tag in of_it] for id_, of_it in heard.items()}
        print_json([{**asdict(info), "heard": tags.get(info.id, [])} for info in found])
        return
    for info in found:
        _print_recording(info)
        tagged = ", ".join(f"{printable(t.label)} {t.score:.2f}" for t in heard.get(info.id, ()))
        if tagged:
            click.echo(f"  heard: {tagged}")


@click.command()
@click.argument("collection")
@click.argument("new_root")
@catalogue_option
def relocate(collection: str, new_root: str, location: str | None) -> None:
    """Point COLLECTION to the folder or address it was moved to; nothing is analysed again."""
    from db.errors import CatalogueError
    from db.remote import checked_address, is_address
    from db.writer import CatalogueWriter
    from indexer.reach import Reach

    remote = is_address(new_root)
    root = checked_address(new_root) if remote else str(absolute(new_root).resolve())
    reach = Reach(root)
    if not reach.is_there():
        raise CatalogueError(f"there is no folder {root}: name the one that the files are in now")
    with open_catalogue(location) as catalogue, CatalogueWriter(catalogue) as writer:
        found = catalogue.collection(collection)
        files = catalogue.known_files(found.id)
        there = sum(reach.holds(path) for path in files)
        if files and not there:
            raise CatalogueError(
                f"none of the {len(files):,} files of {collection!r} is in {root}: "
                "name the folder that corresponds to the old root, " + found.root
            )
        writer.relocate(found.id, root)
    click.echo(f"{collection}: now in {root}; {there:,} of {len(files):,} files are there.")


@click.command()
@click.argument("target", required=False)
@click.option("--collection", metavar="NAME", help="Forget a whole collection.")
@click.option("--encoder", metavar="NAME", help="Forget all vectors of an encoder.")
@click.option("--fingerprinter", metavar="NAME", help="Forget all fingerprints of a fingerprinter.")
@click.option("--missing", is_flag=True, help="Forget all files that have been marked missing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@catalogue_option
def forget(
    target: str | None,
    collection: str | None,
    encoder: str | None,
    fingerprinter: str | None,
    missing: bool,
    yes: bool,
    location: str | None,
) -> None:
    """Remove something from the catalogue: TARGET (a recording's number or path), or what an
    option names. No file of the archive is touched.
    """
    from db.consistency import save_postings
    from db.segment_index import save_indexes
    from db.writer import CatalogueWriter

    named = [name is not None for name in (target, collection, encoder, fingerprinter)]
    if sum(named) + missing != 1:
        raise click.UsageError(
            "name one thing: a recording, --collection, --encoder, --fingerprinter or --missing"
        )
    with open_catalogue(location) as catalogue:
        if encoder is not None or fingerprinter is not None:
            _forget_features(catalogue, encoder, fingerprinter, yes=yes)
            return
        if collection is not None:
            found = catalogue.collection(collection)
            n_files = len(catalogue.known_files(found.id))
            _confirm(f"the collection {collection} ({found.root})", yes)
        else:
            files = _missing_files(catalogue) if missing else _files_of(catalogue, target or "")
            n_files = len(files)
            if not n_files:
                click.echo("No file is marked missing: there is nothing to forget.")
                return
            _confirm("\n  ".join([count_text(n_files, "file"), *list(files.values())[:10]]), yes)
        with CatalogueWriter(catalogue) as writer:
            if collection is None:
                gone = writer.forget_files(files)
            else:
                gone = writer.forget_collection(found.id)
            notes = save_indexes(writer)
            save_postings(writer, fingerprint_schemes())
    print_notes(notes)
    click.echo(
        f"Forgot {count_text(n_files, 'file')}, and {count_text(gone, 'recording')} that lay "
        "nowhere else. The files themselves were not touched; indexing their folder would add "
        "them again."
    )


def _forget_features(
    catalogue: "Catalogue", encoder: str | None, fingerprinter: str | None, *, yes: bool
) -> None:
    from db.milvus_tidying import remove_left_behind
    from db.writer import CatalogueWriter
    from indexer.fingerprint_places import forget_parts

    what = f"all vectors by {encoder}" if encoder else f"all fingerprints by {fingerprinter}"
    _confirm(what, yes)
    with CatalogueWriter(catalogue) as writer:
        if encoder is not None:
            writer.forget_encoder(encoder)
            print_notes(
                f"{action}; `echoic repair` tries again"
                for action in remove_left_behind(catalogue)
                if action.startswith("left ")
            )
        if fingerprinter is not None:
            writer.forget_scheme(fingerprinter)
            print_notes(forget_parts(catalogue, fingerprinter))
        fault = catalogue.compact()
    click.echo(f"Forgot {what}.")
    if fault is not None:
        click.echo(
            f"Note: the database could not be made smaller ({fault}); its room is used by what is "
            "indexed next.",
            err=True,
        )


def _confirm(what: str, yes: bool) -> None:
    if not yes:
        click.confirm(f"Forget {what}\n?", abort=True)


def _missing_files(catalogue: "Catalogue") -> dict[int, str]:
    from db.storage import file_at

    return {
        file.id: printable(str(file_at(collection.root, file.path)))
        for collection in catalogue.collections()
        for file in catalogue.known_files(collection.id).values()
        if file.missing
    }


def _files_of(catalogue: "Catalogue", target: str) -> dict[int, str]:
    from db.storage import file_at

    return {
        file.id: printable(str(file_at(file.root, file.path)))
        for info in _find(catalogue, target)
        for file in info.files
    }


def _find(catalogue: "Catalogue", text: str) -> "list[RecordingInfo]":
    """Find recordings by number, absolute path, path from here, or the end of a path."""
    from db.errors import UnknownName
    from db.remote import is_address

    if text.isdecimal():
        return [catalogue.recording(int(text))]
    path = Path(text)
    ids = catalogue.find_files(text if is_address(text) else path.as_posix())
    if not ids and path.exists():
        ids = catalogue.find_files(path.absolute().resolve().as_posix())
    if not ids:
        raise UnknownName(f"no recording in the catalogue lies under a path that ends in {text!r}")
    return list(catalogue.recordings(ids).values())


def _print_recording(info: "RecordingInfo") -> None:
    from db.storage import file_at

    technical = info.technical
    depth = f", {technical.bit_depth} bit" if technical.bit_depth else ""
    kind = " ".join(dict.fromkeys((technical.format, technical.codec)))  # not FLAC FLAC
    click.echo(f"Recording {info.id}  {info.content_hash}")
    click.echo(
        f"  {duration_text(technical.duration_s)}, {technical.sample_rate:,} Hz, "
        f"{count_text(technical.channels, 'channel')}, {kind}{depth}, {size_text(info.size_bytes)}"
    )
    for warning in technical.warnings:
        click.echo(f"  Warning: {warning}")
    for file in info.files:
        gone = f"  [missing since {file.missing_since:%Y-%m-%d}]" if file.missing_since else ""
        path = printable(str(file_at(file.root, file.path)))
        click.echo(f"  {path}  ({file.collection}){gone}")
        _print_pairs(asdict(file.description), indent=4)
    if info.descriptors:
        _print_pairs(info.descriptors, indent=2)
    for encoder, n_segments in info.n_segments.items():
        click.echo(f"  {count_text(n_segments, 'segment')} by {encoder}")
    for scheme, n_landmarks in info.n_landmarks.items():
        click.echo(f"  {count_text(n_landmarks, 'landmark')} by {scheme}")


def _print_pairs(values: Any, *, indent: int) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _print_pairs(value, indent=indent)
        elif value not in (None, "", (), []):
            click.echo(f"{' ' * indent}{key}: {_value_text(value)}")


def _value_text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_value_text(item) for item in value)
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

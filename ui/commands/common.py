"""Options and words that several commands share."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from db.catalogue import Catalogue
    from db.consistency import Schemes
    from db.patience import Patience
    from db.records import Failure

Command = TypeVar("Command", bound=Callable[..., Any])


class LocalPath(click.Path):
    """A path on this machine; click itself makes a path of an address, too.

    Parameters
    ----------
    instead : str
        What can be given in place of an address.
    dir_okay, path_type
        As `click.Path` takes them.
    """

    def __init__(
        self,
        instead: str = "a path on this machine",
        *,
        dir_okay: bool = True,
        path_type: type[Any] | None = None,
    ) -> None:
        super().__init__(dir_okay=dir_okay, path_type=path_type)
        self._instead = instead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse addresses, and leave the rest to click."""
        from db.remote import is_address

        if isinstance(value, str) and is_address(value):
            self.fail(f"{printable(value)} is an address: give {self._instead}", param, ctx)
        return super().convert(value, param, ctx)


def catalogue_option(command: Command) -> Command:
    """Add ``--catalogue`` to a command."""
    return click.option(
        "--catalogue",
        "location",
        metavar="PATH",
        envvar="ECHOIC_CATALOGUE",
        help="The catalogue: a folder, or a database URL.  [default: in the user's data folder]",
    )(command)


def vectors_option(command: Command) -> Command:
    """Add ``--vectors`` to a command that writes."""
    return click.option(
        "--vectors",
        metavar="PLACE",
        help="Keep vectors at this place from now on: a Milvus server as http://HOST:19530, or "
        "the word files.  [default: where they are; files at first]",
    )(command)


def fingerprints_option(command: Command) -> Command:
    """Add ``--fingerprints`` to a command that writes."""
    return click.option(
        "--fingerprints",
        metavar="PLACE",
        help="Look fingerprints up at this place from now on: in parts on a Ray cluster as "
        "ray:HOST:PORT, or ray:auto for the one that this machine belongs to, with ?parts=N in so "
        "many parts (else one a machine); or in files of each machine, the word files.  [default: "
        "where they are; files at first]",
    )(command)


def encoder_option(command: Command) -> Command:
    """Add ``--encoder`` to a command that reads."""
    return click.option(
        "--encoder",
        metavar="NAME",
        help="Whose vectors count.  [default: the catalogue's]",
    )(command)


def json_option(help_text: str = "Print JSON.") -> Callable[[Command], Command]:
    """Add ``--json`` to a command."""

    def add(command: Command) -> Command:
        return click.option("--json", "as_json", is_flag=True, help=help_text)(command)

    return add


def open_catalogue(
    location: str | None, *, create: bool = False, patience: "Patience | None" = None
) -> "Catalogue":
    """Open the catalogue that the user means."""
    from db.catalogue import Catalogue
    from db.location import catalogue_location

    return Catalogue.open(catalogue_location(location), create=create, patience=patience)


def fingerprint_schemes() -> "Schemes":
    """Return how each fingerprinter of this Echoic makes keys, by its id."""
    from indexer.fingerprint import FINGERPRINTERS, load_fingerprinter

    loaded = [load_fingerprinter(name) for name in FINGERPRINTERS]
    return {
        fingerprinter.id: (fingerprinter.keys, fingerprinter.key_bits) for fingerprinter in loaded
    }


def print_json(value: Any) -> None:
    """Print a value as one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_notes(notes: Iterable[str]) -> None:
    """Print what a user should know beside the answer, on standard error."""
    for note in notes:
        click.echo(f"Note: {printable(note)}.", err=True)


def duration_text(seconds: float) -> str:
    """Say a length of time as people do: ``"20 ms"``, ``"0.5 s"``, ``"2:05"``, ``"1:02:05"``."""
    if 0 < seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return clock_text(seconds)


def clock_text(seconds: float) -> str:
    """Say a time in a recording: ``"0:42.0"`` is not needed, ``"0:42"`` is."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span_text(onset_s: float, offset_s: float) -> str:
    """Say a stretch of a recording: ``"0:35-1:05"``."""
    return f"{clock_text(onset_s)}-{clock_text(offset_s + 0.5)}"


def exact_span_text(onset_s: float, offset_s: float) -> str:
    """Say a stretch that is known to a tenth of a second: ``"0:35.2-1:05.0"``."""
    tenths = (round(10 * onset_s), round(10 * offset_s))
    return "-".join(f"{clock_text(n // 10)}.{n % 10}" for n in tenths)


def size_text(n_bytes: float) -> str:
    """Say a size: ``"12.3 MB"``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def count_text(n: int, one: str, many: str | None = None) -> str:
    """Say a number of things: ``"1 file"``, ``"2,000 files"``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def failure_texts(failures: "Sequence[Failure]") -> list[str]:
    """Say how many files could not be indexed, and how many could not even be looked at.

    The latter, such as a folder that may not be opened, are none of the audio files that a run
    counts.
    """
    n_unseen = sum(failure.state is None for failure in failures)
    n_files = len(failures) - n_unseen
    said = []
    if n_files or not n_unseen:
        said.append(f"{count_text(n_files, 'file')} could not be indexed")
    if n_unseen:
        things = count_text(n_unseen, "file or folder", "files or folders")
        said.append(f"{things} could not even be looked at")
    return said


def printable(text: str) -> str:
    """Make a file name safe for a terminal: a line break in it must not look like a new line."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def absolute(path: str) -> Path:
    """Return a path as the user means it, seen from the current folder."""
    return Path(path).expanduser().absolute()

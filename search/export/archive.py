"""ZIP archives: the same hits give the same bytes."""

import io
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from search.export.clips import ExportOptions, clips, file_name
from search.export.tables import write_csv
from search.hits import Hit

Writer = Callable[[Iterable[Hit], BinaryIO, ExportOptions], list[str]]
"""Writes hits to a stream and returns notes: what a user should know, what was left out."""

_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of ZIP's time; the present would make each export another
_UNIX = 3
_READABLE = 0o100644 << 16


class ZipWriter:
    """Writes one file after the other into a ZIP archive, in bounded memory.

    Parameters
    ----------
    stream : file
        Need not be seekable.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(stream, "w")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def add_file(self, name: str, source: Path) -> None:
        """Copy a file of sound into the archive; it is not compressed."""
        entry = _entry(name, zipfile.ZIP_STORED)
        entry.file_size = source.stat().st_size  # tells whether 64-bit sizes are needed
        with source.open("rb") as file, self._zip.open(entry, "w") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)

    def add_text(self, name: str, data: bytes) -> None:
        """Compress a text into the archive."""
        self._zip.writestr(_entry(name, zipfile.ZIP_DEFLATED), data)


def one_file_each(suffix: str, write: Writer) -> Writer:
    """Make of a format for one recording a ZIP archive with a file for each.

    ``hits.csv`` says which file belongs to which recording: their names begin with its ranks.
    """

    def write_all(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
        notes = []
        table = io.BytesIO()
        kept = list(hits)
        with ZipWriter(stream) as archive:
            notes += write_csv(kept, table, options)
            archive.add_text("hits.csv", table.getvalue())
            for rank, hit in enumerate(kept, start=1):
                text = io.BytesIO()
                notes += write([hit], text, options)
                clip = next(clips([hit], options))
                archive.add_text(file_name(clip.name, suffix, rank=rank), text.getvalue())
        return list(dict.fromkeys(notes))

    return write_all


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _BEGINNING)
    entry.compress_type = compression
    entry.create_system = _UNIX
    entry.external_attr = _READABLE
    return entry

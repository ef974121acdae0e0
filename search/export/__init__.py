"""Hits as files that other programs read: one registry for the command line, HTTP and pages.

``EXPORTS["raven"].write(hits, stream)`` writes to a binary stream; `write_file` to a file, which
appears whole or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from search.errors import ExportError
from search.export.archive import Writer, one_file_each
from search.export.clips import ExportOptions
from search.export.edl import FRAME_RATES, write_edl
from search.export.excerpt_zip import write_flac_excerpts, write_wav_excerpts
from search.export.files import new_file, refuse_recording
from search.export.labels import write_audacity, write_raven, write_reaper
from search.export.naming import sound_labels
from search.export.playlist import write_playlist
from search.export.tables import COLUMNS, write_csv, write_json_lines
from search.export.values import first_place, full_path, hit_values, recording_values
from search.hits import Hit

__all__ = [
    "COLUMNS",
    "EXPORTS",
    "FRAME_RATES",
    "Export",
    "ExportOptions",
    "first_place",
    "format_of",
    "full_path",
    "hit_values",
    "recording_values",
    "sound_labels",
    "write_file",
]

_ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class Export:
    """A format.

    Attributes
    ----------
    title : str
        What people call it.
    extension : str
        With its full stop; of two formats that share their last part, one has more before it.
    media_type : str
    binary : bool
        False: UTF-8 text, fit for a terminal.
    writer : callable
        Use `write`.
    """

    title: str
    extension: str
    media_type: str
    binary: bool
    writer: Writer

    def write(
        self, hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions | None = None
    ) -> list[str]:
        """Write hits to a binary stream, which need not be seekable.

        Returns
        -------
        list of str
            What a user should know: what was left out, and why.

        Raises
        ------
        ExportError
            If these hits do not fit the format; the message says what to do.
        """
        return self.writer(hits, stream, options or ExportOptions())


EXPORTS: dict[str, Export] = {
    "csv": Export("CSV table", ".csv", "text/csv", False, write_csv),
    "jsonl": Export("JSON lines", ".jsonl", "application/jsonl", False, write_json_lines),
    "m3u8": Export("M3U8 playlist", ".m3u8", "audio/x-mpegurl", False, write_playlist),
    "audacity": Export("Audacity labels", ".txt", "text/plain", False, write_audacity),
    "audacity-zip": Export(
        "Audacity labels, a file for each recording",
        ".labels.zip",
        _ZIP,
        True,
        one_file_each(".txt", write_audacity),
    ),
    "raven": Export(
        "Raven selection table",
        ".selections.txt",
        "text/tab-separated-values",
        False,
        write_raven,
    ),
    "raven-zip": Export(
        "Raven selection tables, one for each recording",
        ".selections.zip",
        _ZIP,
        True,
        one_file_each(".selections.txt", write_raven),
    ),
    "edl": Export("CMX 3600 edit decision list", ".edl", "text/plain", False, write_edl),
    "reaper": Export("Reaper regions", ".regions.csv", "text/csv", False, write_reaper),
    "reaper-zip": Export(
        "Reaper regions, a file for each recording",
        ".regions.zip",
        _ZIP,
        True,
        one_file_each(".regions.csv", write_reaper),
    ),
    "wav": Export("WAV excerpts with a manifest", ".zip", _ZIP, True, write_wav_excerpts),
    "flac": Export("FLAC excerpts with a manifest", ".flac.zip", _ZIP, True, write_flac_excerpts),
}
"""Every format by its name."""


def format_of(path: Path) -> str:
    """Return the name of the format that a file's name means: that with the longest ending.

    Raises
    ------
    ExportError
        If its ending is none of the formats'.
    """
    refuse_recording(path)
    meant = _meant(path)
    if meant is None:
        endings = sorted(export.extension for export in EXPORTS.values())
        raise ExportError(
            f"{path.name!r} names no format: end it with one of {', '.join(endings)}, "
            "or name the format"
        )
    return meant


def _meant(path: Path) -> str | None:
    endings = {export.extension: name for name, export in EXPORTS.items()}
    known = [ending for ending in endings if path.name.lower().endswith(ending)]
    return endings[max(known, key=len)] if known else None


def _refuse_ending_of_another(path: Path, name: str) -> None:
    """Raise `ExportError` if a file's name promises a format that it would not have.

    A shorter form of the format's own ending is none of another: Raven's tables may end in .txt.
    """
    meant = _meant(path)
    wanted = EXPORTS[name].extension
    if meant is not None and not wanted.endswith(EXPORTS[meant].extension):
        raise ExportError(
            f"{path.name!r} is named like the format {meant}, and would hold {name}: end it with "
            f"{wanted}, or choose the format {meant}"
        )


def write_file(
    hits: Iterable[Hit],
    path: Path,
    *,
    name: str | None = None,
    options: ExportOptions | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write hits to a file, which appears whole or not at all.

    Parameters
    ----------
    name : str, optional
        The format, one of `EXPORTS`; by default the one that the file's ending means.
    overwrite : bool
        Whether a file of that name may be replaced.

    Returns
    -------
    list of str
        What a user should know: what was left out, and why.

    Raises
    ------
    ExportError
        If the format is unknown or does not fit these hits, the file's ending is another format's,
        or the file exists or cannot be written.
    """
    kind = name or format_of(path)
    if kind not in EXPORTS:
        raise ExportError(f"no format {kind!r}: choose one of {', '.join(EXPORTS)}")
    _refuse_ending_of_another(path, kind)
    with new_file(path, overwrite=overwrite) as file:
        return EXPORTS[kind].write(hits, file, options)

"""Files that were made to be taken away: kept for a while, each below an address of its own."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from search.disk_cache import DiskCache, cache_folder
from search.errors import ExportError
from search.export import EXPORTS, ExportOptions
from search.hits import Hit
from ui.commands.common import size_text

WITH_SOUND: Final = ("wav", "flac")
"""The formats that hold the passages themselves."""
MOST_BYTES: Final = 2_000_000_000
"""So much sound goes into one file: three hours in stereo."""

_BOUND = 2 * MOST_BYTES
_SAMPLE_BYTES = 4
_NAME = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that can be taken away.

    Attributes
    ----------
    address : str
        On this server.
    notes : tuple of str
        What a user should know: what was left out, and why.
    n_hits : int
    """

    address: str
    notes: tuple[str, ...]
    n_hits: int


class Exports:
    """Writes hits to files on the disk, and keeps the last of them up to a bound.

    Parameters
    ----------
    folder : Path, optional
        By default in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._cache = DiskCache(folder or cache_folder("exports"), max_bytes=_BOUND)

    def make(
        self, hits: Sequence[Hit], format_: str, options: ExportOptions, *, title: str
    ) -> MadeFile:
        """Write hits to a new file.

        Parameters
        ----------
        format_
            One of `search.export.EXPORTS`.
        title
            The file's name for whoever takes it, without its ending.

        Raises
        ------
        ExportError
            If the hits do not fit the format, would be more than `MOST_BYTES` of sound, or there is
            no room for them.
        """
        if format_ in WITH_SOUND:
            _check_size(hits)
        export = EXPORTS[format_]
        notes: list[str] = []

        def write(file: BinaryIO) -> None:
            notes.extend(export.write(hits, file, options))

        name = f"{secrets.token_hex(16)}{export.extension}"
        try:
            self._cache.write(name, write)
        except OSError as error:
            raise ExportError(
                f"the file cannot be written ({error.strerror or error}): make room on the disk of "
                f"{self._cache.folder}"
            ) from error
        address = f"/export/{name}/{quote(title + export.extension, safe='')}"
        return MadeFile(address, tuple(notes), len(hits))

    def find(self, name: str) -> Path | None:
        """Return a file that is kept, by its name in the address; None if there is none."""
        return self._cache.find(name) if _NAME.fullmatch(name) else None


def _check_size(hits: Sequence[Hit]) -> None:
    n_bytes = sum(map(_sound_bytes, hits))
    if n_bytes > MOST_BYTES:
        raise ExportError(
            f"these passages are up to {size_text(n_bytes)} of sound, and here at most "
            f"{size_text(MOST_BYTES)} are written at once: choose fewer, or use "
            "`echoic lists export` or `echoic search --export` where the archive is"
        )


def _sound_bytes(hit: Hit) -> int:
    technical = hit.recording.technical
    spans_s = [passage.offset_s - passage.onset_s for passage in hit.passages]
    length_s = sum(spans_s) if spans_s else technical.duration_s
    return round(length_s * technical.sample_rate) * technical.channels * _SAMPLE_BYTES

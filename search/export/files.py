"""A file that appears whole or not at all, and never over another without being told."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from indexer.audio import AUDIO_SUFFIXES
from search.errors import ExportError


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Give a file that gets its name when it is complete.

    Until then it lies beside it under a name of its own, which goes after an error.

    Raises
    ------
    ExportError
        If there is such a file and `overwrite` is false, if it is named like a recording, or if it
        cannot be written.
    """
    refuse_recording(path)
    partial = path.with_name(f".echoic-{secrets.token_hex(6)}.part")
    try:
        if path.exists() and not path.is_file():
            raise ExportError(f"{path} is no regular file: choose another name")
        if path.exists() and not overwrite:
            raise _in_the_way(path)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _give_name(partial, path, overwrite=overwrite)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written ({error.strerror or error}): "
            "make room on the disk, or choose a folder that you may write to"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def refuse_recording(path: Path) -> None:
    """Raise `ExportError` if a file to be written is named like a recording."""
    if path.suffix.lower() in AUDIO_SUFFIXES:
        raise ExportError(
            f"{path} is named like a recording: choose another name. Sounds are exported as a ZIP "
            "archive, one or many: --format wav --export hits.zip"
        )


def _give_name(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Rename a file; a link, unlike renaming, fails if the name was taken in the meantime."""
    if not overwrite:
        try:
            path.hardlink_to(partial)
            return
        except FileExistsError as error:
            raise _in_the_way(path) from error
        except OSError:  # a file system without links
            if path.exists():
                raise _in_the_way(path) from None
    partial.replace(path)


def _in_the_way(path: Path) -> ExportError:
    return ExportError(f"{path} exists: choose another name, or overwrite it (--overwrite)")

"""Names of files whose accents are written in two ways.

Unicode writes ``é`` as one sign (NFC, as people type it) or as a letter and an accent (NFD, as
older Macs name files). They look the same, and a file system holds them for two names.
"""

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ByPath(Generic[Value]):
    """Values by path: first by the very path, then by one that differs only in how it is written.

    Parameters
    ----------
    values : mapping of str to object
        By relative path, with ``/``. Of two that differ only so, the first counts for a third.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._exact = values
        self._composed: dict[str, Value] = {}
        for path, value in values.items():
            if not path.isascii():
                self._composed.setdefault(_composed(path), value)

    def get(self, path: str) -> Value | None:
        """Return the value of a path; None if there is none."""
        found = self._exact.get(path)
        if found is None and not path.isascii():
            found = self._composed.get(_composed(path))
        return found


class DiskSpellings:
    """Tells how paths below a folder are written there; what was listed once is remembered.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[str, ByPath[str]] = {}

    def of(self, path: str) -> str:
        """Return a path as it is written; unchanged if neither it nor a like one is there."""
        if path.isascii():
            return path
        folder = ""
        for name in path.split("/"):
            folder = f"{folder}/{self._names(folder).get(name) or name}"
        return folder.removeprefix("/")

    def _names(self, folder: str) -> ByPath[str]:
        if folder not in self._listed:
            try:
                names = sorted(os.listdir(f"{self._root}{folder}"))  # noqa: PTH208  (names only)
            except OSError:
                names = []  # what is wrong with it shows when its files are looked at
            self._listed[folder] = ByPath({name: name for name in names})
        return self._listed[folder]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)

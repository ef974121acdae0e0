"""Sounds that people drop in or record: kept for a while, named by their content."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from indexer.stretches import length_s
from search.disk_cache import DiskCache, cache_folder

_BOUND = 2_000_000_000
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Upload:
    """A sound that was dropped in.

    Attributes
    ----------
    name : str
        By which it is found again; it tells nothing but its content.
    duration_s : float
        Its length as decoded, in seconds.
    """

    name: str
    path: Path
    duration_s: float

    @property
    def content_hash(self) -> str:
        return f"upload-{self.name.partition('.')[0]}"


class Uploads:
    """Keeps what was dropped in, up to a bound; nothing of it leaves the machine.

    Parameters
    ----------
    folder : Path, optional
        By default in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._cache = DiskCache(folder or cache_folder("uploads"), max_bytes=_BOUND)

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._cache.folder

    def keep(self, content: bytes, file_name: str) -> Upload:
        """Keep a sound.

        Parameters
        ----------
        file_name
            As its owner calls it; only the suffix is used.

        Raises
        ------
        AudioError
            If it is no sound that can be decoded.
        """
        suffix = PurePath(file_name).suffix.lower()
        if not _SUFFIX.fullmatch(suffix):
            suffix = ".audio"
        name = f"{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
        path = self._cache.get(name, lambda: content)
        return Upload(name, path, _length_s(path))

    def find(self, name: str) -> Upload | None:
        """Return a sound that is kept, by its name; None if there is none."""
        path = self._cache.find(name) if _NAME.fullmatch(name) else None
        return None if path is None else Upload(name, path, _length_s(path))


@lru_cache(maxsize=256)
def _length_s(path: Path) -> float:
    return length_s(path)

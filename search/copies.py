"""The recordings of an archive that a file, or the files of a folder, were taken from or are in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from search.errors import QueryError
from search.fingerprints import FingerprintEngine
from search.rehearing import unread_note


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Recordings that hold the same sound as some files.

    Attributes
    ----------
    recording_ids : ndarray of int64
        Ascending.
    notes : tuple of str
        Why some may not be among them, in words.
    """

    recording_ids: NDArray[np.int64]
    notes: tuple[str, ...]


def copies_of(catalogue: Catalogue, path: Path) -> Copies:
    """Return the recordings that hold the same sound as a file or as any file of a folder.

    Raises
    ------
    QueryError
        If there is no such file or folder, or the folder holds no audio file.
    AudioError
        If a file cannot be decoded.
    UnknownName
        If the catalogue holds no fingerprints.
    """
    from indexer.audio import AUDIO_SUFFIXES  # decoders, which other queries need not load

    if not path.exists():
        raise QueryError(f"copyof:{path}: there is no such file or folder")
    files = [path]
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.suffix.lower() in AUDIO_SUFFIXES)
        if not files:
            raise QueryError(f"copyof:{path}: the folder holds no audio file")
    engine = FingerprintEngine(catalogue)
    found, unread, notes = set[int](), dict[int, str](), list[str]()
    for file in files:
        warnings: list[str] = []
        itself = engine.identical(file)
        if itself is not None:
            found.add(itself.id)
        matches = engine.identify(
            file,
            all_occurrences=True,
            on_unread=unread.__setitem__,
            on_warning=warnings.append,
        )
        found |= {match.recording.id for match in matches}
        notes += [f"{file}: {warning}" for warning in warnings]
    if unread:
        notes.append(unread_note(unread))
    return Copies(np.array(sorted(found), dtype=np.int64), (*engine.notes, *notes))

"""The recordings of an archive that a file, or the files of a folder, were taken from or are in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from indexer.errors import AudioError
from search.errors import QueryError
from search.fingerprints import FingerprintEngine
from search.rehearing import OnUnread, unread_note
from search.too_little import too_little


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
        If a file cannot be decoded; of several, if none can. Else those that cannot are noted.
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
    n_failed = 0
    for file in files:
        try:
            recordings, warnings = _copies_of(engine, file, unread.__setitem__)
        except AudioError as error:
            n_failed += 1
            if n_failed == len(files):
                raise
            reason = str(error).removeprefix(f"{file}: ")
            notes.append(f"{file} was left out: {reason}")
        else:
            found |= recordings
            notes += [f"{file}: {warning}" for warning in warnings]
    if unread:
        notes.append(unread_note(unread))
    return Copies(np.array(sorted(found), dtype=np.int64), (*engine.notes, *notes))


def _copies_of(
    engine: FingerprintEngine, file: Path, on_unread: OnUnread
) -> tuple[set[int], list[str]]:
    """Return the recordings that hold the same sound as a file, and what is to be known of it."""
    warnings: list[str] = []
    matches = engine.identify(
        file, all_occurrences=True, on_unread=on_unread, on_warning=warnings.append
    )
    found = {match.recording.id for match in matches}
    if not found and (reason := too_little(file)):
        warnings.append(reason)
    itself = engine.identical(file)
    if itself is not None:
        found.add(itself.id)
    return found, warnings

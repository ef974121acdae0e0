"""The recordings of an archive that a file, or the files of a folder, were taken from or are in."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from search.errors import QueryError
from search.fingerprints import FingerprintEngine


def copies_of(catalogue: Catalogue, path: Path) -> NDArray[np.int64]:
    """Return the recordings that hold the same sound as a file or as any file of a folder.

    Returns
    -------
    ndarray of int64
        Ascending.

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
    found: set[int] = set()
    for file in files:
        itself = engine.identical(file)
        if itself is not None:
            found.add(itself.id)
        found |= {match.recording.id for match in engine.identify(file, all_occurrences=True)}
    return np.array(sorted(found), dtype=np.int64)

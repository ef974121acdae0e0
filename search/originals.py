"""The files that recordings are in: for excerpts, and for whoever may see only the archive."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from db.catalogue import Catalogue
from db.overview import indexed_state
from db.records import FileState
from db.storage import AnyFile, file_at
from indexer.errors import AudioError
from search.export.values import first_place


@dataclass(frozen=True, slots=True)
class Original:
    """A file that holds a recording.

    Attributes
    ----------
    path : Path or RemoteFile
        Below its collection's folder.
    content_hash : str
    state : FileState, optional
        As it was when it was indexed; None if it has been removed since.
    duration_s : float
    """

    path: AnyFile
    content_hash: str
    state: FileState | None
    duration_s: float


def original(catalogue: Catalogue, recording_id: int) -> Original:
    """Return a file that is there and holds a recording.

    Raises
    ------
    UnknownName
        If there is no such recording.
    AudioError
        If it is in none of its places, may not be read, or is not below its collection's folder.
    """
    recording = catalogue.recording(recording_id)
    file = first_place(recording)
    if file is None:
        raise AudioError("the archive knows no place of this recording any more")
    # A link in the folder may lead out of it, for its owner put it there; a path may not.
    if ".." in PurePath(file.path).parts or PurePath(file.path).is_absolute():
        raise AudioError("this recording does not lie in its collection's folder")
    path = file_at(file.root, file.path)
    name = f"{file.path} of the collection {file.collection}"
    try:
        is_there = not isinstance(path, Path) or path.is_file()
    except OSError as error:
        raise AudioError(f"the file cannot be read: {error.strerror}: {name}") from error
    if not is_there:
        raise AudioError(f"the file is not there: {name}")
    return Original(
        path,
        recording.content_hash,
        indexed_state(catalogue, file.id),
        recording.technical.duration_s,
    )

"""What goes into a catalogue and what comes out of it: frozen values, never rows."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from db.landmarks import Landmarks

UNREAD: Final = "unread"
"""In the place of a sidecar's digest: it could not be read, so what is stored of it stays."""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """The geometry of an encoder, as far as a catalogue has to know it.

    Attributes
    ----------
    name : str
        The encoder's id, as ``"echoic-mini/2"``.
    dim : int
        Length of a vector.
    sample_rate : int
        In Hz.
    window_s, hop_s : float
        Length of a segment and distance of two onsets, in seconds.
    """

    name: str
    dim: int
    sample_rate: int
    window_s: float
    hop_s: float


@dataclass(frozen=True, slots=True)
class SchemeInfo:
    """A way of fingerprinting, as far as a catalogue has to know it.

    Attributes
    ----------
    name : str
        The fingerprinter's id, as ``"echoic-landmarks/3"``.
    frame_s : float
        Length of a frame, the unit of its times, in seconds.
    """

    name: str
    frame_s: float


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A named folder of recordings.

    Attributes
    ----------
    root : str
        Its absolute path.
    manifest : str or None
        The manifest that describes its files, an absolute path.
    """

    id: int
    name: str
    root: str
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class Technical:
    """What a file's decoder says of a content.

    Attributes
    ----------
    duration_s : float
        Length of what was decoded, not of what a header promised, in seconds.
    sample_rate : int
        In Hz.
    bit_depth : int or None
        None for codecs that have none.
    warnings : tuple of str
        Faults that did not prevent indexing, such as a file cut off before its end.
    """

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    codec: str
    bit_depth: int | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What is written about a recording; an empty text is "not known".

    Attributes
    ----------
    title, description, creator, licence : str
    recorded_at : str
        ISO date, whole or in part: ``"1962-05-21"``, ``"1962-05"``, ``"1962"``.
    category, subcategory : str
        As in the Universal Category System, where the source knows it.
    tags : tuple of str
        Without duplicates, in the order of the sources.
    extra : mapping of str to str
        All else that is worth finding: album, comment, attribution, scene, take ...
    """

    title: str = ""
    description: str = ""
    creator: str = ""
    licence: str = ""
    recorded_at: str = ""
    category: str = ""
    subcategory: str = ""
    tags: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Return 32 hex digits that change exactly when the description does."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make a description of what `dataclasses.asdict` and JSON made of one."""
        return cls(**{**values, "tags": tuple(values.get("tags", ()))})


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file looked when it was last indexed or last failed."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that a catalogue knows, as far as a scan has to know it."""

    id: int
    path: str
    recording_id: int
    content_hash: str
    state: FileState
    missing: bool
    sidecar_digest: str | None
    embedded: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that indexing found out about one file.

    Attributes
    ----------
    technical : Technical or None
        None when the content is known already: what was computed is what it lacked.
    description : Description
        All sources merged.
    embedded : mapping
        What the file itself says, kept apart so that a changed sidecar can be merged anew.
    vectors : mapping of encoder to ndarray, shape (n_segments, dim), float16
    descriptors : mapping or None
        Column names of the table ``descriptors`` to values.
    fingerprints : mapping of scheme to landmarks
    """

    collection_id: int
    path: str
    state: FileState
    content_hash: str
    technical: Technical | None
    description: Description
    embedded: Mapping[str, Any]
    sidecar_digest: str | None
    vectors: Mapping[EncoderInfo, NDArray[np.float16]]
    descriptors: Mapping[str, Any] | None
    fingerprints: Mapping[SchemeInfo, Landmarks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed."""

    collection_id: int
    path: str
    stage: str
    reason: str
    state: FileState | None
    attempts: int = 1
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A place where a recording lies, with what that place says of it."""

    id: int
    collection: str
    root: str
    path: str
    missing_since: datetime | None
    description: Description


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """One content of the catalogue, with all its files.

    Attributes
    ----------
    n_segments, n_landmarks : mapping of str to int
        By encoder and by fingerprint scheme; those that have not had it are not there.
    """

    id: int
    content_hash: str
    size_bytes: int
    technical: Technical
    indexed_at: datetime
    files: tuple[FileInfo, ...]
    descriptors: Mapping[str, Any] | None
    n_segments: Mapping[str, int]
    n_landmarks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class IndexState:
    """Whether what is kept of an encoder's vectors agrees with SQL, but for a little that is newer.

    `place` is ``files``, or the address of a server.
    """

    encoder: EncoderInfo
    n_recordings: int
    n_segments: int
    vectors_bytes: int
    place: str
    file_name: str | None
    file_bytes: int
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class FingerprintState:
    """Whether the postings files of a fingerprint scheme agree with SQL.

    Attributes
    ----------
    place : str
        Where they are looked up: ``files``, or a cluster, of whose files nothing is told here.
    """

    scheme: SchemeInfo
    n_recordings: int
    n_landmarks: int
    landmarks_bytes: int
    place: str
    n_files: int
    files_bytes: int
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """Counts of one collection."""

    collection: CollectionInfo
    n_files: int
    n_missing: int
    n_failures: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of a whole catalogue."""

    location: str
    format: str
    n_recordings: int
    duration_s: float
    database_bytes: int
    collections: tuple[CollectionStatus, ...]
    indexes: tuple[IndexState, ...]
    fingerprints: tuple[FingerprintState, ...]

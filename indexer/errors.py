"""What can go wrong between a file and its row in the catalogue."""

from db.errors import EchoicError


class IndexingError(EchoicError):
    """One file, or one run, could not be indexed."""


class AudioError(IndexingError):
    """A file holds no audio that can be decoded: damaged, empty, truncated, not audio at all."""


class EncoderError(IndexingError):
    """An encoder is unknown, incomplete or damaged."""


class NewerModel(EncoderError):
    """A model was made for a newer Echoic."""


class ManifestError(IndexingError):
    """A manifest cannot be read, breaks its format, or a file does not match its checksum."""


class ManifestUnread(ManifestError):
    """A manifest or sidecar is there and cannot be read, which says nothing of what is in it."""

"""The root of all errors that Echoic raises on purpose, and those of the catalogue.

Only ``ui`` turns them into sentences for people; everything else lets them pass.
"""


class EchoicError(Exception):
    """Something a user can do something about. The message says what to do next."""


class CatalogueError(EchoicError):
    """The catalogue cannot be opened, read or written."""


class CatalogueMissing(CatalogueError):
    """There is no catalogue at this place."""


class CatalogueVersionError(CatalogueError):
    """The catalogue was written by a newer Echoic, or by one too old to read as it is."""


class CatalogueLocked(CatalogueError):
    """Another process is writing to this catalogue."""


class TurnMissed(CatalogueLocked):
    """The turn of a transaction did not come in time; it may do so later."""


class CatalogueUnreachable(CatalogueError):
    """The server that holds the catalogue does not answer; it may do so later."""


class UnknownName(CatalogueError):
    """No collection, recording or encoder has this name in the catalogue."""


class IndexFolderUnusable(CatalogueError):
    """This machine's index files of a catalogue on a server cannot be kept where they belong."""


class EncoderMismatch(CatalogueError):
    """Vectors of two encoders would be compared; the message names both."""


class VectorIndexError(CatalogueError):
    """A vector index was given what it cannot take, or its file is missing or damaged."""


class CollectionGone(VectorIndexError):
    """Somebody removed a collection of vectors from its server, or put another in its place."""


class CalibrationDamaged(CatalogueError):
    """What a catalogue keeps of the scores of an encoder is not what was stored."""


class PostingsError(CatalogueError):
    """A fingerprint index was given what it cannot take, or one of its files is at fault."""


class StorageError(EchoicError):
    """Storage that an address names cannot be reached or read, or the address is none."""


class StorageForbidden(StorageError):
    """The storage answers, and forbids it."""


class StorageUnreachable(StorageError):
    """The storage does not answer; it may do so later."""


class ConditionError(EchoicError):
    """A condition asks for what its field cannot be asked; the message says how to put it."""

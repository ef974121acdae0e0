"""What runs on the machines of a Ray cluster: an analyser that first shows that it can work."""

from importlib.metadata import version

from db.errors import EchoicError, StorageError
from db.remote import is_address
from db.storage import file_at, file_state
from indexer.analysis import Analyser, Features, Job, Report


class RemoteAnalyser:
    """Analyses one file at a time, and keeps its encoders loaded between them.

    A machine that could not do the work must not be given any: files that are in order would be
    recorded as failed.
    """

    def __init__(self) -> None:
        self._analyser = Analyser()

    def prepare(self, wanted_version: str, features: Features, samples: list[Job]) -> str | None:
        """Load what is needed; say why this machine cannot be used, or None if it can.

        Parameters
        ----------
        wanted_version : str
            The version of Echoic that commits the results.
        samples : list of Job
            A file of each collection, which has to look here as it does to who commits.
        """
        if version("echoic") != wanted_version:
            return f"it has Echoic {version('echoic')}, not {wanted_version} as this machine"
        try:
            self._analyser.load(features)
        except EchoicError as error:
            return str(error)
        return next(filter(None, map(_difference, samples)), None)

    def analyse(self, job: Job) -> Report:
        """Analyse a file; see `indexer.analysis.Analyser`."""
        return self._analyser(job)


def _difference(job: Job) -> str | None:
    path = file_at(job.root, job.path)
    share = "every machine has to have the collection's folder at the same place"
    if is_address(job.root):
        share = "every machine needs the way to that storage, and its credentials"
    try:
        state = file_state(path)
    except StorageError as error:
        return f"{error}; {share}"
    except OSError as error:
        return f"{path}: {error.strerror}; {share}"
    if state != job.state:
        return f"{path} has another size or time there; {share}"
    return None

"""What is measured: anything that can be given recordings and asked which one an excerpt is of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.fingerprint.materials import Samples

ACCEPTED_P = 1e-3


@dataclass(frozen=True, slots=True)
class Answer:
    """A recording and a place in it.

    Attributes
    ----------
    name : str
    offset_s : float
        Where in the recording the excerpt's first sample is.
    score : float
        The larger, the surer; also of an answer that the system itself would not accept.
    p_false : float
        Probability of such a score from an excerpt that is not in the archive.
    """

    name: str
    offset_s: float
    score: float
    p_false: float


class System(Protocol):
    """One way of identifying recordings, with its index in a folder.

    One object fills the folder (`add`, `finish`); others, in other processes, are made on the same
    folder afterwards and asked.
    """

    def add(self, name: str, samples: Samples) -> None:
        """Take a recording of the archive: mono, 16 kHz."""
        ...

    def finish(self) -> None:
        """Write everything to the folder."""
        ...

    def features(self, samples: Samples) -> None:
        """Compute what `add` computes from samples, and throw it away; this is timed."""
        ...

    def stored_bytes(self) -> int:
        """Return the size of the index on disk."""
        ...

    def identify(self, samples: Samples) -> list[Answer]:
        """Return answers, best first; the best one even where it is not accepted."""
        ...


def _echoic(folder: Path) -> System:
    from benchmarks.fingerprint.echoic_system import EchoicSystem

    return EchoicSystem(folder)


def _echoic_10(folder: Path) -> System:
    from benchmarks.fingerprint.echoic_system import EchoicSystem

    return EchoicSystem(folder, max_change=0.1)


def _echoic_alone(folder: Path) -> System:
    from benchmarks.fingerprint.echoic_system import EchoicSystem

    return EchoicSystem(folder, reads_files=False)


def _plain(folder: Path) -> System:
    from benchmarks.fingerprint.voting_system import plain_system

    return plain_system(folder)


def _philips(folder: Path) -> System:
    from benchmarks.fingerprint.philips_system import PhilipsSystem

    return PhilipsSystem(folder)


def _chromaprint(folder: Path) -> System:
    from benchmarks.fingerprint.chromaprint_system import ChromaprintSystem

    return ChromaprintSystem(folder)


def _audfprint(folder: Path) -> System:
    from benchmarks.fingerprint.audfprint_system import AudfprintSystem

    return AudfprintSystem(folder)


def _audfprint_dense(folder: Path) -> System:
    from benchmarks.fingerprint.audfprint_system import DENSE, AudfprintSystem

    return AudfprintSystem(folder, DENSE)


def _dejavu(folder: Path) -> System:
    from benchmarks.fingerprint.dejavu_system import dejavu_system

    return dejavu_system(folder)


SYSTEMS: dict[str, Callable[[Path], System]] = {
    "echoic": _echoic,
    "echoic-10": _echoic_10,
    "echoic-fingerprints-only": _echoic_alone,
    "plain": _plain,
    "philips": _philips,
    "chromaprint": _chromaprint,
    "audfprint": _audfprint,
    "audfprint-dense": _audfprint_dense,
    "dejavu": _dejavu,
}

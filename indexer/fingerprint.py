"""What a way of fingerprinting has to offer, and which ones there are.

A fingerprinter turns sound into landmarks (points of the spectrogram that survive what happens to
recordings) and landmarks into keys, each of which stands for a few landmarks and how they lie to
each other. The catalogue keeps the landmarks; an inverted index from keys to times finds where a
query's keys occur together.

This is what archives are made with. Searching is more than looking up: how a query is taken, laid
over an archive and weighed belongs to the one method (`indexer.landmarks`, `search.identify`), and
another would bring its own.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from db.landmarks import Landmarks
from indexer.errors import IndexingError


class UnknownFingerprinter(IndexingError):
    """There is no fingerprinter of this name."""


class FingerprintStream(Protocol):
    """Takes the samples of one recording, part by part. Where they are cut does not matter."""

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, shape (n,), float32, mono, at the fingerprinter's rate."""
        ...

    def finish(self) -> Landmarks:
        """Return the landmarks of everything that was pushed."""
        ...


class Fingerprinter(Protocol):
    """A way of fingerprinting.

    Attributes
    ----------
    id : str
        Name and version; changes whenever the same sound would get other landmarks or keys.
    sample_rate : int
        In Hz, of the samples it takes.
    frame_s : float
        Length in seconds of a frame, the unit of its times.
    key_bits : int
        Keys are below ``2 ** key_bits``; at most 32.
    """

    id: str
    sample_rate: int
    frame_s: float
    key_bits: int

    def stream(self) -> FingerprintStream:
        """Begin a recording."""
        ...

    def keys(self, landmarks: Landmarks) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """Return the keys under which a recording is found.

        Returns
        -------
        keys : ndarray, shape (n,), uint32
        frames : ndarray, shape (n,), int32
            The frame of the recording that each key belongs to.
        """
        ...


DEFAULT_FINGERPRINTER = "echoic-landmarks/3"


def _landmarks() -> Fingerprinter:
    from indexer.landmarks import LandmarkFingerprinter

    return LandmarkFingerprinter()


FINGERPRINTERS: Mapping[str, Callable[[], Fingerprinter]] = {DEFAULT_FINGERPRINTER: _landmarks}


def load_fingerprinter(name: str = DEFAULT_FINGERPRINTER) -> Fingerprinter:
    """Return a fingerprinter by its id.

    Raises
    ------
    UnknownFingerprinter
        If this Echoic has none of that id; the message lists those it has.
    """
    if name not in FINGERPRINTERS:
        raise UnknownFingerprinter(
            f"there is no fingerprinter {name!r} (there is: {', '.join(FINGERPRINTERS)})"
        )
    return FINGERPRINTERS[name]()

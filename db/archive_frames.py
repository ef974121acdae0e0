"""What can be asked of the fingerprints of an archive, wherever they are looked up."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.errors import UnknownName
from db.landmarks import Landmarks
from db.owned_ranges import OwnedRanges

_FEW: Final = 32  # postings that stand for a key beyond the budget


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Where some keys occur.

    Attributes
    ----------
    which : ndarray, shape (p,), int32
        The key of each posting, as its place among the keys that were asked for.
    frames : ndarray, shape (p,), int64
        The archive's frame number of each posting.
    counts : ndarray, shape (m,), int32
        How many postings each key has in the whole archive; those of recordings that were removed
        may still be counted until they have been merged away.
    """

    which: NDArray[np.int32]
    frames: NDArray[np.int64]
    counts: NDArray[np.int32]


class ArchiveFrames(ABC):
    """Finds frames by their keys, and knows which recordings they belong to.

    Any number of threads may use it; a lookup sees the archive as it was after the last refresh.

    Attributes
    ----------
    scheme : str
    notes : list of str
        What was wrong with files and BLOBs, in words; empty when nothing was.
    """

    scheme: str
    notes: list[str]

    @abstractmethod
    def refresh(self) -> None:
        """Take in what other processes have committed since the last time.

        Raises
        ------
        UnknownName
            If the fingerprints by this scheme have been removed.
        """

    @abstractmethod
    def lookup(self, keys: NDArray[np.uint32], *, budget: int | None = None) -> Postings:
        """Find where keys occur.

        What is found, and what is not, depends on the archive alone, and not on how its postings
        lie in files or on machines (but for `Postings.counts`).

        Parameters
        ----------
        keys : ndarray, shape (m,), uint32
            In any order, also several times.
        budget : int, optional
            Return hardly more postings than this: keys are served from the rarest on, until they
            come to one that is too much. Of as many of the others as half the budget allows the
            first few postings are returned, so that what occurs thousands of times is found at some
            of its places.

        Returns
        -------
        Postings
            In no particular order.

        Raises
        ------
        PostingsError
            If there is a key that is not below ``2 ** key_bits``, or the index is out of reach.
        """

    @abstractmethod
    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of a span of the archive, in order of time.

        Parameters
        ----------
        first_frame, end_frame : int
            Frame numbers of the archive.

        Returns
        -------
        frames : ndarray, shape (n,), int64
            Frame numbers of the archive.
        frequencies : ndarray, shape (n,), uint16

        Raises
        ------
        PostingsError
            If the index is out of reach.
        """

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:  # noqa: B027, as most need nothing
        """Prepare for being asked for the landmarks of some spans."""

    def landmarks_of(self, recording_id: int) -> Landmarks:
        """Return the landmarks of a recording, none if they are damaged.

        Raises
        ------
        UnknownName
            If it has no fingerprint by this scheme.
        """
        first_frame, n_frames = self.span(recording_id)
        frames, frequencies = self.landmarks(first_frame, first_frame + n_frames)
        return Landmarks((frames - first_frame).astype(np.int32), frequencies, n_frames)

    @property
    def recording_ids(self) -> NDArray[np.int64]:
        """All recordings with a fingerprint, in the order of their frames."""
        return self._ranges().recording_ids

    @property
    def n_frames(self) -> int:
        """Frames of all recordings."""
        return int(self._ranges().counts.sum())

    @property
    def bounds(self) -> tuple[int, int]:
        """The first frame number of the archive, and the one after its last."""
        ranges = self._ranges()
        if not len(ranges):
            return 0, 0
        return int(ranges.firsts[0]), int(ranges.firsts[-1] + ranges.counts[-1])

    def locate(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the recording that each frame belongs to, and its place within it.

        Returns
        -------
        recording_ids : ndarray of int64
            -1 where a frame belongs to none.
        within : ndarray of int64
            The first frame of a recording is 0; -1 where it belongs to none.
        """
        return self._ranges().locate(frames)

    def span(self, recording_id: int) -> tuple[int, int]:
        """Return the first frame number of a recording, and how many it owns.

        Raises
        ------
        UnknownName
            If it has no fingerprint by this scheme.
        """
        ranges = self._ranges()
        rows, _ = ranges.places.find(np.array([recording_id], dtype=np.int64))
        if not len(rows):
            raise UnknownName(f"recording {recording_id} has no fingerprint by {self.scheme}")
        return int(ranges.firsts[rows[0]]), int(ranges.counts[rows[0]])

    @abstractmethod
    def _ranges(self) -> OwnedRanges:
        """Return who owns which frames, as of the last refresh."""


def rarest_first(counts: NDArray[np.intp], budget: int) -> NDArray[np.intp]:
    """Return how many postings of each key a budget allows for: all, the first few, or none."""
    ascending = np.sort(counts)
    n_served = int(np.searchsorted(np.cumsum(ascending), budget, side="right"))
    if n_served == len(counts):
        return counts
    order = np.argsort(counts, kind="stable")
    limits = np.zeros_like(counts)
    limits[order[:n_served]] = counts[order[:n_served]]
    some = order[n_served : n_served + budget // 2 // _FEW]
    limits[some] = np.minimum(counts[some], _FEW)
    return limits

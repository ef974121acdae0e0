"""Where in an archive of 32-bit codes a row of codes fits with the fewest wrong bits."""

from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint32]

_HOPELESS_WORDS, _HOPELESS_RATE = 64, 0.45


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a row of codes fits best.

    Attributes
    ----------
    name : str
        The recording.
    index : int
        The code in it.
    wrong : float
        Share of bits that differ.
    variety : float
        Share of codes that differ from each other, in the row or there, whichever is less.
    """

    name: str
    index: int
    wrong: float
    variety: float

    @property
    def score(self) -> float:
        """Right bits above chance, times variety: one silence or steady hum is like any other.

        Without the second factor silences set the threshold, and both methods find less.
        """
        return (1 - 2 * self.wrong) * self.variety


@dataclass(frozen=True, slots=True, eq=False)
class CodeArchive:
    """The codes of all recordings, one after the other.

    Attributes
    ----------
    names : list of str
    codes : ndarray, shape (n,), uint32
    starts : ndarray, shape (recordings + 1,), int64
        Where each recording begins in `codes`, and where the last one ends.
    """

    names: list[str]
    codes: Codes
    starts: NDArray[np.int64]

    @classmethod
    def joined(cls, names: list[str], parts: list[Codes]) -> "CodeArchive":
        """Put recordings together."""
        starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
        return cls(names, np.concatenate(parts), starts)

    @classmethod
    def load(cls, file: Path) -> "CodeArchive":
        """Read what `save` wrote."""
        kept = np.load(file)
        return cls([str(name) for name in kept["names"]], kept["codes"], kept["starts"])

    def save(self, file: Path) -> None:
        """Write an uncompressed file."""
        np.savez(file, names=np.array(self.names), codes=self.codes, starts=self.starts)

    def best(self, codes: Codes, places: NDArray[np.int64]) -> Fit | None:
        """Return the place with the fewest wrong bits.

        Parameters
        ----------
        codes : ndarray, shape (n,), uint32
            What is looked for.
        places : ndarray, shape (m,), int64
            Where in the archive it may begin. Where it would not lie in one recording is left out.
        """
        within = np.searchsorted(self.starts, places, side="right") - 1
        ends = np.append(self.starts, 0)[within + 1]  # nothing fits after the last recording
        fits = (places >= 0) & (places + len(codes) <= ends)
        places, within = places[fits], within[fits]
        if not len(places) or not len(codes):
            return None
        index, wrong = _least_wrong(self.codes, codes, places)
        recording, place = within[index], places[index]
        there = self.codes[place : place + len(codes)]
        variety = min(len(np.unique(codes)), len(np.unique(there))) / len(codes)
        return Fit(self.names[recording], int(place - self.starts[recording]), wrong, variety)


@numba.njit(cache=True)
def _least_wrong(archive: Codes, codes: Codes, places: NDArray[np.int64]) -> tuple[int, float]:
    """Return the best place and its share of wrong bits; what begins like chance is left there."""
    n = len(codes)
    best, least = 0, 32 * n
    hopeless = int(_HOPELESS_RATE * 32 * _HOPELESS_WORDS)
    for index in range(len(places)):
        wrong = 0
        for word in range(n):
            x = np.int64(archive[places[index] + word] ^ codes[word])
            x -= (x >> 1) & 0x55555555
            x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
            x = (x + (x >> 4)) & 0x0F0F0F0F
            wrong += ((x * 0x01010101) >> 24) & 0xFF
            if wrong >= least or (word == _HOPELESS_WORDS - 1 and wrong > hopeless):
                break
        else:
            best, least = index, wrong
    return best, least / (32 * n)

"""An index of fingerprints that is divided among machines: which part of it keeps what.

Keys are divided into ranges of their scrambled values, so that all parts get about as many postings
and a key lies in one part only: what a part says of its keys needs no comparison with the others.
Landmarks, which are asked for by time, are divided by time, one stretch of the archive to each part
in turn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.postings_layout import scramble

_STRETCH_FRAMES: Final = 1 << 14  # some minutes: an excerpt mostly lies in one


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an index; by default there is but one.

    Attributes
    ----------
    number : int
        From 0 to below `of`.
    of : int
        How many parts there are.
    """

    number: int = 0
    of: int = 1

    def key_bits(self, key_bits: int) -> int:
        """Return how many bits a key needs within a part, for keys of so many bits."""
        largest = -(-(1 << key_bits) // self.of)
        return max((largest - 1).bit_length(), 1)

    def scramble(self, keys: NDArray[np.uint32], key_bits: int) -> NDArray[np.uint32]:
        """Return keys of this part scrambled, and counted from the first that the part may have."""
        scrambled = scramble(keys, key_bits)
        if self.of > 1:
            scrambled -= np.uint32(-(-(self.number << key_bits) // self.of))
        return scrambled

    def own_keys(self, keys: NDArray[np.uint32], key_bits: int) -> NDArray[np.bool_]:
        """Tell which keys this part keeps."""
        own: NDArray[np.bool_] = parts_of_keys(keys, key_bits, self.of) == self.number
        return own

    def own_frames(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell of which frame numbers of the archive this part keeps the landmarks."""
        own: NDArray[np.bool_] = parts_of_frames(frames, self.of) == self.number
        return own


def parts_of_keys(keys: NDArray[np.uint32], key_bits: int, n_parts: int) -> NDArray[np.intp]:
    """Return the number of the part that keeps each key."""
    scrambled = scramble(keys, key_bits).astype(np.uint64)
    scrambled *= np.uint64(n_parts)
    return (scrambled >> np.uint64(key_bits)).astype(np.intp)


def parts_of_frames(frames: NDArray[np.int64], n_parts: int) -> NDArray[np.intp]:
    """Return the number of the part that keeps the landmarks of each frame number."""
    return ((frames // _STRETCH_FRAMES) % n_parts).astype(np.intp)

"""Which frames of a span belong to a recording that is still there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_BLOCK_FRAMES: Final = 64
_DEAD, _LIVE, _MIXED = 0, 1, 2


class LiveFrames:
    """A set of frame numbers that tells quickly which of many numbers are in it.

    One byte for every 64 frames says whether all, none or some of them are in it; only in the last
    case are the ranges themselves asked.

    Parameters
    ----------
    first_frame, end_frame : int
        Numbers outside this span are not in it.
    firsts, counts : ndarray, shape (n,), int64
        Ranges of numbers that are, within the span, ascending, apart from each other.
    gap : int
        So many numbers between two ranges are taken to be in it as well: nobody has them.
    """

    def __init__(
        self,
        first_frame: int,
        end_frame: int,
        firsts: NDArray[np.int64],
        counts: NDArray[np.int64],
        *,
        gap: int = 0,
    ) -> None:
        self._first_frame = first_frame
        begins = firsts - first_frame
        ends = begins + counts
        # Recordings mostly follow each other: only where one is gone is there an edge in a block.
        edges = np.flatnonzero(begins[1:] - ends[:-1] > gap)
        self._begins = np.concatenate((begins[:1], begins[edges + 1]))
        self._ends = np.concatenate((ends[edges], ends[-1:]))
        # The last entry stands for all numbers beyond the span.
        n_blocks = -((first_frame - end_frame) // _BLOCK_FRAMES) + 1
        steps = np.zeros(n_blocks + 1, dtype=np.int8)
        whole_begins = -(-self._begins // _BLOCK_FRAMES)
        whole_ends = np.maximum(self._ends // _BLOCK_FRAMES, whole_begins)
        np.add.at(steps, whole_begins, _LIVE)
        np.subtract.at(steps, whole_ends, _LIVE)
        self._blocks = np.cumsum(steps[:-1], dtype=np.int8)
        for bounds in (self._begins, self._ends):
            self._blocks[bounds[bounds % _BLOCK_FRAMES != 0] // _BLOCK_FRAMES] = _MIXED

    def contains(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell for each frame number of the archive whether it is in the set."""
        positions = frames - self._first_frame
        blocks = positions // _BLOCK_FRAMES
        outside = len(self._blocks) - 1
        blocks[(blocks < 0) | (blocks > outside)] = outside
        state = self._blocks.take(blocks)
        inside: NDArray[np.bool_] = state == _LIVE
        mixed = np.flatnonzero(state == _MIXED)
        if len(mixed):
            asked = positions.take(mixed)
            at = np.searchsorted(self._begins, asked, side="right") - 1
            inside[mixed] = (at >= 0) & (asked < self._ends.take(at))
        return inside

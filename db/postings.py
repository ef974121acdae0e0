"""A run of postings: which keys occur at which frames, for one span of an archive.

A *posting* is a key at a frame. The postings of a run are sorted by key, then by frame, and cut
into buckets by the top bits of the key; a table says where each bucket begins. Within a bucket, a
posting is one *word*: the rest of the key above the frame, counted from the start of the run. So a
bucket is sorted too, and the postings of a key are found by bisection among a handful of words
that lie side by side.

Keys are scrambled first, because those of real sound crowd together and would fill a few buckets.
A run also holds the landmarks that the keys were made of, in order of time. It never changes, and
may be in memory or in a file (`db.postings_file`).

References
----------
.. [1] A. Wang: An industrial-strength audio search algorithm. ISMIR 2003. (Keys and an index.)
.. [2] D. Knuth: The art of computer programming, volume 3, section 6.4. (Multiplicative hashing.)
"""

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from db.postings_layout import BLOCK_FRAMES, Layout, Positions, Words, encode

# One less than a power of two.
_SHORT: Final = 15


class PostingsRun:
    """The postings and landmarks of one span of an archive, ready to be searched.

    No array is read beyond its ends, whatever numbers stand in it: those of a damaged file give
    wrong frames, but never a crash.

    Parameters
    ----------
    layout : Layout
    offsets : ndarray, shape (2 ** bucket_bits + 1,), uint32
        The word that each bucket begins with.
    words : ndarray, shape (n_postings,), uint32 or uint64
    blocks : ndarray, shape (n_blocks + 1,), uint32
        The landmark that each block begins with.
    landmark_frames : ndarray, shape (n_landmarks,), uint8
        Within the block.
    frequencies : ndarray, shape (n_landmarks,), uint16
    """

    def __init__(
        self,
        layout: Layout,
        offsets: NDArray[np.uint32],
        words: Words,
        blocks: NDArray[np.uint32],
        landmark_frames: NDArray[np.uint8],
        frequencies: NDArray[np.uint16],
    ) -> None:
        self.layout = layout
        self._offsets = offsets
        self._words = words
        self._blocks = blocks
        self._landmark_frames = landmark_frames
        self._frequencies = frequencies
        self._position_mask = layout.word_type(2**layout.position_bits - 1)

    @classmethod
    def build(
        cls,
        layout: Layout,
        joined: NDArray[np.uint64],
        positions: Positions,
        frequencies: NDArray[np.uint16],
    ) -> Self:
        """Make a run in memory.

        Parameters
        ----------
        joined : ndarray, shape (n_postings,), uint64
            What `join` returned, sorted.
        positions : ndarray, shape (n_landmarks,), int64
            Frames of the landmarks, from the start of the run; never falling.
        """
        sizes, words = encode(layout, joined, 0, 2**layout.bucket_bits)
        per_block = np.bincount(positions // BLOCK_FRAMES, minlength=layout.n_blocks)
        return cls(
            layout,
            _starts(sizes),
            words,
            _starts(per_block),
            (positions % BLOCK_FRAMES).astype(np.uint8),
            frequencies,
        )

    @property
    def n_postings(self) -> int:
        """Number of postings."""
        return len(self._words)

    @property
    def n_landmarks(self) -> int:
        """Number of landmarks."""
        return len(self._frequencies)

    # -- postings ------------------------------------------------------------------------------

    def find(self, keys: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the words of each key.

        Parameters
        ----------
        keys : ndarray, shape (m,), uint32
            Scrambled.

        Returns
        -------
        starts, ends : ndarray, shape (m,), intp
            The words ``starts[i] ... ends[i] - 1`` are those of key `i`.
        """
        starts, ends = self._buckets_of(keys)
        if not self.layout.rest_bits or not self.n_postings:
            return starts, np.maximum(starts, ends)
        lowest = self._rest_of(keys)
        starts = _bisect(self._words, starts, ends, lowest, np.less)
        last = lowest | self._position_mask
        is_there = starts < ends
        is_there &= self._words.take(starts, mode="clip") <= last
        at = np.flatnonzero(is_there)
        after = starts.copy()
        after[at] = _bisect(
            self._words, starts.take(at), ends.take(at), last.take(at), np.less_equal
        )
        return starts, after

    def rank(self, keys: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return how many postings have a smaller scrambled key, for each of some keys."""
        starts, ends = self._buckets_of(keys)
        if not self.n_postings:
            return starts
        return _bisect(self._words, starts, ends, self._rest_of(keys), np.less)

    def frames(
        self, starts: NDArray[np.intp], counts: NDArray[np.intp], out: NDArray[np.int64]
    ) -> None:
        """Write the archive's frame numbers of the words ``starts[i] ...``, `counts` of each.

        Parameters
        ----------
        starts, counts : ndarray, shape (m,), intp
            No count is 0.
        out : ndarray, shape (sum of counts,), int64
        """
        words = self._words.take(_ranges(starts, counts))
        words &= self._position_mask
        np.add(words, self.layout.first_frame, out=out, dtype=np.int64, casting="unsafe")

    def slice(self, first_key: int, end_key: int, start: int, end: int) -> NDArray[np.uint64]:
        """Return the postings ``start ... end - 1`` as `join` did, sorted.

        Parameters
        ----------
        first_key, end_key : int
            All of them have scrambled keys from the first to below the end.
        """
        layout = self.layout
        first_bucket = first_key >> layout.rest_bits
        end_bucket = ((end_key - 1) >> layout.rest_bits) + 1
        offsets = self._offsets[first_bucket : end_bucket + 1].astype(np.int64)
        bounds = np.maximum.accumulate(np.clip(offsets, start, end))
        bounds[0], bounds[-1] = start, end
        words = self._words[start:end].astype(np.uint64)
        joined = np.repeat(np.arange(first_bucket, end_bucket, dtype=np.uint64), np.diff(bounds))
        joined <<= np.uint64(layout.rest_bits)
        joined |= words >> np.uint64(layout.position_bits)
        joined <<= np.uint64(32)
        words &= np.uint64(self._position_mask)
        joined |= words
        return joined

    # -- landmarks -----------------------------------------------------------------------------

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of a span, in order of time.

        Parameters
        ----------
        first_frame, end_frame : int
            Frame numbers of the archive; they may lie outside the run.

        Returns
        -------
        frames : ndarray, shape (n,), int64
            Frame numbers of the archive.
        frequencies : ndarray, shape (n,), uint16
        """
        layout = self.layout
        first = max(first_frame, layout.first_frame) - layout.first_frame
        end = min(end_frame, layout.end_frame) - layout.first_frame
        if first >= end:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint16)
        first_block = first // BLOCK_FRAMES
        end_block = (end - 1) // BLOCK_FRAMES + 1
        bounds = self._blocks[first_block : end_block + 1].astype(np.int64)
        np.minimum(np.maximum.accumulate(bounds, out=bounds), self.n_landmarks, out=bounds)
        block_starts = np.arange(first_block, end_block, dtype=np.int64) * BLOCK_FRAMES
        frames = np.repeat(block_starts, np.diff(bounds))
        frames += self._landmark_frames[bounds[0] : bounds[-1]] & np.uint8(BLOCK_FRAMES - 1)
        inside = (frames >= first) & (frames < end)
        frames += layout.first_frame
        return frames[inside], self._frequencies[bounds[0] : bounds[-1]][inside]

    # -- inside --------------------------------------------------------------------------------

    def _buckets_of(self, keys: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        # NumPy shifts a 32-bit number by 32 to 0, as it should be with one bucket only.
        buckets = (keys >> np.uint32(self.layout.rest_bits)).astype(np.intp)
        last = np.uint32(self.n_postings)
        starts = np.minimum(self._offsets.take(buckets), last).astype(np.intp)
        buckets += 1
        ends = np.minimum(self._offsets.take(buckets), last).astype(np.intp)
        return starts, ends

    def _rest_of(self, keys: NDArray[np.uint32]) -> Words:
        rest = (keys & np.uint32(2**self.layout.rest_bits - 1)).astype(self.layout.word_type)
        rest <<= self.layout.word_type(self.layout.position_bits)
        return rest


def _bisect(
    words: Words,
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    targets: Words,
    before: np.ufunc,
) -> NDArray[np.intp]:
    """Return the first word of each range that is not before its target; its end if all are.

    Most ranges are a few words long. All of them are bisected together, in as many steps as those
    may need, without asking which are done; the long ones are made short first.
    """
    lows, highs = _shortened(words, starts, ends, targets, before)
    middles = np.empty_like(lows)
    goes_on = np.empty(len(lows), dtype=np.bool_)
    is_before = np.empty(len(lows), dtype=np.bool_)
    found = np.empty(len(lows), dtype=words.dtype)
    step = (_SHORT + 1) // 2
    while step:
        np.add(lows, step - 1, out=middles)
        np.less(middles, highs, out=goes_on)
        words.take(middles, mode="clip", out=found)
        before(found, targets, out=is_before)
        goes_on &= is_before
        lows += np.multiply(goes_on, step, out=middles)
        step //= 2
    return lows


def _shortened(
    words: Words,
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    targets: Words,
    before: np.ufunc,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Bisect those ranges that are longer than `_SHORT` until they no longer are."""
    lows, highs = starts.copy(), ends.copy()
    at = np.flatnonzero(ends - starts > _SHORT)
    if not len(at):
        return lows, highs
    low, high, target = lows.take(at), highs.take(at), targets.take(at)
    longest = int((high - low).max())
    while longest > _SHORT:
        middle = (low + high) >> 1
        goes_on = before(words.take(middle, mode="clip"), target)
        goes_on &= low < high
        high = np.where(goes_on, high, middle)
        low = np.where(goes_on, middle + 1, low)
        longest //= 2
    lows[at], highs[at] = low, high
    return lows, highs


def _ranges(starts: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers ``starts[i] ... starts[i] + counts[i] - 1`` of all ranges, in order."""
    ends = np.cumsum(counts)
    steps = np.ones(ends[-1] if len(ends) else 0, dtype=np.intp)
    steps[:1] = starts[:1]
    steps[ends[:-1]] = starts[1:] - (starts[:-1] + counts[:-1] - 1)
    return np.cumsum(steps, out=steps)


def _starts(sizes: NDArray[Any]) -> NDArray[np.uint32]:
    starts = np.zeros(len(sizes) + 1, dtype=np.uint32)
    np.cumsum(sizes, out=starts[1:])
    return starts

"""How a run of postings is laid out: its numbers, its keys, its words.

See `db.postings` for what they are and `db.postings_file` for all of it byte by byte.
"""

from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.errors import PostingsError

Words: TypeAlias = NDArray[np.unsignedinteger[Any]]
Positions: TypeAlias = NDArray[np.int64]

BLOCK_FRAMES: Final = 64
"""Landmarks are found by blocks of so many frames."""

MAX_SPAN: Final = 2**32
"""Frames that a run may cover at most."""

MAX_POSTINGS: Final = 2**32 - 1

# 4 to 8 postings a bucket: the table takes 0.5 to 1 byte a posting, a bucket one or two lines of
# the processor's cache.
_POSTINGS_PER_BUCKET: Final = 4
# Odd, so that no two keys become one. One multiplication alone leaves regular keys crowded.
_SCRAMBLE: Final = np.uint32(0x9E3779B1)
_SCRAMBLE_AGAIN: Final = np.uint32(0x85EBCA6B)
_WORD_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbers that say how a run is laid out.

    Attributes
    ----------
    first_frame, end_frame : int
        Frame numbers of the archive; all postings and landmarks lie in between.
    n_frames : int
        Frames in this span that belonged to a recording when the run was made.
    key_bits : int
        Keys are below ``2 ** key_bits``; 1 to 32.
    bucket_bits : int
        There are ``2 ** bucket_bits`` buckets; at most `key_bits`.
    word_bytes : int
        4 or 8.
    """

    first_frame: int
    end_frame: int
    n_frames: int
    key_bits: int
    bucket_bits: int
    word_bytes: int

    @classmethod
    def choose(
        cls, first_frame: int, end_frame: int, *, n_frames: int, key_bits: int, n_postings: int
    ) -> Self:
        """Choose the layout that takes least room for about so many postings.

        Raises
        ------
        PostingsError
            If they are more than one run can hold.
        """
        if end_frame - first_frame > MAX_SPAN or n_postings > MAX_POSTINGS:
            raise PostingsError(
                f"a run cannot hold {n_postings} postings over {end_frame - first_frame} frames: "
                "make two of them"
            )
        wanted = max(n_postings // _POSTINGS_PER_BUCKET, 1).bit_length() - 1
        wanted = min(wanted, key_bits)
        least = key_bits + _bits_for(end_frame - first_frame) - _WORD_BITS
        # Few postings over a long span leave no room for the key in 4 bytes. Either the table takes
        # more of it, or the words become longer.
        short = 4 * n_postings + 4 * 2 ** max(wanted, least)
        long = 8 * n_postings + 4 * 2**wanted
        if short <= long:
            return cls(first_frame, end_frame, n_frames, key_bits, max(wanted, least), 4)
        return cls(first_frame, end_frame, n_frames, key_bits, wanted, 8)

    @property
    def position_bits(self) -> int:
        """Bits of a word that say where in the run; the others are the rest of the key."""
        return _bits_for(self.end_frame - self.first_frame)

    @property
    def rest_bits(self) -> int:
        """Bits of a key that the bucket does not tell."""
        return self.key_bits - self.bucket_bits

    @property
    def n_blocks(self) -> int:
        """Blocks of landmarks."""
        return -((self.first_frame - self.end_frame) // BLOCK_FRAMES)

    @property
    def word_type(self) -> type[np.unsignedinteger[Any]]:
        """Type of a word."""
        return np.uint32 if self.word_bytes == 4 else np.uint64

    def is_possible(self) -> bool:
        """Tell whether these numbers go together; those of a damaged file may not."""
        return (
            0 <= self.first_frame <= self.end_frame <= self.first_frame + MAX_SPAN
            and self.end_frame < 2**62
            and 0 <= self.bucket_bits <= self.key_bits <= 32
            and self.word_bytes in (4, 8)
            and self.rest_bits + self.position_bits <= 8 * self.word_bytes
        )


def scramble(keys: NDArray[np.uint32], key_bits: int) -> NDArray[np.uint32]:
    """Map the keys one to one onto numbers below ``2 ** key_bits`` that are spread evenly."""
    mask = np.uint32(2**key_bits - 1)
    scrambled: NDArray[np.uint32] = keys * _SCRAMBLE
    scrambled &= mask
    scrambled ^= scrambled >> np.uint32((key_bits + 1) // 2)
    scrambled *= _SCRAMBLE_AGAIN
    scrambled &= mask
    return scrambled


def join(keys: NDArray[np.uint32], positions: Positions) -> NDArray[np.uint64]:
    """Return one number a posting that sorts by scrambled key, then by position."""
    joined: NDArray[np.uint64] = keys.astype(np.uint64)
    joined <<= np.uint64(32)
    joined |= positions.astype(np.uint64)
    return joined


def encode(
    layout: Layout, joined: NDArray[np.uint64], first_bucket: int, end_bucket: int
) -> tuple[NDArray[np.intp], Words]:
    """Return the sizes of some buckets, and their words, from sorted postings.

    Parameters
    ----------
    joined : ndarray, shape (n,), uint64
        What `join` returned, sorted; all of these buckets.
    """
    shift = np.uint64(32 + layout.rest_bits)
    buckets = (joined >> shift).astype(np.int64)
    buckets -= first_bucket
    sizes = np.bincount(buckets, minlength=end_bucket - first_bucket)
    rest = joined >> np.uint64(32)
    rest &= np.uint64(2**layout.rest_bits - 1)
    rest <<= np.uint64(layout.position_bits)
    rest |= joined & np.uint64(2**32 - 1)
    return sizes, rest.astype(layout.word_type)


def _bits_for(span: int) -> int:
    return max((span - 1).bit_length(), 1)

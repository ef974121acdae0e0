"""Landmarks: the points of a recording that a fingerprint is made of, and how they are stored.

A landmark is a peak of the spectrogram: the frame it stands in and its frequency. What frames and
frequencies mean is the business of the scheme that made them; here they are numbers.

The BLOB of a recording with `n` landmarks is, little-endian:

======================  ==================================================================
``2 n`` bytes           uint16 frequencies, in the order of the landmarks
the rest                one entry a landmark: how many frames it comes after the one before
                        (the first: after frame 0), as bytes of 255 that go on and a last
                        byte below 255; their sum is the number
======================  ==================================================================
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_GOES_ON = 255


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """The landmarks of one recording, in order of time, then of frequency.

    Attributes
    ----------
    frames : ndarray, shape (n,), int32
        From the start of the recording; never falling.
    frequencies : ndarray, shape (n,), uint16
        In the units of the scheme.
    n_frames : int
        Length of the recording in frames; more than the last of `frames`.
    """

    frames: NDArray[np.int32]
    frequencies: NDArray[np.uint16]
    n_frames: int

    def __len__(self) -> int:
        return len(self.frames)


def pack(landmarks: Landmarks) -> bytes:
    """Return the BLOB of the landmarks of a recording."""
    steps = np.diff(landmarks.frames, prepend=np.int32(0))
    n_bytes = steps // _GOES_ON + 1
    packed = np.full(int(n_bytes.sum()), _GOES_ON, dtype=np.uint8)
    packed[np.cumsum(n_bytes) - 1] = steps % _GOES_ON
    return landmarks.frequencies.astype("<u2").tobytes() + packed.tobytes()


def unpack(blob: bytes, n_landmarks: int, n_frames: int) -> Landmarks:
    """Return the landmarks of a BLOB that `fingerprint_fault` finds nothing wrong with."""
    frequencies = np.frombuffer(blob, dtype="<u2", count=n_landmarks)
    packed = np.frombuffer(blob, dtype=np.uint8, offset=2 * n_landmarks)
    frames = np.cumsum(packed, dtype=np.int64)[packed != _GOES_ON]
    return Landmarks(frames.astype(np.int32), frequencies.astype(np.uint16), n_frames)


def checksum(blob: bytes) -> int:
    """Return the CRC-32 that stands beside a BLOB."""
    return zlib.crc32(blob)


def fingerprint_fault(blob: bytes, *, n_landmarks: int, n_frames: int, checksum: int) -> str | None:
    """Say what is wrong with a BLOB of landmarks; None if it is what was stored."""
    if zlib.crc32(blob) != checksum:
        return "the fingerprint does not match its checksum"
    packed = np.frombuffer(blob, dtype=np.uint8)[2 * n_landmarks :]
    if int(np.count_nonzero(packed != _GOES_ON)) != n_landmarks or (
        len(packed) and packed[-1] == _GOES_ON
    ):
        return f"the fingerprint does not hold {n_landmarks} landmarks"
    if int(packed.sum(dtype=np.int64)) >= max(n_frames, 1):
        return f"the fingerprint has landmarks beyond its {n_frames} frames"
    return None

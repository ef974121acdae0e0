"""The fingerprinter of Echoic: spectral peaks, and keys made of pairs of them.

A key tells the frequencies of two peaks and the time between them, which is enough to find where
in an archive both occur as they do in a query. One key proves nothing; many keys that agree on one
place do.

An archive is kept sparse, since it is large: some 24 peaks a second, each paired with five, and 12
fainter ones that no key is made of: they are witnesses when a place is weighed. How loud each is
is stored with it, in steps of 8 dB: loud ones are heard through noise. A query is made dense, since
it is short and damaged: 45 peaks a second, each paired with nine, looked at in two positions of the
frames, and each key also in the cells next to it.

References
----------
A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
V. Chandrasekhar, M. Sharifi, D. A. Ross, "Survey and evaluation of audio fingerprinting schemes
for mobile query-by-example applications", ISMIR 2011.
J. Six, M. Leman, "Panako: a scalable acoustic fingerprinting system handling time-scale and pitch
modification", ISMIR 2014.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from db.landmarks import Landmarks
from indexer.peaks import HOP, N_BINS, SAMPLE_RATE, STEPS_PER_BIN, PeakStream, Spectrum, analyse

ARCHIVE_PEAKS_PER_S = 24
"""Those of an archive that keys are made of."""

WITNESSES_PER_S = 12
"""Fainter ones of an archive."""

QUERY_PEAKS_PER_S = 45
_FAINT = np.uint16(1)
"""What is stored as a landmark's frequency ends with this bit if it is a witness."""

_LEVEL_SHIFT, _MOST_LEVEL, _LEVEL_STEP = np.uint16(1), np.uint16(15), np.float32(1.8)
"""Before it come four bits of the level, in steps of 1.8 nepers of power; 15 is a sine of full
scale, 0 the floor of the spectrum."""

_FREQUENCY_SHIFT, _MOST_FREQUENCY = np.uint16(5), np.uint16(N_BINS * STEPS_PER_BIN - 1)
"""And first the frequency, in quarters of a bin: 11 bits."""

_ARCHIVE_PARTNERS = 5
_QUERY_PARTNERS = 9
_LEAST_STEP, _MOST_STEP = 2, 63  # frames between the peaks of a pair: 32 ms to a second
_LOOK_AHEAD = 40  # peaks among which partners are sought

_CELL = 2  # steps of frequency that count as one: half a bin, 4 Hz
_FREQUENCY_BITS = 10
_STEP_BITS = 6
_PAIRS_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True)
class Change:
    """How a query was changed against the recording that it comes from.

    A tape played too fast has both alike; other devices change one and leave the other.

    Attributes
    ----------
    speed : float
        How many times as fast it runs.
    pitch : float
        How many times as high it sounds.
    """

    speed: float = 1.0
    pitch: float = 1.0


UNCHANGED = Change()


@dataclass(frozen=True, slots=True, eq=False)
class QueryPeaks:
    """The peaks of a query, seen in one or more positions of the frames.

    Attributes
    ----------
    frames : ndarray, shape (n,), float32
        From the start of the query, in frames; never falling within a position.
    frequencies : ndarray, shape (n,), float32
        In quarters of a bin.
    starts : tuple of int
        Where the peaks of each position begin.
    """

    frames: NDArray[np.float32]
    frequencies: NDArray[np.float32]
    starts: tuple[int, ...] = (0,)

    def undone(self, change: Change) -> "QueryPeaks":
        """Return the peaks as they were before a change."""
        return QueryPeaks(
            self.frames * np.float32(change.speed),
            self.frequencies / np.float32(change.pitch),
            self.starts,
        )

    def joined(self, other: "QueryPeaks") -> "QueryPeaks":
        """Return the peaks of this and of another position."""
        return QueryPeaks(
            np.concatenate([self.frames, other.frames]),
            np.concatenate([self.frequencies, other.frequencies]),
            (*self.starts, *(len(self.frames) + start for start in other.starts)),
        )


class LandmarkStream:
    """Finds the landmarks of a recording for the archive; an `indexer.fingerprint` stream."""

    def __init__(self) -> None:
        self._peaks = PeakStream(ARCHIVE_PEAKS_PER_S + WITNESSES_PER_S)

    def push(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples, shape (n,), float32, at 8 kHz."""
        self._peaks.push(samples)

    def finish(self) -> Landmarks:
        """Return the landmarks of everything that was pushed."""
        peaks, n_frames = self._peaks.finish()
        is_witness = peaks.ranks >= ARCHIVE_PEAKS_PER_S
        frequencies = stored_frequencies(peaks.frequencies, peaks.levels, is_witness)
        in_order = np.lexsort((frequencies, peaks.frames))
        return Landmarks(peaks.frames[in_order], frequencies[in_order], n_frames)


def stored_frequencies(
    frequencies: NDArray[np.float32], level: NDArray[np.float32], is_witness: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """Return what is stored as the frequencies of landmarks.

    Parameters
    ----------
    frequencies, level : ndarray, shape (n,), float32
        In quarters of a bin; log power in nepers, 0 for a sine of full scale.
    is_witness : ndarray, shape (n,), bool
    """
    steps = np.clip(np.rint(level / _LEVEL_STEP) + np.float32(_MOST_LEVEL), 0, _MOST_LEVEL)
    stored: NDArray[np.uint16] = np.rint(frequencies).astype(np.uint16) << _FREQUENCY_SHIFT
    stored |= steps.astype(np.uint16) << _LEVEL_SHIFT
    stored[is_witness] |= _FAINT
    return stored


def without_witnesses(landmarks: Landmarks) -> Landmarks:
    """Return the landmarks that keys are made of."""
    strong = (landmarks.frequencies & _FAINT) == 0
    return Landmarks(landmarks.frames[strong], landmarks.frequencies[strong], landmarks.n_frames)


def quarter_bins(frequencies: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the frequencies of landmarks, witnesses or not, in quarters of a bin."""
    return frequencies >> _FREQUENCY_SHIFT


def levels(frequencies: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the log power of landmarks, in nepers to 1.8; 0 is that of a sine of full scale."""
    steps = (frequencies >> _LEVEL_SHIFT & _MOST_LEVEL).astype(np.float32)
    return (steps - np.float32(_MOST_LEVEL)) * _LEVEL_STEP


def at_pitch(frequencies: NDArray[np.uint16], pitch: float) -> NDArray[np.uint16]:
    """Return the frequencies of landmarks so many times as high, with all else they tell."""
    moved = np.rint(quarter_bins(frequencies) * pitch).astype(np.uint16)
    rest = frequencies & np.uint16((1 << int(_FREQUENCY_SHIFT)) - 1)
    stored: NDArray[np.uint16] = np.minimum(moved, _MOST_FREQUENCY) << _FREQUENCY_SHIFT | rest
    return stored


class LandmarkFingerprinter:
    """Spectral peaks at 8 kHz, keys of 26 bits; an `indexer.fingerprint.Fingerprinter`."""

    id = "echoic-landmarks/3"
    sample_rate = SAMPLE_RATE
    frame_s = HOP / SAMPLE_RATE
    key_bits = 2 * _FREQUENCY_BITS + _STEP_BITS

    def stream(self) -> LandmarkStream:
        """Begin a recording."""
        return LandmarkStream()

    def keys(self, landmarks: Landmarks) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """Return the keys under which a recording is found, and the frame of each.

        Returns
        -------
        keys : ndarray, shape (n,), uint32
            Frequencies of the earlier and of the later peak in half bins, 10 bits each, then the
            frames between them, 6 bits.
        frames : ndarray, shape (n,), int32
            Those of the earlier peaks.
        """
        landmarks = without_witnesses(landmarks)
        cells = (quarter_bins(landmarks.frequencies) // _CELL).astype(np.int64)
        keys, frames = [], []
        for start in range(0, len(landmarks), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE + _LOOK_AHEAD)
            first, second = _pairs(landmarks.frames[part], _ARCHIVE_PARTNERS)
            own = first < _PAIRS_AT_ONCE
            first, second = first[own] + start, second[own] + start
            step = landmarks.frames[second] - landmarks.frames[first]
            keys.append(_key(cells[first], cells[second], step))
            frames.append(landmarks.frames[first])
        if not keys:
            return np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.int32)
        return np.concatenate(keys), np.concatenate(frames)

    def query(
        self, samples: NDArray[np.float32], *, late: float = 0.0
    ) -> tuple[QueryPeaks, Spectrum]:
        """Return the peaks of a query, and its spectrum.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            Mono, at `sample_rate`; some seconds of them.
        late
            By which part of a frame to move the frames.

        Returns
        -------
        peaks : QueryPeaks
            In order of time, at most `QUERY_PEAKS_PER_S` a second.
        spectrum : Spectrum
            Of the same frames.
        """
        peaks, spectrum = analyse(samples[round(late * HOP) :], QUERY_PEAKS_PER_S)
        return QueryPeaks(peaks.frames + np.float32(late), peaks.frequencies), spectrum

    def query_keys(
        self, peaks: QueryPeaks, *, thorough: bool
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the keys under which the original of a query may be found.

        Each pair is looked for in the cells of frequency nearest to it, two by two.

        Parameters
        ----------
        thorough
            Look one frame to either side as well: three times as many keys.

        Returns
        -------
        keys : ndarray, shape (n,), uint32
        frames : ndarray, shape (n,), float32
            The time in the query, in frames, that each key belongs to.
        """
        bounds = [*peaks.starts, len(peaks.frames)]
        steps_aside = (-1, 0, 1) if thorough else (0,)
        keys, frames = [], []
        for start, stop in pairwise(bounds):
            times = peaks.frames[start:stop]
            # Half a step on: archive frequencies are rounded, then cut into cells.
            cells = (peaks.frequencies[start:stop] + np.float32(0.5)) / np.float32(_CELL)
            inner = np.floor(cells).astype(np.int64)
            outer = inner + np.where(cells - inner < 0.5, -1, 1)
            whole = np.rint(times - (times[0] % 1 if len(times) else 0)).astype(np.int32)
            first, second = _pairs(whole, _QUERY_PARTNERS)
            for low in (inner, outer):
                for high in (inner, outer):
                    for aside in steps_aside:
                        step = whole[second] - whole[first] + aside
                        keys.append(_key(low[first], high[second], step))
                        frames.append(times[first])
        return np.concatenate(keys), np.concatenate(frames)


def _key(
    low: NDArray[np.int64], high: NDArray[np.int64], step: NDArray[np.int32]
) -> NDArray[np.uint32]:
    top = N_BINS * STEPS_PER_BIN // _CELL - 1
    key = (np.clip(low, 0, top) << _FREQUENCY_BITS | np.clip(high, 0, top)) << _STEP_BITS
    return (key | np.clip(step, 0, _MOST_STEP)).astype(np.uint32)


def _pairs(frames: NDArray[np.int32], partners: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and second of each pair: each peak with the next few, in order of time."""
    ahead = np.arange(len(frames))[:, np.newaxis] + np.arange(1, _LOOK_AHEAD + 1)
    there = ahead < len(frames)
    ahead[~there] = 0
    step = frames[ahead] - frames[:, np.newaxis]
    near = there & (step >= _LEAST_STEP) & (step <= _MOST_STEP)
    near &= np.cumsum(near, axis=1) <= partners
    first, at = np.nonzero(near)
    return first, ahead[first, at]

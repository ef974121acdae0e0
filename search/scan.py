"""Every place of an archive, looked at for one query.

In noise few keys of a query survive, and the right place has no more votes than thousands of
others. Its landmarks are there all the same: summed over all of them, the query's spectrum rises
far more than anywhere else. That sum is a correlation of the query with the whole archive, in which
all but the archive's landmarks is zero, and so a product with a sparse matrix: a quarter of a
second of one core for ten seconds in six hours of sound.
"""

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import uniform_filter1d

from db.features import GUARD_FRAMES
from indexer.landmarks import levels, quarter_bins
from indexer.peaks import N_BINS

MOST_FRAMES = 5_400_000
"""A day of sound, with `GUARD_FRAMES` between recordings. Larger archives are not scanned: time and
memory grow with them. A query in a day of sound takes 150 MB while it is looked for."""

_BLOCK = 16  # frames of the archive in a row of the matrix
_ROWS_AT_ONCE = 512  # what they give fits into a processor's cache
_STEPS = 16  # of a unit, in which sums are counted: 16 bits are twice as fast as 32
_MOST_WEIGHT = 4  # of a landmark; a block holds 36 at most: 36 * 4 * 8 * 16 fits into 16 bits
_LEVEL_FRAMES = 1024  # 16 s of one recording, with whose mean level each is compared
_LEVELS_AS_MUCH = 2.0  # nepers; a landmark so much louder than those around weighs e times as much
_FRAMES_READ = 1 << 18
_LONGEST_GAP = 1024  # frames without a landmark that count; longer than any query
_APART = 8  # frames between places that are not the same
_AROUND = 145  # frames, 2.3 s: the moments that a place is compared with, as verification does


class Archive(Protocol):
    """The part of `db.archive_frames.ArchiveFrames` that a scan needs."""

    @property
    def recording_ids(self) -> NDArray[np.int64]: ...

    @property
    def n_frames(self) -> int: ...

    @property
    def bounds(self) -> tuple[int, int]: ...

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]: ...

    def locate(self, frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Contents:
    """The landmarks of an archive at one moment.

    Attributes
    ----------
    recording_ids
        As the archive gave them; another object after each change.
    frames : ndarray, shape (n,), int64
        Archive frames of the landmarks that come after a gap, where something was removed.
    closed_up : ndarray, shape (n,), int64
        The same when all gaps are no longer than a query.
    matrix : sparse array, shape (n_blocks, _BLOCK * n_bins), int16
        What each landmark weighs, 1 to `_MOST_WEIGHT`, where it is, closed up.
    squares : ndarray, shape (n_blocks + 1,), int64
        Sum of the squared weights before each block.
    """

    recording_ids: NDArray[np.int64]
    frames: NDArray[np.int64]
    closed_up: NDArray[np.int64]
    matrix: sparse.csr_array
    squares: NDArray[np.int64]

    def archive_frame(self, place: int) -> int:
        """Return the archive frame of a query that begins at a place, closed up."""
        # A query that begins in a gap belongs to what comes after it.
        at = max(int(np.searchsorted(self.closed_up, place + _LONGEST_GAP)) - 1, 0)
        return place + int(self.frames[at] - self.closed_up[at])


class ArchiveScan:
    """Finds the places of an archive that look most like a query.

    Any number of threads may use it. The archive's landmarks are read when they are first needed,
    and again when it has changed; 6 bytes each are kept, about a megabyte for an hour.

    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._contents: _Contents | None = None
        self._reading = threading.Lock()

    @property
    def is_possible(self) -> bool:
        """Whether the archive is small enough."""
        archive = self._archive
        return archive.n_frames + GUARD_FRAMES * len(archive.recording_ids) <= MOST_FRAMES

    def best(self, spectrum: NDArray[np.float32], n_places: int) -> list[int]:
        """Return the places where the sum of a query's spectrum at the landmarks stands out most.

        It has to stand out in the archive, and from the moments before and after: steady sound
        agrees with steady sound for seconds, and that is not the right moment of either.

        Parameters
        ----------
        spectrum : ndarray, shape (n_frames, n_bins), float32
            Of the query, at most 1,000 frames; about zero on average, and hardly more than 8.
        n_places : int
            So many at most.

        Returns
        -------
        list of int
            Archive frames of the query's first frame, the best first.
        """
        contents = self._current()
        n_blocks = contents.matrix.shape[0]
        if not n_blocks:
            return []
        table, width = _table(np.rint(spectrum * _STEPS).astype(np.int16))
        n_before = width // _BLOCK  # blocks by which a query may begin before the first landmark
        sums = np.zeros((n_before + n_blocks, _BLOCK), dtype=np.int32)
        for row in range(0, n_blocks, _ROWS_AT_ONCE):
            given = contents.matrix[row : row + _ROWS_AT_ONCE] @ table
            given = given.reshape(len(given), n_before, _BLOCK)[:, :, ::-1]
            for back in range(n_before):
                at = row + n_before - back
                sums[at : at + len(given)] += given[:, back]
        scores = _standing_out(sums.astype(np.float32), _spread(contents.squares, n_before))
        return [contents.archive_frame(place - width) for place in _highest(scores, n_places)]

    def _current(self) -> _Contents:
        with self._reading:
            ids = self._archive.recording_ids
            if self._contents is None or self._contents.recording_ids is not ids:
                self._contents = self._read(ids)
            return self._contents

    def _read(self, recording_ids: NDArray[np.int64]) -> _Contents:
        begin, end = self._archive.bounds
        spans = [
            self._archive.landmarks(at, min(at + _FRAMES_READ, end))
            for at in range(begin, end, _FRAMES_READ)
        ]
        frames = np.concatenate([np.empty(0, np.int64), *(frames for frames, _ in spans)])
        pitched = [quarter_bins(frequencies) for _, frequencies in spans]
        bins = np.rint(np.concatenate([np.empty(0, np.uint16), *pitched]) / 4).astype(np.int64)
        steps = np.diff(frames, prepend=frames[:1])
        closed_up = np.cumsum(np.minimum(steps, _LONGEST_GAP))
        after_gap = steps > _LONGEST_GAP
        after_gap[:1] = True
        n_blocks = int(closed_up[-1]) // _BLOCK + 1 if len(closed_up) else 0
        starts = np.searchsorted(closed_up // _BLOCK, np.arange(n_blocks + 1)).astype(np.int32)
        columns = closed_up % _BLOCK * N_BINS + np.minimum(bins, N_BINS - 1)
        level = np.concatenate([np.empty(0, np.float32), *(levels(some) for _, some in spans)])
        weights = _weights(level, frames, self._archive.locate(frames)[0])
        squares = np.concatenate([[0], np.cumsum(np.square(weights), dtype=np.int64)])[starts]
        entries = (weights, columns.astype(np.int32), starts)
        matrix = sparse.csr_array(entries, (n_blocks, _BLOCK * N_BINS))
        return _Contents(recording_ids, frames[after_gap], closed_up[after_gap], matrix, squares)


def _weights(
    level: NDArray[np.float32], frames: NDArray[np.int64], recording_ids: NDArray[np.int64]
) -> NDArray[np.int16]:
    """Return what landmarks weigh: loud ones are heard through noise.

    What noise hides depends on the query, and the whole archive cannot be weighed anew for each. So
    each is compared with those around it in its recording, however loud that is; verification then
    weighs by the query's noise.
    """
    blocks = frames // _LEVEL_FRAMES
    begins = (np.diff(blocks, prepend=-1) != 0) | (np.diff(recording_ids, prepend=-1) != 0)
    begins[:1] = True
    number = np.cumsum(begins) - 1
    usual = np.bincount(number, level) / np.maximum(np.bincount(number), 1)
    weights = _MOST_WEIGHT / (1 + np.exp((usual[number] - level) / _LEVELS_AS_MUCH))
    whole: NDArray[np.int16] = np.maximum(np.rint(weights), 1).astype(np.int16)
    return whole


def _table(spectrum: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """Return what a landmark gives to each place around it.

    Returns
    -------
    table : ndarray, shape (_BLOCK * n_bins, width), int16
        For a landmark at a frame within its block and a bin, what the query has there if it began
        0, 1, ... frames before the last frame of the block.
    width : int
        A multiple of `_BLOCK`, enough for all that reach the query.
    """
    n_frames, n_bins = spectrum.shape
    width = -(-(n_frames + _BLOCK - 1) // _BLOCK) * _BLOCK
    padded = np.zeros((n_bins, width + _BLOCK - 1), dtype=np.int16)
    padded[:, _BLOCK - 1 : _BLOCK - 1 + n_frames] = spectrum.T
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    return np.ascontiguousarray(windows.transpose(1, 0, 2)).reshape(-1, width), width


def _spread(squares: NDArray[np.int64], n_before: int) -> NDArray[np.float32]:
    """Return by how much sums vary, in proportion: the root of the squared weights in reach."""
    upto = np.concatenate([np.zeros(n_before, np.int64), squares])
    first = np.arange(len(upto) - 1)
    in_reach = upto[np.minimum(first + n_before, len(upto) - 1)] - upto[first]
    spread: NDArray[np.float32] = np.sqrt(in_reach + 1, dtype=np.float32)[:, np.newaxis]
    return spread


def _standing_out(sums: NDArray[np.float32], spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far sums rise in all the archive, times how far above those around each."""
    flat = sums.ravel()
    mean = uniform_filter1d(flat, _AROUND)
    variance = uniform_filter1d(flat * flat, _AROUND) - mean * mean
    deviation = np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
    local = (flat - mean) / (deviation + np.median(deviation) + 1)
    scores: NDArray[np.float32] = np.maximum(sums / spread, 0)
    scores *= np.maximum(local, 0).reshape(sums.shape)
    return scores


def _highest(scores: NDArray[np.float32], n_places: int) -> list[int]:
    """Return the places of the highest scores that are apart, of one a row at most."""
    peaks = scores.max(axis=1)
    most = min(4 * n_places, len(peaks))
    rows = np.argpartition(-peaks, most - 1)[:most]
    places = rows * scores.shape[1] + scores[rows].argmax(axis=1)
    kept: list[int] = []
    for place in places[np.lexsort((places, -peaks[rows]))].tolist():
        if all(abs(place - one) >= _APART for one in kept):
            kept.append(place)
            if len(kept) == n_places:
                break
    return kept

"""The fixed grid on which recordings are cut into the encoder's windows.

Same file, same windows: nothing is random, nothing is cropped, and every sample is heard. A
recording of at most one window is one segment, which the encoder pads. Of a longer one, segment
i begins at ``i * hop`` as long as a full window fits. What is left after the last full window,
the tail, gets one more full window that ends with the recording; unless it is shorter than a
tenth of the hop, then the last window is moved right to end with the recording instead, provided
that it still touches the window before it.
"""

import numpy as np
from numpy.typing import NDArray


def _check(window: float, hop: float) -> None:
    if not 0 < hop <= window:
        raise ValueError(f"a hop of {hop} does not fit a window of {window}: 0 < hop <= window")


def _joins(tail: int, n_full: int, window: int, hop: int) -> bool:
    """Tell whether the last full window moves right over the tail: short, and without a gap."""
    return 0 < 10 * tail < hop and n_full > 1 and hop + tail <= window


def count_segments(n_samples: int, window: int, hop: int) -> int:
    """Count the segments of a recording; all in samples at the encoder's rate.

    Raises
    ------
    ValueError
        Unless ``0 < hop <= window``.
    """
    _check(window, hop)
    if n_samples <= window:
        return min(n_samples, 1)
    n_full, tail = (n_samples - window) // hop + 1, (n_samples - window) % hop
    return n_full if tail == 0 or _joins(tail, n_full, window, hop) else n_full + 1


def segment_onsets(
    n_segments: int, *, duration_s: float, window_s: float, hop_s: float
) -> NDArray[np.float64]:
    """Give the onsets of a recording's segments, from their number.

    Parameters
    ----------
    n_segments : int
        As `count_segments` gave it.
    duration_s : float
        Of the recording: its samples at the encoder's rate, over that rate.
    window_s, hop_s : float

    Returns
    -------
    ndarray, shape (n_segments,), float64
        In seconds, increasing. The last of several segments ends with the recording.
    """
    _check(window_s, hop_s)
    onsets = np.arange(n_segments, dtype=np.float64) * hop_s
    if n_segments > 1:
        onsets[-1] = duration_s - window_s
    return onsets


class Segmenter:
    """Cuts a stream of samples into the windows of the grid, holding about one window.

    Parameters
    ----------
    window, hop : int
        In samples.
    """

    def __init__(self, window: int, hop: int) -> None:
        _check(window, hop)
        self._window = window
        self._hop = hop
        self._buffer = np.zeros(0, dtype=np.float32)
        self._buffer_start = 0
        self._n_given = 0
        self._n_samples = 0

    @property
    def n_samples(self) -> int:
        """Samples pushed so far."""
        return self._n_samples

    def _cut(self, start: int) -> NDArray[np.float32]:
        offset = start - self._buffer_start
        return self._buffer[offset : offset + self._window].copy()

    def push(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take samples (n,); give the windows (window,) that are certain by now."""
        self._buffer = np.concatenate([self._buffer, samples])
        self._n_samples += len(samples)
        windows = []
        while True:
            start = self._n_given * self._hop
            behind = self._n_samples - start - self._window
            # A window may yet move as long as its tail could stay shorter than a tenth of a hop;
            # the first never does.
            if behind < 0 or (self._n_given and 10 * behind < self._hop):
                break
            windows.append(self._cut(start))
            self._n_given += 1
        keep = min(self._n_given * self._hop, max(0, self._n_samples - self._window))
        if keep > self._buffer_start:
            self._buffer = self._buffer[keep - self._buffer_start :].copy()
            self._buffer_start = keep
        return windows

    def finish(self) -> list[NDArray[np.float32]]:
        """Give the last windows.

        A recording shorter than one window comes as it is, shorter: ``encoder.pad`` knows how to
        lengthen it.
        """
        total = count_segments(self._n_samples, self._window, self._hop)
        windows = []
        for index in range(self._n_given, total):
            last = index == total - 1
            end_start = max(0, self._n_samples - self._window)
            windows.append(self._cut(end_start if last else index * self._hop))
        self._n_given = total
        return windows

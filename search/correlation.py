"""Lay a query over a passage of a recording, sample by sample.

Two dozen landmarks a second are what an archive can be searched by; a waveform holds thousands of
numbers a second, and all of them add up. In noise that leaves hardly a landmark standing the right
passage still correlates with the query at one lag as at no other.

Both are whitened, since else a few low notes decide, and levelled over time, since else one loud
moment does: a click goes well with any other click. What is left is the smoothed coherence
transform of the generalised correlation. Sustained notes and rhythms correlate at other lags as
well, a beat or a bar away: how much the best lags exceed those says that it is this passage and
not one like it.

A room answers a sound for some milliseconds, and what it answers at each lag is the same from
beginning to end. So the lags of a few milliseconds count together, and a part of the query counts
by how far it goes there as the other parts do: chance goes another way in each.

References
----------
C. H. Knapp, G. C. Carter, "The generalized correlation method for estimation of time delay", IEEE
Transactions on Acoustics, Speech and Signal Processing 24, 1976.
G. C. Carter, A. H. Nuttall, P. G. Cable, "The smoothed coherence transform", Proceedings of the
IEEE 61, 1973.
P. D. Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE
Transactions on Audio and Electroacoustics 15, 1967.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d

MARGIN_S = 4.2
"""What a passage holds before and after the query's place, in seconds: a bar and more."""

_NEAR_S = 0.06  # the place is known to within that
_BESIDE_S = 0.08  # lags that begin nearer to the best ones belong to their peak
_ROOM_S = 0.01  # what a room says in that time adds up
_LEVELLED_S = 0.25
_FLOOR = 0.1  # of the level of all; silence is not blown up to noise
_PARTS = 10  # of the query
_NOT_COUNTED = 3  # those of them that correlate best: one sound among others is not the recording
_SPECTRUM = 512  # samples of a window
_LOWEST_HZ, _HIGHEST = 60.0, 0.975  # the latter as a share of what the rate can hold
_FAINTEST_DB = -70.0  # of the strongest frequency; what is fainter is not whitened up


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a query goes with a passage.

    Attributes
    ----------
    distinctness : float
        How far its tenths, but for the three that go best, go with the passage as the others do, at
        the lags of a room's first answer near the expected one; as a root, and in proportion to the
        largest correlation at as many lags farther off. About 1 if it is there and elsewhere alike,
        more if it is there and nowhere around.
    correlation : float
        How much they are the same, so that places can be compared: the mean correlation of the
        query's tenths but for the three best. About 1 for the very same sound, 0 for another.
    late_s : float
        How much later than expected it lies in the passage, in seconds: the largest of those lags.
    extent_s : tuple of float
        The stretch of the query that correlates, in seconds, to a tenth of its length.
    """

    distinctness: float
    correlation: float
    late_s: float
    extent_s: tuple[float, float]


class Waveform:
    """A query, prepared for being laid over passages.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        Mono, some seconds, not silent.
    sr : int
        Rate in Hz.
    """

    def __init__(self, samples: NDArray[np.float32], sr: int) -> None:
        self._sr = sr
        self._n_margin = round(MARGIN_S * sr)
        self._length = len(samples) + 2 * self._n_margin
        self._n_transformed: int = fft.next_fast_len(self._length, real=False)
        self._query = _whitened(samples, sr)
        self._spectrum = fft.rfft(self._query, self._n_transformed)

    @property
    def passage_samples(self) -> int:
        """How long passages are: the query and `MARGIN_S` on either side, in samples."""
        return self._length

    def agreement(self, passage: NDArray[np.float32]) -> Agreement:
        """Say how well the query goes with a passage.

        Parameters
        ----------
        passage : ndarray, shape (passage_samples,), float32
            Begins `MARGIN_S` before the place where the query is expected; zeros where there is no
            sound.
        """
        white = _whitened(passage, self._sr)
        spectrum = fft.rfft(white, self._n_transformed)
        by_lag = self._analytic(np.conj(self._spectrum) * spectrum)[: 2 * self._n_margin + 1]
        size = np.abs(by_lag)
        near, beside = round(_NEAR_S * self._sr), round(_BESIDE_S * self._sr)
        n_room = round(_ROOM_S * self._sr)
        first, end = self._n_margin - near, self._n_margin + near + 1
        energy = np.cumsum(np.concatenate([[0.0], np.square(size, dtype=np.float64)]))
        answer = energy[n_room:] - energy[:-n_room]  # of the lags from each on
        middle = n_room // 2  # either end may be the direct sound: either sound may be in a room
        begin = first - middle + int(answer[first - middle : end - middle].argmax())
        lag = begin + int(size[begin : begin + n_room].argmax())
        elsewhere = max(answer[: begin - beside].max(), answer[begin + beside :].max())
        if elsewhere <= 0 or size[lag] == 0:
            return Agreement(0.0, 0.0, 0.0, (0.0, 0.0))
        parts = self._answers(spectrum, begin, n_room)
        part_s = len(self._query) / _PARTS / self._sr
        first_part, end_part = _stretch(parts)
        return Agreement(
            math.sqrt(_PARTS * _of_the_rest(parts) / elsewhere),
            self._sameness(white, spectrum, lag, _between_samples(size[lag - 1 : lag + 2])),
            (lag - self._n_margin) / self._sr,
            (first_part * part_s, end_part * part_s),
        )

    def _answers(
        self, spectrum: NDArray[np.complex64], begin: int, n_lags: int
    ) -> NDArray[np.float64]:
        """Return how much each part of the query goes with a passage's as the others do.

        Returns
        -------
        ndarray, shape (_PARTS,), float64
            The product of its correlation with that of all others, as if there were as many as
            parts, summed over the lags. Around 0 by chance, whatever a part says itself; where the
            lags were chosen for their size, a little more.
        """
        there = self._analytic(spectrum)[begin:]
        bounds = [*_bounds(len(self._query)).tolist(), len(self._query)]
        by_part = np.array(
            [
                np.correlate(there[start : stop + n_lags - 1], self._query[start:stop], "valid")
                for start, stop in pairwise(bounds)
            ]
        )
        others = (by_part.sum(axis=0) - by_part) * (_PARTS / (_PARTS - 1))
        together: NDArray[np.float64] = (np.conj(others) * by_part).real.sum(
            axis=1, dtype=np.float64
        )
        return together

    def _sameness(
        self,
        white: NDArray[np.float32],
        spectrum: NDArray[np.complex64],
        lag: int,
        late: float,
    ) -> float:
        """Return the correlation with a whitened passage at a lag and a part of a sample.

        Half a sample would take a third from it. By tenths, since each is as loud as what lies
        around it in the passage lets it be.
        """
        cycles = np.arange(len(spectrum)) * (late / self._n_transformed)
        parts = self._by_part(spectrum * np.exp(2j * np.pi * cycles).astype(np.complex64), lag)
        there = white[lag : lag + len(self._query)]
        energies = _sums(np.square(there)) * _sums(np.square(self._query))
        heard = energies > 0
        return _of_the_rest(np.where(heard, parts / np.sqrt(np.where(heard, energies, 1)), 0))

    def _by_part(self, spectrum: NDArray[np.complex64], lag: int) -> NDArray[np.float64]:
        """Return how much each part of the query goes with a passage's, shape (_PARTS,)."""
        there = self._analytic(spectrum)[lag : lag + len(self._query)]
        together = np.vdot(there, self._query)
        # The phase of both: a room or a loudspeaker may turn it.
        phase = together / abs(together) if together else 1.0
        return _sums(self._query * (there * phase).real)

    def _analytic(self, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the analytic signal of a real signal's spectrum; its size is the envelope."""
        both = np.zeros(self._n_transformed, dtype=np.complex64)
        both[: len(spectrum)] = 2 * spectrum
        analytic: NDArray[np.complex64] = fft.ifft(both)
        return analytic


def _whitened(samples: NDArray[np.float32], sr: int) -> NDArray[np.float32]:
    """Make all frequencies, and all moments, as loud as one another."""
    n_transformed = fft.next_fast_len(len(samples), real=True)
    spectrum = fft.rfft(samples, n_transformed)
    hz = np.linspace(0, sr / 2, len(spectrum))
    power = _power(samples)
    at_hz = np.linspace(0, sr / 2, len(power))
    smooth = np.interp(hz, at_hz, power) + 10 ** (_FAINTEST_DB / 10) * power.max()
    outside = (hz < _LOWEST_HZ) | (hz > _HIGHEST * sr / 2)
    gain = np.where(outside | (smooth == 0), 0, 1 / np.sqrt(np.where(smooth == 0, 1, smooth)))
    white = fft.irfft(spectrum * gain.astype(np.float32), n_transformed)[: len(samples)]
    power_then = uniform_filter1d(np.square(white), round(_LEVELLED_S * sr), mode="nearest")
    level = np.sqrt(power_then.clip(min=0)) + _FLOOR * np.sqrt(np.mean(np.square(white)))
    levelled: NDArray[np.float32] = np.divide(
        white, level, out=np.zeros_like(white), where=level > 0
    ).astype(np.float32)
    return levelled


def _power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the power of each frequency, by the method of Welch, whatever its scale."""
    n_window = min(_SPECTRUM, len(samples))
    windows = sliding_window_view(samples, n_window)[:: n_window // 2]
    spectra = fft.rfft(windows * np.hanning(n_window).astype(np.float32))
    power: NDArray[np.float64] = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    return power


def _between_samples(three: NDArray[np.float32]) -> float:
    """Return how many samples after the middle one of three a parabola through them peaks.

    At most half a sample, since at the end of what was looked at the middle may not be the largest.
    """
    before, peak, after = map(float, three)
    bend = before - 2 * peak + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sum of each part of a query, shape (_PARTS,)."""
    return np.add.reduceat(values.astype(np.float64), _bounds(len(values)))


def _bounds(n_samples: int) -> NDArray[np.intp]:
    """Return where each part of a query begins, shape (_PARTS,)."""
    return np.linspace(0, n_samples, _PARTS, endpoint=False).astype(np.intp)


def _of_the_rest(parts: NDArray[np.float64]) -> float:
    """Return the mean of a query's parts without the best; 0 where it is negative."""
    return max(float(np.sort(parts)[: _PARTS - _NOT_COUNTED].mean()), 0.0)


def _stretch(parts: NDArray[np.float64]) -> tuple[int, int]:
    """Return the first part of those that, all in all, give more than half of the usual."""
    gain = np.concatenate([[0.0], np.cumsum(parts - 0.5 * parts.mean())])
    end = int(np.argmax(gain - np.minimum.accumulate(gain)))
    return int(np.argmin(gain[: end + 1])), end

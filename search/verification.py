"""Whether a query really lies at a place of the archive: evidence against chance.

The landmarks of the archive at that place are looked up in the query. If the query lies there, its
spectrum rises where they stand, and has peaks of its own there, far more than when the same
landmarks are laid over it some frames too early or too late. Those other lags are the null: they
have the same notes, the same rhythm and the same loudness, all but the right moment.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.landmarks import UNCHANGED, Change, QueryPeaks, levels, quarter_bins
from indexer.peaks import Spectrum
from search.evidence import Evidence
from search.rasters import CELL, has, laid, mark

_MARGIN = 80  # frames around the query that lags may reach into
_LAGS = np.concatenate([np.arange(-2, 3), np.arange(-72, -5, 2), np.arange(6, 73, 2)])
_FAR = np.concatenate([np.arange(-329, -72), np.arange(73, 330)])  # 1.2 to 5.3 s: beats and bars
_AROUND = np.where(np.abs(np.arange(-36, 37)) > 5, 1.0, 0.0)  # lags beside a far one
_LEAST_BESIDE = 8
_LEAST_INSIDE = 0.4  # of the landmarks, at lags that are compared with the right one
_LEAST_SHARED = 96  # frames of the query, 1.5 s: less than that and chance finds a lag
_LOOP, _BARE_LOOP = 0.5, 0.8  # of a recording's landmarks; where as many recur, it is a loop
_HEARD = 0.5  # of what landmarks that recur give is given by the others, if they are heard too
_SAME_LOOP = 0.4  # of what recurs in a query is that loop; of other loops, less is
_MAIN = slice(0, 5)  # the lags that may be right: votes tell a place to some two frames
_NULL = slice(5, None)

_LEAST_RISE, _MOST_RISE = -1.0, 3.5  # nepers; what lies outside says no more
_RISE_NOISE = 0.7
_TOTAL_NOISE, _LANDMARK_NOISE = 1.0, 0.01
_GROUP_FRAMES = 8  # landmarks of one sound come together: 128 ms of them speak with one voice
_MOST_PER_GROUP = (2.0, 4.0)  # the mean of both bounds: one lucky chord decides nothing
_LEAST_LANDMARKS = 3
_FEW_LANDMARKS = 12  # where fewer are matched, the stretch that is matched says nothing
_CHANGED = 1.2  # what a change of speed or pitch costs: many are tried, and chance tries with them


class Verifier:
    """Weighs places for one query.

    Parameters
    ----------
    peaks : QueryPeaks
    spectrum : Spectrum
        Of the query.
    """

    def __init__(self, peaks: QueryPeaks, spectrum: Spectrum) -> None:
        heights, self._usual = spectrum.heights, spectrum.usual
        self.n_frames = len(heights)
        n_rows, self._n_bins = self.n_frames + 2 * _MARGIN, heights.shape[1]
        self._rises = np.zeros((n_rows, self._n_bins), dtype=np.float32)
        np.clip(heights, _LEAST_RISE, _MOST_RISE, out=self._rises[_MARGIN:-_MARGIN])
        n_cells = 4 * self._n_bins // CELL
        self._peaks = np.zeros((n_rows, n_cells), dtype=np.bool_)
        rows = np.rint(peaks.frames).astype(np.int64) + _MARGIN
        frequencies = peaks.frequencies + np.float32(0.5)
        mark(self._peaks, rows, frequencies)
        self._found = rows - _MARGIN, frequencies

    def weigh(
        self,
        frame: float,
        votes: float,
        landmarks: tuple[NDArray[np.int64], NDArray[np.uint16]],
        change: Change = UNCHANGED,
    ) -> Evidence:
        """Weigh a place.

        Parameters
        ----------
        frame
            Archive frame of the query's first sample.
        votes
            Those that led there; they are evidence too.
        landmarks
            Archive frames and frequencies, of all that lie in the query's span or more.
        change
            How the query is thought to have been changed.

        References
        ----------
        F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data",
        Biometrika 35, 1948: counts of chance finds have a variance of 1/4 under a square root.
        """
        rows, pitched, loud = self._inside(frame, landmarks, change)
        if len(rows) < _LEAST_LANDMARKS:
            return Evidence(frame, 0.0, votes, 0.0, 0.0, rows[:0], np.empty(0, dtype=np.bool_), 0.0)
        rises, found = self._gains(rows, pitched, _LAGS)
        weights = self._weights(pitched, loud)
        at = int(np.argmax((rises[_MAIN] + found[_MAIN]) @ weights))
        # As many unweighted landmarks would vary as much.
        counts = found @ weights * (weights.sum() / len(rows))
        expected = float(counts[_NULL].mean())
        surprise = 2 * (np.sqrt(counts[_MAIN].max() + 0.375) - np.sqrt(expected + 0.375))
        score = self._rise(rows, rises, at, weights) + float(surprise) + 0.5 * float(np.sqrt(votes))
        score += 1.5 * float(np.sqrt(max(_stands_out(rises, at, weights), 0.0)))
        score -= _CHANGED if change != UNCHANGED else 0.0
        given = rises[at] + found[at]
        likeness, loud_likeness = float(given.mean()), float(given @ weights / weights.sum())
        begin = frame - int(_LAGS[at]) * change.speed
        chance = float(found[_NULL].mean())
        return Evidence(begin, score, votes, likeness, loud_likeness, rows, found[at], chance)

    def likenesses(
        self,
        frames: Sequence[float],
        changes: Sequence[Change],
        landmarks: tuple[NDArray[np.int64], NDArray[np.uint16]],
    ) -> NDArray[np.float64]:
        """Return about the likenesses that `weigh` would tell, for a fifteenth of the work each.

        Parameters
        ----------
        frames, changes
            Archive frame of the query's first sample if it was changed like that; n of each.
        landmarks
            Of all that lie in the query's span with any of the changes.

        Returns
        -------
        ndarray, shape (n,), float64
        """
        speeds, pitches = np.array([(one.speed, one.pitch) for one in changes]).T[:, :, np.newaxis]
        rows = np.rint((landmarks[0] - np.array(frames)[:, np.newaxis]) / speeds).astype(np.int64)
        pitched = quarter_bins(landmarks[1]) * pitches.astype(np.float32)
        inside = (rows >= 0) & (rows < self.n_frames) & (pitched < 4 * (self._n_bins - 1))
        sizes = np.count_nonzero(inside, axis=1)
        which = np.repeat(np.arange(len(changes)), sizes)
        rises, found = self._gains(rows[inside], pitched[inside], _LAGS[_MAIN])
        sums = [np.bincount(which, gains, len(changes)) for gains in rises + found]
        best: NDArray[np.float64] = np.max(sums, axis=0) / np.maximum(sizes, 1)
        best[sizes < _LEAST_LANDMARKS] = 0.0
        return best

    def unusual(self) -> NDArray[np.float32]:
        """Return how far the spectrum rises against what it does at each frequency on average.

        Returns
        -------
        ndarray, shape (n_frames, n_bins), float32
            In standard deviations, roughly; between -7 and 7.
        """
        body = self._rises[_MARGIN:-_MARGIN]
        spread = body.std(axis=0) + np.float32(_RISE_NOISE)
        unusual: NDArray[np.float32] = (body - body.mean(axis=0)) / spread
        return unusual

    def glance(
        self,
        frames: Sequence[float],
        landmarks: Sequence[tuple[NDArray[np.int64], NDArray[np.uint16]]],
    ) -> NDArray[np.float64]:
        """Look at many places, and say roughly how well each fits the query as it is.

        How unusually the query's spectrum rises at the landmarks. That is a tenth of the work of
        `weigh`, and tells which places are worth that.

        Parameters
        ----------
        frames : sequence of float
            Archive frames of the query's first sample.
        landmarks : sequence of pairs
            For each place, as `weigh` takes them.

        Returns
        -------
        ndarray, shape (n_places,), float64
            In standard deviations, roughly.
        """
        unusual = np.zeros_like(self._rises)
        unusual[_MARGIN:-_MARGIN] = self.unusual()
        found = [self._inside(*place, UNCHANGED) for place in zip(frames, landmarks, strict=True)]
        which = np.repeat(np.arange(len(found)), [len(rows) for rows, _, _ in found])
        rows = np.concatenate([rows for rows, _, _ in found])
        bins = np.rint(np.concatenate([pitched for _, pitched, _ in found]) / 4).astype(np.int64)
        at = (rows + _MARGIN) * self._n_bins + bins
        sums = [
            np.bincount(which, unusual.ravel().take(at + late * self._n_bins), len(found))
            for late in (-1, 0, 1)
        ]
        best: NDArray[np.float64] = np.max(sums, axis=0)
        return best / np.sqrt(np.bincount(which, minlength=len(found)) + 1)

    def recurrence(
        self,
        evidence: Evidence,
        landmarks: tuple[NDArray[np.int64], NDArray[np.uint16]],
        change: Change = UNCHANGED,
    ) -> float:
        """Say how nearly as well the landmarks fit a beat or some bars earlier or later.

        Two pieces of one tempo and drum machine agree at every bar: much there is no chance, and
        yet it is not this recording. Of the right recording, more than the beat agrees; unless it
        is a loop, which recurs itself, and then the query has to. A beat agrees at one moment
        and not at those beside it; what agrees at all of them is a held note, or rain.

        Parameters
        ----------
        evidence
            Of the place; landmarks beyond its extent are left out, if that holds a dozen.
        landmarks, change
            As `weigh` took them.

        Returns
        -------
        float
            What landmarks give, by weight, at the best lag of 1.2 to 5.3 s, above the lags beside
            it, as a share of what they give in place; 0 where there is no such lag, because the
            query is short, or where the recording is a loop that the query holds.
        """
        rows, pitched, loud = self._inside(evidence.frame, landmarks, change)
        if len(rows) < _LEAST_LANDMARKS:
            return 0.0
        all_landmarks, weights = (rows, pitched), self._weights(pitched, loud)
        first, last = evidence.extent
        within = (rows >= first) & (rows <= last)
        if np.count_nonzero(within) >= _FEW_LANDMARKS:
            rows, pitched, weights = rows[within], pitched[within], weights[within]
        columns = np.rint(pitched / 4).astype(np.int64)
        null = laid(self._rises, rows + _MARGIN, columns, _LAGS)
        usual, spread = null[_NULL].mean(axis=0), null[_NULL].std(axis=0) + _RISE_NOISE
        given = (null[_MAIN] - usual) / spread
        given = given[np.argmax(given @ weights)]
        moved = rows + _FAR[:, np.newaxis]
        inside = (moved >= 0) & (moved < self.n_frames)
        enough = inside @ weights >= _LEAST_INSIDE * weights.sum()
        enough &= np.abs(_FAR) <= self.n_frames - _LEAST_SHARED
        in_place = float(given @ weights / weights.sum())
        if in_place <= 0 or not enough.any():
            return 0.0
        moved, inside = np.where(inside[enough], moved[enough], 0), inside[enough]
        rises = self._rises.ravel().take((moved + _MARGIN) * self._n_bins + columns)
        gains = (((rises - usual) / spread) * inside) @ weights / (inside @ weights)
        gains -= _held(gains, _FAR[enough])
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            return 0.0
        some = inside[best]
        stays = rows[some], pitched[some], (given * weights)[some]
        if self._is_loop(stays, all_landmarks, int(_FAR[enough][best])):
            return 0.0
        return float(gains[best]) / in_place

    def _is_loop(
        self,
        stays: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]],
        landmarks: tuple[NDArray[np.int64], NDArray[np.float32]],
        lag: int,
    ) -> bool:
        """Say whether the recording is the same again after a lag, and the query just as it is.

        Noise does not recur: of what recurs in the query, the recording has to have its share. And
        if the loop is not bare, what lies over it has to be heard in the query: others use the same
        loop.

        Parameters
        ----------
        stays
            Rows and quarter bins of the landmarks that still fall on the query after the lag, and
            what each gives in place, times its weight.
        landmarks
            Rows and quarter bins of all of them.
        """
        rows, pitched, given = stays
        raster = np.zeros((self.n_frames + 2, self._peaks.shape[1]), dtype=np.bool_)
        mark(raster, landmarks[0] + 1, landmarks[1])
        of_recording = raster[1:-1]
        again = has(of_recording, rows, (pitched / CELL).astype(np.int64), lag)
        if again.mean() < _LOOP:
            return False
        if again.mean() < _BARE_LOOP and given[~again].mean() < _HEARD * given[again].mean():
            return False
        peaks = self._found[0], (self._found[1] / CELL).astype(np.int64)
        recurs = has(self._peaks[_MARGIN:-_MARGIN], *peaks, lag)
        n_explained = np.count_nonzero(recurs & has(of_recording, *peaks, 0))
        return bool(n_explained >= max(_SAME_LOOP * np.count_nonzero(recurs), 1))

    def _gains(
        self, rows: NDArray[np.int64], pitched: NDArray[np.float32], lags: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return how the spectrum rises at landmarks, and whether it has a peak, at some lags."""
        rows = rows + _MARGIN
        rises = laid(self._rises, rows, np.rint(pitched / 4).astype(np.int64), lags)
        return rises, laid(self._peaks, rows, (pitched / CELL).astype(np.int64), lags)

    def _inside(
        self,
        frame: float,
        landmarks: tuple[NDArray[np.int64], NDArray[np.uint16]],
        change: Change,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return rows, quarter bins and levels of the landmarks that fall into the query."""
        frames, frequencies = landmarks
        rows = np.rint((frames - frame) / change.speed).astype(np.int64)
        pitched = quarter_bins(frequencies) * np.float32(change.pitch)
        inside = (rows >= 0) & (rows < self.n_frames) & (pitched < 4 * (self._n_bins - 1))
        return rows[inside], pitched[inside], levels(frequencies[inside])

    def _weights(
        self, pitched: NDArray[np.float32], loud: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return how much each landmark weighs: the louder, against the query there, the more.

        What gain lies between recording and query is not known, so levels are compared with each
        other. The squares are 1 on average, as if none had a weight.
        """
        above = loud - self._usual[np.rint(pitched / 4).astype(np.int64)]
        weights: NDArray[np.float32] = 1 / (1 + np.exp(np.median(above) - above))
        weights *= np.sqrt(len(weights) / (weights @ weights))
        return weights

    def _rise(
        self,
        rows: NDArray[np.int64],
        rises: NDArray[np.float32],
        at: int,
        weights: NDArray[np.float32],
    ) -> float:
        """Return how far the spectrum rises at the landmarks, against the same at other lags."""
        null = rises[_NULL]
        excess = weights * (rises[at] - null.mean(axis=0)) / (null.std(axis=0) + _RISE_NOISE)
        n_groups = -(-self.n_frames // _GROUP_FRAMES)
        groups = rows // _GROUP_FRAMES
        sums = np.bincount(groups, excess, minlength=n_groups)
        occupied = np.count_nonzero(np.bincount(groups, minlength=n_groups))
        total = np.mean([np.clip(sums, -most, most).sum() for most in _MOST_PER_GROUP])
        return float(total / np.sqrt(0.7 * n_groups + 0.3 * occupied + 1))


def _held(gains: NDArray[np.float64], lags: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what landmarks give on average at the lags beside each; 0 where that is less.

    Where hardly any are known, as in queries of less than 3 s, it may be anything: infinite.
    """
    furthest = int(np.abs(_FAR).max())
    line, known = np.zeros((2, 2 * furthest + 1))
    line[lags + furthest], known[lags + furthest] = gains, 1
    n_beside = np.convolve(known, _AROUND, mode="same")
    held: NDArray[np.float64] = np.convolve(line, _AROUND, mode="same") / np.maximum(n_beside, 1)
    held[n_beside < _LEAST_BESIDE] = np.inf
    return held[lags + furthest].clip(min=0.0)


def _stands_out(rises: NDArray[np.float32], at: int, weights: NDArray[np.float32]) -> float:
    """Return by how many standard deviations one lag rises above the others, all in all.

    What all landmarks of a lag give together varies from lag to lag, as the sound has it: a steady
    one hardly varies, a rhythmic one does, and there the same sum proves less.
    """
    null = rises[_NULL]
    totals = (rises - null.mean(axis=0)) @ (weights / (null.std(axis=0) + _RISE_NOISE))
    spread = totals[_NULL].std() + _TOTAL_NOISE + _LANDMARK_NOISE * rises.shape[1]
    return float((totals[at] - totals[_NULL].mean()) / spread)

"""What can be measured of a sound without listening: loudness, spectrum, onsets, tempo, key."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.audio import MonoResampler
from indexer.loudness import FrameEnergies, LoudnessMeter
from indexer.rhythm import count_onsets, estimate_key, estimate_tempo
from indexer.spectrum import HOP, SR, PitchClasses, SpectralShape

_CHUNK_SAMPLES = 1_000_000  # over all channels, as float64 8 MB
_CHUNK_S = 10
_SILENCE_POWER = 1e-6  # mean square: -60 dBFS
_MIN_RATE_S = 0.5  # one click of 5 ms is no rate of 200 events a second
_MIN_BEATS = 4


@dataclass(frozen=True)
class Descriptors:
    """Measures of one recording. Every value is finite, or None where it is not defined.

    Attributes
    ----------
    loudness_lufs : float or None
        Integrated loudness (EBU R128); None for silence and below 4 kHz of sample rate.
    peak_dbfs : float or None
        Highest sample of any channel; None if all are zero.
    silence_share : float
        Share of the frames of 50 ms whose RMS over all channels is below -60 dBFS.
    spectral_centroid_hz, spectral_bandwidth_hz, spectral_rolloff_hz : float or None
        Of the magnitude spectrum below 11 kHz, mean over the frames that are not silent. The
        roll-off is the frequency below which 85 % lie.
    spectral_flatness : float or None
        Geometric over arithmetic mean of the power spectrum, as far up as the source's sample rate
        reaches: near 0 for a tone, 0.56 for white noise.
    zero_crossing_rate : float or None
        Sign changes per sample at 22,050 Hz.
    mfcc_mean : tuple of 13 floats, or None
        Mean mel cepstrum (64 bands, decibels, orthonormal cosine transform).
    onset_rate_hz : float or None
        Beginnings of events a second; None below 0.5 s.
    tempo_bpm, tempo_confidence : float or None
        None below 4 s or four onsets. A confidence below 0.2 is no beat.
    key : str or None
        ``"C"``, ``"F#"``, ``"Am"`` ...
    key_confidence : float or None
        0 to 1. Below 0.3 there is hardly a key.
    """

    loudness_lufs: float | None
    peak_dbfs: float | None
    silence_share: float
    spectral_centroid_hz: float | None
    spectral_bandwidth_hz: float | None
    spectral_rolloff_hz: float | None
    spectral_flatness: float | None
    zero_crossing_rate: float | None
    mfcc_mean: tuple[float, ...] | None
    onset_rate_hz: float | None
    tempo_bpm: float | None
    tempo_confidence: float | None
    key: str | None
    key_confidence: float | None


class DescriptorAnalyser:
    """Measures a recording block by block.

    Memory is a few chunks and 0.5 MB an hour, however long the recording. Blocks are cut anew
    into chunks of a fixed size, so that the result is the same to the bit for any cut.

    Parameters
    ----------
    source_sr, channels : int
        Of the blocks that will come.
    rhythm_and_key : bool
        Whether tempo and key are looked for; else they are None.
    """

    def __init__(self, source_sr: int, channels: int, *, rhythm_and_key: bool = True) -> None:
        size = max(1, min(_CHUNK_S * source_sr, _CHUNK_SAMPLES // channels))
        self._chunk = np.zeros((size, channels), dtype=np.float32)
        self._filled = 0
        self._loudness = LoudnessMeter(source_sr, channels)
        self._frames = FrameEnergies(source_sr, 20)
        self._peak = 0.0
        self._resampler = MonoResampler(source_sr, SR)
        self._shape = SpectralShape(source_sr)
        self._pitches = PitchClasses() if rhythm_and_key else None
        self._n_mono = 0
        self._n_crossings = 0
        self._last_negative: bool | None = None

    def push(self, block: NDArray[np.float32]) -> None:
        """Take a block (n_frames, channels) of any length; full scale is 1.0.

        Raises
        ------
        ValueError
            If the number of channels is another.
        """
        if block.ndim != 2 or block.shape[1] != self._chunk.shape[1]:
            raise ValueError(f"a block of shape {block.shape} for {self._chunk.shape[1]} channels")
        position = 0
        while position < len(block):
            part = block[position : position + len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            position += len(part)
            if self._filled == len(self._chunk):
                self._measure(self._chunk)
                self._filled = 0

    def _measure(self, chunk: NDArray[np.float32]) -> None:
        planar = np.ascontiguousarray(chunk.T)
        self._peak = max(self._peak, float(planar.max()), -float(planar.min()))
        self._frames.push(np.einsum("cn,cn->n", planar, planar) / len(planar))
        self._loudness.push(planar)
        self._measure_mono(self._resampler.process(chunk))

    def _measure_mono(self, mono: NDArray[np.float32]) -> None:
        if not len(mono):
            return
        negative = np.signbit(mono)
        self._n_crossings += int(np.count_nonzero(negative[1:] != negative[:-1]))
        if self._last_negative is not None:
            self._n_crossings += int(negative[0] != self._last_negative)
        self._last_negative = bool(negative[-1])
        self._n_mono += len(mono)
        self._shape.push(mono)
        if self._pitches is not None:
            self._pitches.push(mono)

    def finish(self) -> Descriptors:
        """Give the measures, after the last block.

        Raises
        ------
        ValueError
            If no sample came.
        """
        if self._filled:
            self._measure(self._chunk[: self._filled])
        self._measure_mono(self._resampler.flush())
        if not self._frames.n_samples:
            raise ValueError("no samples were pushed: there is nothing to describe")
        shape = self._shape.finish()
        if shape is None:
            return self._silent()
        envelope = self._shape.onset_envelope()
        duration_s = self._n_mono / SR
        tempo, tempo_confidence, key, key_confidence = None, None, None, None
        n_onsets = count_onsets(envelope, SR / HOP)
        if self._pitches is not None:
            if n_onsets >= _MIN_BEATS:
                tempo, tempo_confidence = estimate_tempo(envelope, SR / HOP)
            key, key_confidence = estimate_key(*self._pitches.finish())
        return Descriptors(
            loudness_lufs=self._loudness.finish(),
            peak_dbfs=self._peak_dbfs(),
            silence_share=self._silence_share(),
            spectral_centroid_hz=shape.centroid_hz,
            spectral_bandwidth_hz=shape.bandwidth_hz,
            spectral_rolloff_hz=shape.rolloff_hz,
            spectral_flatness=shape.flatness,
            zero_crossing_rate=self._n_crossings / self._n_mono,
            mfcc_mean=shape.mfcc,
            onset_rate_hz=n_onsets / duration_s if duration_s >= _MIN_RATE_S else None,
            tempo_bpm=tempo,
            tempo_confidence=tempo_confidence,
            key=key,
            key_confidence=key_confidence,
        )

    def _silent(self) -> Descriptors:
        return Descriptors(
            self._loudness.finish(),
            self._peak_dbfs(),
            self._silence_share(),
            *(None,) * 11,
        )

    def _peak_dbfs(self) -> float | None:
        return 20 * math.log10(self._peak) if self._peak > 0 else None

    def _silence_share(self) -> float:
        return float(np.mean(self._frames.mean_squares() < _SILENCE_POWER))

"""Pictures of recordings as PNG, made on demand: spectrograms and waveforms."""

import math
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_array

from db.storage import AnyFile
from indexer.audio import mix_to_mono
from indexer.spectrum import mel_filters
from indexer.stretches import read_pieces
from search.disk_cache import DiskCache, cache_folder, plain_name
from search.png import palette_png
from search.waveform import drawn, levels

_BOUND = 300_000_000
_VERSION = 1
"""Part of every name; a change of what is made must change it."""

_COLUMNS, _BANDS = 800, 96
_COARSE_COLUMNS = 160
_FRAME_S = 0.043
_PIECE_S = 0.06  # holds a frame at any rate
_MOST_FRAMES = 4
"""Spectra a column, at most: of up to three minutes they leave nothing out."""

_LONG_S = 900.0
"""Of what is longer only a piece a column is read: seeking costs more before that."""

_CHUNK_S = 10.0
_FOLDED_HZ = (50_000, 100_000)  # at these rates the upper octave is left out: it is hardly used
_RANGE_DB = 70.0
_FAINTEST_DB = -60.0  # silence stays dark: it is not blown up to noise

# Every sixteenth colour of magma, whose lightness grows evenly (Smith and van der Walt, CC0).
_MAGMA = """000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779
cf4070 e55064 f4695c fb8761 fea571 fec287 fde0a1 fcfdbf"""


class View(StrEnum):
    """What a picture shows."""

    SPECTROGRAM = "spectrogram"
    WAVEFORM = "waveform"


class Pictures:
    """Makes pictures of recordings, and keeps them.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; by default in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = _BOUND) -> None:
        self._cache = DiskCache(folder or cache_folder("pictures"), max_bytes=max_bytes)

    def picture(
        self,
        path: AnyFile,
        content_hash: str,
        duration_s: float,
        *,
        view: View = View.SPECTROGRAM,
        from_s: float = 0.0,
        to_s: float | None = None,
        coarse: bool = False,
    ) -> Path:
        """Return the picture of a recording, or of a part of it: time to the right.

        Parameters
        ----------
        content_hash : str
            Of the file: a changed file has another picture.
        duration_s : float
            Length of the recording in seconds, as decoded.
        from_s, to_s : float, optional
            The part, in seconds.
        coarse : bool
            Look at a short piece of each column only: of minutes that takes a tenth of the time,
            and the picture is something to look at until the whole one is there.

        Returns
        -------
        Path
            A PNG file.

        Raises
        ------
        AudioError
            If the file cannot be read.
        """
        first_ms = round(1000 * max(0.0, from_s))
        last_ms = round(1000 * min(duration_s, duration_s if to_s is None else to_s))
        last_ms = max(last_ms, first_ms + 1)
        kind = f"{view.value[0]}{'c' if coarse else ''}{_VERSION}"
        name = f"{plain_name(content_hash)}-{kind}-{first_ms}-{last_ms}.png"
        make = _spectrogram if view is View.SPECTROGRAM else _waveform
        part_s = (first_ms / 1000, last_ms / 1000)
        return self._cache.get(name, lambda: make(path, *part_s, coarse=coarse))


def _spectrogram(path: AnyFile, from_s: float, to_s: float, *, coarse: bool) -> bytes:
    return _png(log_mel(path, from_s, to_s, coarse=coarse))


def _waveform(path: AnyFile, from_s: float, to_s: float, *, coarse: bool) -> bytes:
    n_columns = _COARSE_COLUMNS if coarse else _COLUMNS
    is_partial = coarse or to_s - from_s > _LONG_S
    piece_s = _PIECE_S if is_partial else math.inf
    shades = drawn(levels(path, from_s, to_s, n_columns=n_columns, piece_s=piece_s))
    return palette_png(np.round(255 * shades).astype(np.uint8), _wave_palette())


def log_mel(
    path: AnyFile, from_s: float, to_s: float, *, coarse: bool = False
) -> NDArray[np.float32]:
    """Return what a spectrogram of a part of a file shows, in decibels.

    A long part is read in short pieces, so that hours take a second or two and little memory; so
    is a shorter one for a coarse picture, which has fewer columns.

    Returns
    -------
    ndarray, shape (bands, columns), float32
        The highest band first; what is loudest in the time of a column, in dB below full scale.
    """
    length_s = to_s - from_s
    step_s = length_s / _COLUMNS
    if coarse:
        frames = _distant_frames(path, from_s, length_s / _COARSE_COLUMNS, _COARSE_COLUMNS)
    elif length_s > _LONG_S:
        frames = _distant_frames(path, from_s, step_s, _COLUMNS)
    else:
        frames = _dense_frames(path, from_s, to_s, min(_MOST_FRAMES, math.ceil(step_s / _FRAME_S)))
    return np.concatenate([_mel_decibels(some, rate).max(axis=1) for some, rate in frames]).T[::-1]


def _frame_length(rate: int) -> int:
    return 1 << max(5, round(math.log2(_FRAME_S * rate)))


def _dense_frames(
    path: AnyFile, from_s: float, to_s: float, n_each: int
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Read all of a part; yield frames (columns, n_each, n) and the rate in Hz, some at a time."""
    n_chunks = min(_COLUMNS, max(1, math.ceil((to_s - from_s) / _CHUNK_S)))
    edges = np.round(np.linspace(0, _COLUMNS, n_chunks + 1)).astype(int)
    times = (from_s + edges * ((to_s - from_s) / _COLUMNS)).tolist()
    for n_columns, stretch in zip(
        np.diff(edges), read_pieces(path, list(pairwise(times))), strict=True
    ):
        rate = stretch.info.sample_rate
        length = _frame_length(rate)
        samples = mix_to_mono(stretch.samples)
        if n_chunks == 1 or len(samples) < length:
            # Mirrored: silence that is not there would look like an edge.
            mirrored = len(samples) > length
            samples = np.pad(samples, length // 2, mode="reflect" if mirrored else "constant")
        view = np.lib.stride_tricks.sliding_window_view(samples, length)
        n_frames = int(n_columns) * n_each
        starts = ((np.arange(n_frames) + 0.5) * (len(view) / n_frames)).astype(np.int64)
        yield view[starts].reshape(int(n_columns), n_each, length), rate


def _distant_frames(
    path: AnyFile, from_s: float, step_s: float, n_columns: int
) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Read one short piece a column; yield the same as `_dense_frames`."""
    starts = from_s + (np.arange(n_columns) + 0.5) * step_s - min(_PIECE_S, step_s) / 2
    pieces = [(start, start + min(_PIECE_S, step_s)) for start in starts.tolist()]
    for stretch in read_pieces(path, pieces):
        rate = stretch.info.sample_rate
        frame = np.zeros(_frame_length(rate), dtype=np.float32)
        piece = mix_to_mono(stretch.samples)[: len(frame)]
        frame[: len(piece)] = piece
        yield frame[np.newaxis, np.newaxis], rate


def _mel_decibels(frames: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return the level of each mel band in decibels, for frames of any shape (..., n)."""
    n_fft = frames.shape[-1]
    bank, window = _bank(rate, n_fft)
    spectra = fft.rfft(frames.reshape(-1, n_fft) * window, axis=1)[:, : bank.shape[1]]
    power = spectra.real**2 + spectra.imag**2
    decibels = 10 * np.log10(np.maximum(bank @ power.T, np.float32(1e-14)))
    return np.asarray(decibels.T.reshape(*frames.shape[:-1], _BANDS), dtype=np.float32)


@lru_cache(maxsize=8)
def _bank(rate: int, n_fft: int) -> tuple[csr_array, NDArray[np.float32]]:
    """Return mel filters (bands, bins) and the window that goes with them."""
    fold = 2 if _FOLDED_HZ[0] < rate <= _FOLDED_HZ[1] else 1
    filters = mel_filters(rate // fold, n_fft // fold, _BANDS)
    # Low bands may be narrower than a bin: the nearest that is not lends its own.
    filled = np.flatnonzero(filters.any(axis=1))
    nearest = np.abs(np.arange(_BANDS)[:, None] - filled[None, :]).argmin(axis=1)
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    window *= np.float32(1 / np.sqrt((window**2).sum() * n_fft))
    return csr_array(filters[filled[nearest]] * np.float32(n_fft)), window


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    """Return 256 colours (256, 3), from dark to light."""
    anchors = [[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in _MAGMA.split()]
    places = np.linspace(0, len(anchors) - 1, 256)
    channels = [
        np.interp(places, range(len(anchors)), channel) for channel in zip(*anchors, strict=True)
    ]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)


@lru_cache(maxsize=1)
def _wave_palette() -> NDArray[np.uint8]:
    """Return 256 colours (256, 3) from the ground to the wave, of the same family."""
    ground, wave = np.array([(0x15, 0x0E, 0x38)]), np.array([(0xFE, 0xA5, 0x71)])
    colours = ground + np.linspace(0, 1, 256)[:, None] * (wave - ground)
    return np.asarray(np.round(colours), dtype=np.uint8)


def _png(decibels: NDArray[np.float32]) -> bytes:
    top = max(float(np.percentile(decibels, 99.7)), _FAINTEST_DB)
    scaled = (decibels - (top - _RANGE_DB)) * (255 / _RANGE_DB)
    return palette_png(np.clip(np.round(scaled), 0, 255).astype(np.uint8), _palette())

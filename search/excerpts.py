"""Excerpts for listening and for taking away: short files, made on demand."""

import io
from enum import StrEnum
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from db.storage import AnyFile
from indexer.audio import AudioInfo
from indexer.errors import AudioError
from indexer.stretches import Stretch, read_stretch
from search.disk_cache import DiskCache, cache_folder, plain_name

MAX_EXCERPT_S = 60.0
"""The longest excerpt for listening, in seconds."""
MAX_TAKE_S = 300.0
"""The longest that can be taken away, in seconds."""

_BOUND = 500_000_000
_VERSION = 1
"""Part of every name; a change of what is made must change it."""

_PLAYED_HZ = (8_000, 96_000)  # rates that browsers play
_PLAYED_AS_HZ = 48_000
_PLAYED_CHANNELS = 2
_FADE_S = 0.003  # a cut in the middle of a wave would click


class Kind(StrEnum):
    """What an excerpt is made for."""

    LISTEN = "flac"
    """FLAC that every browser plays: at most two channels, at a usual rate."""
    TAKE = "wav"
    """WAV as in the recording: its channels, its rate, its depth but at least 24 bits."""


class Excerpts:
    """Cuts excerpts out of files, and keeps them for a while.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; by default in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = _BOUND) -> None:
        self._cache = DiskCache(folder or cache_folder("excerpts"), max_bytes=max_bytes)

    def excerpt(
        self, path: AnyFile, content_hash: str, from_s: float, to_s: float, kind: Kind
    ) -> Path:
        """Return an excerpt of a file.

        Parameters
        ----------
        content_hash : str
            Of the file: a changed file has other excerpts.
        from_s, to_s : float
            In seconds; an end beyond the file's is its end. Cut to the millisecond.

        Returns
        -------
        Path
            A file that other excerpts may displace later: open it soon.

        Raises
        ------
        AudioError
            If the file cannot be read, has no such part, or the part is longer than
            `MAX_EXCERPT_S` or `MAX_TAKE_S`.
        """
        longest_s = MAX_EXCERPT_S if kind is Kind.LISTEN else MAX_TAKE_S
        if not (0 <= from_s < to_s <= from_s + longest_s + 1e-3):
            raise AudioError(
                f"no excerpt from {from_s:g} s to {to_s:g} s can be made: it must begin at 0 s or "
                f"later and last no longer than {longest_s:.0f} s"
            )
        first_ms = round(1000 * from_s)
        last_ms = max(round(1000 * to_s), first_ms + 1)
        name = f"{plain_name(content_hash)}-{_VERSION}-{first_ms}-{last_ms}.{kind.value}"
        make = _to_listen if kind is Kind.LISTEN else _to_take
        part_s = (first_ms / 1000, last_ms / 1000)
        return self._cache.get(name, lambda: make(read_stretch(path, *part_s)))


def _to_listen(stretch: Stretch) -> bytes:
    samples, rate = stretch.samples, stretch.info.sample_rate
    if samples.shape[1] > _PLAYED_CHANNELS:
        samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
    if not _PLAYED_HZ[0] <= rate <= _PLAYED_HZ[1]:
        import soxr

        samples = soxr.resample(samples, rate, _PLAYED_AS_HZ, quality="HQ")
        rate = _PLAYED_AS_HZ
    loudest = float(np.abs(samples).max(initial=0.0))
    if loudest > 1.0:  # float files may go beyond full scale; FLAC would clip them
        samples = samples / np.float32(loudest)
    return _written(_faded(samples, rate), rate, "FLAC", "PCM_16")


def _to_take(stretch: Stretch) -> bytes:
    return _written(stretch.samples, stretch.info.sample_rate, "WAV", _depth(stretch.info))


def _depth(info: AudioInfo) -> str:
    """Return the sample format that loses nothing; lossy codecs decode to float."""
    if info.bit_depth is None or info.codec in ("FLOAT", "DOUBLE") or info.bit_depth > 24:
        return "FLOAT"
    return "PCM_24"


def _faded(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    n_frames = min(round(_FADE_S * rate), len(samples) // 4)
    if n_frames < 2:
        return samples
    ramp = np.linspace(0, 1, n_frames, dtype=np.float32)[:, None]
    faded = samples.copy()
    faded[:n_frames] *= ramp
    faded[-n_frames:] *= ramp[::-1]
    return faded


def _written(samples: NDArray[np.float32], rate: int, container: str, depth: str) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, rate, format=container, subtype=depth)
    return file.getvalue()

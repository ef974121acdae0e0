"""Files in, blocks of samples out: decoding in bounded memory, mono, resampling.

Lengths in headers are never trusted and never allocated from; what they promise and the file
does not hold is a warning. Damage in the middle of a file is an `AudioError` that names the time.
"""

import errno
import stat
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soxr
from numpy.typing import NDArray

from db.storage import AnyFile, assure_read, file_state
from indexer.decoders import (
    AudioInfo,
    Decoder,
    DecodingBrokeError,
    NoAudioError,
    UnknownFormatError,
    is_for_ffmpeg,
    open_decoder,
)
from indexer.errors import AudioError
from indexer.riff import promise_broken

__all__ = ["AUDIO_SUFFIXES", "AudioInfo", "AudioReader", "MonoResampler", "open_audio"]

_SUFFIXES = """
.wav .wave .bwf .rf64 .w64 .aif .aiff .aifc .flac .ogg .oga .opus .spx .mp3 .mp2 .mpga .mpa
.m4a .m4b .aac .ac3 .eac3 .dts .amr .caf .au .snd .wma .asf .wv .tta .ape .mpc .voc .sd2
.mka .webm .mkv .mp4 .m4v .mov .avi .3gp .3g2 .mts .m2ts .mpg .mpeg .wmv .ogv .mxf
"""
AUDIO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes, in lower case, that a folder scan takes for sound; video is read for its audio."""

_LOUDEST = 1e6  # +120 dBFS: what is above was never recorded

_OS_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports a read error",
    errno.ESTALE: "the network drive is gone",
    errno.ELOOP: "a link that leads to itself",
}


_WEIGHED_EVERY = 16  # frames; enough to tell whether channels cancel out
_CANCELLED = 1e-3  # of the channels' mean power is left, or less: 30 dB down


class AudioReader:
    """One file's sound, read once from beginning to end.

    Attributes
    ----------
    info : AudioInfo
    warnings : list of str
        Complete after the last block: what an archivist should know though the file was read.
    broken_off : str
        That of them which says that the file ends before its time; empty if it does not.
    """

    def __init__(self, path: AnyFile, decoder: Decoder) -> None:
        self.info = decoder.info
        self.warnings: list[str] = []
        self.broken_off = ""
        self._path = path
        self._decoder = decoder
        self._n_frames = 0
        self._n_cleaned = 0
        self._cleaned_at_s = 0.0
        self._power, self._mixed_power = 0.0, 0.0
        # One block is decoded at once: opening proves that there is sound.
        self._blocks = self._decode()
        first = next(self._blocks, None)
        if first is None:
            raise NoAudioError("holds no audio")
        self._blocks = chain([first], self._blocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no further block is given."""
        self._blocks = iter(())
        self._decoder.close()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the sound block by block, once.

        Yields
        ------
        ndarray, shape (n_frames, channels), float32
            About 10 s at most, and 16 MB. Full scale is 1.0; float files may go beyond it.

        Raises
        ------
        AudioError
            If the file is damaged in its middle, or changes its rate or channels.
        StorageError
            If it is in remote storage, which cannot be reached any more.
        """
        try:
            yield from self._blocks
        except OSError as error:
            raise AudioError(_os_reason(error, self._path)) from error
        except AudioError:
            assure_read(self._path)  # what could not be read is no damage
            raise

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        try:
            for block in self._decoder.blocks():
                yield self._count(block)
        except DecodingBrokeError as error:
            yield from self._go_on_with_ffmpeg(str(error))
        self._warn()

    def _go_on_with_ffmpeg(self, reason: str) -> Iterator[NDArray[np.float32]]:
        """Let FFmpeg decode from where libsndfile gave up: is it damage, or the end cut off?

        libsndfile drops the block in which it fails, and does not say what lies behind it.
        """
        broke = f"after {self._n_frames / self.info.sample_rate:.1f} s: libsndfile: {reason}"
        try:
            other = open_decoder(self._path, "ffmpeg")
        except AudioError as error:
            raise AudioError(f"damaged {broke}; {error}") from error
        # FFmpeg takes the length of a FLAC file from the same header.
        self._decoder.close()
        self._decoder = other
        if not self._n_frames:  # libsndfile may be wrong on the header too
            self.info = other.info
        shape = (self.info.sample_rate, self.info.channels)
        if (other.info.sample_rate, other.info.channels) != shape:
            raise AudioError(f"damaged {broke}")
        skip = self._n_frames
        for block in other.blocks():
            if skip >= len(block):
                skip -= len(block)
                continue
            yield self._count(block[max(0, skip) :])
            skip = -1
        if skip >= 0:  # FFmpeg came no further either
            other.cut = other.cut or broke

    def _count(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Count a block, and silence what is not a number in it."""
        start, self._n_frames = self._n_frames, self._n_frames + len(block)
        # One pass each, and NaN spreads through both: cheaper than looking at every sample.
        if not (block.max() <= _LOUDEST and block.min() >= -_LOUDEST):
            block = self._cleaned(block, start)
        if block.shape[1] > 1:
            some = block[::_WEIGHED_EVERY]
            self._power += float(np.square(some, dtype=np.float64).mean(axis=1).sum())
            self._mixed_power += float(np.square(mix_to_mono(some), dtype=np.float64).sum())
        return block

    def _cleaned(self, block: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        wrong = ~(np.abs(block) <= _LOUDEST)
        if not self._n_cleaned:
            first = int(np.argmax(wrong.any(axis=1)))
            self._cleaned_at_s = (start + first) / self.info.sample_rate
        self._n_cleaned += int(wrong.sum())
        return np.where(wrong, np.float32(0), block)

    def _warn(self) -> None:
        held_s = self._n_frames / self.info.sample_rate
        promised_s = self._decoder.promised_s
        assure_read(self._path)  # else the file had not come to its end
        with self._path.open("rb") as file:
            ratio = promise_broken(file)
        if ratio is not None:
            promised_s = held_s * ratio
        if promised_s is not None and promised_s > held_s + self._decoder.slack_s:
            self.broken_off = (
                f"the header promises {promised_s:.1f} s, the file holds {held_s:.1f} s"
            )
        elif self._decoder.cut:
            self.broken_off = f"some data could not be decoded: {self._decoder.cut}"
        if self.broken_off:
            self.warnings.append(self.broken_off)
        if self._n_cleaned:
            self.warnings.append(
                f"{self._n_cleaned} samples were not numbers, or absurdly large, and were taken "
                f"as silence, the first at {self._cleaned_at_s:.1f} s"
            )
        if self._mixed_power < _CANCELLED * self._power:
            self.warnings.append(
                "its channels cancel out when mixed to one, as if the polarity of one were "
                "reversed: what it sounds like is hardly known"
            )


def open_audio(path: AnyFile) -> AudioReader:
    """Open a file for reading its sound, whatever its suffix says.

    libsndfile is asked first and FFmpeg second; for MPEG audio and Opus the other way round. Of
    several audio streams FFmpeg's best is read: the default one, or that with the most channels.

    Parameters
    ----------
    path : Path or RemoteFile
        Opened read-only.

    Returns
    -------
    AudioReader
        A context manager.

    Raises
    ------
    AudioError
        If it cannot be opened, is not audio, or holds none. The message does not repeat the path.
    StorageError
        If it is in remote storage, which cannot be reached.
    """
    try:
        return _open(path)
    except OSError as error:
        raise AudioError(_os_reason(error, path)) from error
    except AudioError:
        assure_read(path)  # what could not be read is no damage
        raise


def _open(path: AnyFile) -> AudioReader:
    # Before opening: to open a pipe would wait for ever.
    if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):
        raise AudioError("not a regular file" if not path.is_dir() else "a folder, not a file")
    if file_state(path).size_bytes == 0:
        raise AudioError("empty: 0 bytes")
    verdicts, empty = [], False
    order = ("libsndfile", "ffmpeg")
    for kind in reversed(order) if is_for_ffmpeg(path) else order:
        try:
            decoder = open_decoder(path, kind)
        except UnknownFormatError as error:
            verdicts.append(str(error))
            continue
        try:
            return AudioReader(path, decoder)
        except NoAudioError:  # such as a recorder's file whose header was never completed
            decoder.close()
            empty = True
        except BaseException:
            decoder.close()
            raise
    if empty:
        raise AudioError("holds no audio")
    raise AudioError("not audio: " + "; ".join(verdicts))


def _os_reason(error: OSError, path: AnyFile) -> str:
    if error.errno == errno.ENOENT:
        if isinstance(path, Path) and path.is_symlink():
            return f"a broken link to {path.readlink()}"
        return "does not exist"
    reason = _OS_REASONS.get(error.errno or 0, error.strerror or str(error))
    return f"cannot be read: {reason}"


def mix_to_mono(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels of a block (n_frames, channels) to (n_frames,)."""
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:  # four times as quick as the mean over a short axis
        return (block[:, 0] + block[:, 1]) * np.float32(0.5)
    mono: NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
    return mono


class MonoResampler:
    """Averages the channels and resamples, block by block, as one unbroken signal.

    soxr's HQ quality; equal rates pass through. The same blocks give the same bits; other cuts
    of the same signal give the same signal up to rounding.

    Parameters
    ----------
    source_sr, target_sr : int
        Sample rates in Hz.
    """

    def __init__(self, source_sr: int, target_sr: int) -> None:
        self._stream: Any = None
        if source_sr != target_sr:
            self._stream = soxr.ResampleStream(
                source_sr, target_sr, 1, dtype="float32", quality="HQ"
            )

    def process(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take a block (n_frames, channels); give the samples (m,) that are ready."""
        mono = mix_to_mono(block)
        if self._stream is None:
            return np.ascontiguousarray(mono, dtype=np.float32)
        resampled: NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(mono))
        return resampled

    def flush(self) -> NDArray[np.float32]:
        """Give the last samples (m,), after the last block."""
        nothing = np.zeros(0, dtype=np.float32)
        if self._stream is None:
            return nothing
        rest: NDArray[np.float32] = self._stream.resample_chunk(nothing, last=True)
        return rest

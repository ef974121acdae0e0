"""Stretches of a file with its own channels and rate, without decoding all that lies before them.

For listening and for pictures. What is analysed is decoded from its beginning instead, whatever
that costs: `indexer.audio`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from db.storage import AnyFile, assure_read, open_for_library
from indexer.audio import AudioReader, open_audio
from indexer.decoders import AudioInfo, is_for_ffmpeg, open_sndfile
from indexer.errors import AudioError

MAX_STRETCH_S = 600.0
"""The longest stretch that is read, in seconds."""

_NEAR_S = 20.0
"""What ends earlier is decoded from the beginning: that is quick, and needs no seeking."""

_PREROLL_S = 0.35
"""Codecs build on what was before: MP3 on up to nine packets, Opus on 80 ms."""

_SAME_PLACE_S = 0.02  # timestamps of some containers count milliseconds, not samples


class _NoSeekingError(Exception):
    """The file has to be read from its beginning."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording.

    Attributes
    ----------
    samples : ndarray, shape (n_frames, channels), float32
        Full scale 1.0. Fewer than asked for where the file ends before.
    info : AudioInfo
        Of the whole file.
    """

    samples: NDArray[np.float32]
    info: AudioInfo


def read_stretch(path: AnyFile, from_s: float, to_s: float) -> Stretch:
    """Read a part of a file with all its channels.

    Parameters
    ----------
    from_s, to_s : float
        In seconds; an end beyond the file's is taken as its end.

    Returns
    -------
    Stretch
        With at least one sample.

    Raises
    ------
    AudioError
        If the file cannot be read, or holds nothing there.
    """
    if not (0 <= from_s < to_s < float("inf")) or to_s - from_s > MAX_STRETCH_S + 1e-6:
        raise AudioError(
            f"the stretch from {from_s:g} s to {to_s:g} s cannot be read: it must begin at 0 s or "
            f"later, and last no longer than {MAX_STRETCH_S:.0f} s"
        )
    stretch = next(read_pieces(path, [(from_s, to_s)]))
    if not len(stretch.samples):
        raise AudioError(f"there is nothing from {from_s:g} s on: the file ends before")
    return stretch


def length_s(path: AnyFile) -> float:
    """Return how long a file plays, in seconds, by decoding it: headers lie.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    with open_audio(path) as reader:
        n_frames = sum(len(block) for block in reader.blocks())
        return n_frames / reader.info.sample_rate


def read_pieces(path: AnyFile, pieces: Sequence[tuple[float, float]]) -> Iterator[Stretch]:
    """Read several parts of a file, passing over what lies between where the format allows it.

    Parameters
    ----------
    pieces
        Begin and end of each in seconds, in order of time; none overlaps the next.

    Yields
    ------
    Stretch
        One a piece; empty where the file ends before.

    Raises
    ------
    AudioError
        If the file cannot be read.
    """
    if any(before[1] > after[0] for before, after in pairwise(pieces)):
        raise ValueError("pieces must be in order of time and must not overlap")
    n_given = 0
    if pieces[-1][1] > _NEAR_S:
        with open_audio(path) as reader:
            info = reader.info
        ways = (_ffmpeg_pieces,) if is_for_ffmpeg(path) else (_sndfile_pieces, _ffmpeg_pieces)
        for way in ways:
            try:
                for samples in way(path, info, pieces[n_given:]):
                    assure_read(path)
                    yield Stretch(_clean(samples), info)
                    n_given += 1
                return
            except _NoSeekingError:
                continue  # reading from the beginning does, or says what is wrong
    with open_audio(path) as reader:
        for samples in _linear_pieces(reader, pieces[n_given:]):
            yield Stretch(_clean(samples), reader.info)


def _clean(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take as silence what is not a number, as analysis does."""
    if np.isfinite(samples).all():
        return samples
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)


class _Collector:
    """Cuts pieces out of blocks that come in order of time."""

    def __init__(self, info: AudioInfo, pieces: Sequence[tuple[float, float]]) -> None:
        self._channels = info.channels
        rate = info.sample_rate
        self._bounds = [(round(from_s * rate), round(to_s * rate)) for from_s, to_s in pieces]
        self._parts: list[NDArray[np.float32]] = []
        self._next = 0

    @property
    def is_done(self) -> bool:
        return self._next == len(self._bounds)

    @property
    def first(self) -> int:
        """Where the piece that is waited for begins, in samples."""
        return self._bounds[self._next][0]

    def take(self, position: int, block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        while not self.is_done:
            first, end = self._bounds[self._next]
            part = block[max(0, first - position) : max(0, end - position)]
            if len(part):
                self._parts.append(part)
            if position + len(block) < end:
                return
            yield self._piece()

    def finish(self) -> Iterator[NDArray[np.float32]]:
        while not self.is_done:
            yield self._piece()

    def _piece(self) -> NDArray[np.float32]:
        nothing = np.zeros((0, self._channels), dtype=np.float32)
        samples = np.concatenate(self._parts) if self._parts else nothing
        self._parts = []
        self._next += 1
        return samples


def _linear_pieces(
    reader: AudioReader, pieces: Sequence[tuple[float, float]]
) -> Iterator[NDArray[np.float32]]:
    """Read pieces by decoding from the beginning, as far as the last of them."""
    collector = _Collector(reader.info, pieces)
    position = 0
    for block in reader.blocks():
        yield from collector.take(position, block)
        position += len(block)
        if collector.is_done:
            return
    yield from collector.finish()


def _sndfile_pieces(
    path: AnyFile, info: AudioInfo, pieces: Sequence[tuple[float, float]]
) -> Iterator[NDArray[np.float32]]:
    try:
        with open_sndfile(path) as file:
            if not file.seekable():
                raise _NoSeekingError
            for from_s, to_s in pieces:
                first, end = (round(time_s * info.sample_rate) for time_s in (from_s, to_s))
                file.seek(min(first, file.frames))
                yield file.read(max(0, end - first), dtype="float32", always_2d=True)
    except (OSError, sf.SoundFileError) as error:
        raise _NoSeekingError from error


def _ffmpeg_pieces(
    path: AnyFile, info: AudioInfo, pieces: Sequence[tuple[float, float]]
) -> Iterator[NDArray[np.float32]]:
    """Read pieces by passing over the packets between them, which need not be decoded.

    Seeking itself is no choice: in an MP3 without an index FFmpeg guesses by the bit rate.
    """
    import av

    collector = _Collector(info, pieces)
    try:
        with (
            open_for_library(path) as file,
            # No protocol at all: a playlist renamed to .wav must not open other files.
            av.open(file, options={"protocol_whitelist": "none"}) as container,
        ):
            for position, block in _FramesNear(container, info, collector):
                yield from collector.take(position, block)
                if collector.is_done:
                    return
        yield from collector.finish()
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, OSError) as error:
        raise _NoSeekingError from error


class _FramesNear:
    """Frames of sound with their places in samples, without those that nobody waits for."""

    def __init__(self, container: Any, info: AudioInfo, collector: _Collector) -> None:
        self._container = container
        self._stream = container.streams.best("audio")
        if self._stream is None:
            raise _NoSeekingError
        self._codec = self._stream.codec_context
        self._codec.thread_count = 1
        self._rate, self._channels = info.sample_rate, info.channels
        self._collector = collector
        self._origin_s: float | None = None
        self._position: int | None = None
        self._is_behind = False

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for packet in self._container.demux(self._stream):
            if self._may_be_passed_over(packet):
                self._is_behind = True
                continue
            if self._is_behind:
                self._codec.flush_buffers()
                self._is_behind, self._position = False, None
            for frame in self._decode(packet):
                block = self._samples(frame)
                position = self._place(frame)
                self._position = position + len(block)
                yield position, block

    def _may_be_passed_over(self, packet: Any) -> bool:
        if self._origin_s is None or not packet.size:
            return False
        if packet.pts is None or packet.duration is None:
            raise _NoSeekingError
        ends_s = float((packet.pts + packet.duration) * packet.time_base) - self._origin_s
        return ends_s < self._collector.first / self._rate - _PREROLL_S

    def _decode(self, packet: Any) -> list[Any]:
        import av

        try:
            return list(self._codec.decode(packet if packet.size else None))
        except av.error.EOFError:
            return []
        except av.error.InvalidDataError:
            # The first packets after a jump refer to some that were passed over.
            if self._position is None or self._position < self._collector.first:
                return []
            raise

    def _place(self, frame: Any) -> int:
        if frame.pts is None:
            raise _NoSeekingError
        time_s = float(frame.pts * frame.time_base)
        if self._origin_s is None:
            self._origin_s = time_s
        told = round((time_s - self._origin_s) * self._rate)
        near = self._position is not None and abs(told - self._position) < (
            _SAME_PLACE_S * self._rate
        )
        return self._position if near and self._position is not None else told

    def _samples(self, frame: Any) -> NDArray[np.float32]:
        if (frame.sample_rate, frame.layout.nb_channels) != (self._rate, self._channels):
            raise _NoSeekingError
        array = frame.to_ndarray()
        array = array.T if frame.format.is_planar else array.reshape(-1, self._channels)
        if array.dtype.kind == "f":
            return np.ascontiguousarray(array, dtype=np.float32)
        scale = 2.0 ** (8 * array.dtype.itemsize - 1)
        offset = scale if array.dtype.kind == "u" else 0.0
        return np.ascontiguousarray((array - offset) / scale, dtype=np.float32)

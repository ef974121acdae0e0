"""The two decoders behind `indexer.audio`: libsndfile and FFmpeg.

libsndfile (soundfile) is quick and exact for WAV, AIFF, FLAC, Ogg and their kin; FFmpeg (PyAV)
reads the rest. Both are given an open file, never a name: names that are not text, and names
that FFmpeg would take for an address or a playlist, are then of no consequence.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from db.storage import AnyFile, open_for_library
from indexer.errors import AudioError

BLOCK_S = 10.0
"""Longest block that a decoder gives, in seconds."""

_BLOCK_SAMPLES = 4_000_000  # over all channels: 16 MB, whatever rate and channels a header claims
_MAX_CHANNELS = 1024
_RATES_HZ = (50, 4_000_000)  # from infrasound loggers to ultrasound recorders
_GAP_S = 0.02  # a longer jump of a FLAC file's timestamps is missing audio

_FORMATS = {"WAVEX": "WAV", "MPEG": "MP3"}
_AV_FORMATS = {"mov": "MP4", "matroska": "MATROSKA", "aac": "ADTS", "wv": "WAVPACK"}
_CODECS = {"MPEG_LAYER_I": "MP1", "MPEG_LAYER_II": "MP2", "MPEG_LAYER_III": "MP3"}
_AV_CODECS = {"pcm_mulaw": "ULAW", "pcm_alaw": "ALAW", "adpcm_ms": "MS_ADPCM"}
_DEPTHS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_DEPTHS |= {"FLOAT": 32, "DOUBLE": 64, "ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 32}

# Containers whose index or header tells the length of the audio, rather than a guess by bit rate.
_AV_EXACT_LENGTH = ("mov", "ogg", "asf", "wav", "flac", "caf", "aiff", "wv", "tta", "ape")


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about its sound.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    channels : int
    format : str
        The container: ``"WAV"``, ``"RF64"``, ``"AIFF"``, ``"FLAC"``, ``"OGG"``, ``"MP3"``,
        ``"MP4"``, ``"ADTS"``, ``"MATROSKA"`` (WebM too), ``"ASF"``, ``"CAF"`` ...
    codec : str
        libsndfile's names whichever decoder reads the file: ``"PCM_16"``, ``"PCM_24"``,
        ``"FLOAT"``, ``"DOUBLE"``, ``"ULAW"``, ``"VORBIS"``, ``"OPUS"``; else FFmpeg's in capitals:
        ``"FLAC"``, ``"ALAC"``, ``"AAC"``, ``"MP3"``, ``"WMAV2"``.
    bit_depth : int or None
        Of uncompressed and lossless codecs where the file tells; None for lossy ones.
    decoder : str
        ``"libsndfile"`` or ``"ffmpeg"``.
    """

    sample_rate: int
    channels: int
    format: str
    codec: str
    bit_depth: int | None
    decoder: str


class DecodingBrokeError(Exception):
    """A decoder gave up in the middle of a file; another one may go on."""


class UnknownFormatError(AudioError):
    """One decoder does not know the file; the message names the decoder."""


class NoAudioError(AudioError):
    """A decoder knows the file and finds no sound in it."""


class Decoder(Protocol):
    """Gives the blocks of one open file, once.

    Attributes
    ----------
    info : AudioInfo
    promised_s : float or None
        Length that a trustworthy header promises; None where there is none.
    slack_s : float
        How much shorter the sound may be without a loss: some codecs drop priming samples.
    cut : str or None
        After the last block: why the last of the data could not be decoded, if it could not.
    """

    info: AudioInfo
    promised_s: float | None
    slack_s: float
    cut: str | None

    def blocks(self) -> Iterator[NDArray[np.float32]]: ...
    def close(self) -> None: ...


def _block_frames(info: AudioInfo) -> int:
    return max(1, min(int(BLOCK_S * info.sample_rate), _BLOCK_SAMPLES // info.channels))


def _check_claims(sample_rate: int, channels: int) -> None:
    """Refuse headers that no recording has, before anything is allocated from them."""
    if not _RATES_HZ[0] <= sample_rate <= _RATES_HZ[1]:
        raise AudioError(f"damaged header: it claims a sample rate of {sample_rate} Hz")
    if not 1 <= channels <= _MAX_CHANNELS:
        raise AudioError(f"damaged header: it claims {channels} channels")


def open_sndfile(path: AnyFile) -> sf.SoundFile:
    """Open a file with libsndfile, of which `db.storage.assure_read` tells what went wrong.

    Raises
    ------
    OSError, StorageError
        If it cannot be opened.
    sf.LibsndfileError
        If libsndfile does not know it.
    """
    if not isinstance(path, Path):
        return sf.SoundFile(open_for_library(path))
    # A descriptor rather than a name: libsndfile guesses raw formats from suffixes, and soundfile
    # cannot encode names that are not UTF-8.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    return sf.SoundFile(descriptor, closefd=True)  # closes it on failure too


class SndfileDecoder:
    """libsndfile. Raises `sf.LibsndfileError` on opening what it does not know."""

    slack_s = 0.05

    def __init__(self, path: AnyFile) -> None:
        self._file = open_sndfile(path)
        try:
            _check_claims(self._file.samplerate, self._file.channels)
        except AudioError:
            self._file.close()
            raise
        subtype = self._file.subtype
        kind = _FORMATS.get(self._file.format, self._file.format)
        codec = _CODECS.get(subtype, "ALAC" if subtype.startswith("ALAC") else subtype)
        self.info = AudioInfo(
            sample_rate=self._file.samplerate,
            channels=self._file.channels,
            format=kind,
            codec="FLAC" if kind == "FLAC" else codec,
            bit_depth=_DEPTHS.get(subtype),
            decoder="libsndfile",
        )
        # Only a length that is not "unknown" (the largest integer) is a promise.
        frames = self._file.frames
        self.promised_s = frames / self.info.sample_rate if 0 < frames < 2**48 else None
        self.cut: str | None = None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks; `DecodingBrokeError` if libsndfile gives up before the end."""
        size = _block_frames(self.info)
        while True:
            try:
                block = self._file.read(size, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise DecodingBrokeError(_reason(error)) from error
            if not len(block):
                return
            yield block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FfmpegDecoder:
    """FFmpeg through PyAV: its best audio stream. Raises `FFmpegError` on opening what is not."""

    slack_s = 0.5

    def __init__(self, path: AnyFile) -> None:
        import av  # 40 ms and 60 MB: only for the files that need it

        self._av = av
        self._file = open_for_library(path)
        self._container: Any = None
        try:
            # No protocol at all: a playlist renamed to .wav must not open other files.
            self._container = av.open(self._file, options={"protocol_whitelist": "none"})
            self._stream = self._container.streams.best("audio")
            if self._stream is None:
                raise UnknownFormatError("FFmpeg: holds no audio stream")
            self._codec = self._open_codec()
            self._codec.thread_count = 1
            self._frames = self._decoded_frames()
            self._first = next(self._frames, None)
            if self._first is None:
                raise UnknownFormatError(f"FFmpeg: no audio could be decoded{self._why()}")
            self.info = self._describe(self._first)
            _check_claims(self.info.sample_rate, self.info.channels)
        except BaseException:
            self.close()
            raise
        self.promised_s = self._promised_s()

    def _open_codec(self) -> Any:
        """Open the stream's decoder; for Opus the reference decoder, as in libsndfile.

        FFmpeg's own differs from it by up to a quarter of full scale at transients.
        """
        codec = self._stream.codec_context
        if codec.codec.canonical_name != "opus":
            return codec
        reference = self._av.CodecContext.create("libopus", "r")
        reference.extradata = codec.extradata
        reference.options = {"request_sample_fmt": "flt"}  # else it clips to 16 bits
        return reference

    def _describe(self, frame: Any) -> AudioInfo:
        """Take rate and channels from decoded sound: AAC headers give half the rate with SBR."""
        name = self._stream.codec_context.codec.canonical_name
        codec, depth = _AV_CODECS.get(name, name.upper()), None
        if match := re.fullmatch(r"pcm_([suf])(\d+)(le|be)?", name):
            bits = int(match[2])
            codec = {32: "FLOAT", 64: "DOUBLE"}[bits] if match[1] == "f" else f"PCM_{bits}"
            depth = bits
        elif name in ("flac", "alac", "wavpack", "tta", "ape"):
            # 24-bit sound comes in 32-bit frames; which of the two it was is not told.
            depth = 16 if frame.format.bits == 16 else None
        family = self._container.format.name.split(",")[0]
        return AudioInfo(
            sample_rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            format=_AV_FORMATS.get(family, family.upper()),
            codec=codec,
            bit_depth=depth,
            decoder="ffmpeg",
        )

    def _promised_s(self) -> float | None:
        family = self._container.format.name.split(",")[0]
        exact = family in _AV_EXACT_LENGTH or (family == "mp3" and _has_xing_header(self._file))
        if not exact or self._stream.duration is None:
            return None
        return float(self._stream.duration * self._stream.time_base)

    def _decoded_frames(self) -> Iterator[Any]:
        """Yield frames; audio after a failed packet means damage in the middle: `AudioError`."""
        self.cut: str | None = None
        decoded_s = 0.0
        for packet in self._packets():
            try:
                frames = self._codec.decode(packet if packet.size else None)
            except self._av.error.FFmpegError as error:
                self.cut = self.cut or f"at {decoded_s:.1f} s: FFmpeg: {_reason(error)}"
                continue
            for frame in frames:
                if self.cut and decoded_s > 0:
                    raise AudioError(f"damaged {self.cut}")
                self._check_gap(frame, decoded_s)
                decoded_s += frame.samples / frame.sample_rate
                yield frame

    def _why(self) -> str:
        return f" ({self.cut})" if self.cut else ""

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except self._av.error.FFmpegError as error:
                self.cut = self.cut or f"at its end: FFmpeg: {_reason(error)}"
                return
            if packet is None:
                return
            yield packet

    def _check_gap(self, frame: Any, decoded_s: float) -> None:
        # Only where timestamps count samples; other containers may have gaps on purpose.
        if self._container.format.name != "flac" or frame.pts is None:
            return
        at_s = float(frame.pts * frame.time_base)
        if decoded_s == 0:
            self._start_s = at_s
        elif at_s - self._start_s - decoded_s > _GAP_S:
            missing_s = at_s - self._start_s - decoded_s
            raise AudioError(f"damaged at {decoded_s:.1f} s: {missing_s:.1f} s are missing there")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks; `AudioError` if the middle of the file is damaged."""
        size, held, parts = _block_frames(self.info), 0, []
        frame, self._first = self._first, None
        decoded = 0
        while frame is not None:
            if (frame.sample_rate, frame.layout.nb_channels) != (
                self.info.sample_rate,
                self.info.channels,
            ):
                raise AudioError(
                    f"changes at {decoded / self.info.sample_rate:.1f} s from "
                    f"{self.info.channels} channels at {self.info.sample_rate} Hz to "
                    f"{frame.layout.nb_channels} at {frame.sample_rate} Hz: split it there"
                )
            parts.append(_samples(frame))
            held += frame.samples
            decoded += frame.samples
            if held >= size:
                yield np.concatenate(parts)
                held, parts = 0, []
            frame = next(self._frames, None)
        if parts:
            yield np.concatenate(parts)

    def close(self) -> None:
        """Close container and file."""
        if self._container is not None:
            self._container.close()
        self._file.close()


def _samples(frame: Any) -> NDArray[np.float32]:
    """Bring a frame to (n_frames, channels), float32, full scale 1.0."""
    array = frame.to_ndarray()
    channels = frame.layout.nb_channels
    array = array.T if frame.format.is_planar else array.reshape(-1, channels)
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, dtype=np.float32)
    scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    offset = scale if array.dtype.kind == "u" else 0.0
    scaled = (array.astype(np.float64) - offset) / scale
    return np.ascontiguousarray(scaled, dtype=np.float32)


def _has_xing_header(file: BinaryIO) -> bool:
    """Tell whether an MP3 counts its frames; without it, its length is a guess by bit rate."""
    position = file.tell()
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3" and len(head) == 10:
        skip = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0)))  # noqa: B905
    file.seek(skip)
    frame = file.read(2048)
    file.seek(position)
    return b"Xing" in frame or b"Info" in frame


def is_for_ffmpeg(path: AnyFile) -> bool:
    """Tell from a file's first bytes whether FFmpeg is the better decoder though libsndfile may do.

    Of MPEG audio (an ID3 tag or a frame's sync) libsndfile reads no more than the length it
    guessed, and its decoder prints complaints; of Ogg Opus it calls one good file in fifty
    malformed (1.2.2).
    """
    with path.open("rb") as file:
        head = file.read(64)
    mpeg = head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    return mpeg or (head[:4] == b"OggS" and b"OpusHead" in head)


def _reason(error: Exception) -> str:
    """Say in a few words what a decoder says, without its numbers and our file's name."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".").removeprefix("Error : ").strip() or type(error).__name__


def open_decoder(path: AnyFile, kind: str) -> Decoder:
    """Open a file with one decoder, ``"libsndfile"`` or ``"ffmpeg"``.

    Raises
    ------
    UnknownFormatError
        If this decoder does not know the file.
    AudioError
        If the file is damaged at its beginning.
    OSError
        If the file cannot be opened.
    """
    if kind == "libsndfile":
        try:
            return SndfileDecoder(path)
        except sf.LibsndfileError as error:
            raise UnknownFormatError(f"libsndfile: {_reason(error)}") from error
    import av

    try:
        return FfmpegDecoder(path)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise UnknownFormatError(f"FFmpeg: {_reason(error)}") from error

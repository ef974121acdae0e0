"""Write a sound to a file: the right format, whole or not at all, the same bytes each time."""

import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

# Suffix -> libsndfile format and subtype. WAV is 16 bit unless the sound asks for 24.
_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_BIT_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write_sound(
    path: Path,
    x: Samples,
    sr: int,
    *,
    tags: dict[str, str],
    bits: int = 16,
    compression: float | None = None,
) -> None:
    """Encode a sound into a file that appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        Its suffix says the format: .wav, .flac, .ogg (Vorbis), .opus, .mp3 or .m4a (AAC).
    x : ndarray of float32, shape (n,) or (n, channels)
        Between -1 and 1.
    sr : int
        Sample rate in Hz.
    tags : dict
        Title, artist, comment: written into the file where its format has a place for them.
    bits : int
        16 or 24, for the formats without loss.
    compression : float, optional
        0 (largest) to 1 (smallest), for the formats with loss.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    if path.suffix == ".m4a":
        _write_aac(part, x, sr, tags=tags)
    else:
        _write_sndfile(part, path.suffix, x, sr, tags=tags, bits=bits, compression=compression)
    if path.suffix in (".ogg", ".opus"):
        part.write_bytes(with_serial(part.read_bytes(), serial=zlib.crc32(path.name.encode())))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _write_sndfile(
    part: Path,
    suffix: str,
    x: Samples,
    sr: int,
    *,
    tags: dict[str, str],
    bits: int,
    compression: float | None,
) -> None:
    import soundfile

    container, subtype = _FORMATS[suffix]
    if bits == 24:
        subtype = "PCM_24"
    channels = 1 if x.ndim == 1 else x.shape[1]
    with soundfile.SoundFile(
        part, "w", sr, channels, subtype=subtype, format=container, compression_level=compression
    ) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        # libsndfile's Vorbis encoder overflows its stack on minutes of audio in one call.
        for start in range(0, len(x), sr):
            file.write(x[start : start + sr])


def _write_aac(part: Path, x: Samples, sr: int, *, tags: dict[str, str]) -> None:
    import av

    planes = np.ascontiguousarray(np.atleast_2d(x.T))
    layout = "mono" if len(planes) == 1 else "stereo"
    # "bitexact" leaves the encoder's name and the date out, which would differ between runs.
    options = {"fflags": "+bitexact"}
    with av.open(str(part), "w", format="mp4", options=options) as out:
        out.metadata.update(tags)
        stream = out.add_stream("aac", rate=sr, layout=layout, options={"flags": "+bitexact"})
        stream.bit_rate = 64_000 * len(planes)
        for start in range(0, planes.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(planes[:, start : start + 1024]), format="fltp", layout=layout
            )
            frame.sample_rate = sr
            frame.pts = start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def with_serial(stream: bytes, *, serial: int) -> bytes:
    """Return an Ogg stream under a given serial number, with its pages' checksums made anew.

    libsndfile draws the number at random, so that the same sound would give other bytes on
    every run.

    References
    ----------
    RFC 3533, "The Ogg Encapsulation Format Version 0", section 6.
    """
    out = bytearray(stream)
    at = 0
    while at < len(out):
        segments = out[at + 26]
        size = 27 + segments + sum(out[at + 27 : at + 27 + segments])
        out[at + 14 : at + 18] = serial.to_bytes(4, "little")
        out[at + 22 : at + 26] = bytes(4)
        out[at + 22 : at + 26] = _ogg_crc(bytes(out[at : at + size])).to_bytes(4, "little")
        at += size
    return bytes(out)


def _ogg_crc(page: bytes) -> int:
    """Compute Ogg's CRC-32: zlib's polynomial, but most significant bit first and no inversion."""
    reflected = zlib.crc32(page.translate(_BIT_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)

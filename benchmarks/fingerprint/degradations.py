"""What happens to a recording before somebody asks which one it is: codecs, noise, rooms, speed.

Each degradation keeps the time of the excerpt's first sample, so that the offset that a search
should find is known: delays of codecs and filters are taken out, a room's impulse response begins
with its direct sound, and a change of speed starts at the excerpt's beginning.
"""

import functools
import io
import re
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import soxr
from scipy import signal as dsp

from benchmarks.fingerprint.materials import SR, Materials, Samples

CONTEXT_S = 1.5
"""How much sound before and after an excerpt makes the edges of codecs, rooms, filters fair."""

DEGRADATIONS = (
    "clean",
    "mp3_64k",
    "opus_32k",
    "aac_32k",
    "noise_15dB",
    "noise_5dB",
    "noise_0dB",
    "noise_-5dB",
    "reverberation",
    "telephone",
    "clipping",
    "speed_+2%",
    "speed_-2%",
    "pitch_+2%",
    "pitch_-2%",
    "rerecording",
)
NOISES = ("babble", "street", "white")

TAPE = tuple(
    f"{kind}_{percent:+d}%"
    for kind in ("speed", "pitch", "tempo")
    for percent in (-10, -8, -6, -4, -2, 2, 4, 6, 8, 10)
)
"""For the table of speeds; not among the 16."""

_CODECS = {
    "mp3_64k": ("mp3", "libmp3lame", 44100, 64000),
    "opus_32k": ("ogg", "libopus", 48000, 32000),
    "aac_32k": ("adts", "aac", 44100, 32000),
}
_NOISE = re.compile(rf"(noise|{'|'.join(NOISES)})_(-?\d+)dB")
_CHANGE = re.compile(r"(speed|pitch|tempo)_([+-]\d+(?:\.\d+)?)%")
_CLIPPED_DB = 12.0
_WINDOW, _HOP = 1024, 128  # of the phase vocoder, in samples


def degrade(
    name: str,
    sound: Samples,
    rng: np.random.Generator,
    materials: Materials,
    *,
    start: int = 0,
    n_samples: int | None = None,
) -> Samples:
    """Return an excerpt as it would arrive after something happened to it.

    Parameters
    ----------
    name : str
        One of `DEGRADATIONS` or `TAPE`, or such as ``"street_10dB"``, ``"speed_+3.5%"``.
    sound : ndarray, shape (m,), float32
        The excerpt with some of what comes before and after it, at 16 kHz.
    rng : numpy Generator
        Chooses the noise and the room.
    materials : Materials
    start, n_samples : int
        Where in `sound` the excerpt begins, and how many samples are wanted; default all.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Shorter where the sound ends before. Its first sample is that at `start`.
    """
    wanted = len(sound) - start if n_samples is None else n_samples
    stop = start + wanted
    sound = np.ascontiguousarray(sound, dtype=np.float32)
    change = _CHANGE.fullmatch(name)
    if change and change[1] != "pitch":
        ratio = 1 + float(change[2]) / 100
        enough = start + int(wanted * ratio) + SR
        return _CHANGES[change[1]](sound[start:enough], ratio)[:wanted]
    if change:
        return _pitch(sound, 1 + float(change[2]) / 100)[start:stop]
    noise = _NOISE.fullmatch(name)
    if noise:
        kind = noise[1] if noise[1] in NOISES else str(rng.choice(NOISES))
        return _add(sound[start:stop], kind, float(noise[2]), rng, materials)
    if name in _CODECS:
        return _coded(sound, name)[start:stop]
    if name == "reverberation":
        return _in_room(sound, rng, materials)[start:stop]
    if name == "rerecording":
        heard = _in_room(sound, rng, materials)[start:stop]
        return _band(_add(heard, str(rng.choice(NOISES)), 10.0, rng, materials), 150, 5000)
    if name == "telephone":
        return _telephone(sound)[start:stop]
    if name == "clipping":
        return _clipped(sound[start:stop])
    if name == "clean":
        return sound[start:stop]
    raise ValueError(f"no degradation is called {name!r}")


def _speed(sound: Samples, ratio: float) -> Samples:
    faster: Samples = soxr.resample(sound, SR * ratio, SR)
    return faster


def _tempo(sound: Samples, ratio: float) -> Samples:
    """Stretch by a phase vocoder, as audio editors do (Flanagan & Golden 1966).

    librosa's is the same, but compiles itself for 20 s in every process.
    """
    window = dsp.windows.hann(_WINDOW, sym=False).astype(np.float32)
    padded = np.pad(sound, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(frames * window, axis=1)
    size, angle = np.abs(spectrum), np.angle(spectrum)
    times = np.arange(0, len(spectrum) - 1, ratio)
    left = times.astype(np.intp)
    part = (times - left)[:, None]
    per_hop = (2 * np.pi * _HOP / _WINDOW) * np.arange(_WINDOW // 2 + 1)
    drift = np.diff(angle, axis=0) - per_hop
    advance = (drift - 2 * np.pi * np.round(drift / (2 * np.pi)) + per_hop)[left]
    phases = np.cumsum(advance, axis=0) - advance + angle[0]
    sizes = size[left] * (1 - part) + size[left + 1] * part
    made = np.fft.irfft(sizes * np.exp(1j * phases), axis=1) * window
    total = np.zeros((len(made) - 1) * _HOP + _WINDOW)
    weight = np.full_like(total, 1e-3)
    for index, frame in enumerate(made):
        total[index * _HOP : index * _HOP + _WINDOW] += frame
        weight[index * _HOP : index * _HOP + _WINDOW] += window**2
    stretched: Samples = (total / weight)[_WINDOW // 2 :].astype(np.float32)
    return stretched[: int(len(sound) / ratio)]


def _pitch(sound: Samples, ratio: float) -> Samples:
    return _speed(_tempo(sound, 1 / ratio), ratio)


_CHANGES: dict[str, Callable[[Samples, float], Samples]] = {"speed": _speed, "tempo": _tempo}


def _add(
    sound: Samples, kind: str, snr_db: float, rng: np.random.Generator, materials: Materials
) -> Samples:
    rms = np.sqrt(np.mean(np.square(sound, dtype=np.float64)))
    noise = materials.noise(kind, len(sound), rng)
    return sound + noise * np.float32(rms * 10 ** (-snr_db / 20))


def _in_room(sound: Samples, rng: np.random.Generator, materials: Materials) -> Samples:
    heard: Samples = dsp.oaconvolve(sound, materials.room(rng))[: len(sound)].astype(np.float32)
    return heard


def _band(sound: Samples, low_hz: float, high_hz: float) -> Samples:
    """Filter without delay: forwards and backwards."""
    sections = dsp.butter(2, (low_hz, high_hz), btype="bandpass", fs=SR, output="sos")
    filtered: Samples = dsp.sosfiltfilt(sections, sound).astype(np.float32)
    return filtered


def _telephone(sound: Samples) -> Samples:
    """300 to 3400 Hz, 8 kHz, 8 bits by the mu law (ITU-T G.711's curve)."""
    narrow = soxr.resample(_band(sound, 300, 3400), SR, SR // 2)
    loudest = max(float(np.abs(narrow).max()), 1e-9)
    curved = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / loudest) / np.log(256)
    rounded = np.round(curved * 127) / 127
    back = np.sign(rounded) * (256 ** np.abs(rounded) - 1) / 255 * loudest
    received: Samples = soxr.resample(back.astype(np.float32), SR // 2, SR)
    return np.pad(received, (0, max(0, len(sound) - len(received))))[: len(sound)]


def _clipped(sound: Samples) -> Samples:
    limit = float(np.abs(sound).max()) * 10 ** (-_CLIPPED_DB / 20)
    return np.clip(sound, -limit, limit)


def _coded(sound: Samples, name: str) -> Samples:
    delay = _delay(name)
    coded = _through(sound, name)
    return np.pad(coded[delay:], (0, max(0, len(sound) - len(coded) + delay)))[: len(sound)]


@functools.cache
def _delay(name: str) -> int:
    """Measure by how many samples encoder and decoder shift the sound, on a burst of noise."""
    burst = np.zeros(3 * SR, dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(SR // 2)
    burst[SR : SR + SR // 2] = _band(0.1 * noise.astype(np.float32), 300, 3000)
    coded = _through(burst, name)
    lags = dsp.correlate(coded, burst, method="fft")
    return int(np.argmax(lags)) - (len(burst) - 1)


def _through(sound: Samples, name: str) -> Samples:
    """Encode at the rate that such files have, and decode."""
    container, codec, sr, bit_rate = _CODECS[name]
    source = soxr.resample(sound, SR, sr).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=sr, layout="mono", bit_rate=bit_rate)
        layout = stream.codec_context.format.name
        resampler = av.AudioResampler(format=layout, layout="mono", rate=sr)
        frame = av.AudioFrame.from_ndarray(source[None], format="fltp", layout="mono")
        frame.sample_rate = sr
        fifo = av.AudioFifo()
        for converted in (*resampler.resample(frame), *resampler.resample(None)):
            converted.pts = None
            fifo.write(converted)
        size = stream.codec_context.frame_size or 1024
        while fifo.samples:
            output.mux(stream.encode(fifo.read(min(size, fifo.samples))))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as coded:
        to_mono = av.AudioResampler(format="fltp", layout="mono")
        parts = [
            part.to_ndarray()[0]
            for decoded in coded.decode(audio=0)
            for part in to_mono.resample(decoded)
        ]
    heard: Samples = soxr.resample(np.concatenate(parts), sr, SR).astype(np.float32)
    return heard

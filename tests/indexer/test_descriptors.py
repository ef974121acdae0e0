"""Descriptors against the standards, against librosa and pyloudnorm, and on sounds made for it."""

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
import pyloudnorm
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.audio import MonoResampler, open_audio
from indexer.descriptors import DescriptorAnalyser, Descriptors
from indexer.loudness import FrameEnergies, k_weighting
from indexer.spectrum import HOP, N_FFT, N_MELS, SR, mel_filters

Samples = NDArray[np.float32]


def describe(samples: NDArray[np.floating], sr: int = 44_100, **options: bool) -> Descriptors:
    block = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1)
    analyser = DescriptorAnalyser(sr, block.shape[1], **options)
    analyser.push(block)
    return analyser.finish()


def sine(
    hz: float, seconds: float, sr: int = 44_100, amplitude: float = 1.0
) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * sr)) / sr)


def noise(seconds: float, sr: int = 44_100, rms: float = 0.1) -> NDArray[np.float64]:
    return rms * np.random.default_rng(0).standard_normal(round(seconds * sr))


def clicks(bpm: float, seconds: float, sr: int = 44_100) -> NDArray[np.float64]:
    """Clicks of 20 ms on every beat, the first half a beat in."""
    samples = np.zeros(round(seconds * sr))
    click = 0.5 * np.random.default_rng(1).standard_normal(900) * np.exp(-np.arange(900) / 200)
    for beat in np.arange(0.5, seconds * bpm / 60 - 0.1):
        start = round(beat * 60 / bpm * sr)
        samples[start : start + 900] += click[: len(samples) - start]
    return samples


def chords(notes: Sequence[tuple[int, ...]], seconds: float = 1.0, sr: int = 44_100) -> Samples:
    """Play MIDI notes together, with three partials and a decay."""
    t = np.arange(round(seconds * sr)) / sr
    parts = []
    for chord in notes:
        partials = [
            (440 * 2 ** ((note - 69) / 12) * h, 0.05 / h) for note in chord for h in (1, 2, 3)
        ]
        parts.append(sum(a * np.sin(2 * np.pi * hz * t) for hz, a in partials) * np.exp(-t))
    return np.concatenate(parts).astype(np.float32)


C_MAJOR = [(60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)]
A_MINOR = [(57, 60, 64), (62, 65, 69), (52, 56, 59), (57, 60, 64)]


def test_a_sine_at_full_scale_in_one_channel_has_minus_3_01_lufs() -> None:
    for sr in (44_100, 48_000, 96_000, 32_000):
        got = describe(sine(997, 20, sr), sr).loudness_lufs
        assert got == pytest.approx(-3.01, abs=0.02), sr


def test_the_filter_is_that_of_the_standard_at_48_khz() -> None:
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    shelf += [1, -1.69065929318241, 0.73248077421585]
    high_pass = [1.0, -2.0, 1.0, 1, -1.99004745483398, 0.99007225036621]
    assert k_weighting(48_000) == pytest.approx(np.array([shelf, high_pass]), abs=1e-8)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        # EBU Tech 3341, cases 1 to 4: stereo sines of 1 kHz, (dBFS, seconds).
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
    ],
)
def test_the_signals_of_ebu_tech_3341_measure_as_they_should(
    levels: list[tuple[float, float]], expected: float
) -> None:
    parts = [sine(1000, seconds, 48_000, 10 ** (db / 20)) for db, seconds in levels]
    stereo = np.repeat(np.concatenate(parts)[:, None], 2, axis=1)
    got = describe(stereo, 48_000, rhythm_and_key=False).loudness_lufs
    assert got == pytest.approx(expected, abs=0.1)


def test_surround_channels_weigh_as_the_standard_says() -> None:
    # EBU Tech 3341, case 6: 5.0 at -28, -24 and -30 dBFS; here with a silent LFE in its place.
    t = sine(1000, 20, 48_000)
    levels = (-28.0, -28.0, -24.0, None, -30.0, -30.0)
    channels = [t * (10 ** (db / 20) if db is not None else 0.0) for db in levels]
    got = describe(np.stack(channels, axis=1), 48_000, rhythm_and_key=False).loudness_lufs
    assert got == pytest.approx(-23.0, abs=0.1)
    loud_lfe = [*channels[:3], t, *channels[4:]]
    got = describe(np.stack(loud_lfe, axis=1), 48_000, rhythm_and_key=False).loudness_lufs
    assert got == pytest.approx(-23.0, abs=0.1)


def test_loudness_agrees_with_pyloudnorm_within_a_tenth() -> None:
    rng = np.random.default_rng(3)
    swelling = noise(20)[:, None] * np.linspace(0.001, 1, 20 * 44_100)[:, None] ** 2
    two = swelling * np.array([1.0, 0.3]) + 0.002 * rng.standard_normal((20 * 44_100, 2))
    for sr in (44_100, 48_000):
        # In whole steps of 100 ms: pyloudnorm adds a block that is not full at the end of others.
        whole = len(two) // (sr // 10) * (sr // 10)
        for samples in (two[:whole], two[:whole, :1], two[: sr // 2], clicks(90, 10, sr)[:, None]):
            reference = pyloudnorm.Meter(sr, filter_class="DeMan").integrated_loudness(samples)
            assert describe(samples, sr).loudness_lufs == pytest.approx(reference, abs=0.1)


def test_loudness_of_real_recordings_agrees_with_pyloudnorm(real_audio: Path) -> None:
    files = (
        sorted(real_audio.glob("esc10/*/1-*.ogg"))[::12]
        + sorted(real_audio.glob("effects/b/*.ogg"))[:12]
    )
    compared = 0
    for path in files:
        samples, sr = sf.read(path, always_2d=True)
        if len(samples) < 0.5 * sr:
            continue
        reference = pyloudnorm.Meter(sr, filter_class="DeMan").integrated_loudness(samples)
        got = describe(samples, sr, rhythm_and_key=False).loudness_lufs
        assert (got if got is not None else -math.inf) == pytest.approx(reference, abs=0.1), path
        compared += 1
    assert compared >= 10


def test_a_sound_shorter_than_a_block_has_a_loudness_too() -> None:
    short = describe(sine(997, 0.2, 48_000), 48_000).loudness_lufs
    assert short == pytest.approx(-3.01, abs=0.2)


@given(
    st.sampled_from([50, 997, 11_025, 44_100]),
    st.sampled_from([10, 20]),
    st.lists(st.integers(1, 30_000), min_size=1, max_size=8),
)
@settings(max_examples=50)
def test_frame_energies_do_not_depend_on_the_cuts(sr: int, per_s: int, sizes: list[int]) -> None:
    squares = np.random.default_rng(0).random(sum(sizes))
    energies = FrameEnergies(sr, per_s)
    for part in np.split(squares, np.cumsum(sizes)[:-1]):
        energies.push(part)
    edges = [i * sr // per_s for i in range(len(squares) * per_s // sr + 2)]
    edges = [edge for edge in edges if edge <= len(squares)]
    expected = [squares[a:b].mean() for a, b in pairwise(edges)]
    assert np.allclose(energies.mean_squares(), expected or [squares.mean()])
    assert energies.total == pytest.approx(squares.sum())


def test_peak_and_silence_are_what_was_made() -> None:
    samples = np.concatenate([np.zeros(44_100), sine(440, 3, amplitude=0.5), np.zeros(4 * 44_100)])
    got = describe(np.stack([samples, -samples], axis=1))
    assert got.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert got.silence_share == pytest.approx(5 / 8, abs=0.01)


def test_spectral_measures_agree_with_librosa(real_audio: Path) -> None:
    path = sorted(real_audio.glob("esc10/rooster/*.ogg"))[0]
    loaded, sr = sf.read(path, dtype="float32")
    resampler = MonoResampler(sr, SR)
    y = np.concatenate([resampler.process(loaded[:, None]), resampler.flush()])
    got = describe(loaded, sr)
    magnitude = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP, center=False))
    window = librosa.filters.get_window("hann", N_FFT)
    frames = librosa.util.frame(y, frame_length=N_FFT, hop_length=HOP)
    # Silence is left out, by the power of the windowed frame.
    level = ((frames * window[:, None]) ** 2).sum(axis=0) / (window**2).sum()
    active = level > 1e-6
    magnitude = magnitude[:, active]
    feature = librosa.feature
    assert got.spectral_centroid_hz == pytest.approx(
        feature.spectral_centroid(S=magnitude, sr=SR).mean(), rel=1e-3
    )
    assert got.spectral_bandwidth_hz == pytest.approx(
        feature.spectral_bandwidth(S=magnitude, sr=SR).mean(), rel=1e-3
    )
    assert got.spectral_rolloff_hz == pytest.approx(
        feature.spectral_rolloff(S=magnitude, sr=SR).mean(), abs=SR / N_FFT
    )
    top = int(0.45 * N_FFT)
    assert got.spectral_flatness == pytest.approx(
        feature.spectral_flatness(S=magnitude[:top], amin=1e-20).mean(), rel=0.01
    )
    crossings = np.count_nonzero(librosa.zero_crossings(y, threshold=0, pad=False))
    assert got.zero_crossing_rate == pytest.approx(crossings / len(y), abs=1e-4)
    mel = feature.melspectrogram(S=magnitude**2 / (window**2).sum(), sr=SR, n_mels=N_MELS)
    # Ours floors at -100 dB of full scale; librosa's top_db is relative to the loudest frame.
    log_mel = librosa.power_to_db(mel, amin=1e-10, top_db=None)
    expected = feature.mfcc(S=log_mel, n_mfcc=13).mean(axis=1)
    assert got.mfcc_mean == pytest.approx(expected, abs=0.5)


def test_mel_filters_are_those_of_librosa() -> None:
    ours = mel_filters(SR, N_FFT, N_MELS)
    assert np.allclose(ours, librosa.filters.mel(sr=SR, n_fft=N_FFT, n_mels=N_MELS), atol=1e-6)


def test_noise_and_tones_look_like_noise_and_tones() -> None:
    white, tone = describe(noise(10)), describe(sine(1000, 10, amplitude=0.3))
    assert white.spectral_flatness == pytest.approx(0.5615, abs=0.01)
    assert white.zero_crossing_rate == pytest.approx(0.48, abs=0.02)
    assert tone.spectral_flatness is not None
    assert tone.spectral_flatness < 1e-3
    assert tone.spectral_centroid_hz == pytest.approx(1000, abs=5)
    assert tone.spectral_bandwidth_hz is not None
    assert tone.spectral_bandwidth_hz < 40
    assert tone.zero_crossing_rate == pytest.approx(2000 / SR, rel=0.01)


@pytest.mark.parametrize("bpm", [70, 90, 120, 150, 165])
def test_the_tempo_of_a_click_track_is_found(bpm: float) -> None:
    got = describe(clicks(bpm, 30))
    assert got.tempo_bpm == pytest.approx(bpm, rel=0.01)
    assert got.tempo_confidence is not None
    assert got.tempo_confidence > 0.5
    assert got.onset_rate_hz == pytest.approx(bpm / 60, rel=0.05)


def test_steady_sounds_have_no_onsets_and_no_sure_tempo() -> None:
    for steady in (noise(20), sine(300, 20, amplitude=0.2)):
        got = describe(steady)
        assert got.onset_rate_hz is not None
        assert got.onset_rate_hz <= 0.1
        assert got.tempo_confidence is None or got.tempo_confidence < 0.2


@pytest.mark.parametrize(
    ("progression", "shift", "key"),
    [(C_MAJOR, 0, "C"), (A_MINOR, 0, "Am"), (C_MAJOR, 6, "F#"), (A_MINOR, -3, "F#m")],
)
def test_the_key_of_a_progression_is_found(
    progression: list[tuple[int, ...]], shift: int, key: str
) -> None:
    moved = [tuple(note + shift for note in chord) for chord in progression]
    got = describe(chords(moved * 3))
    assert got.key == key
    assert got.key_confidence is not None
    assert got.key_confidence > 0.6


def test_noise_is_never_sure_of_its_key() -> None:
    got = describe(noise(10))
    assert got.key_confidence is None or got.key_confidence < 0.1


def test_rhythm_and_key_can_be_left_out_and_nothing_else_changes() -> None:
    music = chords(C_MAJOR * 2)
    with_, without = asdict(describe(music)), asdict(describe(music, rhythm_and_key=False))
    optional = {"tempo_bpm", "tempo_confidence", "key", "key_confidence"}
    assert {name: without[name] for name in optional} == dict.fromkeys(optional)
    assert all(with_[name] == without[name] for name in with_ if name not in optional)


@pytest.mark.parametrize("sizes", [[1] * 50, [441_000, 3], [7, 100_000, 1, 300_000], [441_001] * 2])
def test_the_result_is_the_same_to_the_bit_however_blocks_are_cut(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    samples = (clicks(100, 25)[:, None] + 0.01 * rng.standard_normal((25 * 44_100, 2))).astype("f4")
    analyser = DescriptorAnalyser(44_100, 2)
    for block in np.split(samples, np.cumsum(sizes)):
        analyser.push(block)
    assert analyser.finish() == describe(samples)


@pytest.mark.parametrize("seconds", [1 / 44_100, 0.004, 0.03, 0.3, 2.0])
@pytest.mark.parametrize("kind", ["silence", "sine", "noise", "constant", "click"])
def test_every_value_is_finite_or_none(kind: str, seconds: float) -> None:
    n = max(1, round(seconds * 44_100))
    made = {
        "silence": np.zeros(n),
        "sine": sine(440, seconds + 1)[:n],
        "noise": noise(seconds + 1)[:n],
        "constant": np.ones(n),
        "click": np.eye(1, n, n // 2)[0],
    }[kind]
    got = describe(made)
    for name, value in asdict(got).items():
        values = value if isinstance(value, tuple) else (value,)
        assert all(v is None or isinstance(v, str) or math.isfinite(v) for v in values), name
    assert json.dumps(asdict(got), allow_nan=False)
    assert pickle.loads(pickle.dumps(got)) == got
    if kind == "silence":
        assert (got.loudness_lufs, got.peak_dbfs, got.mfcc_mean) == (None, None, None)
        assert got.silence_share == 1


@pytest.mark.parametrize("sr", [50, 2000, 8000, 192_000])
def test_odd_sample_rates_are_described(sr: int) -> None:
    got = describe(noise(3, sr), sr)
    assert got.silence_share == 0
    assert (got.loudness_lufs is None) == (sr < 4000)
    assert got.spectral_centroid_hz is not None
    assert 0 < got.spectral_centroid_hz < min(sr, SR) / 2


def test_no_samples_and_wrong_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to describe"):
        DescriptorAnalyser(44_100, 1).finish()
    with pytest.raises(ValueError, match="2 channels"):
        DescriptorAnalyser(44_100, 2).push(np.zeros((10, 3), dtype=np.float32))


def test_a_worker_loads_neither_librosa_nor_numba() -> None:
    code = (
        "import sys, numpy as np; from indexer.descriptors import DescriptorAnalyser as A; "
        "a = A(44100, 2); a.push(np.ones((200_000, 2), 'f4')); a.finish(); "
        "print([m for m in ('librosa', 'numba', 'sklearn', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_music_is_described_sensibly(real_audio: Path) -> None:
    path = sorted(real_audio.glob("music/*.ogg"))[0]
    with open_audio(path) as reader:
        analyser = DescriptorAnalyser(reader.info.sample_rate, reader.info.channels)
        for block in reader.blocks():
            analyser.push(block)
    got = analyser.finish()
    assert got.loudness_lufs is not None
    assert -40 < got.loudness_lufs < -5
    assert got.key_confidence is not None
    assert got.key_confidence > 0.3

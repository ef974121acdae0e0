"""The log-mel features against an independent, slow calculation in double precision."""

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power
from tests.indexer.encoders.signals import swept_tone


def reference(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the teacher's paper describes, written down with plain sums."""
    x = samples.astype(np.float64)
    y = x[1:] - 0.97 * x[:-1]
    y = np.concatenate([y[512:0:-1], y, y[-2:-514:-1]])
    window = np.zeros(1024)
    window[112:912] = np.hanning(800)
    mel = 1127.0 * np.log(1.0 + np.arange(513) * 31.25 / 700.0)
    edges = np.linspace(0.0, 1127.0 * np.log(1.0 + 15_000.0 / 700.0), 130)
    bank = np.zeros((128, 513))
    for band in range(128):
        for k in range(512):
            rise = (mel[k] - edges[band]) / (edges[band + 1] - edges[band])
            fall = (edges[band + 2] - mel[k]) / (edges[band + 2] - edges[band + 1])
            bank[band, k] = max(0.0, min(rise, fall))
    columns = []
    for start in range(0, len(y) - 1023, 320):
        spectrum = np.fft.fft(y[start : start + 1024] * window)[:513]
        columns.append(bank @ np.abs(spectrum) ** 2)
    return (np.log(np.stack(columns, axis=1) + 1e-5) + 4.5) / 5.0


def test_features_agree_with_a_slow_calculation_in_double_precision() -> None:
    samples = swept_tone()[:40_000]
    features = log_mel(mel_power(samples))
    assert features.shape == (128, 125)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference(samples), atol=2e-3)


def test_silence_lies_at_the_floor() -> None:
    features = log_mel(mel_power(np.zeros(32_000, np.float32)))
    np.testing.assert_allclose(features, (np.log(1e-5) + 4.5) / 5.0, atol=1e-6)


@pytest.mark.parametrize("gain_db", [-30.0, 0.0, 15.0])
def test_a_window_comes_to_the_same_level_from_any_other(gain_db: float) -> None:
    samples = swept_tone() * np.float32(10.0 ** (gain_db / 20.0))
    rms_dbfs = 20.0 * np.log10(np.sqrt(np.mean(np.square(level(samples), dtype=np.float64))))
    assert rms_dbfs == pytest.approx(-24.0, abs=0.01)


def test_hiss_is_raised_by_forty_decibels_at_most() -> None:
    hiss = (1e-6 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    np.testing.assert_allclose(level(hiss), 100.0 * hiss, rtol=1e-5)


def test_digital_silence_stays_silent() -> None:
    assert not level(np.zeros(32_000, np.float32)).any()

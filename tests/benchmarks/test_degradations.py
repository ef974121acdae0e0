"""Excerpts are only a fair question if a degradation leaves their length and their time alone."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.fingerprint.degradations import CONTEXT_S, DEGRADATIONS, degrade
from benchmarks.fingerprint.materials import SR, Materials

Samples = NDArray[np.float32]

START = int(CONTEXT_S * SR)
N_SAMPLES = 3 * SR
OTHERS = ("speed_+10%", "speed_-10%", "pitch_+10%", "tempo_+10%", "tempo_-10%", "street_5dB")


@pytest.fixture(scope="module")
def materials() -> Materials:
    """Noises and rooms that need no files: the room is a decaying noise after its direct sound."""
    rng = np.random.default_rng(1)
    echoes = rng.standard_normal(SR // 2) * np.exp(-np.arange(SR // 2) / 1600) * 0.05
    echoes[0] = 1.0
    noise = rng.standard_normal((3, SR)).astype(np.float32)
    return Materials(list(noise), list(noise), [echoes.astype(np.float32)])


@pytest.fixture(scope="module")
def sound() -> Samples:
    """Bursts at uneven times: their beginnings show any shift, at every degradation."""
    rng = np.random.default_rng(2)
    made = rng.standard_normal(7 * SR).astype(np.float32) * np.float32(0.001)
    for at_s in np.cumsum(rng.uniform(0.15, 0.4, 30)):
        at = int(at_s * SR)
        length = min(1600, len(made) - at)
        if length <= 0:
            break
        times = np.arange(length) / SR
        tone = np.sin(2 * np.pi * rng.uniform(500, 3000) * times) * np.exp(-times * 30)
        made[at : at + length] += (0.3 * tone).astype(np.float32)
    return made


def _loudness(samples: Samples) -> Samples:
    """Return the level of each millisecond."""
    parts = samples[: len(samples) // 16 * 16].reshape(-1, 16)
    return np.sqrt(np.square(parts).mean(axis=1))


def _shift_ms(heard: Samples, asked: Samples, ratio: float = 1.0) -> int:
    """Return how much later `heard` is than `asked` played faster, from how both rise."""
    level = _loudness(asked)
    level = np.interp(np.arange(len(heard) // 16) * ratio, np.arange(len(level)), level)
    rises = [np.maximum(np.diff(part), 0) for part in (_loudness(heard), level)]
    lags = np.correlate(rises[0], rises[1], mode="full")
    return int(np.argmax(lags)) - (len(rises[1]) - 1)


@pytest.fixture(scope="module", params=[*DEGRADATIONS, *OTHERS])
def degraded(
    request: pytest.FixtureRequest, sound: Samples, materials: Materials
) -> Iterator[tuple[str, Samples]]:
    rng = np.random.default_rng(3)
    yield (
        request.param,
        degrade(request.param, sound, rng, materials, start=START, n_samples=N_SAMPLES),
    )


def test_an_excerpt_keeps_its_length(degraded: tuple[str, Samples]) -> None:
    _, heard = degraded
    assert heard.shape == (N_SAMPLES,)
    assert heard.dtype == np.float32


def test_an_excerpt_begins_where_it_began(degraded: tuple[str, Samples], sound: Samples) -> None:
    name, heard = degraded
    # A speed moves what comes later, in proportion; the beginning stays.
    is_faster = name.startswith(("speed", "tempo"))
    ratio = 1 + float(name.split("_")[1].rstrip("%")) / 100 if is_faster else 1.0
    # A phase vocoder smears a beginning over its window of 64 ms.
    slack_ms = 16 if name.startswith(("pitch", "tempo")) else 10
    assert abs(_shift_ms(heard, sound[START:], ratio)) <= slack_ms


def test_an_excerpt_keeps_about_its_level(degraded: tuple[str, Samples], sound: Samples) -> None:
    name, heard = degraded
    asked = sound[START : START + N_SAMPLES]
    change_db = 20 * np.log10(np.std(heard) / np.std(asked))
    assert np.isfinite(heard).all()
    # Clipping and a telephone take level away, noise at -5 dB adds 6 dB.
    assert -16 < change_db < 8, name


def test_noise_is_as_loud_as_asked(sound: Samples, materials: Materials) -> None:
    asked = sound[START : START + N_SAMPLES]
    rng = np.random.default_rng(4)
    heard = degrade("white_5dB", sound, rng, materials, start=START, n_samples=N_SAMPLES)
    snr_db = 20 * np.log10(np.std(asked) / np.std(heard - asked))
    assert snr_db == pytest.approx(5, abs=0.1)


def test_the_same_seed_gives_the_same_excerpt(sound: Samples, materials: Materials) -> None:
    once, again = (
        degrade("rerecording", sound, np.random.default_rng(5), materials) for _ in range(2)
    )
    np.testing.assert_array_equal(once, again)


def test_a_speed_change_moves_what_comes_later(sound: Samples, materials: Materials) -> None:
    heard = degrade("speed_+2%", sound, np.random.default_rng(6), materials)
    assert len(heard) == pytest.approx(len(sound) / 1.02, abs=2)


def test_an_unknown_degradation_is_an_error(sound: Samples, materials: Materials) -> None:
    with pytest.raises(ValueError, match="no degradation is called 'cassette'"):
        degrade("cassette", sound, np.random.default_rng(7), materials)

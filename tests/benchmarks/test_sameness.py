"""Where a recording holds an excerpt, sample for sample: the ground truth of the benchmark."""

import numpy as np
import pytest
from scipy import signal

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.sameness import true_places


def noise(seed: int, seconds: float) -> Samples:
    return np.random.default_rng(seed).standard_normal(round(seconds * SR)).astype(np.float32)


def test_every_place_of_a_loop_is_one() -> None:
    bar = noise(1, 2.0)
    recording = np.concatenate([bar, noise(2, 1.5), bar, 0.3 * bar])
    assert true_places(bar, recording) == pytest.approx([0.0, 3.5, 5.5], abs=1e-3)


@pytest.mark.parametrize("shared", [slice(1, 6), slice(0, 5), slice(2, 6)])
def test_a_recording_that_holds_nearly_all_that_is_heard_is_a_place(shared: slice) -> None:
    excerpt = noise(1, 6.0)
    excerpt[: 2 * SR] *= 0.05
    excerpt[5 * SR :] *= 0.05
    recording = 0.5 * excerpt[shared.start * SR : shared.stop * SR]
    assert true_places(excerpt, recording) == []
    found = true_places(excerpt, recording, outside=0.5)
    assert found == pytest.approx([-shared.start], abs=1e-3)


def test_a_recording_that_lacks_half_of_what_is_heard_is_none() -> None:
    excerpt = noise(1, 6.0)
    for recording in (excerpt[3 * SR :], np.concatenate([noise(2, 4.0), excerpt[: 4 * SR]])):
        assert true_places(excerpt, recording, outside=0.5) == []
    assert true_places(excerpt, excerpt[: 2 * SR], outside=0.5) == []


@pytest.mark.parametrize("outside", [0.0, 0.5])
def test_a_short_recording_in_the_middle_of_an_excerpt_is_none(outside: float) -> None:
    excerpt = 1e-3 * noise(1, 6.0)
    excerpt[2 * SR : 4 * SR] = noise(2, 2.0)
    assert true_places(excerpt, excerpt[2 * SR : 4 * SR], outside=outside) == []
    longer = excerpt[int(1.4 * SR) : int(4.6 * SR)]
    assert len(true_places(excerpt, longer, outside=outside)) == (outside == 0.5)


@pytest.mark.parametrize("outside", [0.0, 0.5])
def test_silence_is_not_a_place(outside: float) -> None:
    excerpt = noise(1, 2.0)
    silence = np.zeros(8 * SR, dtype=np.float32)
    recording = np.concatenate([silence, excerpt, silence])
    assert true_places(excerpt, recording, outside=outside) == pytest.approx([8.0], abs=1e-3)


@pytest.mark.parametrize("band_hz", [(3000, 3600), (3800, 4200), (100, 7900)])
def test_bright_sound_goes_with_itself_wherever_it_begins(band_hz: tuple[float, float]) -> None:
    sos = signal.butter(6, band_hz, "band", fs=SR, output="sos")
    recording = signal.sosfilt(sos, noise(1, 4.0)).astype(np.float32)
    for begin in (SR, SR + 1):
        places = true_places(recording[begin : begin + SR], recording)
        assert places == pytest.approx([begin / SR], abs=1e-4)


def test_places_a_quarter_of_a_second_apart_are_two() -> None:
    click = noise(1, 0.05)
    recording = np.concatenate([click, np.zeros(SR // 4), click, noise(2, 1.0)]).astype(np.float32)
    assert true_places(click, recording) == pytest.approx([0.0, 0.3], abs=1e-3)

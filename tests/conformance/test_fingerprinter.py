"""What every fingerprinter must do; a new one is added to the registry and is tested here."""

import numpy as np
import pytest
from numpy.typing import NDArray

from db.landmarks import Landmarks, checksum, fingerprint_fault, pack, unpack
from indexer.fingerprint import (
    FINGERPRINTERS,
    Fingerprinter,
    UnknownFingerprinter,
    load_fingerprinter,
)


@pytest.fixture(params=sorted(FINGERPRINTERS))
def fingerprinter(request: pytest.FixtureRequest) -> Fingerprinter:
    return load_fingerprinter(request.param)


def melody(sr: int, duration_s: float, seed: int = 1) -> NDArray[np.float32]:
    """Notes of random pitch that ring out, one every 0.15 s, over faint noise."""
    rng = np.random.default_rng(seed)
    sound = 1e-3 * rng.standard_normal(round(duration_s * sr))
    for onset in range(0, len(sound), round(0.15 * sr)):
        t = np.arange(min(round(0.4 * sr), len(sound) - onset)) / sr
        for partial, gain in ((1, 0.2), (2, 0.1), (3.01, 0.05)):
            frequency = partial * rng.uniform(150, 1000)
            sound[onset : onset + len(t)] += gain * np.exp(-8 * t) * np.sin(6.2832 * frequency * t)
    return sound.astype(np.float32)


def landmarks_of(
    fingerprinter: Fingerprinter, samples: NDArray[np.float32], cuts: tuple[int, ...] = ()
) -> Landmarks:
    stream = fingerprinter.stream()
    for part in np.split(samples, cuts):
        stream.push(part)
    return stream.finish()


def times_and_keys(fingerprinter: Fingerprinter, landmarks: Landmarks) -> set[tuple[int, int]]:
    keys, frames = fingerprinter.keys(landmarks)
    return set(zip(keys.tolist(), frames.tolist(), strict=True))


def test_landmarks_do_not_depend_on_where_the_samples_are_cut(
    fingerprinter: Fingerprinter,
) -> None:
    samples = melody(fingerprinter.sample_rate, 30)
    whole = landmarks_of(fingerprinter, samples)
    cut = landmarks_of(fingerprinter, samples, (1, 2, 700, 40_001, 40_001, 200_000))
    assert len(whole) > 100
    assert np.array_equal(whole.frames, cut.frames)
    assert np.array_equal(whole.frequencies, cut.frequencies)
    assert whole.n_frames == cut.n_frames


def test_landmarks_are_in_order_and_within_the_recording(fingerprinter: Fingerprinter) -> None:
    samples = melody(fingerprinter.sample_rate, 12.3)
    found = landmarks_of(fingerprinter, samples)
    assert found.frames.dtype == np.int32
    assert found.frequencies.dtype == np.uint16
    assert (np.diff(found.frames) >= 0).all()
    assert 0 <= found.frames.min() <= found.frames.max() < found.n_frames
    assert found.n_frames * fingerprinter.frame_s == pytest.approx(12.3, abs=0.1)


def test_landmarks_survive_storage(fingerprinter: Fingerprinter) -> None:
    samples = np.concatenate(
        [melody(fingerprinter.sample_rate, 4), np.zeros(9 * fingerprinter.sample_rate)]
    )
    samples = np.concatenate([samples, melody(fingerprinter.sample_rate, 3)]).astype(np.float32)
    found = landmarks_of(fingerprinter, samples)
    blob = pack(found)
    facts = {"n_landmarks": len(found), "n_frames": found.n_frames}
    back = unpack(blob, **facts)
    assert np.array_equal(back.frames, found.frames)
    assert np.array_equal(back.frequencies, found.frequencies)
    assert fingerprint_fault(blob, checksum=checksum(blob), **facts) is None


def test_a_later_beginning_moves_the_keys_and_nothing_else(fingerprinter: Fingerprinter) -> None:
    sr = fingerprinter.sample_rate
    samples = melody(sr, 20)
    late = round(fingerprinter.frame_s * sr) * 100
    whole = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples))
    part = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples[late:]))
    # The first and the last second see other surroundings.
    inner = {(key, frame) for key, frame in part if 70 < frame < 1000}
    found = {(key, frame + 100) for key, frame in inner} & whole
    assert len(found) > 0.85 * len(inner) > 200


def test_keys_fit_their_bits_and_belong_to_frames_of_the_recording(
    fingerprinter: Fingerprinter,
) -> None:
    found = landmarks_of(fingerprinter, melody(fingerprinter.sample_rate, 20))
    keys, frames = fingerprinter.keys(found)
    assert keys.dtype == np.uint32
    assert frames.dtype == np.int32
    assert len(keys) == len(frames) > 1000
    assert int(keys.max()) < 2**fingerprinter.key_bits
    assert np.isin(frames, found.frames).all()


def test_the_level_of_a_recording_does_not_matter(fingerprinter: Fingerprinter) -> None:
    samples = melody(fingerprinter.sample_rate, 20)
    loud = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples))
    soft = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples * np.float32(0.1)))
    assert len(loud & soft) > 0.9 * len(loud)


def test_noise_leaves_keys_standing_and_another_sound_leaves_none(
    fingerprinter: Fingerprinter,
) -> None:
    sr = fingerprinter.sample_rate
    samples = melody(sr, 20)
    noise = 0.05 * np.random.default_rng(3).standard_normal(len(samples)).astype(np.float32)
    clean = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples))
    noisy = times_and_keys(fingerprinter, landmarks_of(fingerprinter, samples + noise))
    other = times_and_keys(fingerprinter, landmarks_of(fingerprinter, melody(sr, 20, seed=2)))
    assert len(clean & noisy) > 0.1 * len(clean)
    assert len(clean & other) < 0.002 * len(clean)


@pytest.mark.parametrize("n_samples", [0, 1, 100, 5000])
def test_silence_has_no_landmarks(fingerprinter: Fingerprinter, n_samples: int) -> None:
    found = landmarks_of(fingerprinter, np.zeros(n_samples, dtype=np.float32))
    keys, frames = fingerprinter.keys(found)
    assert len(found) == len(keys) == len(frames) == 0
    assert found.n_frames >= 1


def test_a_sound_of_a_tenth_of_a_second_is_taken(fingerprinter: Fingerprinter) -> None:
    samples = melody(fingerprinter.sample_rate, 0.1)
    found = landmarks_of(fingerprinter, samples)
    assert len(found) > 0
    assert found.frames.max() < found.n_frames


def test_an_unknown_fingerprinter_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownFingerprinter, match="echoic-landmarks/3"):
        load_fingerprinter("landmarks/0")

"""What every encoder must hold to, whatever model is behind it."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from tests.indexer.encoders.clap_package import TINY, install_tiny

Windows = NDArray[np.float32]


@pytest.fixture(scope="module", params=[DEFAULT_ENCODER, TINY])
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Encoder]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOIC_MODELS", str(tmp_path_factory.mktemp("models")))
        if request.param == TINY:
            install_tiny()
        yield load_encoder(request.param)


@pytest.fixture(scope="module")
def windows(encoder: Encoder) -> Windows:
    """Noise, a tone, a click and near silence: one window each."""
    n = round(encoder.window_s * encoder.sample_rate)
    rng = np.random.default_rng(1)
    time_s = np.arange(n) / encoder.sample_rate
    click = np.zeros(n)
    click[n // 3] = 1.0
    sounds = [
        0.1 * rng.standard_normal(n),
        0.3 * np.sin(2 * np.pi * 440.0 * time_s),
        click,
        1e-5 * rng.standard_normal(n),
    ]
    return np.stack(sounds).astype(np.float32)


def test_it_keeps_the_protocol_under_its_registered_id(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert load_encoder(encoder.id).id == encoder.id
    assert 0 < encoder.hop_s <= encoder.window_s


def test_vectors_of_windows_are_float32_of_unit_length(encoder: Encoder, windows: Windows) -> None:
    vectors = encoder.embed_audio(windows)
    assert vectors.shape == (len(windows), encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_different_sounds_get_different_vectors(encoder: Encoder, windows: Windows) -> None:
    vectors = encoder.embed_audio(windows[:3])
    likeness = vectors @ vectors.T
    assert np.all(likeness[~np.eye(3, dtype=bool)] < 0.99)


def test_digital_silence_has_a_vector(encoder: Encoder, windows: Windows) -> None:
    vector = encoder.embed_audio(np.zeros_like(windows[:1]))
    np.testing.assert_allclose(np.linalg.norm(vector), 1.0, atol=1e-5)


def test_no_window_gives_no_vector(encoder: Encoder, windows: Windows) -> None:
    assert encoder.embed_audio(windows[:0]).shape == (0, encoder.dim)
    assert encoder.embed_text([]).shape == (0, encoder.dim)


def test_the_same_window_gives_the_same_bits_again(encoder: Encoder, windows: Windows) -> None:
    again = load_encoder(encoder.id)
    first = encoder.embed_audio(windows)
    np.testing.assert_array_equal(first, encoder.embed_audio(windows))
    np.testing.assert_array_equal(first, again.embed_audio(windows))


def test_a_vector_depends_on_its_window_alone(encoder: Encoder, windows: Windows) -> None:
    together = encoder.embed_audio(windows)
    alone = np.concatenate([encoder.embed_audio(window[None]) for window in windows])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[::-1], encoder.embed_audio(windows[::-1]))


def test_the_windows_are_left_as_they_were(encoder: Encoder, windows: Windows) -> None:
    before = windows.copy()
    encoder.embed_audio(windows)
    np.testing.assert_array_equal(windows, before)


def test_windows_of_another_length_or_shape_are_refused(encoder: Encoder, windows: Windows) -> None:
    for wrong in (windows[:, :-1], windows[0], windows[None]):
        with pytest.raises(ValueError, match="shape"):
            encoder.embed_audio(wrong)


def test_a_short_recording_is_lengthened_to_one_window(encoder: Encoder, windows: Windows) -> None:
    for length in (1, 100, encoder.sample_rate, windows.shape[1]):
        padded = encoder.pad(windows[0, :length])
        assert padded.shape == windows[0].shape
        assert padded.dtype == np.float32
        np.testing.assert_array_equal(padded[:length], windows[0, :length])


def test_nothing_and_too_much_cannot_be_padded(encoder: Encoder, windows: Windows) -> None:
    for wrong in (windows[0, :0], np.append(windows[0], np.float32(0)), windows):
        with pytest.raises(ValueError, match="shape"):
            encoder.pad(wrong)


def test_vectors_of_phrases_are_float32_of_unit_length(encoder: Encoder) -> None:
    vectors = encoder.embed_text(["dog barking", "rain on a tin roof", "x"])
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_phrase_has_one_vector_whatever_its_neighbours(encoder: Encoder) -> None:
    phrases = ["thunder", "a cat meows", "thunder"]
    together = encoder.embed_text(phrases)
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[1], encoder.embed_text(["a cat meows"])[0])


def test_blank_phrases_are_refused(encoder: Encoder) -> None:
    for blank in ("", "  \n", "\t"):
        with pytest.raises(ValueError, match="describe a sound"):
            encoder.embed_text(["dog", blank])


def test_only_of_a_very_long_phrase_the_end_is_left_unread(encoder: Encoder) -> None:
    assert encoder.unread("a dog barks, then rain") == ""
    short, long = "dog " * 10, "dog " * 10 + "rain " * 100
    assert encoder.unread(short) == ""
    rest = encoder.unread(long)
    assert rest.endswith("rain")
    assert 0 < len(rest) < len(long)
    read, other = long[: -len(rest) - 1], long.replace("rain ", "cats ")
    assert encoder.unread(read) == ""
    vectors = encoder.embed_text([long, long + "wind", other])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])

"""LAION-CLAP: prepared exactly as it was trained, and as robust as any other encoder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from indexer.encoders import load_encoder
from indexer.encoders.laion_clap.mel import fill, log_mel
from indexer.encoders.laion_clap.tokens import Tokens
from indexer.encoders.packages import package_folder, write_package
from indexer.encoders.runtime import execution_provider
from indexer.errors import EncoderError
from tests.indexer.encoders.clap_package import (
    TINY,
    install_tiny,
    write_audio_graph,
    write_text_graph,
    write_tokenizer,
)

WINDOW = 480_000


@pytest.fixture(scope="session")
def reference(real_audio: Path) -> Path:
    """What the real model gives, recorded; or a skip that says where it should be."""
    folder = real_audio.parent / "clap-reference"
    if not folder.is_dir():
        pytest.skip(f"no recorded outputs of LAION-CLAP in {folder}, beside ECHOIC_TEST_AUDIO")
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path))
    return tmp_path


def test_the_spectrogram_is_that_of_the_reference(reference: Path) -> None:
    samples, sr = sf.read(reference / "sample.wav", dtype="float32")
    assert sr == 48_000
    golden = np.load(reference / "golden_mel.npy")
    mel = log_mel(fill(samples, WINDOW))
    assert mel.shape == golden.shape == (1001, 64)
    assert mel.dtype == np.float32
    np.testing.assert_allclose(mel, golden, atol=1e-3)


def test_silence_is_at_the_floor_and_a_tone_in_its_band() -> None:
    assert (log_mel(np.zeros(WINDOW, np.float32)) == -100.0).all()
    tone = np.sin(2 * np.pi * 1000.0 * np.arange(WINDOW) / 48_000).astype(np.float32)
    mel = log_mel(tone)[500]
    slaney = 15.0  # 1 kHz, where the scale turns from linear to logarithmic
    lowest, highest = 50 / (200 / 3), slaney + np.log(14) / (np.log(6.4) / 27)
    band = (slaney - lowest) / (highest - lowest) * 65 - 1
    assert abs(int(mel.argmax()) - band) <= 1


def test_a_short_sound_is_repeated_whole_and_then_silent() -> None:
    sound = np.arange(1, 4, dtype=np.float32)
    np.testing.assert_array_equal(fill(sound, 8), [1, 2, 3, 1, 2, 3, 0, 0])
    np.testing.assert_array_equal(fill(sound, 3), sound)
    np.testing.assert_array_equal(fill(sound, 5), [1, 2, 3, 0, 0])


def test_tokens_are_those_of_the_reference(reference: Path) -> None:
    tokens = Tokens(reference / "tokenizer.json")
    assert tokens.of("a dog barking").tolist() == [0, 102, 2335, 35828, 2]
    parameters = json.loads((reference / "golden_params.json").read_text())
    text, count = parameters["warmup_text"], parameters["warmup_text_token_count"]
    assert count > 77
    cut = tokens.of(text)
    assert len(cut) == 77
    assert (cut[0], cut[-1]) == (0, 2)
    rest = tokens.beyond(text)
    assert text.strip().endswith(rest)
    # What is left out are the tokens that the reference counts beyond 77; its text ends in a blank.
    assert len(tokens.of(f" {rest} ")) - 2 == count - 77
    assert tokens.beyond(text[: -len(rest) - 1]) == ""


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    # So many entries has what the package laion-clap builds when it cannot reach the hub.
    write_tokenizer(tmp_path / "tokenizer.json", n_entries=300)
    with pytest.raises(EncoderError, match=r"50,265"):
        Tokens(tmp_path / "tokenizer.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderError, match="cannot be read"):
        Tokens(tmp_path / "tokenizer.json")


def test_a_phrase_gets_one_vector_from_graphs_with_and_without_a_mask(models: Path) -> None:
    install_tiny()
    install_tiny("laion-clap/tiny-int8", precision="int8")
    for text in ("rain", "a much longer phrase"):
        (with_mask,) = load_encoder(TINY).embed_text([text])
        (without,) = load_encoder("laion-clap/tiny-int8").embed_text([text])
        np.testing.assert_allclose(with_mask, without, atol=1e-6)


def test_case_matters_to_the_tokenizer_and_blank_ends_do_not_hide_a_phrase(models: Path) -> None:
    tokens = Tokens(install_tiny().folder / "tokenizer.json")
    encoder = load_encoder(TINY)
    lower, upper, padded, other = encoder.embed_text(["rain", "RAIN", " rain ", " wind "])
    assert not np.array_equal(lower, upper)
    assert not np.array_equal(padded, other)
    assert tokens.of(" rain ")[2:-2].tolist() == tokens.of("rain")[1:-1].tolist()
    with pytest.raises(ValueError, match="no word"):
        encoder.embed_text(["  "])


def test_samples_that_are_no_numbers_are_refused(models: Path) -> None:
    install_tiny()
    window = np.zeros((1, WINDOW), np.float32)
    window[0, 7] = np.nan
    with pytest.raises(ValueError, match="finite"):
        load_encoder(TINY).embed_audio(window)


def test_a_package_that_lacks_a_file_or_part_of_it_is_told_at_once(models: Path) -> None:
    install_tiny()
    with (package_folder(TINY) / "text.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EncoderError, match=r"text\.onnx has .* bytes.*models remove"):
        load_encoder(TINY)
    (package_folder(TINY) / "text.onnx").unlink()
    with pytest.raises(EncoderError, match=r"text\.onnx is missing"):
        load_encoder(TINY)


def test_a_graph_that_is_damaged_or_something_else_is_refused(models: Path) -> None:
    window = np.zeros((1, WINDOW), np.float32)
    audio = install_tiny().folder / "audio.onnx"
    audio.write_bytes(audio.read_bytes()[::-1])  # as long as it was
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(TINY).embed_audio(window)

    def swapped(folder: Path) -> None:
        rng = np.random.default_rng(0)
        write_text_graph(folder / "audio.onnx", rng)
        write_audio_graph(folder / "text.onnx", rng)
        write_tokenizer(folder / "tokenizer.json")

    write_package("laion-clap/swapped", swapped, licence="", source={}, precision="fp32")
    with pytest.raises(EncoderError, match=r"takes input_ids, .*where Echoic feeds input_features"):
        load_encoder("laion-clap/swapped").embed_audio(window)
    with pytest.raises(EncoderError, match="takes input_features, where Echoic feeds input_ids"):
        load_encoder("laion-clap/swapped").embed_text(["rain"])


@pytest.mark.parametrize(
    "another", [{"preparation": "as loud as it is"}, {"window_s": 7.0}, {"sample_rate": 44_100}]
)
def test_a_package_that_is_made_for_another_preparation_is_refused(
    models: Path, another: dict[str, object]
) -> None:
    path = install_tiny().folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | another))
    with pytest.raises(EncoderError, match="made for other sounds than this Echoic prepares"):
        load_encoder(TINY)


def test_a_network_that_fails_while_it_runs_is_named(models: Path) -> None:
    def narrow(folder: Path) -> None:
        rng = np.random.default_rng(0)
        write_audio_graph(folder / "audio.onnx", rng, bands=32)
        write_text_graph(folder / "text.onnx", rng)
        write_tokenizer(folder / "tokenizer.json")

    write_package("laion-clap/narrow", narrow, licence="", source={}, precision="fp32")
    with pytest.raises(EncoderError, match=r"narrow.audio\.onnx cannot be run"):
        load_encoder("laion-clap/narrow").embed_audio(np.zeros((1, WINDOW), np.float32))


def test_vectors_of_another_length_than_the_package_says_are_refused(models: Path) -> None:
    package = install_tiny(dim=64)
    model = json.loads((package.folder / "model.json").read_text())
    (package.folder / "model.json").write_text(json.dumps(model | {"dim": 32}))
    with pytest.raises(EncoderError, match="no vector of 32"):
        load_encoder(TINY).embed_text(["rain"])


def test_a_provider_that_is_not_there_is_named_with_those_that_are(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tiny()
    assert execution_provider() == "CPUExecutionProvider"
    monkeypatch.setenv("ECHOIC_PROVIDER", "CUDA")
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert execution_provider(both) == "CUDAExecutionProvider"
    monkeypatch.setenv("ECHOIC_PROVIDER", "abacus")
    with pytest.raises(EncoderError, match=r"ECHOIC_PROVIDER=abacus .* on cpu"):
        load_encoder(TINY).embed_text(["rain"])


@pytest.mark.skipif(
    "ECHOIC_TEST_CLAP" not in os.environ,
    reason="needs the real model: install it, and set ECHOIC_TEST_CLAP to its id",
)
def test_the_installed_model_gives_what_was_recorded(reference: Path) -> None:
    encoder = load_encoder(os.environ["ECHOIC_TEST_CLAP"])
    samples, _ = sf.read(reference / "sample.wav", dtype="float32")
    audio = encoder.embed_audio(encoder.pad(samples)[None])[0]
    phrases = ["a dog barking", "rain", "music", "silence", "door creaking"]
    assert float(audio @ np.load(reference / "golden_audio_emb.npy")) > 0.98
    for found, golden in zip(
        encoder.embed_text(phrases), np.load(reference / "golden_text_embs.npy"), strict=True
    ):
        assert float(found @ golden) > 0.98

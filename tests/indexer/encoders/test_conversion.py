"""Converting a checkpoint, as far as it needs no torch; ``tests/parity`` has the rest."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.encoders.conversion import converting
from indexer.encoders.conversion.converting import _put_tokenizer
from indexer.encoders.conversion.mapping import ARCHITECTURES, mapped, recognise, without_prefix
from indexer.encoders.conversion.preparation import check_preparation
from indexer.encoders.laion_clap.mel import mel_bank
from indexer.encoders.packages import (
    CONTENTS,
    TOKENIZER_FILE,
    installed,
    package_folder,
    remove_package,
    write_package,
)
from indexer.errors import EncoderError

WORDS = "text_branch.embeddings.word_embeddings.weight"
PATCHES = "audio_branch.patch_embed.proj.weight"
LAYER = "audio_branch.layers.0.blocks.1"


def weights_of(width: int, depths: tuple[int, ...]) -> dict[str, Any]:
    """The weights that an audio tower is told by, without values."""
    layers = [
        f"audio_branch.layers.{stage}.blocks.{layer}.norm1.weight"
        for stage, depth in enumerate(depths)
        for layer in range(depth)
    ]
    return {
        WORDS: np.empty((50_265, 0)),
        PATCHES: np.empty((width, 1, 4, 4)),
        **dict.fromkeys(layers, np.empty(0)),
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.name)
def test_the_audio_tower_is_told_by_its_shapes_with_or_without_the_prefix_of_several_cards(
    architecture,
):
    weights = weights_of(architecture.width, architecture.depths)
    assert recognise(weights) == architecture
    prefixed = {f"module.{name}": weight for name, weight in weights.items()}
    assert recognise(without_prefix(prefixed)) == architecture
    assert architecture.hidden_size == {"HTSAT-tiny": 768, "HTSAT-base": 1024}[architecture.name]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"audio_branch.patch_embed.fusion_model.x.weight": np.empty(1)}, "a fusion checkpoint"),
        ({PATCHES: np.empty((256, 1, 4, 4))}, "256 channels"),
        ({"audio_branch.layers.2.blocks.6.norm1.weight": np.empty(0)}, r"\(2, 2, 7, 2\) layers"),
        ({WORDS: np.empty((30_522, 0))}, "30,522 tokens where RoBERTa has 50,265"),
        ({PATCHES: None}, f"{PATCHES} is missing"),
    ],
    ids=["fusion", "large", "deeper", "BERT", "PANN"],
)
def test_a_model_of_another_kind_is_refused_with_a_sentence_that_says_which(
    change: dict[str, Any], said: str
):
    weights = {**weights_of(96, (2, 2, 6, 2)), **change}
    with pytest.raises(EncoderError, match=said):
        recognise({name: weight for name, weight in weights.items() if weight is not None})


def test_weights_get_the_names_of_transformers_and_those_of_the_training_alone_are_left_out():
    values = np.arange(12.0).reshape(6, 2)
    found = mapped(
        {
            f"{LAYER}.attn.qkv.weight": values,
            f"{LAYER}.attn.proj.weight": values,
            f"{LAYER}.attn_mask": values,
            "audio_branch.bn0.running_mean": values,
            "audio_branch.tscam_conv.weight": values,
            "audio_branch.logmel_extractor.melW": values,
            "audio_transform.sequential.0.weight": values,
            "text_branch.embeddings.position_ids": values,
            "text_projection.2.bias": values,
        }
    )
    attention = "audio_model.audio_encoder.layers.0.blocks.1.attention"
    assert {name: weight.tolist() for name, weight in found.items()} == {
        f"{attention}.self.query.weight": [[0, 1], [2, 3]],
        f"{attention}.self.key.weight": [[4, 5], [6, 7]],
        f"{attention}.self.value.weight": [[8, 9], [10, 11]],
        f"{attention}.output.dense.weight": values.tolist(),
        "audio_model.audio_encoder.batch_norm.running_mean": values.tolist(),
        "text_projection.linear2.bias": values.tolist(),
    }


def test_mel_filters_other_than_those_of_echoic_are_refused():
    filters = mel_bank().toarray().T.astype(np.float32)
    check_preparation({"audio_branch.logmel_extractor.melW": filters})
    with pytest.raises(EncoderError, match="another spectrogram"):
        check_preparation({"audio_branch.logmel_extractor.melW": np.roll(filters, 1, axis=0)})
    with pytest.raises(EncoderError, match="another spectrogram"):
        check_preparation({"audio_branch.logmel_extractor.melW": filters[:, :32]})


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is no checkpoint, and a models folder without models."""
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "models"))
    path = tmp_path / "my birds, v2.pt"
    path.write_bytes(b"no checkpoint")
    return path


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(EncoderError) as caught:
        converting.convert(path, tell=lambda _: None, progress=lambda *_: None, **options)
    assert installed() == []
    assert not list(path.parent.glob("models/laion-clap/[!.]*"))
    return str(caught.value)


def test_without_the_extra_the_message_says_what_to_install(checkpoint: Path, monkeypatch):
    monkeypatch.setattr(converting, "NEEDED", ("no_such_module", "json", "nor_this"))
    said = refusal(checkpoint)
    assert said.startswith("no_such_module, nor_this must be installed")
    assert 'pip install "echoic[clap]"' in said


def test_another_tokenizer_is_refused_before_the_checkpoint_is_read(
    checkpoint: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(converting, "NEEDED", ())
    (tmp_path / "tokenizer.json").write_text("{}")
    said = refusal(checkpoint, tokenizer=tmp_path / "tokenizer.json")
    assert "tokenizer.json is not the tokenizer of LAION-CLAP" in said
    assert "/resolve/" in said, "where to get it"


def test_a_damaged_tokenizer_of_an_installed_model_is_passed_over(
    checkpoint: Path, real_audio: Path, monkeypatch
):
    tokenizer = real_audio.parent / "clap-reference" / "tokenizer.json"
    if not tokenizer.is_file():
        pytest.skip(f"no tokenizer of LAION-CLAP at {tokenizer}")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there

    def fill(folder: Path) -> None:
        for name in CONTENTS:
            shutil.copyfile(tokenizer, folder / name)

    for version in ("a", "b"):
        write_package(f"laion-clap/{version}", fill, licence="", source={}, precision="fp32")
    place = checkpoint.with_name("tokenizer.json")
    damaged = package_folder("laion-clap/a") / TOKENIZER_FILE
    damaged.write_bytes(damaged.read_bytes().replace(b"rain", b"RAIN"))
    _put_tokenizer(place, None, lambda *_: None)
    assert place.read_bytes() == tokenizer.read_bytes()
    place.unlink()
    remove_package("laion-clap/b")
    with pytest.raises(EncoderError, match="could not be downloaded"):
        _put_tokenizer(place, None, lambda *_: None)
    assert not place.exists()


def test_a_checkpoint_that_changes_while_it_is_read_is_refused(checkpoint: Path, monkeypatch):
    monkeypatch.setattr(converting, "NEEDED", ())
    monkeypatch.setattr(converting, "_put_tokenizer", lambda *_: None)

    def run(path: Path, folder: Path, tell: object) -> None:
        path.write_bytes(b"another, which its process may have read or not")

    monkeypatch.setattr(converting, "_run", run)
    assert "was changed while it was read" in refusal(checkpoint)


def test_a_tokenizer_that_cannot_be_downloaded_is_asked_for_by_name(checkpoint: Path, monkeypatch):
    monkeypatch.setattr(converting, "NEEDED", ())
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    said = refusal(checkpoint)
    assert "--tokenizer FILE" in said and "tokenizer.json" in said


def test_a_conversion_that_fails_in_its_process_tells_why_and_leaves_nothing(
    checkpoint: Path, real_audio: Path, monkeypatch
):
    monkeypatch.setattr(converting, "NEEDED", ())
    tokenizer = real_audio.parent / "clap-reference" / "tokenizer.json"
    said = refusal(checkpoint, tokenizer=tokenizer)
    assert f"{checkpoint} cannot be converted: " in said
    # Which of them depends on whether torch is installed here.
    assert "No module named 'torch'" in said or "no checkpoint of torch" in said


def test_a_name_of_which_nothing_remains_is_refused(checkpoint: Path, monkeypatch):
    monkeypatch.setattr(converting, "NEEDED", ())
    assert "choose one with --name" in refusal(checkpoint, name="/ /")

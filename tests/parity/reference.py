"""What the package laion-clap gives: a checkpoint with random weights, and vectors by it.

Runs in the virtual environment of ``requirements.txt``, in a process of its own:
``python reference.py FOLDER HTSAT-tiny TOKENIZER SAMPLE.WAV``. It leaves in the folder

- ``checkpoint.pt``, as the published ones are: a dict with numbers of NumPy, the state of an
  optimiser and the weights under ``state_dict``, each name with ``module.`` before it;
- ``reference.npz``, the sounds and phrases with their vectors and tokens.

laion-clap loads three tokenizers and RoBERTa's weights from the network, by names that may be
folders as well. Those are laid out here: ``roberta-base`` with the real tokenizer and random
weights, and two that are loaded and never used, ``bert-base-uncased`` with five words and
``facebook/bart-base``, which has RoBERTa's byte pairs.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch

SAMPLE_RATE = 48_000
PHRASES = (
    "a dog barking",
    "rain",
    "Rain on a tin roof, with distant thunder; a door creaks and closes.",
    "café au lait — déjà vu",
    "the quick brown fox jumps over the lazy dog " * 9,  # more than 77 tokens
)


def import_torchvision() -> None:
    """Import torchvision even where it has no operators: laion-clap uses none of them."""
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):  # what it asks for while it is imported
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", signature)
        import torchvision  # noqa: F401


def lay_out(tokenizer: Path) -> None:
    """Make the folders that laion-clap finds in the place of the network."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(1)
    sizes = RobertaConfig(
        vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    RobertaModel(sizes).save_pretrained("roberta-base")
    Path("bert-base-uncased").mkdir()
    Path("bert-base-uncased/vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    for name, its_class in (("roberta-base", "Roberta"), ("facebook/bart-base", "Bart")):
        Path(name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tokenizer, f"{name}/tokenizer.json")
        settings = {"tokenizer_class": f"{its_class}Tokenizer", "model_max_length": 512}
        Path(f"{name}/tokenizer_config.json").write_text(json.dumps(settings))


def load(amodel: str):
    """Make the model, with weights that leave no layer without effect."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import laion_clap

    model = laion_clap.CLAP_Module(enable_fusion=False, device="cpu", amodel=amodel)
    assert len(model.tokenize) == 50_265, "laion-clap has made an empty tokenizer"
    scramble(model.model)
    return model


def scramble(model: torch.nn.Module) -> None:
    """Draw all weights anew: those that a new model sets to 0 or 1 would hide a mistake."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                continue  # the filters of the spectrogram, which were never trained
            if weight.ndim == 1 and name.endswith("weight"):
                weight.copy_(1.0 + 0.2 * torch.randn_like(weight))
            elif weight.ndim == 1:
                weight.copy_(0.1 * torch.randn_like(weight))
            elif weight.ndim == 2 and "embeddings" not in name:
                weight.copy_(torch.randn_like(weight) * (1.4 / weight.shape[1] ** 0.5))
        levels = model.audio_branch.bn0  # as loud as sounds are, in dB
        levels.running_mean.copy_(-40.0 + 10.0 * torch.randn_like(levels.running_mean))
        levels.running_var.copy_(200.0 + 300.0 * torch.rand_like(levels.running_var))


def save(model: torch.nn.Module, path: Path) -> None:
    """Write a checkpoint as laion-clap's training does."""
    weights = {f"module.{name}": weight for name, weight in model.state_dict().items()}
    weights["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    checkpoint = {
        "epoch": 3,
        "name": "random",
        "state_dict": weights,
        "optimizer": {"state": {0: {"step": torch.tensor(9.0), "exp_avg": torch.zeros(64)}}},
        "loss": np.float64(0.25),
        "top5": np.float32(0.5),
        "steps": np.int64(9),
    }
    torch.save(checkpoint, path)


def sounds(sample: Path) -> dict[str, np.ndarray]:
    """Sounds of several lengths by name, one of them a real recording."""
    noise = np.random.default_rng(3)

    def made(length_s: float) -> np.ndarray:
        time = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
        sweep = 0.4 * np.sin(2 * np.pi * (200 * time + 400 * time**2))
        clicks = 0.3 * (noise.random(len(time)) < 20 / SAMPLE_RATE)
        return (sweep + clicks + 0.02 * noise.standard_normal(len(time))).astype(np.float32)

    recording, rate = soundfile.read(sample, dtype="float32")
    assert rate == SAMPLE_RATE and recording.ndim == 1
    return {
        "10 s": made(10.0),
        "7.3 s": made(7.3),
        "3 s": made(3.0),
        "0.5 s": made(0.5),
        "noise": (0.1 * noise.standard_normal(10 * SAMPLE_RATE)).astype(np.float32),
        "quiet": (1e-4 * made(2.0)).astype(np.float32),
        "recording": recording,
    }


def main(folder: Path, amodel: str, tokenizer: Path, sample: Path) -> None:
    """Write the checkpoint and what laion-clap makes of the sounds and phrases."""
    os.chdir(folder)
    import_torchvision()
    lay_out(tokenizer)
    model = load(amodel)
    save(model.model, folder / "checkpoint.pt")

    from laion_clap.training.data import float32_to_int16, int16_to_float32

    clips = sounds(sample)
    found: dict[str, np.ndarray] = {"phrases": np.array(PHRASES)}
    for name, samples in clips.items():
        found[f"samples {name}"] = samples
        # Its own path rounds the samples to 16 bits first; a tensor is left as it is.
        found[f"rounded {name}"] = int16_to_float32(float32_to_int16(samples))
        found[f"vector of rounded {name}"] = model.get_audio_embedding_from_data([samples])[0]
        with torch.no_grad():
            vector = model.get_audio_embedding_from_data([torch.from_numpy(samples)], True)
        found[f"vector of {name}"] = vector[0].numpy()
    found["vector of file"] = model.get_audio_embedding_from_filelist([str(sample)])[0]
    found["vectors of phrases"] = model.get_text_embedding(list(PHRASES))
    tokens = model.tokenizer(list(PHRASES))
    found["tokens"] = np.array(tokens["input_ids"])
    found["lengths"] = np.array(tokens["attention_mask"]).sum(axis=1)
    np.savez(folder / "reference.npz", **found)


if __name__ == "__main__":
    place, name, *files = sys.argv[1:]
    main(Path(place).absolute(), name, *(Path(file).absolute() for file in files))

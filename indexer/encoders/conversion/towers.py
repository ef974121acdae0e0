"""The two networks of a checkpoint: made, written as ONNX, and compared with what was written."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ClapConfig, ClapModel

from indexer.encoders.conversion.mapping import COMPUTED, Architecture, mapped
from indexer.encoders.packages import AUDIO_FILE, TEXT_FILE
from indexer.encoders.runtime import open_session
from indexer.errors import EncoderError

TOLERANCE = 1e-4
"""How far an element of a unit vector by ONNX Runtime may be from the one by torch."""

_OPSET = 17
_N_FRAMES, _N_MELS = 1001, 64
_SEED = 0

Tell = Callable[[str], None]


class _Tower(torch.nn.Module):  # type: ignore[misc]  # torch is not checked
    """One side of the model as a function of one input, as it is exported."""

    def __init__(self, network: torch.nn.Module, projection: torch.nn.Module) -> None:
        super().__init__()
        self.network = network
        self.projection = projection

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return self.projection(self.network(value).pooler_output)


def build(weights: Mapping[str, torch.Tensor], architecture: Architecture) -> ClapModel:
    """Put original weights into the network of `transformers`.

    Parameters
    ----------
    weights : mapping of str to Tensor
        By their original names.
    architecture : Architecture

    Returns
    -------
    ClapModel
        In float32, ready to be asked.

    Raises
    ------
    EncoderError
        If one weight lacks, is one too many or has another shape.
    """
    model = ClapModel(_configuration(architecture))
    named = {
        name: weight.float() if weight.is_floating_point() else weight
        for name, weight in mapped(weights).items()
    }
    try:
        lacking, unknown = model.load_state_dict(named, strict=False, assign=True)
    except RuntimeError as error:
        raise EncoderError(f"its weights do not fit {architecture.name}: {error}") from error
    lacking = [name for name in lacking if not name.endswith(COMPUTED)]
    if lacking or unknown:
        raise EncoderError(
            f"its weights do not fit {architecture.name}: {len(lacking)} are missing"
            f"{_some(lacking)}, {len(unknown)} are not known{_some(unknown)}"
        )
    return model.eval()


def export(model: ClapModel, folder: Path, tell: Tell) -> None:
    """Write both towers as ONNX files and compare what they give with what torch gives.

    Parameters
    ----------
    model : ClapModel
    folder : Path
        Gets ``audio.onnx`` and ``text.onnx``.
    tell : callable
        Called with a sentence before each step.

    Raises
    ------
    EncoderError
        If an element of a vector differs by more than `TOLERANCE`.
    """
    numbers = torch.Generator().manual_seed(_SEED)

    def sound(n: int) -> torch.Tensor:
        return torch.rand(n, 1, _N_FRAMES, _N_MELS, generator=numbers) * 100.0 - 80.0  # dB

    def phrases(n: int, n_tokens: int) -> torch.Tensor:
        ids = torch.randint(4, 50_000, (n, n_tokens), generator=numbers)
        ids[:, 0], ids[:, -1] = 0, 2  # marks of beginning and end
        return ids

    audio = _Tower(model.audio_model, model.audio_projection).eval()
    text = _Tower(model.text_model, model.text_projection).eval()
    batch = {0: "batch"}
    tell(f"Writing {AUDIO_FILE}")
    # One tower after the other: each needs room for its weights three times.
    _write(audio, sound(2), folder / AUDIO_FILE, ("input_features", batch), "audio_embeds")
    _compare(audio, folder / AUDIO_FILE, [sound(1), sound(3)], tell)
    tell(f"Writing {TEXT_FILE}")
    tokens = {**batch, 1: "tokens"}
    _write(text, phrases(2, 9), folder / TEXT_FILE, ("input_ids", tokens), "text_embeds")
    sizes = ((1, 3), (1, 12), (3, 3), (3, 12))
    _compare(text, folder / TEXT_FILE, [phrases(*size) for size in sizes], tell)


def count_weights(model: ClapModel) -> int:
    """Return the number of a model's weights."""
    return sum(weight.numel() for weight in model.parameters())


def _configuration(architecture: Architecture) -> ClapConfig:
    configuration = ClapConfig(
        # RoBERTa's own; the default of ClapConfig is another, and shifts every vector.
        text_config={"layer_norm_eps": 1e-5},
        audio_config={
            "patch_embeds_hidden_size": architecture.width,
            "depths": list(architecture.depths),
            "num_attention_heads": list(architecture.heads),
            "hidden_size": architecture.hidden_size,
            "enable_fusion": False,
        },
    )
    configuration._attn_implementation = "eager"  # plain matrix products, which any runtime knows
    return configuration


def _write(
    tower: _Tower,
    example: torch.Tensor,
    path: Path,
    takes: tuple[str, dict[int, str]],
    gives: str,
) -> None:
    """Export a tower; the axes that are named may have any length."""
    name, axes = takes
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # The exporter by tracing: a quarter of the time of the newer one, and nothing more to install.
    # What tracing gets wrong, sizes that become constants, `_compare` finds.
    with torch.no_grad():
        torch.onnx.export(
            tower,
            (example,),
            str(path),
            input_names=[name],
            output_names=[gives],
            dynamic_axes={name: axes, gives: {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _compare(tower: _Tower, path: Path, values: list[torch.Tensor], tell: Tell) -> None:
    session = open_session(path)
    name = session.get_inputs()[0].name
    difference = 0.0
    for value in values:
        with torch.no_grad():
            wanted = _unit(tower(value).numpy())
        found = _unit(session.run(None, {name: value.numpy()})[0])
        same_shape = found.shape == wanted.shape
        apart = float(np.abs(found - wanted).max()) if same_shape else np.inf
        if not apart <= TOLERANCE:  # nor if it is not a number, which `max` would pass over
            raise EncoderError(
                f"what was written of it is wrong: {path.name} gives vectors that differ from "
                f"torch's by {apart:.1e}, more than {TOLERANCE:.0e}. Install the versions that the "
                "extra `clap` names"
            )
        difference = max(difference, apart)
    tell(f"Compared with torch: {path.name} differs by {difference:.0e} at most")


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def _some(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""

"""Turn a checkpoint into the files that Echoic ships, and check that nothing was lost."""

import hashlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.nn.utils.fusion import fuse_conv_bn_eval

from indexer.encoders.echoic_mini.encoder import (
    ANCHORS_FILE,
    AUDIO_FILE,
    BACKGROUND_FILE,
    MODEL_FILE,
    TEXT_FILE,
)
from training.anchors import anchors
from training.background import background
from training.model import AudioNetwork, Residual

ID = "echoic-mini/2"
LAWS = {
    "words": {"offset": 0.9, "slope": 2.5},
    "example": {"offset": 3.2, "slope": 3.0},
}
"""How sure a score is: to be fitted anew for new weights, see ``benchmarks/absent.py``."""
FRAMES = 500
PREPARATION = (
    "mono at 32 kHz, a recording shorter than 1.67 s followed by silence to 1.67 s, one shorter "
    "than 5 s repeated, window raised or lowered to -24 dBFS (by 40 dB up at most), pre-emphasis, "
    "STFT 1024/800/320, 128 mel bands to 15 kHz, (ln(power + 1e-5) + 4.5) / 5"
)


class Packaged(nn.Module):
    """The network with its two halves brought to equal length and joined: unit vectors."""

    def __init__(self, network: AudioNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> Tensor:
        words, likeness = self.network(mel)
        halves = [F.normalize(words, dim=1), F.normalize(likeness, dim=1)]
        return torch.cat(halves, dim=1) * 0.5**0.5


def load_network(checkpoint: Path) -> tuple[AudioNetwork, int]:
    """The averaged network of a checkpoint, its normalisations folded in, rounded to float16.

    Returns
    -------
    network : AudioNetwork
    step : int
        How long it was trained.
    """
    state = torch.load(checkpoint, weights_only=True)
    averaged = state["averaged"]
    dims = (averaged["words.bias"].numel(), averaged["likeness.bias"].numel())
    network = AudioNetwork(*dims)
    network.load_state_dict(averaged)
    network.eval()
    network.stem[0] = fuse_conv_bn_eval(network.stem[0], network.stem[1])
    network.stem[1] = nn.Identity()
    for block in network.stages:
        if not isinstance(block, Residual):
            raise TypeError(f"a stage of another kind: {type(block).__name__}")
        block.first = fuse_conv_bn_eval(block.first, block.first_norm)
        block.second = fuse_conv_bn_eval(block.second, block.second_norm)
        block.first_norm = block.second_norm = nn.Identity()
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut[1] = fuse_conv_bn_eval(block.shortcut[1], block.shortcut[2])
            block.shortcut[2] = nn.Identity()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    return network, int(state["step"])


def write_onnx(network: AudioNetwork, path: Path) -> None:
    """Export to ONNX with weights stored as float16 and computed as float32.

    Raises
    ------
    ValueError
        If the graph does not give what PyTorch gives, at batch sizes 1 and 3.
    """
    packaged = Packaged(network).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            packaged,
            (torch.zeros(2, 1, 128, FRAMES),),
            str(path),
            input_names=["mel"],
            output_names=["vector"],
            dynamic_shapes={"mel": {0: torch.export.Dim("n")}},
            opset_version=18,
            dynamo=True,
            external_data=False,
            optimize=True,
            verbose=False,
        )
    _store_as_half(path)
    session = ort.InferenceSession(str(path))
    for batch in (1, 3):
        mel = torch.randn(batch, 1, 128, FRAMES, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            wanted = packaged(mel).numpy()
        given = session.run(["vector"], {"mel": mel.numpy()})[0]
        difference = float(np.abs(given - wanted).max())
        print(f"ONNX against PyTorch, batch of {batch}: largest difference {difference:.1e}")
        if difference > 1e-4:
            raise ValueError(f"the ONNX graph differs from PyTorch by {difference}")


def _store_as_half(path: Path) -> None:
    """Halve the file: weights as float16, cast once when the session is made."""
    model = onnx.load(str(path))
    casts, kept = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            kept.append(tensor)
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        kept.append(numpy_helper.from_array(half, f"{tensor.name}_half"))
        casts.append(
            helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT)
        )
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for node in model.graph.node:  # where in our source a node came from, with local paths
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def npy(array: NDArray[np.generic]) -> bytes:
    """An array as the content of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def package(
    *, checkpoint: Path, text: Path, teacher: Path, work: Path, out: Path, training: dict[str, Any]
) -> None:
    """Write the weights, the background, the anchors and, last, ``model.json`` into `out`.

    Parameters
    ----------
    checkpoint, text : Path
        What `distil.train` and `text.train` wrote.
    teacher : Path
        Folder of the tagger, for the names of its classes.
    work : Path
        What `data.prepare` and `teacher.listen` wrote, for the background and the anchors.
    out : Path
        ``indexer/encoders/echoic_mini``.
    training : dict
        What to say of the training in ``model.json``.
    """
    network, step = load_network(checkpoint)
    audio = out / f"{AUDIO_FILE}.partial"
    write_onnx(network, audio)
    contents = {AUDIO_FILE: audio.read_bytes(), TEXT_FILE: text.read_bytes()}
    audio.unlink()
    vectors = background(contents[AUDIO_FILE], work)
    contents[BACKGROUND_FILE] = npy(vectors.astype(np.float16))
    contents[ANCHORS_FILE] = anchors(
        contents[AUDIO_FILE], contents[TEXT_FILE], vectors, teacher=teacher, work=work
    )
    model = {
        "id": ID,
        "sample_rate": 32_000,
        "window_s": 5.0,
        "hop_s": 2.5,
        "dim": network.words.out_features + network.likeness.out_features,
        "preparation": PREPARATION,
        "licence": "Apache-2.0",
        "laws": LAWS,
        "training": training | {"steps": step},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    description = (json.dumps(model, indent=2) + "\n").encode()
    for name, content in (contents | {MODEL_FILE: description}).items():
        partial = out / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(out / name)
    print(f"{ID}: {sum(len(c) for c in contents.values()) / 1e6:.2f} MB in {out}")

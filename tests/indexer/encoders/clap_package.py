"""A model package with the files of LAION-CLAP, its graphs' real signature and random weights.

Small and quick, so that whatever needs an installed encoder can be tested without the real one.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from indexer.encoders.packages import (
    AUDIO_FILE,
    TEXT_FILE,
    TOKENIZER_FILE,
    ModelPackage,
    write_package,
)

TINY = "laion-clap/tiny"
DIM = 512
_ROWS = 1_000
_WIDTH = 32


def install_tiny(
    id_: str = TINY,
    *,
    seed: int = 0,
    precision: str = "fp32",
    dim: int = DIM,
    rows: int = _ROWS,
) -> ModelPackage:
    """Write a package into the models folder.

    Parameters
    ----------
    precision : str
        The published fp32 text graph takes a mask and gives its hidden states, too; the quantised
        one takes token ids alone.
    rows : int
        The text tower knows so many tokens. With 150 it knows letters, but not blanks.
    """

    def fill(folder: Path) -> None:
        rng = np.random.default_rng(seed)
        write_audio_graph(folder / AUDIO_FILE, rng, dim=dim)
        write_text_graph(folder / TEXT_FILE, rng, dim=dim, with_mask=precision == "fp32", rows=rows)
        write_tokenizer(folder / TOKENIZER_FILE)

    return write_package(
        id_,
        fill,
        licence="CC0-1.0",
        source={"kind": "test"},
        precision=precision,
        dim=dim,
    )


def write_audio_graph(
    path: Path, rng: np.random.Generator, *, dim: int = DIM, bands: int = 64
) -> None:
    """``input_features`` (batch, 1, 1001, 64) to ``audio_embeds`` (batch, dim), not unit length."""
    nodes = [
        helper.make_node("Squeeze", ["input_features", "one"], ["mel"]),
        helper.make_node("Div", ["mel", "fifty"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "filters"], ["heard"]),
        helper.make_node("Tanh", ["heard"], ["bent"]),
        helper.make_node("ReduceMean", ["bent", "one"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["audio_embeds"]),
    ]
    constants = {
        "one": np.array([1]),
        "fifty": np.float32(50.0),
        "filters": rng.standard_normal((bands, _WIDTH)).astype(np.float32) / 4,
        "weights": rng.standard_normal((_WIDTH, dim)).astype(np.float32),
        "bias": rng.standard_normal(dim).astype(np.float32) / 8,
    }
    features = helper.make_tensor_value_info(
        "input_features", TensorProto.FLOAT, ["batch_size", "num_channels", "height", "width"]
    )
    _write(path, nodes, [features], {"audio_embeds": ["batch_size", dim]}, constants)


def write_text_graph(
    path: Path,
    rng: np.random.Generator,
    *,
    dim: int = DIM,
    with_mask: bool = True,
    rows: int = _ROWS,
) -> None:
    """``input_ids`` (batch, tokens), and a mask if asked for, to ``text_embeds`` (batch, dim)."""
    shape = ["batch_size", "sequence_length"]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)]
    outputs: dict[str, list[str | int]] = {"text_embeds": ["batch_size", dim]}
    nodes = [
        helper.make_node("Mod", ["input_ids", "rows"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["states"]),
    ]
    constants = {
        "rows": np.int64(_ROWS),
        "first": np.array([1]),
        "table": rng.standard_normal((rows, _WIDTH)).astype(np.float32),
        "weights": rng.standard_normal((_WIDTH, dim)).astype(np.float32),
        "bias": rng.standard_normal(dim).astype(np.float32) / 8,
    }
    if with_mask:
        constants["last"] = np.array([2])
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape))
        outputs = {"last_hidden_state": [*shape, _WIDTH], **outputs}
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["kept"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["kept", "last"], ["mask"]),
            helper.make_node("Mul", ["states", "mask"], ["last_hidden_state"]),
        ]
    nodes += [
        helper.make_node(
            "ReduceMean",
            ["last_hidden_state" if with_mask else "states", "first"],
            ["mean"],
            keepdims=0,
        ),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["text_embeds"]),
    ]
    _write(path, nodes, inputs, outputs, constants)


def write_tokenizer(path: Path, *, n_entries: int = 50_265) -> None:
    """A byte-level tokenizer of the size of RoBERTa's, with its marks in their places."""
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    fillers = (f"<filler {number}>" for number in range(n_entries))
    names = [*marks, *letters]
    names += [next(fillers) for _ in range(n_entries - len(names) - 1)]
    names.append("<mask>")
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"])
    )
    # The published one asks for padding, which would be wrong here.
    tokenizer.enable_padding(pad_id=vocabulary["<pad>"], pad_token="<pad>", length=128)
    tokenizer.save(str(path))


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: dict[str, list[str | int]],
    constants: dict[str, np.ndarray],
) -> None:
    graph = helper.make_graph(
        nodes,
        "tower",
        inputs,
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())

"""Which weight of an original checkpoint is which in ``transformers.ClapModel``.

The same networks, by other names: where the original keeps queries, keys and values of the audio
tower in one matrix, `transformers` has three.

References
----------
.. [1] K. Chen, X. Du, B. Zhu, Z. Ma, T. Berg-Kirkpatrick, S. Dubnov, "HTS-AT: A Hierarchical
       Token-Semantic Audio Transformer for Sound Classification and Detection", ICASSP 2022.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.errors import EncoderError

VOCABULARY = 50_265
"""Entries of RoBERTa's tokenizer, and so rows of the text tower's first layer."""

COMPUTED = (".position_ids", ".token_type_ids")
"""Ends of the names that `ClapModel` gives to what it counts off by itself."""

_PARALLEL = "module."  # every name begins so if the model was trained on several cards
_FUSION = (".fusion_model.", ".mel_conv1d.", ".mel_conv2d.")
_PATCHES = "audio_branch.patch_embed.proj.weight"
_WORDS = "text_branch.embeddings.word_embeddings.weight"

_NOT_USED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor)\."  # Echoic prepares the sound
    r"|audio_branch\.(tscam_conv|head)\."  # names classes of AudioSet
    r"|(audio|text)_transform\."  # served the training alone
    r"|.*\.(attn_mask|position_ids)$"  # counted off
)
_RENAMED = (
    (r"^text_branch\.", "text_model."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"\.bn0\.", ".batch_norm."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"_projection\.0\.", "_projection.linear1."),
    (r"_projection\.2\.", "_projection.linear2."),
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """One of the audio towers that LAION-CLAP was trained with.

    Attributes
    ----------
    name : str
        As laion-clap calls it.
    width : int
        Channels of a patch of the spectrogram.
    depths : tuple of int
        Layers of the four stages, each of which has twice the channels of the one before.
    heads : tuple of int
        Of the attention in each stage.
    """

    name: str
    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...] = (4, 8, 16, 32)

    @property
    def hidden_size(self) -> int:
        """Channels of the last stage."""
        return self.width << (len(self.depths) - 1)


ARCHITECTURES = (
    Architecture("HTSAT-tiny", width=96, depths=(2, 2, 6, 2)),
    Architecture("HTSAT-base", width=128, depths=(2, 2, 12, 2)),
)


def without_prefix(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights by the names that they have in a model trained on one card."""
    return {name.removeprefix(_PARALLEL): weight for name, weight in weights.items()}


def recognise(weights: Mapping[str, Any]) -> Architecture:
    """Tell the audio tower by the shapes of its weights.

    Parameters
    ----------
    weights : mapping of str to tensor
        By their original names, see `without_prefix`.

    Raises
    ------
    EncoderError
        If the model is none of `ARCHITECTURES` with RoBERTa; the message says what it is, if it
        can be told.
    """
    if any(mark in name for name in weights for mark in _FUSION):
        raise EncoderError(
            "it is a fusion checkpoint, which listens to four pieces of a long recording at once, "
            "drawn at random; Echoic needs one without fusion, as 630k-audioset-best.pt"
        )
    if _PATCHES not in weights or _WORDS not in weights:
        raise EncoderError(
            "it holds no LAION-CLAP of HTSAT and RoBERTa: "
            f"{' and '.join(name for name in (_PATCHES, _WORDS) if name not in weights)} is missing"
        )
    rows = weights[_WORDS].shape[0]
    if rows != VOCABULARY:
        raise EncoderError(
            f"its text tower knows {rows:,} tokens where RoBERTa has {VOCABULARY:,}: "
            "it was trained with another tokenizer"
        )
    width, depths = weights[_PATCHES].shape[0], _depths(weights)
    for architecture in ARCHITECTURES:
        if (architecture.width, architecture.depths) == (width, depths):
            return architecture
    known = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise EncoderError(
        f"its audio tower has {width} channels and {depths} layers: Echoic knows {known}"
    )


def mapped(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights by the names that they have in `ClapModel`, those that it needs.

    Parameters
    ----------
    weights : mapping of str to tensor
        By their original names. A name that is not known keeps its place in the result, so that
        `ClapModel` refuses it.
    """
    result: dict[str, Any] = {}
    for name, weight in weights.items():
        if _NOT_USED.match(name):
            continue
        new = name
        for pattern, replacement in _RENAMED:
            new = re.sub(pattern, replacement, new)
        if ".qkv." in new:
            third = weight.shape[0] // 3
            for i, part in enumerate(("query", "key", "value")):
                result[new.replace("qkv", part)] = weight[i * third : (i + 1) * third]
        else:
            result[new] = weight
    return result


def _depths(weights: Iterable[str]) -> tuple[int, ...]:
    """Count the layers of each stage of the audio tower."""
    found = {
        (int(match[1]), int(match[2]))
        for name in weights
        if (match := re.match(r"audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.", name))
    }
    stages = {stage for stage, _ in found}
    return tuple(sum(one == stage for one, _ in found) for stage in sorted(stages))

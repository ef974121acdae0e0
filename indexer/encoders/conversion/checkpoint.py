"""The weights in an original checkpoint, read without running anything that is in it.

A checkpoint is a pickle, and a plain pickle can run any code when it is read. This one is read by
torch's reader for weights alone, which makes tensors and nothing else, beside the few types that
NumPy's numbers consist of: the published checkpoints note their losses in them.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from indexer.encoders.conversion.mapping import without_prefix
from indexer.errors import EncoderError

_STATE = "state_dict"
_REFUSED = re.compile(r"GLOBAL (\S+)|whose module (\S+) is blocked")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a model by their original names.

    They are mapped from the file, so that the state of the optimiser, two thirds of a published
    checkpoint, is never read.

    Parameters
    ----------
    path : Path
        As `torch.save` writes it: the weights, or a dict that has them under ``state_dict``.

    Raises
    ------
    EncoderError
        If it cannot be read, would run code, or holds no weights.
    """
    try:
        with torch.serialization.safe_globals(_numpy_types()):
            found = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise EncoderError(_refusal(str(error))) from error
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise EncoderError(
            f"it cannot be read ({_first_line(error)}): it is damaged, or no checkpoint of torch"
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get(_STATE), Mapping):
        found = found[_STATE]
    if not isinstance(found, Mapping):
        raise EncoderError(f"it holds no weights, but a {type(found).__name__}")
    weights = {
        str(name): weight for name, weight in found.items() if isinstance(weight, torch.Tensor)
    }
    if not weights:
        raise EncoderError(f"it holds no weights under {_STATE!r}")
    return without_prefix(weights)


def _numpy_types() -> list[Any]:
    """The makers of NumPy's numbers, by the names that NumPy 1 and NumPy 2 write."""
    makes_number = np.float64(0.0).__reduce__()[0]
    numbers = (np.float64, np.float32, np.int64, np.int32)
    return [
        np.dtype,
        *(type(np.dtype(number)) for number in numbers),
        (makes_number, "numpy.core.multiarray.scalar"),
        (makes_number, "numpy._core.multiarray.scalar"),
    ]


def _refusal(message: str) -> str:
    refused = _REFUSED.search(message)
    if refused is None:
        return "it is damaged, or no checkpoint of torch"
    return (
        f"it is refused, for reading it would call {refused[1] or refused[2]}, which no weights "
        "need. It may be an attack: take the checkpoint from its publisher again"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__

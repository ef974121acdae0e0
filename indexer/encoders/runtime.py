"""ONNX Runtime, silenced: from version 1.31 on it would report its use to its makers.

Whoever needs it imports it from here, so that no process of Echoic loads it in any other way.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from indexer.errors import EncoderError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: it begins there

import onnxruntime as ort

ort.disable_telemetry_events()

PROVIDER_VARIABLE = "ECHOIC_PROVIDER"
"""The environment variable that names what a model runs on. Worker processes inherit it."""

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}


def execution_provider(available: Sequence[str] | None = None) -> str:
    """Return the name of the execution provider that the user asks for: the CPU by default.

    Parameters
    ----------
    available : sequence of str, optional
        What there is; by default what this ONNX Runtime was built with.

    Raises
    ------
    EncoderError
        If there is no such provider in this ONNX Runtime; the message lists those there are.
    """
    wanted = os.environ.get(PROVIDER_VARIABLE, "").lower() or "cpu"
    there = ort.get_available_providers() if available is None else available
    here = [name for name, provider in _PROVIDERS.items() if provider in there]
    if wanted not in here:
        raise EncoderError(
            f"{PROVIDER_VARIABLE}={wanted} cannot be done: this ONNX Runtime runs models on "
            f"{', '.join(here)}. Choose one of these, or install the onnxruntime that has it "
            "(onnxruntime-gpu for cuda, onnxruntime-directml for directml) in place of yours"
        )
    return _PROVIDERS[wanted]


def open_session(path: Path) -> ort.InferenceSession:
    """Load a graph on the execution provider that the user asks for, with one thread.

    One thread: the pipeline runs one process a core, and a sum that is split among threads would
    depend on their number.

    Raises
    ------
    EncoderError
        If the file cannot be loaded, or the provider is not there or does not start.
    """
    provider = execution_provider()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # ONNX Runtime's errors have no common class of their own
        raise EncoderError(f"the network {path} cannot be loaded: {error}") from error
    # A provider whose libraries are missing is passed over with a warning; nobody asked for that.
    if provider not in session.get_providers():
        raise EncoderError(
            f"{provider} does not start for {path}: are its driver and libraries installed? "
            f"Without {PROVIDER_VARIABLE} the model runs on the CPU"
        )
    return session


__all__ = ["PROVIDER_VARIABLE", "execution_provider", "open_session", "ort"]

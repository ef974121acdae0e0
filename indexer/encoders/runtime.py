"""ONNX Runtime, silenced: from version 1.31 on it would report its use to its makers.

Whoever needs it imports it from here, so that no process of Echoic loads it in any other way.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import: it begins there

import onnxruntime as ort

ort.disable_telemetry_events()

__all__ = ["ort"]

"""echoic-mini: the audio-text encoder that comes with Echoic.

Importing this loads neither onnxruntime nor scipy; making an `EchoicMini` does.
"""

from indexer.encoders.echoic_mini.encoder import EchoicMini

__all__ = ["EchoicMini"]

"""LAION-CLAP: the full-quality encoder, from a model package that the user has installed.

Importing this loads neither onnxruntime nor tokenizers; embedding does.

References
----------
.. [1] Y. Wu, K. Chen, T. Zhang, Y. Hui, T. Berg-Kirkpatrick, S. Dubnov, "Large-scale Contrastive
       Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption Augmentation",
       ICASSP 2023.
"""

from indexer.encoders.laion_clap.encoder import LaionClap

__all__ = ["LaionClap"]

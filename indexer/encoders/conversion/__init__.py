"""Original checkpoints of LAION-CLAP -> model packages.

`converting` does it and loads nothing heavy; the rest runs in a process of its own, ``python -m
indexer.encoders.conversion``, and needs the extra ``clap`` (torch, transformers and onnx). The
package laion-clap is not needed: its weights are put into the same network as `transformers` has
it, for that exports rightly. In laion-clap's own, the size of the batch becomes a constant when it
is exported, so that its graph is silently wrong for every other size.
"""

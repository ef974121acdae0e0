"""How well and how fast recordings are identified by fingerprint.

Run from the project's root: ``python -m benchmarks.fingerprint``.
"""

"""Manifests of public collections, of the demo archive and of evaluation sets.

Each is a CSV file with a TOML file for its header; see docs/manifests.md.
"""

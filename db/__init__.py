"""The catalogue: SQL tables, index files, consistency. Knows nothing of audio or models."""

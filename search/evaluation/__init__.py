"""How well an encoder finds what is known to be there; ``docs/evaluation.md`` is the protocol."""

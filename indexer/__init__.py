"""Audio in, rows out: decode, segment, embed, describe, store."""

"""Draws of the fingerprint benchmark's excerpts."""

from benchmarks.fingerprint.corpus import seed


def test_a_draw_is_the_same_each_time_and_unlike_any_other() -> None:
    draws = {
        (split, draw, kind): seed(split, draw, kind).integers(1 << 60)
        for split in ("dev", "test")
        for draw in (1, 2, 3)
        for kind in ("matches", "negatives")
    }
    assert len(set(draws.values())) == len(draws)
    assert all(seed(*what).integers(1 << 60) == drawn for what, drawn in draws.items())

"""Changes of speed and pitch that queries are tried for."""

from collections.abc import Sequence

from indexer.landmarks import Change

_STEP = 0.004


def changes_within(most: float, *, kinds: Sequence[str] = ("speed", "pitch")) -> list[Change]:
    """Return the changes to try, up to a share of the original: 0.024 for 2.4 %.

    Parameters
    ----------
    kinds
        Of ``"speed"`` (a tape: tempo and pitch together), ``"pitch"`` and ``"tempo"`` (each alone).
    """
    n_steps = int(most / _STEP + 1e-9)
    factors = [1 + _STEP * step for step in range(-n_steps, n_steps + 1) if step]
    made = {
        "speed": lambda factor: Change(factor, factor),
        "pitch": lambda factor: Change(1.0, factor),
        "tempo": lambda factor: Change(factor, 1.0),
    }
    return [made[kind](factor) for kind in kinds for factor in factors]


def scaled(change: Change, factor: float) -> Change:
    """Return a change times a factor, where it is one."""
    return Change(
        change.speed * factor if change.speed != 1 else 1.0,
        change.pitch * factor if change.pitch != 1 else 1.0,
    )

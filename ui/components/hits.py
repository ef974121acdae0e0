"""The list of hits: cards with pictures, and one player for the whole page."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).resolve().parent
_HINT = "Space plays and stops · ↑ ↓ next sound · ← → next passage · L repeats · / searches"


@cache
def _component() -> Any:
    return st.components.v2.component(
        "echoic_hits",
        css=(_FOLDER / "hits.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "hits.js").read_text(encoding="utf-8"),
    )


def hit_list(
    cards: Sequence[dict[str, Any]],
    *,
    key: str,
    label: str,
    on_action: Callable[[dict[str, Any]], None] | None = None,
    hint: bool = False,
) -> None:
    """Show cards.

    Parameters
    ----------
    cards
        As `ui.web.cards` makes them.
    label
        What the list is, for those who do not see it.
    on_action
        Told what somebody asked for by a card's button: its ``kind``, the ``recording`` and the
        passage, ``from`` and ``to`` in seconds. It runs before the page is made anew.
    hint
        Say which keys do what.
    """

    def acted() -> None:
        action = st.session_state[key]["action"]
        if on_action is not None and action:
            on_action(dict(action))

    data = {"cards": list(cards), "label": label, "hint": _HINT if hint else ""}
    _component()(key=key, data=data, on_action_change=acted)

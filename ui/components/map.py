"""The map: every recording a point, to be heard, opened and selected."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).resolve().parent
MOST_GROUPS = 8
"""So many groups have a colour of their own."""


@cache
def _component() -> Any:
    return st.components.v2.component(
        "echoic_map",
        css=(_FOLDER / "map.css").read_text(encoding="utf-8"),
        js=(_FOLDER / "map.js").read_text(encoding="utf-8"),
    )


def sound_map(
    address: str,
    *,
    key: str,
    n: int,
    groups: Sequence[tuple[str, int]],
    n_selected: int = 0,
    cleared: int = 0,
    on_action: Callable[[dict[str, Any]], None],
) -> None:
    """Show a map.

    Parameters
    ----------
    address
        Where the browser gets the points from: another one for other points or other groups.
    n
        How many points there are.
    groups
        Label and size of each group, at most `MOST_GROUPS`.
    n_selected
        So many are taken to be selected. A map that is newly on the page has nothing selected, and
        says so by an action.
    cleared
        When this number changes, the selection is taken back.
    on_action
        Told what somebody asked for: ``kind`` is ``"open"``, with ``recording``, or ``"select"``,
        with ``ids``. It runs before the page is made anew.
    """

    def acted() -> None:
        action = st.session_state[key]["action"]
        if action:
            on_action(dict(action))

    data = {
        "address": address,
        "n": n,
        "groups": [{"label": label, "n": size} for label, size in groups],
        "n_selected": n_selected,
        "cleared": cleared,
    }
    _component()(key=key, data=data, on_action_change=acted)

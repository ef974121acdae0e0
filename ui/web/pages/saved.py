"""Saved: lists of passages, and searches that are kept."""

from typing import Any

import streamlit as st

from ui.web.archive import Archive
from ui.web.pages.common import follow, show_page
from ui.web.pages.lists import show_lists
from ui.web.pages.searches import show_searches

LISTS, SEARCHES = "Lists", "Searches"


def page() -> None:
    """Show the page."""
    show_page(_saved)


def _saved(served: Archive) -> None:
    follow()
    options: dict[str, Any] = {}
    if "kind" not in st.session_state:
        asked = st.query_params.get("show", "").capitalize()
        options["default"] = SEARCHES if asked == SEARCHES else LISTS
    kind = st.segmented_control(
        "What is saved",
        [LISTS, SEARCHES],
        key="kind",
        required=True,
        label_visibility="collapsed",
        **options,
    )
    if kind == SEARCHES:
        st.query_params.from_dict({"show": SEARCHES.lower()})
        show_searches(served)
    else:
        st.query_params.pop("show", None)
        show_lists(served)

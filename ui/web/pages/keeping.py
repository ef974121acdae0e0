"""Add to a list: a passage, or all that a search found."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from db.lists import NewEntry, add_entries, lists
from ui.commands.common import count_text
from ui.web.archive import Archive
from ui.web.keeping import entry_of_action
from ui.web.pages.common import plain, telling, wants_all_hits
from ui.web.texts import title_of

Find = Callable[[], Sequence[NewEntry]]


def keep(action: dict[str, Any], query: str = "") -> None:
    """Remember that somebody wants to keep a passage; `offer_to_keep` asks in which list."""
    st.session_state["to_keep"] = (action, query)


def offer_to_keep(served: Archive) -> None:
    """Ask for a list if somebody wants to keep a passage; say what was kept."""
    if said := st.session_state.pop("kept", None):
        st.toast(plain(said), icon=":material/playlist_add_check:")
    if wanted := st.session_state.pop("to_keep", None):
        entry = entry_of_action(served.catalogue, *wanted)
        title = title_of(served.catalogue.recording(entry.recording_id))
        ask_for_list(served, lambda: [entry], title)


def ask_for_list(served: Archive, find: Find, what: str, find_all: Find | None = None) -> None:
    """Ask for a list, and put passages into it.

    Parameters
    ----------
    find
        Gives the passages that are on the page.
    what
        Names them.
    find_all
        Gives all passages, if there are more.
    """
    # Each time anew: Streamlit keeps what was typed before if the page is not done with that yet.
    n_asked = st.session_state["n_asked_for_list"] = st.session_state.get("n_asked_for_list", 0) + 1
    _list_form(served, find, what, find_all, str(n_asked))


@st.dialog("Add to a list")
def _list_form(served: Archive, find: Find, what: str, find_all: Find | None, key: str) -> None:
    st.markdown(plain(what))
    wants_all = find_all is not None and wants_all_hits(f"{key}_kept_which")
    names = [info.name for info in lists(served.catalogue)]
    last = st.session_state.get("last_list")
    name = st.selectbox(
        "List",
        names,
        index=names.index(last) if last in names else None,
        accept_new_options=True,
        placeholder="Choose one, or type the name of a new one" if names else "Name your list",
        key=f"{key}_list",
    )
    note = st.text_input("Note", placeholder="What to remember about it", key=f"{key}_note")
    if st.button("Add", type="primary", disabled=not name) and name:
        with telling():
            found = find_all() if wants_all and find_all is not None else find()
            noted = [replace(one, note=note) for one in found]
            n_added = add_entries(served.catalogue, name, noted)
            st.session_state["last_list"] = name
            st.session_state["kept"] = _said(name, n_added, len(noted) - n_added)
            st.rerun()


def _said(name: str, n_added: int, n_present: int) -> str:
    there = f"; {count_text(n_present, 'was', 'were')} in it already" if n_present else ""
    return f"Added {count_text(n_added, 'passage')} to {name}{there}."

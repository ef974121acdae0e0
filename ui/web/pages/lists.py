"""Lists of passages: hear, order, take out, export."""

import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from db.list_editing import put_back, shift_entry, take_out
from db.lists import ListEntry, entries, lists, make_list, remove_list, rename_list
from search.export import ExportOptions
from search.saved import hits_of_entries, hits_of_list
from ui.commands.common import count_text
from ui.components.hits import hit_list
from ui.web.archive import Archive
from ui.web.cards import Card, entry_card
from ui.web.pages.common import open_recording, plain
from ui.web.pages.deeds import later, tell_fault
from ui.web.pages.exporting import export_form

_PAGE = 50


def show_lists(served: Archive) -> None:
    """Show the lists, and what is in the one that was chosen."""
    tell_fault()
    known = {info.name: info.n_entries for info in lists(served.catalogue)}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = _chosen(row, known)
    with row.popover("New list", icon=":material/add:", width="content"):
        _new(served)
    if name is None:
        st.info(
            "No lists yet. A list keeps passages in an order of your own: press **Add to list** "
            "at what you find, or make an empty one."
        )
        return
    lost = entries(served.catalogue, name, present=False)
    n_here = max(0, known[name] - len(lost))
    _manage(served, name, known[name], n_here)
    _taken_out(served, name)
    _entries(served, name, n_here)
    if lost:
        _lost(served, name, lost)


def _chosen(place: Any, known: dict[str, int]) -> str | None:
    """Let somebody choose a list; the address holds its name."""
    if not known:
        st.query_params.pop("list", None)
        return None
    kept = st.session_state
    wanted = kept.get("list") or st.query_params.get("list") or kept.get("last_list")
    # A list that was renamed or deleted must not stay chosen.
    st.session_state["list"] = wanted if wanted in known else next(iter(known))
    name: str = place.selectbox(
        "List", list(known), key="list", format_func=lambda one: f"{one} ({known[one]:,})"
    )
    st.query_params["list"] = name
    return name


def _new(served: Archive) -> None:
    def make() -> None:
        name = st.session_state["new_list_name"]
        make_list(served.catalogue, name)
        st.session_state["new_list_name"] = ""
        _choose(name)

    with st.form("new_list", border=False):
        st.text_input("Name of the new list", key="new_list_name")
        st.form_submit_button("Make it", type="primary", on_click=later(make))


def _choose(name: str) -> None:
    """Choose a list at the next run: the box that shows it has been drawn in this one."""
    st.session_state.pop("list", None)
    st.query_params["list"] = name


# -- The whole list ------------------------------------------------------------------------------


def _manage(served: Archive, name: str, n_all: int, n_here: int) -> None:
    row = st.container(horizontal=True)
    with row.popover("Export", icon=":material/download:", width="content", disabled=not n_here):
        export_form(
            served,
            lambda: hits_of_list(served.catalogue, name)[0],
            key="list",
            options=ExportOptions(title=name),
            name=_file_name(name),
        )
    with (
        row.popover("Rename", icon=":material/edit:", width="content"),
        st.form("rename_list", border=False),
    ):
        key = f"rename_{name}"
        st.text_input("New name", value=name, key=key)
        deed = later(lambda: _rename(served, name, st.session_state[key]))
        st.form_submit_button("Rename", type="primary", on_click=deed)
    with row.popover("Delete", icon=":material/delete:", width="content"):
        st.markdown(
            f"Delete the list **{plain(name)}** with {count_text(n_all, 'passage')}? "
            "No recording is touched."
        )
        deed = later(lambda: _remove(served, name))
        st.button("Delete the list", type="primary", on_click=deed)


def _rename(served: Archive, name: str, new_name: str) -> None:
    rename_list(served.catalogue, name, new_name)
    if (taken := st.session_state.get("taken_out")) is not None and taken[0] == name:
        st.session_state["taken_out"] = (new_name, taken[1])
    _choose(new_name)


def _remove(served: Archive, name: str) -> None:
    remove_list(served.catalogue, name)
    st.session_state.pop("taken_out", None)
    st.session_state.pop("list", None)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w\-() ]+", "_", name).strip() or "echoic"


# -- What is in it -------------------------------------------------------------------------------


def _entries(served: Archive, name: str, n_here: int) -> None:
    n_shown = st.session_state.setdefault("n_entries", _PAGE)
    found = entries(served.catalogue, name, present=True, limit=n_shown)
    if not found:
        st.markdown("Nothing is in it yet: press **Add to list** at what you find.")
        return
    hits, gone = hits_of_entries(served.catalogue, found)
    gone_keys = {entry.key for entry in gone}
    pairs = list(zip([one for one in found if one.key not in gone_keys], hits, strict=True))

    def act(action: dict[str, Any]) -> None:
        later(lambda: _act(served, name, action))()

    cards: list[Card] = [
        entry_card(entry, hit, first=at == 1, last=at == n_here)
        for at, (entry, hit) in enumerate(pairs, start=1)
    ]
    hit_list(cards, key="entries", label=f"Passages in {name}", on_action=act, hint=True)
    if n_here > n_shown:
        st.button(
            f"Show more of the {n_here:,}",
            on_click=lambda: st.session_state.update(n_entries=n_shown + _PAGE),
        )


def _act(served: Archive, name: str, action: dict[str, Any]) -> None:
    """Do what a card's button asks for, before the page is made anew."""
    match action["kind"]:
        case "open":
            open_recording(action)
        case "out":
            _take_out(served, name, [action["entry"]])
        case "up" | "down":
            shift_entry(served.catalogue, name, action["entry"], up=action["kind"] == "up")


def _take_out(served: Archive, name: str, keys: Sequence[str]) -> None:
    st.session_state["taken_out"] = (name, take_out(served.catalogue, name, keys))


def _taken_out(served: Archive, name: str) -> None:
    """Offer to put back what was taken out last."""
    taken = st.session_state.get("taken_out")
    if taken is None or taken[0] != name:
        return
    found: list[ListEntry] = taken[1]

    def undo() -> None:
        put_back(served.catalogue, name, found)
        st.session_state.pop("taken_out", None)

    what = f"Passage {found[0].number} was" if len(found) == 1 else f"{len(found):,} passages were"
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(f"{what} taken out.", width="content")
    row.button(
        "Put it back" if len(found) == 1 else "Put them back",
        icon=":material/undo:",
        on_click=later(undo),
        type="tertiary",
    )


def _lost(served: Archive, name: str, lost: Sequence[ListEntry]) -> None:
    n = count_text(len(lost), "passage is", "passages are")
    with st.expander(f"{n} of recordings that the archive does not hold any more"):
        for entry in lost[:_PAGE]:
            st.caption(plain(f"{entry.number}. {entry.path} {entry.note}"))
        if len(lost) > _PAGE:
            st.caption(f"… and {len(lost) - _PAGE:,} more.")
        st.markdown("They come back when the same files are indexed again.")
        keys = [entry.key for entry in lost]
        deed = later(lambda: _take_out(served, name, keys))
        st.button("Take them out of the list", on_click=deed)

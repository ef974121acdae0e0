"""Searches that are kept: run them again, see what is new since the last time."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from db.saved_searches import (
    SavedSearch,
    mark_seen,
    newest_recording,
    remove_search,
    rename_search,
    saved_searches,
)
from search.language import parse
from search.saved import NewMatches
from ui.commands.common import count_text
from ui.components.hits import hit_list
from ui.web import asking
from ui.web.archive import Archive
from ui.web.cards import KEEP, OPEN, hit_card
from ui.web.pages.common import go_to, open_recording, plain, telling
from ui.web.pages.deeds import later, tell_fault
from ui.web.pages.keeping import keep, offer_to_keep
from ui.web.pages.sounds import take_away

_MOST_SHOWN = 50


def show_searches(served: Archive) -> None:
    """Show the searches that are kept, and what is new to each."""
    offer_to_keep(served)
    tell_fault()
    found = saved_searches(served.catalogue)
    if not found:
        st.info(
            "No saved searches yet. Search for something, then press **Save search**: here you "
            "see later what has come into the archive since."
        )
    newest = newest_recording(served.catalogue)
    for number, search in enumerate(found):
        with st.container(border=True):
            _search(served, number, search, newest)


def _search(served: Archive, number: int, search: SavedSearch, newest: int) -> None:
    st.markdown(f"**{plain(search.name)}**  \n{plain(search.query)}")
    row = st.container(horizontal=True)
    if row.button("Open", icon=":material/search:", key=f"open_{search.name}", type="primary"):
        _open(search.query)
    _manage(served, row, number, search)
    with telling():
        _news(served, number, search, newest)


def _open(query: str) -> None:
    take_away("example")
    st.session_state["asked"] = query
    go_to("", q=query)


def _manage(served: Archive, row: Any, number: int, search: SavedSearch) -> None:
    with (
        row.popover("Rename", icon=":material/edit:", width="content"),
        st.form(f"rename_{number}", border=False),
    ):
        key = f"rename_to_{search.name}"
        st.text_input("New name", value=search.name, key=key)
        st.form_submit_button(
            "Rename",
            type="primary",
            on_click=later(
                lambda: rename_search(served.catalogue, search.name, st.session_state[key])
            ),
        )
    with row.popover("Delete", icon=":material/delete:", width="content"):
        st.markdown(f"Forget the search **{plain(search.name)}**? No recording is touched.")
        st.button(
            "Delete the search",
            type="primary",
            key=f"delete_{number}",
            on_click=later(lambda: remove_search(served.catalogue, search.name)),
        )


# -- What is new ---------------------------------------------------------------------------------


def _news(served: Archive, number: int, search: SavedSearch, newest: int) -> None:
    since = f"{search.seen_at.astimezone():%Y-%m-%d %H:%M}"
    if newest <= search.last_seen:
        st.caption(f"Nothing has come into the archive since {since}.")
        return
    matches = _matches(served, search, newest)
    hits = matches.results.hits
    if not hits:
        st.caption(f"Nothing new since {since}.")
    said = count_text(len(hits), "new sound")
    if hits:
        with st.expander(f"{said} since {since}", key=f"new_{number}"):
            _show(search, hits, f"news_{number}")
    if not matches.is_complete:
        st.caption(
            f"There may be more than these {len(hits):,}, and all of them stay new: open the "
            "search and narrow it down, or let them go."
        )
    _seen(served, number, search, matches)


def _seen(served: Archive, number: int, search: SavedSearch, matches: NewMatches) -> None:
    said = "I have seen this" if matches.results.hits else "Look from here on"
    st.button(
        said if matches.is_complete else "Look from here on all the same",
        icon=":material/done:",
        key=f"seen_{number}",
        type="tertiary",
        help="What comes into the archive from now on is new the next time.",
        on_click=later(lambda: mark_seen(served.catalogue, search.name, matches.up_to)),
    )


def _matches(served: Archive, search: SavedSearch, newest: int) -> NewMatches:
    """Return what is new to a search; asked once as long as nothing else comes."""
    asking.check_files(parse(search.query), served.folders)
    kept: dict[str, Any] = st.session_state.setdefault("news", {})
    state = (search.query, search.last_seen, newest)
    if kept.get(search.name, (None,))[0] != state:
        kept[search.name] = (state, served.new_matches(search.name))
    found: NewMatches = kept[search.name][1]
    return found


def _show(search: SavedSearch, hits: Sequence[Any], key: str) -> None:
    cards = [hit_card(hit, n, query=search.query) for n, hit in enumerate(hits[:_MOST_SHOWN], 1)]
    for card in cards:
        card["actions"] = [KEEP, OPEN]

    def act(action: dict[str, Any]) -> None:
        if action["kind"] == "keep":
            keep(action, search.query)
        else:
            open_recording(action, search.query)

    hit_list(cards, key=key, label=f"New to {search.name}", on_action=act)
    if len(hits) > _MOST_SHOWN:
        st.caption(f"The best {_MOST_SHOWN} are shown.")

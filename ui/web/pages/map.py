"""Map: every recording a point, those that sound alike together."""

from typing import Any

import streamlit as st

from db.lists import NewEntry
from db.overview import count_recordings
from search.archive_map import MapPoints
from search.map_file import MapError
from ui.commands.common import count_text
from ui.components.map import sound_map
from ui.web import settings
from ui.web.archive import Archive
from ui.web.jobs import Jobs, Progress
from ui.web.map_view import COLOURS, drawing, field_that_tells, fields_that_differ, within
from ui.web.pages.common import follow, go_to, open_recording, plain, show_page
from ui.web.pages.keeping import ask_for_list, offer_to_keep
from ui.web.pages.sounds import take_away

_REFRESH_S = 1.0
_LONGEST_CONDITION = 4_000
"""An address holds about so much of a question."""

drawing_jobs = Jobs("the map is being drawn already: wait until it is done")
"""Of this server."""


def page() -> None:
    """Show the page."""
    show_page(_map)


def _map(served: Archive) -> None:
    follow()
    offer_to_keep(served)
    if not count_recordings(served.catalogue):
        st.info("The archive is empty. Take a folder of sounds in on the page Archive.")
        return
    if _is_drawing():
        return
    fields = fields_that_differ(served.catalogue)
    if st.session_state.get("map_colours") not in fields:
        st.session_state["map_colours"] = field_that_tells(served.catalogue, fields)
    row = st.container(
        horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"
    )
    field = row.selectbox(
        "Colours", fields, format_func=COLOURS.__getitem__, key="map_colours", width=220
    )
    try:
        found = drawing(served, field)
    except MapError as error:
        st.error(plain(str(error)))
        _offer_to_draw("Draw the map")
        return
    if found is None:
        st.markdown(
            "#### There is no map yet\n\nIt shows every recording as a point, those that sound "
            "alike together. To draw it takes some seconds for thousands of recordings, and one to "
            "four minutes for a hundred thousand."
        )
        _offer_to_draw("Draw the map", first=True)
        return
    _state(row, served, found.points)
    sound_map(
        found.address(field),
        key="map",
        n=len(found.points.recordings),
        groups=found.groups,
        n_selected=len(st.session_state.get("map_selection", [])),
        cleared=st.session_state.get("map_cleared", 0),
        on_action=_act,
    )
    _selected(served)


def _state(row: Any, served: Archive, points: MapPoints) -> None:
    """Say how new the map is, and what is not on it."""
    n = len(points.recordings)
    n_lacking = count_recordings(served.catalogue) - n
    said = [f"{count_text(n, 'recording')}. Those that sound alike lie together."]
    if points.n_new:
        lie = "lies" if points.n_new == 1 else "lie"
        said.append(
            f"{count_text(points.n_new, 'new recording')} since it was drawn: {lie} beside what "
            "sounds alike."
        )
    if n_lacking > 0:
        said.append(
            f"{count_text(n_lacking, 'recording is', 'recordings are')} not on it: the encoder "
            "has not heard them yet; index the folder again."
        )
    if not len(served.catalogue.columns().has("heard")):
        said.append("The command “echoic tag” gives colours by what is heard.")
    row.caption(plain(" ".join(said)), width="content")
    if points.n_new or points.n_gone:
        _offer_to_draw("Draw anew")


# -- Drawing -------------------------------------------------------------------------------------


def _offer_to_draw(label: str, *, first: bool = False) -> None:
    if not settings.is_local:
        st.info("`echoic map --anew` draws it, on the machine where the archive is.")
        return
    if st.button(label, type="primary" if first else "secondary"):
        drawing_jobs.start([("Drawing the map", ["map", "--anew", "--events"])])
        st.rerun()


def _is_drawing() -> bool:
    """Show how far the drawing is; say what went wrong."""
    job = drawing_jobs.job
    if job is None:
        return False
    if not job.progress.is_running:
        if job.progress.has_failed and st.session_state.get("seen_drawing") is not job:
            st.error(plain(f"The map could not be drawn. {job.progress.said[-600:]}"))
            seen = {"seen_drawing": job}
            st.button("Close", key="close_drawing", on_click=st.session_state.update, args=(seen,))
        return False

    @st.fragment(run_every=_REFRESH_S)
    def live() -> None:
        _show(job.progress)
        if not job.progress.is_running:
            st.rerun()
        st.button("Stop", on_click=job.stop)

    live()
    return True


def _show(progress: Progress) -> None:
    st.progress(progress.share, text=plain(progress.doing))


# -- What is selected ----------------------------------------------------------------------------


def _act(action: dict[str, Any]) -> None:
    if action["kind"] == "open":
        open_recording(action)
    else:
        st.session_state["map_selection"] = [int(id_) for id_ in action["ids"]]


def _selected(served: Archive) -> None:
    """Offer what can be done with the recordings that were selected."""
    ids: list[int] = st.session_state.get("map_selection", [])
    if not ids:
        return
    st.markdown(f"**{count_text(len(ids), 'recording')} selected**")
    condition = within(ids)
    too_many = len(condition) > _LONGEST_CONDITION
    with st.container(horizontal=True):
        if st.button("Add to a list", icon=":material/playlist_add:"):
            new = [NewEntry(id_) for id_ in ids]
            ask_for_list(served, lambda: new, count_text(len(ids), "recording"))
        if st.button(
            "Search within them",
            icon=":material/search:",
            disabled=too_many,
            help="Too many for a question: select fewer." if too_many else None,
        ):
            take_away("example")
            st.session_state["asked"] = condition
            go_to("", q=condition)
        st.button("Clear", icon=":material/close:", on_click=_clear)


def _clear() -> None:
    st.session_state["map_selection"] = []
    st.session_state["map_cleared"] = st.session_state.get("map_cleared", 0) + 1

"""Export: hits as a file for another program."""

from collections.abc import Callable, Sequence

import streamlit as st

from search.export import EXPORTS, FRAME_RATES, ExportOptions
from search.hits import Hit
from ui.commands.common import count_text
from ui.web.archive import Archive
from ui.web.exports import WITH_SOUND, MadeFile
from ui.web.pages.common import plain, telling, wants_all_hits

Find = Callable[[], Sequence[Hit]]


def export_form(
    served: Archive,
    find: Find,
    *,
    key: str,
    options: ExportOptions,
    name: str = "echoic",
    find_all: Find | None = None,
) -> None:
    """Offer hits in every format.

    A file is made when somebody asks for it, and offered until the page is made anew: what it was
    made of may be another then.

    Parameters
    ----------
    find
        Gives the hits.
    key
        Which form of the page it is.
    options
        Its frame rate is asked for.
    name
        Of the file, without its ending.
    find_all
        Gives all hits, if there are more than `find` gives.
    """
    st.session_state.pop(f"{key}_made", None)
    _form(served, find, key, options, name, find_all)


@st.fragment
def _form(
    served: Archive, find: Find, key: str, options: ExportOptions, name: str, find_all: Find | None
) -> None:
    format_ = st.selectbox(
        "Format", list(EXPORTS), format_func=lambda one: EXPORTS[one].title, key=f"{key}_format"
    )
    frame_rate = options.frame_rate
    if format_ == "edl":
        rates = list(FRAME_RATES)
        index = rates.index(frame_rate)
        frame_rate = st.selectbox("Frames a second", rates, index=index, key=f"{key}_rate")
    wants_all = find_all is not None and wants_all_hits(f"{key}_which")
    chosen = ExportOptions(options.title, options.labels, frame_rate)
    wanted = (format_, frame_rate, wants_all)
    made: MadeFile | None = None
    offered = st.session_state.get(f"{key}_made")
    if offered is not None and offered[0] == wanted:
        made = offered[1]
    place = st.empty()
    if made is None and place.button("Make the file", type="primary", key=f"{key}_make"):
        place.empty()
        with telling(), st.spinner("Cutting the passages" if format_ in WITH_SOUND else "Writing"):
            hits = find_all() if wants_all and find_all is not None else find()
            made = served.exports.make(hits, format_, chosen, title=name)
            st.session_state[f"{key}_made"] = (wanted, made)
    if made is not None:
        _download(made, format_)


def _download(made: MadeFile, format_: str) -> None:
    for note in made.notes:
        st.caption(plain(f"Note: {note}."))
    said = f"{EXPORTS[format_].title}, {count_text(made.n_hits, 'sound')}"
    st.link_button("Download", made.address, type="primary", help=said)

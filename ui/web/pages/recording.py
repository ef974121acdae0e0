"""One recording: all of its picture, what is known of it, what sounds like it."""

import streamlit as st

from db.errors import UnknownName
from db.records import RecordingInfo
from search.copies import copies_of
from search.export import full_path
from search.hits import Passage
from search.query import Archived, Query, Sound
from ui.commands.common import duration_text, size_text
from ui.components.hits import hit_list
from ui.web import asking
from ui.web.archive import Archive
from ui.web.cards import OPEN, hit_card, recording_card
from ui.web.pages.common import (
    facts_table,
    follow,
    go_to,
    open_recording,
    plain,
    show_page,
    telling,
)
from ui.web.texts import description_rows, descriptor_rows, format_text

_SIMILAR = 6


def page() -> None:
    """Show the page."""
    show_page(_recording)


def _recording(served: Archive) -> None:
    follow()
    number, text = st.query_params.get("id", ""), st.query_params.get("q", "")
    if st.button("Back to the search", icon=":material/arrow_back:", type="tertiary"):
        go_to("", **({"q": text} if text else {}))
    if not (number.isdecimal() and len(number) < 19):
        raise UnknownName("choose a recording on the page Search")
    recording = served.catalogue.recording(int(number))
    passages = _passages(served, text, recording)
    card = recording_card(recording, passages, large=True, key="page-")
    hit_list([card], key="recording", label="Recording", hint=True)
    if text and not passages:
        st.caption("No passage of it is a sure answer to your search.")
    told, measured = st.columns(2, gap="large")
    with told:
        st.markdown("#### What is written about it")
        facts_table(description_rows(recording) or [("", "Nothing.")])
    with measured:
        st.markdown("#### The recording")
        facts_table(_technical_rows(recording))
    _copies(served, recording)
    _similar(served, recording)


def _passages(served: Archive, text: str, recording: RecordingInfo) -> tuple[Passage, ...]:
    if not text.strip():
        return ()
    with telling():
        return served.occurrences(asking.read(text), recording.id)
    return ()


def _technical_rows(recording: RecordingInfo) -> list[tuple[str, str]]:
    places = "\n".join(full_path(file) for file in recording.files)
    technical = recording.technical
    return [
        ("Length", duration_text(technical.duration_s)),
        ("Format", f"{format_text(technical)}, {size_text(recording.size_bytes)}"),
        *descriptor_rows(recording),
        *(("Beware", warning) for warning in technical.warnings),
        ("Lies in" if len(recording.files) == 1 else "Lies, the same, in", places),
    ]


def _copies(served: Archive, recording: RecordingInfo) -> None:
    if not recording.n_landmarks:
        return
    st.markdown("#### Copies and re-uses of it")
    wanted = f"copies_{recording.id}"
    if not st.session_state.get(wanted):
        st.button("Look for them", on_click=lambda: st.session_state.update({wanted: True}))
        return
    with st.spinner("Comparing with the whole archive"):
        ids = copies_of(served.catalogue, served.file_of(recording.id)[0])
    found = served.catalogue.recordings(int(id_) for id_ in ids if id_ != recording.id)
    if not found:
        st.markdown("None: the archive holds it once.")
        return
    cards = [recording_card(info, key="copy-") | {"actions": [OPEN]} for info in found.values()]
    hit_list(cards, key="copies", label="Copies", on_action=open_recording)


def _similar(served: Archive, recording: RecordingInfo) -> None:
    st.markdown("#### Sounds like it")
    query = Query((Sound((Archived(recording.id),)),))
    with telling():
        results = served.search(query, k=_SIMILAR + 1)
        near = [*results.hits, *results.near_misses]
        others = [hit for hit in near if hit.recording.id != recording.id][:_SIMILAR]
        cards = [hit_card(hit, n, query="") for n, hit in enumerate(others, start=1)]
        for card in cards:
            card["actions"] = [OPEN]
        if cards:
            hit_list(cards, key="similar", label="Similar sounds", on_action=open_recording)
        else:
            st.markdown(plain("Nothing else in the archive comes near."))

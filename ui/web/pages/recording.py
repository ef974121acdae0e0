"""One recording: all of its picture, what is known of it, what sounds like it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from db.conditions import Condition, Range
from db.errors import UnknownName
from db.heard import heard_in
from db.overview import contents_stamp
from db.records import RecordingInfo
from search.export import full_path
from search.fingerprints import Match
from search.hits import Passage, Source
from search.originals import original
from search.query import Archived, Query, Sound
from search.rehearing import unread_note
from ui.commands.common import duration_text, exact_span_text, size_text
from ui.components.hits import hit_list
from ui.web import asking
from ui.web.archive import Archive
from ui.web.cards import KEEP, MORE, OPEN, hit_card, recording_card
from ui.web.pages.common import (
    facts_table,
    follow,
    go_to,
    open_recording,
    plain,
    show_page,
    telling,
    through_file,
)
from ui.web.pages.keeping import keep, offer_to_keep
from ui.web.pages.sounds import clip_of, take_away
from ui.web.texts import description_rows, descriptor_rows, format_text

_SIMILAR = 6
_LEAST_SIMILAR = 0.1
_MOST_SPANS = 3
_MOST_REUSES = 50


def page() -> None:
    """Show the page."""
    show_page(_recording)


def _recording(served: Archive) -> None:
    follow()
    if wanted := st.session_state.pop("to_search", None):
        go_to("", q=wanted)
    offer_to_keep(served)
    number, text = st.query_params.get("id", ""), st.query_params.get("q", "")
    if st.button("Back to the search", icon=":material/arrow_back:", type="tertiary"):
        go_to("", **({"q": text} if text else {}))
    if not (number.isdecimal() and len(number) < 19):
        raise UnknownName("choose a recording on the page Search")
    recording = served.catalogue.recording(int(number))
    query = _asked(served, text)
    passages = _passages(served, query, recording)
    card = recording_card(recording, passages or (), large=True, key="page-")
    card["actions"] = [MORE, KEEP]

    def act(action: dict[str, Any]) -> None:
        if action["kind"] == "keep":
            keep(action, text)
        else:
            _search_for_more(action)

    hit_list([card], key="recording", label="Recording", on_action=act, hint=True)
    if query is not None and passages == ():
        st.caption(_how_it_answers(served, query, recording))
    told, measured = st.columns(2, gap="large")
    with told:
        st.markdown("#### What is written about it")
        facts_table(description_rows(recording) or [("", "Nothing.")])
        if heard := heard_in(served.catalogue, [recording.id]).get(recording.id):
            st.markdown("#### What is heard in it")
            facts_table([(one.label, f"{one.score:.2f}") for one in heard])
    with measured:
        st.markdown("#### The recording")
        facts_table(_technical_rows(recording))
    with telling():
        _copies(served, recording)
    _similar(served, recording)


def _asked(served: Archive, text: str) -> Query | None:
    """Return the search that led here; None if it cannot be read."""
    with telling():
        return asking.read(text, clip_of(served, st.query_params.get("clip", "")))
    return None


def _passages(
    served: Archive, query: Query | None, recording: RecordingInfo
) -> tuple[Passage, ...] | None:
    """Return the passages that answer the search; None if it asks for no sound."""
    with telling():
        if query is not None and query.sounds:
            return served.occurrences(query, recording.id)
    return None


def _how_it_answers(served: Archive, query: Query, recording: RecordingInfo) -> str:
    """Say why a search gives a recording that has no passage for it."""
    this = Condition("id", (Range(float(recording.id), float(recording.id)),))
    hits = served.search(replace(query, conditions=(*query.conditions, this)), k=1).hits
    if any(Source.WORDS in hit.found_by for hit in hits):
        return "It answers by its name and tags."
    return "No passage of it is a sure answer to your search."


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


def _search_for_more(action: dict[str, Any]) -> None:
    """Remember that somebody wants more like a passage, as a search of its own."""
    text = asking.more_like("", action["recording"], action["from"], action["to"])
    take_away("example")
    st.session_state["asked"] = st.session_state["to_search"] = text


def _copies(served: Archive, recording: RecordingInfo) -> None:
    if not recording.n_landmarks:
        return
    st.markdown("#### Copies and re-uses of it")
    wanted, state = f"copies_{recording.id}", contents_stamp(served.catalogue)
    if st.session_state.get(wanted, ("",))[0] != state:
        if not st.button("Look for them"):
            return
        path = original(served.catalogue, recording.id).path
        unread = dict[int, str]()
        with through_file("Comparing with the archive", recording.technical.duration_s) as told:
            found = served.identify(
                path, all_occurrences=True, on_progress=told, on_unread=unread.__setitem__
            )
        others = [one for one in found if one.recording.id != recording.id]
        st.session_state[wanted] = (state, others, unread_note(unread) if unread else "")
    _, others, note = st.session_state[wanted]
    _reuses(others)
    if note:
        st.caption(f"Note: {plain(note)}.")


def _reuses(matches: Sequence[Match]) -> None:
    """Show which recordings share what with this one."""
    if not matches:
        st.markdown("None: the archive holds it once.")
        return
    of_one: dict[int, list[Match]] = {}
    for match in matches:
        of_one.setdefault(match.recording.id, []).append(match)
    cards = []
    for found in list(of_one.values())[:_MOST_REUSES]:
        passages = [Passage(one.onset_s, one.offset_s, 1.0) for one in found]
        card = recording_card(found[0].recording, passages, key="copy-", exact=True)
        spans = [exact_span_text(one.query_onset_s, one.query_offset_s) for one in found]
        card["remark"] = f"The same as {', '.join(spans[:_MOST_SPANS])} of this recording"
        cards.append(card | {"actions": [KEEP, OPEN]})
    hit_list(cards, key="copies", label="Copies and re-uses", on_action=_act)
    if len(of_one) > len(cards):
        st.caption(
            f"There are {len(of_one) - len(cards):,} more: `echoic identify --all-occurrences` "
            "lists all."
        )


def _act(action: dict[str, Any]) -> None:
    (keep if action["kind"] == "keep" else open_recording)(action)


def _similar(served: Archive, recording: RecordingInfo) -> None:
    st.markdown("#### Sounds like it")
    query = Query((Sound((Archived(recording.id),)),))
    with telling():
        results = served.search(query, k=_SIMILAR + 1)
        near = [*results.hits, *results.near_misses]
        near = [hit for hit in near if hit.score >= _LEAST_SIMILAR]
        others = [hit for hit in near if hit.recording.id != recording.id][:_SIMILAR]
        cards = [hit_card(hit, n, query="") for n, hit in enumerate(others, start=1)]
        for card in cards:
            card["actions"] = [KEEP, OPEN]
        if cards:
            hit_list(cards, key="similar", label="Similar sounds", on_action=_act)
        else:
            st.markdown(plain("Nothing else in the archive comes near."))

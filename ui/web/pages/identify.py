"""Identify: which recording is this, and where in it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from db.overview import contents_stamp
from db.records import RecordingInfo
from search.cue_sheet import CueSheet
from search.fingerprints import EXCERPT_S, Match
from search.hits import Passage
from search.rehearing import unread_note
from search.too_little import too_little
from ui.commands.common import exact_span_text
from ui.commands.matches import change_text, odds_text
from ui.components.hits import hit_list
from ui.web.archive import Archive
from ui.web.cards import match_card, upload_card
from ui.web.pages.common import (
    follow,
    go_to,
    open_recording,
    plain,
    show_page,
    telling,
    through_file,
)
from ui.web.pages.keeping import keep, offer_to_keep
from ui.web.pages.sounds import given, sound_input, take_away
from ui.web.texts import title_of
from ui.web.uploads import Upload

_PROGRAMME_S = 60.0
"""What is longer is a programme: what was played when."""


def page() -> None:
    """Show the page."""
    show_page(_identify)


def _identify(served: Archive) -> None:
    follow()
    offer_to_keep(served)
    found = given(served, "clip")
    if found is None:
        st.markdown(
            "#### Which recording is this?\n"
            "Drop a clip in, or hold the microphone to a loudspeaker. A few seconds are enough; "
            "noise, other formats and slightly wrong tape speeds are no hindrance. A long file is "
            "gone through from beginning to end: what was played when."
        )
        with telling():
            sound_input(served, "clip")
        return
    upload, title = found
    st.query_params["clip"] = upload.name
    matches, notes = _answered(served, upload)
    _heading(matches)
    itself = served.identical(upload.path)
    if itself is not None:
        st.markdown(f"This very file is in the archive: **{plain(title_of(itself))}**")
    spans = [Passage(m.query_onset_s, m.query_offset_s, 1.0) for m in matches]
    clip = upload_card(upload, title, spans)
    if matches:
        _answer(clip, matches, upload, title, itself)
    else:
        hit_list([clip], key="clip_card", label="Your clip", hint=True)
        _say_what_may_help(upload)
        notes = [*notes, *served.not_identified]
    for note in notes:
        st.caption(f"Note: {plain(note)}.")
    row = st.container(horizontal=True)
    if row.button("Search for what sounds like it", icon=":material/search:"):
        _search_like_it()
    row.button("Try another clip", icon=":material/refresh:", on_click=take_away, args=("clip",))


def _say_what_may_help(upload: Upload) -> None:
    if why := too_little(upload.path):
        st.markdown(f"There was nothing to go by: {plain(why)}.")
        return
    if upload.duration_s > EXCERPT_S:
        better = "10 to 15 s of it as a clip of its own, for that is looked for harder"
    else:
        better = "a clip of up to 15 s with more sound in it"
    st.markdown(
        f"What may help: {better}. Another performance of the same "
        "piece is not recognised, nor is a sound of the same kind: to find those, search for "
        "what sounds like it."
    )


def _search_like_it() -> None:
    """Take the clip to the page Search, in place of what was asked there."""
    st.session_state["example"] = st.session_state["clip"]
    st.session_state["asked"] = ""
    go_to("", example=st.session_state["clip"][0])


def _answered(served: Archive, upload: Upload) -> tuple[list[Match], list[str]]:
    """Return what was recognised, and what is to be known of it.

    Asked once for each clip, as long as the archive is the same. A programme takes its time: it is
    gone through again only when somebody says so.
    """
    kept: dict[str, tuple[str, list[Match], list[str]]]
    kept = st.session_state.setdefault("matches", {})
    state = contents_stamp(served.catalogue)
    asked, matches, notes = kept.get(upload.name, (None, [], []))
    is_over = asked not in (None, state) and (
        upload.duration_s <= _PROGRAMME_S
        or st.button("The archive has changed since: go through it again")
    )
    if asked is None or is_over:
        unread, notes = dict[int, str](), list[str]()
        with through_file("Listening and comparing", upload.duration_s) as told:
            matches = served.identify(
                upload.path,
                on_progress=told,
                on_unread=unread.__setitem__,
                on_warning=lambda warning: notes.append(f"your clip: {warning}"),
            )
        if unread:
            notes.append(unread_note(unread))
        kept[upload.name] = (state, matches, notes)
    return matches, notes


def _heading(matches: Sequence[Match]) -> None:
    if not matches:
        st.info("**Nothing in this archive matches.**", icon=":material/hearing:")
    elif len(matches) == 1:
        title = plain(title_of(matches[0].recording))
        span = _span(matches[0].onset_s, matches[0].offset_s)
        st.success(f"This is **{title}**, {span}", icon=":material/check_circle:")
    else:
        st.success(f"**{len(matches)} passages recognised**", icon=":material/check_circle:")


def _answer(
    clip: dict[str, object],
    matches: Sequence[Match],
    upload: Upload,
    title: str,
    itself: RecordingInfo | None,
) -> None:
    cards = [match_card(match, n, _certainty(match)) for n, match in enumerate(matches, start=1)]
    if len(matches) == 1:
        # The same stretch of both, one above the other, so that they can be compared.
        match = matches[0]
        clip["view"] = [match.query_onset_s, match.query_offset_s]
        cards[0]["view"] = [match.onset_s, match.offset_s]
    hit_list(
        [clip, *cards],
        key="answer",
        label="Your clip, and what it is",
        on_action=_act,
        hint=True,
    )
    if upload.duration_s > _PROGRAMME_S:
        sheet = CueSheet().add(title, matches, length_s=upload.duration_s, identical=itself)
        st.download_button(
            "Cue sheet",
            sheet,
            file_name="echoic.cue",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
        )


def _act(action: dict[str, Any]) -> None:
    (keep if action["kind"] == "keep" else open_recording)(action)


def _certainty(match: Match) -> str:
    here = _span(match.query_onset_s, match.query_offset_s)
    change = change_text(match.speed, match.pitch)
    said = f"{here} of your clip; chance of a mistake: {odds_text(match.p_false)}"
    return f"{said}; your clip is {change}" if change else said


def _span(from_s: float, to_s: float) -> str:
    return "{} to {}".format(*exact_span_text(from_s, to_s).split("-"))

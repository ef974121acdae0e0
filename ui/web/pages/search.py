"""Search: one box, filters at the side, hits that can be heard."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from db.errors import EchoicError
from db.filters import RecordingFilter
from db.overview import extent
from search.errors import QueryError
from search.export import ExportOptions, sound_labels
from search.hits import Facet, Hit, Passage, Results
from search.query import Archived, Example, Query
from search.saved import MOST_NEW, save
from ui.commands.common import count_text, duration_text
from ui.components.hits import hit_list
from ui.web import asking
from ui.web.archive import Archive
from ui.web.cards import hit_card, upload_card
from ui.web.keeping import entry_of
from ui.web.pages.common import follow, open_recording, plain, show_page, telling
from ui.web.pages.exporting import export_form
from ui.web.pages.keeping import ask_for_list, keep, offer_to_keep
from ui.web.pages.sounds import clip_text, given, sound_input, take_away
from ui.web.suggestions import suggestions
from ui.web.texts import title_of

_PAGE = 20
_NEAR = 0.1
"""What is less likely is no near miss: it is something else."""
_FACETS = {
    "collection": "Collection",
    "category": "Category",
    "heard": "Heard in it",
    "tag": "Tags",
    "format": "Format",
    "samplerate": "Sample rate",
    "channels": "Channels",
    "creator": "Made by",
    "licence": "Licence",
}
_MOST_VALUES, _MOST_LOOKED_THROUGH = 10, 30
_CHANNELS = {"1": "mono", "2": "stereo"}


def page() -> None:
    """Show the page."""
    show_page(_search)


def _search(served: Archive) -> None:
    follow()
    offer_to_keep(served)
    _restore()
    given(served, "example")  # from the address, which is written anew below
    row = st.container(horizontal=True, vertical_alignment="bottom")
    text = row.text_input(
        "Search the archive",
        key="q",
        placeholder="What do you want to hear?  rain on a tin roof",
        label_visibility="collapsed",
        icon=":material/search:",
    )
    with (
        row.popover("Use a sound", icon=":material/mic:", width="content"),
        telling(),
    ):
        sound_input(served, "example")
    st.session_state["asked"] = text
    _into_address(text)
    if fault := st.session_state.pop("fault", None):
        st.warning(plain(fault))
    example = _example(served)
    st.session_state["asked_clip"] = clip_text(example)
    if not text.strip() and example is None:
        _welcome_back(served)
        return
    query = asking.read(text, example)
    results = served.search(query, k=_n_wanted(query), facets=tuple(_FACETS))
    _filters(query, results)
    _explain(served, query)
    _results(served, query, results, text, has_example=example is not None)


def _restore() -> None:
    """Put the text back that the address or an earlier visit of the page holds."""
    if "q" not in st.session_state:
        asked = st.session_state.get("asked")
        st.session_state["q"] = st.query_params.get("q", "") if asked is None else asked


def _into_address(text: str) -> None:
    for name, value in (("q", text), ("example", (st.session_state.get("example") or ("",))[0])):
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def _n_wanted(query: Query) -> int:
    """Return how many hits are to be shown: the first page of them when the question is new."""
    asked, n_wanted = st.session_state.get("n_wanted", (None, _PAGE))
    if asked != query:
        asked, n_wanted = st.session_state["n_wanted"] = (query, _PAGE)
    return int(n_wanted)


def _ask(text: str) -> None:
    st.session_state["q"] = text


# -- A sound of one's own ------------------------------------------------------------------------


def _example(served: Archive) -> Example | None:
    """Show the sound that was dropped in, with the part of it that is meant."""
    found = given(served, "example")
    if found is None:
        return None
    upload, title = found
    part = (0.0, upload.duration_s)
    if upload.duration_s > 2.0:
        part = st.session_state.get(f"part_{upload.name}", part)
    passages = (Passage(part[0], part[1], 1.0),)
    card = upload_card(upload, f"Sounds like {title}", passages)
    hit_list([card], key="example_card", label="Your clip")
    row = st.container(horizontal=True, vertical_alignment="bottom")
    if upload.duration_s > 2.0:
        end_s = round(upload.duration_s, 1)
        part = row.slider(
            "The part that is meant, in seconds",
            0.0,
            end_s,
            (0.0, end_s),
            step=0.1,
            key=f"part_{upload.name}",
        )
    row.button("Take away", icon=":material/close:", on_click=take_away, args=("example",))
    if part[1] - part[0] < 0.1:
        raise QueryError("the part that is meant is empty: draw the two ends apart")
    whole = part[0] <= 0 and part[1] >= round(upload.duration_s, 1)
    return Example(upload.path) if whole else Example(upload.path, part[0], part[1])


# -- Before anything is asked --------------------------------------------------------------------


def _welcome_back(served: Archive) -> None:
    n_recordings, duration_s = extent(served.catalogue)
    if not n_recordings:
        st.info("The archive is empty. Take a folder of sounds in on the page Archive.")
        return
    st.markdown(
        f"#### {count_text(n_recordings, 'recording')}, {duration_text(duration_s)} of sound"
    )
    found = suggestions(served, n_recordings)
    said = "Say what you want to hear, as you would say it to a person."
    st.markdown(f"{said} This archive holds, for instance:" if found else said)
    with st.container(horizontal=True):
        for query, label in found:
            st.button(plain(label), on_click=_ask, args=(query,), key=f"suggested_{query}")
    _look_through(served, n_recordings)
    with st.expander("What else the box understands"):
        st.markdown(
            "- `rain -thunder`: rain, without thunder\n"
            "- `church bell & crowd`: both in one recording\n"
            "- `footsteps then door`: one after the other\n"
            '- `"tin roof"`: these words in its name, tags or description\n'
            "- `wind duration:<10 channels:2`: short and stereo; the filters at the side write "
            "this for you\n"
            "- `recorded:1962..1970`, `licence:CC0`, `loudness:<-30`, `key:Am`\n\n"
            "Words describe the sound; a file is found whatever it is called. Names, tags and "
            "descriptions count as well."
        )


def _look_through(served: Archive, n_recordings: int) -> None:
    """Offer what is known of the recordings, for those who want to look around."""
    filter_ = RecordingFilter(served.catalogue)
    counts = filter_.facets(None, ("heard", "category", "tag"), limit=_MOST_LOOKED_THROUGH)
    # What is true of all of them leads nowhere.
    known = {
        field: {value: n for value, n in counts[field] if n < n_recordings} for field in counts
    }
    if any(known.values()):
        with st.expander("Look through the archive"):
            _clouds({field: numbers for field, numbers in known.items() if numbers})


def _clouds(known: dict[str, dict[str, int]]) -> None:
    for field, numbers in known.items():
        key = f"look_{field}"

        def choose(field: str = field, key: str = key) -> None:
            value = st.session_state[key]
            _ask(asking.choose("", field, [value] if value else []))

        def said(value: str, numbers: dict[str, int] = numbers) -> str:
            return f"{plain(value)} :small[{numbers[value]:,}]"

        st.pills(_FACETS[field], list(numbers), format_func=said, key=key, on_change=choose)


# -- Filters -------------------------------------------------------------------------------------


def _filters(query: Query, results: Results) -> None:
    with st.sidebar:
        st.markdown("#### Narrow down")
        _length_filter(query)
        for facet in results.facets:
            _facet_filter(query, facet, len(results.hits))


def _length_filter(query: Query) -> None:
    # The text in the box is what holds: the filters show it, and change it.
    key = "length"
    st.session_state[key] = asking.chosen_length(query)

    def change() -> None:
        _change(lambda text: asking.choose_length(text, st.session_state[key]))

    st.pills("Length", list(asking.LENGTHS), key=key, on_change=change)


def _facet_filter(query: Query, facet: Facet, n_hits: int) -> None:
    now = asking.chosen(query, facet.field)
    # What all of the hits have in common narrows nothing down.
    counts = dict([(value, n) for value, n in facet.counts if n != n_hits][:_MOST_VALUES])
    values = list(dict.fromkeys([*now, *counts]))
    if not now and (len(values) < 2 or set(counts.values()) == {n_hits}):
        return
    folded = {value.casefold(): n for value, n in counts.items()}
    shown = [v for v in values if v in now or v.casefold() not in {n.casefold() for n in now}]
    key = f"facet_{facet.field}"
    st.session_state[key] = now

    def change() -> None:
        _change(lambda text: asking.choose(text, facet.field, st.session_state[key]))

    def label(value: str) -> str:
        n = folded.get(value.casefold())
        said = plain(_value_text(facet.field, value))
        return f"{said} :small[{n:,}]" if n else said

    st.pills(
        _FACETS[facet.field],
        shown,
        selection_mode="multi",
        format_func=label,
        key=key,
        on_change=change,
    )


def _value_text(field: str, value: str) -> str:
    if field == "samplerate":
        return f"{float(value) / 1000:g} kHz"
    return _CHANNELS.get(value, f"{value} channels") if field == "channels" else value


def _change(edit: Callable[[str], str]) -> None:
    """Change the text in the box, before the page is made anew."""
    try:
        _ask(edit(st.session_state.get("asked", "")))
    except EchoicError as error:
        st.session_state["fault"] = str(error)


# -- Hits ----------------------------------------------------------------------------------------


def _explain(served: Archive, query: Query) -> None:
    """Say which recordings the numbers in the box stand for."""
    terms = [term for sound in (*query.sounds, *query.without) for term in sound.terms]
    ids = [term.recording_id for term in terms if isinstance(term, Archived)]
    known = served.catalogue.recordings(ids)
    if known:
        names = ", ".join(f"#{id_} is {title_of(info)}" for id_, info in known.items())
        st.caption(plain(names))


def _results(
    served: Archive, query: Query, results: Results, text: str, *, has_example: bool
) -> None:
    hits, listed = results.hits, not query.sounds
    for note in results.notes:
        st.caption(plain(f"Note: {note}."))
    if listed and len(hits) > 1 and [one.field for one in query.conditions] == ["id"]:
        selected = count_text(results.n_allowed, "recording is", "recordings are")
        st.caption(f"{selected} selected: type in the box what to look for in them.")
    if hits:
        row = st.container(horizontal=True, vertical_alignment="center")
        row.markdown(f"**{_count_text(results, listed)}**", width="stretch")
        _with_all(served, row, query, results, text, has_example=has_example)
    else:
        _nothing(served, query, results)
    cards = [hit_card(hit, n, query=text, listed=listed) for n, hit in enumerate(hits, start=1)]
    if cards:
        hit_list(cards, key="hits", label="Hits", on_action=_act, hint=True)
    if not results.is_complete:
        st.button("Show more", on_click=_show_more)
    _near_misses(results, text)


def _with_all(
    served: Archive, row: Any, query: Query, results: Results, text: str, *, has_example: bool
) -> None:
    """Offer what can be done with all hits together."""
    hits = results.hits

    def find_all() -> tuple[Hit, ...]:
        return served.search(query, k=MOST_NEW).hits

    if row.button("Add all to list", icon=":material/playlist_add:"):
        ask_for_list(
            served,
            lambda: [entry_of(hit, text) for hit in hits],
            "Each sound with its best passage",
            None if results.is_complete else lambda: [entry_of(hit, text) for hit in find_all()],
        )
    with row.popover("Save search", icon=":material/bookmark:", width="content"):
        _save(served, text, has_example=has_example)
    with row.popover("Export", icon=":material/download:", width="content"):
        options = ExportOptions(text or "Like an example", sound_labels(query))
        every = None if results.is_complete else find_all
        export_form(served, lambda: hits, key="hits", options=options, find_all=every)


def _save(served: Archive, text: str, *, has_example: bool) -> None:
    """Offer to keep the search under a name."""
    if has_example:
        st.markdown(
            "A sound that was dropped in is kept for a while only, so that a search by it cannot "
            "be saved. Take it away, and the words alone can be."
        )
        return
    st.markdown("The page **Saved** then tells what comes into the archive that matches.")
    with st.form("save", border=False):
        name = st.text_input("Name", placeholder=text[:40])
        if st.form_submit_button("Save", type="primary"):
            with telling():
                kept = save(served.catalogue, name or text[:40], text)
                st.success(f"Saved as {plain(kept.name)}.")


def _count_text(results: Results, listed: bool) -> str:
    n = len(results.hits)
    if not results.is_complete:
        return f"The first {n}" if listed else f"The best {n}"
    return count_text(n, "sound matches", "sounds match")


def _nothing(served: Archive, query: Query, results: Results) -> None:
    """Say that there are no hits; offer those that only the conditions keep away."""
    others = Results(())
    if query.sounds and query.conditions:
        others = served.search(replace(query, conditions=()), k=_PAGE)
    if not others.hits:
        said = "**Nothing in this archive matches.** " + _advice(results)
        st.info(said, icon=":material/hearing:")
        return
    n = count_text(len(others.hits), "sound matches", "sounds match")
    least = "" if others.is_complete else "At least "
    st.info(
        f"**Nothing matches under these conditions.** {least}{n} without them.",
        icon=":material/hearing:",
    )
    st.button("Drop the conditions", on_click=_change, args=(asking.without_conditions,))


def _advice(results: Results) -> str:
    if results.n_allowed == 0:
        return "No recording meets the conditions: take one away at the side or in the box."
    if _nearest(results):
        return "Try other words for the same sound, or look at what comes nearest."
    return "Try other words for the same sound."


def _nearest(results: Results) -> list[Hit]:
    return [hit for hit in results.near_misses if hit.score >= _NEAR]


def _near_misses(results: Results, text: str) -> None:
    nearest = _nearest(results)
    if not nearest:
        return
    with st.expander(f"What comes nearest, but probably is something else ({len(nearest)})"):
        cards = [hit_card(hit, n, query=text) for n, hit in enumerate(nearest, start=1)]
        hit_list(cards, key="near_misses", label="What comes nearest", on_action=_act)


def _show_more() -> None:
    asked, n_wanted = st.session_state["n_wanted"]
    st.session_state["n_wanted"] = (asked, n_wanted + _PAGE)


def _act(action: dict[str, Any]) -> None:
    """Do what a card's button asks for."""
    asked = st.session_state.get("asked", "")
    if action["kind"] == "open":
        open_recording(action, asked, st.session_state.get("asked_clip", ""))
        return
    if action["kind"] == "keep":
        keep(action, asked)
        return
    change = asking.more_like if action["kind"] == "more" else asking.less_like
    _change(lambda text: change(text, action["recording"], action["from"], action["to"]))
    if action["kind"] == "more" and "fault" not in st.session_state:
        take_away("example")

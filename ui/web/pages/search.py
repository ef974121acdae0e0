"""Search: one box, filters at the side, hits that can be heard."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from db.errors import EchoicError
from db.filters import RecordingFilter
from db.overview import status
from search.errors import QueryError
from search.export import EXPORTS
from search.hits import Facet, Hit, Passage, Results
from search.query import Archived, Example, Query
from ui.commands.common import count_text, duration_text
from ui.components.hits import hit_list
from ui.web import asking
from ui.web.archive import Archive
from ui.web.cards import hit_card, upload_card
from ui.web.pages.common import follow, open_recording, plain, show_page, telling
from ui.web.pages.sounds import given, sound_input, take_away
from ui.web.texts import title_of

_PAGE = 20
_EXAMPLES = ("rain on a roof", "dog barking", "church bell", "engine -music", "footsteps then door")
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
_MOST_VALUES = 10
_CHANNELS = {"1": "mono", "2": "stereo"}


def page() -> None:
    """Show the page."""
    show_page(_search)


def _search(served: Archive) -> None:
    follow()
    _restore()
    given(served, "example")  # from the address, which is written anew below
    row = st.container(horizontal=True, vertical_alignment="bottom")
    text = row.text_input(
        "Search the archive",
        key="q",
        placeholder="What do you want to hear?  rain on a tin roof",
        label_visibility="collapsed",
        icon=":material/search:",
        on_change=_first_page,
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
    if not text.strip() and example is None:
        _welcome_back(served)
        return
    query = asking.read(text, example)
    asking.check_files(query, _folders(served))
    n_wanted = st.session_state.setdefault("n_wanted", _PAGE)
    results = served.search(query, k=n_wanted, facets=tuple(_FACETS))
    _filters(query, results)
    _explain(served, query)
    _results(served, query, results, text)


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


def _first_page() -> None:
    st.session_state["n_wanted"] = _PAGE


def _ask(text: str) -> None:
    st.session_state["q"] = text
    _first_page()


def _folders(served: Archive) -> list[Path]:
    roots = [Path(collection.root) for collection in served.catalogue.collections()]
    return [served.uploads.folder, *roots]


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
    found = status(served.catalogue)
    if not found.n_recordings:
        st.info("The archive is empty. Take a folder of sounds in on the page Archive.")
        return
    st.markdown(
        f"#### {count_text(found.n_recordings, 'recording')}, "
        f"{duration_text(found.duration_s)} of sound"
    )
    st.markdown("Say what you want to hear, as you would say it to a person. For instance:")
    with st.container(horizontal=True):
        for example in _EXAMPLES:
            st.button(example, on_click=_ask, args=(example,))
    _look_through(served, found.n_recordings)
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
    """Offer what is written about the recordings, for those who want to look around."""
    counts = RecordingFilter(served.catalogue).facets(None, ("category", "tag"), limit=24)
    for field, label in (("category", "Or look through the categories"), ("tag", "Or the tags")):
        numbers = {value: n for value, n in counts[field] if n < n_recordings}
        if not numbers:
            continue
        key = f"look_{field}"

        def choose(field: str = field, key: str = key) -> None:
            value = st.session_state[key]
            _ask(asking.choose("", field, [value] if value else []))

        def said(value: str, numbers: dict[str, int] = numbers) -> str:
            return f"{plain(value)} :small[{numbers[value]:,}]"

        st.pills(label, list(numbers), format_func=said, key=key, on_change=choose)


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


def _results(served: Archive, query: Query, results: Results, text: str) -> None:
    hits, listed = results.hits, not query.sounds
    for note in (*results.notes, *served.notes):
        st.caption(plain(f"Note: {note}."))
    if hits:
        row = st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
        )
        row.markdown(f"**{_count_text(results, listed)}**", width="content")
        with row.popover("Export", icon=":material/download:", width="content"):
            _export(hits)
    else:
        st.info(
            "**Nothing in this archive matches.** " + _advice(results), icon=":material/hearing:"
        )
    cards = [hit_card(hit, n, query=text, listed=listed) for n, hit in enumerate(hits, start=1)]
    if cards:
        hit_list(cards, key="hits", label="Hits", on_action=_act, hint=True)
    if len(hits) >= st.session_state["n_wanted"]:
        st.button("Show more", on_click=_show_more)
    _near_misses(results, text)


def _count_text(results: Results, listed: bool) -> str:
    n = len(results.hits)
    if n >= st.session_state["n_wanted"]:
        return f"The first {n}" if listed else f"The best {n}"
    return count_text(n, "sound matches", "sounds match")


def _advice(results: Results) -> str:
    if results.n_allowed == 0:
        return "No recording meets the conditions: take one away at the side or in the box."
    if results.near_misses:
        return "Try other words for the same sound, or look at what comes nearest."
    return "Try other words for the same sound."


def _near_misses(results: Results, text: str) -> None:
    if not results.near_misses:
        return
    n = len(results.near_misses)
    with st.expander(f"What comes nearest, but probably is something else ({n})"):
        cards = [hit_card(hit, n, query=text) for n, hit in enumerate(results.near_misses, start=1)]
        hit_list(cards, key="near_misses", label="What comes nearest", on_action=_act)


def _show_more() -> None:
    st.session_state["n_wanted"] += _PAGE


def _act(action: dict[str, Any]) -> None:
    """Do what a card's button asks for."""
    asked = st.session_state.get("asked", "")
    if action["kind"] == "open":
        open_recording(action, asked)
        return
    change = asking.more_like if action["kind"] == "more" else asking.less_like
    _change(lambda text: change(text, action["recording"], action["from"], action["to"]))
    if action["kind"] == "more" and "fault" not in st.session_state:
        take_away("example")


def _export(hits: tuple[Hit, ...]) -> None:
    name = st.selectbox("Format", list(EXPORTS), format_func=lambda name: EXPORTS[name].title)
    export = EXPORTS[name]

    def data() -> bytes:
        stream = io.BytesIO()
        export.write(hits, stream)
        return stream.getvalue()

    st.download_button(
        "Download",
        data,
        file_name=f"echoic{export.extension}",
        mime=export.media_type,
        on_click="ignore",
        type="primary",
    )

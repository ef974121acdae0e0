"""Archive: what it holds, what could not be read, whether all is well, what is there twice."""

from collections.abc import Sequence

import streamlit as st

from db.filters import RecordingFilter
from db.overview import status
from db.records import RecordingInfo, Status
from db.storage import root_is_gone
from indexer.encoders import known_encoders
from indexer.fingerprint import FINGERPRINTERS
from search.duplicates import Duplicates, Group, Pair, find_duplicates
from search.hits import Passage
from ui.commands.common import count_text, duration_text, size_text
from ui.components.hits import hit_list
from ui.web.archive import Archive
from ui.web.cards import OPEN, Card, recording_card
from ui.web.pages.common import (
    facts_table,
    figures,
    follow,
    index_form,
    open_recording,
    plain,
    show_page,
)

_MOST_GROUPS = 20
_MOST_FAILURES = 500


def page() -> None:
    """Show the page."""
    show_page(_archive)


def _archive(served: Archive) -> None:
    follow()
    found = status(served.catalogue)
    _figures(found)
    overview, failures, twice, more = st.tabs(
        ["Overview", f"Could not be read ({_n_failures(found)})", "Held twice", "Take sounds in"]
    )
    with overview:
        _overview(served, found)
    with failures:
        _failures(served, found)
    with twice:
        _duplicates(served)
    with more:
        index_form()


def _n_failures(found: Status) -> int:
    return sum(part.n_failures for part in found.collections)


def _figures(found: Status) -> None:
    n_missing = sum(part.n_missing for part in found.collections)
    rows = [
        ("Recordings", f"{found.n_recordings:,}"),
        ("Sound", duration_text(found.duration_s)),
        ("Collections", f"{len(found.collections):,}"),
        ("Files missing", f"{n_missing:,}"),
    ]
    figures(rows)


def _overview(served: Archive, found: Status) -> None:
    st.markdown("#### Collections")
    rows = [
        {
            "Collection": part.collection.name,
            "Files": part.n_files,
            "Sound": duration_text(part.duration_s),
            "Missing": part.n_missing,
            "Could not be read": part.n_failures,
            "Folder": part.collection.root + _gone(part.collection.root, part.collection.name),
        }
        for part in found.collections
    ]
    st.dataframe(rows, hide_index=True, width="stretch")
    st.markdown("#### Formats")
    counts = RecordingFilter(served.catalogue).facets(None, ("format", "samplerate"))
    files = [f"{value} {n:,}" for value, n in counts["format"]]
    rates = [f"{float(value) / 1000:g} kHz {n:,}" for value, n in counts["samplerate"]]
    facts_table([("Files", " · ".join(files)), ("Sample rates", " · ".join(rates))])
    st.markdown("#### Index")
    facts_table(_health(found))
    st.caption(plain(f"Catalogue {found.location}, {size_text(found.database_bytes)}"))


def _gone(root: str, name: str) -> str:
    return f" (not there: echoic relocate {name} NEW_FOLDER)" if root_is_gone(root) else ""


def _health(found: Status) -> list[tuple[str, str]]:
    n, known = found.n_recordings, known_encoders()
    rows = [
        (f"Search by sound ({i.encoder.name})", _covered(i.n_recordings, n, i.up_to_date))
        for i in found.indexes
        if i.encoder.name in known
    ]
    rows += [
        ("Recognising recordings", _covered(f.n_recordings, n, f.up_to_date))
        for f in found.fingerprints
        if f.scheme.name in FINGERPRINTERS
    ]
    unused = [i.encoder.name for i in found.indexes if i.encoder.name not in known]
    unused += [f.scheme.name for f in found.fingerprints if f.scheme.name not in FINGERPRINTERS]
    rows += [(name, "Not in use by this Echoic: see echoic status") for name in unused]
    return rows or [("", "Nothing has been indexed yet.")]


def _covered(n_done: int, n_all: int, up_to_date: bool) -> str:
    if n_done < n_all:
        missing = count_text(n_all - n_done, "recording is", "recordings are")
        return f"{missing} not covered yet; index the folder again to add them"
    return "All well" if up_to_date else "Right, but slower than need be: echoic repair mends it"


def _failures(served: Archive, found: Status) -> None:
    names = {part.collection.id: part.collection.name for part in found.collections}
    failures = served.catalogue.failures()
    if not failures:
        st.markdown("Every file could be read.")
        return
    rows = [
        {"File": one.path, "Collection": names.get(one.collection_id, ""), "Reason": one.reason}
        for one in failures[:_MOST_FAILURES]
    ]
    st.dataframe(rows, hide_index=True, width="stretch")
    st.markdown("When they are mended: `echoic failures --retry` tries them again.")


# -- What is there twice -------------------------------------------------------------------------


def _duplicates(served: Archive) -> None:
    st.markdown(
        "Compares all recordings with each other: the same files, the same recording in other "
        "formats, and passages that two recordings share. No file is touched."
    )
    if st.button("Look for what is held twice"):
        bar = st.progress(0.0, text="Comparing")

        def move(n_done: int, n_all: int) -> None:
            bar.progress(min(1.0, n_done / max(n_all, 1)), text="Comparing")

        st.session_state["duplicates"] = find_duplicates(served.catalogue, on_progress=move)
        bar.empty()
    found: Duplicates | None = st.session_state.get("duplicates")
    if found is None:
        return
    for note in found.notes:
        st.caption(plain(f"Note: {note}."))
    if not found.groups and not found.excerpts:
        st.success("Nothing is held twice.")
    for number, group in enumerate(found.groups[:_MOST_GROUPS]):
        _group(number, group)
    for number, pair in enumerate(found.excerpts[:_MOST_GROUPS]):
        _pair(f"excerpt_{number}", "Share a passage", pair)
    left = len(found.groups) + len(found.excerpts) - 2 * _MOST_GROUPS
    if left > 0:
        st.caption("There is more: `echoic duplicates --csv` lists all.")


def _group(number: int, group: Group) -> None:
    spans = {}
    for pair in group.pairs[:1]:
        spans = _spans(pair)
    cards = [
        _card(f"group-{number}-", recording, spans.get(recording.id, ()))
        for recording in group.recordings
    ]
    n_files = sum(len(recording.files) for recording in group.recordings)
    _side_by_side(f"group_{number}", f"The same in {count_text(n_files, 'file')}", cards)


def _pair(key: str, title: str, pair: Pair) -> None:
    spans = _spans(pair)
    cards = [_card(f"{key}-", one, spans.get(one.id, ())) for one in (pair.first, pair.second)]
    _side_by_side(key, title, cards)


def _spans(pair: Pair) -> dict[int, tuple[Passage, ...]]:
    return {
        pair.first.id: tuple(
            Passage(o.first_onset_s, o.first_offset_s, o.share) for o in pair.overlaps
        ),
        pair.second.id: tuple(
            Passage(o.second_onset_s, o.second_offset_s, o.share) for o in pair.overlaps
        ),
    }


def _card(key: str, recording: RecordingInfo, passages: Sequence[Passage]) -> Card:
    return recording_card(recording, passages, key=key) | {"actions": [OPEN]}


def _side_by_side(key: str, title: str, cards: Sequence[Card]) -> None:
    st.markdown(f"**{title}**")
    for start in range(0, len(cards), 2):
        for column, card in zip(st.columns(2), cards[start : start + 2], strict=False):
            with column:
                hit_list([card], key=f"{key}_{card['id']}", label=title, on_action=open_recording)

"""What all pages share: the archive, errors as sentences, the first visit."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from db.errors import CatalogueMissing, EchoicError
from db.location import catalogue_location
from search.saved import MOST_NEW
from ui.commands.common import clock_text
from ui.web import settings
from ui.web.archive import Archive, archive
from ui.web.jobs import Progress, jobs

_SIGNS = re.compile(r"([\\*_$\[\]<>#~:`|&!])")
_LIST = re.compile(r"^(\d+(?=[.)])|(?=[-+]))")
_ADDRESS = re.compile(r"\bwww(?=\.)", re.IGNORECASE)
_JOINER = "\N{WORD JOINER}"
"""It is not seen, and nothing is broken into two lines at it."""

_REFRESH_S = 1.0

# Streamlit leaves much room above a page and draws its own menu; what is said last on the page
# must not hide behind it.
_STYLE = """<style>
.stMainBlockContainer { padding-top: 4.5rem; padding-bottom: 3rem; max-width: 1180px; }
dl.figures { display: grid; grid-template-columns: repeat(4, auto); gap: 0 2rem;
  margin: 0 0 .5rem !important; padding: 0 !important; justify-content: start; }
dl.figures dt { grid-row: 2; font-size: .85rem; opacity: .75; font-weight: inherit; margin: 0; }
dl.figures dd { grid-row: 1; font-size: 1.7rem; margin: 0; font-variant-numeric: tabular-nums; }
.st-key-narrow_pages { display: none; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem;
  margin: 0 !important; padding: 0 !important; font-size: .9rem; }
dl.facts dt { opacity: .75; font-weight: inherit; margin: 0; }
dl.facts dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
[data-testid="stExpandSidebarButton"] { width: auto; padding: 0 .5rem; gap: .3rem; }
[data-testid="stExpandSidebarButton"]::after { content: "Narrow down"; font-size: .85rem; }
@media (max-width: 640px) { dl.facts { grid-template-columns: 1fr; gap: 0; }
  dl.facts dd { margin-bottom: .5rem; } .stMainBlockContainer { padding-left: 1rem;
  padding-right: 1rem; }
  dl.figures { gap: 0 1.1rem; } dl.figures dd { font-size: 1.15rem; }
  dl.figures dt { font-size: .75rem; } }
@media (max-width: 767px) { .st-key-narrow_pages { display: flex; gap: 0; }
  .st-key-narrow_pages a > span:first-child { display: none; }
  .stMainBlockContainer { padding-top: 4rem; } }
</style>"""


def plain(text: str) -> str:
    """Return a text as Markdown that shows just this text; names may hold any sign."""
    signs = _SIGNS.sub(r"\\\1", " ".join(text.split()))
    # At its beginning a number or a dash would begin a list; www. would lead to other machines,
    # and no sign before it helps.
    return _ADDRESS.sub(rf"\g<0>{_JOINER}", _LIST.sub(r"\1\\", signs))


def show_page(body: Callable[[Archive], None]) -> None:
    """Show a page about the archive, or what has to be done before there is one."""
    st.html(_STYLE)
    with telling():
        try:
            served = archive()
        except CatalogueMissing:
            _welcome()
            return
        _job()
        body(served)


@contextmanager
def telling() -> Iterator[None]:
    """Show Echoic's errors as what they are: sentences that say what to do next."""
    try:
        yield
    except EchoicError as error:
        st.error(plain(_sentence(str(error))), icon=":material/info:")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def facts_table(rows: Sequence[tuple[str, str]]) -> None:
    """Show names with their values."""
    cells = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in rows)
    st.html(f'<dl class="facts">{"".join(cells)}</dl>')


@contextmanager
def through_file(doing: str, duration_s: float) -> Iterator[Callable[[float], None]]:
    """Show how far a file has been gone through; give what is to be told the time in it.

    Leaving the page ends the work, for a page that is left can show nothing.
    """
    bar = st.progress(0.0, text=doing)

    def told(at_s: float) -> None:
        said = f"{doing}: {clock_text(at_s)} of {clock_text(duration_s)}"
        bar.progress(min(1.0, at_s / max(duration_s, 1.0)), text=said)

    try:
        yield told
    except EchoicError:
        bar.empty()
        raise
    bar.empty()


def wants_all_hits(key: str) -> bool:
    """Ask whether the hits on the page are meant, or all that match."""
    shown, every = "Those that are shown", f"All that match (up to {MOST_NEW:,})"
    chosen = st.segmented_control("Which", [shown, every], default=shown, required=True, key=key)
    return chosen == every


def figures(rows: Sequence[tuple[str, str]]) -> None:
    """Show four numbers, and below each what it is."""
    cells = (f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in rows)
    st.html(f'<dl class="figures">{"".join(cells)}</dl>')


def go_to(page: str, **parameters: str) -> None:
    """Show another page."""
    st.switch_page(st.session_state["pages"][page], query_params=parameters)


def open_recording(action: dict[str, Any], query: str = "", clip: str = "") -> None:
    """Remember that somebody wants to see a recording; `follow` goes there."""
    st.session_state["to_recording"] = {"id": str(action["recording"]), "q": query, "clip": clip}


def follow() -> None:
    """Go where a button of the list led."""
    wanted = st.session_state.pop("to_recording", None)
    if wanted:
        go_to("recording", **{name: text for name, text in wanted.items() if text})


# -- The first visit, and indexing ---------------------------------------------------------------


def _welcome() -> None:
    st.title("Welcome to Echoic")
    st.markdown(
        "Echoic finds sounds in your own archive: by words, by example, and by recognising "
        "recordings. It listens to your files once, and only reads them; nothing leaves this "
        "machine."
    )
    _job()
    index_form(first=True)


def index_form(*, first: bool = False) -> None:
    """Offer to index a folder."""
    if jobs.job is not None and jobs.job.progress.is_running:
        if not first:
            st.markdown("A folder is being indexed; the next one can follow after that.")
        return
    if not settings.is_local:
        st.info(
            "To take sounds in, run `echoic index FOLDER` on the machine where they are. From "
            "here it can be done only if Echoic is served to that machine alone."
        )
        return
    with st.form("index", border=first):
        folder = st.text_input(
            "A folder with sounds, on this machine", placeholder="/home/ada/sounds"
        )
        if st.form_submit_button("Index this folder", type="primary" if first else "secondary"):
            with telling():
                _index(folder)
    if first:
        st.markdown("Nothing at hand? The demo is a small archive of made-up sounds.")
        if st.button("Make the demo archive and index it"):
            with telling():
                _index_demo()


def _index(folder: str) -> None:
    path = Path(folder.strip()).expanduser()
    if not folder.strip() or not path.is_absolute():
        raise EchoicError("give the folder with its whole path, as in /home/ada/sounds")
    if not path.exists():
        raise EchoicError(f"there is no folder {path} on this machine: look for a slip of the pen")
    jobs.start([("Looking at files", ["index", "--json", "--", str(path)])])
    st.rerun()


def _index_demo() -> None:
    location = catalogue_location()
    if "://" in location:
        raise EchoicError("the demo needs a catalogue in a folder: start Echoic with one")
    sounds = Path(location).expanduser().absolute().parent / "demo-sounds"
    jobs.start(
        [
            ("Making the sounds of the demo, which takes half a minute", ["demo", str(sounds)]),
            ("Looking at files", ["index", "--json", str(sounds)]),
        ]
    )
    st.rerun()


def _job() -> None:
    """Show how far a run is; how it ended, until somebody has seen enough of that."""
    job = jobs.job
    if job is None or st.session_state.get("seen_job") is job:
        return
    if not job.progress.is_running:
        _show_progress(job.progress)
        st.button("Close", on_click=lambda: st.session_state.update(seen_job=job))
        return

    @st.fragment(run_every=_REFRESH_S)
    def live() -> None:
        _show_progress(job.progress)
        if not job.progress.is_running:
            st.rerun()
        if st.button("Stop", help="Ends after the files in hand; what is done is kept."):
            job.stop()

    live()


def _show_progress(progress: Progress) -> None:
    """Show how far a run is, or how it ended."""
    if progress.is_running:
        counted = f"{progress.n_done:,} of {progress.n_all:,} files" if progress.n_all else ""
        st.progress(progress.share, text=plain(f"{progress.doing}  {counted}"))
    elif progress.has_failed:
        st.error(plain(f"Indexing did not go through. {progress.said[-600:]}"))
    else:
        st.success(f"{progress.doing} {progress.n_done:,} files were listened to.")
    if progress.n_failed:
        with st.expander(f"{progress.n_failed:,} files could not be read"):
            for line in progress.failed:
                st.caption(plain(line))

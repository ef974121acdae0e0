"""The archive in a browser: what ``echoic ui`` serves. Streamlit runs this for every page."""

from pathlib import Path

import streamlit as st

from ui.web.pages import archive, identify, recording, saved, search
from ui.web.pages import map as map_page

_FOLDER = Path(__file__).resolve().parent / "components"
_ICON = str(_FOLDER / "echoic.svg")


def main() -> None:
    """Choose the page and show it."""
    st.set_page_config(
        # A file: a named icon would be fetched from a server of Google's.
        page_title="Echoic",
        page_icon=_ICON,
        layout="wide",
        menu_items={},
    )
    st.logo(str(_FOLDER / "wordmark.svg"), icon_image=_ICON, size="large")
    pages = [
        st.Page(search.page, title="Search", icon=":material/search:", default=True),
        st.Page(
            identify.page, title="Identify", icon=":material/fingerprint:", url_path="identify"
        ),
        st.Page(map_page.page, title="Map", icon=":material/scatter_plot:", url_path="map"),
        st.Page(saved.page, title="Saved", icon=":material/bookmarks:", url_path="saved"),
        st.Page(archive.page, title="Archive", icon=":material/library_music:", url_path="archive"),
        st.Page(recording.page, title="Recording", url_path="recording", visibility="hidden"),
    ]
    st.session_state["pages"] = {page.url_path: page for page in pages}
    chosen = st.navigation(pages, position="top")
    # Streamlit folds its own away where the screen is narrow; ui.web.pages.common shows this there.
    with st.container(horizontal=True, key="narrow_pages"):
        for page in pages:
            if page.title != "Recording":
                st.page_link(page, icon=None)
    chosen.run()


main()

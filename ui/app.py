"""The archive in a browser: what ``echoic ui`` serves. Streamlit runs this for every page."""

from pathlib import Path

import streamlit as st

from ui.web.pages import archive, identify, recording, search

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
        st.Page(archive.page, title="Archive", icon=":material/library_music:", url_path="archive"),
        st.Page(recording.page, title="Recording", url_path="recording", visibility="hidden"),
    ]
    st.session_state["pages"] = {page.url_path: page for page in pages}
    st.navigation(pages, position="top").run()


main()

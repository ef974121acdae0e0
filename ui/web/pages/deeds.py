"""What buttons do before the page is made anew.

A button that is asked only while the page is made anew would act on what is there by then: another
list, if somebody has renamed the one that was seen. What it does is bound to what was seen instead.
"""

from collections.abc import Callable

import streamlit as st

from db.errors import EchoicError
from ui.web.pages.common import telling


def later(deed: Callable[[], None]) -> Callable[[], None]:
    """Wrap what a button does; `tell_fault` says what went wrong, on the page that is made anew."""

    def done() -> None:
        try:
            deed()
        except EchoicError as error:
            st.session_state["deed_fault"] = error

    return done


def tell_fault() -> None:
    """Say why the last deed was not done, if so."""
    if fault := st.session_state.pop("deed_fault", None):
        with telling():
            raise fault

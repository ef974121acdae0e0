"""A sound of the user's own: dropped in, or recorded with the microphone."""

import re

import streamlit as st

from db.errors import EchoicError
from search.query import Example
from ui.web.archive import Archive
from ui.web.uploads import Upload

_NUMBER = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
_CLIP = re.compile(rf"(?P<name>[^@]+)(?:@(?P<begin>{_NUMBER})-(?P<end>{_NUMBER}))?")


def sound_input(served: Archive, key: str) -> None:
    """Let somebody drop a sound in or record one; `given` returns it, on every page alike."""

    def take(widget: str) -> None:
        file = st.session_state.get(widget)
        if file is None:
            return
        name = "Your recording" if widget.startswith("microphone") else file.name
        try:
            upload = served.uploads.keep(file.getvalue(), file.name)
        except EchoicError as error:
            said = f"{name} cannot be heard ({error}): choose a recording, or a video with sound"
            st.session_state[f"{key}_fault"] = f"the file {said}"
            return
        st.session_state[f"{key}_fault"] = None
        st.session_state[key] = (upload.name, name)

    # A new number makes new, empty widgets after the sound was taken away.
    turn = st.session_state.setdefault(f"{key}_turn", 0)
    file, spoken = f"file_{key}_{turn}", f"microphone_{key}_{turn}"
    # Whatever is dropped in is tried: what cannot be heard is answered in words.
    st.file_uploader("Drop a sound file here", key=file, on_change=take, args=(file,))
    st.audio_input(
        "Or record with the microphone",
        sample_rate=48_000,
        key=spoken,
        on_change=take,
        args=(spoken,),
    )
    fault = st.session_state.get(f"{key}_fault")
    if fault:
        raise EchoicError(fault)


def given(served: Archive, key: str) -> tuple[Upload, str] | None:
    """Return the sound that was dropped in, and what to call it; None if there is none."""
    if key not in st.session_state and key in st.query_params:
        st.session_state[key] = (st.query_params[key], "Your clip")
    name, title = st.session_state.get(key) or ("", "")
    upload = served.uploads.find(name) if name else None
    if upload is None:
        st.session_state.pop(key, None)
        return None
    return upload, title


def clip_text(example: Example | None) -> str:
    """Write a sound that was dropped in, and the part of it that is meant, for an address."""
    if example is None:
        return ""
    name = example.path.name
    return name if example.from_s is None else f"{name}@{example.from_s:g}-{example.to_s:g}"


def clip_of(served: Archive, text: str) -> Example | None:
    """Read what `clip_text` has written; None if it is nothing, or is kept no longer."""
    found = _CLIP.fullmatch(text)
    upload = served.uploads.find(found["name"]) if found else None
    if found is None or upload is None:
        return None
    if found["begin"] is None:
        return Example(upload.path)
    return Example(upload.path, float(found["begin"]), float(found["end"]))


def take_away(key: str) -> None:
    """Forget the sound that was dropped in."""
    st.session_state[key] = None
    st.session_state[f"{key}_turn"] = st.session_state.get(f"{key}_turn", 0) + 1
    st.session_state[f"{key}_fault"] = None
    st.query_params.pop(key, None)

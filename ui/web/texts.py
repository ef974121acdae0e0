"""What the pages say about recordings, in the words of people who keep sounds."""

from pathlib import PurePath

from db.records import RecordingInfo, Technical
from search.export import first_place
from search.hits import Hit, Passage, Source, Strength
from ui.commands.common import clock_text, duration_text, exact_span_text, span_text

STRENGTHS = {
    Strength.STRONG: "Strong match",
    Strength.POSSIBLE: "Possible match",
    Strength.WEAK: "Weak match",
}
_LAYOUTS = {1: "mono", 2: "stereo"}
_DESCRIPTORS = {
    "loudness_lufs": ("Loudness", "{:.1f} LUFS"),
    "peak_dbfs": ("Peak", "{:.1f} dBFS"),
    "silence_share": ("Silence", "{:.0%}"),
    "spectral_centroid_hz": ("Brightness (spectral centre)", "{:,.0f} Hz"),
    "spectral_flatness": ("Noisiness (0 tone, 1 noise)", "{:.2f}"),
    "onset_rate_hz": ("Events per second", "{:.1f}"),
    "tempo_bpm": ("Tempo", "{:.0f} BPM"),
    "key": ("Key", "{}"),
}
_UNSURE = {"tempo_bpm": ("tempo_confidence", 0.3), "key": ("key_confidence", 0.3)}


def title_of(recording: RecordingInfo) -> str:
    """Say what a recording is called: its file's name, for that is what people look for."""
    file = first_place(recording)
    return PurePath(file.path).name if file else f"Recording {recording.id}"


def place_of(recording: RecordingInfo) -> str:
    """Say where a recording lies, and its title if that is not its name."""
    file = first_place(recording)
    if file is None:
        return "In no file any more"
    folder = str(PurePath(file.path).parent)
    parts = [file.description.title, file.collection, "" if folder == "." else folder]
    said = " · ".join(part for part in parts if part)
    return f"{said} · file missing" if file.missing_since else said


def found_text(hit: Hit) -> str:
    """Say what found a hit."""
    by_sound, by_words = (source in hit.found_by for source in (Source.SOUND, Source.WORDS))
    if by_sound and by_words:
        return "by sound and name"
    if by_sound:
        return "by sound"
    return "by name or tags" if by_words else ""


def passage_text(passage: Passage, duration_s: float, *, exact: bool = False) -> str:
    """Say where a passage is, in a recording of some length."""
    if is_whole(passage, duration_s):
        return "All of it"
    span = exact_span_text if exact else span_text
    return span(passage.onset_s, passage.offset_s).replace("-", "–")  # noqa: RUF001


def is_whole(passage: Passage, duration_s: float) -> bool:
    """Tell whether a passage is all of a recording."""
    return passage.onset_s <= 0.05 and passage.offset_s >= duration_s - 0.05


def format_text(technical: Technical) -> str:
    """Say how a recording was made: ``"48 kHz stereo WAV, 24 bit"``."""
    channels = _LAYOUTS.get(technical.channels, f"{technical.channels} channels")
    depth = f", {technical.bit_depth} bit" if technical.bit_depth else ""
    return f"{technical.sample_rate / 1000:g} kHz {channels} {technical.format}{depth}"


def facts_of(recording: RecordingInfo) -> list[str]:
    """Return what a card says at its foot."""
    file = first_place(recording)
    about = file.description if file else None
    tags = ", ".join(about.tags[:6]) if about else ""
    return [
        duration_text(recording.technical.duration_s),
        format_text(recording.technical),
        *([tags] if tags else []),
        *([about.licence] if about and about.licence else []),
    ]


def picture_text(title: str, duration_s: float, passage: Passage | None) -> str:
    """Say of what a picture is, for those who do not see it."""
    said = f"{title}, {duration_text(duration_s)} long"
    if passage is None:
        return said
    return f"{said}; the match is from {clock_text(passage.onset_s)} to " + clock_text(
        passage.offset_s
    )


def descriptor_rows(recording: RecordingInfo) -> list[tuple[str, str]]:
    """Return what was measured as rows of a table; what is unsure is marked."""
    measured = recording.descriptors or {}
    rows = []
    for name, (label, pattern) in _DESCRIPTORS.items():
        value = measured.get(name)
        if value is None:
            continue
        doubt, least = _UNSURE.get(name, ("", 0.0))
        unsure = bool(doubt) and (measured.get(doubt) or 0.0) < least
        rows.append((label, pattern.format(value) + (" (unsure)" if unsure else "")))
    return rows


def description_rows(recording: RecordingInfo) -> list[tuple[str, str]]:
    """Return what is written about a recording as rows of a table."""
    file = first_place(recording)
    if file is None:
        return []
    about = file.description
    category = " / ".join(part for part in (about.category, about.subcategory) if part)
    rows = [
        ("Title", about.title),
        ("Description", about.description),
        ("Tags", ", ".join(about.tags)),
        ("Made by", about.creator),
        ("Licence", about.licence),
        ("Recorded", about.recorded_at),
        ("Category", category),
        *((name.replace("_", " ").capitalize(), text) for name, text in about.extra.items()),
    ]
    return [(label, text) for label, text in rows if text]

"""Edit decision lists: the passages one after another, for video and audio editors."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import PurePath
from typing import BinaryIO

from search.errors import ExportError
from search.export.clips import Clip, ExportOptions, clips, note_on_breaks, notes_on_places
from search.export.text import one_line, path_line, utf8
from search.hits import Hit

FRAME_RATES = {
    "23.976": Fraction(24_000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30_000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60_000, 1001),
    "60": Fraction(60),
}
"""Frames a second by name. Time code counts them one by one: none is dropped."""

_START_HOURS = 1  # where programmes begin, by custom
_DAY_HOURS = 24
_MOST_EVENTS = 999
_REEL_LETTERS = 8
_TITLE_LETTERS = 70
_RESERVED = frozenset({"AX", "BL", "BLACK", "BARS"})


def write_edl(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write a CMX 3600 edit decision list of cuts.

    Each passage is an event; on the record side they follow one another from 01:00:00:00. Source
    times count from the beginning of the file. A reel's name is made of the file's; the file itself
    is named in remarks.

    Returns
    -------
    list of str
        Passages that were left out because time code ends at 24 hours, and the like.

    Raises
    ------
    ExportError
        If the frame rate is none of `FRAME_RATES`, or no passage is left.

    References
    ----------
    CMX 3600 Edit List Management System, as described by EDLmax (Guide to EDL Management) and read
    by OpenTimelineIO's adapter ``cmx_3600``.
    """
    if options.frame_rate not in FRAME_RATES:
        rates = ", ".join(FRAME_RATES)
        raise ExportError(f"no frame rate {options.frame_rate!r}: choose one of {rates}")
    rate = FRAME_RATES[options.frame_rate]
    found = list(clips(hits, options))
    reels = _reels(found)
    a_day = _DAY_HOURS * 3600 * round(rate)
    record = _START_HOURS * 3600 * round(rate)
    n_events = 0
    with utf8(stream) as text:
        title = one_line(options.title)[:_TITLE_LETTERS]
        text.write(f"TITLE: {title}\r\nFCM: NON-DROP FRAME\r\n\r\n")
        for clip in found:
            first, last = clip.span(rate)
            end = record + last - first
            if max(last, end) >= a_day:
                continue
            n_events += 1
            codes = [_time_code(frame, round(rate)) for frame in (first, last, record, end)]
            head = f"{n_events:03}  {reels[clip.recording.id]:<8} {_channels(clip):<5} C        "
            lines = [head + " ".join(codes), *_remarks(clip)]
            text.writelines(f"{line}\r\n" for line in lines)
            record = end
    if found and not n_events:
        raise ExportError(
            "time code ends at 24 hours, and all passages lie beyond: export them as wav or flac"
        )
    return notes_on_places(found) + note_on_breaks(found) + _notes(n_events, len(found))


def _notes(n_events: int, n_clips: int) -> list[str]:
    notes = []
    if n_events < n_clips:
        notes.append(f"passages left out because time code ends at 24 hours: {n_clips - n_events}")
    if n_events > _MOST_EVENTS:
        notes.append(f"some programs read no more than {_MOST_EVENTS} events of an EDL")
    return notes


def _channels(clip: Clip) -> str:
    """Name the audio tracks: the first, or the first two."""
    return "A" if clip.recording.technical.channels == 1 else "AA"


def _remarks(clip: Clip) -> list[str]:
    score = "" if clip.score is None else f", score {clip.score:.3f}"
    lines = [
        f"* FROM CLIP NAME: {path_line(clip.name)}",
        f"* SOURCE FILE: {path_line(clip.path)}",
        f"* COMMENT: {clip.label}{score}",
    ]
    return [*lines, f"* COMMENT: {clip.note}"] if clip.note else lines


def _reels(found: Iterable[Clip]) -> dict[int, str]:
    """Give each recording a reel name of its own: letters and digits, eight at most."""
    reels: dict[int, str] = {}
    taken = set(_RESERVED)
    for clip in found:
        if clip.recording.id in reels:
            continue
        stem = re.sub(r"[^A-Z0-9]", "", PurePath(clip.name).stem.upper()) or "REEL"
        reel, number = stem[:_REEL_LETTERS], 1
        while reel in taken:
            number += 1
            reel = stem[: _REEL_LETTERS - len(str(number))] + str(number)
        taken.add(reel)
        reels[clip.recording.id] = reel
    return reels


def _time_code(frame: int, base: int) -> str:
    seconds, frames = divmod(frame, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}:{frames:02}"

"""Formats that mark places on a line of time: Audacity, Raven, Reaper."""

import csv
from collections.abc import Iterable
from pathlib import PurePath
from typing import BinaryIO

from search.errors import ExportError
from search.export.clips import (
    Clip,
    ExportOptions,
    by_recording,
    clips,
    note_on_breaks,
    notes_on_places,
)
from search.export.text import path_line, unquoted, utf8
from search.hits import Hit

RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Begin Path",
    "File Offset (s)",
    "Annotation",
    "Score",
    "Notes",
)

_US = 1_000_000


def write_audacity(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write a label track for Audacity, in the order of time.

    Raises
    ------
    ExportError
        If the hits lie in several recordings: a label track has one line of time.

    References
    ----------
    Audacity manual, "Importing and Exporting Labels": the standard format.
    """
    of_one = _of_one(hits, options, "audacity")
    with utf8(stream) as text:
        for clip in of_one:
            onset_us, offset_us = clip.span(_US)
            text.write(
                f"{_decimal(onset_us)}\t{_decimal(offset_us)}\t{unquoted(clip.noted_label)}\n"
            )
    return []


def write_reaper(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write regions for Reaper's region and marker manager, in the order of time.

    They fit a project in which the recording begins at 0.

    Raises
    ------
    ExportError
        If the hits lie in several recordings.

    References
    ----------
    The table that Reaper's own "Export regions/markers to file" writes when the ruler shows minutes
    and seconds. In UTF-8 without a byte order mark.
    """
    of_one = _of_one(hits, options, "reaper")
    with utf8(stream) as text:
        table = csv.writer(text)
        table.writerow(["#", "Name", "Start", "End", "Length"])
        for number, clip in enumerate(of_one, start=1):
            onset_ms, offset_ms = clip.span(1000)
            times_ms = (onset_ms, offset_ms, offset_ms - onset_ms)
            table.writerow([f"R{number}", unquoted(clip.noted_label), *map(_clock, times_ms)])
    return []


def write_raven(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write a selection table for Raven, recording by recording, in each in the order of time.

    ``File Offset (s)`` is the time within the file. ``Begin Time (s)`` is the same if there is one
    recording; of several it counts on from file to file, as Raven does when it opens them as a
    sequence, in the order of the table.

    References
    ----------
    Raven Pro User's Manual (Cornell Lab of Ornithology) for the columns; for several files the
    combined selection tables of BirdNET-Analyzer, of the same laboratory.
    """
    sorted_ = by_recording(clips(hits, options))
    before_us = number = 0
    with utf8(stream) as text:
        text.write("\t".join(RAVEN_COLUMNS) + "\n")
        for of_one in sorted_.values():
            for clip in of_one:
                number += 1
                text.write("\t".join(_selection(clip, number, before_us)) + "\n")
            before_us += round(of_one[0].recording.technical.duration_s * _US)
    notes = []
    if len(sorted_) > 1:
        notes.append("times count on from file to file: open the files in Raven as one sequence")
    found = [clip for of_one in sorted_.values() for clip in of_one]
    return notes + notes_on_places(found) + note_on_breaks(found)


_ZIP_ENDINGS = {"audacity": ".labels.zip", "reaper": ".regions.zip"}


def _of_one(hits: Iterable[Hit], options: ExportOptions, name: str) -> list[Clip]:
    """Return the passages of the one recording that is hit."""
    sorted_ = by_recording(clips(hits, options))
    if len(sorted_) > 1:
        raise ExportError(
            f"the format {name} has one line of time, and the hits lie in {len(sorted_)} "
            f"recordings: choose one hit, or the format {name}-zip (a name that ends in "
            f"{_ZIP_ENDINGS[name]}), with a file for each"
        )
    return next(iter(sorted_.values()), [])


def _selection(clip: Clip, number: int, before_us: int) -> list[str]:
    onset_us, offset_us = clip.span(_US)
    return [
        str(number),
        "Spectrogram 1",
        "1",
        _decimal(before_us + onset_us),
        _decimal(before_us + offset_us),
        "0.0",
        f"{clip.recording.technical.sample_rate / 2:.1f}",
        path_line(PurePath(clip.path).name),
        path_line(clip.path),
        _decimal(onset_us),
        unquoted(clip.label),
        clip.score_text,
        unquoted(clip.note),
    ]


def _decimal(us: int) -> str:
    """Write microseconds as seconds."""
    return f"{us // _US}.{us % _US:06}"


def _clock(ms: int) -> str:
    """Write a time as Reaper does: ``0:00.500``, ``1:02:03.250``."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{seconds:02}.{ms:03}"

"""What every format is made of: one passage of one recording at a time."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from db.records import Description, FileInfo, RecordingInfo
from db.remote import is_address
from search.export.text import first_few, has_breaks, one_line
from search.export.values import first_place, full_path
from search.hits import Hit, Passage

_MOST_LETTERS = 60


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a format may want to know beside the hits.

    Attributes
    ----------
    title : str
        Heads the formats that have a title.
    labels : tuple of str
        What to call passages: one for each sound of the query. Without one, a passage is called by
        its recording's title.
    frame_rate : str
        Of edit decision lists, one of `search.export.edl.FRAME_RATES`.
    """

    title: str = "Echoic"
    labels: tuple[str, ...] = ()
    frame_rate: str = "25"


@dataclass(frozen=True, slots=True)
class Clip:
    """One passage of a hit; the whole recording if the hit has none.

    Attributes
    ----------
    rank : int
        Of its hit, from 1.
    number : int
        Of the passage in its hit, from 1; 0 for a whole recording.
    file : FileInfo or None
        The place by which the recording is named.
    onset_s, offset_s : float
        Within the recording.
    score : float or None
        The passage's; the hit's for a whole recording; None if the hit has none.
    label : str
        One line.
    """

    rank: int
    number: int
    hit: Hit
    file: FileInfo | None
    onset_s: float
    offset_s: float
    score: float | None
    label: str

    @property
    def recording(self) -> RecordingInfo:
        """The recording that it is a part of."""
        return self.hit.recording

    @property
    def path(self) -> str:
        """Where the recording lies; empty if it lies nowhere."""
        return full_path(self.file) if self.file else ""

    @property
    def about(self) -> Description:
        """What is written about the recording."""
        return self.file.description if self.file else Description()

    @property
    def name(self) -> str:
        """The file's own name, or one made of the recording's number."""
        return PurePath(self.path).name or f"recording {self.recording.id}"

    @property
    def title(self) -> str:
        """The recording's title, or its file's name without the suffix: one line, never empty."""
        return one_line(self.about.title) or one_line(PurePath(self.name).stem) or "untitled"

    @property
    def note(self) -> str:
        """What somebody wrote to the hit: one line, empty if nobody did."""
        return one_line(self.hit.note)

    @property
    def noted_label(self) -> str:
        """The label and the note, for formats that have one text for both."""
        return f"{self.label}: {self.note}" if self.note else self.label

    @property
    def score_text(self) -> str:
        """The score with four decimals; empty if there is none."""
        return "" if self.score is None else f"{self.score:.4f}"

    def span(self, steps_per_s: int | Fraction) -> tuple[int, int]:
        """Return the passage in whole steps of time, such as milliseconds or frames of video.

        It is never empty. It ends within the recording unless that is shorter than a step.
        """
        length_s = self.recording.technical.duration_s
        # Lengths come from counted samples: a whole step must not be lost to their rounding.
        last = max(1, math.floor(length_s * steps_per_s + 1e-3))
        first = min(max(0, round(self.onset_s * steps_per_s)), last - 1)
        return first, min(max(round(self.offset_s * steps_per_s), first + 1), last)


def clips(hits: Iterable[Hit], options: ExportOptions) -> Iterator[Clip]:
    """Yield the passages of hits: hit by hit, in each the best first."""
    for rank, hit in enumerate(hits, start=1):
        file = first_place(hit.recording)
        length_s = hit.recording.technical.duration_s
        whole = Clip(rank, 0, hit, file, 0.0, length_s, hit.score, "")
        named = [(0, Passage(0.0, length_s, hit.score), one_line(hit.label) or whole.title)]
        if hit.passages:
            named = [
                (number, passage, _label(hit, passage, options.labels) or whole.title)
                for number, passage in enumerate(hit.passages, start=1)
            ]
        for number, passage, label in named:
            times_s = (passage.onset_s, passage.offset_s)
            score = passage.score if hit.has_score else None
            yield Clip(rank, number, hit, file, *times_s, score, label)


def by_recording(found: Iterable[Clip]) -> dict[int, list[Clip]]:
    """Sort passages by their recordings, these as they come, and within one by time."""
    sorted_: dict[int, list[Clip]] = {}
    for clip in found:
        sorted_.setdefault(clip.recording.id, []).append(clip)
    for of_one in sorted_.values():
        of_one.sort(key=lambda clip: (clip.onset_s, clip.offset_s, clip.number))
    return sorted_


def file_name(name: str, suffix: str, *, rank: int, number: int = 0) -> str:
    """Return a name, for a file about a passage of the file `name`, that every system can have.

    Names sort as hits do, and no two passages have the same.
    """
    stem = PurePath(name).stem
    plain = "".join(letter if letter.isalnum() or letter in "-_()" else " " for letter in stem)
    place = f"{rank:04}" + (f"-{number:02}" if number else "")
    return " ".join([place, *plain[:_MOST_LETTERS].split()]) + suffix


def notes_on_places(found: Iterable[Clip]) -> list[str]:
    """Say what a reader of a list of places should know: files that are not there, or not here."""
    places = {clip.recording.id: clip.file for clip in found}.values()
    n_missing = sum(file is None or file.missing_since is not None for file in places)
    n_remote = sum(file is not None and is_address(file.root) for file in places)
    notes = [f"recordings whose file was missing at the last look: {n_missing}"] * bool(n_missing)
    if n_remote:
        notes.append(
            f"recordings in remote storage, whose addresses few programs can open: {n_remote}; "
            "an export as wav or flac takes the sounds along"
        )
    return notes


def note_on_breaks(found: Iterable[Clip]) -> list[str]:
    """Say which paths a format of lines cannot hold."""
    broken = sorted({repr(clip.path) for clip in found if has_breaks(clip.path)})
    if not broken:
        return []
    return [
        "paths with a line break or a control character, for which a space was written: "
        f"{len(broken):,} ({first_few(broken)})"
    ]


def _label(hit: Hit, passage: Passage, labels: tuple[str, ...]) -> str:
    return one_line(hit.label or (labels[passage.sound] if passage.sound < len(labels) else ""))

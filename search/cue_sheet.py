"""What was played when, as a cue sheet: the text file that players and editors read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from db.records import RecordingInfo
from search.export import first_place, full_path
from search.export.text import first_few
from search.fingerprints import Match

NOT_RECOGNISED = "[not recognised]"
"""The title of a stretch in which nothing matched."""

_MOST_TRACKS, _MOST_MINUTES = 99, 99  # two digits each, as on the compact disc
_FRAMES_PER_S = 75
_GAP_S = 2.0  # where a match ends is not known more finely
_TYPES = {".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF", ".aifc": "AIFF"}


@dataclass(frozen=True, slots=True)
class _Track:
    onset_s: float
    title: str = NOT_RECOGNISED
    performer: str = ""
    remark: str = ""


class CueSheet:
    """Makes one sheet of what was played in one file, or in several.

    A cue sheet says where a track begins, and it lasts until the next. So a stretch in which
    nothing was recognised is a track, too, entitled `NOT_RECOGNISED`. The first track of a file
    begins at 0: what lies before it, programs take for a pause and leave out. Exact places and
    scores are in remarks, which programs pass over.

    Attributes
    ----------
    n_tracks : int
        So far; numbers run on from file to file.

    References
    ----------
    Jeff Arnold: CDRWIN User's Guide, Goldenhawk Technology, appendix A. The type ``WAVE`` for
    every other format is the habit of later programs.
    """

    def __init__(self) -> None:
        self.n_tracks = 0
        self._last_minute = 0
        self._changed: list[str] = []

    @property
    def notes(self) -> list[str]:
        """Why some programs, those built on libcue among them, may not read all of the sheet."""
        notes = []
        if self._changed:
            notes.append(
                "programs will not find these files, whose names have a quotation mark or a line "
                "break, which a cue sheet cannot hold, until they have other names: "
                f"{first_few(self._changed)}"
            )
        if self.n_tracks > _MOST_TRACKS:
            notes.append(f"some programs read no more than {_MOST_TRACKS} tracks of a cue sheet")
        if self._last_minute > _MOST_MINUTES:
            notes.append("some programs read no times beyond 99:59 in a cue sheet")
        return notes

    def add(
        self,
        query: str,
        matches: Sequence[Match],
        *,
        length_s: float,
        identical: RecordingInfo | None = None,
    ) -> str:
        """Return the lines of one file, each with its line break.

        Parameters
        ----------
        query : str
            The file, as the sheet is to name it: see `seen_from`.
        matches : sequence of Match
            By `query_onset_s`. One that begins with another, or within a frame of it, becomes a
            remark: two tracks cannot begin at once.
        length_s : float
            Length of the file, in seconds.
        identical : RecordingInfo, optional
            The recording in the archive that is this very file. It is the track of a file without
            matches, as of silence; else a remark if no match is one of it.
        """
        if _quoted(query) != f'"{query}"':
            self._changed.append(_quoted(query))
        lines = [f"FILE {_quoted(query)} {_TYPES.get(PurePath(query).suffix.lower(), 'WAVE')}"]
        last = -1
        for track in _tracks(matches, length_s, identical):
            frame = round(track.onset_s * _FRAMES_PER_S) if last >= 0 else 0
            if frame <= last:
                lines.append(f"    REM {track.remark}")
                continue
            last = frame
            self.n_tracks += 1
            self._last_minute = max(self._last_minute, frame // (60 * _FRAMES_PER_S))
            lines += [f"  TRACK {self.n_tracks:02} AUDIO", f"    TITLE {_quoted(track.title)}"]
            if track.performer:
                lines.append(f"    PERFORMER {_quoted(track.performer)}")
            if track.remark:
                lines.append(f"    REM {track.remark}")
            lines.append(f"    INDEX 01 {_time(frame)}")
        return "".join(f"{line}\n" for line in lines)


def seen_from(path: Path, folder: Path | None) -> str:
    """Return how a sheet in a folder names a file, for programs look for it from there.

    Its path from the folder if it lies there or below, so that both can be moved together; else,
    or where it is not known into which folder the sheet is written, its whole path.
    """
    whole = path.parent.resolve() / path.name
    if folder is not None and whole.is_relative_to(folder.resolve()):
        return str(whole.relative_to(folder.resolve()))
    return str(whole)


def _tracks(
    matches: Sequence[Match], length_s: float, identical: RecordingInfo | None
) -> list[_Track]:
    """Return what was played; what begins with the track before it is meant as a remark."""
    tracks = list(_played(matches, length_s))
    if identical is None or any(match.recording.id == identical.id for match in matches):
        return tracks
    path, title, performer = _names(identical)
    itself = _Track(0.0, title, performer, f"{_quoted(path)} is this very file")
    return [tracks[0], itself, *tracks[1:]] if matches else [itself]


def _played(matches: Sequence[Match], length_s: float) -> Iterator[_Track]:
    """Yield what was played, with the gaps before, between and after."""
    known_s = 0.0
    for match in matches:
        if match.query_onset_s - known_s >= _GAP_S:
            yield _Track(known_s)
        yield _track(match)
        known_s = max(known_s, match.query_offset_s)
    if length_s - known_s >= _GAP_S or not matches:
        yield _Track(known_s)


def _track(match: Match) -> _Track:
    path, title, performer = _names(match.recording)
    remark = (
        f"{_quoted(path)} {match.onset_s:.2f} s to {match.offset_s:.2f} s, here "
        f"{match.query_onset_s:.2f} s to {match.query_offset_s:.2f} s, "
        f"speed {match.speed:.3f}, pitch {match.pitch:.3f}, "
        f"score {round(match.score, 2):.1f}, p_false {match.p_false:.1e}"
    )
    return _Track(match.query_onset_s, title, performer, remark)


def _names(recording: RecordingInfo) -> tuple[str, str, str]:
    """Return where a recording lies, its title and who made it."""
    file = first_place(recording)
    if file is None:
        return f"recording {recording.id}", f"recording {recording.id}", ""
    path = full_path(file)
    return path, file.description.title or PurePath(path).stem, file.description.creator


def _quoted(text: str) -> str:
    """Quote a text; the format has no way to write a quotation mark or a line break in it."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return '"' + plain.replace('"', "'") + '"'


def _time(frame: int) -> str:
    """Say a time in minutes, seconds and frames; minutes have as many digits as they need."""
    seconds, frames = divmod(frame, _FRAMES_PER_S)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes:02}:{seconds:02}:{frames:02}"

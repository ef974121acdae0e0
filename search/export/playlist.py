"""Playlists in extended M3U."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from db.remote import is_address
from search.export.clips import Clip, ExportOptions, clips, notes_on_places
from search.export.text import has_breaks, one_line, utf8
from search.hits import Hit


def write_playlist(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write an extended M3U playlist in UTF-8, one entry for each passage.

    Where a passage begins and ends is told in VLC's options; other players play the whole files.
    A path that a line cannot hold is written as an address, ``file:///...``. Notes are comments.

    References
    ----------
    Wikipedia, "M3U", for the lines; VLC's command line help for ``start-time`` and ``stop-time``,
    in seconds, which ``EXTVLCOPT`` gives to one entry.
    """
    found = list(clips(hits, options))
    with utf8(stream) as text:
        text.write(f"#EXTM3U\n#PLAYLIST:{one_line(options.title)}\n")
        for clip in found:
            if clip.path:
                text.writelines(f"{line}\n" for line in _entry(clip))
    return notes_on_places(found)


def _entry(clip: Clip) -> list[str]:
    onset_ms, offset_ms = clip.span(1000)
    whole_s = max(1, round((offset_ms - onset_ms) / 1000))
    creator = one_line(clip.about.creator)
    lines = [f"#EXTINF:{whole_s}," + " - ".join([creator, clip.title] if creator else [clip.title])]
    if clip.number:
        lines += [
            f"#EXTVLCOPT:start-time={onset_ms / 1000:.3f}",
            f"#EXTVLCOPT:stop-time={offset_ms / 1000:.3f}",
        ]
    if clip.note:
        # The word keeps a note from being read as an instruction: VLC passes over "# ".
        lines.insert(0, f"# Note: {clip.note}")
    return [*lines, _address(clip.path)]


def _address(path: str) -> str:
    """Return a path as it is, or as an address if readers of lines would spoil it."""
    if not has_breaks(path) and path == path.strip():
        return path
    return quote(path, safe="/:") if is_address(path) else Path(path).as_uri()

"""The passages themselves, as sound, with a manifest that says whose they are."""

import csv
import io
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from search.errors import ExportError
from search.export.archive import ZipWriter
from search.export.clips import Clip, ExportOptions, by_recording, clips, file_name
from search.export.cutting import Excerpt, cut
from search.export.text import first_few, utf8
from search.hits import Hit

MANIFEST_COLUMNS = (
    "path",
    "title",
    "creator",
    "licence",
    "attribution",
    "label",
    "comment",
    "source",
    "collection",
    "onset_s",
    "offset_s",
    "sample_rate",
    "channels",
    "score",
    "rank",
    "passage",
    "recording_id",
    "content_hash",
    "note",
    "error",
)


def write_wav_excerpts(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write the passages as WAV files into a ZIP archive, as `write_excerpts` does.

    Samples are as they were decoded: 24-bit integers, or 32-bit floats where the recording's are
    floats, wider than 24 bits, or lossy, so that nothing is rounded or clipped.
    """
    return write_excerpts(hits, stream, options, container="WAV")


def write_flac_excerpts(hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions) -> list[str]:
    """Write the passages as FLAC files into a ZIP archive, as `write_excerpts` does.

    They have 16 bits if the recording has no more, else 24. FLAC holds no float samples: what goes
    beyond full scale is clipped, and the manifest says so.
    """
    return write_excerpts(hits, stream, options, container="FLAC")


def write_excerpts(
    hits: Iterable[Hit], stream: BinaryIO, options: ExportOptions, *, container: str
) -> list[str]:
    """Write the passages into a ZIP archive, with a manifest of `MANIFEST_COLUMNS`.

    Excerpts keep channels and sample rate. No recording is held in memory as a whole. What cannot
    be read is listed in the manifest with the reason, and the rest is written. Unpacked, the folder
    can be indexed: ``manifest.csv`` is what Echoic reads as a folder's manifest.

    Returns
    -------
    list of str
        A note that names the first recordings of which something is left out, if there are any.

    Raises
    ------
    ExportError
        If not one passage could be read, or there is no room for the excerpts of a recording in
        the folder for temporary files.

    References
    ----------
    Erik de Castro Lopo et al.: libsndfile, for WAV and FLAC.
    """
    found = list(clips(hits, options))
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    faults: dict[str, None] = {}
    n_lost = 0
    with ZipWriter(stream) as archive:
        for of_one in by_recording(found).values():
            with tempfile.TemporaryDirectory(prefix="echoic-") as folder:
                for excerpt in cut(of_one, Path(folder), container):
                    clip = excerpt.clip
                    name = _name(clip, container)
                    rows[clip.rank, clip.number] = _row(excerpt, name)
                    if excerpt.path is not None:
                        archive.add_file(name, excerpt.path)
                    else:
                        faults[f"{clip.path or clip.name}: {excerpt.error}"] = None
                        n_lost += 1
        if found and n_lost == len(found):
            raise ExportError(
                f"no passage could be read ({_first(faults)}): connect the disk that the files are "
                "on, or say with `echoic relocate` where they are now"
            )
        in_order = [rows[clip.rank, clip.number] for clip in found]
        archive.add_text("manifest.csv", _manifest(in_order))
    if not faults:
        return []
    return [f"passages left out, of which manifest.csv tells why: {n_lost:,} ({_first(faults)})"]


def _first(faults: Collection[str]) -> str:
    return first_few(faults, between="; ")


def _name(clip: Clip, container: str) -> str:
    return file_name(clip.name, f".{container.lower()}", rank=clip.rank, number=clip.number)


def _row(excerpt: Excerpt, name: str) -> dict[str, Any]:
    clip = excerpt.clip
    return {
        "path": name,
        "title": clip.title,
        "creator": clip.about.creator,
        "licence": clip.about.licence,
        "attribution": clip.about.extra.get("attribution", ""),
        "label": clip.label if clip.label != clip.title else "",
        "comment": clip.note,
        "source": clip.path,
        "collection": clip.file.collection if clip.file else "",
        "onset_s": f"{excerpt.onset_s:.6f}",
        "offset_s": f"{excerpt.offset_s:.6f}",
        "sample_rate": excerpt.sample_rate or "",
        "channels": excerpt.channels or "",
        "score": clip.score_text,
        "rank": clip.rank,
        "passage": clip.number or "",
        "recording_id": clip.recording.id,
        "content_hash": clip.recording.content_hash,
        "note": excerpt.note,
        "error": excerpt.error,
    }


def _manifest(rows: Iterable[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    with utf8(stream) as text:
        table = csv.DictWriter(text, MANIFEST_COLUMNS)
        table.writeheader()
        table.writerows(rows)
    return stream.getvalue()

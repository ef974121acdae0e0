"""The demo archive: what is in it, and how it is written to a folder."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.demo.encode import write_sound
from indexer.demo.field import LENGTH_S, audacity_labels, field_recording
from indexer.demo.made_sounds import BANGS, HOUSEHOLD, MACHINES, SIGNALS
from indexer.demo.music_sounds import MUSIC
from indexer.demo.nature_sounds import ANIMALS, PEOPLE, WEATHER
from indexer.demo.sound import CREATOR, LICENCE, Sound, render

FIELD_RECORDING = Sound(
    path="field/field-recording-village-edge.flac",
    title="Field recording at the edge of a village",
    description="Five minutes of breeze, a distant road and small birds, in which a dog, a church "
    "bell, a car, a siren, footsteps, thunder, rain, a helicopter, a crow, an alarm clock, a train "
    "horn, a motorcycle and a bicycle bell are heard at the times listed in the label file.",
    label="field recording",
    tags="ambience;village;outdoors",
    length_s=LENGTH_S,
    make=field_recording,
    sr=32_000,
    peak_dbfs=-9.0,
)
SOUNDS: tuple[Sound, ...] = (
    *WEATHER, *ANIMALS, *PEOPLE, *MACHINES, *SIGNALS, *HOUSEHOLD, *BANGS, *MUSIC, FIELD_RECORDING,
)  # fmt: skip

COLUMNS = ("path", "title", "description", "tags", "creator", "licence", "label", "checksum")


@dataclass(frozen=True)
class Copy:
    """A part of another file of the archive, encoded anew: what a fingerprint should recognise.

    Attributes
    ----------
    path, title, description, label, tags : str
        As of a `Sound`.
    source : str
        Path of the file it is taken from, which must be lossless.
    from_s, to_s : float
        Which part, in s.
    sr : int
        Its sample rate in Hz, another than the source's.
    gain_db : float
        How much louder than the source.
    """

    path: str
    title: str
    description: str
    label: str
    tags: str
    source: str
    from_s: float
    to_s: float
    sr: int
    gain_db: float


COPIES = (
    Copy(
        path="copies/field-recording-excerpt.mp3",
        title="Excerpt of the field recording",
        description="0:35 to 1:05 of the field recording at the edge of a village, mono, louder, "
        "at another sample rate, encoded at a low bit rate.",
        label="church bell",
        tags="copy;excerpt;church bell",
        source=FIELD_RECORDING.path,
        from_s=35.0,
        to_s=65.0,
        sr=22_050,
        gain_db=7.0,
    ),
    Copy(
        path="copies/synth-arpeggio-copy.m4a",
        title="Copy of the synthesiser arpeggio",
        description="The arpeggio from its third second on, quieter, resampled, in AAC.",
        label="synthesizer",
        tags="copy;excerpt;music",
        source="music/synth-arpeggio.flac",
        from_s=3.0,
        to_s=15.0,
        sr=32_000,
        gain_db=-6.0,
    ),
)


@dataclass(frozen=True)
class DemoArchive:
    """A demo archive on disk.

    Attributes
    ----------
    folder, manifest, labels : Path
        The archive, its manifest.csv, and the field recording's events as Audacity labels.
    files : tuple of Path
        Every audio file.
    written : tuple of Path
        Those of them that this call wrote; the others were there.
    """

    folder: Path
    manifest: Path
    labels: Path
    files: tuple[Path, ...]
    written: tuple[Path, ...]


def write_demo_archive(
    folder: Path, *, progress: Callable[[str], None] | None = None
) -> DemoArchive:
    """Write the demo archive to a folder, or complete the one that is there.

    The sounds are made with fixed random numbers and are the same to the byte each time on one
    machine. A file is kept when the manifest in the folder lists it as this version of Echoic
    would, with the checksum it still has; so an interrupted call is taken up where it stopped.

    Parameters
    ----------
    folder : Path
        Made if need be. Files in it that are not the archive's are left alone.
    progress : callable, optional
        Called with each file's path, relative to `folder`, as soon as the file is there.

    Returns
    -------
    DemoArchive

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.csv"
    known = _read_manifest(manifest)
    rows: dict[str, dict[str, str]] = {}
    written = []
    for entry in _entries():
        path = folder / entry.path
        row = known.get(entry.path)
        if (
            row is None
            or not path.is_file()
            or row != describe(entry) | {"checksum": _checksum(path)}
        ):
            _write(folder, entry)
            written.append(path)
            row = describe(entry) | {"checksum": _checksum(path)}
            # Rows of files that come later stay, or an interruption here would forget them.
            _replace_text(manifest, _table({**known, **rows, entry.path: row}.values(), COLUMNS))
        rows[entry.path] = row
        if progress is not None:
            progress(entry.path)
    _replace_text(manifest, _table(rows.values(), COLUMNS))
    labels = (folder / FIELD_RECORDING.path).with_suffix(".txt")
    _replace_text(labels, audacity_labels())
    return DemoArchive(folder, manifest, labels, tuple(folder / p for p in rows), tuple(written))


def describe(entry: Sound | Copy) -> dict[str, str]:
    """Return what the manifests say of a file: every column but the checksum."""
    return {
        "path": entry.path,
        "title": entry.title,
        "description": f"{entry.description} Synthetic.",
        "tags": f"synthetic;{entry.tags}",
        "creator": CREATOR,
        "licence": LICENCE,
        "label": entry.label,
    }


def manifest_csv() -> str:
    """Return the text of ``data_manifests/demo.csv``: what the archive holds, without checksums.

    Encoders and mathematics libraries differ between machines, so the bytes do too.
    """
    return _table((describe(entry) for entry in _entries()), COLUMNS[:-1])


def _entries() -> tuple[Sound | Copy, ...]:
    """List the whole archive; copies last, for their sources must be there."""
    return (*SOUNDS, *COPIES)


def _write(folder: Path, entry: Sound | Copy) -> None:
    tags = {"title": entry.title, "artist": CREATOR, "comment": "Synthetic sound, CC0 1.0."}
    if isinstance(entry, Sound):
        write_sound(folder / entry.path, render(entry), entry.sr, tags=tags, bits=entry.bits)
    else:
        write_sound(
            folder / entry.path, excerpt(folder, entry), entry.sr, tags=tags, compression=0.85
        )


def excerpt(folder: Path, copy: Copy) -> NDArray[np.float32]:
    """Cut a copy's part out of its source in an archive, mono, at the copy's rate and level.

    Returns
    -------
    ndarray of float32, shape (samples,)
    """
    import soundfile
    import soxr

    with soundfile.SoundFile(folder / copy.source) as source:
        sr = source.samplerate
        source.seek(round(copy.from_s * sr))
        x = source.read(round((copy.to_s - copy.from_s) * sr), dtype="float32", always_2d=True)
    mono = soxr.resample(x.mean(axis=1), sr, copy.sr) * 10 ** (copy.gain_db / 20)
    return np.asarray(mono, np.float32)


def _read_manifest(manifest: Path) -> dict[str, dict[str, str]]:
    if not manifest.is_file():
        return {}
    with manifest.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def _table(rows: Iterable[dict[str, str]], columns: tuple[str, ...]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; leave it alone when it says so already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

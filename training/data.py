"""Decode the training recordings once, to one flat array that every process maps.

`prepare` writes two files: ``audio.raw`` (int16, mono, 32 kHz, all recordings end to end) and
``index.json`` (one entry a recording). Only folds 1-4 of esc10 are read: fold 5 is for measuring.
"""

import csv
import json
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import SAMPLE_RATE

MAX_RECORDING_S = 90.0
MIN_RECORDING_S = 0.03
SILENCE_PEAK = 1e-3
MEASURED_FOLD = "5"
WATCHED_SHARE = 40  # one recording in so many is watched during training, never trained on


@dataclass(frozen=True)
class Clip:
    """One recording inside the flat array: where it lies, and where it came from."""

    folder: str
    path: str
    label: str
    start: int
    length: int
    watched: bool


@dataclass(frozen=True)
class Stored:
    """Names of the files in the work folder that keep a collection of sounds.

    Attributes
    ----------
    samples : str
        All sounds end to end, int16, mono, 32 kHz.
    index : str
        A list of `Clip`.
    heard : str
        What the teacher says of them.
    """

    samples: str
    index: str
    heard: str


RECORDED = Stored("audio.raw", "index.json", "heard.npz")
SYNTHETIC = Stored("synthetic.raw", "synthetic.json", "synthetic.npz")


def read_mono(path: Path, *, max_s: float = MAX_RECORDING_S) -> NDArray[np.float32]:
    """Decode the middle of a recording as mono at 32 kHz.

    Parameters
    ----------
    path : Path
    max_s : float
        Longest excerpt in seconds.

    Returns
    -------
    ndarray, shape (n_samples,), float32
    """
    with sf.SoundFile(path) as file:
        wanted = int(max_s * file.samplerate)
        if file.frames > wanted:
            file.seek((file.frames - wanted) // 2)
        samples = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        rate = file.samplerate
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
    return samples.astype(np.float32)


def manifest(folder: Path) -> list[dict[str, str]]:
    """Rows of a folder's ``manifest.csv``."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _rows(audio: Path) -> list[tuple[str, dict[str, str]]]:
    rows: list[tuple[str, dict[str, str]]] = []
    for folder in ("esc10", "effects", "unlabelled", "music"):
        for row in manifest(audio / folder):
            if folder == "esc10" and row["fold"] == MEASURED_FOLD:
                continue
            if row.get("is_reencoded_left_channel"):
                continue
            rows.append((folder, row))
    return rows


def _watched(folder: str, row: dict[str, str]) -> bool:
    # By source for esc10, so that no near-duplicate of a watched clip is trained on.
    if folder == "esc10":
        return row["fold"] == "4" and zlib.crc32(row["freesound_id"].encode()) % 4 == 0
    return zlib.crc32(row["path"].encode()) % WATCHED_SHARE == 0


def prepare(audio: Path, work: Path) -> None:
    """Decode every training recording under `audio` into `work`, unless that is already done.

    Parameters
    ----------
    audio : Path
        Folder with esc10, effects, unlabelled and music, each with a manifest.
    work : Path
        Receives ``audio.raw`` and ``index.json``.
    """
    if (work / RECORDED.index).exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    start = 0
    with (work / RECORDED.samples).open("wb") as out:
        for folder, row in _rows(audio):
            try:
                samples = read_mono(audio / folder / row["path"])
            except sf.LibsndfileError as error:  # a few very short Opus files
                print(f"left out, {error}", flush=True)
                continue
            peak = float(np.abs(samples).max(initial=0.0))
            if len(samples) < MIN_RECORDING_S * SAMPLE_RATE or peak < SILENCE_PEAK:
                print(f"left out, too short or silent: {folder}/{row['path']}", flush=True)
                continue
            # Level is an augmentation anyway: full scale keeps most of the 16 bits.
            out.write(np.round(samples * (32000.0 / peak)).astype("<i2").tobytes())
            label = row.get("label") or row.get("title") or ""
            clips.append(
                Clip(folder, row["path"], label, start, len(samples), _watched(folder, row))
            )
            start += len(samples)
    (work / RECORDED.index).write_text(json.dumps([asdict(clip) for clip in clips]))
    print(f"{len(clips)} recordings, {start / SAMPLE_RATE / 3600:.2f} hours")


def write_sources(audio: Path, work: Path, out: Path) -> None:
    """List whom the training recordings come from, and under which licence, as CSV.

    Parameters
    ----------
    audio, work : Path
        The recordings, and what `prepare` made of them.
    out : Path
        Receives the columns source, licence, attribution, recordings.
    """
    used = {(clip.folder, clip.path) for clip in load(work)[1]}
    counts: Counter[tuple[str, str, str]] = Counter()
    for folder, row in _rows(audio):
        if (folder, row["path"]) in used:
            source = row["origin"].split("/")[0] if row.get("origin") else folder
            counts[source, row["licence"], row["attribution"]] += 1
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "licence", "attribution", "recordings"])
        writer.writerows([*key, count] for key, count in sorted(counts.items()))


def load(work: Path, stored: Stored = RECORDED) -> tuple[NDArray[np.int16], list[Clip]]:
    """Map a collection of sounds.

    Returns
    -------
    audio : ndarray, shape (n_samples,), int16
        Each recording's peak is near full scale.
    clips : list of Clip
    """
    clips = [Clip(**entry) for entry in json.loads((work / stored.index).read_text())]
    return np.memmap(work / stored.samples, dtype="<i2", mode="r"), clips

"""All recordings of the folder of audio, decoded once: 16 kHz, mono, in one file that is mapped."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fingerprint.materials import SR, Samples, manifest, reserved_paths
from indexer.errors import AudioError
from indexer.mono import read_mono

FOLDERS = ("music", "effects", "unlabelled", "esc10")
_SHORTEST_S = 0.5
_FREESOUND = re.compile(r"freesound\.org/\D*(?:sounds|s)/(\d+)")
_FULL_SCALE = 32767


@dataclass(frozen=True, slots=True)
class Source:
    """One recording.

    Attributes
    ----------
    path : str
        Below the folder of audio; its name in the benchmark.
    copy_of : str
        Path of the recording that this one is a re-encoding of, or empty.
    reserved : bool
        Whether excerpts are mixed with it.
    freesound_ids : tuple of str
        Of what it was made from, as far as its manifest says.
    start, n_samples : int
        Where it lies in the store.
    """

    path: str
    copy_of: str
    reserved: bool
    freesound_ids: tuple[str, ...]
    start: int = 0
    n_samples: int = 0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / SR

    @property
    def kind(self) -> str:
        """The folder it comes from."""
        return self.path.partition("/")[0]


class Store:
    """The recordings and their samples."""

    def __init__(self, sources: list[Source], samples: NDArray[np.int16]) -> None:
        self.sources = {source.path: source for source in sources}
        self._samples = samples

    def read(self, path: str, start: int = 0, stop: int | None = None) -> Samples:
        """Return samples of a recording, float32; what lies outside it is left out."""
        source = self.sources[path]
        end = source.n_samples if stop is None else min(stop, source.n_samples)
        part = self._samples[source.start + max(0, start) : source.start + end]
        return part.astype(np.float32) / np.float32(_FULL_SCALE)


def open_store(folder: Path, cache: Path) -> Store:
    """Map the decoded recordings, decoding them first where that was not done yet (a minute)."""
    listing = cache / "sources.json"
    if not listing.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode_all(folder, cache)
    rows = json.loads(listing.read_text(encoding="utf-8"))
    sources = [Source(**{**row, "freesound_ids": tuple(row["freesound_ids"])}) for row in rows]
    return Store(sources, np.load(cache / "samples.npy", mmap_mode="r"))


def _listed(folder: Path) -> Iterator[Source]:
    reserved = reserved_paths(folder)
    for kind in FOLDERS:
        for row in manifest(folder / kind):
            path = f"{kind}/{row['path']}"
            is_copy = bool(row.get("is_reencoded_left_channel"))
            ids = {*_FREESOUND.findall(row.get("attribution") or "")}
            if row.get("freesound_id"):
                ids.add(row["freesound_id"])
            yield Source(
                path=path,
                copy_of=path.replace("_ch0.", ".") if is_copy else "",
                reserved=path in reserved,
                freesound_ids=tuple(sorted(ids)),
            )


def _decoded(path: Path) -> NDArray[np.int16]:
    try:
        samples = read_mono(path, SR)
    except (AudioError, FileNotFoundError) as error:
        print(f"left out: {path}: {error}")
        return np.zeros(0, dtype=np.int16)
    return np.round(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int16)


def _decode_all(folder: Path, cache: Path) -> None:
    sources = list(_listed(folder))
    with ProcessPoolExecutor(2) as pool:
        decoded = list(pool.map(_decoded, [folder / s.path for s in sources], chunksize=50))
    rows, kept, start = [], [], 0
    for source, samples in zip(sources, decoded, strict=True):
        if len(samples) >= _SHORTEST_S * SR:
            rows.append({**asdict(source), "start": start, "n_samples": len(samples)})
            kept.append(samples)
            start += len(samples)
    np.save(cache / "samples.npy", np.concatenate(kept))
    (cache / "sources.json").write_text(json.dumps(rows), encoding="utf-8")

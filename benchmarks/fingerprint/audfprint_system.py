"""Dan Ellis's audfprint, the program itself: its peaks, hashes, table and matching.

audfprint is not on PyPI; ``audfprint2`` there is the same program for newer Pythons, with his name
and licence (MIT). It is called as its command calls it, on samples instead of files.

"Dense" asks for all it can give: 100 hashes a second instead of 20, up to 8 pairs a peak instead
of 3, buckets of 200, and 4,000 recordings that are weighed instead of 100, since otherwise
thousands of recordings of a second crowd the right one out.

References
----------
D. P. W. Ellis, "Robust landmark-based audio fingerprinting", 2009.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal as dsp
from numpy.typing import NDArray

from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.systems import Answer

_SHIFTS = 4  # of a query, within a frame; so many are its default


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of its command, and what they are there.

    Attributes
    ----------
    density : float
        ``--density``, hashes a second.
    fan_out : int
        ``--fanout``, pairs a peak.
    bucket : int
        ``--bucketsize``, places kept of one hash.
    depth : int
        ``--search-depth``, recordings that are weighed.
    """

    density: float = 20.0
    fan_out: int = 3
    bucket: int = 100
    depth: int = 100


DEFAULT = Settings()
DENSE = Settings(density=100.0, fan_out=8, bucket=200, depth=4000)


class AudfprintSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(self, folder: Path, settings: Settings = DEFAULT) -> None:
        try:
            from audfprint2.core import analyzer, hash_table, matcher
        except ImportError as error:
            raise SystemExit("--system audfprint needs `pip install audfprint2`") from error
        logging.getLogger("audfprint").setLevel(logging.WARNING)
        self._to_hashes = analyzer.landmarks2hashes
        self._analyzer = analyzer.Analyzer(density=settings.density)
        self._analyzer.maxpairsperpeak = settings.fan_out
        self._matcher = matcher.Matcher()
        self._matcher.window = 2  # the default of its command, as is the least of 5 hashes
        self._matcher.search_depth = settings.depth
        self._table = hash_table.HashTable(depth=settings.bucket)
        self._files = {name: folder / f"{name}.npy" for name in ("table", "counts", "hashesperid")}
        self._names_file = folder / "names.json"
        if self._names_file.exists():
            self._load()

    def add(self, name: str, samples: Samples) -> None:
        self._table.store(name, self._hashes(samples, shifts=1).tolist())

    def finish(self) -> None:
        # Its own file is compressed, and takes a minute to read.
        for name, file in self._files.items():
            np.save(file, getattr(self._table, name))
        self._names_file.write_text(json.dumps(self._table.names), encoding="utf-8")

    def features(self, samples: Samples) -> None:
        self._hashes(samples, shifts=1)

    def stored_bytes(self) -> int:
        """Return the size of the table, which has room for more and is as large when empty."""
        return sum(file.stat().st_size for file in self._files.values())

    def identify(self, samples: Samples) -> list[Answer]:
        rows = self._matcher.match_hashes(self._table, self._hashes(samples, shifts=_SHIFTS))
        if not len(rows):
            return []
        recording, votes, frame = (int(value) for value in rows[0][:3])
        offset_s = frame * self._analyzer.n_hop / self._analyzer.target_sr
        # What it returns, it takes for found.
        return [Answer(self._table.names[recording], offset_s, float(votes), 0.0)]

    def _load(self) -> None:
        for name, file in self._files.items():
            setattr(self._table, name, np.load(file, mmap_mode="r"))
        self._table.names = json.loads(self._names_file.read_text(encoding="utf-8"))

    def _hashes(self, samples: Samples, *, shifts: int) -> NDArray[np.int32]:
        """Return rows of frame and hash."""
        sr, hop = self._analyzer.target_sr, self._analyzer.n_hop
        sound = dsp.resample_poly(samples, sr // 25, SR // 25)
        found = []
        for shift in range(shifts):
            peaks = self._analyzer.find_peaks(sound[shift * hop // shifts :], sr)
            found.append(self._to_hashes(self._analyzer.peaks2landmarks(peaks)))
        return np.unique(np.concatenate(found), axis=0)

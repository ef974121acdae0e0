"""Echoic itself: a catalogue, its postings files, and the search that `echoic identify` makes.

What is indexed comes from the benchmark's store; files are read where fingerprints leave a doubt.
"""

from pathlib import Path

import soxr
from sqlalchemy import select

from benchmarks.fingerprint.materials import SR, Samples, audio_folder
from benchmarks.fingerprint.systems import Answer
from db.catalogue import Catalogue
from db.fingerprint_index import save_fingerprint_index
from db.landmarks import Landmarks, pack
from db.records import Analysis, Description, FileState, SchemeInfo, Technical
from db.schema import FileRow
from db.storage import file_state
from db.writer import CatalogueWriter
from indexer.landmarks import LandmarkFingerprinter
from search.fingerprints import MAX_CHANGE, FingerprintEngine

_AT_ONCE = 100
_BLOCK = 10 * SR


class EchoicSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(
        self, folder: Path, *, max_change: float = MAX_CHANGE, reads_files: bool = True
    ) -> None:
        self._folder = folder / "catalogue"
        self._reads_files = reads_files
        self._max_change = max_change
        self._fingerprinter = LandmarkFingerprinter()
        self._scheme = SchemeInfo(self._fingerprinter.id, self._fingerprinter.frame_s)
        self._waiting: list[tuple[str, Landmarks]] = []
        self._blob_bytes = 0
        self._writer: CatalogueWriter | None = None
        self._collection = 0
        if self._folder.exists():
            self._open_for_search()

    def add(self, name: str, samples: Samples) -> None:
        self.add_landmarks(name, self.landmarks(samples))

    def add_landmarks(self, name: str, landmarks: Landmarks) -> None:
        """Take a recording of the archive of which nothing but its landmarks is known."""
        self._waiting.append((name, landmarks))
        if len(self._waiting) >= _AT_ONCE:
            self._store()

    def finish(self) -> None:
        self._store()
        writer = self._writing()
        fingerprinter = self._fingerprinter
        notes = save_fingerprint_index(
            writer, fingerprinter.id, fingerprinter.keys, key_bits=fingerprinter.key_bits
        )
        if notes:
            raise SystemExit("; ".join(notes))
        writer.__exit__(None, None, None)
        writer.catalogue.close()
        self._writer = None

    def features(self, samples: Samples) -> None:
        self.landmarks(samples)

    def stored_bytes(self) -> int:
        """Return the size of the fingerprints in SQL and of the postings files."""
        index = self._folder / "index"
        files = sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
        return self._blob_bytes + files

    def identify(self, samples: Samples) -> list[Answer]:
        narrow = soxr.resample(samples, SR, self._engine.sample_rate)
        # More than the product accepts, so that a threshold can be chosen afterwards.
        return [
            Answer(
                self.names[match.recording.id],
                match.onset_s - match.query_onset_s * match.speed,
                match.score,
                match.p_false,
            )
            for match in self._engine.identify_samples(narrow, p_false=0.1)
        ]

    def landmarks(self, samples: Samples) -> Landmarks:
        """Resample and analyse as indexing does, block by block."""
        stream = self._fingerprinter.stream()
        resampler = soxr.ResampleStream(
            SR, self._fingerprinter.sample_rate, 1, dtype="float32", quality="HQ"
        )
        for start in range(0, len(samples), _BLOCK):
            is_last = start + _BLOCK >= len(samples)
            block = samples[start : start + _BLOCK]
            stream.push(resampler.resample_chunk(block, last=is_last))
        return stream.finish()

    def _writing(self) -> CatalogueWriter:
        if self._writer is None:
            self._writer = CatalogueWriter(Catalogue.open(self._folder, create=True))
            self._writer.__enter__()
            self._collection = self._writer.add_collection("archive", str(audio_folder())).id
        return self._writer

    def _store(self) -> None:
        writer = self._writing()
        writer.store(
            [
                Analysis(
                    self._collection,
                    name,
                    _state(name),
                    f"sha256:{name}",
                    self._technical(landmarks),
                    Description(title=name),
                    {},
                    None,
                    {},
                    None,
                    {self._scheme: landmarks},
                )
                for name, landmarks in self._waiting
            ]
        )
        self._blob_bytes += sum(len(pack(landmarks)) for _, landmarks in self._waiting)
        self._waiting = []

    def _technical(self, landmarks: Landmarks) -> Technical:
        # The search never names a time beyond the recording's end.
        duration_s = landmarks.n_frames * self._fingerprinter.frame_s
        return Technical(duration_s, SR, 1, "WAV", "PCM_16", 16)

    def _open_for_search(self) -> None:
        catalogue = Catalogue.open(self._folder)
        self._engine = FingerprintEngine(
            catalogue, max_change=self._max_change, reads_files=self._reads_files
        )
        with catalogue.session() as session:
            rows = session.execute(select(FileRow.recording_id, FileRow.path))
            self.names = {row.recording_id: row.path for row in rows}


def _state(name: str) -> FileState:
    """Return the state of a recording's file; one that was synthesised has none."""
    path = audio_folder() / name
    return file_state(path) if path.exists() else FileState(0, 0)

"""How much memory a reader needs to open a catalogue whose vectors are on a Milvus server.

    python -m benchmarks.milvus_reader [--segments N]

A catalogue in SQL is made with as many segments (five millions by default), of recordings of ten
seconds, a minute and an hour by echoic-mini; their vectors are never read, so none are stored. The
server is the one part that is not there: what it is asked when a catalogue is opened, it is said to
answer. Each time a new process opens the catalogue; what is printed is how far its memory grew for
a moment, and by how much it has grown at the end.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
from sqlalchemy import insert

from db.catalogue import Catalogue
from db.milvus_filled import Filled
from db.schema import EmbeddingRow, EncoderRow, RecordingRow
from db.segment_index import SegmentIndex
from db.storing import now
from db.vector_location import put_location

RESULTS = Path(__file__).parent / "results"
SEGMENTS_OF = {"ten seconds": 4, "a minute": 24, "an hour": 1440}
ENCODER = "echoic-mini/2"
DIM = 384
BATCH = 20_000


class ServerThatHoldsAll:
    """Answers as a Milvus server does that holds what SQL says."""

    uri = "http://127.0.0.1:19530"
    is_lite = False
    n_segments = 0

    def __init__(self, uri: str) -> None:
        pass

    def token(self, name: str) -> str:
        return "t"

    def has(self, name: str) -> bool:
        return True

    def dim(self, name: str) -> int:
        return DIM

    def count(self, name: str) -> int:
        return self.n_segments

    def index_kind(self, name: str) -> str:
        return "IVF_FLAT"


def make(folder: Path, n_segments: int, segments_each: int) -> None:
    n_recordings = n_segments // segments_each
    with Catalogue.open(folder, create=True) as catalogue, catalogue.transaction() as session:
        session.add(
            EncoderRow(
                id=1,
                name=ENCODER,
                dim=DIM,
                sample_rate=32_000,
                window_s=5.0,
                hop_s=2.5,
                next_segment=n_recordings * segments_each,
                n_removals=0,
            )
        )
        session.flush()
        for first in range(0, n_recordings, BATCH):
            ids = range(first + 1, min(first + BATCH, n_recordings) + 1)
            recordings = [
                {"id": id_, "content_hash": f"sha256:{id_:064x}", "size_bytes": 1,
                 "duration_s": 2.5 * segments_each, "sample_rate": 48_000, "channels": 1,
                 "format": "WAV", "codec": "PCM_16", "warnings": [], "indexed_at": now()}
                for id_ in ids
            ]  # fmt: skip
            embeddings = [
                {"recording_id": id_, "encoder_id": 1, "first_segment": (id_ - 1) * segments_each,
                 "n_segments": segments_each, "checksum": 0, "vectors": b""}
                for id_ in ids
            ]  # fmt: skip
            session.execute(insert(RecordingRow), recordings)
            session.execute(insert(EmbeddingRow), embeddings)
        n = n_recordings * segments_each
        filled = Filled("c", ServerThatHoldsAll.uri, ("t",), n, 0, n)
        filled.write(session, 1, np.arange(n))
        put_location(session, ServerThatHoldsAll.uri)


def open_as_a_reader(folder: Path) -> None:
    """Print as JSON by how many bytes this process grew, at most and in the end."""
    process = psutil.Process()
    with Catalogue.open(folder) as catalogue:
        with catalogue.session() as session:
            filled = Filled.read(session, 1)
        ServerThatHoldsAll.n_segments = filled.n_vectors if filled else 0
        before = process.memory_info().rss
        with patch("db.milvus_store.MilvusServer", ServerThatHoldsAll):
            index = SegmentIndex.open(catalogue, ENCODER)
        if index.notes or len(index) != ServerThatHoldsAll.n_segments:
            raise SystemExit(f"{len(index)} segments were found; {index.notes}")
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
        print(json.dumps([peak, process.memory_info().rss - before, len(index)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--segments", type=int, default=5_000_000)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        open_as_a_reader(options.open)
        return
    result = []
    for length, segments_each in SEGMENTS_OF.items():
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder) / "catalogue", options.segments, segments_each)
            command = [sys.executable, "-m", "benchmarks.milvus_reader"]
            ran = subprocess.run(
                [*command, "--open", str(Path(folder) / "catalogue")],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        peak, kept, n = json.loads(ran.stdout)
        row = {"recordings": length, "segments": n, "peak_bytes_each": round(peak / n, 1),
               "kept_bytes_each": round(kept / n, 1)}  # fmt: skip
        print(row)
        result.append(row)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "milvus_reader.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

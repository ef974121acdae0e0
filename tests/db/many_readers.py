"""Readers that search while a writer adds and removes recordings."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from db.catalogue import Catalogue
from db.conditions import Condition, Text
from db.filters import RecordingFilter
from db.fingerprint_index import FingerprintIndex
from db.keywords import search_keywords
from db.records import Analysis, Description
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, SCHEME, analysis, expand, fingerprinted

Search = Callable[[], set[int]]
"""Returns the recordings that it finds."""

_BATCH = 4
_KEPT = 24


def searches_of(catalogue: Catalogue) -> list[Search]:
    """Return one search of each kind, that each find all recordings of `churn`."""
    vectors = SegmentIndex.open(catalogue, ENCODER.name)
    marks = FingerprintIndex.open(catalogue, SCHEME.name, expand, key_bits=20)
    recordings = RecordingFilter(catalogue)
    query = np.eye(1, ENCODER.dim, dtype=np.float32)

    def by_sound() -> set[int]:
        vectors.refresh()
        _, segments = vectors.search(query, 500)
        owners, _ = vectors.locate(segments[segments >= 0])
        return set(owners[owners >= 0].tolist())

    def by_fingerprint() -> set[int]:
        marks.refresh()
        frames = marks.lookup(np.arange(0, 1 << 20, 7, dtype=np.uint32)).frames
        owners, _ = marks.locate(frames)
        return set(owners[owners >= 0].tolist())

    def by_condition() -> set[int]:
        return set(recordings.matching([Condition("title", (Text("dog"),))]).tolist())

    def by_keyword() -> set[int]:
        return {hit.recording_id for hit in search_keywords(catalogue, "barking", 500)}

    return [by_sound, by_fingerprint, by_condition, by_keyword]


def recording(collection_id: int, number: int) -> Analysis:
    """Make what analysing a file gives."""
    name = f"{number:05}.wav"
    said = Description(title=f"dog barking {number}")
    return fingerprinted(analysis(collection_id, name, description=said))


class Churn:
    """Adds recordings, a batch at a time, and removes the oldest.

    Attributes
    ----------
    gone : set of int
        The recordings whose removal is committed.
    """

    def __init__(
        self, writer: CatalogueWriter, make: Callable[[int, int], Analysis] = recording
    ) -> None:
        self.gone: frozenset[int] = frozenset()
        self._n_batches = 0
        self._writer = writer
        self._make = make
        self._collection = writer.add_collection("tapes", "/tapes").id
        self._files: list[tuple[int, int]] = []
        while len(self._files) < _KEPT:
            self._add()

    def go_on(self) -> None:
        """Add a batch and remove another."""
        self._add()
        oldest, self._files = self._files[:_BATCH], self._files[_BATCH:]
        self._writer.forget_files([file_id for file_id, _ in oldest])
        self.gone |= {recording_id for _, recording_id in oldest}

    def _add(self) -> None:
        first = self._n_batches * _BATCH
        results = [self._make(self._collection, first + n) for n in range(_BATCH)]
        self._writer.store(results)
        self._n_batches += 1
        for result in results:
            recording_id = self._writer.catalogue.with_hash(result.content_hash)
            assert recording_id is not None
            file = self._writer.catalogue.recording(recording_id).files[0]
            self._files.append((file.id, recording_id))


def search_while_it_changes(
    churn: Churn, readers: Sequence[Sequence[Search]], *, n_batches: int, most_s: float = 600.0
) -> None:
    """Let each reader search in a thread of its own while recordings come and go.

    Every search must find something, and nothing whose removal was committed before it began. So
    many batches come and go at least, and more until each reader has made all its searches twice.
    """
    enough = threading.Event()
    until = time.monotonic() + most_s
    n_rounds = [0] * len(readers)

    def write() -> None:
        n_written = 0
        try:
            while not enough.is_set() and (n_written < n_batches or min(n_rounds) < 2):
                assert time.monotonic() < until, "it takes too long"
                churn.go_on()
                n_written += 1
        finally:
            enough.set()

    def read(number: int) -> None:
        try:
            while not enough.is_set():
                for search in readers[number]:
                    gone = churn.gone
                    found = search()
                    assert found, "a search found nothing"
                    assert not found & gone, "what was removed came back"
                n_rounds[number] += 1
        finally:
            enough.set()  # also when it fails: the others need not go on

    with ThreadPoolExecutor(len(readers) + 1) as pool:
        reading = [pool.submit(read, number) for number in range(len(readers))]
        writing = pool.submit(write)
        try:
            for each in (*reading, writing):
                each.result()
        finally:
            enough.set()  # also when this thread is interrupted

"""What every index of fingerprints has to do, whatever it is kept in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.errors import PostingsError, UnknownName
from db.fingerprint_index import FingerprintIndex
from db.key_parts import Part
from db.landmarks import Landmarks, unpack
from db.partition import Partition, PartSpec
from db.schema import FingerprintRow
from db.writer import CatalogueWriter
from tests.db.conftest import SCHEME, analysis, expand, fingerprinted, marks

KEY_BITS = 20


def store(writer: CatalogueWriter, collection: int, names: str, **size: int) -> None:
    """Store a recording for each letter; their landmarks are of few frequencies, and so alike."""
    results = []
    for name in names:
        landmarks = marks(name, **size)
        frequencies = np.sort(landmarks.frequencies % 12)
        few = Landmarks(landmarks.frames, frequencies, landmarks.n_frames)
        results.append(fingerprinted(analysis(collection, f"{name}.wav"), few))
    writer.store(results)


def forget(writer: CatalogueWriter, names: str) -> None:
    for name in names:
        (id_,) = writer.catalogue.find_files(f"{name}.wav")
        writer.forget_files([file.id for file in writer.catalogue.recording(id_).files])


def stored(catalogue: Catalogue) -> dict[int, tuple[int, Landmarks]]:
    """First frame and landmarks of all recordings, from SQL."""
    with catalogue.session() as session:
        rows = session.execute(select(FingerprintRow, FingerprintRow.landmarks))
        return {
            row.recording_id: (row.first_frame, unpack(blob, row.n_landmarks, row.n_frames))
            for row, blob in rows
        }


def oracle(catalogue: Catalogue, keys: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Place among the keys and archive frame of all postings, by brute force."""
    found = []
    for first, landmarks in stored(catalogue).values():
        made, frames = expand(landmarks)
        places, at = np.nonzero(keys[:, np.newaxis] == made)
        found += zip(places.tolist(), (first + frames[at]).tolist(), strict=True)
    return sorted(found)


def some_keys(catalogue: Catalogue) -> NDArray[np.uint32]:
    """Keys of all recordings, some twice, and some that are nowhere."""
    parts = [expand(landmarks)[0][::20] for _, landmarks in stored(catalogue).values()]
    ends = np.array([0, 0, 5, 2**KEY_BITS - 1], dtype=np.uint32)
    return np.concatenate([*parts, *parts[:1], ends])


def found_by(
    index: ArchiveFrames, keys: NDArray[np.uint32], budget: int | None = None
) -> tuple[list[tuple[int, int]], list[int]]:
    """All that a lookup says, in an order."""
    found = index.lookup(keys, budget=budget)
    assert (found.which.dtype, found.frames.dtype) == (np.int32, np.int64)
    pairs = zip(found.which.tolist(), found.frames.tolist(), strict=True)
    return sorted(pairs), found.counts.tolist()


def assert_in_step(index: ArchiveFrames, catalogue: Catalogue) -> None:
    """The index answers just as brute force over SQL does."""
    keys = some_keys(catalogue)
    pairs, counts = found_by(index, keys)
    assert pairs == oracle(catalogue, keys)
    n_found = np.bincount([place for place, _ in pairs], minlength=len(keys))
    assert (np.array(counts) >= n_found).all()
    everything = stored(catalogue)
    assert sorted(index.recording_ids.tolist()) == sorted(everything)
    assert index.n_frames == sum(landmarks.n_frames for _, landmarks in everything.values())
    for recording_id, (first, landmarks) in everything.items():
        assert index.span(recording_id) == (first, landmarks.n_frames)
        frames, frequencies = index.landmarks(first, first + landmarks.n_frames)
        assert (frames - first).tolist() == landmarks.frames.tolist()
        assert frequencies.tolist() == landmarks.frequencies.tolist()
        whole = index.landmarks_of(recording_id)
        assert (whole.frames.tolist(), whole.n_frames) == (
            landmarks.frames.tolist(),
            landmarks.n_frames,
        )
        ends = np.array([first - 1, first, first + landmarks.n_frames - 1])
        ids, within = index.locate(np.append(ends, first + landmarks.n_frames))
        assert ids.tolist() == [-1, recording_id, recording_id, -1]  # between are guard frames
        assert within.tolist() == [-1, 0, landmarks.n_frames - 1, -1]


class PartsInProcess:
    """Parts of an index, all in this process: `db.partitioned_index.Partitions`."""

    def __init__(self, catalogue: Catalogue, n_parts: int) -> None:
        self.n_parts = n_parts
        self.parts = [Partition(self.spec(catalogue, number)) for number in range(n_parts)]

    def spec(self, catalogue: Catalogue, number: int) -> PartSpec:
        from importlib.metadata import version

        return PartSpec(
            catalogue.location,
            catalogue.uuid,
            version("echoic"),
            SCHEME.name,
            expand,
            KEY_BITS,
            Part(number, self.n_parts),
        )

    def ask(self, method: str, arguments: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        return {n: getattr(self.parts[n], method)(*given) for n, given in arguments.items()}

    def close(self) -> None:
        for part in self.parts:
            part.close()


class FingerprintIndexSuite(ABC):
    """Derive from it, say how an index is opened and kept, and all of this is tested."""

    @abstractmethod
    def open(self, catalogue: Catalogue) -> ArchiveFrames:
        """Open the index of `SCHEME`."""

    @abstractmethod
    def keep(self, writer: CatalogueWriter) -> None:
        """Write to files what is in none."""

    @pytest.fixture
    def tapes(self, writer: CatalogueWriter) -> int:
        """A collection of five recordings, and a saved index."""
        collection = writer.add_collection("tapes", "/tapes").id
        store(writer, collection, "abcde")
        self.keep(writer)
        return collection

    def test_a_saved_index_answers_as_brute_force_does(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        index = self.open(writer.catalogue)
        assert index.notes == []
        assert_in_step(index, writer.catalogue)

    def test_an_index_that_was_never_saved_answers_as_brute_force_does(
        self, writer: CatalogueWriter
    ) -> None:
        store(writer, writer.add_collection("tapes", "/tapes").id, "abc")
        assert_in_step(self.open(writer.catalogue), writer.catalogue)

    def test_counts_are_those_of_the_whole_archive_whatever_the_budget(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        store(writer, tapes, "fg")
        index = self.open(writer.catalogue)
        keys = some_keys(writer.catalogue)
        places = [place for place, _ in oracle(writer.catalogue, keys)]
        counts = np.bincount(places, minlength=len(keys)).tolist()
        for budget in (None, 0, 100, 10**9):
            assert found_by(index, keys, budget)[1] == counts

    @pytest.mark.parametrize("budget", [0, 50, 777])
    def test_within_a_budget_the_rarest_keys_are_served_wholly(
        self, writer: CatalogueWriter, tapes: int, budget: int
    ) -> None:
        store(writer, tapes, "fg")
        index = self.open(writer.catalogue)
        keys = some_keys(writer.catalogue)
        found = index.lookup(keys, budget=budget)
        n_served = np.bincount(found.which, minlength=len(keys))
        whole = n_served == found.counts
        assert len(found.which) <= 1.5 * budget
        left_out = found.counts[~whole]
        if len(left_out):
            assert found.counts[whole].sum() + left_out.min() > budget
            assert n_served[~whole].max() <= 0.5 * budget
        else:
            assert len(found.which) == found.counts.sum()

    def test_of_a_key_beyond_the_budget_the_first_postings_of_the_archive_are_served(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        store(writer, tapes, "fghijklmnopqrstuvwxyz")
        self.keep(writer)
        store(writer, tapes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        index = self.open(writer.catalogue)
        keys = some_keys(writer.catalogue)
        everything, some = index.lookup(keys), index.lookup(keys, budget=5000)
        n_some = np.bincount(some.which, minlength=len(keys))
        in_part = np.flatnonzero((n_some > 0) & (n_some < everything.counts))
        assert len(in_part)
        for key in in_part.tolist():
            of_all = np.sort(everything.frames[everything.which == key])
            of_some = np.sort(some.frames[some.which == key])
            assert of_some.tolist() == of_all[: len(of_some)].tolist()
            assert len(of_some) == 32

    def test_answers_do_not_depend_on_how_postings_lie_in_files_or_parts(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        for names in ("fghijkl", "mnopqrstuvwxyz", "ABC"):
            store(writer, tapes, names)
        self.keep(writer)
        store(writer, tapes, "DEFGHIJKLMNOPQRSTUVWXYZ")
        index = self.open(writer.catalogue)
        keys = some_keys(writer.catalogue)
        with Catalogue.open(writer.catalogue.location, part="without-files") as elsewhere:
            in_memory = FingerprintIndex.open(elsewhere, SCHEME.name, expand, key_bits=KEY_BITS)
            for budget in (None, 0, 500, 3000, 5000, 20_000):
                assert found_by(index, keys, budget) == found_by(in_memory, keys, budget)

    def test_an_empty_archive_and_no_keys_give_nothing(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        index = self.open(writer.catalogue)
        assert found_by(index, np.empty(0, dtype=np.uint32), 5) == ([], [])
        writer.forget_collection(tapes)
        index.refresh()
        assert found_by(index, np.array([1, 2], dtype=np.uint32))[0] == []
        assert index.landmarks(0, 10**6)[0].tolist() == []
        assert index.locate(np.array([0, 5]))[0].tolist() == [-1, -1]
        assert (index.n_frames, len(index.recording_ids)) == (0, 0)

    def test_keys_and_recordings_that_cannot_be_are_refused(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        index = self.open(writer.catalogue)
        with pytest.raises(PostingsError, match=r"below 2 \*\* 20"):
            index.lookup(np.array([2**20], dtype=np.uint32))
        with pytest.raises(UnknownName, match="recording 99"):
            index.span(99)

    def test_a_scheme_that_is_forgotten_is_an_error_for_an_open_index(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        index = self.open(writer.catalogue)
        assert_in_step(index, writer.catalogue)
        writer.forget_scheme(SCHEME.name)
        with pytest.raises(UnknownName, match="have been removed"):
            index.refresh()
        with pytest.raises(UnknownName, match="no fingerprints"):
            self.open(writer.catalogue)
        store(writer, tapes, "fgh")
        assert_in_step(self.open(writer.catalogue), writer.catalogue)

    def test_an_open_index_takes_in_what_is_committed_later(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        with Catalogue.open(writer.catalogue.location) as elsewhere:
            index = self.open(elsewhere)
            for names, gone in (("fg", "b"), ("h", "g"), ("ij", "ea")):
                store(writer, tapes, names)
                forget(writer, gone)
                index.refresh()
                assert_in_step(index, elsewhere)
                self.keep(writer)
                assert_in_step(index, elsewhere)

    def test_a_recording_that_is_hours_long_is_found_in_all_its_length(
        self, writer: CatalogueWriter, tapes: int
    ) -> None:
        store(writer, tapes, "f", n_landmarks=3000, n_frames=70_000)
        store(writer, tapes, "g")
        index = self.open(writer.catalogue)
        index.expect([(0, 10), (60_000, 75_000), (-5, 3), (10**9, 10**9 + 5)])
        assert_in_step(index, writer.catalogue)

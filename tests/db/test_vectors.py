"""Bitmaps of segments, the FAISS index's own ways, its file, and its lock."""

import hashlib
import struct
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import VectorIndexError
from db.faiss_index import FaissIndex
from db.faiss_lists import first_lists, selector
from db.rwlock import ReadWriteLock
from db.vectors import pack_ids, pack_ranges, unpack
from tests.conformance.test_vector_index import random_vectors, unit

DIM = 24

# -- bitmaps ---------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20))), st.integers(100, 130))
def test_packed_ranges_hold_the_numbers_of_the_ranges(
    ranges: list[tuple[int, int]], size: int
) -> None:
    wanted = {n for first, count in ranges for n in range(first, first + count)}
    bitmap = pack_ranges([first for first, _ in ranges], [count for _, count in ranges], size)
    assert set(np.flatnonzero(unpack(bitmap, size)).tolist()) == wanted
    np.testing.assert_array_equal(bitmap, pack_ids(sorted(wanted), size))


def test_bits_lie_where_faiss_looks_for_them() -> None:
    bitmap = pack_ids([0, 3, 9], 12)
    assert bitmap.tolist() == [0b1001, 0b10]
    assert selector(bitmap).is_member(9)
    assert not selector(bitmap).is_member(8)


@pytest.mark.parametrize(
    ("firsts", "counts"), [([0], [11]), ([-1], [2]), ([3], [-1]), ([1, 2], [3]), ([0.5], [1])]
)
def test_ranges_outside_the_segments_are_refused(firsts: list[int], counts: list[int]) -> None:
    with pytest.raises(VectorIndexError):
        pack_ranges(firsts, counts, 10)


@pytest.mark.parametrize("number", [-1, 10])
def test_ids_outside_the_segments_are_refused(number: int) -> None:
    with pytest.raises(VectorIndexError, match=r"outside 0 \.\.\. 9"):
        pack_ids([number], 10)


def test_a_bitmap_of_two_thousand_recordings_takes_no_loop_over_them() -> None:
    firsts = np.arange(0, 1_000_000, 500)
    bitmap = pack_ranges(firsts, np.full(2000, 10), 1_000_000)
    assert np.count_nonzero(unpack(bitmap, 1_000_000)) == 20_000


# -- lists ----------------------------------------------------------------------------------


def test_lists_are_made_only_beyond_the_threshold() -> None:
    index = FaissIndex(DIM, exact_up_to=2000)
    vectors = random_vectors(2001)
    index.add(range(2000), vectors[:2000])
    assert not index.optimise()
    assert index.n_lists == 1
    index.add([2000], vectors[2000:])
    assert index.n_lists == 1
    assert index.optimise()
    assert index.n_lists == 64


def test_lists_are_made_again_after_fourfold_growth_and_not_before(tmp_path: Path) -> None:
    vectors = random_vectors(8000)
    index = FaissIndex(DIM, exact_up_to=100)
    index.add(range(2000), vectors[:2000])
    assert index.optimise()
    index.add(range(2000, 7999), vectors[2000:7999])
    assert not index.optimise()
    index = FaissIndex.load(index.save(tmp_path / "an.index").path, exact_up_to=100)
    assert not index.optimise()
    assert index.n_lists == 64
    index.add([7999], vectors[7999:])
    assert index.optimise()
    assert index.n_lists == 128
    assert index.ids().tolist() == list(range(8000))
    assert index.search(vectors[:8000:100], 1)[1][:, 0].tolist() == list(range(0, 8000, 100))


def test_what_is_added_after_the_lists_were_made_is_found() -> None:
    index = FaissIndex(DIM, exact_up_to=100)
    vectors = random_vectors(4000)
    index.add(range(2000), vectors[:2000])
    index.optimise()
    index.add(range(2000, 4000), vectors[2000:])
    assert index.search(vectors[2000::20], 1)[1][:, 0].tolist() == list(range(2000, 4000, 20))


def test_an_archive_of_nothing_but_silence_can_be_put_in_lists() -> None:
    silence = np.repeat(random_vectors(1), 1000, axis=0)
    index = FaissIndex(DIM, exact_up_to=100)
    index.add(range(1000), silence)
    index.optimise()
    scores, ids = index.search(silence[:1], 10)
    assert ids[0].tolist() == list(range(10))
    assert len(set(scores[0].tolist())) == 1


def test_the_vectors_stay_the_same_to_the_bit_through_lists_and_files(tmp_path: Path) -> None:
    vectors = random_vectors(1000).astype(np.float16)
    queries = random_vectors(20, seed=1)
    index = FaissIndex(DIM, exact_up_to=100)
    index.add(range(1000), vectors)
    before = index.search(queries, 1000)
    assert index.optimise()
    loaded = FaissIndex.load(index.save(tmp_path / "an.index").path)
    for each in (index, loaded):
        for a, b in zip(before, each.search(queries, 1000), strict=True):
            np.testing.assert_array_equal(a, b)


def test_few_allowed_segments_are_all_searched_and_more_where_fewer_are_allowed() -> None:
    assert first_lists(1024, 0.05) == 1024
    shares = [first_lists(1024, share) for share in (1.0, 0.5, 0.2, 0.1)]
    assert shares == sorted(shares)
    assert shares[0] == 64
    assert first_lists(1, 1.0) == 1


def test_a_search_gives_back_the_number_of_threads() -> None:
    index = FaissIndex(DIM)
    index.add([0], random_vectors(1))
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        index.search(random_vectors(1), 1)
        with pytest.raises(VectorIndexError):
            index.search(random_vectors(1), 0)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_the_protocol_can_be_imported_without_faiss() -> None:
    code = "import db.vectors, db.index_file, sys; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- threads ---------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[FaissIndex], object]] = {
    "add": lambda index: index.add([500], random_vectors(1, seed=1)),
    "remove": lambda index: index.remove([0]),
    "optimise": lambda index: index.optimise(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_waits_for_the_searches_in_flight(change: Callable[[FaissIndex], object]) -> None:
    index = FaissIndex(DIM, exact_up_to=100)
    index.add(range(500), random_vectors(500))
    thread = threading.Thread(target=change, args=(index,))
    with index._state.read():
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert (len(index), index.n_lists) == (500, 1)
    thread.join(10)
    assert (len(index), index.n_lists) != (500, 1)


def test_a_search_does_not_wait_for_a_save_in_flight() -> None:
    index = FaissIndex(DIM)
    index.add(range(10), random_vectors(10))
    thread = threading.Thread(target=index.search, args=(random_vectors(1), 1))
    with index._writer:
        thread.start()
        thread.join(10)
        assert not thread.is_alive()


# -- the file --------------------------------------------------------------------------------


def test_the_file_is_laid_out_as_its_documentation_says(tmp_path: Path) -> None:
    index = FaissIndex(DIM, exact_up_to=100)
    vectors = random_vectors(500)
    index.add(np.arange(500) * 2, vectors)
    index.optimise()
    written = index.save(tmp_path / "an.index")
    data = written.path.read_bytes()

    magic, version, dim, count, n_trained, n_lists = struct.unpack("<8sIIQQI", data[:36])
    assert (magic, version, dim, count, n_trained) == (b"ECHOICVX", 1, DIM, 500, 500)
    assert n_lists == index.n_lists
    at = 64
    sizes = np.frombuffer(data, "<u8", n_lists, at)
    at += 8 * n_lists
    centroids = np.frombuffer(data, "<f4", n_lists * dim, at).reshape(n_lists, dim)
    at += 4 * n_lists * dim
    nearest = []
    for number, size in enumerate(sizes.tolist()):
        ids = np.frombuffer(data, "<i8", size, at)
        at += 8 * size
        kept = np.frombuffer(data, "<f2", size * dim, at).reshape(size, dim)
        at += 2 * size * dim
        np.testing.assert_array_equal(kept, vectors[ids // 2].astype(np.float16))
        nearest.extend((centroids @ kept.T.astype(np.float32)).argmax(axis=0) == number)
    assert np.mean(nearest) > 0.99
    assert data[at:] == hashlib.sha256(data[:at]).digest()
    assert data[at:].hex() == written.checksum


def resealed(path: Path, at: int, new: bytes) -> None:
    """Change a file and make its checksum right again, as only a newer Echoic or malice would."""
    data = bytearray(path.read_bytes()[:-32])
    data[at : at + len(new)] = new
    path.write_bytes(data + hashlib.sha256(data).digest())


@pytest.mark.parametrize(
    ("at", "new", "message"),
    [
        (8, struct.pack("<I", 2), "version 2"),
        (12, struct.pack("<I", 0), "header does not agree"),
        (12, struct.pack("<I", 2**31), "header does not agree"),
        (16, struct.pack("<Q", 2**62), "header does not agree"),
        (32, struct.pack("<I", 2**32 - 1), "header does not agree"),
        (64, struct.pack("<Q", 2**63), "lists do not agree"),
        (64, struct.pack("<Q", 1), "lists do not agree"),
    ],
)
def test_no_number_in_a_header_is_trusted(
    tmp_path: Path, at: int, new: bytes, message: str
) -> None:
    index = FaissIndex(DIM)
    index.add(range(10), random_vectors(10))
    path = index.save(tmp_path / "an.index").path
    resealed(path, at, new)
    with pytest.raises(VectorIndexError, match=message):
        FaissIndex.load(path)


def test_a_failing_disk_leaves_the_old_file_and_no_half_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = FaissIndex(DIM)
    index.add(range(10), random_vectors(10))
    written = index.save(tmp_path / "an.index")
    index.add([10], random_vectors(1, seed=1))

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(VectorIndexError, match="No space left"):
        index.save(written.path)
    assert [path.name for path in tmp_path.iterdir()] == ["an.index"]
    assert len(FaissIndex.load(written.path, checksum=written.checksum)) == 10


def test_a_half_written_file_of_a_crashed_process_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "an.index.tmp").write_bytes(b"ECHOICVX half")
    index = FaissIndex(DIM)
    index.add(range(10), random_vectors(10))
    assert len(FaissIndex.load(index.save(tmp_path / "an.index").path)) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["an.index"]


def test_a_large_list_is_saved_and_loaded_without_a_copy_of_it(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((20_000, 200))).astype(np.float16)
    index = FaissIndex(200)
    index.add(range(20_000), vectors)
    tracemalloc.start()
    try:
        FaissIndex.load(index.save(tmp_path / "an.index").path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < vectors.nbytes / 2  # NumPy's share; FAISS's own memory is not traced


# -- the lock --------------------------------------------------------------------------------


def test_readers_share_the_lock() -> None:
    lock = ReadWriteLock()
    both = threading.Barrier(2, timeout=5)

    def read() -> None:
        with lock.read():
            both.wait()

    thread = threading.Thread(target=read)
    thread.start()
    with lock.read():
        both.wait()
    thread.join()


def test_a_writer_waits_for_readers_and_later_readers_wait_for_it() -> None:
    lock = ReadWriteLock()
    events: list[str] = []
    writer_is_there, reader_may_end = threading.Event(), threading.Event()

    def first_reader() -> None:
        with lock.read():
            writer_is_there.set()
            reader_may_end.wait(5)
            events.append("first reader")

    def writer() -> None:
        with lock.write():
            events.append("writer")

    def later_reader() -> None:
        with lock.read():
            events.append("later reader")

    threads = [threading.Thread(target=first_reader)]
    threads[0].start()
    assert writer_is_there.wait(5)
    for target in (writer, later_reader):
        threads.append(threading.Thread(target=target))
        threads[-1].start()
        threads[-1].join(0.1)
        assert threads[-1].is_alive()
    reader_may_end.set()
    for thread in threads:
        thread.join(5)
    assert events == ["first reader", "writer", "later reader"]


def test_the_lock_is_free_again_after_an_error() -> None:
    lock = ReadWriteLock()
    for hold in (lock.read, lock.write):
        with pytest.raises(KeyError), hold():
            raise KeyError
    with lock.write():
        pass

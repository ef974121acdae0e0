"""The file that a FAISS index is kept in: whole, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from db.errors import VectorIndexError
from db.faiss_index import FaissIndex
from tests.conformance.test_vector_index import DIM, random_vectors

Make = Callable[[], FaissIndex]


@pytest.fixture(params=[300_000, 150], ids=["exact", "clustered"])
def make(request: pytest.FixtureRequest) -> Make:
    return lambda: FaissIndex(DIM, exact_up_to=request.param)


def built(make: Make, vectors: NDArray[Any]) -> FaissIndex:
    index = make()
    index.add(np.arange(len(vectors)), vectors)
    index.optimise()
    return index


@pytest.mark.parametrize("count", [0, 1, 100, 1000])
def test_a_loaded_index_is_the_saved_one(make: Make, count: int, tmp_path: Path) -> None:
    index = built(make, random_vectors(count))
    written = index.save(tmp_path / "an.index")
    assert written.count == count
    assert written.size_bytes == written.path.stat().st_size
    loaded = FaissIndex.load(written.path, checksum=written.checksum)
    assert loaded.ids().tolist() == list(range(count))
    assert loaded.n_lists == index.n_lists


def test_the_same_index_makes_the_same_file(make: Make, tmp_path: Path) -> None:
    one = built(make, random_vectors(500)).save(tmp_path / "one.index")
    other = built(make, random_vectors(500)).save(tmp_path / "other.index")
    assert one.checksum == other.checksum
    assert one.path.read_bytes() == other.path.read_bytes()


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(make: Make, tmp_path: Path) -> None:
    built(make, random_vectors(500)).save(tmp_path / "an.index")
    built(make, random_vectors(20)).save(tmp_path / "an.index")
    assert [path.name for path in tmp_path.iterdir()] == ["an.index"]
    assert len(FaissIndex.load(tmp_path / "an.index")) == 20


def test_a_file_cut_short_anywhere_is_refused(make: Make, tmp_path: Path) -> None:
    path = built(make, random_vectors(200)).save(tmp_path / "an.index").path
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 31, 63, 64, 95, 96, 97, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(VectorIndexError, match="damaged"):
            FaissIndex.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(VectorIndexError, match="damaged"):
        FaissIndex.load(path)


def test_a_file_with_one_wrong_bit_anywhere_is_refused(make: Make, tmp_path: Path) -> None:
    path = built(make, random_vectors(200)).save(tmp_path / "an.index").path
    whole = path.read_bytes()
    rng = np.random.default_rng(2)
    for at in [*range(40), len(whole) - 1, *rng.integers(0, len(whole), 100).tolist()]:
        wrong = bytearray(whole)
        wrong[at] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(wrong)
        with pytest.raises(VectorIndexError, match="damaged"):
            FaissIndex.load(path)


def test_garbage_a_folder_and_nothing_at_all_are_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "an.index"
    path.write_bytes(np.random.default_rng(0).bytes(10_000))
    with pytest.raises(VectorIndexError, match=r"an\.index is damaged"):
        FaissIndex.load(path)
    with pytest.raises(VectorIndexError, match="cannot be read"):
        FaissIndex.load(tmp_path)
    with pytest.raises(VectorIndexError, match="missing"):
        FaissIndex.load(tmp_path / "no.index")


def test_a_whole_file_of_another_generation_is_refused(make: Make, tmp_path: Path) -> None:
    old = built(make, random_vectors(20)).save(tmp_path / "an.index")
    new = built(make, random_vectors(21)).save(tmp_path / "an.index")
    assert len(FaissIndex.load(new.path, checksum=new.checksum)) == 21
    with pytest.raises(VectorIndexError, match="not the one"):
        FaissIndex.load(new.path, checksum=old.checksum)


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_what_was_there(
    make: Make, tmp_path: Path
) -> None:
    index = built(make, random_vectors(20))
    with pytest.raises(VectorIndexError, match="cannot be written"):
        index.save(tmp_path / "no-such-folder" / "an.index")
    (tmp_path / "taken").mkdir()
    with pytest.raises(VectorIndexError, match="cannot be written"):
        index.save(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]

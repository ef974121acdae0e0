"""What any VectorIndex must do, against brute force in NumPy. A new one is a line in `KINDS`.

Those that need a server are in ``tests/scaling``, which runs all of this on them.
"""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from db.errors import VectorIndexError
from db.faiss_index import FaissIndex
from db.layered_index import LayeredIndex
from db.vectors import SegmentBitmap, VectorIndex, pack_ids, pack_ranges

DIM = 24


@dataclass(frozen=True)
class Kind:
    """An implementation, or one way to set it up.

    `reopen` returns the index as another process would find it. Of one that `is_exact` all hits
    must be those of brute force.
    """

    name: str
    make: Callable[[int], VectorIndex]
    reopen: Callable[[Any], VectorIndex]
    is_exact: bool


def _clustered(dim: int) -> FaissIndex:
    return FaissIndex(dim, exact_up_to=150)


def _reopen(index: FaissIndex, exact_up_to: int) -> FaissIndex:
    with tempfile.TemporaryDirectory() as folder:
        written = index.save(Path(folder) / "an.index")
        return FaissIndex.load(written.path, checksum=written.checksum, exact_up_to=exact_up_to)


def _layered(dim: int) -> LayeredIndex:
    """Make one whose layer beneath holds other vectors, which have been removed from above."""
    beneath = FaissIndex(dim)
    if dim > 1:
        beneath.add(np.arange(7000, 7100), random_vectors(100, seed=99, dim=dim))
    index = LayeredIndex(beneath)
    index.remove(range(7000, 7100))
    return index


KINDS = [
    Kind("faiss-exact", FaissIndex, lambda index: _reopen(index, 300_000), is_exact=True),
    Kind("faiss-clustered", _clustered, lambda index: _reopen(index, 150), is_exact=False),
    # Over it lies another layer then.
    Kind("layered", _layered, LayeredIndex, is_exact=True),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


# -- the oracle ------------------------------------------------------------------------------


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / length, dtype=np.float32)


def random_vectors(n: int, *, seed: int = 0, dim: int = DIM) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal((n, dim)))


def clustered_vectors(
    n: int, *, n_clusters: int = 40, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    centres = unit(rng.standard_normal((n_clusters, DIM)))
    of = rng.integers(0, n_clusters, n)
    return unit(centres[of] + 0.12 * rng.standard_normal((n, DIM))), of


def brute_force(
    ids: NDArray[np.int64],
    vectors: NDArray[Any],
    queries: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return exact scores and ids for vectors kept as float16; ties by the lower id."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float16).astype(np.float64).T
    order = np.array([np.lexsort((ids, -row))[:k] for row in scores])
    return np.take_along_axis(scores, order, axis=1), ids[order]


def assert_scores_are_exact(
    found: tuple[NDArray[np.float32], NDArray[np.int64]],
    vectors_by_id: dict[int, NDArray[Any]],
    queries: NDArray[np.float32],
) -> None:
    for scores, ids, query in zip(*found, queries, strict=True):
        n = int(np.count_nonzero(ids >= 0))
        assert (ids[n:] == -1).all()
        assert (scores[n:] == -np.inf).all()
        assert len(set(ids[:n].tolist())) == n
        kept = np.array([vectors_by_id[i] for i in ids[:n].tolist()]).reshape(n, len(query))
        np.testing.assert_allclose(scores[:n], kept.astype(np.float16) @ query, atol=1e-5)
        assert (np.diff(scores[:n]) <= 0).all()


def recall(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> float:
    parts = [np.isin(w, f).mean() for f, w in zip(found, wanted, strict=True)]
    return float(np.mean(parts))


def built(kind: Kind, vectors: NDArray[Any], ids: NDArray[np.int64] | None = None) -> VectorIndex:
    index = kind.make(vectors.shape[1])
    index.add(np.arange(len(vectors)) if ids is None else ids, vectors)
    index.optimise()
    return index


GOOD = random_vectors(2, seed=3)

# -- what is there ---------------------------------------------------------------------------


def test_it_is_a_vector_index(kind: Kind) -> None:
    assert isinstance(kind.make(DIM), VectorIndex)


def test_an_empty_index_finds_nothing(kind: Kind) -> None:
    index = kind.make(DIM)
    scores, ids = index.search(random_vectors(2), 3)
    assert (scores == -np.inf).all()
    assert (ids == -1).all()
    assert scores.shape == ids.shape == (2, 3)
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64
    assert len(index) == 0
    assert index.ids().dtype == np.int64
    assert index.remove([1, 2]) == 0
    assert not index.optimise()


def test_no_queries_get_no_answers(kind: Kind) -> None:
    scores, ids = built(kind, random_vectors(10)).search(random_vectors(0), 3)
    assert scores.shape == ids.shape == (0, 3)


def test_ids_come_back_in_order_whatever_order_they_came_in(kind: Kind) -> None:
    index = kind.make(DIM)
    index.add([90, 7, 30], random_vectors(3))
    index.add([8, 4], random_vectors(2, seed=1))
    assert index.ids().tolist() == [4, 7, 8, 30, 90]
    assert len(index) == 5
    assert index.dim == DIM
    assert index.search(random_vectors(3)[1:2], 1)[1].tolist() == [[7]]


def test_more_hits_than_vectors_are_padded(kind: Kind) -> None:
    vectors = random_vectors(400)
    scores, ids = built(kind, vectors).search(vectors[:2], 500)
    assert (ids[:, 400:] == -1).all()
    assert (scores[:, 400:] == -np.inf).all()
    assert np.sort(ids[0, :400]).tolist() == list(range(400))


def test_hits_are_those_of_brute_force(kind: Kind) -> None:
    vectors, _ = clustered_vectors(4000)
    queries = np.concatenate([clustered_vectors(50, seed=0)[0], random_vectors(50, seed=9)])
    for k in (1, 10, 200):
        found = built(kind, vectors).search(queries, k)
        wanted = brute_force(np.arange(4000), vectors, queries, k)[1]
        assert recall(found[1], wanted) >= (1.0 if kind.is_exact else 0.99)
        assert_scores_are_exact(found, dict(enumerate(vectors)), queries)


def test_float16_and_float32_make_the_same_index(kind: Kind) -> None:
    vectors = random_vectors(20_000)
    vectors[:, 1] = 0
    # Halfway between two float16, where ways of rounding differ.
    halves = np.linspace(0.25, 0.3, 20_000).astype(np.float16)
    vectors[:, 0] = (halves.astype(np.float32) + np.nextafter(halves, np.float16(1))) / 2
    vectors[:, 2:] = unit(vectors[:, 2:]) * np.sqrt(1 - vectors[:, :1] ** 2)
    one, other = built(kind, vectors), built(kind, vectors.astype(np.float16))
    for a, b in zip(one.search(GOOD, 1000), other.search(GOOD, 1000), strict=True):
        np.testing.assert_array_equal(a, b)


def test_among_equal_scores_the_lower_id_comes_first(kind: Kind) -> None:
    vectors = random_vectors(1000)
    vectors[200:900] = vectors[0]
    ids = np.random.default_rng(1).permutation(1000)
    index = built(kind, vectors, ids)
    twins = np.sort(ids[[0, *range(200, 900)]])
    for k in (1, 10, 701):
        assert index.search(vectors[:1], k)[1][0].tolist() == twins[:k].tolist()
    allowed = pack_ids(twins[100:], 1000)
    assert index.search(vectors[:1], 20, allowed=allowed)[1][0].tolist() == twins[100:120].tolist()


def test_an_answer_does_not_depend_on_the_other_queries_or_on_the_time(kind: Kind) -> None:
    index = built(kind, clustered_vectors(2000)[0])
    queries = random_vectors(30, seed=4)
    scores, ids = index.search(queries, 10)
    for row in range(30):
        alone = index.search(queries[row : row + 1], 10)
        np.testing.assert_array_equal(alone[0][0], scores[row])
        np.testing.assert_array_equal(alone[1][0], ids[row])


# -- filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.06, 0.05, 0.01, 0.001])
def test_a_filter_of_any_size_loses_no_hits(kind: Kind, share: float) -> None:
    vectors, _ = clustered_vectors(4000)
    rng = np.random.default_rng(5)
    chosen = np.sort(rng.choice(4000, max(1, round(4000 * share)), replace=False))
    queries = np.concatenate([vectors[:60], random_vectors(60, seed=9)])
    found = built(kind, vectors).search(queries, 10, allowed=pack_ids(chosen, 4000))
    wanted = brute_force(chosen, vectors[chosen], queries, 10)[1]
    assert np.isin(found[1], [*chosen, -1]).all()
    assert recall(found[1], wanted) >= 0.99


@pytest.mark.parametrize("n_clusters_allowed", [1, 4, 12, 20])
def test_a_filter_that_leaves_only_what_is_far_from_the_query_loses_no_hits(
    kind: Kind, n_clusters_allowed: int
) -> None:
    vectors, of = clustered_vectors(4000)
    chosen = np.flatnonzero(of < n_clusters_allowed)
    queries = vectors[of >= 20][:150]
    found = built(kind, vectors).search(queries, 10, allowed=pack_ids(chosen, 4000))
    wanted = brute_force(chosen, vectors[chosen], queries, 10)[1]
    assert np.isin(found[1], chosen).all()
    assert recall(found[1], wanted) >= 0.99


def test_a_filter_that_allows_nothing_finds_nothing(kind: Kind) -> None:
    index = built(kind, random_vectors(300))
    for nothing in (np.zeros(0, np.uint8), np.zeros(100, np.uint8), pack_ids([400], 401)):
        assert (index.search(random_vectors(1), 5, allowed=nothing)[1] == -1).all()


def test_ids_beyond_the_end_of_a_filter_are_not_allowed(kind: Kind) -> None:
    vectors = random_vectors(300)
    found = built(kind, vectors).search(vectors[:1], 300, allowed=pack_ranges([0], [20], 20))[1]
    assert np.sort(found[0])[-20:].tolist() == list(range(20))


def test_a_filter_may_name_ids_that_are_not_there(kind: Kind) -> None:
    vectors = random_vectors(300)
    index = built(kind, vectors)
    index.remove(range(5, 300))
    found = index.search(vectors[:1], 10, allowed=pack_ranges([3], [5000], 5003))[1]
    assert np.sort(found[0])[-2:].tolist() == [3, 4]
    assert np.count_nonzero(found >= 0) == 2


# -- removal ---------------------------------------------------------------------------------


def test_what_was_removed_never_comes_back(kind: Kind) -> None:
    vectors, _ = clustered_vectors(2000)
    index = built(kind, vectors)
    gone = np.arange(0, 2000, 3)
    assert index.remove(gone) == len(gone)
    assert index.remove(gone) == 0
    left = np.setdiff1d(np.arange(2000), gone)
    for each in (index, kind.reopen(index)):
        assert each.ids().tolist() == left.tolist()
        found = each.search(vectors[gone[:50]], 10)[1]
        assert np.isin(found, left).all()
        assert recall(found, brute_force(left, vectors[left], vectors[gone[:50]], 10)[1]) >= 0.99


def test_removal_counts_what_was_there(kind: Kind) -> None:
    index = built(kind, random_vectors(10))
    assert index.remove([3, 3, 4, 99, -5, 10**12]) == 2
    assert index.remove([]) == 0
    assert len(index) == 8


def test_an_id_can_be_given_a_new_vector_after_its_removal(kind: Kind) -> None:
    vectors = random_vectors(300)
    index = built(kind, vectors)
    index.remove([7])
    index.add([7], -vectors[7:8])
    scores, ids = index.search(-vectors[7:8], 1)
    assert ids.tolist() == [[7]]
    assert scores[0, 0] == pytest.approx(1, abs=1e-3)


def test_an_emptied_index_can_be_filled_again(kind: Kind) -> None:
    vectors = random_vectors(300)
    index = built(kind, vectors)
    assert index.remove(range(300)) == 300
    assert (index.search(vectors[:1], 3)[1] == -1).all()
    index.add(range(300, 600), vectors)
    assert index.search(vectors[:1], 1)[1].tolist() == [[300]]


# -- what it refuses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        ([10, 10], GOOD, "twice"),
        ([10, 1], GOOD, "already"),
        ([-1, 10], GOOD, "outside"),
        ([10, 2**40], GOOD, "outside"),
        ([10], GOOD, "1 ids for 2 vectors"),
        ([[10, 11]], GOOD, "one-dimensional"),
        ([10.0, 11.0], GOOD, "integers"),
        ([10, 11], GOOD[:, 1:], "shape"),
        ([10, 11], GOOD[0], "shape"),
        ([10, 11], GOOD.astype(np.float64), "float16 or float32"),
        ([10, 11], GOOD.tolist(), "float16 or float32"),
        ([10, 11], GOOD * np.array([[1], [np.nan]], np.float32), "NaN"),
        ([10, 11], GOOD * np.array([[1], [np.inf]], np.float32), "infinite"),
        ([10, 11], GOOD * np.array([[1], [2]], np.float32), "unit length; row 1"),
        ([10, 11], GOOD * np.array([[0], [1]], np.float32), "unit length; row 0"),
    ],
)
def test_what_cannot_be_added_is_refused_whole(
    kind: Kind, ids: Any, vectors: Any, message: str
) -> None:
    index = built(kind, random_vectors(5))
    with pytest.raises(VectorIndexError, match=message):
        index.add(ids, vectors)
    assert index.ids().tolist() == [0, 1, 2, 3, 4]
    assert (index.search(GOOD, 10)[1] < 5).all()


@pytest.mark.parametrize(
    ("queries", "k", "allowed", "message"),
    [
        (GOOD[:, 1:], 3, None, "shape"),
        (GOOD[0], 3, None, "shape"),
        (GOOD * np.float32(np.nan), 3, None, "NaN"),
        (GOOD.astype(np.int64), 3, None, "float16 or float32"),
        (GOOD, 0, None, "k must be"),
        (GOOD, 3, np.ones(5, np.bool_), "pack_ranges"),
        (GOOD, 3, np.ones((1, 1), np.uint8), "pack_ranges"),
        (GOOD, 3, [0, 1], "pack_ranges"),
    ],
)
def test_a_query_that_means_nothing_is_refused(
    kind: Kind, queries: Any, k: int, allowed: Any, message: str
) -> None:
    with pytest.raises(VectorIndexError, match=message):
        built(kind, random_vectors(5)).search(queries, k, allowed=allowed)


def test_an_index_has_at_least_one_dimension(kind: Kind) -> None:
    with pytest.raises(VectorIndexError, match="component"):
        kind.make(0)


# -- opened again ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 100, 1000])
def test_an_index_that_is_opened_again_answers_as_before_and_goes_on(
    kind: Kind, count: int
) -> None:
    vectors = random_vectors(1010)
    index = kind.make(DIM)
    index.add(np.arange(count) * 3, vectors[:count])
    index.optimise()
    queries = vectors[1000:]
    before = index.search(queries, 50)
    again = kind.reopen(index)
    assert again.ids().tolist() == (np.arange(count) * 3).tolist()
    for a, b in zip(before, again.search(queries, 50), strict=True):
        np.testing.assert_array_equal(a, b)
    again.remove(range(0, 30, 3))
    again.add(np.arange(5000, 5010), queries)
    assert len(again) == max(count - 10, 0) + 10
    assert again.search(queries, 1)[1][:, 0].tolist() == list(range(5000, 5010))


# -- many threads, many steps ----------------------------------------------------------------


def test_searches_are_right_while_another_thread_writes(kind: Kind) -> None:
    vectors = random_vectors(3000)
    index = kind.make(DIM)
    index.add(range(100), vectors[:100])
    by_id = dict(enumerate(vectors))
    done = threading.Event()
    failures: list[BaseException] = []
    n_searches = [0, 0]

    def keep_searching(reader: int) -> None:
        allowed: SegmentBitmap | None = pack_ranges([0], [2000], 3000) if reader else None
        try:
            while not done.is_set():
                found = index.search(vectors[:5], 5, allowed=allowed)
                assert found[1][:, 0].tolist() == [0, 1, 2, 3, 4]
                assert_scores_are_exact(found, by_id, vectors[:5])
                assert len(index.ids()) >= 80
                n_searches[reader] += 1
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's thread
            failures.append(error)

    readers = [threading.Thread(target=keep_searching, args=(i,)) for i in range(2)]
    for reader in readers:
        reader.start()
    try:
        for start in range(100, 3000, 100):
            index.add(range(start, start + 100), vectors[start : start + 100])
            index.remove(range(start, start + 20))
            index.optimise()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not failures, failures[0]
    assert min(n_searches) > 0
    assert len(index) == 100 + 29 * 80


class AgainstADictionary(RuleBasedStateMachine):
    """Any sequence of steps leaves the index as a dictionary of vectors would be."""

    kinds = KINDS

    @initialize(
        which=st.integers(0, 11), seed=st.integers(0, 2**16), spread=st.sampled_from([0.2, 1])
    )
    def start(self, which: int, seed: int, spread: float) -> None:
        self.kind = kind = self.kinds[which % len(self.kinds)]
        self.rng = np.random.default_rng(seed)
        self.spread = spread
        self.centre = self.rng.standard_normal(DIM)
        self.index = kind.make(DIM)
        self.vectors: dict[int, NDArray[np.float32]] = {}
        self.next_id = 0

    def fresh(self, n: int) -> NDArray[np.float32]:
        return unit(self.centre + self.spread * self.rng.standard_normal((n, DIM)))

    @rule(n=st.integers(0, 300), gap=st.integers(0, 20))
    def add(self, n: int, gap: int) -> None:
        first = self.next_id + gap
        vectors = self.fresh(n)
        if n > 3:
            vectors[1] = vectors[0]
        ids = self.rng.permutation(np.arange(first, first + n))
        self.index.add(ids, vectors)
        self.vectors.update(zip(ids.tolist(), vectors, strict=True))
        self.next_id = first + n

    @rule(share=st.sampled_from([0.01, 0.3, 1.0]))
    def remove(self, share: float) -> None:
        gone = [i for i in self.vectors if self.rng.random() < share]
        assert self.index.remove([*gone, self.next_id]) == len(gone)
        for each in gone:
            del self.vectors[each]

    @rule()
    def optimise(self) -> None:
        self.index.optimise()

    @rule()
    def reopen(self) -> None:
        self.index = self.kind.reopen(self.index)

    @rule(k=st.integers(1, 30), share=st.sampled_from([None, 0.01, 0.1, 0.5]))
    def search(self, k: int, share: float | None) -> None:
        ids = np.array(sorted(self.vectors), dtype=np.int64)
        allowed = None
        if share is not None:
            ids = ids[self.rng.random(len(ids)) < share]
            allowed = pack_ids(ids, self.next_id + 1)
        queries = self.fresh(3)
        found = self.index.search(queries, k, allowed=allowed)
        assert_scores_are_exact(found, self.vectors, queries)
        assert (np.count_nonzero(found[1] >= 0, axis=1) == min(k, len(ids))).all()
        assert np.isin(found[1], [*ids, -1]).all()
        if len(ids) and self.kind.is_exact:
            kept = np.array([self.vectors[i] for i in ids.tolist()])
            wanted = brute_force(ids, kept, queries, k)[0]
            np.testing.assert_allclose(found[0][:, : wanted.shape[1]], wanted, atol=1e-5)

    @rule()
    def find_each_by_itself(self) -> None:
        for number in list(self.vectors)[:5]:
            score = self.index.search(self.vectors[number][np.newaxis], 1)[0][0, 0]
            assert score == pytest.approx(1, abs=2e-3)

    @invariant()
    def same_ids(self) -> None:
        if hasattr(self, "index"):
            assert self.index.ids().tolist() == sorted(self.vectors)
            assert len(self.index) == len(self.vectors)


AgainstADictionary.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnySequenceOfSteps = AgainstADictionary.TestCase

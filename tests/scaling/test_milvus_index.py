"""The conformance suite of vector indexes, and what is only true of one on a Milvus server."""

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings

from db.errors import CollectionGone, VectorIndexError
from db.layered_index import LayeredIndex
from db.milvus_index import CLUSTERED, MilvusIndex
from db.milvus_server import MilvusServer
from db.vectors import VectorIndex, pack_ids, pack_ranges
from tests.conformance import test_vector_index as conformance
from tests.conformance.test_vector_index import *  # noqa: F403
from tests.conformance.test_vector_index import DIM, Kind, brute_force, built, random_vectors
from tests.milvus import MilvusServerForTests

_numbers = itertools.count()
_uris: dict[str, MilvusServer] = {}


def _server() -> MilvusServer:
    return _uris["here"]


def _exact(dim: int) -> MilvusIndex:
    return MilvusIndex.create(_server(), f"exact_{next(_numbers)}", dim)


def _attached(index: MilvusIndex) -> MilvusIndex:
    return MilvusIndex.attach(_server(), index.name, index.dim)


def _layered(dim: int) -> VectorIndex:
    """Make one whose layer beneath holds other vectors, which have been removed from above."""
    beneath = _exact(dim)
    beneath.add(np.arange(7000, 7100), random_vectors(100, seed=99, dim=dim))
    index = LayeredIndex(beneath)
    index.remove(range(7000, 7100))
    return index


KINDS = [
    Kind("milvus-exact", _exact, _attached, is_exact=True),
    Kind("milvus-layered", _layered, LayeredIndex, is_exact=True),
]


@pytest.fixture(autouse=True, scope="module")
def server(milvus: MilvusServerForTests) -> Iterator[MilvusServer]:
    _uris["here"] = MilvusServer(milvus.uri)
    yield _uris["here"]
    _uris.pop("here").close()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


class OnMilvus(conformance.AgainstADictionary):
    """The same steps, on a server."""

    kinds: ClassVar[list[Kind]] = KINDS


OnMilvus.TestCase.settings = settings(
    conformance.AgainstADictionary.TestCase.settings, max_examples=12
)
TestAnySequenceOfSteps = OnMilvus.TestCase


# -- what is only true of Milvus ---------------------------------------------------------------


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.005, 0.001])
def test_lists_of_neighbours_lose_no_hits_to_a_filter(share: float) -> None:
    vectors, _ = conformance.clustered_vectors(20_000, n_clusters=200)
    # Milvus Lite makes 128 lists, whatever it is told.
    index = MilvusIndex.create(
        _server(), f"lists_{next(_numbers)}", DIM, kind=CLUSTERED, n_lists=128
    )
    index.add(np.arange(20_000), vectors)
    index.optimise()
    chosen = np.sort(np.random.default_rng(5).choice(20_000, round(20_000 * share), replace=False))
    queries = np.concatenate([vectors[:20], random_vectors(20, seed=9)])
    found = index.search(queries, 10, allowed=pack_ids(chosen, 20_000))
    wanted = brute_force(chosen, vectors[chosen], queries, 10)[1]
    assert conformance.recall(found[1], wanted) >= 0.99
    assert MilvusIndex.attach(_server(), index.name, DIM).n_lists > 1


def test_more_hits_are_found_than_milvus_gives_at_once() -> None:
    vectors = random_vectors(40_000)
    index = built(KINDS[0], vectors)
    scores, ids = index.search(vectors[:1], 30_000)
    wanted = brute_force(np.arange(40_000), vectors, vectors[:1], 30_000)
    assert conformance.recall(ids, wanted[1]) >= 0.9999  # float32 cannot tell all of them apart
    np.testing.assert_allclose(scores, wanted[0], atol=1e-5)
    everything = index.search(vectors[:1], 40_000)[1]
    assert np.sort(everything[0]).tolist() == list(range(40_000))


def test_of_very_many_equal_vectors_those_with_the_lowest_ids_are_found() -> None:
    vectors = random_vectors(60_000)
    vectors[5000:55_000] = vectors[0]  # as silence does
    index = built(KINDS[0], vectors)
    for allowed, first in ((None, 5000), (pack_ranges([20_000], [40_000], 60_000), 20_000)):
        found = index.search(vectors[:1], 20, allowed=allowed)[1][0]
        wanted = np.arange(first, first + 20)
        assert found.tolist() == ([0, *wanted[:19]] if allowed is None else wanted.tolist())


def test_what_others_write_to_the_collection_is_not_found_and_what_they_remove_is_gone() -> None:
    vectors = random_vectors(300)
    index = built(KINDS[0], vectors[:200])
    other = _attached(index)
    other.add(range(200, 300), vectors[200:])
    other.remove(range(10))
    found = index.search(vectors[250:251], 200)[1][0]
    assert set(found.tolist()) == {-1, *range(10, 200)}


def test_the_ids_are_asked_for_when_there_are_fewer_than_expected() -> None:
    index = built(KINDS[0], random_vectors(50))
    trusted = MilvusIndex.attach(_server(), index.name, DIM, present=np.arange(50))
    assert trusted.ids().tolist() == list(range(50))
    doubted = MilvusIndex.attach(_server(), index.name, DIM, present=np.arange(70))
    assert doubted.ids().tolist() == list(range(50))


def test_a_collection_that_is_gone_or_of_another_dimension_is_told_in_words() -> None:
    index = built(KINDS[0], random_vectors(5))
    with pytest.raises(VectorIndexError, match=f"vectors of {DIM} components where 7 are wanted"):
        MilvusIndex.attach(_server(), index.name, 7)
    _server().drop(index.name)
    with pytest.raises(CollectionGone, match="`echoic repair` fills it anew"):
        index.search(random_vectors(1), 3)
    with pytest.raises(CollectionGone, match="gone from the Milvus server"):
        _attached(index)

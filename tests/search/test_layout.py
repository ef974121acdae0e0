"""The layout of points in a plane: right forces, kept neighbours, no chance in it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from search import layout
from search.layout import edges_of, lay_out, neighbours
from search.repulsion import Repulsion

N_KINDS, N_EACH, DIM = 12, 25, 20


@pytest.fixture(scope="module")
def points() -> NDArray[np.float32]:
    """Twelve kinds of sound, in more dimensions than a plane has, by principal components."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((N_KINDS, DIM))
    drawn = np.repeat(centres, N_EACH, axis=0) + 0.5 * rng.standard_normal((N_KINDS * N_EACH, DIM))
    centred = drawn - drawn.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    return (centred @ axes.T).astype(np.float32)


@pytest.fixture(scope="module")
def places(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return lay_out(points)


def kept(points: NDArray[np.float32], places: NDArray[np.float32], k: int = 10) -> float:
    """Return the share of the `k` nearest neighbours that are among the nearest in the plane."""
    before, after = neighbours(points, k), neighbours(np.ascontiguousarray(places), k)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(before, after, strict=True)]))


@pytest.mark.parametrize("spread", [1.0, 5.0, 15.0])
def test_repulsion_is_what_the_sum_over_all_pairs_is(spread: float) -> None:
    rng = np.random.default_rng(0)
    places = (spread * rng.standard_normal((2, 400))).astype(np.float32)
    forces, total = Repulsion().of(places)
    away = places[:, :, np.newaxis] - places[:, np.newaxis]
    near = 1 / (1 + (away**2).sum(axis=0))
    expected = (away * near**2).sum(axis=2)
    assert np.linalg.norm(forces - expected) < 0.1 * np.linalg.norm(expected)
    assert abs(total - (near.sum() - 400)) < 0.1 * 400


def test_repulsion_computed_again_on_another_grid_is_as_if_computed_first() -> None:
    rng = np.random.default_rng(0)
    small, large = (
        (spread * rng.standard_normal((2, 50))).astype(np.float32) for spread in (1.0, 40.0)
    )
    repulsion = Repulsion()
    repulsion.of(large)
    np.testing.assert_array_equal(repulsion.of(small)[0], Repulsion().of(small)[0])


def test_neighbours_are_kept_far_better_than_by_two_components(
    points: NDArray[np.float32], places: NDArray[np.float32]
) -> None:
    ours, two_components = kept(points, places), kept(points, points[:, :2])
    chance = 10 / len(points)
    assert ours > 0.4
    assert ours > 1.5 * two_components
    assert two_components > 2 * chance


def test_kinds_lie_apart(places: NDArray[np.float32]) -> None:
    kind = np.repeat(np.arange(N_KINDS), N_EACH)
    near = neighbours(np.ascontiguousarray(places), 5)
    assert np.mean(kind[near] == kind[:, np.newaxis]) > 0.95


def test_the_same_points_get_the_same_places(
    points: NDArray[np.float32], places: NDArray[np.float32]
) -> None:
    np.testing.assert_array_equal(lay_out(points.copy()), places)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 60, 61])
def test_few_points_get_places_of_their_own(points: NDArray[np.float32], n: int) -> None:
    some = lay_out(points[:n])
    assert some.shape == (n, 2)
    assert np.isfinite(some).all()
    assert len(np.unique(some, axis=0)) == n


def test_three_points_keep_their_distances() -> None:
    triangle = np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0]], dtype=np.float32)
    places = lay_out(triangle)
    away = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    np.testing.assert_allclose(away[[0, 0, 1], [1, 2, 2]], [3, 4, 5], rtol=0.01)


@pytest.mark.parametrize("n", [20, 40])
def test_many_points_in_one_place_get_places_too(n: int) -> None:
    same = np.zeros((2 * n, 5), dtype=np.float32)
    same[n:, 0] = 1.0
    assert np.isfinite(lay_out(same)).all()


def test_neighbours_never_name_a_point_itself_if_there_are_others() -> None:
    same = np.zeros((30, 4), dtype=np.float32)  # all of them are each other's nearest
    found = neighbours(same, 5)
    assert found.shape == (30, 5)
    assert not (found == np.arange(30)[:, np.newaxis]).any()
    assert all(len(set(row)) == 5 for row in found.tolist())


def test_many_points_are_searched_cell_by_cell_with_hardly_a_loss(
    points: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    many = rng.standard_normal((3000, 8)).astype(np.float32)
    exact = neighbours(many, 15)
    monkeypatch.setattr(layout, "_SEARCHED_WHOLE", 1000)
    found = neighbours(many, 15)
    shared = [len(set(a) & set(b)) / 15 for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) > 0.95


def test_an_edge_is_there_once_and_counts_twice_if_it_is_mutual() -> None:
    edges = edges_of(np.array([[1], [0], [0]]))
    assert list(zip(edges.first, edges.second, strict=True)) == [(0, 1), (0, 2)]
    np.testing.assert_allclose(edges.weights, [2 / 6, 1 / 6])

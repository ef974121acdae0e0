"""Sounds that are taught by examples: the solver, and the demo archive with the real encoder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.sound_classes import sound_class
from db.writer import CatalogueWriter
from indexer.encoders import DEFAULT_ENCODER
from search.calibration import POSSIBLE, Law, Scale
from search.engine import SearchEngine
from search.errors import QueryError
from search.logistic import fit_logistic
from search.query import Archived, Example, Query, Sound, Taught
from search.teaching import Learner, learnt_threshold, teach, teach_again
from tests.indexer.conftest import write_sound


@pytest.fixture
def catalogue(demo: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """A copy of the demo's catalogue that may be written to."""
    shutil.copytree(demo / "catalogue", tmp_path / "catalogue")
    with Catalogue.open(tmp_path / "catalogue") as opened:
        yield opened


def number_of(catalogue: Catalogue, path: str) -> int:
    (number,) = catalogue.find_files(path)
    return number


# -- the solver ------------------------------------------------------------------------------


def test_the_solver_stops_where_the_loss_does_not_fall_any_more() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 12))
    targets = vectors @ rng.standard_normal(12) + rng.standard_normal(200) > 0.3
    weights = np.full(200, 1 / 200)
    found = fit_logistic(vectors, targets, weights, penalty=1e-3)

    def loss(at: np.ndarray) -> float:
        odds = vectors @ at[:-1] + at[-1]
        losses = np.logaddexp(0.0, np.where(targets, -odds, odds))
        return float(weights @ losses + 0.5e-3 * at[:-1] @ at[:-1])

    for _ in range(50):
        step = rng.standard_normal(13)
        assert loss(found) <= loss(found + 1e-2 * step / np.linalg.norm(step))


def test_the_solver_finds_the_same_from_anywhere_even_when_a_plane_parts_all() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((60, 8))
    targets = vectors[:, 0] > 0
    weights = np.full(60, 1 / 60)
    cold = fit_logistic(vectors, targets, weights, penalty=1e-4)
    warm = fit_logistic(vectors, targets, weights, penalty=1e-4, start=cold + 0.5)
    assert np.array_equal(cold, fit_logistic(vectors, targets, weights, penalty=1e-4))
    np.testing.assert_allclose(warm, cold, rtol=1e-3, atol=1e-3)
    assert ((vectors @ cold[:-1] + cold[-1] > 0) == targets).all()


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def test_what_examples_share_with_everything_else_is_not_learnt() -> None:
    rng = np.random.default_rng(2)
    common, own = unit(rng.standard_normal((2, 32)))
    background = unit(3.0 * common + rng.standard_normal((400, 32)))
    examples = [unit(3.0 * common + 1.5 * own + 0.3 * rng.standard_normal((2, 32)))] * 3
    mean = unit(np.mean(examples[0], axis=0))
    direction = Learner([], background).direction(examples)
    assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-5)
    assert direction @ own > mean @ own + 0.1
    against = Learner([background[:1]], background).direction(examples)
    assert against @ background[0] < direction @ background[0]


def test_a_threshold_lies_below_unseen_examples_and_above_other_sounds() -> None:
    scale = Scale(mean=0.1, deviation=0.1, level=0.0)
    law = Law(offset=3.2, slope=2.0)
    assert learnt_threshold(scale, law, [0.9, 0.7]) == pytest.approx(0.1 + 0.9 * 0.7)
    assert learnt_threshold(scale, law, [0.2, 0.1]) == pytest.approx(0.1 + 3 * 0.1)
    assert learnt_threshold(scale, law, []) == pytest.approx(0.1 + law.offset * 0.1)


# -- the real encoder ------------------------------------------------------------------------


def test_a_taught_sound_finds_its_like_and_a_hit_begins_at_its_threshold(
    catalogue: Catalogue, demo: Path
) -> None:
    liked = [
        Archived(number_of(catalogue, "weather/rain-heavy.flac")),
        Example(demo / "sounds" / "weather" / "rain-light.wav"),
    ]
    disliked = [Archived(number_of(catalogue, "signals/white-noise.flac"))]
    sound = teach(catalogue, "downpour", liked, disliked, DEFAULT_ENCODER)
    again = teach(catalogue, "downpour", liked, disliked, DEFAULT_ENCODER, replaces=True)
    np.testing.assert_array_equal(sound.direction, again.direction)
    assert [example.liked for example in sound.examples] == [True, True, False]
    engine = SearchEngine(catalogue)
    results = engine.search(Query((Sound((Taught("downpour"),)),)), k=10)
    found = [hit.recording.files[0].path for hit in (*results.hits, *results.near_misses)]
    assert {"weather/rain-light.wav", "weather/rain-heavy.flac"} <= set(found)
    for hit in results.hits:
        vectors = catalogue.vectors(hit.recording.id, DEFAULT_ENCODER).astype(np.float32)
        assert (vectors @ sound.direction).max() >= sound.threshold - 1e-4
    assert all(hit.score < POSSIBLE for hit in results.near_misses)


def test_a_passage_of_a_recording_is_an_example_of_its_own(catalogue: Catalogue) -> None:
    field = number_of(catalogue, "field-recording-village-edge.flac")
    first = teach(catalogue, "a", [Archived(field, 0.0, 10.0)], [], DEFAULT_ENCODER)
    second = teach(catalogue, "b", [Archived(field, 100.0, 110.0)], [], DEFAULT_ENCODER)
    assert float(first.direction @ second.direction) < 0.99
    assert (first.examples[0].from_s, first.examples[0].to_s) == (0.0, 10.0)


def test_a_sound_is_taught_again_from_what_can_still_be_heard(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    clip, lost = (write_sound(tmp_path / f"{n}.wav", seed=n, length_s=2.0) for n in (1, 2))
    rain = Archived(number_of(catalogue, "weather/rain-heavy.flac"))
    before = teach(catalogue, "s", [rain, Example(clip), Example(lost)], [], DEFAULT_ENCODER)
    lost.unlink()
    with CatalogueWriter(catalogue) as writer:  # the file itself is still where it was
        files = catalogue.recording(rain.recording_id).files
        writer.forget_files([file.id for file in files])
    again = teach_again(catalogue, "s", DEFAULT_ENCODER)
    assert [str(lost) in note for note in again.notes] == [True]
    assert again.sound.examples == before.examples
    assert not np.allclose(again.sound.direction, before.direction)
    clip.write_bytes(b"something else")
    assert len(teach_again(catalogue, "s", DEFAULT_ENCODER).notes) == 2
    stored = sound_class(catalogue, "s", DEFAULT_ENCODER)
    assert len(stored.examples) == 3


def test_teaching_that_cannot_be_is_refused_and_keeps_what_was(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    clip = write_sound(tmp_path / "clip.wav", length_s=1.0)
    kept = teach(catalogue, "s", [Example(clip)], [], DEFAULT_ENCODER)
    with pytest.raises(QueryError, match="at least one example"):
        teach(catalogue, "s", [], [Example(clip)], DEFAULT_ENCODER, replaces=True)
    with pytest.raises(QueryError, match="cannot be the sound and not be it"):
        teach(catalogue, "s", [Example(clip)], [Example(clip)], DEFAULT_ENCODER, replaces=True)
    with pytest.raises(QueryError, match="cannot be read"):
        teach(catalogue, "s", [Example(tmp_path / "no.wav")], [], DEFAULT_ENCODER, replaces=True)
    with pytest.raises(UnknownName, match="9999"):
        teach(catalogue, "s", [Archived(9999)], [], DEFAULT_ENCODER, replaces=True)
    with pytest.raises(UnknownName, match="known: s"):
        teach_again(catalogue, "t", DEFAULT_ENCODER)
    stored = sound_class(catalogue, "s", DEFAULT_ENCODER)
    np.testing.assert_array_equal(stored.direction, kept.direction)
    clip.unlink()
    with pytest.raises(QueryError, match="can be heard any more"):
        teach_again(catalogue, "s", DEFAULT_ENCODER)

"""What cosines mean: standard scores and probabilities."""

import numpy as np
import pytest

from indexer.encoders import Anchors, Laws, ShippedCalibration, load_encoder
from search.calibration import POSSIBLE, STRONG, BackgroundCalibration, Law, standardise
from search.ranking import strength_of

DIM = 16


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.standard_normal((n, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def calibrated(
    background: np.ndarray, anchors: np.ndarray, levels: list[float]
) -> BackgroundCalibration:
    known = Anchors(anchors, np.array(levels, np.float32))
    laws = Laws(Law(1.0, 2.0), Law(3.0, 3.0))
    return BackgroundCalibration(ShippedCalibration(background, known, laws))


def test_standard_scores_of_the_background_itself_have_mean_zero_and_deviation_one() -> None:
    rng = np.random.default_rng(1)
    background = unit(rng, 300)
    calibration = calibrated(background, unit(rng, 2), [0.0, 0.0])
    query = unit(rng, 1)[0]
    scores = standardise(calibration, query, background @ query, by_words=True)
    assert scores.mean() == pytest.approx(0.0, abs=1e-4)
    assert scores.std() == pytest.approx(1.0, abs=1e-4)


def test_the_level_of_a_phrase_is_that_of_the_anchors_it_is_like() -> None:
    rng = np.random.default_rng(2)
    anchors = np.eye(DIM, dtype=np.float32)[:3]
    calibration = calibrated(unit(rng, 50), anchors, [1.0, 2.0, 6.0])
    assert calibration.scale(anchors[2], by_words=True).level == pytest.approx(6.0, abs=1e-3)
    between = (anchors[0] + anchors[1]) / np.sqrt(2).astype(np.float32)
    assert calibration.scale(between, by_words=True).level == pytest.approx(1.5, abs=1e-3)
    assert calibration.scale(anchors[2], by_words=False).level == 0.0


def test_a_query_that_resembles_everything_alike_is_no_division_by_zero() -> None:
    same = np.tile(np.eye(DIM, dtype=np.float32)[0], (20, 1))
    calibration = calibrated(same, same[:1], [0.0])
    assert np.isfinite(standardise(calibration, same[0], same @ same[0], by_words=True)).all()


def test_a_law_and_its_inverse_agree() -> None:
    law = Law(offset=0.7, slope=3.0)
    for probability in (0.01, 0.5, 0.8, 0.999):
        above = np.array([law.above(probability)], dtype=np.float32)
        assert law.probability(above)[0] == pytest.approx(probability, abs=1e-5)
    assert law.above(0.5) == pytest.approx(0.7)


def test_the_surest_scores_stay_between_zero_and_one() -> None:
    law = load_encoder().calibration.laws.words
    sure = law.probability(np.array([-1e6, 0.0, 1e6], dtype=np.float32))
    assert sure[0] >= 0.0
    assert sure[2] <= 1.0
    assert (np.diff(sure) > 0).all()


def test_words_for_scores() -> None:
    assert [strength_of(score).value for score in (STRONG, POSSIBLE, POSSIBLE - 0.01)] == [
        "strong",
        "possible",
        "weak",
    ]


def test_the_bundled_encoder_knows_what_its_scores_are_worth() -> None:
    encoder = load_encoder()
    calibration = encoder.calibration
    assert calibration.background.shape == (512, encoder.dim)
    assert calibration.anchors.vectors.shape == (527, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(calibration.background, axis=1), 1.0, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(calibration.anchors.vectors, axis=1), 1.0, atol=1e-3)
    # The anchors are the encoder's own vectors of the names.
    names = ["Speech", "Cough", "Rain"]
    numbers = [0, 47, 289]
    own = encoder.embed_text(names)
    found = calibration.anchors.vectors[numbers]
    assert ((own * found).sum(axis=1) > 0.999).all()
    assert (calibration.anchors.levels > 1.0).all()

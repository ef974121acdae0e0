"""What scores mean where the archive itself has to tell."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from db.calibrations import (
    StoredCalibration,
    sample_vectors,
    store_calibration,
    stored_calibration,
)
from db.catalogue import Catalogue
from db.consistency import check, repair
from db.errors import CalibrationDamaged, UnknownName
from db.writer import CatalogueWriter
from indexer.analysis import encoder_geometry
from indexer.encoders import Encoder, load_encoder
from search.archive_calibration import KIND, ArchiveCalibration, calibrate, calibration_of
from search.calibration import POSSIBLE
from search.sounds import PreparedSound
from tests.db.conftest import analysis
from tests.indexer.encoders.clap_package import TINY, install_tiny

DIM = 64
KINDS = 12
"""Kinds of sound in a made-up space; the last three are in no archive."""


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def phrases() -> np.ndarray:
    """A phrase for each kind, then five hundred that nobody asks for, shape (512, 64)."""
    return unit(np.random.default_rng(0).standard_normal((KINDS + 500, DIM)))


def sounds(phrases: np.ndarray, kinds: list[int], each: int, *, seed: int) -> np.ndarray:
    """Sounds like phrases: as near to them as an encoder manages."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(phrases[kinds], each, axis=0)
    return unit(centres + unit(rng.standard_normal(centres.shape)) * 1.2)


def probability(calibration: ArchiveCalibration, phrase: np.ndarray, of: np.ndarray) -> np.ndarray:
    scale = calibration.scale(phrase, by_words=True)
    return PreparedSound(phrase, scale, calibration.laws.words, "", ()).probability(of @ phrase)


@pytest.mark.parametrize("kinds", [[0], [0, 1], list(range(9))])
def test_what_is_there_is_found_and_what_is_not_is_not_however_narrow_the_archive(
    phrases: np.ndarray, kinds: list[int]
) -> None:
    archive = sounds(phrases, kinds, 40, seed=1)
    calibration = ArchiveCalibration(archive, phrases, 120)
    of_kind = np.repeat(kinds, 40)
    for kind in kinds:
        found = probability(calibration, phrases[kind], archive) >= POSSIBLE
        assert found[of_kind == kind].mean() > 0.6
        assert not found[of_kind != kind].any()
    for absent in (9, 10, 11):
        assert probability(calibration, phrases[absent], archive).max() < POSSIBLE


def test_a_handful_of_sounds_still_tells_something_and_says_that_it_is_little(
    phrases: np.ndarray,
) -> None:
    archive = sounds(phrases, [0], 1, seed=2)
    calibration = ArchiveCalibration(archive, phrases, 1)
    (note,) = calibration.notes
    assert "scores are rough" in note
    (there,) = probability(calibration, phrases[0], archive)
    (absent,) = probability(calibration, phrases[9], archive)
    assert there > absent
    assert absent < POSSIBLE
    scale = calibration.scale(archive[0], by_words=False)
    assert np.isfinite([scale.mean, scale.deviation]).all()
    assert ArchiveCalibration(archive, phrases, 100).notes == ()


def test_an_example_finds_its_like(phrases: np.ndarray) -> None:
    archive = sounds(phrases, list(range(9)), 30, seed=3)
    calibration = ArchiveCalibration(archive, phrases, 270)
    example = unit(archive[:5].mean(axis=0))
    scale = calibration.scale(example, by_words=False)
    sure = PreparedSound(example, scale, calibration.laws.example, "", ()).probability(
        archive @ example
    )
    assert (sure[5:30] >= POSSIBLE).mean() > 0.5
    assert not (sure[30:] >= POSSIBLE).any()


def test_the_recorded_dog_is_called_a_dog_by_the_real_model(real_audio: Path) -> None:
    folder = real_audio.parent / "clap-reference"
    if not folder.is_dir():
        pytest.skip(f"no recorded outputs of LAION-CLAP in {folder}, beside ECHOIC_TEST_AUDIO")
    assert sf.info(folder / "sample.wav").samplerate == 48_000
    sound = np.load(folder / "golden_audio_emb.npy")[None].astype(np.float32)
    texts = np.load(folder / "golden_text_embs.npy").astype(np.float32)
    # An archive of that dog and of sounds that are something else: as near to the phrases as the
    # dog is to those that it is not.
    rng = np.random.default_rng(0)
    others = unit(rng.standard_normal((60, texts.shape[1])))
    near = rng.normal(0.0, 0.1, (199, 65)) @ np.concatenate([texts, others])
    archive = np.concatenate([sound, unit(unit(rng.standard_normal(near.shape)) + near)])
    calibration = ArchiveCalibration(archive, np.concatenate([texts, others]), 200)
    # "a dog barking", "rain", "music", "silence", "door creaking"
    sure = [float(probability(calibration, text, sound)[0]) for text in texts]
    assert int(np.argmax(sure)) == 0
    assert sure[0] >= POSSIBLE
    assert max(sure[1:]) < POSSIBLE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encoder]:
    """An encoder with which nothing comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOIC_MODELS", str(tmp_path_factory.mktemp("models")))
        install_tiny(dim=DIM)
        yield load_encoder(TINY)


def index(catalogue: Catalogue, model: Encoder, numbers: range) -> None:
    with CatalogueWriter(catalogue) as writer:
        if not catalogue.collections():
            writer.add_collection("c", "/c")
        (collection,) = catalogue.collections()
        encoder = encoder_geometry(model)
        writer.store([analysis(collection.id, f"{n}.wav", encoder=encoder) for n in numbers])


def kept(catalogue: Catalogue) -> StoredCalibration:
    stored = stored_calibration(catalogue, TINY)
    assert stored is not None
    return stored


def test_a_calibration_is_kept_until_the_archive_has_outgrown_it(
    tmp_path: Path, model: Encoder
) -> None:
    with Catalogue.open(tmp_path / "catalogue", create=True) as catalogue:
        assert not calibrate(catalogue, model)  # nothing is there yet
        index(catalogue, model, range(10))
        assert calibrate(catalogue, model)
        first = kept(catalogue)
        assert (first.kind, first.n_recordings, len(first.sample)) == (KIND, 10, 20)
        assert first.anchors.shape == (527, DIM)
        index(catalogue, model, range(10, 39))
        assert not calibrate(catalogue, model)
        np.testing.assert_array_equal(kept(catalogue).sample, first.sample)
        index(catalogue, model, range(39, 40))
        assert calibrate(catalogue, model)
        assert kept(catalogue).n_recordings == 40
        assert calibration_of(catalogue, model).notes
        index(catalogue, model, range(40, 100))
        assert calibrate(catalogue, model)  # enough now, though it has not grown fourfold
        assert kept(catalogue).n_recordings == 100
        np.testing.assert_array_equal(kept(catalogue).anchors, first.anchors)
        used = calibration_of(catalogue, model)
        assert used.notes == ()
        index(catalogue, model, range(100, 101))
        assert calibration_of(catalogue, model).identity == used.identity


def test_the_same_recordings_give_the_same_calibration_in_whatever_order_they_came(
    tmp_path: Path, model: Encoder
) -> None:
    samples = []
    for name, order in (("a", [range(30), range(30, 60)]), ("b", [range(20, 60), range(20)])):
        with Catalogue.open(tmp_path / name, create=True) as catalogue:
            for part in order:
                index(catalogue, model, part)
            n, sample = sample_vectors(catalogue, TINY, most_recordings=25, each=2)
            assert (n, len(sample)) == (60, 50)
            samples.append(sample)
    np.testing.assert_array_equal(*samples)


def test_a_catalogue_without_a_calibration_is_searched_by_one_of_now(
    tmp_path: Path, model: Encoder
) -> None:
    with Catalogue.open(tmp_path / "catalogue", create=True) as catalogue:
        index(catalogue, model, range(10))
        now = calibration_of(catalogue, model)
        assert stored_calibration(catalogue, TINY) is None  # searches only read
        calibrate(catalogue, model)
        later = calibration_of(catalogue, model)
        assert later.identity == now.identity
        phrase = model.embed_text(["rain"])[0]
        for by_words in (True, False):
            one, other = (each.scale(phrase, by_words=by_words) for each in (later, now))
            assert one.mean == pytest.approx(other.mean, abs=1e-3)
            assert one.deviation == pytest.approx(other.deviation, abs=1e-3)


def test_a_damaged_calibration_is_told_made_again_and_goes_with_its_encoder(
    tmp_path: Path, model: Encoder
) -> None:
    with Catalogue.open(tmp_path / "catalogue", create=True) as catalogue:
        index(catalogue, model, range(10))
        calibrate(catalogue, model)
        good = kept(catalogue)
        with catalogue.transaction() as session:
            session.connection().exec_driver_sql("UPDATE calibrations SET checksum = 1")
        with pytest.raises(CalibrationDamaged):
            stored_calibration(catalogue, TINY)
        used = calibration_of(catalogue, model)
        assert "calibration of laion-clap/tiny in the catalogue is damaged" in used.notes[0]
        assert any(problem.where == "calibrations" for problem in check(catalogue, schemes={}))
        news: list[str] = []
        assert calibrate(catalogue, model, on_start=news.append)
        assert "is damaged" in news[0]
        assert not any(problem.where == "calibrations" for problem in check(catalogue, schemes={}))
        np.testing.assert_array_equal(kept(catalogue).sample, good.sample)
        with catalogue.transaction() as session:
            session.connection().exec_driver_sql("UPDATE calibrations SET checksum = 1")
        with CatalogueWriter(catalogue) as writer:
            assert f"dropped the damaged calibration of {TINY}" in repair(writer, schemes={})
            assert stored_calibration(catalogue, TINY) is None
            store_calibration(catalogue, TINY, good)
            writer.forget_encoder(TINY)
        assert stored_calibration(catalogue, TINY) is None
        with pytest.raises(UnknownName, match="no vectors by 'laion-clap/tiny'"):
            store_calibration(catalogue, TINY, good)

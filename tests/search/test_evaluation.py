"""Evaluations: exact figures of scores made up, sensible ones of real sounds."""

import csv
from pathlib import Path

import numpy as np
import pytest

from db.records import Analysis
from db.storage import file_state
from indexer.analysis import Analyser, Features, Job
from indexer.encoders import DEFAULT_ENCODER, load_encoder
from indexer.errors import AudioError
from search.errors import QueryError
from search.evaluation.clips import (
    best_window,
    embed_clips,
    embed_phrases,
    example_queries,
    standardised,
)
from search.evaluation.ground_truth import Clip, GroundTruth, read_ground_truth
from search.evaluation.measuring import Scores, evaluate, judge
from search.evaluation.questions import Gallery, questions_of
from tests.indexer.conftest import write_sound

CAPTIONS = {
    "a/sounds_airplane_prop.ogg": "A propeller plane flies",
    "a/sounds_bicycle_bell.ogg": "A bicycle bell rings",
    "a/sounds_cat_meow.ogg": "A cat meows",
    "a/sounds_church_bells_01.ogg": "Church bells are ringing",
    "a/sounds_clock_tick.ogg": "A clock is ticking",
    "a/sounds_cow_moo_01.ogg": "A cow moos",
    "a/sounds_cricket.ogg": "A cricket chirps",
    "a/sounds_dog_bark.ogg": "A dog barks",
    "a/sounds_door_close_01.ogg": "A door is slammed shut",
    "a/sounds_door_creak.ogg": "A wooden door creaks",
    "a/sounds_door_knock_01.ogg": "Someone knocks on a door",
    "a/sounds_doorbell_01.ogg": "A doorbell rings",
    "a/sounds_explosion_01.ogg": "A big explosion",
    "a/sounds_fire_crackle.ogg": "Wood crackles in a fire",
    "a/sounds_fireworks_01.ogg": "Fireworks go off",
    "a/sounds_frog.ogg": "A frog croaks",
    "a/sounds_helicopter.ogg": "A helicopter hovers",
    "a/sounds_horse_neigh_01.ogg": "A horse neighs",
    "a/sounds_laugh_evil_01.ogg": "A man laughs",
    "a/sounds_pig_snort.ogg": "A pig grunts",
    "a/sounds_rain_heavy_01.ogg": "Heavy rain is falling",
    "a/sounds_sheep_baa.ogg": "A sheep bleats",
    "a/sounds_thunder_01.ogg": "Thunder rolls",
    "a/sounds_train_whistle.ogg": "A train whistle blows",
    "a/sounds_vehicle_horn_01.ogg": "A car honks its horn",
    "a/sounds_wind.ogg": "The wind howls",
    "b/ambient__police_siren.ogg": "A police siren wails",
    "b/glass__smash_success_glass.ogg": "A pane of glass is smashed",
    "b/car_alarm__car_alarm.ogg": "A car alarm goes off",
    "b/ferals__female_scream_1.ogg": "A woman screams",
}


def truth_of(*clips: tuple[str, str, bool], captions: tuple[str, ...] = ()) -> GroundTruth:
    """Make a truth of (label, source, is_chosen); captions are of the first clips."""
    return GroundTruth(
        "list.csv",
        tuple(
            Clip(Path(f"{n}.wav"), (label,) if label else (), captions[n : n + 1], source, chosen)
            for n, (label, source, chosen) in enumerate(clips)
        ),
        where=() if all(chosen for *_, chosen in clips) else (("fold", "5"),),
        source_column="source",
    )


def test_clips_of_one_recording_do_not_find_each_other() -> None:
    truth = truth_of(("x", "1", True), ("x", "1", True), ("y", "2", True), ("x", "3", True))
    questions = questions_of(truth, Gallery.SAME)
    alike = np.full((4, 4), 0.9)
    alike[:, 2] = 0.5
    alike[3] = [0.1, 0.2, 0.8, 1.0]
    scores = Scores({"plain": np.ones((2, 4))}, {}, alike, np.empty((0, 4)))
    found = judge("e/1", truth, Gallery.SAME, questions, scores)
    task = next(task for task in found.tasks if task.name == "by_example")
    assert task.n_queries == 3  # the only y has no like
    # The first two find the fourth first, though their sibling scores the same; it finds y first.
    assert found.figure("by_example", "map").value == pytest.approx(
        (1 + 1 + (1 / 2 + 2 / 3) / 2) / 3
    )
    precision = found.figure("by_example", "precision_at_10")
    assert precision.value == pytest.approx((1 + 1 + 2) / 3 / 10)
    assert precision.ceiling == precision.value
    assert precision.chance == pytest.approx(precision.value)  # fewer than ten are searched
    assert "1 of 4 clips are no examples" in " ".join(found.notes)
    assert found.n_sources == 3


def test_a_larger_gallery_is_searched_but_only_chosen_clips_are_measured() -> None:
    truth = truth_of(("x", "1", True), ("x", "2", False), ("y", "3", True), ("z", "4", False))
    for gallery, n_searched, n_labels in ((Gallery.SAME, 2, 2), (Gallery.ALL, 4, 3)):
        questions = questions_of(truth, gallery)
        scores = Scores(
            {"plain": questions.relevant.astype(float)},
            {"plain": questions.relevant.astype(float)},
            np.ones((2, n_searched)),
            np.empty((0, n_searched)),
        )
        found = judge("e/1", truth, gallery, questions, scores)
        tasks = {task.name: task for task in found.tasks}
        assert tasks["zero_shot"].n_queries == 2
        assert tasks["zero_shot"].n_searched == n_labels
        assert tasks["text_to_audio"].n_queries == 2
        assert tasks["text_to_audio"].n_searched == n_searched
        assert ("by_example" in tasks) == (gallery is Gallery.ALL)
        for name in ("accuracy", "accuracy_standardised"):
            figure = found.figure("zero_shot", name, wording="plain")
            assert (figure.value, figure.chance) == (1.0, pytest.approx(1 / n_labels))
    ceilings = "cannot pass 0.000 among the measured clips (--gallery same) and 0.100 among all"
    assert ceilings in " ".join(found.notes)
    with pytest.raises(KeyError):
        found.figure("captions", "map_at_10")


def test_captions_are_ranked_by_their_own_clip() -> None:
    truth = truth_of(("", "1", True), ("", "2", True), ("", "3", True), captions=("one", "two"))
    questions = questions_of(truth, Gallery.SAME)
    by_caption = np.array([[0.9, 0.1, 0.2], [0.7, 0.5, 0.6]])
    scores = Scores({"plain": np.empty((0, 3))}, {}, np.empty((0, 3)), by_caption)
    found = judge("e/1", truth, Gallery.SAME, questions, scores)
    assert [task.name for task in found.tasks] == ["captions"]
    assert found.figure("captions", "recall_at_1").value == 0.5
    assert found.figure("captions", "recall_at_5").value == 1.0
    assert found.figure("captions", "median_rank").value == 2.0
    assert found.figure("captions", "median_rank").chance == 2.0
    assert found.figure("captions", "map_at_10").value == pytest.approx((1 + 1 / 3) / 2)
    assert found.figure("captions", "map_at_10").chance == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found.n_clips == 2


def test_a_clip_has_the_vectors_that_a_catalogue_would_hold(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "long.flac", length_s=13.0, channels=2, sr=44_100)
    (vectors,) = embed_clips([path], load_encoder())
    job = Job(1, str(tmp_path), path.name, file_state(path), wanted=Features((DEFAULT_ENCODER,)))
    result = Analyser()(job).result
    assert isinstance(result, Analysis)
    (stored,) = result.vectors.values()
    np.testing.assert_array_equal(vectors, stored)
    assert len(vectors) > 3
    query = example_queries([vectors])
    np.testing.assert_allclose(np.linalg.norm(query), 1.0, rtol=1e-5)
    windows = vectors.astype(np.float32)
    np.testing.assert_allclose(best_window(query, [vectors])[0, 0], (windows @ query[0]).max())


def test_standardised_scores_keep_the_order_under_one_query() -> None:
    encoder = load_encoder()
    queries = embed_phrases([("rain",), ("a dog", "barking")], encoder)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1.0, rtol=1e-5)
    scores = queries @ encoder.calibration.background.T
    z = standardised(queries, scores, encoder.calibration)
    np.testing.assert_allclose(z.mean(axis=1), 0.0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=1), 1.0, atol=1e-3)
    np.testing.assert_array_equal(np.argsort(z, axis=1), np.argsort(scores, axis=1))


def test_a_clip_that_is_no_sound_stops_the_evaluation_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("not audio")
    (tmp_path / "list.csv").write_text("path,label\nbad.wav,dog\n")
    with pytest.raises(AudioError, match=r"bad\.wav.*out of the manifest"):
        evaluate(load_encoder(), read_ground_truth(tmp_path / "list.csv"))


def test_a_label_that_holds_no_word_is_an_error(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_text("path,label\na.wav,???\n")
    with pytest.raises(QueryError, match=r"cannot read '\?\?\?'"):
        evaluate(load_encoder(), read_ground_truth(tmp_path / "list.csv"))


def test_sentences_find_the_real_sounds_that_they_describe(
    real_audio: Path, tmp_path: Path
) -> None:
    with (tmp_path / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "caption"])
        table.writerows(CAPTIONS.items())
    told = []
    found = evaluate(
        load_encoder(),
        read_ground_truth(tmp_path / "captions.csv", root=real_audio / "effects"),
        on_clip=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (30, 30)
    recall = found.figure("captions", "recall_at_10")
    assert recall.chance == pytest.approx(1 / 3)
    assert recall.low > 0.6  # far from chance, whatever the weights
    assert recall.low <= recall.value <= recall.high
    assert found.figure("captions", "median_rank").value <= 5
    assert found.n_clips == 30


def test_real_classes_are_named_and_found_by_name_and_by_example(
    real_audio: Path, tmp_path: Path
) -> None:
    with (real_audio / "esc10" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "1"]
    kept = {"dog", "rain", "rooster", "crying baby"}
    with (tmp_path / "four.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(row for row in rows if row["label"] in kept)
    truth = read_ground_truth(tmp_path / "four.csv", root=real_audio / "esc10")
    found = evaluate(load_encoder(), truth, prompts="descriptive")
    for wording in ("plain", "descriptive"):
        for task, measure in (("text_to_audio", "map"), ("zero_shot", "accuracy_standardised")):
            figure = found.figure(task, measure, wording=wording)
            assert figure.value > 0.8 > 2 * figure.chance
            assert figure.low <= figure.value <= figure.high
    assert found.figure("by_example", "map").value > 0.7
    assert found == evaluate(load_encoder(), truth, prompts="descriptive")

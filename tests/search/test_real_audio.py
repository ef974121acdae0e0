"""The whole way on real recordings that the encoder never heard: from files to hits."""

import csv
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.absent import scores_of
from benchmarks.events import make, measure
from db.catalogue import Catalogue
from search.archive_map import draw_map
from search.calibration import POSSIBLE
from search.engine import SearchEngine
from search.hits import Hit
from search.ranking import Ranking
from tests.conftest import made_once

FOLD = "5"  # the fold of ESC-10 that no training has used

QUERIES = {
    "crackling_fire": "crackling fire",
    "dog": "dog barking",
    "rain": "rain",
    "rooster": "rooster",
    "sea_waves": "sea waves",
    "crying_baby": "crying baby",
    "clock_tick": "clock ticking",
    "sneezing": "person sneezing",
    "helicopter": "helicopter",
    "chainsaw": "chainsaw",
}


@pytest.fixture(scope="module")
def catalogue(real_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of the 80 clips of the fold, named by a manifest."""
    return made_once(tmp_path_factory, "fold", partial(_index_fold, real_audio)) / "catalogue"


def _index_fold(real_audio: Path, folder: Path) -> None:
    with (real_audio / "esc10" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == FOLD]
    with (folder / "fold.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    command = [sys.executable, "-m", "ui", "index", "--manifest", str(folder / "fold.csv")]
    place = ["--root", str(real_audio / "esc10"), "--catalogue", str(folder / "catalogue")]
    ran = subprocess.run([*command, *place], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _first_five(engine: SearchEngine, words: str) -> list[Hit]:
    results = engine.search(words, k=5, ranking=Ranking.SOUND)
    return [*results.hits, *results.near_misses]


def test_class_names_find_their_class_through_the_catalogue(catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        engine = SearchEngine(opened)
        right = {
            label: sum(
                Path(hit.recording.files[0].path).parent.name == label
                for hit in _first_five(engine, words)
            )
            for label, words in QUERIES.items()
        }
    # Chance is half a clip in five; the encoder's own figures are in its model card.
    assert sum(right.values()) >= 0.8 * 5 * len(QUERIES), right


def test_labels_and_attributions_of_the_manifest_can_be_searched(catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        hits = SearchEngine(opened).search("crying baby", ranking=Ranking.WORDS, k=20).hits
        assert len(hits) == 8
        said = hits[0].recording.files[0].description
    assert "crying baby" in said.tags
    assert "freesound.org" in said.extra["attribution"]


def test_sounds_that_are_not_there_return_nothing_and_those_that_are_return_something(
    catalogue: Path,
) -> None:
    with Catalogue.open(catalogue) as opened:
        absent, _, present = scores_of(opened, of_archive=False)
    # The figures are in docs/search.md; these bounds leave room for other processors.
    assert np.mean(np.array(absent) >= POSSIBLE) <= 0.1
    assert np.mean([max(one["right"]) >= POSSIBLE for one in present]) >= 0.7


def test_events_in_a_long_mixture_are_found_where_they_are_and_in_their_order(
    real_audio: Path, tmp_path: Path
) -> None:
    figures = measure(make(real_audio, snr_db=20.0, count=1, seed=7), tmp_path)
    assert figures["events"] == 16
    assert figures["best_passage_overlaps"] >= 0.6
    assert figures["median_onset_error_s"] <= 2.5
    assert figures["reverse_hit"] <= 0.15
    assert figures["in_order_hit"] > figures["reverse_hit"]


def test_sounds_of_one_class_lie_together_on_the_map(catalogue: Path, tmp_path: Path) -> None:
    with Catalogue.open(shutil.copytree(catalogue, tmp_path / "copy")) as opened:
        places = draw_map(opened).places
        files = [opened.recording(id_).files[0].path for id_ in range(1, len(places) + 1)]
    label = np.array([Path(path).parent.name for path in files])
    away = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = np.argsort(away, axis=1)[:, :5]
    # Eight clips of each of ten classes: chance is one in eleven.
    assert np.mean(label[nearest] == label[:, np.newaxis]) > 0.7

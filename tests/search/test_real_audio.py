"""The whole way on real recordings that the encoder never heard: from files to hits."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from search.engine import SearchEngine, by_description

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
    folder = tmp_path_factory.mktemp("fold")
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
    return folder / "catalogue"


def test_class_names_find_their_class_through_the_catalogue(catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        engine = SearchEngine(opened)
        right = {
            label: sum(
                Path(hit.recording.files[0].path).parent.name == label
                for hit in engine.by_words(words, k=5)
            )
            for label, words in QUERIES.items()
        }
    # Chance is half a clip in five; the encoder's own figures are in its model card.
    assert sum(right.values()) >= 0.8 * 5 * len(QUERIES), right


def test_labels_and_attributions_of_the_manifest_can_be_searched(catalogue: Path) -> None:
    with Catalogue.open(catalogue) as opened:
        hits = by_description(opened, "crying baby", k=20)
        assert len(hits) == 8
        said = hits[0].recording.files[0].description
    assert "crying baby" in said.tags
    assert "freesound.org" in said.extra["attribution"]

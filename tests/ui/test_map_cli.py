"""``echoic map``: draws once, tells of what came later, gives its points to other programs."""

import csv
import io
import json
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from tests.db.conftest import analysis
from tests.ui.running import within


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of five recordings."""
    folder = tmp_path / "catalogue"
    with Catalogue.open(folder, create=True) as made, CatalogueWriter(made) as writer:
        root = writer.add_collection("sounds", "/sounds").id
        writer.store([analysis(root, f"{number}.wav") for number in range(5)])
    return folder


def add(catalogue: Path, name: str) -> None:
    with Catalogue.open(catalogue) as opened, CatalogueWriter(opened) as writer:
        writer.store([analysis(opened.collections()[0].id, name)])


def test_a_map_is_drawn_once_and_new_recordings_find_their_place(catalogue: Path) -> None:
    out, _ = within("map", "--catalogue", catalogue)
    assert "holds 5 recordings" in out
    first = within("map", "--json", "--catalogue", catalogue)[0]
    add(catalogue, "later.wav")
    out, _ = within("map", "--catalogue", catalogue)
    assert "holds 5 recordings" in out
    assert "1 recording came later and lies beside" in out
    rows = json.loads(within("map", "--json", "--catalogue", catalogue)[0])
    assert rows[:5] == json.loads(first)
    assert [row["new"] for row in rows] == [False] * 5 + [True]
    assert rows[5]["path"] == "/sounds/later.wav"
    out, _ = within("map", "--anew", "--catalogue", catalogue)
    assert "holds 6 recordings" in out
    assert "came later" not in out


def test_points_are_given_as_csv(catalogue: Path) -> None:
    out, _ = within("map", "--csv", "--catalogue", catalogue)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows] == [f"/sounds/{number}.wav" for number in range(5)]
    assert all(0 <= float(row[axis]) <= 1 for row in rows for axis in "xy")


def test_the_page_is_told_how_far_it_is(catalogue: Path) -> None:
    out, _ = within("map", "--anew", "--events", "--catalogue", catalogue)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert {event["event"] for event in events} == {"drawing"}
    assert events[0] == {"event": "drawing", "doing": "Reading", "n_done": 5, "n_all": 5}


def test_what_cannot_be_drawn_is_said_in_a_sentence(catalogue: Path, tmp_path: Path) -> None:
    Catalogue.open(tmp_path / "empty", create=True).close()
    _, err = within("map", "--catalogue", tmp_path / "empty", code=2)
    assert "nothing has been indexed yet" in err
    _, err = within("map", "--encoder", "other", "--catalogue", catalogue, code=2)
    assert "it holds: test/1" in err
    _, err = within("map", "--csv", "--json", "--catalogue", catalogue, code=2)
    assert "not both" in err

"""Tags, taught sounds, saved searches and lists on the command line."""

import json
import shutil
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from indexer.encoders import DEFAULT_ENCODER
from indexer.pipeline import run
from indexer.plan import Wanted
from indexer.sources import folder_source
from tests.indexer.conftest import write_sound
from ui.cli import cli


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four ``sounds`` and their ``catalogue``."""
    folder = tmp_path_factory.mktemp("own-work")
    for number in range(4):
        write_sound(folder / "sounds" / f"tone-{number}.wav", seed=number, length_s=3.0)
    with Catalogue.open(folder / "catalogue", create=True) as made, CatalogueWriter(made) as writer:
        run(
            writer,
            [folder_source(writer, folder / "sounds")],
            Wanted((DEFAULT_ENCODER,), (), describe=False),
            n_workers=1,
            on_event=lambda event: None,
            stop=threading.Event(),
        )
    return folder


def echoic(home: Path, *arguments: str, code: int = 0) -> str:
    """Run a command within this process; return what it prints on standard output, or its error."""
    ran = CliRunner().invoke(cli, [*arguments, "--catalogue", str(home / "catalogue")])
    assert ran.exit_code == code, ran.output
    return ran.stdout if code == 0 else ran.output


def test_tags_are_made_listed_shown_and_forgotten(home: Path) -> None:
    said = echoic(home, "tag")
    assert "Compared 4 recordings" in said
    assert "Nothing to do" in echoic(home, "tag")
    (listed,) = json.loads(echoic(home, "tag", "--list", "--json"))
    assert (listed["name"], listed["n_recordings"]) == ("audioset", 4)
    (home / "mine.txt").write_text("a tone: a steady electronic tone\nrain\n")
    mine = json.loads(
        echoic(home, "tag", "--vocabulary", str(home / "mine.txt"), "--name", "m", "--json")
    )
    assert mine["n_recordings"] == 4
    assert "m: 4 recordings" in echoic(home, "tag", "--list")
    (shown,) = json.loads(echoic(home, "show", "1", "--json"))
    labels = [tag["label"] for tag in shown["heard"]]
    assert all(label in echoic(home, "show", "1") for label in labels)
    assert "Removed" in echoic(home, "tag", "--forget", "m")
    assert "audioset, m" not in echoic(home, "tag", "--forget", "m", code=2)
    echoic(home, "tag", "--forget", "audioset")
    assert "No tags yet" in echoic(home, "tag", "--list")


def test_a_sound_is_taught_searched_tagged_taught_again_and_forgotten(home: Path) -> None:
    clip = str(home / "sounds" / "tone-1.wav")
    said = echoic(home, "teach", "hum", "--like", clip, "--like", "#1@0-2", "--unlike", "3")
    assert "2 examples and 1 counter-example" in said
    (listed,) = json.loads(echoic(home, "teach", "--list", "--json"))
    assert [example["liked"] for example in listed["examples"]] == [True, True, False]
    assert listed["examples"][1]["to_s"] == 2.0
    hits = json.loads(echoic(home, "search", "sound:hum", "--weak", "--json"))["hits"]
    assert {hit["recording_id"] for hit in hits} <= {1, 2, 3, 4}
    assert "Compared 4 recordings" in echoic(home, "tag", "--taught")
    again = json.loads(echoic(home, "teach", "hum", "--json"))
    assert len(again["examples"]) == 3
    heard = json.loads(echoic(home, "search", "heard:hum", "--json"))["hits"]
    assert heard
    said = echoic(home, "teach", "hum", "--forget")
    assert said.startswith(f"Forgot the sound hum, and its tags of {len(heard)} recording")
    assert json.loads(echoic(home, "search", "heard:hum", "--json"))["hits"] == []
    assert "No sound has been taught yet" in echoic(home, "teach", "--list")
    assert "no sound 'hum' has been taught" in echoic(home, "search", "sound:hum", code=2)


def test_a_search_is_saved_run_asked_for_new_ones_and_removed(home: Path) -> None:
    assert "Saved tones: name:tone" in echoic(home, "saved", "add", "tones", "name:tone")
    assert "name:tone" in echoic(home, "saved", "list")
    hits = json.loads(echoic(home, "saved", "run", "tones", "--json", "--unfold"))["hits"]
    assert len(hits) == 4
    assert "Nothing new." in echoic(home, "saved", "run", "tones", "--new")
    assert json.loads(echoic(home, "saved", "run", "tones", "--new", "--json"))["hits"] == []
    assert "already a saved search" in echoic(home, "saved", "add", "tones", "x", code=2)
    assert "Renamed tones to beeps" in echoic(home, "saved", "rename", "tones", "beeps")
    assert "Removed beeps" in echoic(home, "saved", "remove", "beeps")
    assert "No saved searches yet" in echoic(home, "saved", "list")


def test_passages_are_put_into_lists_ordered_exported_and_removed(home: Path) -> None:
    said = echoic(home, "lists", "add", "best", "#1@0:01-0:02", "3", "--note", "good")
    assert "Added 2 passages to best" in said
    found = echoic(home, "lists", "add", "best", "3", "--query", "name:tone", "-k", "2")
    assert "in it already" in found
    shown = json.loads(echoic(home, "lists", "show", "best", "--json"))
    assert (shown[0]["onset_s"], shown[0]["offset_s"], shown[0]["note"]) == (1.0, 2.0, "good")
    assert shown[-1]["query"] == "name:tone"
    echoic(home, "lists", "move", "best", "2", "1")
    echoic(home, "lists", "rename", "best", "finest")
    echoic(home, "lists", "rename", "finest", "best")
    text = echoic(home, "lists", "show", "best")
    assert text.index("tone-2.wav") < text.index("0:01.0-0:02.0")
    kept = json.loads(echoic(home, "lists", "show", "best", "--json"))
    table = home / "best.csv"
    echoic(home, "lists", "export", "best", "--export", str(table))
    assert table.read_text("utf-8").count("\n") == len(shown) + 1
    lines = echoic(home, "lists", "export", "best", "--format", "jsonl").splitlines()
    scores = [json.loads(line)["score"] for line in lines]
    assert scores[:2] == [None, None]  # put there by hand
    assert None not in scores[2:]
    assert [json.loads(line)["note"] for line in lines] == [entry["note"] for entry in kept]
    assert "say where to" in echoic(home, "lists", "export", "best", code=2)
    assert "1 passage from best" in echoic(home, "lists", "remove", "best", "1")
    assert f"best: {len(shown) - 1} passage" in echoic(home, "lists", "show")
    echoic(home, "lists", "remove", "best")
    assert "No lists yet" in echoic(home, "lists", "show")


def test_a_note_that_is_no_text_is_refused(home: Path) -> None:
    words = ["lists", "add", "few", "#1", "--note", "caf\udce9"]
    ran = CliRunner().invoke(cli, [*words, "--catalogue", str(home / "catalogue")])
    assert ran.exit_code == 2
    assert "no text in UTF-8" in ran.stderr
    assert "No lists yet" in echoic(home, "lists", "show")


def test_adding_to_a_list_says_what_was_not_found_and_what_was_cut(home: Path) -> None:
    nothing = ("lists", "add", "few", "--query", "name:nowhere")
    said = "Nothing in this archive matches name:nowhere.\n"
    assert echoic(home, *nothing) == f"{said}Nothing was added to few.\n"
    assert "No lists yet" in echoic(home, "lists", "show")
    assert echoic(home, *nothing, "1") == f"{said}Added 1 passage to few.\n"
    words = ["lists", "add", "few", "#1@0:01-0:09", "#2@1-3.02", "#3@1-"]
    ran = CliRunner().invoke(cli, [*words, "--catalogue", str(home / "catalogue")])
    assert ran.stdout == "Added 3 passages to few.\n"
    assert ran.stderr == (
        "Note: #1@0:01-0:09 goes beyond the end of the recording: it is kept as 0:01.0-0:03.0.\n"
    )
    assert "3.0 s long" in echoic(home, "lists", "add", "few", "4", "#2@4-5", code=2)
    assert "few: 4 passages" in echoic(home, "lists", "show")
    echoic(home, "lists", "remove", "few")


def test_what_a_query_put_into_a_list_is_exported_under_its_name(home: Path) -> None:
    echoic(home, "lists", "add", "tones", "--query", "like:#3 name:tone-1")
    echoic(home, "lists", "add", "tones", "#2@1-2", "--note", "by hand")
    regions = echoic(home, "lists", "export", "tones", "--hit", "1", "--format", "reaper")
    assert regions.splitlines()[1].split(",")[1] == "like recording 3"
    regions = echoic(home, "lists", "export", "tones", "--hit", "2", "--format", "reaper")
    assert regions.splitlines()[1].split(",")[1] == "tone-1: by hand"
    echoic(home, "lists", "remove", "tones")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("teach",), "give a NAME"),
        (("teach", "a", "--unlike", "1"), "at least one example"),
        (("teach", "a", "--like", "#99"), "no recording 99"),
        (("teach", "a", "--like", "#1@9-3"), "ends before"),
        (("teach", "a"), "no sound 'a' has been taught"),
        (("tag", "--taught", "--list"), "choose one"),
        (("tag", "--name", "x"), "choose one"),
        (("tag", "--vocabulary", "nowhere.txt"), "cannot be read"),
        (("tag", "--taught"), "no sound has been taught"),
        (("saved", "run", "x"), "no saved search 'x'"),
        (("saved", "add", "x", "duration:long"), "duration"),
        (("lists", "add", "x"), "name passages"),
        (("lists", "add", "x", "clip.wav"), "by its number"),
        (("lists", "show", "x"), "no list 'x'"),
    ],
)
def test_mistakes_get_a_sentence(home: Path, arguments: tuple[str, ...], expected: str) -> None:
    assert expected in echoic(home, *arguments, code=2)


def test_a_list_of_recordings_that_are_gone_is_not_exported(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "catalogue", tmp_path / "catalogue")
    echoic(tmp_path, "lists", "add", "best", "1", "2", "3", "4")
    echoic(tmp_path, "forget", "4", "--yes")
    said = CliRunner().invoke(
        cli, ["lists", "export", "best", "--csv", "--catalogue", str(tmp_path / "catalogue")]
    )
    assert len(said.stdout.splitlines()) == 4  # with the names of the columns
    assert "left out: " in said.stderr
    for number in "123":
        echoic(tmp_path, "forget", number, "--yes")
    told = echoic(tmp_path, "lists", "export", "best", "--csv", code=2)
    assert "does not hold any more: 4 (" in told
    assert told.rstrip().endswith("make the list anew")


@pytest.mark.parametrize(("group", "expected"), [("lists", "No lists yet"), ("saved", "No saved")])
def test_a_group_alone_lists_what_there_is(group: str, expected: str, tmp_path: Path) -> None:
    with Catalogue.open(tmp_path / "catalogue", create=True):
        pass
    ran = CliRunner().invoke(cli, [group], env={"ECHOIC_CATALOGUE": str(tmp_path / "catalogue")})
    assert (ran.exit_code, ran.stdout.startswith(expected)) == (0, True)

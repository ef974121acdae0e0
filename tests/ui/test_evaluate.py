"""``echoic evaluate`` as its user sees it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.indexer.conftest import write_sound
from ui.cli import cli


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    for number in range(4):
        write_sound(tmp_path / "sounds" / f"{number}.wav", seed=number)
    table = tmp_path / "list.csv"
    table.write_text(
        "path,label,fold,caption\n"
        "0.wav,low tone,1,A low tone\n"
        "1.wav,low tone,2,A hum\n"
        "2.wav,high_tone,1,A beep\n"
        "3.wav,high_tone,2,\n"
    )
    return table


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_the_table_names_every_figure_with_interval_chance_and_ceiling(manifest: Path) -> None:
    said = run(manifest, "--root", manifest.parent / "sounds").stdout
    lines = said.splitlines()
    assert "4 clips with 2 labels, of 4 recordings" in lines[0]
    assert lines[1].split() == ["value", "95", "%", "interval", "chance", "ceiling"]
    assert "By words: 2 classes (plain), each looked for in 4 clips" in lines
    assert "Naming, zero-shot: 4 clips, 2 classes to choose from (plain)" in lines
    assert "By caption: 3 captions, each looked for in 4 clips" in lines
    precision = next(line for line in lines if line.lstrip().startswith("precision@10"))
    assert precision.split()[-1] == "0.100"
    assert any("--source-column" in line for line in lines)


def test_json_has_the_same_and_what_was_measured(manifest: Path) -> None:
    own = manifest.with_name("own.csv")
    own.write_text("label,prompt\nlow tone,a hum\nhigh tone,a beep\n")
    chosen = ["--root", manifest.parent / "sounds", "--where", "fold=1", "--gallery", "all"]
    found = json.loads(run(manifest, *chosen, "--prompts", own, "--json").stdout)
    assert (found["gallery"], found["where"]) == ("all", [["fold", "1"]])
    assert (found["n_clips"], found["n_searched"]) == (2, 4)
    tasks = {(task["name"], task["wording"]): task for task in found["tasks"]}
    assert set(tasks) == {
        ("text_to_audio", "plain"),
        ("text_to_audio", str(own)),
        ("zero_shot", "plain"),
        ("zero_shot", str(own)),
        ("by_example", ""),
        ("captions", ""),
    }
    figure = tasks["text_to_audio", "plain"]["figures"]["recall_at_1"]
    assert set(figure) == {"value", "low", "high", "chance", "ceiling", "drawn"}
    assert figure["drawn"] == "classes"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--root"),
        (["--where", "fold"], "COLUMN=VALUE"),
        (["--encoder", "nonsense"], "--root"),
        (["--gallery", "some"], "'same', 'all'"),
    ],
)
def test_mistakes_get_a_sentence(manifest: Path, arguments: list[str], said: str) -> None:
    found = run(manifest, *arguments)
    assert found.exit_code == 2
    assert said in found.output


def test_an_unknown_encoder_is_named(manifest: Path) -> None:
    found = run(manifest, "--root", manifest.parent / "sounds", "--encoder", "nonsense")
    assert found.exit_code == 2
    assert "no encoder 'nonsense'" in found.output

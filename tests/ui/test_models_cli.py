"""``echoic models`` as a user meets it: the real command, asking a hub on this machine."""

import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from indexer.encoders.packages import CONTENTS, package_folder, write_package
from tests.indexer.conftest import write_sound
from tests.indexer.encoders.hub_server import HubServer, serving, sha256
from ui.cli import cli
from ui.commands.models import models

PROJECT = Path(__file__).resolve().parents[2]
AUDIO, TEXT = "onnx/audio_model.onnx", "onnx/text_model.onnx"
FP32 = "laion-clap/htsat-unfused"


@pytest.fixture(scope="module")
def towers() -> dict[str, bytes]:
    """What stands for the towers: their hashes are the hub's to say."""
    return {AUDIO: random.Random(3).randbytes(2_000_000), TEXT: random.Random(4).randbytes(500_000)}


@pytest.fixture
def hub(towers: dict[str, bytes], real_audio: Path) -> Iterator[HubServer]:
    """A hub with the real tokenizer, whose hash Echoic knows."""
    tokenizer = real_audio.parent / "clap-reference" / "tokenizer.json"
    if not tokenizer.is_file():
        pytest.skip(f"no tokenizer of LAION-CLAP at {tokenizer}")
    with serving({**towers, "tokenizer.json": tokenizer.read_bytes()}) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where models are installed; there is no catalogue yet."""
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "catalogue"))
    return tmp_path / "models"


def start(folder: Path, hub: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ui", "models", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_HOME": str(folder.parent / "hf"),
            "HF_ENDPOINT": hub,
        },
        **options,
    )


def within(*arguments: str, code: int = 0, answer: str | None = None) -> str:
    """Run a command within this process; return all that it says."""
    ran = CliRunner().invoke(cli, arguments, input=answer, prog_name="echoic")
    assert ran.exit_code == code, f"exit code {ran.exit_code}\n{ran.output}\n{ran.exception!r}"
    return ran.output


def run(folder: Path, hub: str, *arguments: str, code: int = 0, **options: Any) -> tuple[str, str]:
    process = start(folder, hub, *arguments, **options)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in err
    return out, err


def parts(folder: Path) -> list[Path]:
    return list((folder / ".unfinished").rglob("*.part"))


def test_a_model_is_installed_listed_checked_and_removed(
    hub: HubServer, towers: dict[str, bytes], folder: Path
) -> None:
    said, told = run(folder, hub.url, "install", "laion-clap")
    for data in towers.values():
        assert f"SHA-256 {sha256(data)} (as the hub tells it for this revision)" in said
    assert "(known to Echoic)" in said
    assert f"by way of {hub.url}" in said
    assert f"echoic index --encoder {FP32}" in said
    assert f"downloading {AUDIO}: 100 %" in told
    assert not (folder.parent / "hf").exists()  # no second copy in the hub's own cache
    assert parts(folder) == []

    listed = json.loads(within("models", "--json"))
    assert listed["folder"] == str(folder)
    states = {model["id"]: model for model in listed["models"]}
    assert states[FP32]["state"] == "installed"
    assert states[FP32]["size_bytes"] == 2_500_000 + 2_108_774
    assert states[FP32]["licence"] == "Apache-2.0"
    assert states[FP32]["source"]["endpoint"] == hub.url
    assert f"from {hub.url}/Xenova" in within("models")
    assert states["echoic-mini/2"]["state"] == "bundled"
    assert states[f"{FP32}-int8"]["state"] == "available"

    assert f"{FP32}: whole" in within("models", "check")
    with (folder / FP32 / "audio.onnx").open("r+b") as file:
        file.write(b"bitten by a disk")
    assert "audio.onnx is damaged" in within("models", "check", "laion-clap", code=1)

    assert f"Removed {FP32}" in within("models", "remove", "laion-clap", "--yes")
    assert not (folder / FP32).exists()


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_install_goes_on_where_it_stopped(
    hub: HubServer, towers: dict[str, bytes], folder: Path
) -> None:
    hub.pause_s = 0.2  # six seconds for the whole, so that a busy machine is in time
    # A shell has what it runs in the background ignore Ctrl-C, and so its children.
    process = start(folder, hub.url, "install", "laion-clap", preexec_fn=heed_interrupts)
    end = time.monotonic() + 30
    while time.monotonic() < end and sum(part.stat().st_size for part in parts(folder)) < 300_000:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command again to go on." in told
    (part,) = parts(folder)
    n_came = part.stat().st_size
    assert 300_000 <= n_came < len(towers[AUDIO])
    assert "unfinished" in within("models")
    assert "unfinished: `echoic models install" in within("models", "check", FP32, code=1)

    hub.pause_s = 0.0
    hub.asked.clear()
    run(folder, hub.url, "install", "laion-clap")
    assert hub.ranges() == [f"bytes={n_came}-", None, None]
    assert (folder / FP32 / "audio.onnx").read_bytes() == towers[AUDIO]
    assert parts(folder) == []


def test_a_limit_on_the_size_of_files_is_said_and_nothing_that_came_is_lost(
    hub: HubServer, towers: dict[str, bytes], folder: Path
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    _, told = run(folder, hub.url, "install", "laion-clap", code=2, preexec_fn=limited)
    assert "no file so large can be written to" in told
    assert "ulimit -f" in told
    (part,) = parts(folder)
    assert 900_000 < part.stat().st_size <= 1_000_000
    run(folder, hub.url, "install", "laion-clap")
    assert (folder / FP32 / "audio.onnx").read_bytes() == towers[AUDIO]


def test_light_towers_that_are_not_the_published_ones_are_refused(
    hub: HubServer, towers: dict[str, bytes], folder: Path
) -> None:
    hub.files["onnx/audio_model_quantized.onnx"] = towers[AUDIO]
    _, told = run(folder, hub.url, "install", "laion-clap", "--light", code=2)
    assert "is not the file that Echoic knows" in told
    assert "3fcff2c8824e7bcb83a983f2a49edab3b60cbcf4872ac70efee517355173bd1f" in told
    assert hub.ranges() == []


def test_offline_the_message_says_what_to_bring_and_the_command_takes_it(
    hub: HubServer, folder: Path
) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}"
        _, told = run(folder, closed, "install", "laion-clap", code=2)
    assert f"{closed} cannot be reached" in told
    addresses = [line.strip() for line in told.splitlines() if line.startswith("  https://")]
    brought = folder.parent / "brought"
    brought.mkdir()
    for address in addresses:  # as a person would, on another machine
        path = address.partition("/c28f2883575e590e04d3146ff0713c2448d691ba/")[2]
        (brought / Path(path).name).write_bytes(hub.files[path])
    said, _ = run(folder, closed, "install", "laion-clap", "--from", str(brought))
    assert "could not be checked" in said
    assert f"{FP32}: whole" in within("models", "check", FP32)


def test_the_wish_to_stay_offline_is_kept(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ui", "models", "install", "laion-clap", "--light"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "ECHOIC_MODELS": str(folder), "HF_HUB_OFFLINE": "1"},
    )
    assert ran.returncode == 2
    assert "HF_HUB_OFFLINE is set" in ran.stderr
    assert "audio_model_quantized.onnx" in ran.stderr
    assert "echoic models install laion-clap --light --from FOLDER" in ran.stderr


@pytest.mark.parametrize("name", sorted(models.commands))
def test_every_command_of_models_explains_itself(name: str) -> None:
    said = CliRunner().invoke(cli, ["models", name, "--help"]).output
    assert "Usage: cli models" in said
    assert len(said.split("Options:")[0].split()) > 8


@pytest.mark.parametrize("option", [["--json"], ["--catalogue", "elsewhere"]])
def test_an_option_of_the_list_is_not_passed_over_before_another_command(
    folder: Path, option: list[str]
) -> None:
    said = within("models", *option, "check", code=2)
    assert f"write {option[0]} after check" in said


@pytest.fixture
def catalogue(folder: Path) -> Path:
    """A catalogue of one sound; a model is installed that has not embedded it."""
    sounds = folder.parent / "sounds"
    write_sound(sounds / "bell.wav")
    within("index", str(sounds), "--workers", "1")

    def fill(package: Path) -> None:
        for name in CONTENTS:
            (package / name).write_bytes(b"x")

    source = {"kind": "test"}
    write_package(FP32, fill, licence="Apache-2.0", source=source, precision="fp32")
    return folder.parent / "catalogue"


def test_the_default_of_a_catalogue_is_chosen_among_what_it_holds(catalogue: Path) -> None:
    assert "echoic-mini/2 answers for" in within("models", "default", "echoic-mini")
    assert "echoic-mini/2 answers for" in within("models", "default")
    assert "default of this catalogue" in within("models").splitlines()[0]
    refused = within("models", "default", "laion-clap", code=2)
    assert f"holds no vectors by {FP32}" in refused
    assert f"echoic index --encoder {FP32}" in refused
    with sqlite3.connect(catalogue / "catalogue.sqlite") as connection:
        connection.execute(
            "UPDATE catalogue_info SET value = 'gone/1' WHERE key = 'default_encoder'"
        )
    listed = within("models")
    assert "there is no encoder 'gone/1'" in listed
    assert "[default of this catalogue]" not in listed
    assert "echoic-mini/2 answers for" in within("models", "default", "--unset")


def test_removing_a_model_asks_and_says_what_will_be_missed(catalogue: Path) -> None:
    with sqlite3.connect(catalogue / "catalogue.sqlite") as connection:
        connection.execute("UPDATE encoders SET name = ?", [FP32])
    said = within("models", "remove", "laion-clap", code=1, answer="n\n")
    assert f"{catalogue} holds vectors of 1 recording by it" in said
    assert package_folder(FP32).is_dir()
    within("models", "remove", "laion-clap", answer="y\n")
    assert not package_folder(FP32).exists()
    assert "comes with Echoic" in within("models", "remove", "echoic-mini", code=2)
    assert "there is no model 'laion-clap' here" in within("models", "remove", "laion-clap", code=2)

"""Every command in the documents is run as its reader would run it."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from search.export_duplicates import PAIR_COLUMNS
from search.export_matches import MATCH_COLUMNS
from tests.indexer.conftest import write_sound
from tests.ui.running import PROJECT, within
from ui.cli import cli

DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


def documented_commands() -> list[str]:
    """Return every line in a shell block of the documents that begins with ``echoic``."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            lines = (line.split("#")[0].strip() for line in block.splitlines())
            found += [line for line in lines if line.startswith("echoic ")]
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with what the documents speak of: sounds, a clip, a list, a folder that moved."""
    folder = tmp_path_factory.mktemp("home")
    for number, name in enumerate(["bell.wav", "dog.flac", "tape 17.ogg"]):
        write_sound(folder / "sounds" / name, seed=number, length_s=3.0)
    shutil.copytree(folder / "sounds", folder / "moved")
    write_sound(folder / "clip.wav", seed=7, length_s=20.0)
    (folder / "list.csv").write_text("path,title\nbell.wav,A bell\n")
    (folder / "labelled.csv").write_text(
        "path,label,fold,caption\n"
        "sounds/bell.wav,bell,1,A bell rings\n"
        "sounds/dog.flac,dog,1,A dog barks\n"
        "clip.wav,bell,2,Another bell\n"
    )
    (folder / "prompts.csv").write_text("label,prompt\nbell,a bell ringing\ndog,a dog barking\n")
    return folder


def test_the_commands_of_the_documents_do_what_they_say(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    commands = documented_commands()
    assert len(commands) > 10
    for line in commands:
        words = [word.replace("~", str(home)) for word in shlex.split(line)[1:]]
        if words[0] in ("watch", "serve", "ui") or (words[0] == "fetch" and len(words) > 1):
            continue  # they run until they are stopped; the last downloads hundreds of megabytes
        if any(word.startswith("laion-clap") for word in words) or words[1:2] == ["convert"]:
            continue  # downloads hundreds of megabytes, or needs what has been downloaded
        try:
            out, err = within(*words, HOME=str(home), ECHOIC_CATALOGUE="")
        except AssertionError as error:
            raise AssertionError(line) from error
        # An export of no hits is empty, and says so on the other channel.
        assert out or err, line


def test_every_command_is_documented() -> None:
    assert set(cli.commands) <= {line.split()[1] for line in documented_commands()}


def test_every_column_of_fingerprint_tables_is_documented() -> None:
    page = (PROJECT / "docs" / "fingerprint.md").read_text(encoding="utf-8")
    fields = page.split("## What JSON and CSV hold")[1].split("\n## ")[0]
    tables = re.split(r"\| field \| of `(?:identify|duplicates)` \|", fields)[1:]
    for table, columns in zip(tables, (MATCH_COLUMNS, PAIR_COLUMNS), strict=True):
        first_cells = "".join(line.split("|")[1] for line in table.splitlines() if line[:1] == "|")
        assert set(re.findall(r"`(\w+)`", first_cells)) == set(columns)


def test_every_key_of_fingerprint_json_is_documented(home: Path, tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "fingerprint.md").read_text(encoding="utf-8")
    fields = page.split("## What JSON and CSV hold")[1].split("\n## ")[0]
    documented = set(re.findall(r"`(\w+)`", fields))
    archive = ["--catalogue", str(tmp_path / "catalogue")]
    within("index", str(home / "sounds"), *archive)
    # Again under another name and in another format: a match, a copy, and the same bytes twice.
    copies = tmp_path / "copies"
    for name in "bell.wav", "dog.flac":
        samples, sr = soundfile.read(home / "sounds" / name)
        copies.mkdir(exist_ok=True)
        soundfile.write(copies / f"{name}.ogg", samples, sr)
    shutil.copy(home / "sounds" / "bell.wav", copies / "again.wav")
    within("index", str(copies), *archive)
    for command in ("identify", str(copies)), ("duplicates",):
        values = json.loads(within(*command, "--json", *archive)[0])
        keys = set(keys_of(values))
        assert len(keys) > 15
        assert keys <= documented


def keys_of(values: object) -> Iterator[str]:
    """Yield the keys of what JSON holds, however deep."""
    if isinstance(values, dict):
        yield from values
        values = list(values.values())
    if isinstance(values, list):
        for each in values:
            yield from keys_of(each)


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"

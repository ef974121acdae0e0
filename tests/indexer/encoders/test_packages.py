"""Folders of installed models: whole or not at all, found by name, checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from indexer.encoders import encoder_id, known_encoders, load_encoder
from indexer.encoders.inventory import inventory
from indexer.encoders.packages import (
    CONTENTS,
    ModelPackage,
    check_package,
    damaged,
    installed,
    models_folder,
    package_folder,
    read_package,
    remove_package,
    sha256_of,
    size_faults,
    write_package,
)
from indexer.errors import EncoderError

SMALL = "laion-clap/small"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def fill(folder: Path) -> None:
    for name in CONTENTS:
        (folder / name).write_bytes(name.encode() * 10)


def install(id_: str = SMALL) -> ModelPackage:
    return write_package(
        id_, fill, licence="Apache-2.0", source={"kind": "test"}, precision="fp32", dim=16
    )


def test_a_written_package_is_read_back_as_it_was(folder: Path) -> None:
    package = install()
    assert package.folder == folder / "laion-clap" / "small" == package_folder(SMALL)
    assert (package.id, package.dim, package.source) == (SMALL, 16, {"kind": "test"})
    audio = package.files["audio.onnx"]
    assert (audio.size_bytes, audio.sha256) == (100, sha256_of(package.folder / "audio.onnx"))
    assert installed() == [package] == [read_package(package.folder)]
    assert check_package(package) == damaged() == []


def test_the_folder_of_models_is_the_users_unless_another_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models_folder() == folder
    monkeypatch.delenv("ECHOIC_MODELS")
    assert models_folder().name == "models"
    assert models_folder().parent.name == "echoic"


def test_a_package_that_could_not_be_filled_leaves_nothing(folder: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "audio.onnx").write_bytes(b"x")

    def interrupted(folder: Path) -> None:
        half(folder)
        raise KeyboardInterrupt

    for wrong, error in ((half, EncoderError), (interrupted, KeyboardInterrupt)):
        with pytest.raises(error):
            write_package(SMALL, wrong, licence="", source={}, precision="fp32")
        assert installed() == []
        assert [path.name for path in (folder / "laion-clap").iterdir()] == [".small.lock"]


def test_what_a_killed_process_left_goes_with_the_next_installation(folder: Path) -> None:
    script = (
        "import os, signal\n"
        "from indexer.encoders.packages import write_package\n"
        f"write_package({SMALL!r}, lambda folder: os.kill(os.getpid(), signal.SIGKILL),"
        " licence='', source={}, precision='fp32')"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    (left,) = (folder / "laion-clap").glob(".small~*")
    assert installed() == []
    other = folder / "laion-clap" / ".small-int8~1"
    other.mkdir()
    package = install()
    assert not left.exists()
    assert other.exists()  # that of another model, which may be in the making
    assert installed() == [package]


def test_an_id_that_is_installed_is_not_written_over() -> None:
    package = install()
    with pytest.raises(EncoderError, match=r"installed already.*models remove"):
        install()
    assert check_package(package) == []


def test_two_processes_do_not_install_the_same_model(folder: Path) -> None:
    (folder / "laion-clap").mkdir(parents=True)
    with (
        FileLock(folder / "laion-clap" / ".small.lock"),
        pytest.raises(EncoderError, match="another process"),
    ):
        install()


@pytest.mark.parametrize("wrong", ["laion-clap", "../x", "laion-clap/../x", "a/b/c", "a/.b", ""])
def test_ids_that_would_lead_elsewhere_are_refused(wrong: str) -> None:
    with pytest.raises(EncoderError, match="family/version"):
        package_folder(wrong)


def test_missing_changed_and_damaged_files_are_named() -> None:
    package = install()
    (package.folder / "audio.onnx").unlink()
    (package.folder / "text.onnx").write_bytes(b"short")
    content = bytearray((package.folder / "tokenizer.json").read_bytes())
    content[3] ^= 1
    (package.folder / "tokenizer.json").write_bytes(content)
    assert [fault.split()[0] for fault in size_faults(package)] == ["audio.onnx", "text.onnx"]
    missing, short, changed = check_package(package)
    assert "missing" in missing
    assert "5 bytes, not 90" in short
    assert "SHA-256" in changed


def test_unreadable_packages_are_named_and_the_others_found() -> None:
    good = install()
    for version, text in {
        "none": "{",
        "list": "[]",
        "newer": json.dumps({"format": 2}),
        "moved": (good.folder / "model.json").read_text(),
        "poor": json.dumps({"format": 1, "id": "laion-clap/poor"}),
    }.items():
        package_folder(f"laion-clap/{version}").mkdir()
        (package_folder(f"laion-clap/{version}") / "model.json").write_text(text)
    assert installed() == [good]
    faults = {folder.name: str(fault) for folder, fault in damaged()}
    states = {model.id: model.state for model in inventory()}
    assert states["laion-clap/newer"] == "newer"
    assert states["laion-clap/poor"] == "damaged"
    assert sorted(faults) == ["list", "moved", "newer", "none", "poor"]
    assert "install a newer Echoic" in faults["newer"]
    assert "does not belong" in faults["moved"]
    assert "sample_rate" in faults["poor"]
    with pytest.raises(EncoderError, match="sample_rate"):
        load_encoder("laion-clap/poor")


def test_unknown_keys_are_for_a_newer_echoic() -> None:
    package = install()
    path = package.folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))
    assert installed() == [package]


def test_a_removed_package_is_gone_and_cannot_be_removed_twice(folder: Path) -> None:
    install()
    remove_package(SMALL)
    assert installed() == []
    assert [path.name for path in (folder / "laion-clap").iterdir()] == [".small.lock"]
    with pytest.raises(EncoderError, match="no model laion-clap/small"):
        remove_package(SMALL)


def test_the_name_of_a_family_means_the_published_one_or_the_only_one() -> None:
    with pytest.raises(EncoderError, match="echoic models install laion-clap"):
        encoder_id("laion-clap")
    install()
    assert encoder_id("laion-clap") == SMALL
    install("laion-clap/other")
    with pytest.raises(EncoderError, match=r"laion-clap/other, laion-clap/small"):
        encoder_id("laion-clap")
    install("laion-clap/htsat-unfused")
    assert encoder_id("laion-clap") == "laion-clap/htsat-unfused"
    assert encoder_id(SMALL) == SMALL
    assert known_encoders() == (
        "echoic-mini/2",
        "laion-clap/htsat-unfused",
        "laion-clap/other",
        SMALL,
    )


def test_the_name_of_a_family_means_the_one_that_a_catalogue_holds() -> None:
    full, light, other = (f"laion-clap/{name}" for name in ("htsat-unfused", "light", "other"))
    for id_ in (full, light, other):
        install(id_)
    assert encoder_id("laion-clap", [light, "echoic-mini/2"]) == light
    assert encoder_id("laion-clap", [light, full]) == full
    assert encoder_id("laion-clap", ["laion-clap/gone", "echoic-mini/2"]) == full
    assert encoder_id(other, [light]) == other
    with pytest.raises(EncoderError, match=f"name one of {light}, {other}$"):
        encoder_id("laion-clap", [light, other])


def test_a_folder_that_cannot_be_written_to_is_named(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(EncoderError, match="ECHOIC_MODELS"):
        install()

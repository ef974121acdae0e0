"""Packages from a hub on this machine, and from a folder."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from indexer.encoders import load_encoder
from indexer.encoders.hub import HubFile
from indexer.encoders.installing import forget_unfinished, install, install_from, unfinished
from indexer.encoders.inventory import check_models, id_here, inventory
from indexer.encoders.packages import (
    ModelPackage,
    check_package,
    installed,
    models_folder,
    package_folder,
)
from indexer.encoders.published import (
    AVAILABLE,
    PublishedFile,
    PublishedPackage,
    find_published,
)
from indexer.errors import EncoderError
from indexer.fetch import Progress
from tests.indexer.encoders.clap_package import TINY, install_tiny
from tests.indexer.encoders.hub_server import (
    REPOSITORY,
    REVISION,
    HubServer,
    serving,
    sha256,
)

AUDIO, TEXT, TOKENIZER = "onnx/audio_model.onnx", "onnx/text_model.onnx", "tokenizer.json"
FILES = {
    AUDIO: random.Random(1).randbytes(700_001),
    TEXT: random.Random(2).randbytes(300_000),
    TOKENIZER: b'{"tokens": []}',
}


def package_of(pinned: tuple[str, ...]) -> PublishedPackage:
    def of(path: str) -> PublishedFile:
        data = FILES[path]
        return PublishedFile(path, len(data), sha256(data) if path in pinned else None)

    return PublishedPackage(
        id="laion-clap/test",
        repository=REPOSITORY,
        revision=REVISION,
        precision="fp32",
        licence="Apache-2.0",
        files={"audio.onnx": of(AUDIO), "text.onnx": of(TEXT), "tokenizer.json": of(TOKENIZER)},
    )


TOLD = package_of((TOKENIZER,))  # the hub says the hashes of the towers
PINNED = package_of((AUDIO, TEXT, TOKENIZER))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving(dict(FILES)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "models"))
        yield server


def silent(what: str, done: int, of: int | None) -> None:
    pass


def bring(
    published: PublishedPackage = TOLD, *, progress: Progress = silent
) -> tuple[ModelPackage, list[HubFile]]:
    announced: list[HubFile] = []
    package = install(published, announce=announced.extend, progress=progress)
    return package, announced


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_a_package_is_brought_checked_and_leaves_nothing_else(
    hub: HubServer, tmp_path: Path
) -> None:
    package, announced = bring()
    assert check_package(package) == []
    assert installed() == [package]
    assert package.source == {
        "kind": "huggingface",
        "repository": REPOSITORY,
        "revision": REVISION,
        "endpoint": hub.url,  # not the hub's own
    }
    files = held(tmp_path / "models")
    assert files.pop("laion-clap/test/model.json")
    assert files == {
        "laion-clap/test/audio.onnx": FILES[AUDIO],
        "laion-clap/test/text.onnx": FILES[TEXT],
        "laion-clap/test/tokenizer.json": FILES[TOKENIZER],
    }
    hashes = {name: file.sha256 for name, file in package.files.items()}
    assert {file.name: file.sha256 for file in announced} == hashes
    assert [file.is_pinned for file in announced] == [False, False, True]


def test_requests_name_the_revision_and_say_nothing_of_the_user(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    bring()
    assert {request.authorization for request in hub.asked} == {None}
    agents = {request.user_agent for request in hub.asked}
    assert len(agents) == 1
    assert agents.pop().startswith("echoic/")
    to_hub = [request.path for request in hub.asked if not request.path.startswith("/cdn/")]
    assert all(f"/{REPOSITORY}/resolve/{REVISION}/" in path for path in to_hub)


def test_an_installed_package_is_not_asked_for_again(hub: HubServer) -> None:
    bring()
    hub.asked.clear()
    with pytest.raises(EncoderError, match="installed already"):
        bring()
    assert hub.asked == []


def test_a_broken_connection_is_gone_on_with_at_once(hub: HubServer) -> None:
    hub.breaks_after = 200_000
    package, _ = bring()
    assert check_package(package) == []
    ranges = hub.ranges()
    assert len(ranges) == 3
    assert ranges[1] is not None
    assert 200_000 - 65_536 <= int(ranges[1].removeprefix("bytes=").rstrip("-")) <= 200_000


def test_what_came_before_the_hub_was_gone_is_not_brought_again(hub: HubServer) -> None:
    hub.breaks_after, hub.then_gone = 400_000, True
    with pytest.raises(EncoderError, match=r"cannot be reached.*goes on where it stopped"):
        bring()
    assert installed() == []
    (part,) = unfinished()
    assert part.id == TOLD.id
    assert 400_000 - 65_536 <= part.size_bytes <= 400_000
    hub.then_gone, hub.breaks_after = False, None
    hub.asked.clear()
    package, _ = bring()
    assert check_package(package) == []
    assert hub.ranges()[0] == f"bytes={part.size_bytes}-"
    assert unfinished() == []


def test_a_hub_that_gives_no_parts_is_asked_for_the_whole(hub: HubServer) -> None:
    hub.breaks_after, hub.with_ranges = 200_000, False
    package, _ = bring()
    assert check_package(package) == []


@pytest.mark.parametrize("published", [TOLD, PINNED])
def test_other_bytes_than_the_hash_says_are_refused_and_removed(
    published: PublishedPackage, hub: HubServer, tmp_path: Path
) -> None:
    hub.instead[AUDIO] = bytes(len(FILES[AUDIO]))
    wrong = sha256(hub.instead[AUDIO])
    with pytest.raises(EncoderError, match=f"{wrong}, not {sha256(FILES[AUDIO])}"):
        bring(published)
    assert installed() == unfinished_bytes() == []
    hub.instead.clear()
    package, _ = bring(published)
    assert check_package(package) == []


def unfinished_bytes() -> list[int]:
    return [part.size_bytes for part in unfinished() if part.size_bytes]


def test_a_hub_that_tells_another_hash_than_the_known_one_is_asked_for_nothing(
    hub: HubServer,
) -> None:
    hub.files[AUDIO] = bytes(len(FILES[AUDIO]))
    with pytest.raises(EncoderError, match="is not the file that Echoic knows"):
        bring(PINNED)
    assert hub.ranges() == []


def test_a_hash_that_nobody_tells_is_an_error_unless_it_is_known(hub: HubServer) -> None:
    hub.tells_hashes = False
    with pytest.raises(EncoderError, match=r"no SHA-256 is told for onnx/audio_model\.onnx"):
        bring(TOLD)
    assert hub.ranges() == []
    package, _ = bring(PINNED)
    assert check_package(package) == []


def test_another_revision_than_the_one_asked_for_is_refused(hub: HubServer) -> None:
    hub.revision = "0" * 40
    with pytest.raises(EncoderError, match=f"in revision {'0' * 40}, not in {REVISION}"):
        bring()
    assert hub.ranges() == []


def test_a_revision_that_is_not_told_is_refused_unless_the_hash_is_known(hub: HubServer) -> None:
    hub.revision = None
    with pytest.raises(EncoderError, match=r"audio_model\.onnx .* offered without its revision"):
        bring(TOLD)
    assert hub.ranges() == []
    package, _ = bring(PINNED)
    assert check_package(package) == []


def test_more_bytes_than_the_file_has_are_not_taken(hub: HubServer) -> None:
    hub.instead[AUDIO] = FILES[AUDIO] * 2
    with pytest.raises(EncoderError, match="sends more than the 700,001 bytes"):
        bring()
    assert sum(unfinished_bytes()) <= len(FILES[AUDIO])


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_what_the_hub_answers_is_said_with_the_way_out(hub: HubServer, status: int) -> None:
    hub.status = status
    with pytest.raises(EncoderError, match=f"answers {status} when asked for") as raised:
        bring()
    for name in TOLD.files:
        assert TOLD.address(name) in str(raised.value)
    assert "echoic models install laion-clap --from FOLDER" in str(raised.value)


def test_no_download_begins_that_the_disk_cannot_hold(hub: HubServer) -> None:
    hub.told_size = 10**16
    with pytest.raises(EncoderError, match=r"20,000,000,001\.0 MB are needed in .* are free"):
        bring()
    assert hub.ranges() == []


def test_parts_that_had_to_be_moved_are_there_again_if_the_package_does_not_come_about(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(self: Path, target: Path) -> None:  # as on a disk of FAT
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    place = package_folder(TOLD.id)

    def occupy(what: str, done: int, of: int | None) -> None:
        if what == f"checking {TOKENIZER}":  # the last that is done before the parts are moved
            (place / "in the way").mkdir(parents=True)

    with pytest.raises(EncoderError, match="cannot be written to"):
        bring(progress=occupy)
    assert sum(unfinished_bytes()) == sum(map(len, FILES.values()))
    shutil.rmtree(place)
    hub.asked.clear()
    package, _ = bring()
    assert check_package(package) == []
    assert hub.ranges() == []
    assert unfinished() == []


@pytest.fixture
def small_disk(hub: HubServer) -> Iterator[Path]:
    """A disk of 3 MB for the models."""
    models_folder().mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(models_folder())]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: that takes root on Linux")
    yield models_folder()
    subprocess.run(["umount", str(models_folder())], check=True)


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(
    hub: HubServer, small_disk: Path
) -> None:
    filler = small_disk / "another's"

    def fill_up(what: str, done: int, of: int | None) -> None:
        if not filler.exists():
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 400_000))

    with pytest.raises(EncoderError, match=r"there is no room left in .*No space left"):
        bring(progress=fill_up)
    (came,) = unfinished_bytes()
    assert 300_000 < came < len(FILES[AUDIO])
    filler.unlink()
    package, _ = bring()
    assert check_package(package) == []


def test_what_the_hub_has_embeds_as_what_was_published(hub: HubServer) -> None:
    original = install_tiny()
    paths = {"audio.onnx": AUDIO, "text.onnx": TEXT, "tokenizer.json": TOKENIZER}
    hub.files = {path: (original.folder / name).read_bytes() for name, path in paths.items()}
    files = {name: PublishedFile(path, len(hub.files[path])) for name, path in paths.items()}
    package, _ = bring(replace(TOLD, files=files))
    ours, theirs = load_encoder(package.id), load_encoder(TINY)
    window = np.sin(np.arange(480_000, dtype=np.float32) / 20)[None]
    np.testing.assert_array_equal(ours.embed_audio(window), theirs.embed_audio(window))
    np.testing.assert_array_equal(ours.embed_text(["rain"]), theirs.embed_text(["rain"]))
    assert float(np.linalg.norm(ours.embed_text(["rain"])[0])) == pytest.approx(1.0, abs=1e-5)


def test_an_unfinished_download_is_listed_and_can_be_forgotten(hub: HubServer) -> None:
    real = AVAILABLE[0]
    hub.files[TOKENIZER] = b"another"
    with pytest.raises(EncoderError, match="did not bring the file that is meant"):
        bring(real)
    begun = {model.id: model.size_bytes for model in inventory() if model.state == "unfinished"}
    assert begun == {real.id: len(FILES[AUDIO]) + len(FILES[TEXT])}
    assert id_here("laion-clap") == real.id
    assert check_models(real.id) == {
        real.id: [f"unfinished: `echoic models install {real.id}` goes on"]
    }
    assert real.id not in check_models()
    place = package_folder(real.id)
    with (
        FileLock(place.with_name(f".{place.name}.lock")),
        pytest.raises(EncoderError, match="another process is installing"),
    ):
        forget_unfinished(real.id)
    assert sum(unfinished_bytes()) == begun[real.id]
    forget_unfinished(real.id)
    assert "unfinished" not in {model.state for model in inventory()}


def fill(folder: Path, *, flat: bool = False, files: dict[str, bytes] | None = None) -> Path:
    for path, data in (files or FILES).items():
        place = folder / (Path(path).name if flat else path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def take(source: Path, published: PublishedPackage = TOLD) -> ModelPackage:
    return install_from(published, source, progress=silent)


@pytest.mark.parametrize("flat", [False, True])
def test_files_brought_by_hand_are_taken_from_where_they_are(
    flat: bool, hub: HubServer, tmp_path: Path
) -> None:
    source = fill(tmp_path / "brought", flat=flat)
    package = take(source)
    assert check_package(package) == []
    assert package.source["folder"] == str(source)
    assert {path.read_bytes() for path in source.rglob("*.*")} == set(FILES.values())
    assert hub.asked == []


def test_files_brought_by_hand_end_the_download_that_was_begun(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.breaks_after, hub.then_gone = 400_000, True
    with pytest.raises(EncoderError, match="goes on where it stopped"):
        bring()
    assert unfinished_bytes()
    take(fill(tmp_path / "brought"))
    assert unfinished() == []


def test_a_file_that_is_lacking_is_named_with_its_address(hub: HubServer, tmp_path: Path) -> None:
    source = fill(tmp_path / "brought")
    (source / TEXT).unlink()
    with pytest.raises(EncoderError, match=TEXT) as raised:
        take(source)
    assert TOLD.address("text.onnx") in str(raised.value)


def test_a_folder_with_the_light_files_says_so(hub: HubServer, tmp_path: Path) -> None:
    light = find_published("laion-clap", light=True)
    source = fill(tmp_path / "brought", files={f.path: b"" for f in light.files.values()})
    with pytest.raises(EncoderError, match=f"echoic models install {light.id} --from"):
        take(source)


def test_a_file_brought_by_hand_with_another_hash_is_refused(
    hub: HubServer, tmp_path: Path
) -> None:
    source = fill(tmp_path / "brought", files={**FILES, AUDIO: b"something else"})
    with pytest.raises(EncoderError, match=r"audio_model\.onnx is not the file that is published"):
        take(source, PINNED)
    assert installed() == []
    package = take(source, TOLD)  # nobody knows its hash: recorded, not compared
    assert package.files["audio.onnx"].sha256 == sha256(b"something else")


def test_names_mean_the_full_package_and_light_the_quantised_one() -> None:
    full, light = AVAILABLE
    assert find_published("laion-clap") is find_published(full.id) is full
    assert find_published("laion-clap", light=True) is find_published(light.id) is light
    assert find_published(full.id, light=True) is light
    for name in ("laion-clap/other", "elsewhere", ""):
        with pytest.raises(EncoderError, match=full.id):
            find_published(name, light=True)
    assert all(file.sha256 for file in light.files.values())


def test_the_inventory_knows_what_is_here_and_what_is_wrong_with_it(
    hub: HubServer, tmp_path: Path
) -> None:
    package, _ = bring()
    states = {model.id: model.state for model in inventory()}
    assert states == {
        "echoic-mini/2": "bundled",
        TOLD.id: "installed",
        AVAILABLE[0].id: "available",
        AVAILABLE[1].id: "available",
    }
    assert id_here("laion-clap") == TOLD.id
    assert set(map(tuple, check_models().values())) == {()}
    with (package.folder / "text.onnx").open("r+b") as file:
        file.write(b"\0bitten")
    assert list(check_models(TOLD.id)) == [TOLD.id]
    assert "text.onnx is damaged" in check_models()[TOLD.id][0]
    (package.folder / "model.json").write_text("{")
    assert {model.id: model.state for model in inventory()}[TOLD.id] == "damaged"
    assert "model.json" in check_models(TOLD.id)[TOLD.id][0]
    with pytest.raises(EncoderError, match="there is no model 'elsewhere' here"):
        id_here("elsewhere")

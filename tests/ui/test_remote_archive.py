"""An archive in object storage, as its users meet it: found without its sounds, heard with them."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile

from db.catalogue import Catalogue
from search.excerpts import Excerpts, Kind
from search.originals import original
from search.pictures import Pictures, View
from tests.indexer.conftest import write_sound
from tests.s3 import S3ServerForTests, server_for_tests
from tests.ui.api.conftest import serving
from tests.ui.running import within

PLACE = "s3://tones/deep"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ServerForTests]:
    folder = tmp_path_factory.mktemp("buckets")
    tones = folder / "tones" / "deep"
    write_sound(tones / "a.wav", seed=1, length_s=30.0, channels=2)
    write_sound(tones / "b.flac", seed=2, length_s=6.0)
    soundfile.write(tones / "c.flac", *soundfile.read(tones / "b.flac"), subtype="PCM_24")
    shutil.copytree(tones, folder / "apart")  # the same files, read from the disk
    with server_for_tests(folder) as started:
        yield started


@pytest.fixture(scope="module")
def catalogue(server: S3ServerForTests, tmp_path_factory: pytest.TempPathFactory) -> str:
    location = tmp_path_factory.mktemp("remote") / "catalogue"
    within("index", PLACE, "--workers", "1", "--catalogue", location)
    return str(location)


@pytest.fixture
def stopped(server: S3ServerForTests) -> Iterator[None]:
    server.stop()
    yield
    server.start()


@pytest.mark.usefixtures("stopped")
def test_searching_reads_no_sound(server: S3ServerForTests, catalogue: str, tmp_path: Path) -> None:
    def asked(*words: str | Path, code: int = 0) -> str:
        return within(*words, "--catalogue", catalogue, code=code)[0]

    found = json.loads(asked("search", "a steady tone", "--weak", "--json"))
    assert {hit["path"] for hit in found["hits"]} == {f"{PLACE}/{n}" for n in ("a.wav", "b.flac")}
    assert f"{PLACE}/c.flac" in asked("duplicates")
    part, sr = soundfile.read(server.folder / "apart" / "a.wav", start=160_000, stop=400_000)
    soundfile.write(tmp_path / "part.wav", part, sr)
    assert f"{PLACE}/a.wav" in asked("identify", tmp_path / "part.wav")
    assert f"({PLACE})" in asked("status")
    assert f"  {PLACE}/a.wav" in asked("show", f"{PLACE}/a.wav")
    said = within("search", "a steady tone", "--weak", "--export", tmp_path / "tones.m3u8",
                  "--catalogue", catalogue)  # fmt: skip
    assert "addresses few programs can open" in said[1]
    assert f"{PLACE}/a.wav\n" in (tmp_path / "tones.m3u8").read_text()


def test_excerpts_and_pictures_are_those_of_the_same_file_on_a_disk(
    server: S3ServerForTests, catalogue: str, tmp_path: Path
) -> None:
    excerpts, pictures = Excerpts(tmp_path / "excerpts"), Pictures(tmp_path / "pictures")
    with Catalogue.open(catalogue) as opened:
        for id_ in opened.columns().ids.tolist():
            sound = original(opened, id_)
            same = server.folder / "apart" / str(sound.path).rpartition("/")[2]
            for kind in Kind:
                cuts = [
                    excerpts.excerpt(path, name, 2.0, 5.0, kind).read_bytes()
                    for path, name in ((sound.path, "remote"), (same, "local"))
                ]
                assert cuts[0] == cuts[1]
            for view in View:
                drawn = [
                    pictures.picture(path, name, sound.duration_s, view=view).read_bytes()
                    for path, name in ((sound.path, f"r{id_}"), (same, f"l{id_}"))
                ]
                assert drawn[0] == drawn[1]


def test_exports_take_the_sounds_along_and_name_those_out_of_reach(
    server: S3ServerForTests, catalogue: str, tmp_path: Path
) -> None:
    question = ("search", "a steady tone", "--weak", "--catalogue", catalogue)
    within(*question, "--export", tmp_path / "here.zip")
    with zipfile.ZipFile(tmp_path / "here.zip") as unpacked:
        assert sum(name.endswith(".wav") for name in unpacked.namelist()) >= 2
    server.stop()
    try:
        _, said = within(*question, "--export", tmp_path / "gone.zip", code=2)
    finally:
        server.start()
    assert not (tmp_path / "gone.zip").exists()
    assert f"{PLACE}/a.wav cannot be read from its storage" in said


def test_the_server_plays_what_lies_in_a_bucket_and_says_when_it_cannot(
    server: S3ServerForTests, catalogue: str
) -> None:
    with serving(Path(catalogue), server.folder) as served, served.client() as client:
        whole = client.get("/recordings/1/audio", params={"to_s": 3})
        part = client.get("/recordings/1/audio", params={"to_s": 3}, headers={"Range": "bytes=4-9"})
        assert (whole.status_code, part.status_code) == (200, 206)
        assert part.content == whole.content[4:10]
        server.stop()
        try:
            refused: httpx.Response = client.get("/recordings/1/audio", params={"from_s": 1})
        finally:
            server.start()
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")


def test_what_cannot_be_done_with_an_address_is_told(catalogue: str) -> None:
    _, said = within("watch", PLACE, "--catalogue", catalogue, code=2)
    assert "tells of no changes" in said
    _, said = within("index", "s3://me:secret@tones", "--catalogue", catalogue, code=2)
    assert "password" in said and "secret" not in said
    _, said = within("relocate", "deep", "s3://tones/shallow", "--catalogue", catalogue, code=2)
    assert "there is no folder s3://tones/shallow" in said


@pytest.mark.parametrize(
    "words",
    [
        ("identify", f"{PLACE}/a.wav"),
        ("similar", f"{PLACE}/a.wav"),
        ("index", "--manifest", "s3://tones/list.csv"),
        ("search", "a tone", "--export", "s3://tones/tones.csv"),
        ("demo", "s3://tones/demo"),
        ("fetch", "esc50", "s3://tones/clips"),
    ],
)
def test_an_address_where_a_path_belongs_is_told_and_makes_no_folder(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, said = within(*words, code=2)
    assert f"{words[-1]} is an address: give" in said
    assert list(tmp_path.iterdir()) == []


def test_a_collection_is_pointed_to_another_place_of_the_storage_and_back(
    server: S3ServerForTests, catalogue: str
) -> None:
    apart = server.folder / "apart"
    said, _ = within("relocate", "deep", apart, "--catalogue", catalogue)
    assert "3 of 3 files are there" in said
    said, _ = within("relocate", "deep", PLACE + "/", "--catalogue", catalogue)
    assert f"now in {PLACE}; 3 of 3" in said

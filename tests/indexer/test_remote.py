"""Collections in object storage: the same as in folders, and nothing is lost with the network."""

import itertools
import os
import shutil
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.consistency import check
from db.content import content_hash
from db.errors import StorageError
from db.remote import checked_address, is_address
from db.remote_file import RemoteFile
from db.storage import file_state
from db.writer import CatalogueWriter
from indexer.analysis import READ_STAGE
from indexer.audio import open_audio
from indexer.errors import AudioError
from indexer.fingerprint import DEFAULT_FINGERPRINTER
from indexer.pipeline import Done, Event, Summary, run
from indexer.plan import EmptyFolder, Wanted
from indexer.reach import Reach
from indexer.sources import SourceError, address_source, folder_source, manifest_source
from indexer.stretches import read_stretch
from tests.indexer.conftest import write_sound
from tests.s3 import S3ServerForTests, server_for_tests

ENCODER = "echoic-mini/2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ServerForTests]:
    with server_for_tests(tmp_path_factory.mktemp("buckets")) as started:
        yield started


@pytest.fixture
def bucket(server: S3ServerForTests, archive: Path, tmp_path: Path) -> Path:
    """The folder of a bucket with the sounds of the archive; its name is the bucket's."""
    (archive / "deep" / "c.ogg.json").write_text('{"title": "Gulls", "tags": ["harbour"]}')
    (archive / "manifest.csv").write_text("path,creator\na.wav,A. Smith\n")
    shutil.copyfile(archive / "b.flac", archive / "deep" / "what is? #1 & 100%.flac")
    return Path(shutil.copytree(archive, server.folder / f"bucket-{next(_numbers)}"))


_numbers = itertools.count(1)


def address(bucket: Path) -> str:
    return f"s3://{bucket.name}"


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "catalogue", create=True) as opened:
        yield opened


def index(
    catalogue: Catalogue, place: str, on_event: Callable[[Event], None] = lambda event: None
) -> Summary:
    with CatalogueWriter(catalogue) as writer:
        find = address_source if is_address(place) else lambda w, p: folder_source(w, Path(p))
        return run(
            writer,
            [find(writer, place)],
            Wanted((ENCODER,), (DEFAULT_FINGERPRINTER,)),
            n_workers=1,
            on_event=on_event,
            stop=threading.Event(),
        )


def contents(catalogue: Catalogue) -> dict[str, tuple[bytes, bytes, str]]:
    """Return all that is known of each recording but where its collection lies."""
    found = {}
    for recording in catalogue.recordings(range(1, 100)).values():
        landmarks = catalogue.landmarks(recording.id, DEFAULT_FINGERPRINTER)
        files = sorted((file.path, repr(file.description)) for file in recording.files)
        found[recording.content_hash] = (
            catalogue.vectors(recording.id, ENCODER).tobytes(),
            landmarks.frames.tobytes() + landmarks.frequencies.tobytes(),
            repr((recording.technical, recording.descriptors, files)),
        )
    return found


def paths(catalogue: Catalogue, *, missing: bool) -> set[str]:
    (collection,) = catalogue.collections()
    known = catalogue.known_files(collection.id).values()
    return {file.path for file in known if file.missing is missing}


def faults_of_files(catalogue: Catalogue, *, contents: bool) -> set[str]:
    found = check(catalogue, schemes={}, contents=contents)
    return {problem.what for problem in found if problem.where == "files"}


def test_a_bucket_and_a_folder_with_the_same_files_give_the_same_catalogue(
    bucket: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    summary = index(catalogue, address(bucket))
    assert (summary.n_found, summary.n_ignored, summary.failures) == (6, 2, [])
    with Catalogue.open(tmp_path / "of-the-folder", create=True) as other:
        index(other, str(bucket))
        assert contents(catalogue) == contents(other)
    told = [known[2] for known in contents(catalogue).values()]
    assert any("Gulls" in text and "harbour" in text for text in told)
    assert any("A. Smith" in text for text in told)
    assert faults_of_files(catalogue, contents=True) == set()


def test_files_that_are_changed_removed_and_added_in_a_bucket_are_noticed(
    bucket: Path, catalogue: Catalogue
) -> None:
    index(catalogue, address(bucket))
    before = contents(catalogue)
    assert index(catalogue, address(bucket)).n_unchanged == 6
    changed, status = bytearray((bucket / "a.wav").read_bytes()), (bucket / "a.wav").stat()
    changed[-1] ^= 1
    (bucket / "a.wav").write_bytes(changed)
    os.utime(bucket / "a.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    (bucket / "e.wav").unlink()
    (bucket / "b.flac").rename(bucket / "deep" / "moved.flac")
    write_sound(bucket / "new" / "f.wav", seed=9)
    assert faults_of_files(catalogue, contents=False) == {
        f"{address(bucket)}/a.wav: it was changed since it was indexed",
        f"{address(bucket)}/b.flac: it is no longer there",
        f"{address(bucket)}/e.wav: it is no longer there",
    }
    summary = index(catalogue, address(bucket))
    assert summary.n_unchanged == 3
    assert summary.duration_s == pytest.approx(0.5 + 1.0)  # a.wav and f.wav; the moved one is known
    assert paths(catalogue, missing=True) == {"e.wav"}
    assert "deep/moved.flac" in paths(catalogue, missing=False)
    assert len(contents(catalogue).keys() - before.keys()) == 2


def test_a_part_of_a_bucket_and_a_single_file_are_parts_of_its_collection(
    bucket: Path, catalogue: Catalogue
) -> None:
    index(catalogue, f"{address(bucket)}/deep")
    (collection,) = catalogue.collections()
    assert (collection.name, collection.root) == ("deep", f"{address(bucket)}/deep")
    summary = index(catalogue, f"{address(bucket)}/deep/d.wav")
    assert (summary.n_found, summary.n_unchanged) == (1, 1)
    assert len(catalogue.collections()) == 1
    with pytest.raises(SourceError, match="no file or folder"):
        index(catalogue, f"{address(bucket)}/shallow")


def test_a_server_that_goes_away_midway_costs_a_second_run_and_no_recording(
    server: S3ServerForTests, bucket: Path, catalogue: Catalogue
) -> None:
    def stop_after_the_first(event: Event) -> None:
        if isinstance(event, Done):
            server.stop()

    try:
        summary = index(catalogue, address(bucket), stop_after_the_first)
        done = paths(catalogue, missing=False)
        assert 1 <= len(done) < 6
        assert {failure.stage for failure in summary.failures} == {READ_STAGE}
        assert all(failure.reason.startswith("s3://") for failure in summary.failures)
        assert len(done) + len(summary.failures) == 6
        with pytest.raises(StorageError, match="cannot be read from its storage"):
            index(catalogue, address(bucket))
        assert paths(catalogue, missing=True) == set()
    finally:
        server.start()
    assert index(catalogue, address(bucket)).failures == []
    assert len(paths(catalogue, missing=False)) == 6
    assert catalogue.failures() == []


def test_a_bucket_that_is_empty_or_gone_marks_nothing_missing(
    bucket: Path, catalogue: Catalogue
) -> None:
    index(catalogue, address(bucket))
    away = bucket.rename(bucket.parent.parent / f"away-{bucket.name}")
    with pytest.raises(SourceError, match="no file or folder"):
        index(catalogue, address(bucket))
    bucket.mkdir()
    with pytest.raises((EmptyFolder, SourceError)):
        index(catalogue, address(bucket))
    assert paths(catalogue, missing=True) == set()
    assert away.is_dir()


@pytest.mark.parametrize("suffix", [".wav", ".mp3"])  # libsndfile reads the one, FFmpeg the other
def test_what_cannot_be_read_any_more_is_no_damage_and_no_end_of_the_file(
    suffix: str, server: S3ServerForTests, bucket: Path
) -> None:
    write_sound(bucket / f"long{suffix}", length_s=60.0, sr=44_100)
    file = RemoteFile(address(bucket), f"long{suffix}")
    reader = open_audio(file)
    n_frames = 0
    try:
        with pytest.raises(StorageError, match=f"long{suffix} cannot be read"):
            for block in reader.blocks():
                server.stop()
                n_frames += len(block)
        assert 0 < n_frames < 60 * 44_100
        with pytest.raises(StorageError):
            read_stretch(RemoteFile(address(bucket), f"long{suffix}"), 1.0, 2.0)
    finally:
        server.start()
    later = read_stretch(RemoteFile(address(bucket), f"long{suffix}"), 50.0, 51.0)
    assert len(later.samples) == 44_100


def test_a_file_that_is_not_there_is_told_as_one_on_a_disk(bucket: Path) -> None:
    with pytest.raises(AudioError, match="does not exist"):
        open_audio(RemoteFile(address(bucket), "none.wav"))
    with pytest.raises(FileNotFoundError):
        content_hash(RemoteFile(address(bucket), "none.wav"))
    (bucket / "empty.wav").touch()
    with pytest.raises(AudioError, match="0 bytes"):
        open_audio(RemoteFile(address(bucket), "empty.wav"))


def test_reading_is_bounded_in_memory_and_jumps_about_as_it_is_told(bucket: Path) -> None:
    data = np.random.default_rng(0).bytes(1 << 20)
    with (bucket / "large.bin").open("wb") as large:
        for _ in range(72):
            large.write(data)
    file = RemoteFile(address(bucket), "large.bin")
    assert file.state() == file_state(file)
    tracemalloc.start()
    try:
        assert content_hash(file) == content_hash(bucket / "large.bin")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 56 << 20  # of 72 MB
    with file.open("rb") as opened:
        assert opened.seek(-5, 2) == (72 << 20) - 5
        assert opened.read() == data[-5:]
        assert opened.read(1) == b""
        opened.seek((37 << 20) + 1234)
        assert opened.read(300_000) == data[1234 : 1234 + 300_000]


def test_a_collection_that_moved_into_a_bucket_is_not_analysed_again(
    archive: Path, bucket: Path, catalogue: Catalogue
) -> None:
    index(catalogue, str(archive))
    (collection,) = catalogue.collections()
    with CatalogueWriter(catalogue) as writer:
        writer.relocate(collection.id, address(bucket))
    assert Reach(address(bucket)).holds("deep/c.ogg")
    summary = index(catalogue, address(bucket))
    assert (summary.n_found, summary.duration_s, summary.failures) == (6, 0.0, [])
    assert paths(catalogue, missing=True) == set()


def test_a_list_of_files_in_a_bucket_says_which_and_what_they_are(
    bucket: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("path,title\ndeep/d.wav,Delta\nnone.wav,Nothing\n")
    with CatalogueWriter(catalogue) as writer:
        source = manifest_source(writer, tmp_path / "list.csv", address(bucket))
        summary = run(
            writer,
            [source],
            Wanted((ENCODER,)),
            n_workers=1,
            on_event=lambda event: None,
            stop=threading.Event(),
        )
    assert [failure.path for failure in summary.failures] == ["none.wav"]
    (recording,) = catalogue.recordings(range(1, 10)).values()
    assert recording.files[0].description.title == "Delta"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sftp://me:secret@host/sounds", "password"),
        ("https://host/sounds?X-Amz-Signature=secret", "signature"),
        ("file:///media/tapes", "path"),
        ("s3://", "empty part"),
        ("s3://archive//tapes", "empty part"),
        ("s3://archive/../tapes", "empty part"),
    ],
)
def test_an_address_that_should_not_be_kept_is_refused(text: str, said: str) -> None:
    with pytest.raises(StorageError, match=said) as refused:
        checked_address(text)
    assert "secret" not in str(refused.value)


def test_addresses_are_told_from_paths_and_brought_to_one_form() -> None:
    assert checked_address("S3://Archive/tapes/") == "s3://Archive/tapes"
    assert checked_address("sftp://me@host/sounds") == "sftp://me@host/sounds"
    assert not any(map(is_address, ["/media/s3://x", "C:\\sounds", "tapes", "./s3:/x"]))


def test_a_protocol_whose_package_is_missing_is_told_with_its_name() -> None:
    with pytest.raises(StorageError, match="gcsfs"):
        RemoteFile("gs://archive", "a.wav").state()

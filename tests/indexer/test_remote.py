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
from db.errors import StorageError, StorageForbidden, StorageUnreachable
from db.patience import Patience
from db.remote import RemoteTree, checked_address, is_address, is_folder
from db.remote_file import RemoteFile
from db.storage import file_state
from db.writer import CatalogueWriter
from indexer.analysis import READ_STAGE
from indexer.audio import open_audio
from indexer.errors import AudioError
from indexer.fingerprint import DEFAULT_FINGERPRINTER
from indexer.pipeline import Event, Planned, Summary, run
from indexer.plan import EmptyFolder, Wanted
from indexer.reach import Reach
from indexer.sources import SourceError, address_source, folder_source, manifest_source
from indexer.stretches import read_stretch
from tests.indexer.conftest import write_sound
from tests.s3 import Guard, S3ServerForTests, server_for_tests

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


@pytest.fixture
def guard(server: S3ServerForTests) -> Iterator[Guard]:
    with Guard(server.environment["AWS_ENDPOINT_URL"]).standing() as standing:
        yield standing


def test_a_server_that_goes_away_midway_costs_a_second_run_and_no_recording(
    guard: Guard, server: S3ServerForTests, bucket: Path, catalogue: Catalogue
) -> None:
    guard.refused["/c.ogg"] = (403, "AccessDenied")
    guard.on_refusal = server.stop
    try:
        summary = index(catalogue, address(bucket))
        done = paths(catalogue, missing=False)
        assert done == {"a.wav", "b.flac"}
        assert (summary.failures, catalogue.failures()) == ([], [])
        (note,) = summary.notes
        assert "does not answer" in note
        assert "the next run goes on" in note
        with pytest.raises(StorageUnreachable, match="cannot be read from its storage"):
            index(catalogue, address(bucket))
        assert paths(catalogue, missing=True) == set()
    finally:
        guard.refused.clear()
        server.start()
    assert index(catalogue, address(bucket)).failures == []
    assert len(paths(catalogue, missing=False)) == 6
    assert catalogue.failures() == []


@pytest.mark.parametrize("n_files", [2, 6])  # fewer and more than make a storage suspicious
def test_who_is_patient_waits_for_the_storage_and_then_has_every_file(
    server: S3ServerForTests, bucket: Path, tmp_path: Path, n_files: int
) -> None:
    said: list[str] = []
    if n_files == 2:
        shutil.rmtree(bucket / "deep")
        (bucket / "e.wav").unlink()

    def hear(sentence: str) -> None:
        said.append(sentence)
        if sentence.startswith("Waiting: s3://"):
            server.start()

    def stop_before_the_first(event: Event) -> None:
        if isinstance(event, Planned):
            server.stop()

    patience = Patience(hear, threading.Event(), most_s=60.0)
    with Catalogue.open(tmp_path / "catalogue", create=True, patience=patience) as catalogue:
        try:
            summary = index(catalogue, address(bucket), stop_before_the_first)
        finally:
            server.stop()
            server.start()
        assert said[1:] == ["The storage answers again"]
        assert (summary.failures, summary.notes) == ([], [])
        assert len(paths(catalogue, missing=False)) == n_files


def test_two_files_that_a_storage_does_not_give_are_left_and_have_not_failed(
    server: S3ServerForTests, bucket: Path, catalogue: Catalogue
) -> None:
    shutil.rmtree(bucket / "deep")
    (bucket / "e.wav").unlink()

    def stop_before_the_first(event: Event) -> None:
        if isinstance(event, Planned):
            server.stop()

    try:
        summary = index(catalogue, address(bucket), stop_before_the_first)
    finally:
        server.start()
    assert (summary.failures, catalogue.failures()) == ([], [])
    (note,) = summary.notes
    assert "the next run goes on" in note


def test_a_file_that_takes_its_storage_down_each_time_fails_in_the_end(
    guard: Guard,
    server: S3ServerForTests,
    bucket: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.second_chances._MOST_TRIES", 3)  # each costs a second
    guard.refused["/c.ogg"] = (403, "AccessDenied")
    guard.on_refusal = server.stop

    def hear(sentence: str) -> None:
        if sentence.startswith("Waiting: s3://"):
            server.start()

    patience = Patience(hear, threading.Event(), most_s=60.0)
    with Catalogue.open(tmp_path / "catalogue", create=True, patience=patience) as catalogue:
        try:
            summary = index(catalogue, address(bucket))
        finally:
            server.stop()
            server.start()
        # With it may fail what was asked for while the storage was down. Nothing goes untold.
        failed = {failure.path for failure in summary.failures}
        assert "deep/c.ogg" in failed
        assert {"a.wav", "b.flac"} <= paths(catalogue, missing=False)
        assert len(failed | paths(catalogue, missing=False)) == 6


def test_files_that_the_storage_does_not_give_fail_and_the_others_do_not(
    guard: Guard, bucket: Path, catalogue: Catalogue
) -> None:
    # As many as are taken for a storage that is away, until it is asked.
    guard.refused.update(dict.fromkeys(("/a.wav", "/b.flac", "/deep/c.ogg"), (403, "AccessDenied")))
    guard.refused["/deep/d.wav"] = (403, "InvalidObjectState")
    summary = index(catalogue, address(bucket))
    failed = {failure.path: failure for failure in summary.failures}
    assert failed.keys() == {"a.wav", "b.flac", "deep/c.ogg", "deep/d.wav"}
    assert {failure.stage for failure in failed.values()} == {READ_STAGE}
    assert "s3:GetObject" in failed["a.wav"].reason
    assert "restored" in failed["deep/d.wav"].reason
    assert (len(paths(catalogue, missing=False)), summary.notes) == (2, [])


def test_what_is_done_is_committed_before_a_storage_is_waited_for(
    guard: Guard,
    server: S3ServerForTests,
    bucket: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.pipeline._COMMIT_AFTER_S", 600.0)  # all is done before that
    guard.refused.update(dict.fromkeys(("/c.ogg", "/d.wav", "/e.wav"), (403, "AccessDenied")))
    guard.on_refusal = server.stop
    committed: list[set[str]] = []

    def hear(sentence: str) -> None:
        if sentence.startswith("Waiting: s3://"):
            committed.append(paths(catalogue, missing=False))
            guard.refused.clear()
            server.start()

    patience = Patience(hear, threading.Event(), most_s=60.0)
    with Catalogue.open(tmp_path / "catalogue", create=True, patience=patience) as catalogue:
        try:
            index(catalogue, address(bucket))
        finally:
            server.stop()
            server.start()
        assert committed == [{"a.wav", "b.flac"}]
        assert len(paths(catalogue, missing=False)) == 6


def test_descriptions_that_the_storage_does_not_give_are_reported_as_those_of_a_folder(
    guard: Guard, bucket: Path, catalogue: Catalogue
) -> None:
    guard.refused.update(
        dict.fromkeys(("/manifest.csv", "/deep/c.ogg.json"), (403, "AccessDenied"))
    )
    warnings: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Planned):
            warnings.extend(event.plan.warnings)

    summary = index(catalogue, address(bucket), note)
    assert (summary.n_found, summary.failures) == (6, [])
    assert len(warnings) == 2
    assert all("may not be read" in warning for warning in warnings)


def test_small_files_are_fetched_together_each_once_and_one_that_is_refused_costs_no_other(
    guard: Guard, bucket: Path
) -> None:
    sizes = {f"many/{number:03}.json": 100 + number for number in range(100)}
    sizes |= {"many/005 [x].json": 200, "many/050-long.json": 100_000}
    for path, size in sizes.items():
        (bucket / path).parent.mkdir(exist_ok=True)
        (bucket / path).write_bytes(b"x" * size)
    (bucket / "many" / "000.wav").write_bytes(b"none of them")
    guard.refused["/007.json"] = (403, "AccessDenied")
    tree = RemoteTree(address(bucket))
    assert tree.content("many/000.json") == b"x" * 100
    assert sum(".json" in asked for asked in guard.asked) == 64
    for path, size in sizes.items():
        if path == "many/007.json":
            with pytest.raises(StorageForbidden, match=r"007.json may not be read"):
                tree.content(path)
        else:
            is_plain = path not in ("many/005 [x].json", "many/050-long.json")
            assert tree.content(path) == (b"x" * size if is_plain else None)
    asked = [asked for asked in guard.asked if "/many/" in asked]
    assert sorted(asked) == [f"GET /{bucket.name}/many/{number:03}.json" for number in range(100)]
    with pytest.raises(FileNotFoundError):
        tree.content("many/none.json")


def test_what_is_forbidden_stays_so_however_far_a_file_was_read(guard: Guard, bucket: Path) -> None:
    write_sound(bucket / "long.wav", length_s=60.0, sr=44_100)
    with RemoteFile(address(bucket), "long.wav").open() as opened:
        opened.read(1)
        guard.refused["/long.wav"] = (403, "ExpiredToken")
        opened.seek(3_000_000)
        for _ in range(2):
            with pytest.raises(StorageForbidden, match="credentials have expired"):
                opened.read(1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "slip", "does not know the access key.*AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "slip", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", None, "no credentials.*set AWS_ACCESS_KEY_ID and"),
        ("AWS_PROFILE", "slip", "no such profile.*AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", r"127.0.0.1:1 does not answer \(Connection ref"),
        ("AWS_ENDPOINT_URL", "http://slip.invalid", "slip.invalid does not answer.*a slip in AWS_"),
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000", "AWS_ENDPOINT_URL is no URL"),
    ],
)
def test_what_is_wrong_with_the_way_to_a_storage_is_told_with_what_to_do(
    bucket: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, said: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match=said) as raised:
        is_folder(address(bucket))
    assert "Error" not in str(raised.value)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_slip_in_the_name_of_a_bucket_or_an_empty_one_leaves_no_collection(
    bucket: Path, catalogue: Catalogue
) -> None:
    (bucket.parent / f"empty-{bucket.name}").mkdir()
    for place in (f"s3://slip-{bucket.name}", f"{address(bucket)}/slip"):
        with pytest.raises(SourceError, match=r"no file or folder.*slip in the name"):
            index(catalogue, place)
    with pytest.raises(SourceError, match="nothing in s3://empty"):
        index(catalogue, f"s3://empty-{bucket.name}")
    with pytest.raises(StorageError, match="cannot have this name"):
        index(catalogue, "s3://a bucket!")
    assert catalogue.collections() == []


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

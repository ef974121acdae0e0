"""Indexing a folder, again and again, while it changes."""

import gc
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from db import overview
from db.catalogue import Catalogue
from db.errors import CatalogueError
from db.fingerprint_index import FingerprintIndex
from db.keywords import search_keywords
from db.records import RecordingInfo
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from indexer.fingerprint import DEFAULT_FINGERPRINTER, load_fingerprinter
from indexer.pipeline import Done, Event, Failed, Indexing, Planned, Summary, run
from indexer.plan import EmptyFolder, Wanted
from indexer.sources import SourceError, failed_sources, folder_source, manifest_source
from tests.indexer.conftest import write_sound

ENCODER = "echoic-mini/2"
FINGERPRINTER = DEFAULT_FINGERPRINTER


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "catalogue", create=True) as opened:
        yield opened


def index(
    catalogue: Catalogue,
    *paths: Path,
    on_event: Callable[[Event], None] = lambda event: None,
    stop: threading.Event | None = None,
    manifest: Path | None = None,
    fingerprints: bool = True,
    **wanted: bool,
) -> Summary:
    with CatalogueWriter(catalogue) as writer:
        sources = [folder_source(writer, path) for path in paths]
        if manifest is not None:
            sources.append(manifest_source(writer, manifest, None))
        return run(
            writer,
            sources,
            Wanted((ENCODER,), (FINGERPRINTER,) if fingerprints else (), **wanted),
            n_workers=1,
            on_event=on_event,
            stop=stop or threading.Event(),
        )


def outcomes(summary: Summary) -> dict[str, int]:
    return {outcome.value: n for outcome, n in summary.outcomes.items()}


def features_of(summary: Summary) -> set[str]:
    """Return what was computed in a run."""
    return {stage.split()[0] for stage in summary.cpu_s} & {"embed", "describe", "fingerprint"}


EVERYTHING = {"embed", "describe", "fingerprint"}


def by_path(catalogue: Catalogue) -> dict[str, RecordingInfo]:
    (collection,) = catalogue.collections()
    known = catalogue.known_files(collection.id)
    return {path: catalogue.recording(file.recording_id) for path, file in known.items()}


def test_a_folder_is_indexed_with_all_that_is_known_of_its_files(
    catalogue: Catalogue, archive: Path
) -> None:
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"added": 5}
    assert summary.failures == []
    found = by_path(catalogue)
    assert sorted(found) == ["a.wav", "b.flac", "deep/c.ogg", "deep/d.wav", "e.wav"]
    last = found["e.wav"]
    assert last.technical.duration_s == pytest.approx(4.5)
    assert (last.technical.sample_rate, last.technical.channels) == (16_000, 1)
    assert last.descriptors is not None
    assert last.descriptors["spectral_centroid_hz"] > 0
    assert dict(last.n_segments) == {ENCODER: 1}
    assert last.n_landmarks[FINGERPRINTER] > 0
    assert summary.cpu_s["fingerprint"] > 0
    assert catalogue.vectors(last.id, ENCODER).shape[0] == 1
    assert summary.duration_s == pytest.approx(12.5, abs=0.1)


def test_a_second_run_does_nothing(catalogue: Catalogue, archive: Path) -> None:
    index(catalogue, archive)
    before = by_path(catalogue)
    summary = index(catalogue, archive)
    assert outcomes(summary) == {}
    assert summary.n_unchanged == 5
    assert by_path(catalogue) == before


def test_changed_vanished_moved_new_and_doubled_files_are_told_apart(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    ids = {path: recording.id for path, recording in by_path(catalogue).items()}
    write_sound(archive / "a.wav", seed=50)  # changed
    (archive / "b.flac").unlink()  # vanished
    (archive / "deep" / "c.ogg").rename(archive / "moved.ogg")
    shutil.copy(archive / "e.wav", archive / "double.wav")
    write_sound(archive / "new.wav", seed=51)
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"replaced": 1, "moved": 1, "linked": 1, "added": 1}
    assert summary.n_missing == 1  # the moved one has been found again
    after = by_path(catalogue)
    assert after["a.wav"].id != ids["a.wav"]
    assert after["b.flac"].id == ids["b.flac"]
    assert after["b.flac"].files[0].missing_since is not None
    assert after["moved.ogg"].id == ids["deep/c.ogg"]
    assert "deep/c.ogg" not in after
    assert [file.path for file in after["e.wav"].files] == ["double.wav", "e.wav"]


def test_a_file_that_comes_back_is_not_analysed_again(catalogue: Catalogue, archive: Path) -> None:
    index(catalogue, archive)
    away = archive.parent / "b.flac"
    (archive / "b.flac").rename(away)
    assert index(catalogue, archive).n_missing == 1
    away.rename(archive / "b.flac")
    summary = index(catalogue, archive)
    assert (summary.n_returned, outcomes(summary)) == (1, {})
    assert by_path(catalogue)["b.flac"].files[0].missing_since is None


def test_two_files_that_swapped_their_names_are_both_kept(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    a, e = by_path(catalogue)["a.wav"].content_hash, by_path(catalogue)["e.wav"].content_hash
    (archive / "a.wav").rename(archive / "x.wav")
    (archive / "e.wav").rename(archive / "a.wav")
    (archive / "x.wav").rename(archive / "e.wav")
    index(catalogue, archive)
    found = by_path(catalogue)
    assert (found["a.wav"].content_hash, found["e.wav"].content_hash) == (e, a)
    assert len(found) == 5


def test_an_edit_that_keeps_size_and_time_is_found_with_verify(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    path = archive / "a.wav"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert outcomes(index(catalogue, archive)) == {}
    assert outcomes(index(catalogue, archive, verify=True)) == {"updated": 4, "replaced": 1}


def test_a_part_of_a_collection_can_be_indexed_on_its_own(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive / "deep" / "c.ogg")
    assert [c.root for c in catalogue.collections()] == [str(archive / "deep")]
    index(catalogue, archive / "deep")
    assert sorted(by_path(catalogue)) == ["c.ogg", "d.wav"]
    (archive / "deep" / "d.wav").unlink()
    assert index(catalogue, archive / "deep" / "c.ogg").n_missing == 0


def test_a_new_encoder_or_feature_is_added_without_losing_the_old(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, describe=False)
    assert by_path(catalogue)["a.wav"].descriptors is None
    vectors = catalogue.vectors(by_path(catalogue)["a.wav"].id, ENCODER)
    second = index(catalogue, archive)
    assert outcomes(second) == {"updated": 5}
    assert features_of(second) == {"describe"}
    found = by_path(catalogue)["a.wav"]
    assert found.descriptors is not None
    np.testing.assert_array_equal(catalogue.vectors(found.id, ENCODER), vectors)


def fingerprints(catalogue: Catalogue) -> dict[str, tuple[bytes, bytes, int]]:
    """Return the landmarks of all files by path."""
    found = {}
    for path, recording in by_path(catalogue).items():
        marks = catalogue.landmarks(recording.id, FINGERPRINTER)
        found[path] = (marks.frames.tobytes(), marks.frequencies.tobytes(), marks.n_frames)
    return found


def test_fingerprints_are_added_to_an_archive_that_was_indexed_before_and_nothing_else_is_done(
    catalogue: Catalogue, archive: Path, tmp_path: Path
) -> None:
    first = index(catalogue, archive, fingerprints=False)
    assert features_of(first) == {"embed", "describe"}
    assert catalogue.schemes() == []
    before = by_path(catalogue)
    second = index(catalogue, archive)
    assert outcomes(second) == {"updated": 5}
    assert features_of(second) == {"fingerprint"}
    assert second.duration_s == pytest.approx(12.5, abs=0.1)
    after = by_path(catalogue)
    assert {p: replace(r, n_landmarks={}) for p, r in after.items()} == before
    with Catalogue.open(tmp_path / "at-once", create=True) as other:
        index(other, archive)
        assert fingerprints(catalogue) == fingerprints(other)
    third = index(catalogue, archive)
    assert (outcomes(third), third.n_unchanged) == ({}, 5)


@pytest.mark.parametrize("sr", [8_000, 16_000, 44_100, 48_000])
def test_fingerprints_reach_to_the_end_of_a_recording(
    catalogue: Catalogue, tmp_path: Path, sr: int
) -> None:
    write_sound(tmp_path / "archive" / "a.wav", length_s=2.0, sr=sr, channels=2)
    index(catalogue, tmp_path / "archive")
    landmarks = catalogue.landmarks(1, FINGERPRINTER)
    assert landmarks.n_frames == round(2.0 / load_fingerprinter(FINGERPRINTER).frame_s) + 1
    assert landmarks.frames[-1] > 0.95 * landmarks.n_frames


def test_a_recording_is_found_by_its_keys_after_a_run(catalogue: Catalogue, archive: Path) -> None:
    events: list[Event] = []
    index(catalogue, archive, on_event=events.append)
    indexed = [event.name for event in events if isinstance(event, Indexing)]
    assert indexed == [ENCODER, FINGERPRINTER]
    assert not overview.has_unsaved_fingerprints(catalogue, FINGERPRINTER)
    fingerprinter = load_fingerprinter(FINGERPRINTER)
    opened = FingerprintIndex.open(
        catalogue, FINGERPRINTER, fingerprinter.keys, key_bits=fingerprinter.key_bits
    )
    assert opened.is_saved()
    recording = by_path(catalogue)["e.wav"].id
    keys, frames = fingerprinter.keys(catalogue.landmarks(recording, FINGERPRINTER))
    found = opened.lookup(keys)
    recordings, within = opened.locate(found.frames)
    right = (recordings == recording) & (within == frames[found.which])
    assert set(found.which[right].tolist()) == set(range(len(keys)))
    events.clear()
    index(catalogue, archive, on_event=events.append)
    assert not any(isinstance(event, Indexing) for event in events)


def test_a_fingerprint_that_is_damaged_is_named_when_the_postings_are_written(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    with catalogue.transaction() as session:
        session.execute(text("UPDATE fingerprints SET landmarks = x'00' WHERE recording_id = 2"))
    (postings,) = catalogue.index_folder.glob("*.postings")
    postings.unlink()
    (note,) = index(catalogue, archive).notes
    assert note.startswith("recording 2 is left out")
    assert "echoic repair" in note
    assert not overview.has_unsaved_fingerprints(catalogue, FINGERPRINTER)


def test_postings_that_cannot_be_written_are_a_note_and_lose_nothing(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, fingerprints=False)
    for path in catalogue.index_folder.iterdir():
        path.unlink()
    catalogue.index_folder.rmdir()
    catalogue.index_folder.write_text("a file where the folder should be")
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"updated": 5}
    assert any("searches go by the database" in note for note in summary.notes)
    assert len(catalogue.recordings_with_fingerprint(FINGERPRINTER)) == 5


def test_a_catalogue_that_cannot_be_written_to_is_more_than_a_note_on_an_index(
    catalogue: Catalogue, archive: Path
) -> None:
    with catalogue.transaction(of_contents=False) as session:
        session.execute(
            text(
                "CREATE TRIGGER full BEFORE INSERT ON index_files "
                "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
        )
    with pytest.raises(CatalogueError, match="cannot be written to"):
        index(catalogue, archive / "a.wav", fingerprints=False, describe=False)
    assert list(by_path(catalogue)) == ["a.wav"]


def test_no_index_of_vectors_stays_in_memory_once_it_is_written(
    catalogue: Catalogue, archive: Path
) -> None:
    n_held = []

    def count(event: Event) -> None:
        if isinstance(event, Indexing) and event.name == FINGERPRINTER:
            gc.collect()
            n_held.append(sum(type(held) is SegmentIndex for held in gc.get_objects()))

    gc.collect()
    n_before = sum(type(held) is SegmentIndex for held in gc.get_objects())
    index(catalogue, archive, on_event=count)
    assert n_held == [n_before]


def test_what_is_forgotten_while_its_index_is_written_is_a_note_and_ends_no_run(
    catalogue: Catalogue, archive: Path
) -> None:
    with CatalogueWriter(catalogue) as writer:

        def forget(event: Event) -> None:
            if isinstance(event, Indexing) and event.name == ENCODER:
                writer.forget_encoder(event.name)
            elif isinstance(event, Indexing):
                writer.forget_scheme(event.name)

        summary = run(
            writer,
            [folder_source(writer, archive)],
            Wanted((ENCODER,), (FINGERPRINTER,)),
            n_workers=1,
            on_event=forget,
            stop=threading.Event(),
        )
    assert outcomes(summary) == {"added": 5}
    of_encoder, of_fingerprinter = summary.notes
    assert of_encoder == f"the vectors by {ENCODER} have been removed"
    assert of_fingerprinter.startswith(f"the catalogue holds no fingerprints by {FINGERPRINTER}")


def test_a_file_that_changed_since_gets_everything_and_the_others_what_they_lack(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, fingerprints=False)
    write_sound(archive / "a.wav", seed=50)
    assert outcomes(index(catalogue, archive)) == {"replaced": 1, "updated": 4}
    assert all(
        recording.n_segments and recording.n_landmarks and recording.descriptors
        for recording in by_path(catalogue).values()
    )


@pytest.mark.parametrize("verify", [False, True])
def test_a_silent_edit_of_a_file_without_fingerprint_gets_everything(
    catalogue: Catalogue, archive: Path, verify: bool
) -> None:
    index(catalogue, archive, fingerprints=False)
    path = archive / "a.wav"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    summary = index(catalogue, archive, verify=verify)
    assert outcomes(summary) == {"replaced": 1, "updated": 4}
    assert features_of(summary) == EVERYTHING
    found = by_path(catalogue)["a.wav"]
    assert found.n_segments
    assert found.n_landmarks
    assert found.descriptors


def test_verifying_what_is_unchanged_computes_nothing(catalogue: Catalogue, archive: Path) -> None:
    index(catalogue, archive)
    summary = index(catalogue, archive, verify=True)
    assert outcomes(summary) == {"updated": 5}
    assert features_of(summary) == set()
    assert summary.duration_s == 0


def test_a_moved_file_and_a_copy_get_only_what_their_content_lacks(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, fingerprints=False)
    ids = {path: recording.id for path, recording in by_path(catalogue).items()}
    (archive / "a.wav").rename(archive / "deep" / "moved.wav")
    shutil.copy(archive / "e.wav", archive / "copy-of-e.wav")
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"moved": 1, "linked": 1, "updated": 4}
    assert features_of(summary) == {"fingerprint"}
    found = by_path(catalogue)
    assert found["deep/moved.wav"].id == ids["a.wav"]
    assert found["copy-of-e.wav"].id == ids["e.wav"]
    assert all(FINGERPRINTER in recording.n_landmarks for recording in found.values())


def test_a_content_that_went_while_its_fingerprint_was_made_is_analysed_in_full(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, fingerprints=False)
    shutil.copy(archive / "a.wav", archive / "z.wav")
    write_sound(archive / "a.wav", seed=50)  # comes first: with it goes the content of z.wav
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"replaced": 1, "added": 1, "updated": 4}
    found = by_path(catalogue)["z.wav"]
    assert found.n_segments
    assert found.n_landmarks
    assert found.descriptors


def test_a_file_that_cannot_be_read_for_its_fingerprint_keeps_what_it_has(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive, fingerprints=False)
    before = by_path(catalogue)["a.wav"]
    aside = (archive / "a.wav").rename(archive.parent / "a.wav")
    (archive / "a.wav").write_text("overwritten by mistake")
    assert [failure.path for failure in index(catalogue, archive).failures] == ["a.wav"]
    kept = by_path(catalogue)["a.wav"]
    assert (kept.id, kept.n_segments) == (before.id, before.n_segments)
    aside.replace(archive / "a.wav")
    summary = index(catalogue, archive)
    assert (outcomes(summary), features_of(summary)) == ({"updated": 1}, {"fingerprint"})
    assert catalogue.failures() == []


@pytest.mark.skipif(os.name != "posix", reason="links and permissions of POSIX")
def test_bad_files_are_reported_and_none_of_them_is_fatal(
    catalogue: Catalogue, archive: Path
) -> None:
    whole = (archive / "b.flac").read_bytes()
    (archive / "corrupt.flac").write_bytes(whole[:60] + bytes(1000) + whole[1060:4000])
    (archive / "empty.wav").write_bytes(b"")
    (archive / "text.wav").write_text("Dear diary, today I renamed a text file.")
    (archive / "broken-link.wav").symlink_to(archive / "nowhere.wav")
    (archive / "loop").symlink_to(archive)
    (archive / "folder.wav").mkdir()
    os.mkfifo(archive / "pipe.wav")
    write_sound(archive / "short.wav", seed=9, length_s=0.05)
    write_sound(archive / "noaudio.wav", length_s=0.0)
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"added": 6}  # the five, and the one of 0.05 s
    failed = {failure.path: failure for failure in summary.failures}
    assert sorted(failed) == [
        "broken-link.wav",
        "corrupt.flac",
        "empty.wav",
        "noaudio.wav",
        "pipe.wav",
        "text.wav",
    ]
    assert failed["broken-link.wav"].reason == "a broken link"
    assert "empty" in failed["empty.wav"].reason
    assert "not audio" in failed["text.wav"].reason
    assert "no audio" in failed["noaudio.wav"].reason
    assert failed["corrupt.flac"].stage == "decode"
    assert {failure.path for failure in catalogue.failures()} == set(failed)


def unprivileged() -> list[str]:
    """Return what makes a command subject to permissions, which root is not."""
    if os.name != "posix":
        pytest.skip("permissions of POSIX")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root can read everything, and there is no setpriv to change that")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_files_and_folders_without_permission_are_reported_and_not_taken_for_vanished(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    (archive / "a.wav").chmod(0)
    (archive / "deep").chmod(0)
    write_sound(archive / "forbidden.wav", seed=70).chmod(0)
    command = [sys.executable, "-m", "ui", "index", str(archive), "--json"]
    ran = subprocess.run(
        [*unprivileged(), *command, "--catalogue", catalogue.location],
        capture_output=True,
        text=True,
        check=False,
    )
    (archive / "deep").chmod(0o755)
    assert ran.returncode == 1, ran.stderr
    failed = {failure.path: failure.reason for failure in catalogue.failures()}
    assert sorted(failed) == ["deep", "forbidden.wav"]
    assert all("ermission denied" in reason for reason in failed.values())
    finished = json.loads(ran.stdout.splitlines()[-1])
    assert finished["missing"] == 0
    assert finished["unchanged"] == 3  # a.wav cannot be read, but is as it was
    assert outcomes(index(catalogue, archive)) == {"added": 1}  # root again: all can be read
    assert catalogue.failures() == []


def test_a_bad_file_is_not_tried_again_until_it_changes_or_is_asked_for(
    catalogue: Catalogue, archive: Path
) -> None:
    bad = archive / "bad.wav"
    bad.write_text("not audio")
    assert len(index(catalogue, archive).failures) == 1
    again = index(catalogue, archive)
    assert (again.failures, len(again.failed_before)) == ([], 1)
    assert len(index(catalogue, archive, retry=True).failures) == 1
    assert catalogue.failures()[0].attempts == 2
    write_sound(bad, seed=80)
    assert outcomes(index(catalogue, archive)) == {"added": 1}
    assert catalogue.failures() == []


def test_the_failure_of_a_file_that_was_removed_is_forgotten(
    catalogue: Catalogue, archive: Path
) -> None:
    (archive / "bad.wav").write_text("not audio")
    index(catalogue, archive)
    (archive / "bad.wav").unlink()
    index(catalogue, archive)
    assert catalogue.failures() == []


def test_failed_files_can_be_tried_again_on_their_own(catalogue: Catalogue, archive: Path) -> None:
    (archive / "bad.wav").write_text("not audio")
    index(catalogue, archive)
    (source,) = failed_sources(catalogue)
    assert source.paths == ("bad.wav",)


def test_originals_are_not_touched(catalogue: Catalogue, archive: Path) -> None:
    def state() -> dict[str, tuple[int, int, bytes]]:
        files = (path for path in archive.rglob("*") if path.is_file())
        return {
            path.name: (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
            for path in files
        }

    before = state()
    index(catalogue, archive)
    assert state() == before


def test_a_run_that_is_stopped_finishes_what_is_in_flight_and_is_resumed(
    catalogue: Catalogue, archive: Path
) -> None:
    stop = threading.Event()

    def on_event(event: Event) -> None:
        if isinstance(event, Done):
            stop.set()

    # More than are ever committed together: a fast machine analyses dozens before the first is.
    for number in range(95):
        write_sound(archive / f"more-{number}.wav", seed=100 + number, length_s=0.3)
    first = index(catalogue, archive, on_event=on_event, stop=stop)
    assert first.stopped
    assert 0 < first.outcomes.total() < 100
    second = index(catalogue, archive)
    assert first.outcomes.total() + second.outcomes.total() == 100
    assert len(by_path(catalogue)) == 100


def test_a_worker_that_dies_while_the_run_is_stopped_is_not_the_fault_of_its_file(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    write_sound(tmp_path / "sounds" / "a.wav")
    write_sound(tmp_path / "sounds" / "b.wav", length_s=300.0)
    stop = threading.Event()

    def stop_and_kill(event: Event) -> None:
        if isinstance(event, Done):
            stop.set()
            for worker in multiprocessing.active_children():
                worker.kill()

    summary = index(catalogue, tmp_path / "sounds", on_event=stop_and_kill, stop=stop)
    assert (outcomes(summary), summary.failures) == ({"added": 1}, [])
    assert catalogue.failures() == []


def test_events_tell_of_every_file_after_it_was_committed(
    catalogue: Catalogue, archive: Path
) -> None:
    (archive / "bad.wav").write_text("not audio")
    seen = []

    def on_event(event: Event) -> None:
        if isinstance(event, Done):
            (collection,) = catalogue.collections()
            assert event.path in catalogue.known_files(collection.id)
            seen.append(event.path)
        elif isinstance(event, Failed):
            assert event.failure.path in {failure.path for failure in catalogue.failures()}
            seen.append(event.failure.path)

    index(catalogue, archive, on_event=on_event)
    assert len(seen) == 6


def test_sidecars_and_folder_manifests_are_read_and_their_changes_noticed(
    catalogue: Catalogue, archive: Path
) -> None:
    (archive / "a.wav.json").write_text(json.dumps({"title": "Harbour", "tags": ["gulls"]}))
    (archive / "manifest.csv").write_text("path,description,licence\na.wav,at dawn,CC0\n")
    index(catalogue, archive)
    said = by_path(catalogue)["a.wav"].files[0].description
    assert (said.title, said.description, said.licence) == ("Harbour", "at dawn", "CC0")
    assert said.tags == ("gulls",)
    (archive / "a.wav.json").write_text(json.dumps({"title": "Shipyard"}))
    summary = index(catalogue, archive)
    assert (summary.n_redescribed, outcomes(summary)) == (1, {})
    said = by_path(catalogue)["a.wav"].files[0].description
    assert (said.title, said.description) == ("Shipyard", "at dawn")
    assert search_keywords(catalogue, "harbour", 5) == []
    assert len(search_keywords(catalogue, "shipyard", 5)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="makes files unreadable as Linux can")
def test_what_descriptions_said_stays_while_they_cannot_be_read(
    catalogue: Catalogue, archive: Path
) -> None:
    sidecar, manifest = archive / "a.wav.json", archive / "manifest.csv"
    sidecar.write_text(json.dumps({"title": "Harbour"}))
    manifest.write_text("path,title\nb.flac,Shipyard\n")
    warnings = list[str]()

    def note(event: Event) -> None:
        if isinstance(event, Planned):
            warnings.extend(event.plan.warnings)

    def titles() -> list[str]:
        found = by_path(catalogue)
        return [found[path].files[0].description.title for path in ("a.wav", "b.flac")]

    index(catalogue, archive, fingerprints=False, describe=False)
    for file in (sidecar, manifest):
        file.unlink()
        file.symlink_to("/proc/self/mem")  # is there, and fails to be read
    summary = index(catalogue, archive, fingerprints=False, describe=False, on_event=note)
    assert (summary.n_redescribed, titles()) == (0, ["Harbour", "Shipyard"])
    assert [warning.split(": ")[0] for warning in warnings] == [str(manifest), str(sidecar)]
    assert all("what it said when it was last read stays" in warning for warning in warnings)
    # What is stored meanwhile: features that the audio lacks, and other audio under its name.
    write_sound(archive / "a.wav", seed=80)
    assert outcomes(index(catalogue, archive, describe=False)) == {"replaced": 1, "updated": 4}
    assert (titles(), len(search_keywords(catalogue, "harbour", 5))) == (["Harbour", "Shipyard"], 1)
    sidecar.unlink()
    manifest.unlink()
    sidecar.write_text(json.dumps({"title": "Lighthouse"}))
    index(catalogue, archive, describe=False)
    assert titles() == ["Lighthouse", ""]


def test_a_manifest_indexes_the_files_on_it_and_describes_them_from_then_on(
    catalogue: Catalogue, archive: Path
) -> None:
    manifest = archive / "list.csv"
    manifest.write_text(
        "path,title,creator,recorded_at\na.wav,Harbour,Ada,1962-05\ngone.wav,Nothing,,\n"
    )
    summary = index(catalogue, manifest=manifest)
    assert outcomes(summary) == {"added": 1}
    assert [failure.path for failure in summary.failures] == ["gone.wav"]
    said = by_path(catalogue)["a.wav"].files[0].description
    assert (said.title, said.creator, said.recorded_at) == ("Harbour", "Ada", "1962-05")
    assert index(catalogue, archive).n_redescribed == 0
    assert by_path(catalogue)["a.wav"].files[0].description == said
    manifest.unlink()
    with pytest.raises(SourceError, match="manifest"):
        index(catalogue, archive)


def test_a_manifest_finds_files_whose_accents_are_written_in_another_way(
    catalogue: Catalogue, archive: Path
) -> None:
    on_disk = "Mo\u0308we/e\u0301.wav"
    typed = unicodedata.normalize("NFC", on_disk)
    assert on_disk != typed
    write_sound(archive / on_disk, seed=1)
    write_sound(archive / "\u00e9.wav", seed=2)
    write_sound(archive / "e\u0301.wav", seed=3)
    manifest = archive / "list.csv"
    rows = [f"{typed},Gull", "\u00e9.wav,one sign", "e\u0301.wav,two signs"]
    manifest.write_text("\n".join(["path,title", *rows]), encoding="utf-8")
    summary = index(catalogue, manifest=manifest, fingerprints=False, describe=False)
    assert (outcomes(summary), summary.failures) == ({"added": 3}, [])
    titles = {path: one.files[0].description.title for path, one in by_path(catalogue).items()}
    assert titles == {on_disk: "Gull", "\u00e9.wav": "one sign", "e\u0301.wav": "two signs"}
    (archive / "manifest.csv").write_text(f"path,creator\n{typed},Ada\n", encoding="utf-8")
    assert index(catalogue, archive, fingerprints=False, describe=False).n_redescribed == 1
    assert by_path(catalogue)[on_disk].files[0].description.creator == "Ada"


def test_what_is_not_there_is_an_error_and_marks_nothing_missing(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    archive.rename(archive.parent / "unmounted")
    with pytest.raises(SourceError, match="no file or folder"):
        index(catalogue, archive)
    assert all(not r.files[0].missing_since for r in by_path(catalogue).values())


def test_a_folder_that_is_suddenly_empty_is_taken_for_a_disk_that_is_not_there(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    archive.rename(archive.parent / "unmounted")
    archive.mkdir()
    with pytest.raises(EmptyFolder, match="disk connected"):
        index(catalogue, archive)
    assert all(not r.files[0].missing_since for r in by_path(catalogue).values())


def test_a_file_moved_onto_a_name_that_was_taken_leaves_no_ghost(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    (archive / "a.wav").rename(archive / "e.wav")
    index(catalogue, archive)
    found = by_path(catalogue)
    assert "a.wav" not in found
    assert [file.path for file in found["e.wav"].files] == ["e.wav"]


def test_a_file_that_became_undecodable_no_longer_counts_as_there(
    catalogue: Catalogue, archive: Path
) -> None:
    index(catalogue, archive)
    (archive / "a.wav").write_text("overwritten by mistake")
    index(catalogue, archive)
    assert by_path(catalogue)["a.wav"].files[0].missing_since is not None
    write_sound(archive / "a.wav", seed=90)
    index(catalogue, archive)
    assert by_path(catalogue)["a.wav"].files[0].missing_since is None


def test_a_listed_file_that_has_vanished_is_missing_not_failed(
    catalogue: Catalogue, archive: Path
) -> None:
    manifest = archive / "list.csv"
    manifest.write_text("path\na.wav\ne.wav\n")
    index(catalogue, manifest=manifest)
    (archive / "a.wav").unlink()
    summary = index(catalogue, manifest=manifest)
    assert (summary.n_missing, summary.failures) == (1, [])


def test_a_relocated_collection_takes_its_manifest_along(
    catalogue: Catalogue, archive: Path
) -> None:
    (archive / "list.csv").write_text("path,title\na.wav,Harbour\n")
    index(catalogue, manifest=archive / "list.csv")
    elsewhere = archive.rename(archive.parent / "elsewhere")
    (collection,) = catalogue.collections()
    with CatalogueWriter(catalogue) as writer:
        writer.relocate(collection.id, str(elsewhere))
    index(catalogue, elsewhere)
    assert by_path(catalogue)["a.wav"].files[0].description.title == "Harbour"


def test_names_at_the_limit_of_the_file_system_and_folders_that_cannot_be_entered(
    catalogue: Catalogue, archive: Path
) -> None:
    long_name = "x" * 251 + ".wav"  # its sidecar would be longer than a name may be
    write_sound(archive / long_name, seed=60)
    (archive / "deep").chmod(0o444)  # can be listed, but nothing in it looked at
    command = [sys.executable, "-m", "ui", "index", str(archive), "--json"]
    ran = subprocess.run(
        [*unprivileged(), *command, "--catalogue", catalogue.location],
        capture_output=True,
        text=True,
        check=False,
    )
    (archive / "deep").chmod(0o755)
    assert ran.returncode == 1, ran.stderr
    assert long_name in by_path(catalogue)
    assert {failure.path for failure in catalogue.failures()} == {"deep/c.ogg", "deep/d.wav"}


def test_copies_within_one_run_are_analysed_once(catalogue: Catalogue, archive: Path) -> None:
    for number in range(4):
        shutil.copy(archive / "e.wav", archive / f"z-copy-{number}.wav")
    summary = index(catalogue, archive)
    assert outcomes(summary) == {"added": 5, "linked": 4}
    # One worker; the first copy may be in its hand when the original is committed.
    assert summary.duration_s < 12.5 + 2 * 4.5


def test_a_file_that_two_sources_name_is_analysed_once(catalogue: Catalogue, archive: Path) -> None:
    summary = index(catalogue, archive, archive / "deep")
    assert outcomes(summary) == {"added": 5}


def test_nothing_is_reported_to_the_makers_of_libraries(archive: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for arguments in (["index", str(archive)], ["similar", str(archive / "a.wav")]):
        subprocess.run(
            [sys.executable, "-m", "ui", *arguments, "--catalogue", str(tmp_path / "c")],
            check=True,
            capture_output=True,
            env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")},
        )
    assert [path for path in home.rglob("*") if "microsoft" in str(path).lower()] == []


def test_features_are_the_same_to_the_bit_on_every_run(tmp_path: Path, archive: Path) -> None:
    vectors, marks = [], []
    for name in ("first", "second"):
        with Catalogue.open(tmp_path / name, create=True) as catalogue:
            index(catalogue, archive)
            found = by_path(catalogue)
            vectors.append(
                {p: catalogue.vectors(r.id, ENCODER).tobytes() for p, r in found.items()}
            )
            marks.append(fingerprints(catalogue))
    assert vectors[0] == vectors[1]
    assert marks[0] == marks[1]

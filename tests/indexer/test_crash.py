"""Indexing is killed at any moment; what was committed is there, what was not is made again."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from db import consistency
from db.catalogue import Catalogue
from db.errors import CatalogueMissing
from db.fingerprint_index import FingerprintIndex
from db.segment_index import SegmentIndex
from indexer.fingerprint import DEFAULT_FINGERPRINTER as FINGERPRINTER
from indexer.fingerprint import load_fingerprinter
from tests.indexer.conftest import write_sound

ENCODER = "echoic-mini/2"
N_KILLS = int(os.environ.get("ECHOIC_TEST_KILLS", "16"))  # CI kills fifty times
N_FILES = 40

SCHEMES = {
    FINGERPRINTER: (
        load_fingerprinter(FINGERPRINTER).keys,
        load_fingerprinter(FINGERPRINTER).key_bits,
    )
}

Contents = dict[str, tuple[str, bytes, bytes]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("crash") / "archive"
    for number in range(N_FILES):
        folder = root / f"folder-{number % 3}"
        write_sound(folder / f"{number}.wav", seed=number, length_s=0.2 + number % 7)
    shutil.copy(root / "folder-0" / "0.wav", root / "copy-of-0.wav")
    (root / "bad.wav").write_text("not audio")
    return root


def command(archive: Path, catalogue: Path) -> list[str]:
    index = [sys.executable, "-m", "ui", "index", str(archive), "--json", "--workers", "2"]
    return [*index, "--catalogue", str(catalogue)]


def run_to_the_end(archive: Path, catalogue: Path) -> dict[str, object]:
    ran = subprocess.run(command(archive, catalogue), capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr  # one file is bad
    finished: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return finished


def contents(folder: Path) -> Contents:
    """Return hash, vectors and landmarks of each file in a catalogue; fail if any stands twice."""
    with Catalogue.open(folder) as catalogue:
        found: Contents = {}
        for collection in catalogue.collections():
            for path, file in catalogue.known_files(collection.id).items():
                assert path not in found
                vectors = catalogue.vectors(file.recording_id, ENCODER)
                marks = catalogue.landmarks(file.recording_id, FINGERPRINTER)
                fingerprint = marks.frames.tobytes() + marks.frequencies.tobytes()
                found[path] = (file.content_hash, vectors.tobytes(), fingerprint)
        return found


def assert_whole(folder: Path, expected: Contents) -> None:
    """Whatever was committed is right; nothing stands twice; searches see all of it."""
    found = contents(folder)
    assert found.items() <= expected.items()
    with Catalogue.open(folder) as catalogue:
        faults = [
            problem
            for problem in consistency.check(catalogue, schemes=SCHEMES)
            if problem.where in ("database", "vectors", "fingerprints", "full-text")
        ]
        assert faults == []
        recordings = catalogue.recordings_with_vectors(ENCODER)
        assert catalogue.recordings_with_fingerprint(FINGERPRINTER) == recordings
        assert len(recordings) == len({hash_ for hash_, _, _ in found.values()})
        if recordings:
            index = SegmentIndex.open(catalogue, ENCODER)
            assert index.notes == []
            n_segments = sum(catalogue.recording(id_).n_segments[ENCODER] for id_ in recordings)
            assert len(index) == n_segments
            assert_all_are_found_by_their_keys(catalogue, recordings)


def assert_all_are_found_by_their_keys(catalogue: Catalogue, recordings: set[int]) -> None:
    expand, key_bits = SCHEMES[FINGERPRINTER]
    index = FingerprintIndex.open(catalogue, FINGERPRINTER, expand, key_bits=key_bits)
    assert index.notes == []
    n_keys = 0
    for recording in recordings:
        keys, frames = expand(catalogue.landmarks(recording, FINGERPRINTER))
        found = index.lookup(keys)
        owners, within = index.locate(found.frames)
        right = (owners == recording) & (within == frames[found.which])
        assert set(found.which[right].tolist()) == set(range(len(keys)))
        n_keys += len(keys)
    assert index.n_postings == n_keys


def kill_at_a_random_moment(archive: Path, catalogue: Path, rng: random.Random) -> bool:
    """Index and kill; return whether the run had ended before."""
    with subprocess.Popen(
        command(archive, catalogue),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout
        # Some in the start, most in the middle of the work or of writing the index.
        n_events = rng.choice([0, rng.randrange(1, N_FILES + 6)])
        for _ in range(n_events):
            if not process.stdout.readline():
                break
        time.sleep(rng.uniform(0.0, 0.05 if n_events else 1.5))
        ended = process.poll() is not None
        process.kill()
    return ended


def crash_again_and_again(
    archive: Path, folder: Path, expected: Contents, n_kills: int, seed: int
) -> int:
    """Kill, look, go on; return how many of the kills hit a run that had not ended."""
    rng = random.Random(seed)
    n_hit, n_catalogues = 0, 0
    for _ in range(n_kills):
        catalogue = folder / str(n_catalogues)
        n_hit += not kill_at_a_random_moment(archive, catalogue, rng)
        try:
            assert_whole(catalogue, expected)
        except CatalogueMissing:
            continue  # killed before it was made
        if contents(catalogue) == expected:
            n_catalogues += 1  # nothing left to interrupt: begin anew
    run_to_the_end(archive, catalogue)
    assert_whole(catalogue, expected)
    assert contents(catalogue) == expected
    with Catalogue.open(catalogue) as opened:
        assert list(consistency.check(opened, schemes=SCHEMES)) == []
        assert [failure.path for failure in opened.failures()] == ["bad.wav"]
    return n_hit


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_indexing_killed_at_random_moments_ends_as_if_never_interrupted(
    archive: Path, tmp_path: Path
) -> None:
    uninterrupted = run_to_the_end(archive, tmp_path / "uninterrupted")
    assert uninterrupted["outcomes"] == {"added": N_FILES, "linked": 1}
    expected = contents(tmp_path / "uninterrupted")
    assert len(expected) == N_FILES + 1
    # Two series side by side, for the time it takes.
    with ThreadPoolExecutor(2) as series:
        hits = list(
            series.map(
                lambda seed: crash_again_and_again(
                    archive, tmp_path / f"series-{seed}", expected, N_KILLS // 2, seed
                ),
                (1, 2),
            )
        )
    assert sum(hits) >= N_KILLS // 2, "most kills came too late to prove anything"


def test_a_polite_kill_of_all_processes_ends_the_run_and_blames_no_file(tmp_path: Path) -> None:
    sounds, catalogue = tmp_path / "sounds", tmp_path / "catalogue"
    write_sound(sounds / "a.wav")
    for name in ("b.wav", "c.wav", "d.wav"):
        write_sound(sounds / name, length_s=100.0, seed=ord(name[0]))
    with subprocess.Popen(
        command(sounds, catalogue),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if '"a.wav"' in line:
                os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 130
    with Catalogue.open(catalogue) as opened:
        (collection,) = opened.collections()
        assert opened.known_files(collection.id).keys() >= {"a.wav", "b.wav"}
        assert opened.failures() == []

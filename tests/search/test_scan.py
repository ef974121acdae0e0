"""Every place of an archive, looked at: places, noise, archives that change or are large."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

import search.scan
from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.landmarks import Landmarks
from db.writer import CatalogueWriter
from indexer.fingerprint_places import open_fingerprints
from indexer.landmarks import (
    ARCHIVE_PEAKS_PER_S,
    WITNESSES_PER_S,
    LandmarkFingerprinter,
    levels,
    quarter_bins,
    stored_frequencies,
)
from indexer.peaks import N_BINS
from search.fingerprints import FingerprintEngine
from search.scan import ArchiveScan
from tests.search.test_fingerprints import SR, add, add_all, ask, music, name_of, save

N_RECORDINGS = 12
N_FRAMES = 900
QUERY_FRAMES = 100


def stored(*pitched: float) -> NDArray[np.uint16]:
    """Return frequencies in quarters of a bin as landmarks have them."""
    n = len(pitched)
    level, is_witness = np.full(n, -9, np.float32), np.zeros(n, np.bool_)
    return stored_frequencies(np.array(pitched, np.float32), level, is_witness)


def scattered(seed: int) -> Landmarks:
    """Landmarks anywhere, a little more than one every other frame."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, N_FRAMES, 500).astype(np.int32)
    pitched = rng.integers(40, 4 * N_BINS - 40, len(frames)).astype(np.float32)
    frequencies = stored_frequencies(pitched, -pitched / 200, rng.random(len(frames)) < 0.3)
    order = np.lexsort((frequencies, frames))
    frames, frequencies = frames[order], frequencies[order]
    return Landmarks(frames, frequencies, N_FRAMES)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveFrames]:
    folder = tmp_path_factory.mktemp("scan") / "catalogue"
    with CatalogueWriter(Catalogue.open(folder, create=True)) as writer:
        add_all(writer, {f"{seed}.wav": scattered(seed) for seed in range(N_RECORDINGS)})
        save(writer)
    with Catalogue.open(folder) as opened:
        yield open_fingerprints(opened, LandmarkFingerprinter())


def spectrum_at(landmarks: Landmarks, start: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Return noise that rises where landmarks are, from a frame of their recording on."""
    rng = np.random.default_rng(seed)
    spectrum = rng.standard_normal((QUERY_FRAMES, N_BINS)).astype(np.float32)
    rows = landmarks.frames - start
    inside = (rows >= 0) & (rows < QUERY_FRAMES)
    bins = np.rint(quarter_bins(landmarks.frequencies[inside]) / 4).astype(np.int64)
    spectrum[rows[inside], bins] += np.float32(1.5)
    return spectrum


@pytest.mark.parametrize("start", [*range(300, 318), 0, -30, N_FRAMES - 60])
@pytest.mark.parametrize("number", [0, 5, N_RECORDINGS - 1])
def test_the_place_is_told_to_the_frame(archive: ArchiveFrames, number: int, start: int) -> None:
    first_frame, _ = archive.span(int(archive.recording_ids[number]))
    spectrum = spectrum_at(scattered(number), start, seed=number)
    assert ArchiveScan(archive).best(spectrum, 5)[0] == first_frame + start


def test_the_best_places_are_those_whose_sums_stand_out_most(archive: ArchiveFrames) -> None:
    rng = np.random.default_rng(1)
    spectrum = rng.integers(-100, 100, (QUERY_FRAMES, N_BINS)).astype(np.float32) / 16
    frames, frequencies = archive.landmarks(*archive.bounds)
    bins = np.rint(quarter_bins(frequencies) / 4).astype(np.int64)
    block, around = 16, 145
    n_before = -(-(QUERY_FRAMES + block - 1) // block)  # blocks
    begin = int(frames[0]) - block * n_before
    level, weights = levels(frequencies), np.zeros(len(frames))
    owners, _ = archive.locate(frames)
    for owner in set(owners.tolist()):
        for part in range(int(frames[0]) // 1024, int(frames[-1]) // 1024 + 1):
            near = (owners == owner) & (frames // 1024 == part)
            above = level[near] - level[near].mean() if near.any() else level[near]
            weights[near] = np.maximum(np.rint(4 / (1 + np.exp(-above / 2))), 1)
    assert set(weights.tolist()) == {1, 2, 3, 4}
    totals = []
    for start in range(
        begin, begin + block * (n_before + int(frames[-1] - frames[0]) // block + 1)
    ):
        inside = slice(*np.searchsorted(frames, (start, start + QUERY_FRAMES)))
        totals.append(float(spectrum[frames[inside] - start, bins[inside]] @ weights[inside]))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(totals, around // 2, mode="symmetric"), around
    )
    spread = windows.std(axis=1)
    local = (np.array(totals) - windows.mean(axis=1)) / (spread + np.median(spread) + 1 / 16)
    highest: dict[int, tuple[float, int]] = {}
    for start, (total, above) in enumerate(zip(totals, local.tolist(), strict=True), begin):
        row = (start - begin) // block
        near = np.searchsorted(
            frames, (start - (start - begin) % block + np.array([0, n_before * block]))
        )
        in_reach = float(np.square(weights[slice(*near)]).sum())
        looks = max(total, 0) / np.sqrt(in_reach + 1) * max(above, 0)
        highest[row] = max(highest.get(row, (-np.inf, 0)), (looks, start))
    expected: list[int] = []
    for _, start in sorted(highest.values(), reverse=True):
        if all(abs(start - other) >= 8 for other in expected):
            expected.append(start)
    assert ArchiveScan(archive).best(spectrum, 20) == expected[:20]


def test_steady_sound_does_not_hide_the_place_of_what_happens(tmp_path: Path) -> None:
    steady = np.repeat(np.arange(N_FRAMES, dtype=np.int32), 3)
    drone = Landmarks(steady, np.tile(stored(200, 240, 280), N_FRAMES), N_FRAMES)
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add_all(writer, {"drone.wav": drone, "0.wav": scattered(0)})
        save(writer)
    spectrum = spectrum_at(scattered(0), 400)
    spectrum[:, [50, 60, 70]] += 1.5  # more, all in all, than what happens gives
    with Catalogue.open(tmp_path) as opened:
        archive = open_fingerprints(opened, LandmarkFingerprinter())
        first_frame, _ = archive.span(int(archive.recording_ids[1]))
        assert ArchiveScan(archive).best(spectrum, 1) == [first_frame + 400]


def test_where_loud_landmarks_are_the_query_rises(tmp_path: Path) -> None:
    """As many landmarks agree in both, but noise has hidden the loud ones of one."""
    rng = np.random.default_rng(4)
    frames = np.sort(rng.integers(0, N_FRAMES, 600)).astype(np.int32)
    pitched = rng.integers(40, 4 * N_BINS - 40, len(frames)).astype(np.float32)
    loud, no_witness = rng.random(len(frames)) < 0.5, np.zeros(len(frames), np.bool_)
    spectrum = rng.standard_normal((N_FRAMES, N_BINS)).astype(np.float32) / 2
    spectrum[frames[loud], np.rint(pitched[loud] / 4).astype(np.int64)] += 1.2
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        for name, is_loud in (("faint.wav", ~loud), ("loud.wav", loud)):
            level = np.where(is_loud, -6, -14).astype(np.float32)
            frequencies = stored_frequencies(pitched, level, no_witness)
            order = np.lexsort((frequencies, frames))
            add_all(writer, {name: Landmarks(frames[order], frequencies[order], N_FRAMES)})
        save(writer)
    with Catalogue.open(tmp_path) as opened:
        archive = open_fingerprints(opened, LandmarkFingerprinter())
        spans = [archive.span(number) for number in archive.recording_ids.tolist()]
        found = ArchiveScan(archive).best(spectrum[:QUERY_FRAMES], 1)
    assert found == [spans[1][0]]


def test_a_quiet_recording_among_loud_ones_is_found_like_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    recordings = {}
    for number in range(30):
        frames = np.sort(rng.integers(0, 280, 150)).astype(np.int32)
        pitched = rng.integers(40, 4 * N_BINS - 40, 150).astype(np.float32)
        level = rng.normal(-22 if number % 10 == 5 else -7, 1, 150).astype(np.float32)
        frequencies = stored_frequencies(pitched, level, np.zeros(150, np.bool_))
        order = np.lexsort((frequencies, frames))
        recordings[f"{number}.wav"] = Landmarks(frames[order], frequencies[order], 280)
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add_all(writer, recordings)
        save(writer)
    with Catalogue.open(tmp_path) as opened:
        archive = open_fingerprints(opened, LandmarkFingerprinter())
        scan = ArchiveScan(archive)
        for number in (4, 5, 15, 25, 26):
            own = recordings[f"{number}.wav"]
            spectrum = spectrum_at(own, 100, seed=number)
            first_frame, _ = archive.span(int(archive.recording_ids[number]))
            assert scan.best(spectrum, 1) == [first_frame + 100]


def test_a_block_full_of_loud_landmarks_is_summed_without_overflow(tmp_path: Path) -> None:
    """As many within a quarter of a second as there may be, all loud and all agreeing."""
    n_faint, n = 800, ARCHIVE_PEAKS_PER_S + WITNESSES_PER_S
    frames = np.concatenate([np.full(n, 320), np.linspace(325, 1000, n_faint)]).astype(np.int32)
    pitched = np.concatenate([40.0 * np.arange(5, n + 5), np.full(n_faint, 400.0)])
    level = np.concatenate([np.zeros(n), np.full(n_faint, -20)]).astype(np.float32)
    witness = np.zeros(len(frames), np.bool_)
    frequencies = stored_frequencies(pitched.astype(np.float32), level, witness)
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add_all(writer, {"burst.wav": Landmarks(frames, frequencies, 1001)})
        save(writer)
    spectrum = np.zeros((QUERY_FRAMES, N_BINS), np.float32)
    spectrum[20, np.rint(pitched[:n] / 4).astype(np.int64)] = 8
    with Catalogue.open(tmp_path) as opened:
        archive = open_fingerprints(opened, LandmarkFingerprinter())
        first_frame, _ = archive.span(int(archive.recording_ids[0]))
        assert ArchiveScan(archive).best(spectrum, 1) == [first_frame + 300]


def test_what_was_removed_in_between_takes_no_time_and_moves_nothing(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        n_frames = 3 * 3600 * 125 // 2
        long = Landmarks(np.array([5], np.int32), stored(400), n_frames)
        add_all(writer, {"0.wav": scattered(0), "long.wav": long, "2.wav": scattered(2)})
        save(writer)
        with Catalogue.open(tmp_path) as opened:
            archive = open_fingerprints(opened, LandmarkFingerprinter())
            _, removed, kept = archive.recording_ids.tolist()
            first_frame, _ = archive.span(kept)
            files = opened.recordings([removed])[removed].files
            writer.forget_files(file.id for file in files)
            archive.refresh()
            scan = ArchiveScan(archive)
            for start in (-40, 0, 300, N_FRAMES - 60):
                spectrum = spectrum_at(scattered(2), start)
                tracemalloc.start()
                assert scan.best(spectrum, 1) == [first_frame + start]
                _, peak_bytes = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                assert peak_bytes < 12e6  # with three hours of numbers it would be 20 MB and more
            last_frame, _ = archive.span(int(archive.recording_ids[0]))
            assert scan.best(spectrum_at(scattered(0), N_FRAMES - 60), 1) == [
                last_frame + N_FRAMES - 60
            ]


def test_an_archive_without_landmarks_has_no_places(tmp_path: Path) -> None:
    spectrum = np.zeros((QUERY_FRAMES, N_BINS), dtype=np.float32)
    nothing = Landmarks(np.empty(0, np.int32), np.empty(0, np.uint16), N_FRAMES)
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add_all(writer, {"silence.wav": nothing})
        save(writer)
        with Catalogue.open(tmp_path) as opened:
            archive = open_fingerprints(opened, LandmarkFingerprinter())
            assert ArchiveScan(archive).best(spectrum, 5) == []
            (recording,) = opened.recordings(archive.recording_ids.tolist()).values()
            writer.forget_files(file.id for file in recording.files)
            archive.refresh()
            assert ArchiveScan(archive).best(spectrum, 5) == []


def rain(seed: int, duration_s: float) -> NDArray[np.float32]:
    """Drops, sixty a second, each of a pitch of its own, over steady noise."""
    rng = np.random.default_rng(seed)
    sound = 0.02 * rng.standard_normal(round(duration_s * SR))
    t = np.arange(round(0.03 * SR)) / SR
    for _ in range(round(60 * duration_s)):
        at = rng.integers(0, len(sound) - len(t))
        drop = np.sin(2 * np.pi * rng.uniform(300, 3500) * t) * np.exp(-120 * t)
        sound[at : at + len(t)] += 0.15 * rng.random() * drop
    return sound.astype(np.float32)


def test_rain_is_found_in_loud_noise_where_no_key_is_left(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        for seed in range(20):
            add(writer, f"{seed}.wav", rain(seed, 30), SR)
        save(writer)
    rng = np.random.default_rng(505)
    n_found = {True: 0, False: 0}
    with Catalogue.open(tmp_path) as opened:
        engine = FingerprintEngine(opened)
        for seed in range(8):
            excerpt = rain(seed, 30)[7 * SR : 17 * SR]
            noise = rng.standard_normal(len(excerpt)).astype(np.float32)
            heard = excerpt + noise * np.float32(7.5 * excerpt.std())
            for scanned in (True, False):
                with pytest.MonkeyPatch.context() as patch:
                    if not scanned:
                        patch.setattr(search.scan, "MOST_FRAMES", 0)
                    found = ask(engine, heard)
                right = [one for one in found if name_of(one) == f"{seed}.wav"]
                assert found == right
                n_found[scanned] += len(right)
    assert n_found[True] >= 7
    assert n_found[False] <= 4


def test_a_scan_knows_what_has_come_and_what_has_gone(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add_all(writer, {"0.wav": scattered(0), "1.wav": scattered(1)})
        save(writer)
        with Catalogue.open(tmp_path) as opened:
            archive = open_fingerprints(opened, LandmarkFingerprinter())
            scan = ArchiveScan(archive)
            spectrum = spectrum_at(scattered(2), 300)
            scan.best(spectrum, 1)
            add_all(writer, {"2.wav": scattered(2)})
            archive.refresh()
            first_frame, _ = archive.span(int(archive.recording_ids[2]))
            assert scan.best(spectrum, 1) == [first_frame + 300]
            recordings = opened.recordings(archive.recording_ids[2:].tolist())
            (recording,) = recordings.values()
            writer.forget_files(file.id for file in recording.files)
            archive.refresh()
            assert scan.best(spectrum, 1) != [first_frame + 300]
            assert scan.is_possible


def test_an_archive_of_more_than_a_day_is_not_scanned(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add(writer, "music.wav", music(3, 20), SR)
        nothing = Landmarks(np.empty(0, np.int32), np.empty(0, np.uint16), 25 * 3600 * 125 // 2)
        add_all(writer, {"a day.wav": nothing})
        save(writer)
    with Catalogue.open(tmp_path) as opened:
        archive = open_fingerprints(opened, LandmarkFingerprinter())
        assert not ArchiveScan(archive).is_possible
        engine = FingerprintEngine(opened)
        heard = soxr.resample(music(3, 20)[5 * SR : 12 * SR], SR, engine.sample_rate)
        (match,) = engine.identify_samples(heard)
        assert name_of(match) == "music.wav"

"""Pieces that share a tempo and a drum machine, and bars that are much like other bars."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from indexer.landmarks import (
    UNCHANGED,
    Change,
    LandmarkFingerprinter,
    QueryPeaks,
    stored_frequencies,
)
from indexer.peaks import Spectrum
from search.changes import changes_within
from search.evidence import Evidence
from search.fingerprint_candidates import Candidate, is_alike
from search.fingerprints import FingerprintEngine
from search.identify import Matcher
from search.verification import Verifier
from tests.search.test_fingerprints import (
    SR,
    add,
    ask,
    index,
    landmarks_of,
    music,
    name_of,
    save,
)

BPM = 120
BAR_S = 4 * 60 / BPM
N_PIECES = 4
_STEPS = 16  # a bar


def piece(seed: int, *, n_bars: int = 16, drums: float = 1.0) -> NDArray[np.float32]:
    """Notes of its own over a drum machine that all pieces share; no two bars are the same."""
    rng = np.random.default_rng(seed)
    step_s = BAR_S / _STEPS
    sound = 1e-3 * rng.standard_normal(round((n_bars * BAR_S + 1) * SR))
    for step in range(n_bars * _STEPS):
        at = round(step * step_s * SR)
        for hit in _drums(step % _STEPS, rng):
            sound[at : at + len(hit)] += drums * hit
        if rng.random() < 0.7:
            note = _note(220 * 2 ** (rng.integers(0, 30) / 12), rng.integers(1, 4) * step_s)
            sound[at : at + len(note)] += note
    return (0.3 * sound[: round(n_bars * BAR_S * SR)]).astype(np.float32)


def _drums(step: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Kick, snare and hat: the same pattern and spectra, but the noise is new each time."""
    t = np.arange(round(0.2 * SR)) / SR
    if step in (0, 3, 8, 11):
        yield np.sin(2 * np.pi * (55 * t + 3 * (1 - np.exp(-30 * t)))) * np.exp(-14 * t)
    if step in (4, 12):
        yield 0.6 * rng.standard_normal(len(t)) * np.exp(-22 * t)
    if step % 2 == 0 or step == 15:
        yield 0.4 * np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-60 * t)


def _note(frequency: float, duration_s: float) -> NDArray[np.float64]:
    t = np.arange(round(duration_s * SR)) / SR
    wave = sum(np.sin(2 * np.pi * k * frequency * t) / k for k in (1, 3, 5))
    return 0.15 * np.asarray(wave) * np.exp(-3 * t)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FingerprintEngine]:
    folder = tmp_path_factory.mktemp("beats")
    recordings = {f"{seed}.wav": piece(seed) for seed in range(N_PIECES)}
    recordings["jingle.wav"] = music(50)
    with index(folder / "catalogue", folder / "sounds", recordings) as opened:
        yield FingerprintEngine(opened)


@pytest.mark.parametrize("seconds", [5.0, 10.0])
def test_a_piece_is_not_taken_for_another_of_the_same_drum_machine(
    engine: FingerprintEngine, seconds: float
) -> None:
    for seed in range(100, 108):
        other = piece(seed, n_bars=8)[: round(seconds * SR)]
        assert ask(engine, other) == []
        if seed < 104:
            heard = soxr.resample(other, SR, engine.sample_rate)
            assert engine.identify_samples(heard, all_occurrences=True) == []


@pytest.mark.parametrize("seconds", [2.5, 3.0])
def test_a_jingle_after_drums_is_found_and_the_drums_are_nobodys(
    engine: FingerprintEngine, seconds: float
) -> None:
    found = []
    for seed in range(100, 104):
        jingle = music(50)[10 * SR : 10 * SR + round(seconds * SR)]
        drums = piece(seed, n_bars=8)[: 10 * SR - len(jingle)]
        found += [name_of(match) for match in ask(engine, np.concatenate([drums, jingle]))]
    assert set(found) == {"jingle.wav"}
    assert len(found) >= 3


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_a_piece_with_drums_is_found_in_noise_too(engine: FingerprintEngine, level: float) -> None:
    noise = level * np.random.default_rng(7).standard_normal(10 * SR).astype(np.float32)
    for seed in range(N_PIECES):
        start = round((2 + seed) * BAR_S * SR) + 1000
        (match,) = ask(engine, piece(seed)[start : start + 10 * SR] + noise)
        assert name_of(match) == f"{seed}.wav"
        began_s = match.onset_s - match.query_onset_s
        assert began_s == pytest.approx(start / SR, abs=0.1)


def loop(seed: int, *, n_times: int = 16) -> NDArray[np.float32]:
    """One bar of drums and bass over and over, the same to the last sample."""
    rng = np.random.default_rng(seed)
    bar = 1e-3 * rng.standard_normal(round(BAR_S * SR))
    for step in range(_STEPS):
        at = round(step * BAR_S / _STEPS * SR)
        sounds = list(_drums(int(rng.integers(_STEPS)), rng))
        if rng.random() < 0.4:
            sounds.append(_note(80 * 2 ** (rng.integers(0, 12) / 12), BAR_S / _STEPS))
        for sound in sounds:
            heard = sound[: len(bar) - at]
            bar[at : at + len(heard)] += heard
    return np.tile((0.3 * bar).astype(np.float32), n_times)


@pytest.mark.parametrize("level", [0.0, 0.05, 0.1])
def test_a_bare_loop_is_found_in_noise_though_all_of_it_recurs(
    tmp_path: Path, level: float
) -> None:
    recordings = {f"{seed}.wav": loop(seed) for seed in range(6)}
    noise = level * np.random.default_rng(77).standard_normal(10 * SR).astype(np.float32)
    with index(tmp_path / "catalogue", tmp_path / "sounds", recordings) as opened:
        engine = FingerprintEngine(opened)
        for seed in range(6):
            (match,) = ask(engine, loop(seed)[9 * SR : 19 * SR] + noise)
            assert name_of(match) == f"{seed}.wav"
            late = (match.onset_s - match.query_onset_s - 9) % BAR_S
            assert min(late, BAR_S - late) < 0.05
        for seed in (101, 102, 103, 109, 110, 111, 113, 119):
            assert ask(engine, loop(seed)[9 * SR : 19 * SR] + noise) == []


def repeated(seed: int, *, n_bars: int = 24, pitch: float = 1.0) -> NDArray[np.float32]:
    """Drums, and one bar of notes over and over, of which each time a quarter are others."""
    rng = np.random.default_rng(seed)
    bar = rng.integers(0, 30, _STEPS)
    sound = 1e-3 * rng.standard_normal(round((n_bars * BAR_S + 1) * SR))
    for number in range(n_bars):
        played = np.where(rng.random(_STEPS) < 0.25, rng.integers(0, 30, _STEPS), bar)
        for step, tone in enumerate(played.tolist()):
            at = round((number * BAR_S + step * BAR_S / _STEPS) * SR)
            note = _note(pitch * 330 * 2 ** (tone / 12), 2 * BAR_S / _STEPS)
            sound[at : at + len(note)] += note
            for hit in _drums(step, rng):
                sound[at : at + len(hit)] += 0.5 * hit
    return (0.3 * sound[: round(n_bars * BAR_S * SR)]).astype(np.float32)


@pytest.mark.parametrize("pitch", [1.02, 0.98])
def test_another_pitch_is_told_though_attacks_and_drums_agree_without_it(
    tmp_path: Path, pitch: float
) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add(writer, "bars.wav", repeated(1), SR)
        save(writer)
    shifted = repeated(1, pitch=pitch)
    told = []
    with Catalogue.open(tmp_path) as opened:
        engine = FingerprintEngine(opened)
        for bar in range(2, 18, 3):
            start = round(bar * BAR_S * SR) + 700
            (match,) = ask(engine, shifted[start : start + 5 * SR])
            began_s = match.onset_s - match.query_onset_s
            assert began_s == pytest.approx(start / SR, abs=0.1)
            told.append(match.pitch)
    # Where the drums are nearly all, none is told.
    changed = [found for found in told if found != 1]
    assert len(changed) >= 2
    assert changed == pytest.approx([pitch] * len(changed), abs=0.003)


def test_likenesses_of_many_changes_are_those_of_weighing_each() -> None:
    fingerprinter = LandmarkFingerprinter()
    sound = soxr.resample(piece(0)[: 6 * SR], SR, fingerprinter.sample_rate)
    verifier = Verifier(*fingerprinter.query(sound))
    own = landmarks_of(piece(0)[: 8 * SR])
    landmarks = own.frames.astype(np.int64) + 5000, own.frequencies
    changes = [UNCHANGED, *changes_within(0.012), Change(1.5, 1.0)]
    # The last lies beyond the landmarks.
    begins = [5000.0 + 40 * number for number in range(len(changes) - 1)] + [9000.0]
    told = verifier.likenesses(begins, changes, landmarks)
    weighed = [
        verifier.weigh(begin, 0.0, landmarks, change).likeness
        for begin, change in zip(begins, changes, strict=True)
    ]
    # The lag with most votes by weight may be another than that of the greatest likeness.
    assert told == pytest.approx(weighed, abs=0.3)
    assert told[0] == pytest.approx(weighed[0], abs=1e-5)
    assert told[0] > told[1:-1].max() > told[1:-1].min() > 0 == told[-1]


def matcher(engine: FingerprintEngine) -> Matcher:
    return Matcher(
        engine._index, engine._fingerprinter, sure=(16.0, 14.0), changes=changes_within(0.024)
    )


def test_in_noise_loud_landmarks_are_enough_to_be_sure_at_once(engine: FingerprintEngine) -> None:
    sound = piece(1)[8 * SR : 18 * SR]
    noise = 0.12 * np.random.default_rng(5).standard_normal(len(sound)).astype(np.float32)
    heard = soxr.resample(sound + noise, SR, engine.sample_rate)
    best = matcher(engine).candidates(heard)[0]
    assert best.evidence.likeness < 2.5 < best.evidence.loud_likeness
    assert best.effort == 0


@pytest.mark.parametrize(
    ("likeness", "loud_likeness", "by_all", "by_loud"),
    [(2.6, 2.0, True, True), (1.3, 2.4, False, True), (2.3, 2.2, False, False)],
)
def test_an_excerpt_of_another_pitch_is_not_alike(
    likeness: float, loud_likeness: float, by_all: bool, by_loud: bool
) -> None:
    """The last as of pieces that were asked for at a pitch 2 % off, and agreed by their rhythm."""
    none = np.empty(0, dtype=np.int64)
    evidence = Evidence(0.0, 30.0, 9.0, likeness, loud_likeness, none, none.astype(np.bool_), 0.1)
    candidates = [Candidate(evidence, UNCHANGED, 0)]
    assert is_alike(candidates, by_loud=False) == by_all
    assert is_alike(candidates, by_loud=True) == by_loud
    assert not is_alike([], by_loud=True)


def test_loud_landmarks_are_not_enough_where_a_recording_repeats_itself(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path, create=True)) as writer:
        add(writer, "bars.wav", repeated(1), SR)
        save(writer)
    sound = repeated(1)[8 * SR : 18 * SR]
    noise = 0.12 * np.random.default_rng(5).standard_normal(len(sound)).astype(np.float32)
    with Catalogue.open(tmp_path) as opened:
        engine = FingerprintEngine(opened)
        heard = soxr.resample(sound + noise, SR, engine.sample_rate)
        candidates = matcher(engine).candidates(heard)
    best = candidates[0]
    assert best.evidence.likeness < 2.5 < best.evidence.loud_likeness
    assert best.effort > 0
    # Nor after a thorough search: changes of speed and pitch are tried, too.
    assert any(candidate.effort == 2 for candidate in candidates)
    assert best.evidence.frame * 128 / 8000 == pytest.approx(8.0, abs=0.05)


def test_a_glance_tells_the_right_place_in_loud_noise() -> None:
    fingerprinter = LandmarkFingerprinter()
    sound = soxr.resample(piece(0, drums=0.0)[: 5 * SR], SR, fingerprinter.sample_rate)
    noise = 0.2 * np.random.default_rng(3).standard_normal(len(sound)).astype(np.float32)
    verifier = Verifier(*fingerprinter.query(sound + noise))
    places = []
    for seed in range(20):
        own = landmarks_of(piece(seed, drums=0.0)[: 5 * SR])
        places.append((own.frames.astype(np.int64) + 1000 * seed, own.frequencies))
    looks = verifier.glance([1000.0 * seed for seed in range(20)], places)
    assert int(np.argmax(looks)) == 0
    assert looks[0] > 2 * np.sort(looks)[-2]


@pytest.mark.parametrize(("held", "n_frames"), [(False, 560), (True, 560), (True, 172)])
def test_what_agrees_at_one_moment_is_a_beat_and_what_goes_on_is_a_held_note(
    held: bool, n_frames: int
) -> None:
    rng = np.random.default_rng(3)
    lag, n = 130, 150
    rows = np.sort(rng.integers(20, n_frames // 2, n))
    bins = rng.integers(20, 480, n)
    heights = rng.normal(0, 0.7, (n_frames, 512)).astype(np.float32)
    heights[rows, bins] += 1.5
    # What the query has later: notes that are held, or the same beat once more.
    for late in range(40, n_frames) if held else (lag,):
        inside = rows + late < n_frames
        heights[rows[inside] + late, bins[inside]] += 1.5
    peaks = QueryPeaks(rows.astype(np.float32), (4 * bins).astype(np.float32))
    verifier = Verifier(peaks, Spectrum(heights, np.zeros(512, dtype=np.float32)))
    level, is_witness = np.full(n, -3, dtype=np.float32), np.zeros(n, dtype=np.bool_)
    landmarks = rows + 1000, stored_frequencies(peaks.frequencies, level, is_witness)
    evidence = verifier.weigh(1000.0, 0.0, landmarks)
    share = verifier.recurrence(evidence, landmarks)
    assert share < 0.5 if held else share > 0.8


@pytest.mark.parametrize("whole", [True, False])
def test_over_a_loop_the_rest_has_to_be_heard_too(whole: bool) -> None:
    """Two thirds of the recording are a loop; the query holds all of it, or the loop alone."""
    rng = np.random.default_rng(11)
    n_frames, lag, n_loop, n_rest = 560, 130, 40, 60
    times = np.arange(4)[:, np.newaxis] * lag
    loop_rows = (rng.integers(20, 20 + lag, n_loop) + times).ravel()
    loop_bins = np.tile(rng.integers(20, 480, n_loop), 4)
    rows = np.concatenate([loop_rows, rng.integers(20, n_frames - 20, n_rest)])
    bins = np.concatenate([loop_bins, rng.integers(20, 480, n_rest)])
    heard = slice(None) if whole else slice(0, len(loop_rows))
    share = _recurrence(rows, bins, np.full(len(rows), -3.0), heard, n_frames)
    assert share == 0.0 if whole else share > 0.8


def _recurrence(
    rows: NDArray[np.int64],
    bins: NDArray[np.int64],
    level: NDArray[np.float64],
    heard: slice,
    n_frames: int,
) -> float:
    """Return what recurs of a query in which some landmarks of the recording rise from noise."""
    heights = np.random.default_rng(3).normal(0, 0.7, (n_frames, 512)).astype(np.float32)
    heights[rows[heard], bins[heard]] += 1.5
    order = np.lexsort((bins[heard], rows[heard]))
    peaks = QueryPeaks(
        rows[heard][order].astype(np.float32), (4 * bins[heard][order]).astype(np.float32)
    )
    verifier = Verifier(peaks, Spectrum(heights, np.full(512, -8, dtype=np.float32)))
    order = np.lexsort((bins, rows))
    stored = stored_frequencies(
        (4 * bins[order]).astype(np.float32),
        level[order].astype(np.float32),
        np.zeros(len(rows), dtype=np.bool_),
    )
    landmarks = rows[order].astype(np.int64), stored
    return verifier.recurrence(verifier.weigh(0.0, 0.0, landmarks), landmarks)


def over_a_sampled_loop(seed: int, *, n_bars: int = 12) -> NDArray[np.float32]:
    """Notes of its own over drums that are the same to the last sample in every piece."""
    rng, drums = np.random.default_rng(seed), np.random.default_rng(7)
    hits = [list(_drums(step, drums)) for step in range(_STEPS)]
    sound = 1e-3 * rng.standard_normal(round((n_bars * BAR_S + 1) * SR))
    for step in range(n_bars * _STEPS):
        at = round(step * BAR_S / _STEPS * SR)
        for hit in hits[step % _STEPS]:
            sound[at : at + len(hit)] += hit
        if rng.random() < 0.4:
            note = _note(220 * 2 ** (rng.integers(0, 30) / 12), rng.integers(1, 4) * BAR_S / _STEPS)
            sound[at : at + len(note)] += 3 * note
    return (0.2 * sound[: round(n_bars * BAR_S * SR)]).astype(np.float32)


def test_pieces_over_one_sampled_loop_are_told_apart_in_noise(tmp_path: Path) -> None:
    recordings = {f"{seed}.wav": over_a_sampled_loop(seed) for seed in range(3)}
    with index(tmp_path / "catalogue", tmp_path / "sounds", recordings) as opened:
        engine = FingerprintEngine(opened)
        for seed in (0, 1, 2, 100, 101, 102, 103):
            noise = 0.05 * np.random.default_rng(seed).standard_normal(10 * SR).astype(np.float32)
            found = ask(engine, over_a_sampled_loop(seed)[5000 : 5000 + 10 * SR] + noise)
            assert [name_of(match) for match in found] == ([f"{seed}.wav"] if seed < 3 else [])

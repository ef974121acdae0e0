"""Excerpts and programmes against a small archive of made-up music, and against real music."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.fingerprint_index import save_fingerprint_index
from db.landmarks import Landmarks
from db.records import Analysis, Description, FileState, SchemeInfo, Technical
from db.storage import file_state
from db.writer import CatalogueWriter
from indexer.errors import AudioError
from indexer.landmarks import LandmarkFingerprinter
from indexer.mono import read_mono
from search.errors import QueryError
from search.fingerprints import FingerprintEngine, Match, _strongest

SR = 16000
DURATION_S = 60.0
N_RECORDINGS = 6


def music(seed: int, duration_s: float = DURATION_S) -> NDArray[np.float32]:
    """Chords of random notes, a drum, faint noise; never twice the same."""
    rng = np.random.default_rng(seed)
    sound = 1e-3 * rng.standard_normal(round(duration_s * SR))
    onset = 0
    while onset < len(sound):
        t = np.arange(min(round(0.6 * SR), len(sound) - onset)) / SR
        for _ in range(3):
            frequency = 110 * 2 ** (rng.integers(0, 40) / 12)
            for partial in (1, 2, 3):
                wave = np.sin(2 * np.pi * partial * frequency * t)
                sound[onset : onset + len(t)] += 0.1 / partial * np.exp(-5 * t) * wave
        onset += round(rng.uniform(0.12, 0.4) * SR)
    return sound.astype(np.float32)


def landmarks_of(samples: NDArray[np.float32], sr: int = SR) -> Landmarks:
    fingerprinter = LandmarkFingerprinter()
    stream = fingerprinter.stream()
    stream.push(soxr.resample(samples, sr, fingerprinter.sample_rate))
    return stream.finish()


def add(writer: CatalogueWriter, name: str, samples: NDArray[np.float32], sr: int) -> None:
    """Store a recording's fingerprint as indexing does."""
    add_all(writer, {name: landmarks_of(samples, sr)})


def add_all(writer: CatalogueWriter, recordings: dict[str, Landmarks]) -> None:
    fingerprinter = LandmarkFingerprinter()
    scheme = SchemeInfo(fingerprinter.id, fingerprinter.frame_s)
    collections = writer.catalogue.collections()
    collection = collections[0] if collections else writer.add_collection("music", "/music")
    files = [Path(collection.root) / name for name in recordings]
    states = [file_state(file) if file.exists() else FileState(0, 0) for file in files]
    writer.store(
        [
            Analysis(
                collection.id,
                name,
                state,
                f"sha256:{name}",
                Technical(landmarks.n_frames * scheme.frame_s, SR, 1, "WAV", "PCM_16", 16),
                Description(title=name),
                {},
                None,
                {},
                None,
                {scheme: landmarks},
            )
            for (name, landmarks), state in zip(recordings.items(), states, strict=True)
        ]
    )


def index(catalogue: Path, folder: Path, recordings: dict[str, NDArray[np.float32]]) -> Catalogue:
    """Write recordings into files, and store their fingerprints as indexing does."""
    folder.mkdir()
    with CatalogueWriter(Catalogue.open(catalogue, create=True)) as writer:
        writer.add_collection("sounds", str(folder))
        for name, samples in recordings.items():
            soundfile.write(folder / name, samples, SR, subtype="FLOAT")
            add(writer, name, samples, SR)
        save(writer)
    return Catalogue.open(catalogue)


def save(writer: CatalogueWriter) -> None:
    fingerprinter = LandmarkFingerprinter()
    notes = save_fingerprint_index(
        writer, fingerprinter.id, fingerprinter.keys, key_bits=fingerprinter.key_bits
    )
    assert notes == []


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    folder = tmp_path_factory.mktemp("fingerprints") / "catalogue"
    with CatalogueWriter(Catalogue.open(folder, create=True)) as writer:
        for seed in range(N_RECORDINGS):
            add(writer, f"{seed}.wav", music(seed), SR)
        save(writer)
    with Catalogue.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(catalogue: Catalogue) -> FingerprintEngine:
    return FingerprintEngine(catalogue)


def ask(engine: FingerprintEngine, samples: NDArray[np.float32]) -> list[Match]:
    return engine.identify_samples(soxr.resample(samples, SR, engine.sample_rate))


def name_of(match: Match) -> str:
    return match.recording.files[0].path


def write(path: Path, samples: NDArray[np.float32]) -> Path:
    soundfile.write(path, samples, SR)
    return path


def test_what_is_no_number_counts_as_silence(engine: FingerprintEngine) -> None:
    sound = music(2)[5 * SR : 15 * SR]
    heard = soxr.resample(sound, SR, engine.sample_rate)
    heard[20000] = np.nan
    heard[30000] = np.inf
    (match,) = engine.identify_samples(heard)
    assert name_of(match) == "2.wav"
    assert match.onset_s - match.query_onset_s == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize(
    ("duration_s", "p_false"), [(2.0, 1e-4), (5.0, 1e-8), (10.0, 1e-12), (14.5, 1e-12)]
)
def test_an_excerpt_is_found_where_it_was_cut(
    engine: FingerprintEngine, duration_s: float, p_false: float
) -> None:
    at = round(23.456 * SR)
    (match,) = ask(engine, music(3)[at : at + round(duration_s * SR)])
    assert name_of(match) == "3.wav"
    start_s = match.onset_s - match.query_onset_s
    assert start_s == pytest.approx(23.456, abs=0.03)
    assert match.query_offset_s - match.query_onset_s > 0.8 * duration_s
    assert match.p_false < p_false
    assert (match.speed, match.pitch) == (1.0, 1.0)


def test_an_excerpt_under_noise_and_through_a_telephone_is_found(
    engine: FingerprintEngine,
) -> None:
    at = 30 * SR
    excerpt = music(2)[at : at + 8 * SR]
    noise = np.random.default_rng(1).standard_normal(len(excerpt)).astype(np.float32)
    excerpt = excerpt + noise * excerpt.std()
    spectrum = np.fft.rfft(excerpt)
    frequencies = np.fft.rfftfreq(len(excerpt), 1 / SR)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    (match,) = ask(engine, np.fft.irfft(spectrum).astype(np.float32))
    assert name_of(match) == "2.wav"
    assert match.onset_s - match.query_onset_s == pytest.approx(30, abs=0.05)


@pytest.mark.parametrize("speed", [0.98, 1.02])
def test_a_tape_at_the_wrong_speed_is_found_and_its_speed_told(
    engine: FingerprintEngine, speed: float
) -> None:
    at = 20 * SR
    excerpt = music(1)[at : at + 11 * SR]
    (match,) = ask(engine, soxr.resample(excerpt, SR * speed, SR)[: 10 * SR])
    assert name_of(match) == "1.wav"
    assert match.speed == pytest.approx(speed, abs=0.0025)
    assert match.pitch == match.speed
    assert match.onset_s - match.query_onset_s * match.speed == pytest.approx(20, abs=0.1)


def test_a_tape_slightly_beyond_what_is_tried_is_told_right(engine: FingerprintEngine) -> None:
    at = 20 * SR
    excerpt = soxr.resample(music(1)[at : at + 11 * SR], SR * 1.03, SR)[: 10 * SR]
    (match,) = ask(engine, excerpt)
    assert name_of(match) == "1.wav"
    assert match.speed == pytest.approx(1.03, abs=0.002)


def test_a_short_insert_is_told_where_it_is_and_unchanged(
    engine: FingerprintEngine, tmp_path: Path
) -> None:
    quiet = 0.05 * np.random.default_rng(5).standard_normal(9 * SR).astype(np.float32)
    sound = np.concatenate([quiet, music(4)[30 * SR : 34 * SR], quiet])
    (match,) = engine.identify(write(tmp_path / "insert.wav", sound))
    assert match.query_onset_s == pytest.approx(9, abs=0.5)
    assert match.query_offset_s == pytest.approx(13, abs=0.5)
    assert (match.speed, match.pitch) == (1.0, 1.0)


def test_a_tape_eight_percent_too_fast_is_found_only_when_asked_for(
    engine: FingerprintEngine, catalogue: Catalogue
) -> None:
    at = 20 * SR
    excerpt = soxr.resample(music(1)[at : at + 11 * SR], SR * 1.08, SR)[: 10 * SR]
    assert ask(engine, excerpt) == []
    (match,) = ask(FingerprintEngine(catalogue, max_change=0.1), excerpt)
    assert name_of(match) == "1.wav"
    assert match.speed == pytest.approx(1.08, abs=0.003)


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("kind", ["speed", "pitch", "tempo"])
def test_ten_percent_of_speed_pitch_or_tempo_are_found_and_told_apart(
    catalogue: Catalogue, kind: str, factor: float
) -> None:
    sound = music(1)[20 * SR : 32 * SR]
    if kind != "speed":  # stretched: by itself a change of tempo, resampled as well one of pitch
        rate = factor if kind == "tempo" else 1 / factor
        sound = librosa.effects.time_stretch(sound, rate=rate)
    if kind != "tempo":
        sound = soxr.resample(sound, SR * factor, SR)
    (match,) = ask(FingerprintEngine(catalogue, max_change=0.1), sound[: 10 * SR])
    assert name_of(match) == "1.wav"
    assert match.onset_s - match.query_onset_s * match.speed == pytest.approx(20, abs=0.1)
    expected = {"speed": (factor, factor), "pitch": (1, factor), "tempo": (factor, 1)}[kind]
    assert (match.speed, match.pitch) == pytest.approx(expected, abs=0.003)


def test_music_that_is_not_in_the_archive_is_not_found(engine: FingerprintEngine) -> None:
    for seed in range(100, 104):
        assert ask(engine, music(seed, 10)) == []


@pytest.mark.parametrize("seconds", [0.0, 0.3, 5.0])
def test_silence_is_nobodys(engine: FingerprintEngine, seconds: float) -> None:
    assert ask(engine, np.zeros(round(seconds * SR), dtype=np.float32)) == []


def test_every_occurrence_is_told_when_asked_for(tmp_path: Path) -> None:
    jingle = music(50, 6)
    sound = music(51)
    sound[10 * SR : 16 * SR] = jingle
    sound[40 * SR : 46 * SR] = jingle
    other = music(52)
    other[25 * SR : 31 * SR] = 0.5 * jingle
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add(writer, "sound.wav", sound, SR)
        add(writer, "other.wav", other, SR)
        save(writer)
    with Catalogue.open(tmp_path / "catalogue") as opened:
        engine = FingerprintEngine(opened)
        found = engine.identify(write(tmp_path / "jingle.wav", jingle), all_occurrences=True)
        assert len(engine.identify(tmp_path / "jingle.wav")) == 1
        two = engine.identify(tmp_path / "jingle.wav", all_occurrences=True, limit=2)
    starts = sorted((name_of(m), round(m.onset_s - m.query_onset_s, 1)) for m in found)
    assert starts == [("other.wav", 25.0), ("sound.wav", 10.0), ("sound.wav", 40.0)]
    assert two == found[:2]
    assert two[0].score > found[2].score


def test_the_strongest_of_many_matches_stay_in_their_order(engine: FingerprintEngine) -> None:
    (match,) = ask(engine, music(4)[5 * SR : 15 * SR])
    scored = [replace(match, score=score) for score in (20.0, 10.0, 30.0, 20.0)]
    assert [one.score for one in _strongest(scored, 3)] == [20.0, 30.0, 20.0]
    assert _strongest(scored, 9) == scored


@pytest.mark.parametrize("speed", [1.0, 1.02])
def test_the_right_one_of_several_repetitions_is_named(tmp_path: Path, speed: float) -> None:
    loop = music(70, 8)
    sound = np.concatenate([loop + 0.05 * music(71 + number, 8) for number in range(5)])
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add(writer, "loops.wav", sound, SR)
        save(writer)
    with Catalogue.open(tmp_path / "catalogue") as opened:
        engine = FingerprintEngine(opened)
        for number in range(4):
            at = round((8 * number + 1.1) * SR)
            excerpt = soxr.resample(sound[at : at + 7 * SR], SR * speed, SR)[: 6 * SR]
            (match,) = ask(engine, excerpt)
            start_s = match.onset_s - match.query_onset_s * match.speed
            assert start_s == pytest.approx(8 * number + 1.1, abs=0.1)
            assert match.speed == pytest.approx(speed, abs=0.0025)


def test_a_programme_gives_what_was_played_when(engine: FingerprintEngine, tmp_path: Path) -> None:
    programme = np.concatenate(
        [music(200, 20), music(4)[5 * SR : 35 * SR], music(201, 12), music(0)[20 * SR : 45 * SR]]
    )
    first, second = engine.identify(write(tmp_path / "radio.wav", programme))
    assert [name_of(first), name_of(second)] == ["4.wav", "0.wav"]
    assert first.query_onset_s == pytest.approx(20, abs=1)
    assert first.query_offset_s == pytest.approx(50, abs=1)
    assert first.onset_s == pytest.approx(5, abs=1)
    assert second.query_onset_s == pytest.approx(62, abs=1)
    assert second.query_offset_s == pytest.approx(87, abs=1)
    assert second.offset_s == pytest.approx(45, abs=1)


def test_a_programme_over_an_archive_with_copies_gives_one_track_for_each_item(
    tmp_path: Path,
) -> None:
    items = [music(80 + number, 60) for number in range(2)]
    rng = np.random.default_rng(3)
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        for number, item in enumerate(items):
            for copy in range(3):
                noise = 0.02 * rng.standard_normal(len(item)).astype(np.float32)
                add(writer, f"{number} copy {copy}.wav", item + noise, SR)
        save(writer)
    noise = 0.1 * rng.standard_normal(110 * SR).astype(np.float32)
    programme = np.concatenate([items[0][: 50 * SR], items[1]]) + noise
    with Catalogue.open(tmp_path / "catalogue") as opened:
        found = FingerprintEngine(opened).identify(write(tmp_path / "radio.wav", programme))
    assert [name_of(match)[0] for match in found] == ["0", "1"]
    assert found[0].query_onset_s == pytest.approx(0, abs=1.5)
    assert found[0].query_offset_s == pytest.approx(50, abs=1.5)
    assert found[1].query_onset_s == pytest.approx(50, abs=1.5)
    assert found[1].query_offset_s == pytest.approx(110, abs=1.5)


@pytest.mark.parametrize(("loop_s", "n_times"), [(4.0, 9), (3.0, 12)])
def test_a_recording_of_loops_is_told_as_one_and_not_as_its_repetitions(
    tmp_path: Path, loop_s: float, n_times: int
) -> None:
    loops = np.tile(music(40, loop_s), n_times)
    piece = np.concatenate([music(50, 25), loops])
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add(writer, "loops last.wav", piece, SR)
        add(writer, "loops first.wav", np.concatenate([loops, music(60, 23)]), SR)
        (match,) = ask(FingerprintEngine(writer.catalogue), piece)
    assert match.recording.files[0].path == "loops last.wav"
    assert (match.onset_s, match.query_onset_s) == pytest.approx((0, 0), abs=0.5)
    assert (match.offset_s, match.query_offset_s) == pytest.approx((61, 61), abs=0.5)


def test_a_jingle_in_thousands_of_recordings_is_found(tmp_path: Path) -> None:
    jingle = music(90, 8)
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add_all(writer, {f"{n}.wav": landmarks_of(music(n, 60)) for n in range(3)})
        again = landmarks_of(jingle)
        add_all(writer, {f"jingle {number}.wav": again for number in range(1500)})
        save(writer)
    with Catalogue.open(tmp_path / "catalogue") as opened:
        (match,) = ask(FingerprintEngine(opened), jingle[SR : 7 * SR])
        assert name_of(match).startswith("jingle")
        assert match.onset_s - match.query_onset_s == pytest.approx(1, abs=0.05)


def test_an_improbable_match_is_given_to_those_who_accept_it(engine: FingerprintEngine) -> None:
    found = [ask_loosely(engine, music(seed, 3)) for seed in range(300, 320)]
    assert any(match.p_false > 0.1 for matches in found for match in matches)


def ask_loosely(engine: FingerprintEngine, samples: NDArray[np.float32]) -> list[Match]:
    return engine.identify_samples(soxr.resample(samples, SR, engine.sample_rate), p_false=0.9)


def test_times_of_a_part_count_from_the_start_of_the_file(
    engine: FingerprintEngine, tmp_path: Path
) -> None:
    path = write(tmp_path / "whole.wav", music(5))
    (match,) = engine.identify(path, from_s=30, to_s=38)
    assert 30 <= match.query_onset_s < 31
    assert match.onset_s == pytest.approx(match.query_onset_s, abs=0.03)


def test_a_recording_indexed_meanwhile_is_found_and_a_forgotten_one_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    with CatalogueWriter(Catalogue.open(folder, create=True)) as writer:
        add(writer, "first.wav", music(60, 20), SR)
        save(writer)
        with Catalogue.open(folder) as opened:
            engine = FingerprintEngine(opened)
            assert ask(engine, music(61, 20)[5 * SR : 12 * SR]) == []
            add(writer, "second.wav", music(61, 20), SR)
            (match,) = ask(engine, music(61, 20)[5 * SR : 12 * SR])
            assert name_of(match) == "second.wav"
            writer.forget_files(file.id for file in match.recording.files)
            assert ask(engine, music(61, 20)[5 * SR : 12 * SR]) == []


def test_the_same_question_gets_the_same_answer(engine: FingerprintEngine) -> None:
    excerpt = music(2)[12 * SR : 18 * SR]
    assert ask(engine, excerpt) == ask(engine, excerpt)


def test_a_catalogue_without_fingerprints_says_what_to_do(tmp_path: Path) -> None:
    with (
        Catalogue.open(tmp_path / "catalogue", create=True) as empty,
        pytest.raises(UnknownName, match="echoic index"),
    ):
        FingerprintEngine(empty)


def test_a_file_that_is_no_audio_is_named(engine: FingerprintEngine, tmp_path: Path) -> None:
    path = tmp_path / "letter.wav"
    path.write_text("Dear Sir")
    with pytest.raises(AudioError, match=r"letter\.wav"):
        engine.identify(path)


@pytest.mark.parametrize("p_false", [0.0, 1.0, -1.0, float("nan")])
def test_a_false_match_needs_a_probability(
    engine: FingerprintEngine, tmp_path: Path, p_false: float
) -> None:
    path = write(tmp_path / "excerpt.wav", music(1, 3))
    with pytest.raises(QueryError, match="between 0 and 1"):
        engine.identify(path, p_false=p_false)


def test_a_second_encoding_of_real_music_is_found_in_the_first(
    real_audio: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in (real_audio / "music").glob("*_ch0.ogg"))[:3]
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        for name in names:
            original = name.replace("_ch0", "")
            add(writer, original, read_mono(real_audio / "music" / original, SR), SR)
        save(writer)
    with Catalogue.open(tmp_path / "catalogue") as opened:
        engine = FingerprintEngine(opened)
        for name in names:
            copy = read_mono(real_audio / "music" / name, SR, from_s=31.1, to_s=36.1)
            (match,) = ask(engine, copy)
            assert name_of(match) == name.replace("_ch0", "")
            assert match.onset_s - match.query_onset_s == pytest.approx(31.1, abs=0.1)

"""Places that fingerprints leave in doubt, read again from the recordings' files."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from indexer.fingerprint_places import open_fingerprints
from indexer.landmarks import UNCHANGED, Change, LandmarkFingerprinter
from indexer.mono import read_mono
from search.correlation import Agreement
from search.evidence import Evidence
from search.fingerprint_candidates import Candidate
from search.fingerprints import FingerprintEngine
from search.identify import Matcher
from search.rehearing import RecordedSound, Rehearing, pass_over, unread_note
from search.significance import Law
from search.verification import Verifier
from tests.search.test_fingerprints import SR, add, ask, index, music, name_of, save
from tests.search.test_scan import rain

RATE = LandmarkFingerprinter.sample_rate
N_RECORDINGS = 5
LOUD_DB = -22.0  # so loud a noise that landmarks are not enough
SHORT_NOISE = 0.25  # likewise, of two seconds
SURE_NOISE = 3.0  # relative; with it landmarks are sure, but not beyond doubt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearing") / "rain"


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[FingerprintEngine]:
    recordings = {f"{seed}.wav": rain(seed, 40) for seed in range(N_RECORDINGS)}
    with index(folder.with_name("catalogue"), folder, recordings) as catalogue:
        yield FingerprintEngine(catalogue)


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Take the files away for a while."""
    elsewhere = folder.rename(folder.with_name("away"))
    yield
    elsewhere.rename(folder)


def in_loud_noise(
    excerpt: NDArray[np.float32], seed: int, snr_db: float = LOUD_DB
) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal(len(excerpt)).astype(np.float32)
    return excerpt + noise * np.float32(excerpt.std() * 10 ** (-snr_db / 20))


@cache
def heard(seed: int) -> NDArray[np.float32]:
    return in_loud_noise(rain(seed, 40)[7 * SR : 17 * SR], 100 + seed)


def right(engine: FingerprintEngine, folder: Path) -> tuple[int, dict[int, str]]:
    """Ask for an excerpt of each recording in loud noise; nothing wrong may be answered."""
    n_right, unread = 0, dict[int, str]()
    for seed in range(N_RECORDINGS):
        query = folder.with_name(f"heard{seed}.wav")
        soundfile.write(query, heard(seed) / 100, SR, subtype="FLOAT")
        for match in engine.identify(query, on_unread=unread.__setitem__):
            assert name_of(match) == f"{seed}.wav"
            assert match.onset_s - match.query_onset_s == pytest.approx(7, abs=0.05)
            n_right += 1
    return n_right, unread


def test_files_tell_what_noise_hides_of_landmarks_and_say_when_they_are_away(
    engine: FingerprintEngine, folder: Path
) -> None:
    with_files, unread = right(engine, folder)
    assert unread == {}
    with away(folder):
        without_files, unread = right(engine, folder)
    note = unread_note(unread)
    assert f"{len(unread)} recordings that may match could not be read" in note
    assert "the file is not there" in note
    assert "echoic relocate" in note
    # Of another question, that one's files are told.
    again, unread = right(engine, folder)
    assert again == with_files >= without_files + 2
    assert unread == {}


def test_a_file_that_was_written_over_proves_nothing_although_it_is_as_long(
    engine: FingerprintEngine, folder: Path
) -> None:
    with_files, _ = right(engine, folder)
    kept = {file: (file.read_bytes(), file.stat()) for file in folder.iterdir()}
    for file, (content, _) in kept.items():
        file.write_bytes(content)  # even the very same: whether it is, only indexing looks
    without_files, unread = right(engine, folder)
    assert without_files <= with_files - 2
    assert unread
    assert all("has changed since it was indexed" in why for why in unread.values())
    for file, (_, before) in kept.items():
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert right(engine, folder)[0] == with_files


@pytest.mark.parametrize("overhang_s", [-0.6, 0.6])
def test_a_query_that_begins_before_its_recording_or_ends_after_it_is_placed_all_the_same(
    engine: FingerprintEngine, overhang_s: float
) -> None:
    n = round(abs(overhang_s) * SR)
    n_found = 0
    for seed in range(N_RECORDINGS):
        sound, silence = rain(seed, 40), np.zeros(n, dtype=np.float32)
        parts = (
            [silence, sound[: 10 * SR - n]] if overhang_s < 0 else [sound[n - 10 * SR :], silence]
        )
        for match in ask(engine, in_loud_noise(np.concatenate(parts), 200 + seed)):
            n_found += 1
            begins_s = overhang_s if overhang_s < 0 else 30 + overhang_s
            assert match.onset_s - match.query_onset_s == pytest.approx(begins_s, abs=0.05)
            assert match.offset_s - match.query_offset_s == pytest.approx(begins_s, abs=0.05)
            end_s = match.recording.technical.duration_s
            assert 0 <= match.onset_s < match.offset_s <= end_s
            assert 0 <= match.query_onset_s < match.query_offset_s <= 10
    assert n_found >= 2


def test_of_two_seconds_landmarks_and_sound_together_tell_more(
    engine: FingerprintEngine, folder: Path
) -> None:
    def n_right() -> int:
        n = 0
        for seed in range(N_RECORDINGS):
            for onset_s in (3, 14, 25):
                excerpt = rain(seed, 40)[onset_s * SR : (onset_s + 2) * SR]
                noise = np.random.default_rng(900 + onset_s).standard_normal(len(excerpt))
                for match in ask(engine, (excerpt + SHORT_NOISE * noise).astype(np.float32)):
                    assert name_of(match) == f"{seed}.wav"
                    begins_s = match.onset_s - match.query_onset_s
                    assert begins_s == pytest.approx(onset_s, abs=0.05)
                    n += 1
        return n

    with_files = n_right()
    with away(folder):
        without_files = n_right()
    assert with_files >= without_files + 3


def test_what_is_not_in_the_archive_is_not_found_for_having_been_read(
    engine: FingerprintEngine,
) -> None:
    for seed in range(50, 55):
        assert ask(engine, in_loud_noise(rain(seed, 10), seed)) == []
        assert ask(engine, rain(seed, 10)) == []


def test_all_occurrences_are_looked_for_in_files_too(engine: FingerprintEngine) -> None:
    found_once = [seed for seed in range(N_RECORDINGS) if ask(engine, heard(seed))]
    assert found_once
    for seed in found_once:
        samples = soxr.resample(heard(seed), SR, engine.sample_rate)
        places = engine.identify_samples(samples, all_occurrences=True)
        assert f"{seed}.wav" in {name_of(one) for one in places}


def test_what_was_read_is_as_sure_as_its_score_and_as_long_as_it_was_heard(
    engine: FingerprintEngine, folder: Path
) -> None:
    proven = {seed: ask(engine, heard(seed)) for seed in range(N_RECORDINGS)}
    with away(folder):
        by_sound = [seed for seed in range(N_RECORDINGS) if not ask(engine, heard(seed))]
    matches = [match for seed in by_sound for match in proven[seed]]
    assert len(matches) >= 2
    for match in matches:
        assert match.p_false <= 1e-3
        assert match.score > 13
        assert match.query_offset_s - match.query_onset_s > 7


def test_passages_that_landmarks_do_not_tell_apart_are_told_by_their_sound(
    tmp_path: Path,
) -> None:
    # A sequencer plays the same notes twice: with their phases as they come, hardly differently.
    rng = np.random.default_rng(2)
    verse, again = (np.concatenate([music(11, 12)]) for _ in range(2))
    again = (again + 0.02 * rng.standard_normal(len(again))).astype(np.float32)
    piece = np.concatenate([music(12, 5), verse, music(13, 5), again, music(14, 5)])
    at_s = (5 + 2, 5 + 12 + 5 + 2)
    with index(tmp_path / "catalogue", tmp_path / "music", {"piece.wav": piece}) as catalogue:
        engine = FingerprintEngine(catalogue)
        for number, onset_s in enumerate(at_s):
            excerpt = piece[onset_s * SR : (onset_s + 8) * SR]
            noise = np.random.default_rng(number).standard_normal(len(excerpt))
            found = ask(engine, (excerpt + 0.05 * noise).astype(np.float32))
            assert found[0].onset_s - found[0].query_onset_s == pytest.approx(onset_s, abs=0.1)


def reader(
    catalogue: Catalogue, archive: ArchiveFrames
) -> tuple[Callable[..., NDArray[np.float32] | None], dict[int, str]]:
    """Return what reads passages, and where it tells what it could not read."""
    unread: dict[int, str] = {}
    sound = RecordedSound(catalogue, archive, LandmarkFingerprinter())
    return partial(sound.passage, on_unread=unread.__setitem__), unread


@pytest.fixture(scope="module")
def formats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Catalogue]]:
    """One recording of a minute as a file of each kind, indexed."""
    folder = tmp_path_factory.mktemp("formats")
    stereo = soxr.resample(np.stack([music(21), 0.5 * music(21)], axis=1), SR, 44_100)
    for name in ("one.wav", "one.flac", "one.ogg"):
        with soundfile.SoundFile(folder / name, "w", 44_100, 2) as file:
            for start in range(0, len(stereo), 44_100):  # all at once, Vorbis crashes libsndfile
                file.write(stereo[start : start + 44_100])
    with av.open(str(folder / "one.opus"), "w") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
        sound = soxr.resample(stereo.mean(axis=1), 44_100, 48_000).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with CatalogueWriter(Catalogue.open(folder / "catalogue", create=True)) as writer:
        writer.add_collection("formats", str(folder))
        for name in ("one.wav", "one.flac", "one.ogg", "one.opus"):
            add(writer, name, read_mono(folder / name, SR), SR)
        save(writer)
    with Catalogue.open(folder / "catalogue") as catalogue:
        yield folder, catalogue


@pytest.mark.parametrize("begin_s", [-2.5, 0.0, 3.3, 41.7, 55.0])
def test_passages_of_every_format_lie_where_decoding_from_the_beginning_puts_them(
    formats: tuple[Path, Catalogue], begin_s: float
) -> None:
    folder, catalogue = formats
    archive = open_fingerprints(catalogue, LandmarkFingerprinter())
    recorded, unread = reader(catalogue, archive)
    for recording in catalogue.recordings(archive.recording_ids.tolist()).values():
        first_frame, _ = archive.span(recording.id)
        frame_s = LandmarkFingerprinter.frame_s
        passage = recorded(first_frame + begin_s / frame_s, 10 * RATE, within_frame=first_frame + 1)
        assert passage is not None
        assert passage.shape == (10 * RATE,)
        assert passage.dtype == np.float32
        whole = np.pad(read_mono(folder / recording.files[0].path, RATE), (4 * RATE, 10 * RATE))
        first = round((begin_s + 4) * RATE)
        wrong = passage - whole[first : first + 10 * RATE]
        assert wrong.std() < 0.03 * whole.std()
    assert unread == {}


def test_what_was_removed_or_is_damaged_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    with index(tmp_path / "catalogue", folder, {"one.wav": music(1, 20)}) as catalogue:
        archive = open_fingerprints(catalogue, LandmarkFingerprinter())
        recorded, unread = reader(catalogue, archive)
        first_frame, n_frames = archive.span(int(archive.recording_ids[0]))
        nowhere = first_frame + 10 * n_frames
        assert recorded(nowhere, RATE, within_frame=nowhere) is None
        assert unread == {}
        (folder / "one.wav").write_text("Dear Sir")
        assert recorded(first_frame, RATE, within_frame=first_frame) is None
        (reason,) = unread.values()
        assert reason == f"{folder / 'one.wav'}: the file has changed since it was indexed"


def test_a_file_that_is_damaged_but_as_long_as_it_was_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    with index(tmp_path / "catalogue", folder, {"one.wav": music(1, 20)}) as catalogue:
        archive = open_fingerprints(catalogue, LandmarkFingerprinter())
        recorded, unread = reader(catalogue, archive)
        first_frame, _ = archive.span(int(archive.recording_ids[0]))
        file = folder / "one.wav"
        before = file.stat()
        file.write_bytes(bytes(before.st_size))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # a disk that rots
        assert recorded(first_frame, RATE, within_frame=first_frame) is None
        (reason,) = unread.values()
        assert reason.startswith(f"{file}: not audio")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Catalogue]]:
    """Two recordings of half a minute; the second holds the first's middle under other sound."""
    folder = tmp_path_factory.mktemp("pair")
    first, other = music(31, 30), music(32, 30)
    second = np.concatenate([other[: 8 * SR], first[10 * SR : 20 * SR], other[18 * SR :]])
    second = second + music(33, 30)
    sounds = {"first.wav": first, "second.wav": second, "third.wav": music(34, 30)}
    with index(folder / "catalogue", folder / "sounds", sounds) as catalogue:
        yield folder / "sounds", catalogue


QUERY_S = 10


def rehearing(catalogue: Catalogue) -> tuple[Rehearing, Law, ArchiveFrames]:
    fingerprinter = LandmarkFingerprinter()
    archive = open_fingerprints(catalogue, fingerprinter)
    law = Law.of(duration_s=QUERY_S, archive_s=100.0)
    sound = RecordedSound(catalogue, archive, fingerprinter)
    reads_again = Rehearing(sound, law, fingerprinter, on_unread=pass_over)
    return reads_again, law, archive


def place(
    archive: ArchiveFrames, number: int, onset_s: float, score: float, likeness: float = 1.0
) -> Candidate:
    """Make a candidate that begins at a time of one of the recordings, with a price and a beat."""
    first_frame, n_frames = archive.span(int(archive.recording_ids[number]))
    frame = first_frame + onset_s / LandmarkFingerprinter.frame_s
    rows = np.arange(0, 600, 10)
    rows = rows[(frame + rows >= first_frame) & (frame + rows < first_frame + n_frames)]
    hits = np.zeros(len(rows), dtype=np.bool_)
    evidence = Evidence(frame, score, 0.0, likeness, likeness, rows, hits, 0.1)
    return Candidate(evidence, UNCHANGED, 1, price=0.6, left=0.1)


def excerpt(snr_db: float, first_s: float = 10.0) -> NDArray[np.float32]:
    sound = music(31, 30)[round(first_s * SR) : round((first_s + QUERY_S) * SR)]
    noise = np.random.default_rng(8).standard_normal(len(sound)) * sound.std()
    noisy = (sound + noise * 10 ** (-snr_db / 20)).astype(np.float32)
    return soxr.resample(noisy, SR, RATE)


def is_heard(law: Law, found: list[Candidate]) -> bool:
    """Say whether sound speaks for the first of some places, clearly."""
    return bool(found) and law.p_false(found[0].score) < 1e-3


def test_of_places_that_are_heard_the_one_that_correlates_most_comes_first_as_sure_as_any(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    found = [
        place(archive, 2, 4.0, 12.0),
        place(archive, 1, 8.02, 9.0),
        place(archive, 0, 10.03, 5.0),
        place(archive, 0, 3.0, 4.0),
    ]
    best, second, *others = reads_again.heard(excerpt(0), found)
    frame_s = LandmarkFingerprinter.frame_s
    for one, given, late_s in ((best, found[2], -0.03), (second, found[1], -0.02)):
        moved_s = (one.evidence.frame - given.evidence.frame) * frame_s
        assert moved_s == pytest.approx(late_s, abs=0.001)
        assert (one.price, one.left) == (0.0, 1.0)
        assert law.p_false(one.score) < 1e-5
        assert one.extent == pytest.approx((0, QUERY_S / frame_s), abs=1.01 / frame_s)
    assert best.score > second.score
    assert all(law.p_false(one.score) > 0.01 for one in others)


def test_a_place_that_landmarks_are_surer_of_keeps_its_score(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    elsewhere = replace(place(archive, 2, 4.0, law.threshold(2e-4)), price=0.0, left=1.0)
    assert reads_again.heard(excerpt(0), [elsewhere]) == []


def test_landmarks_and_sound_make_a_place_surer_together_than_either(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    scores = [law.threshold(p) for p in (0.5, 0.1, 0.01, 1e-3)]
    likely = [replace(place(archive, 0, 10.0, score), price=0.0, left=1.0) for score in scores]
    together = []
    noisy = excerpt(-15)[: 3 * RATE]
    (by_sound,) = reads_again.heard(noisy, [place(archive, 0, 10.0, 0.0)])
    for one in likely:
        (heard,) = reads_again.heard(noisy, [one])
        together.append(law.p_false(heard.score))
        assert together[-1] < law.p_false(one.score)
    assert together[2] < law.p_false(by_sound.score)
    assert together == sorted(together, reverse=True)


def sure(archive: ArchiveFrames, law: Law, number: int, onset_s: float, p: float) -> Candidate:
    one = place(archive, number, onset_s, law.threshold(p) + 0.5)
    return replace(one, price=0.5, left=1.0)


def test_sound_makes_surer_what_landmarks_are_sure_of_and_never_less(
    pair: tuple[Path, Catalogue],
) -> None:
    folder, catalogue = pair
    reads_again, law, archive = rehearing(catalogue)
    short = excerpt(0)[: 3 * RATE]
    right, wrong = sure(archive, law, 0, 10.0, 1e-6), sure(archive, law, 2, 4.0, 1e-6)
    assert law.p_false(reads_again.surer(short, right)) < 1e-8
    assert reads_again.surer(short, wrong) == wrong.score
    with away(folder):
        assert reads_again.surer(short, right) == right.score


def test_that_a_sure_recording_is_not_at_hand_is_no_news(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, catalogue = pair
    reads_again, law, archive = rehearing(catalogue)
    told: list[int] = []
    monkeypatch.setattr(reads_again, "_on_unread", lambda number, _: told.append(number))
    right = sure(archive, law, 0, 10.0, 1e-6)
    with away(folder):
        reads_again.surer(excerpt(0), right)
        assert told == []
        reads_again.heard(excerpt(0), [right])
        assert len(told) == 1


def test_that_another_recording_is_not_at_hand_is_told_unless_the_answer_is_sure(
    pair: tuple[Path, Catalogue], tmp_path: Path
) -> None:
    folder, catalogue = pair
    engine = FingerprintEngine(catalogue)
    query = tmp_path / "query.wav"

    def unread(sound: NDArray[np.float32], *, every: bool = False) -> tuple[set[str], set[str]]:
        soundfile.write(query, sound / 10, SR, subtype="FLOAT")
        told: dict[int, str] = {}
        matches = engine.identify(query, all_occurrences=every, on_unread=told.__setitem__)
        infos = catalogue.recordings(set(told)).values()
        return {name_of(match) for match in matches}, {info.files[0].path for info in infos}

    excerpt = music(31, 30)[2 * SR : 8 * SR]
    fast = soxr.resample(excerpt, SR * 1.02, SR, quality="VHQ").astype(np.float32)
    fast = in_loud_noise(fast, 8, 0.0)
    elsewhere = {(folder / name): folder / f"{name}.away" for name in ("second.wav", "third.wav")}
    for file, away_file in elsewhere.items():
        file.rename(away_file)
    try:
        assert unread(fast) == ({"first.wav"}, set())
        assert unread(fast, every=True)[1]
        nothing, others = unread(rain(9, 6))
        assert nothing == set()
        assert others
    finally:
        for file, away_file in elsewhere.items():
            away_file.rename(file)


def test_sound_is_not_asked_about_what_it_cannot_tell_or_what_is_beyond_doubt(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    right, two_s = sure(archive, law, 0, 10.0, 1e-6), excerpt(-15)[: 2 * RATE]
    for one in (
        sure(archive, law, 0, 10.0, 0.9e-7),
        replace(right, change=Change(1.01, 1.01)),
        replace(right, left=0.99),
        replace(right, left=None),
    ):
        assert reads_again.surer(two_s, one) == one.score
    assert reads_again.surer(two_s[:-1], right) == right.score
    for one in (sure(archive, law, 0, 10.0, 1.1e-7), right):
        assert reads_again.surer(two_s, one) > one.score


def test_sound_is_joined_with_what_landmarks_say_of_that_very_place(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    matcher = Matcher(
        archive, LandmarkFingerprinter(), sure=(0, 0), changes=(), rehearing=reads_again
    )
    surest, chosen = sure(archive, law, 2, 4.0, 1e-6), sure(archive, law, 0, 10.0, 1e-4)
    monkeypatch.setattr(matcher, "_places", lambda *_, **__: [])
    monkeypatch.setattr(matcher, "_likeliest", lambda *_: chosen)
    short = excerpt(-15)[: 2 * RATE]
    peaks, spectrum = LandmarkFingerprinter().query(short)
    by_sound = reads_again.surer(short, chosen)
    assert by_sound > chosen.score
    for best in (surest, sure(archive, law, 2, 4.0, 1e-12)):
        told = matcher._settled(short, Verifier(peaks, spectrum), peaks, [best, chosen])
        assert told[0].evidence.frame == chosen.evidence.frame
        assert told[0].score == max(by_sound, best.score)


def test_a_query_that_is_sure_at_once_is_surer_with_its_file_unless_a_beat_may_explain_it(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, catalogue = pair
    engine = FingerprintEngine(catalogue)
    sound = music(31, 30)[2 * SR : 4 * SR]
    noise = np.random.default_rng(5).standard_normal(len(sound)) * sound.std() * SURE_NOISE
    query = (sound + noise).astype(np.float32)

    def p_false() -> float:
        (match,) = ask(engine, query)
        return match.p_false

    with_file = p_false()
    with away(folder):
        without = p_false()
    assert 1e-7 < without < 1e-5
    assert with_file < 1e-2 * without
    monkeypatch.setattr(Matcher, "_beyond", lambda *_: 0.999)
    assert p_false() == pytest.approx(without, rel=0.1)


def test_what_a_beat_explains_of_landmarks_sound_does_not_add_to(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    short = excerpt(-20)[: round(2.1 * RATE)]
    likely = replace(place(archive, 0, 10.0, law.threshold(0.01)), price=0.0)
    (alone,) = reads_again.heard(short, [replace(likely, left=1.0)])
    assert law.p_false(alone.score) < 1e-3
    for left in (0.99, None):  # some of it, or nobody asked
        assert reads_again.heard(short, [replace(likely, left=left)]) == []
    # But ten seconds of it prove it, whatever the beat.
    (proven,) = reads_again.heard(excerpt(10), [replace(likely, left=0.0)])
    assert law.p_false(proven.score) < 1e-5


def test_a_place_is_expected_to_be_known_to_a_few_frames(pair: tuple[Path, Catalogue]) -> None:
    reads_again, law, archive = rehearing(pair[1])
    for late_s, is_near in ((0.04, True), (0.3, False), (-0.3, False)):
        found = [place(archive, 0, 10.0 + late_s, 5.0)]
        assert is_heard(law, reads_again.heard(excerpt(0), found)) == is_near


def test_places_that_lie_together_are_read_once_and_six_at_most(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    right = place(archive, 0, 10.0, 5.0)
    beside = [place(archive, 2, 4 + 0.01 * step, 9.0 - step) for step in range(6)]
    assert is_heard(law, reads_again.heard(excerpt(0), [*beside, right]))
    elsewhere = [place(archive, 2, 2.0 * step, 9.0) for step in range(6)]
    assert not is_heard(law, reads_again.heard(excerpt(0), [*elsewhere, right]))


def test_an_excerpt_that_hangs_over_the_end_is_compared_with_the_recording_that_it_is_of(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, _, archive = rehearing(pair[1])
    sound = music(31, 30)[25 * SR :]
    query = np.concatenate([sound, 0.1 * music(35, 5.6)])
    samples = soxr.resample(query.astype(np.float32), SR, RATE)
    (one,) = reads_again.heard(samples, [place(archive, 0, 25.0, 5.0)])
    first, last = (at * LandmarkFingerprinter.frame_s for at in one.extent)
    assert (first, last) == pytest.approx((0, 5), abs=1.1)


def test_sound_says_the_less_the_shorter_it_is_and_repetitions_are_told_by_any(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, _, archive = rehearing(pair[1])
    right, wrong = place(archive, 0, 10.0, 5.0), place(archive, 2, 4.0, 5.0, 1.1)
    heard = []
    for seconds in (1.99, 2.0, 3.0, 5.5):
        short = excerpt(10)[: round(seconds * RATE)]
        heard.append(max((one.score for one in reads_again.heard(short, [right])), default=0.0))
        assert reads_again.likeliest(short, [wrong, right]) is right
    assert heard[0] == 0 < heard[1]
    assert heard == sorted(heard)


def test_one_sound_among_others_that_a_recording_has_too_says_little(
    pair: tuple[Path, Catalogue],
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    for shared_s, is_much in ((2.4, False), (6.0, True)):
        query = music(36, 10)
        query[3 * SR : round((3 + shared_s) * SR)] = music(31, 30)[
            13 * SR : round((13 + shared_s) * SR)
        ]
        samples = soxr.resample(query, SR, RATE)
        assert is_heard(law, reads_again.heard(samples, [place(archive, 0, 10.0, 5.0)])) == is_much


def test_the_likeliest_repetition_gives_way_only_to_one_that_clearly_correlates_more(
    pair: tuple[Path, Catalogue],
) -> None:
    folder, catalogue = pair
    reads_again, _, archive = rehearing(catalogue)
    right, mixed, wrong = (
        place(archive, number, onset_s, 20.0, likeness)
        for number, onset_s, likeness in ((0, 10.0, 2.0), (1, 8.0, 2.1), (2, 4.0, 2.2))
    )
    for snr_db in (10, -5):
        assert reads_again.likeliest(excerpt(snr_db), [wrong, mixed, right]) is right
        assert reads_again.likeliest(excerpt(snr_db), [mixed, right]) is right
        assert reads_again.likeliest(excerpt(snr_db), [right, mixed]) is right
        # Twice the same: the first stays.
        again = place(archive, 0, 10.12, 20.0)
        near = place(archive, 0, 10.05, 20.0)
        assert reads_again.likeliest(excerpt(snr_db), [near, again]) is near
    nothing = soxr.resample(0.1 * rain(3, 10), SR, RATE)
    assert reads_again.likeliest(nothing, [wrong, mixed, right]) is wrong
    with away(folder):
        assert reads_again.likeliest(excerpt(10), [wrong, right]) is wrong


def test_what_the_likeliest_would_correlate_must_be_known(
    pair: tuple[Path, Catalogue],
) -> None:
    folder, catalogue = pair
    reads_again, _, archive = rehearing(catalogue)
    right, wrong = place(archive, 0, 10.0, 20.0, 2.0), place(archive, 2, 4.0, 20.0, 2.2)
    hidden = (folder / "third.wav").rename(folder / "hidden")
    assert reads_again.likeliest(excerpt(10), [wrong, right]) is wrong
    hidden.rename(folder / "third.wav")
    assert reads_again.likeliest(excerpt(10), [wrong, right]) is right


def test_a_folder_that_may_not_be_entered_is_a_file_that_cannot_be_read(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", forbidden)  # root may enter every folder
    archive = open_fingerprints(pair[1], LandmarkFingerprinter())
    recorded, unread = reader(pair[1], archive)
    first_frame, _ = archive.span(int(archive.recording_ids[0]))
    assert recorded(first_frame, RATE, within_frame=first_frame) is None
    (reason,) = unread.values()
    assert "Permission denied" in reason


def test_what_goes_with_another_moment_better_is_no_repetition(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_again, _, archive = rehearing(pair[1])
    first, other = place(archive, 0, 10.0, 20.0, 2.2), place(archive, 2, 4.0, 20.0, 2.0)
    for distinctness, chosen in ((0.7, first), (1.1, other)):
        heard = {0: Agreement(1.2, 0.1, 0.0, (0, 10)), 1: Agreement(distinctness, 0.3, 0, (0, 10))}
        monkeypatch.setattr(reads_again, "_agreements", lambda *_, heard=heard: heard.items())
        assert reads_again.likeliest(excerpt(0), [first, other]) is chosen


def test_a_sure_change_of_speed_stands_against_what_was_heard_unless_that_is_proven(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_again, law, archive = rehearing(pair[1])
    sure = law.threshold(1e-5), law.threshold(1e-4)
    matcher = Matcher(
        archive, LandmarkFingerprinter(), sure=sure, changes=(), rehearing=reads_again
    )

    def likely(number: int, onset_s: float, p_false: float, likeness: float) -> Candidate:
        one = place(archive, number, onset_s, law.threshold(p_false), likeness)
        return replace(one, price=0.0, left=1.0)

    def told(heard: Candidate, changed: Candidate, *, every: bool = False) -> list[Candidate]:
        monkeypatch.setattr(reads_again, "heard", lambda *_: [heard])
        return matcher._heard(excerpt(0), [], [changed], every=every)

    weak, proven = likely(0, 10.0, 0.01, 1.3), likely(0, 10.0, 1e-6, 1.3)
    change, alike = likely(2, 4.0, 1e-7, 1.4), likely(2, 4.0, 1e-7, 2.0)
    assert told(weak, change) == [change, weak]
    assert told(proven, change) == [proven]
    assert told(proven, change, every=True) == [change, proven]
    assert told(proven, alike) == [alike]
    unsure = likely(2, 4.0, 1e-3, 2.0)
    assert told(proven, unsure) == [proven, unsure]
    # At the same place what is surer stays, and what is not goes.
    surer, less = likely(0, 10.03, 5e-4, 1.4), likely(0, 10.03, 0.02, 1.4)
    assert told(weak, surer) == [surer, weak]
    assert told(weak, less) == [weak]


def test_which_of_near_places_it_is_the_better_correlation_tells_if_it_is_no_chance(
    pair: tuple[Path, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_again, _, archive = rehearing(pair[1])
    found = [place(archive, number, onset_s, 0.0) for number, onset_s in ((0, 10.0), (2, 4.0))]

    def first(*given: tuple[float, float]) -> tuple[bool, float]:
        heard = {n: Agreement(ratio, like, 0.0, (0, 10)) for n, (ratio, like) in enumerate(given)}
        monkeypatch.setattr(reads_again, "_agreements", lambda *_: heard.items())
        best = reads_again.heard(excerpt(0), found)[0]
        return abs(best.evidence.frame - found[0].evidence.frame) < 1, best.score

    surest, score = first((1.8, 0.1), (1.6, 0.3))
    assert not surest
    assert score == pytest.approx(first((1.8, 0.1), (1.2, 0.3))[1])  # as sure as the surest
    assert not first((1.8, 0.1), (1.6, 0.105))[0]
    assert first((1.8, 0.1), (0.9, 0.3))[0]  # goes better with another moment
    assert not first((2.5, 0.1), (1.5, 0.3))[0]
    assert first((2.5, 0.1), (1.38, 0.3))[0]  # less sure by more than a seventh
    assert first((1.8, 0.0), (1.8, 0.01))[0]  # as chance would

"""Copies, excerpts and look-alikes in a small archive of made-up music, and in a real one."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.fingerprint_index import save_fingerprint_index
from db.landmarks import Landmarks
from db.records import Analysis, Description, FileState, SchemeInfo, Technical
from db.writer import CatalogueWriter
from indexer.landmarks import LandmarkFingerprinter
from indexer.mono import read_mono
from search.alignment import Line, follow
from search.duplicates import Duplicates, Kind, Overlap, Pair, find_duplicates

SR = 16000
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Note:
    """A chord of a piece."""

    onset_s: float
    frequencies: tuple[float, ...]


def piece(seed: int, duration_s: float) -> list[Note]:
    """Compose chords at random moments; never twice the same."""
    rng = np.random.default_rng(seed)
    notes, onset_s = [], 0.0
    while onset_s < duration_s:
        frequencies = 110 * 2 ** (rng.integers(0, 40, 3) / 12)
        notes.append(Note(onset_s, tuple(frequencies.tolist())))
        onset_s += rng.uniform(0.12, 0.4)
    return notes


def play(
    notes: Iterable[Note],
    duration_s: float,
    *,
    noise_seed: int = 0,
    timbre: tuple[float, ...] = (1, 0.5, 0.33),
) -> Samples:
    rng = np.random.default_rng(noise_seed)
    sound = 1e-3 * rng.standard_normal(round(duration_s * SR))
    for note in notes:
        onset = round(note.onset_s * SR)
        if not 0 <= onset < len(sound):
            continue
        t = np.arange(min(round(0.6 * SR), len(sound) - onset)) / SR
        for frequency in note.frequencies:
            for partial, level in enumerate(timbre, start=1):
                wave = np.sin(2 * np.pi * partial * frequency * t)
                sound[onset : onset + len(t)] += 0.1 * level * np.exp(-5 * t) * wave
    return sound.astype(np.float32)


def music(seed: int, duration_s: float = 40.0) -> Samples:
    return play(piece(seed, duration_s), duration_s, noise_seed=seed)


def played_again(
    seed: int,
    *,
    jitter_s: float = 0.03,
    rubato_s: float = 0.4,
    by_finger: bool = False,
    duration_s: float = 40.0,
) -> Samples:
    """The same chords by another player: a tempo that comes and goes, another instrument.

    Each chord is a little early or late; or each of its notes by itself.
    """
    rng = np.random.default_rng(1000 + seed)
    notes = [
        Note(
            chord.onset_s + rubato_s * np.sin(chord.onset_s / 5) + rng.normal(0, jitter_s), together
        )
        for chord in piece(seed, duration_s)
        for together in (
            [(one,) for one in chord.frequencies] if by_finger else [chord.frequencies]
        )
    ]
    return play(notes, duration_s, noise_seed=1000 + seed, timbre=(0.6, 1, 0.2, 0.5))


def drum_loop(duration_s: float = 40.0) -> Samples:
    """Two seconds of drums, over and over."""
    rng = np.random.default_rng(5)
    bar = np.zeros(2 * SR)
    for onset_s in (0, 0.25, 0.5, 0.8, 1.0, 1.4, 1.5, 1.75):
        onset = round(onset_s * SR)
        n = min(round(0.12 * SR), len(bar) - onset)
        bar[onset : onset + n] += rng.standard_normal(n) * np.exp(-np.arange(n) / (0.02 * SR))
    return (0.1 * np.tile(bar, round(duration_s / 2))).astype(np.float32)


def over_a_drum_machine(
    seed: int, *, drums: float, riff: int | None = None, duration_s: float = 30.0
) -> Samples:
    """The same hit every quarter of a second, and with each a note of a melody at random.

    With a riff, it is of so many notes, over and over.
    """
    rng, t = np.random.default_rng(seed), np.arange(SR // 3) / SR
    hit = np.random.default_rng(7).standard_normal(SR // 8) * np.exp(-np.arange(SR // 8) / 290)
    n_hits = round(4 * duration_s)
    melody = np.resize(rng.integers(0, 24, riff or n_hits), n_hits)
    sound = np.zeros(round(duration_s * SR) + len(t))
    for number, pitch in enumerate(melody.tolist()):
        onset = number * SR // 4
        sound[onset : onset + len(hit)] += drums * hit
        note = np.sin(2 * np.pi * 220 * 2 ** (pitch / 12) * t) * np.exp(-4 * t)
        sound[onset : onset + len(t)] += 0.15 * note
    return sound[: round(duration_s * SR)].astype(np.float32)


def with_parts(sound: Samples, *parts: tuple[float, Samples]) -> Samples:
    """Put parts into a sound, in place of what is there."""
    sound = sound.copy()
    for onset_s, part in parts:
        sound[round(onset_s * SR) : round(onset_s * SR) + len(part)] = part
    return sound


def cut(sound: Samples, onset_s: float, offset_s: float) -> Samples:
    return sound[round(onset_s * SR) : round(offset_s * SR)]


def encoded(sound: Samples, folder: Path, subtype: str) -> Samples:
    """Write and read again by a codec that loses something."""
    path = folder / "encoded.audio"
    form = {"VORBIS": "OGG", "MPEG_LAYER_III": "MP3"}[subtype]
    with soundfile.SoundFile(path, "w", SR, 1, subtype, format=form) as file:
        for start in range(0, len(sound), SR):
            file.write(sound[start : start + SR])
    return read_mono(path, SR)


def tone(*frequencies: float, duration_s: float = 30.0) -> Samples:
    t = np.arange(round(duration_s * SR)) / SR
    return sum((0.1 * np.sin(2 * np.pi * f * t) for f in frequencies), np.zeros(len(t))).astype(
        np.float32
    )


def noise(seed: int, duration_s: float = 30.0) -> Samples:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(duration_s * SR))).astype(np.float32)


def add(
    writer: CatalogueWriter,
    path: str,
    samples: Samples,
    *,
    content: str | None = None,
    channels: int = 1,
    with_fingerprint: bool = True,
) -> None:
    """Store a recording with its fingerprint as indexing does."""
    fingerprinter = LandmarkFingerprinter()
    stream = fingerprinter.stream()
    stream.push(soxr.resample(samples, SR, fingerprinter.sample_rate))
    scheme = SchemeInfo(fingerprinter.id, fingerprinter.frame_s)
    collections = writer.catalogue.collections()
    collection = collections[0] if collections else writer.add_collection("sounds", "/sounds")
    writer.store(
        [
            Analysis(
                collection.id,
                path,
                FileState(len(samples), 0),
                f"sha256:{content or path}",
                Technical(len(samples) / SR, SR, channels, "WAV", "PCM_16", 16),
                Description(title=path),
                {},
                None,
                {},
                None,
                {scheme: stream.finish()} if with_fingerprint else {},
            )
        ]
    )


def save(writer: CatalogueWriter) -> None:
    fingerprinter = LandmarkFingerprinter()
    notes = save_fingerprint_index(
        writer, fingerprinter.id, fingerprinter.keys, key_bits=fingerprinter.key_bits
    )
    assert notes == []


def archive(folder: Path, sounds: dict[str, Samples]) -> Catalogue:
    with CatalogueWriter(Catalogue.open(folder / "catalogue", create=True)) as writer:
        for name, samples in sounds.items():
            add(writer, name, samples)
        save(writer)
    return Catalogue.open(folder / "catalogue")


def duplicates_of(folder: Path, sounds: dict[str, Samples]) -> Duplicates:
    with archive(folder, sounds) as catalogue:
        return find_duplicates(catalogue)


def names(pair: Pair) -> tuple[str, str]:
    return pair.first.files[0].path, pair.second.files[0].path


def groups_of(found: Duplicates) -> set[frozenset[str]]:
    return {
        frozenset(file.path for recording in group.recordings for file in recording.files)
        for group in found.groups
    }


def all_pairs(found: Duplicates) -> list[Pair]:
    return [*(pair for group in found.groups for pair in group.pairs), *found.excerpts]


def pair_of(found: Duplicates, first: str, second: str) -> Pair:
    (pair,) = [pair for pair in all_pairs(found) if names(pair) == (first, second)]
    return pair


def times(overlap: Overlap) -> list[float]:
    return [
        overlap.first_onset_s,
        overlap.first_offset_s,
        overlap.second_onset_s,
        overlap.second_offset_s,
    ]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Samples]:
    """Originals, what became of them, and what only looks like it."""
    folder = tmp_path_factory.mktemp("codecs")
    originals = {f"{seed}.wav": music(seed) for seed in range(6)}
    return originals | {
        "0-vorbis.wav": encoded(originals["0.wav"], folder, "VORBIS"),
        "0-mp3.wav": encoded(0.05 * originals["0.wav"], folder, "MPEG_LAYER_III"),
        "1-trimmed.wav": 2 * cut(originals["1.wav"], 3.2, 36.7),
        "2fast.wav": soxr.resample(originals["2.wav"], SR * 1.004, SR),
        "tape.wav": with_parts(
            music(20, 60),
            (11.5, cut(originals["3.wav"], 20, 32)),
            (40.0, 0.3 * cut(originals["4.wav"], 4, 14)),
        ),
        "5-again.wav": played_again(5),
        "5-to-a-click.wav": played_again(5, jitter_s=0.01, rubato_s=0),
        "drums-a.wav": drum_loop() + music(30),
        "drums-b.wav": drum_loop() + music(31),
        "drone-a.wav": tone(220, 330, 440) + 0.01 * noise(1),
        "drone-b.wav": tone(220, 330, 440) + 0.01 * noise(2),
        "noise-a.wav": noise(3),
        "noise-b.wav": noise(4),
        "silence-a.wav": np.zeros(20 * SR, dtype=np.float32),
        "silence-b.wav": np.zeros(20 * SR, dtype=np.float32),
        "click-a.wav": cut(music(40, 1), 0, 0.1),
        "click-b.wav": 0.5 * cut(music(40, 1), 0, 0.1),
    }


@pytest.fixture(scope="module")
def catalogue(
    sounds: dict[str, Samples], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalogue]:
    with archive(tmp_path_factory.mktemp("duplicates"), sounds) as opened:
        yield opened


@pytest.fixture(scope="module")
def found(catalogue: Catalogue) -> Duplicates:
    return find_duplicates(catalogue)


def test_copies_and_excerpts_are_found_and_nothing_else(found: Duplicates) -> None:
    assert groups_of(found) == {
        frozenset({"0.wav", "0-vorbis.wav", "0-mp3.wav"}),
        frozenset({"1.wav", "1-trimmed.wav"}),
        frozenset({"2.wav", "2fast.wav"}),
    }
    assert {names(pair) for pair in found.excerpts} == {
        ("tape.wav", "3.wav"),
        ("tape.wav", "4.wav"),
    }
    (note,) = found.notes
    assert note.startswith("2 of ")  # the silent ones
    assert "nothing that could be compared" in note
    assert all(pair.kind is Kind.COPY for group in found.groups for pair in group.pairs)
    assert all(pair.kind is Kind.EXCERPT for pair in found.excerpts)


def test_another_codec_and_another_level_is_a_copy_from_start_to_end(found: Duplicates) -> None:
    (group,) = [group for group in found.groups if len(group.recordings) == 3]
    assert len(group.pairs) == 3
    for pair in group.pairs:
        (overlap,) = pair.overlaps
        assert times(overlap) == pytest.approx([0, 40, 0, 40], abs=0.15)
        assert overlap.share > 0.5
        assert (pair.speed, pair.pitch) == (1.0, 1.0)


def test_what_was_trimmed_at_both_ends_is_told(found: Duplicates) -> None:
    pair = pair_of(found, "1.wav", "1-trimmed.wav")
    (overlap,) = pair.overlaps
    assert times(overlap) == pytest.approx([3.2, 36.7, 0, 33.5], abs=0.15)


def test_a_copy_that_runs_a_little_fast_is_found_with_its_speed(found: Duplicates) -> None:
    pair = pair_of(found, "2.wav", "2fast.wav")
    (overlap,) = pair.overlaps
    assert pair.speed == pair.pitch == pytest.approx(1.004, abs=0.0002)
    assert times(overlap) == pytest.approx([0, 40, 0, 40 / 1.004], abs=0.15)


def test_two_excerpts_in_one_recording_have_a_place_each(found: Duplicates) -> None:
    (overlap,) = pair_of(found, "tape.wav", "3.wav").overlaps
    assert times(overlap) == pytest.approx([11.5, 23.5, 20, 32], abs=0.6)
    assert overlap.first_onset_s - overlap.second_onset_s == pytest.approx(-8.5, abs=0.02)
    (overlap,) = pair_of(found, "tape.wav", "4.wav").overlaps
    assert times(overlap) == pytest.approx([40, 50, 4, 14], abs=0.6)
    assert overlap.first_onset_s - overlap.second_onset_s == pytest.approx(36, abs=0.02)


def test_no_time_lies_outside_its_recording(found: Duplicates) -> None:
    for pair in all_pairs(found):
        for overlap in pair.overlaps:
            assert np.signbit(times(overlap)).tolist() == [False] * 4
            assert overlap.first_onset_s < overlap.first_offset_s
            assert overlap.second_onset_s < overlap.second_offset_s
            assert overlap.first_offset_s <= pair.first.technical.duration_s
            assert overlap.second_offset_s <= pair.second.technical.duration_s
            assert 0 < overlap.share <= 1


def test_the_same_archive_gives_the_same_answer_twice(
    catalogue: Catalogue, found: Duplicates
) -> None:
    assert find_duplicates(catalogue) == found


def test_progress_never_goes_back_and_ends_at_the_total(catalogue: Catalogue) -> None:
    told: list[tuple[int, int]] = []
    find_duplicates(catalogue, on_progress=lambda done, total: told.append((done, total)))
    assert len({total for _, total in told}) == 1
    assert all(before <= after for (before, _), (after, _) in pairwise(told))
    assert told[-1][0] == told[-1][1] > 1


def test_a_passage_counts_from_the_length_that_was_asked_for(catalogue: Catalogue) -> None:
    found = find_duplicates(catalogue, min_overlap_s=11)
    assert [names(pair) for pair in found.excerpts] == [("tape.wav", "3.wav")]
    assert len(found.groups) == 3
    assert find_duplicates(catalogue, min_overlap_s=13).excerpts == ()


def test_a_passage_that_comes_twice_has_both_places(tmp_path: Path) -> None:
    jingle = music(50, 8)
    found = duplicates_of(
        tmp_path,
        {
            "jingle.wav": jingle,
            "programme.wav": with_parts(music(51, 60), (10, jingle), (40, 0.5 * jingle)),
        },
    )
    (pair,) = found.excerpts
    assert names(pair) == ("programme.wav", "jingle.wav")
    first, second = pair.overlaps
    assert times(first) == pytest.approx([10, 18, 0, 8], abs=0.4)
    assert times(second) == pytest.approx([40, 48, 0, 8], abs=0.4)
    assert found.groups == ()


def test_a_tape_of_two_recordings_does_not_make_them_copies_of_each_other(tmp_path: Path) -> None:
    """Not even if the one is most of it."""
    long, short = music(60, 40), music(61, 20)
    found = duplicates_of(
        tmp_path,
        {"long.wav": long, "short.wav": short, "tape.wav": np.concatenate([long, short])},
    )
    assert found.groups == ()
    assert {names(pair) for pair in found.excerpts} == {
        ("tape.wav", "long.wav"),
        ("tape.wav", "short.wav"),
    }


@pytest.mark.parametrize("drums", [0.4, 0.05])
@pytest.mark.parametrize("riff", [None, 8])
def test_different_pieces_over_one_drum_machine_share_nothing(
    drums: float, riff: int | None, tmp_path: Path
) -> None:
    found = duplicates_of(
        tmp_path,
        {f"{seed}.wav": over_a_drum_machine(seed, drums=drums, riff=riff) for seed in (1, 2, 3)},
    )
    assert all_pairs(found) == []


@pytest.mark.parametrize(
    ("jitter_s", "by_finger"), [(0.008, False), (0.012, False), (0.01, True), (0.015, True)]
)
def test_the_same_notes_to_the_same_click_by_another_player_are_no_copy(
    jitter_s: float, by_finger: bool, tmp_path: Path
) -> None:
    sounds = {}
    for seed in range(100, 106):
        sounds[f"{seed}.wav"] = music(seed)
        again = played_again(seed, jitter_s=jitter_s, rubato_s=0, by_finger=by_finger)
        sounds[f"{seed}-again.wav"] = again
    # So that it is not for want of sensitivity: copies under noise are found.
    sounds["100-noisy.wav"] = sounds["100.wav"] + 3 * sounds["100.wav"].std() * noise(1, 40)
    found = duplicates_of(tmp_path, sounds)
    assert [set(names(pair)) for pair in all_pairs(found)] == [{"100.wav", "100-noisy.wav"}]


@pytest.mark.parametrize(("wander_s", "period_s"), [(0.0085, 20), (0.012, 20)])
def test_a_tape_whose_speed_wanders_is_a_copy(
    wander_s: float, period_s: float, tmp_path: Path
) -> None:
    tape = music(5)
    t = np.arange(len(tape)) / SR
    wandering = np.interp(t + wander_s * np.sin(2 * np.pi * t / period_s), t, tape)
    found = duplicates_of(tmp_path, {"5.wav": tape, "tape.wav": wandering.astype(np.float32)})
    ((pair,),) = [group.pairs for group in found.groups]
    assert pair.kind is Kind.COPY


def test_a_loop_and_a_piece_over_a_drum_machine_are_copies_in_another_codec(
    tmp_path: Path,
) -> None:
    """The one is nothing but a loop; the other has something that comes only once."""
    loop = np.tile(music(1, 2), 15)
    over = over_a_drum_machine(4, drums=0.2)
    found = duplicates_of(
        tmp_path,
        {
            "loop.wav": loop,
            "loop-vorbis.wav": encoded(0.5 * loop, tmp_path, "VORBIS"),
            "over.wav": over,
            "over-mp3.wav": encoded(0.5 * over, tmp_path, "MPEG_LAYER_III"),
            "another.wav": over_a_drum_machine(5, drums=0.2),
        },
    )
    assert groups_of(found) == {
        frozenset({"loop.wav", "loop-vorbis.wav"}),
        frozenset({"over.wav", "over-mp3.wav"}),
    }
    assert found.excerpts == ()


def test_silence_before_and_after_is_no_content(tmp_path: Path) -> None:
    sound = music(62, 20)
    padded = with_parts(np.zeros(60 * SR, dtype=np.float32), (30, sound))
    found = duplicates_of(tmp_path, {"sound.wav": sound, "padded.wav": padded})
    (group,) = found.groups
    (pair,) = group.pairs
    assert names(pair) == ("padded.wav", "sound.wav")
    (overlap,) = pair.overlaps
    assert times(overlap) == pytest.approx([30, 50, 0, 20], abs=0.15)


def test_another_voice_over_the_same_ending_is_no_copy(tmp_path: Path) -> None:
    ending = music(63, 3.6)
    found = duplicates_of(
        tmp_path,
        {f"{seed}.wav": np.concatenate([music(seed, 1.4), ending]) for seed in (64, 65)},
    )
    assert all_pairs(found) == []


def test_a_second_that_only_its_neighbours_share_is_no_passage() -> None:
    """Six landmarks in common before it and six after it, and twelve in it that are not."""
    around = [
        (frame, 100 + frame) for frame in (5, 15, 25, 35, 45, 55, 130, 140, 150, 160, 170, 180)
    ]

    def landmarks(within: list[tuple[int, int]]) -> Landmarks:
        frames, frequencies = np.array(sorted(around + within)).T
        return Landmarks(frames.astype(np.int32), frequencies.astype(np.uint16), 189)

    first = landmarks([(70, 500)] * 6 + [(70, 520)] * 6)
    second = landmarks([(85, 500), (110, 520)])
    assert follow(first, second, Line(0.0, 0.0)) == []


def test_copies_of_a_copy_are_one_group_whose_best_comes_first(tmp_path: Path) -> None:
    """The first and the last have too little in common to be copies by themselves."""
    sound = music(66, 60)
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add(writer, "c.wav", cut(sound, 12, 56))
        add(writer, "b.wav", cut(sound, 6, 56))
        add(writer, "a-mono.wav", cut(sound, 0, 56))
        add(writer, "a-stereo.wav", 0.5 * cut(sound, 0, 55.9), channels=2)
        save(writer)
        found = find_duplicates(writer.catalogue)
    (group,) = found.groups
    assert [recording.files[0].path for recording in group.recordings] == [
        "a-stereo.wav",
        "a-mono.wav",
        "b.wav",
        "c.wav",
    ]
    assert ("a-stereo.wav", "a-mono.wav") in {names(pair) for pair in group.pairs}


def test_files_with_the_same_bytes_are_a_group_without_a_comparison(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        for path in ("one.wav", "two.wav"):
            add(writer, path, music(67, 10), content="the same")
        add(writer, "silence.wav", np.zeros(SR, dtype=np.float32), content="nothing")
        add(writer, "nothing.wav", np.zeros(SR, dtype=np.float32), content="nothing")
        save(writer)
        found = find_duplicates(writer.catalogue)
    assert groups_of(found) == {
        frozenset({"one.wav", "two.wav"}),
        frozenset({"silence.wav", "nothing.wav"}),
    }
    assert all_pairs(found) == []


def test_a_recording_that_was_forgotten_is_no_duplicate(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        for path in ("one.wav", "two.wav", "three.wav"):
            add(writer, path, music(68, 20))
        save(writer)
        (group,) = find_duplicates(writer.catalogue).groups
        assert len(group.recordings) == 3
        (two,) = [one for one in group.recordings if one.files[0].path == "two.wav"]
        writer.forget_files([two.files[0].id])
        assert groups_of(find_duplicates(writer.catalogue)) == {frozenset({"one.wav", "three.wav"})}


def test_without_fingerprints_files_with_the_same_bytes_are_found(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        (note,) = find_duplicates(writer.catalogue).notes
        assert note.startswith("the catalogue holds no recordings: `echoic index")
        for path, content in (("one.wav", "same"), ("two.wav", "same"), ("three.wav", "other")):
            add(writer, path, music(69, 2), content=content, with_fingerprint=False)
        found = find_duplicates(writer.catalogue)
    assert groups_of(found) == {frozenset({"one.wav", "two.wav"})}
    (note,) = found.notes
    assert note.startswith("2 of 2 recordings have no fingerprint")


def test_recordings_in_which_there_is_nothing_to_go_by_are_counted(tmp_path: Path) -> None:
    silence = np.zeros(5 * SR, dtype=np.float32)
    sounds = {"one.wav": music(69, 10), "silent.wav": silence, "again.wav": music(69, 10)}
    found = duplicates_of(tmp_path, sounds)
    (note,) = found.notes
    assert note.startswith("1 of 3 recordings have nothing that could be compared")
    assert groups_of(found) == {frozenset({"one.wav", "again.wav"})}


def test_recordings_that_lack_a_fingerprint_are_counted(tmp_path: Path) -> None:
    with CatalogueWriter(Catalogue.open(tmp_path / "catalogue", create=True)) as writer:
        add(writer, "one.wav", music(69, 10))
        add(writer, "two.wav", music(69, 10), with_fingerprint=False)
        save(writer)
        found = find_duplicates(writer.catalogue)
    (note,) = found.notes
    assert note.startswith("1 of 2 recordings have no fingerprint")
    assert "`echoic index" in note
    assert all_pairs(found) == []


def test_all_real_copies_are_found_in_real_music_and_nothing_else(
    real_audio: Path, tmp_path: Path
) -> None:
    folder = real_audio / "music"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    copies = [row["path"] for row in rows if row["is_reencoded_left_channel"] == "yes"]
    assert (len(rows), len(copies)) == (49, 15)
    found = duplicates_of(
        tmp_path, {row["path"]: read_mono(folder / row["path"], SR) for row in rows}
    )
    pairs = {frozenset((copy.replace("_ch0", ""), copy)) for copy in copies}
    # One album has a recording twice, under two titles.
    twice = {
        pair for pair in pairs for name in pair if "-06-dangerous" in name or "-07-a-s" in name
    }
    assert groups_of(found) == pairs - twice | {frozenset().union(*twice)}
    assert len(twice) == 2
    assert found.excerpts == ()

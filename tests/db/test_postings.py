"""Runs of postings, in memory and in files: what goes in comes out."""

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from db import postings_merge
from db.errors import PostingsError
from db.live_frames import LiveFrames
from db.postings import PostingsRun
from db.postings_file import open_postings_file, verify_postings_file
from db.postings_layout import Layout, join, scramble
from db.postings_merge import LiveRun, groups_to_merge, merge_in_memory, merge_to_file

FIRST = 5_000_000_000  # frame numbers may be beyond 32 bits
RNG = np.random.default_rng(7)


class Made:
    """Postings and landmarks drawn at random over a span, and a run of them."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        n: int,
        span: int,
        key_bits: int,
        n_distinct: int,
        first: int = FIRST,
        word_bytes: int | None = None,
    ) -> None:
        choice = rng.integers(0, 2**key_bits, n_distinct, dtype=np.uint64).astype(np.uint32)
        # The smaller the rank the more frequent: some keys fill buckets, most do not.
        self.keys = choice[(rng.random(n) ** 3 * n_distinct).astype(np.intp)]
        self.frames = np.sort(rng.integers(0, span, n))
        if n > 1:
            self.frames[[0, -1]] = 0, span - 1
        self.marks = np.sort(rng.integers(0, span, n // 3))
        self.frequencies = rng.integers(0, 2**16, n // 3).astype(np.uint16)
        self.first, self.end = first, first + span
        self.key_bits = key_bits
        joined = join(scramble(self.keys, key_bits), self.frames)
        joined.sort()
        layout = Layout.choose(first, first + span, n_frames=span, key_bits=key_bits, n_postings=n)
        if word_bytes is not None:
            assert layout.word_bytes == word_bytes
        self.run = PostingsRun.build(layout, joined, self.marks, self.frequencies)
        self.live = LiveRun(self.run, "", "", span, None)

    def found(self, key: int) -> list[int]:
        return (self.frames[self.keys == key] + self.first).tolist()


def look_up(run: PostingsRun, keys: NDArray[np.uint32]) -> list[list[int]]:
    starts, ends = run.find(scramble(keys, run.layout.key_bits))
    found = []
    for start, end in zip(starts, ends, strict=True):
        frames = np.empty(end - start, dtype=np.int64)
        if len(frames):
            run.frames(np.array([start]), np.array([end - start]), frames)
        found.append(frames.tolist())
    return found


def assert_holds(run: PostingsRun, *parts: Made) -> None:
    """The run finds just what the parts hold, for keys that are there and keys that are not."""
    key_bits = parts[0].key_bits
    there = np.concatenate([part.keys[:200] for part in parts])
    others = RNG.integers(0, 2**key_bits, 50, dtype=np.uint64).astype(np.uint32)
    keys = np.concatenate((there, others, np.array([0, 2**key_bits - 1], dtype=np.uint32)))
    for key, found in zip(keys, look_up(run, keys), strict=True):
        assert sorted(found) == sorted(frame for part in parts for frame in part.found(key))
    frames, frequencies = run.landmarks(parts[0].first - 5, parts[-1].end + 5)
    assert frames.tolist() == np.concatenate([p.marks + p.first for p in parts]).tolist()
    assert frequencies.tolist() == np.concatenate([p.frequencies for p in parts]).tolist()


def saved(run: PostingsRun, path: Path) -> str:
    return merge_to_file(path, [LiveRun(run, "", "", run.layout.n_frames, None)]).checksum


@pytest.fixture
def made() -> Made:
    return Made(np.random.default_rng(1), n=3000, span=10_000, key_bits=24, n_distinct=800)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 400),
    span=st.sampled_from([1, 2, 63, 64, 65, 1000, 2**20, 2**31, 2**32]),
    key_bits=st.integers(1, 32),
    n_distinct=st.integers(1, 300),
)
@settings(max_examples=60, deadline=None)
def test_a_run_finds_what_it_was_made_of(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    n: int,
    span: int,
    key_bits: int,
    n_distinct: int,
) -> None:
    if span > 2**20:
        # A table of landmarks for so long a span is large, and the same as for a shorter one.
        layout = Layout.choose(0, span, n_frames=span, key_bits=key_bits, n_postings=n)
        assert layout.is_possible()
        assert layout.rest_bits + layout.position_bits <= 8 * layout.word_bytes
        return
    rng = np.random.default_rng(seed)
    made = Made(rng, n=n, span=span, key_bits=key_bits, n_distinct=n_distinct)
    assert_holds(made.run, made)
    path = tmp_path_factory.mktemp("run") / "a.postings"
    checksum = saved(made.run, path)
    verify_postings_file(path, checksum=checksum)
    assert_holds(open_postings_file(path, checksum=checksum), made)


@pytest.mark.parametrize(
    ("n", "span", "key_bits", "word_bytes"),
    [(50_000, 26_000, 28, 4), (300, 2_000_000, 30, 8), (20_000, 5_000, 6, 4), (9, 70, 1, 4)],
)
def test_short_and_long_words_and_full_buckets_give_the_same(
    tmp_path: Path, n: int, span: int, key_bits: int, word_bytes: int
) -> None:
    rng = np.random.default_rng(2)
    made = Made(rng, n=n, span=span, key_bits=key_bits, n_distinct=4000, word_bytes=word_bytes)
    saved(made.run, tmp_path / "a.postings")
    assert_holds(open_postings_file(tmp_path / "a.postings"), made)


@pytest.mark.parametrize("key_bits", [1, 2, 7, 12, 16])
def test_scrambling_maps_no_two_keys_to_one(key_bits: int) -> None:
    scrambled = scramble(np.arange(2**key_bits, dtype=np.uint32), key_bits)
    assert np.sort(scrambled).tolist() == list(range(2**key_bits))


def test_regular_keys_fill_the_buckets_evenly() -> None:
    keys = (np.arange(2**20, dtype=np.uint32) * 16) & np.uint32(2**28 - 1)
    sizes = np.bincount(scramble(keys, 28) >> np.uint32(10), minlength=2**18)
    assert sizes.max() < 30  # 4 on average


def test_landmarks_of_a_span_are_those_from_its_first_to_before_its_end(made: Made) -> None:
    frames = made.marks + made.first
    for first, end in ((0, 64), (63, 65), (100, 101), (64, 64), (9_990, 10_000), (5000, 4000)):
        inside = (made.marks >= first) & (made.marks < end)
        found, frequencies = made.run.landmarks(made.first + first, made.first + end)
        assert found.tolist() == frames[inside].tolist()
        assert frequencies.tolist() == made.frequencies[inside].tolist()


def test_a_run_that_cannot_be_numbered_is_refused() -> None:
    with pytest.raises(PostingsError, match="make two of them"):
        Layout.choose(0, 2**32 + 1, n_frames=1, key_bits=24, n_postings=1)
    with pytest.raises(PostingsError, match="make two of them"):
        Layout.choose(0, 2**30, n_frames=1, key_bits=24, n_postings=2**32)


# -- files ---------------------------------------------------------------------------------------


def test_a_file_takes_less_than_six_bytes_a_posting(tmp_path: Path) -> None:
    hour = Made(np.random.default_rng(3), n=432_000, span=225_000, key_bits=28, n_distinct=10**6)
    saved(hour.run, tmp_path / "a.postings")
    landmarks_bytes = 3 * len(hour.marks)
    size_bytes = (tmp_path / "a.postings").stat().st_size
    assert (size_bytes - landmarks_bytes) / 432_000 < 5.7


@pytest.mark.parametrize("what", ["cut", "empty", "garbage", "longer", "header", "other"])
def test_a_file_that_is_not_what_was_written_is_not_opened(
    tmp_path: Path, made: Made, what: str
) -> None:
    path = tmp_path / "a.postings"
    checksum = saved(made.run, path)
    content = bytearray(path.read_bytes())
    header = bytearray(content)
    header[33] ^= 1
    ruined = {
        "cut": content[:-1],
        "empty": b"",
        "garbage": b"\xff" * 5000,
        "longer": content + b"\0",
        "header": header,
        "other": content,
    }
    path.write_bytes(ruined[what])
    wanted = "0" * 64 if what == "other" else checksum
    with pytest.raises(PostingsError, match=r"a\.postings.*echoic repair"):
        open_postings_file(path, checksum=wanted)
    with pytest.raises(PostingsError, match=r"a\.postings.*echoic repair"):
        verify_postings_file(path, checksum=wanted)


def test_a_missing_file_and_a_newer_version_are_named(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "a.postings"
    with pytest.raises(PostingsError, match="missing"):
        open_postings_file(path)
    saved(made.run, path)
    content = bytearray(path.read_bytes())
    content[8] = 2
    content[224:256] = hashlib.sha256(content[:224]).digest()
    path.write_bytes(content)
    with pytest.raises(PostingsError, match="version 2, this Echoic reads 1"):
        open_postings_file(path)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_within_a_file_is_found_when_it_is_verified_and_never_crashes_a_reader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    made = Made(np.random.default_rng(4), n=500, span=900, key_bits=20, n_distinct=60)
    path = tmp_path_factory.mktemp("run") / "a.postings"
    saved(made.run, path)
    original = path.read_bytes()
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 30))):
        start = data.draw(st.integers(256, len(content) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=400))[: len(content) - start]
        content[start : start + len(noise)] = noise
    path.write_bytes(content)
    run = open_postings_file(path)
    look_up(run, np.unique(made.keys))
    for first in range(-10, 910, 37):
        run.landmarks(made.first + first, made.first + first + 100)
    if _sections_of(bytes(content), made) != _sections_of(original, made):
        with pytest.raises(PostingsError, match="checksum"):
            verify_postings_file(path)


@pytest.mark.parametrize("noise", [b"\0", b"\xff", b"\xff\xff\xff\xff\0\0\0\0", None])
def test_a_file_of_nothing_but_noise_never_crashes_a_reader(
    tmp_path: Path, made: Made, noise: bytes | None
) -> None:
    path = tmp_path / "a.postings"
    saved(made.run, path)
    header, n_bytes = path.read_bytes()[:256], path.stat().st_size - 256
    filling = RNG.bytes(n_bytes) if noise is None else (noise * n_bytes)[:n_bytes]
    path.write_bytes(header + filling)
    run = open_postings_file(path)
    look_up(run, np.unique(made.keys))
    for first in range(-10, 10_010, 37):
        run.landmarks(made.first + first, made.first + first + 100)


def _sections_of(content: bytes, made: Made) -> list[bytes]:
    """All that is read of a file; the room between its sections is nobody's."""
    layout = made.run.layout
    sizes = (
        4 * (2**layout.bucket_bits + 1),
        layout.word_bytes * made.run.n_postings,
        4 * (layout.n_blocks + 1),
        made.run.n_landmarks,
        2 * made.run.n_landmarks,
    )
    sections, end = [], 256
    for size in sizes:
        start = -(-end // 64) * 64
        end = start + size
        sections.append(content[start:end])
    return sections


def test_nothing_is_left_of_a_file_that_could_not_be_written(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(PostingsError, match="make room on the disk"):
        saved(made.run, tmp_path / "a.postings")
    assert list(tmp_path.iterdir()) == []


# -- live frames, merging ------------------------------------------------------------------------


@given(
    bounds=st.lists(st.integers(0, 1000), min_size=2, max_size=30, unique=True),
    gap=st.sampled_from([0, 10]),
)
@settings(max_examples=100, deadline=None)
def test_live_frames_are_those_of_the_ranges(bounds: list[int], gap: int) -> None:
    bounds = sorted(bounds)[: len(bounds) // 2 * 2]
    firsts, ends = np.array(bounds[::2]), np.array(bounds[1::2])
    live = LiveFrames(FIRST, FIRST + 1000, firsts + FIRST, ends - firsts, gap=gap)
    expected = np.zeros(1000, dtype=bool)
    for first, end in zip(firsts, ends, strict=True):
        expected[first:end] = True
    for end, following in zip(ends[:-1], firsts[1:], strict=True):
        if following - end <= gap:
            expected[end:following] = True
    numbers = np.arange(-100, 1100)
    found = live.contains(numbers + FIRST)
    assert found[100:1100].tolist() == expected.tolist()
    assert not found[:100].any()
    assert not found[1100:].any()


def three_runs(rng: np.random.Generator, key_bits: int = 16) -> list[Made]:
    return [
        Made(rng, n=n, span=span, key_bits=key_bits, n_distinct=100, first=first)
        for n, span, first in ((2000, 5000, 40), (3, 100, 6000), (500, 70_000, 6100))
    ]


def test_a_merged_run_holds_what_its_parts_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings_merge, "PART_POSTINGS", 100)
    monkeypatch.setattr(postings_merge, "_PART_FRAMES", 64 * 7)
    parts = three_runs(np.random.default_rng(5))
    assert_holds(merge_in_memory([part.live for part in parts]), *parts)
    file = merge_to_file(tmp_path / "a.postings", [part.live for part in parts])
    verify_postings_file(file.path, checksum=file.checksum)
    assert file.n_postings == 2503
    assert_holds(open_postings_file(file.path), *parts)


def test_what_is_dead_is_left_out_of_a_merged_run() -> None:
    parts = three_runs(np.random.default_rng(6))
    keep = LiveFrames(40, 5040, np.array([40, 2000]), np.array([500, 777]))
    merged = merge_in_memory(
        [LiveRun(parts[0].run, "", "", 1277, keep), parts[1].live, parts[2].live]
    )
    frames = parts[0].frames
    is_live = (frames < 500) | ((frames >= 1960) & (frames < 2737))
    parts[0].frames, parts[0].keys = frames[is_live], parts[0].keys[is_live]
    is_live = (parts[0].marks < 500) | ((parts[0].marks >= 1960) & (parts[0].marks < 2737))
    parts[0].marks, parts[0].frequencies = parts[0].marks[is_live], parts[0].frequencies[is_live]
    assert_holds(merged, *parts)
    assert merged.layout.n_frames == 1277 + 100 + 70_000


def test_merging_takes_little_memory_however_large_the_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postings_merge, "PART_POSTINGS", 1 << 14)
    monkeypatch.setattr(postings_merge, "_PART_FRAMES", 1 << 14)
    sources = []
    for number in range(2):
        made = Made(
            np.random.default_rng(number),
            n=600_000,
            span=300_000,
            key_bits=24,
            n_distinct=300_000,
            first=number * 300_000,
        )
        path = tmp_path / f"{number}.postings"
        saved(made.run, path)
        sources.append(LiveRun(open_postings_file(path), "", "", 300_000, None))
    tracemalloc.start()
    file = merge_to_file(tmp_path / "merged.postings", sources)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.n_postings == 1_200_000
    # All postings at once would be 9.6 MB as sorted numbers alone, and as much again to sort.
    assert peak_bytes < 6e6


def test_runs_stay_few_and_postings_are_rarely_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postings_merge, "_LEAST_SIZE", 1)
    rng = np.random.default_rng(8)
    runs: list[LiveRun] = []
    n_written = 0
    for number in range(400):
        part = Made(rng, n=10, span=50, key_bits=8, n_distinct=5, first=number * 50)
        groups = groups_to_merge([*runs, part.live])
        runs = []
        for group in groups:
            run = group[0]
            if len(group) > 1:
                merged = merge_in_memory(group)
                run = LiveRun(merged, "", "", merged.layout.n_frames, None)
                n_written += merged.n_postings
            runs.append(run)
        assert len(runs) <= 6  # log4(400) = 4.3
    assert sum(run.n_postings for run in runs) == 4000
    assert n_written / 4000 < 21  # log_4/3(400)


def test_runs_are_not_merged_beyond_what_one_may_hold() -> None:
    rng = np.random.default_rng(9)
    parts = [Made(rng, n=100, span=50, key_bits=8, n_distinct=5, first=i * 50) for i in range(4)]
    groups = groups_to_merge([part.live for part in parts], at_most=250)
    assert [len(group) for group in groups] == [2, 2]

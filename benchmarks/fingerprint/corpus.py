"""The archive that is searched, the excerpts that are in it, and those that are not.

Recordings that may share sound form a group (same waveform somewhere, one Freesound number, one
name but for its number), and a group is in the archive or held out as a whole. Two disjoint
splits, `dev` for tuning and `test` for reporting, have other recordings, noises and rooms.
"""

import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fingerprint.materials import SPLITS, SR, Samples, audio_folder
from benchmarks.fingerprint.sameness import sharing_pairs, true_places
from benchmarks.fingerprint.store import Source, Store, open_store

LONG_S = 15.0
"""Recordings at least as long are asked for; the shorter ones are there to be confused with."""

_NUMBERED = re.compile(
    r"([\s_.\-]*\d+[a-z]?|_?(loop|reverse|intro|main|short|long|[ab][_ ]mix))_?$"
)
_WORD = re.compile(r"(sounds_)?[a-z]{3,}")
_VOICE = re.compile(r"redeclipse__(bart|female|frag|male|voice)__")
_SILENT_DB = -50.0
_STEADY_S, _MOST_RECURRENCES = 2.0, 10
_SEEDS = {"dev": 20250101, "test": 424242}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an excerpt begins: a recording and a sample of it."""

    path: str
    start: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """Which recording is for what.

    Attributes
    ----------
    store : Store
    archive : list of Source
        What is searched.
    heldout : list of Source
        Of what non-matching excerpts are made.
    copies : list of Source
        Re-encodings of recordings in the archive.
    groups : dict of str to str
        The first path of the group of each path.
    """

    store: Store
    archive: list[Source]
    heldout: list[Source]
    copies: list[Source]
    groups: dict[str, str]

    def asked_for(self, split: str) -> list[Source]:
        """Return the recordings of the archive of which a split has excerpts."""
        long = [source for source in self.archive if source.duration_s >= LONG_S]
        return [source for source in long if self._split(source) == split]

    def not_there(self, split: str) -> list[Source]:
        """Return the held-out recordings of a split."""
        return [source for source in self.heldout if self._split(source) == split]

    def alike(self, path: str) -> list[str]:
        """Return the paths in the archive that may share sound with a recording."""
        group = self.groups[path]
        return [source.path for source in self.archive if self.groups[source.path] == group]

    def _split(self, source: Source) -> str:
        """A third is for tuning. A group is in one split."""
        return SPLITS[bool(_hash(f"split {self.groups[source.path]}") % 3)]


def load_corpus(cache: Path, folder: Path | None = None) -> Corpus:
    """Decode and compare the recordings (two minutes), or take what an earlier run left."""
    store = open_store(folder or audio_folder(), cache)
    pairs_file = cache / "sharing.json"
    if not pairs_file.exists():
        pairs_file.write_text(json.dumps(sharing_pairs(store)), encoding="utf-8")
    groups = _groups(store, json.loads(pairs_file.read_text(encoding="utf-8")))
    members = defaultdict(list)
    for path, group in groups.items():
        members[group].append(store.sources[path])
    archive: list[Source] = []
    heldout: list[Source] = []
    copies: list[Source] = []
    for name, sources in members.items():
        originals = [source for source in sources if not source.copy_of]
        copies += [source for source in sources if source.copy_of]
        if any(source.reserved for source in sources):
            continue
        has_copy = len(originals) < len(sources)
        is_heldout = not has_copy and _hash(name) % 3 == 0
        (heldout if is_heldout else archive).extend(originals)
    return Corpus(store, _by_path(archive), _by_path(heldout), _by_path(copies), groups)


def describe(corpus: Corpus) -> dict[str, object]:
    """Count files and hours of each part."""
    parts = {
        "archive": corpus.archive,
        "held out": corpus.heldout,
        "copies": corpus.copies,
        **{f"asked for, {split}": corpus.asked_for(split) for split in SPLITS},
        **{f"held out, {split}": corpus.not_there(split) for split in SPLITS},
    }
    return {
        name: {
            "files": len(sources),
            "hours": round(sum(source.duration_s for source in sources) / 3600, 2),
            "kinds": dict(Counter(source.kind for source in sources)),
        }
        for name, sources in parts.items()
    }


def draw_places(
    store: Store, sources: list[Source], n: int, seconds: float, rng: np.random.Generator
) -> list[Place]:
    """Draw excerpts that are neither silent in their first seconds nor steady.

    Every recording comes up before one comes up again, so that long ones do not weigh more.
    """
    wanted = int((seconds * 1.12 + 0.1) * SR)
    possible = [source for source in sources if source.n_samples >= wanted]
    places: list[Place] = []
    taken: set[tuple[str, int]] = set()
    for _ in range(20 + 20 * n // max(1, len(possible))):
        for index in rng.permutation(len(possible))[: n - len(places)]:
            place = _place(store, possible[index], wanted, seconds, rng)
            if place and (place.path, place.start // (SR // 4)) not in taken:
                taken.add((place.path, place.start // (SR // 4)))
                places.append(place)
    if len(places) < n:
        raise SystemExit(f"only {len(places)} excerpts of {seconds:g} s could be drawn, not {n}")
    return places


def _place(
    store: Store, source: Source, wanted: int, seconds: float, rng: np.random.Generator
) -> Place | None:
    for _ in range(8):
        start = int(rng.integers(source.n_samples - wanted + 1))
        sound = store.read(source.path, start, start + int(seconds * SR))
        loud = all(is_loud(sound[: int(part * SR)]) for part in (2, 5, seconds))
        if loud and not _is_steady(sound[: int(_STEADY_S * SR)], store.read(source.path)):
            return Place(source.path, start)
    return None


def _is_steady(sound: Samples, recording: Samples) -> bool:
    """Say whether a sound recurs so often that nobody can tell its place: a steady tone."""
    return len(true_places(sound, recording)) > _MOST_RECURRENCES


def is_loud(sound: Samples) -> bool:
    """Say whether there is anything to identify."""
    return float(np.sqrt(np.mean(np.square(sound)))) > 10 ** (_SILENT_DB / 20)


def draw_reels(
    store: Store, sources: list[Source], n: int, seconds: float, rng: np.random.Generator
) -> Iterator[tuple[str, Samples]]:
    """Yield sequences of short recordings, all of them once before one is used again.

    Most of the held-out recordings are too short for an excerpt of 10 s; so they are heard too.
    """
    wanted = int(seconds * 1.12 * SR) + SR
    order: list[int] = []
    for _ in range(n):
        names: list[str] = []
        parts: list[Samples] = []
        while sum(map(len, parts)) < wanted:
            order = order or list(rng.permutation(len(sources)))
            source = sources[order.pop()]
            sound = store.read(source.path, 0, 4 * SR)
            if is_loud(sound):
                parts.append(sound)
                names.append(source.path)
        yield " + ".join(names), np.concatenate(parts)


def seed(split: str, draw: int, *what: object) -> np.random.Generator:
    """Return the generator of one excerpt of a split; of each draw other ones."""
    further = [draw] if draw > 1 else []
    return np.random.default_rng([_SEEDS[split], _hash(" ".join(map(str, what))), *further])


def _hash(text: str) -> int:
    return zlib.crc32(text.encode())


def _by_path(sources: Iterable[Source]) -> list[Source]:
    return sorted(sources, key=lambda source: source.path)


def _groups(store: Store, pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Name the groups of recordings that may share sound."""
    parents = {path: path for path in store.sources}

    def root(path: str) -> str:
        while parents[path] != path:
            parents[path] = parents[parents[path]]
            path = parents[path]
        return path

    first: dict[str, str] = {}
    for source in store.sources.values():
        for mark in _marks(source):
            parents[root(source.path)] = root(first.setdefault(mark, source.path))
    for a, b in pairs:
        parents[root(a)] = root(b)
    names: dict[str, str] = {}
    for path in sorted(parents):
        names.setdefault(root(path), path)
    return {path: names[root(path)] for path in parents}


def _marks(source: Source) -> Iterator[str]:
    """Yield what recordings of one group have in common."""
    yield f"original {source.copy_of or source.path}"
    for number in source.freesound_ids:
        yield f"freesound {number}"
    if source.kind in ("effects", "unlabelled"):
        yield f"{source.kind} {_family(Path(source.path).stem.lower())}"


def _family(name: str) -> str:
    """Return what recordings of one session, instrument or series are called alike.

    ``tonejs__berklee__arpeggio2high`` and ``tonejs__berklee__arpeggio_shortfx1`` are one phrase.
    """
    if name.startswith("donateacry"):
        return name[:40]  # one telephone
    if voice := _VOICE.match(name):
        return voice[0]  # one announcer, whose sentences are put together from the same words
    collection, _, rest = name.rpartition("__")
    if collection == "tuxemon__music":
        rest = _NUMBERED.sub("", rest)
        return f"{collection} {_NUMBERED.sub('', rest)}"
    word = _WORD.match(rest)
    return f"{collection} {word[0] if word else _NUMBERED.sub('', rest)}"

"""Excerpts after every degradation, made once and kept on disk.

::

    from benchmarks.fingerprint.queries import load_queries
    for query in load_queries("dev", 5): ...
"""

import functools
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fingerprint.corpus import (
    Corpus,
    Place,
    draw_places,
    draw_reels,
    load_corpus,
    seed,
)
from benchmarks.fingerprint.degradations import CONTEXT_S, DEGRADATIONS, degrade
from benchmarks.fingerprint.materials import SR, Materials, Samples
from benchmarks.fingerprint.sameness import true_places

CACHE = Path(tempfile.gettempdir()) / "fpbench"
EXCERPTS = {"dev": 70, "test": 210}
NEGATIVES = {"dev": 1000, "test": 1500}
DRAWS = {"dev": 1, "test": 5}
"""Which draw is reported. Those up to the fourth were looked at while things were chosen."""

TOLERANCE_S = 0.5

_VERSION = 3
"""Of how excerpts are drawn and their places found, so that those kept from before are not used."""

_LONGEST_S = 10.0
_SPEED_ROOM = 1.12


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """An excerpt to be identified.

    Attributes
    ----------
    name : str
        The recording it comes from; of a negative, what is not in the archive.
    offset_s : float
        Where it begins there.
    degradation : str
    places : tuple of (str, float)
        Every place in the archive where the excerpt occurs sample for sample, or most of it at the
        edge of a recording, `name` and `offset_s` among them; of a negative, none.
    stored : ndarray, shape (n,), float16
    """

    name: str
    offset_s: float
    degradation: str
    places: tuple[tuple[str, float], ...]
    stored: NDArray[np.float16]

    @property
    def samples(self) -> Samples:
        """The sound, shape (n,), float32, at 16 kHz."""
        return self.stored.astype(np.float32)

    def is_right(self, name: str, offset_s: float) -> bool:
        """Say whether an answer is one of the places, within 0.5 s."""
        return any(
            name == place and abs(offset_s - at_s) <= TOLERANCE_S for place, at_s in self.places
        )


def load_queries(
    split: str,
    seconds: float,
    kind: str = "matches",
    *,
    cache: Path = CACHE,
    n: int | None = None,
    degradations: tuple[str, ...] = DEGRADATIONS,
    jobs: int = 2,
    draw: int = 1,
) -> list[Query]:
    """Return the excerpts of one length, made first where that was not done yet.

    Parameters
    ----------
    split : {"dev", "test"}
        Other recordings, noises and rooms in each.
    seconds : float
    kind : {"matches", "negatives", "copies"}
        Excerpts of the archive, each with every degradation; excerpts that are not in it, with
        one each; clean excerpts of the re-encodings of recordings in the archive.
    cache : Path
    n : int, optional
        How many excerpts before degradation.
    degradations : tuple of str
    jobs : int
        Processes.
    draw : int
        From 1 on. Another draw takes other moments of the same recordings, other reels, noises and
        rooms: what was looked at while something was made, another can confirm.

    Returns
    -------
    list of Query
        The degradations of one excerpt lie together.
    """
    n = n or (NEGATIVES if kind == "negatives" else EXCERPTS)[split]
    standard = degradations == DEGRADATIONS
    extra = "" if standard else f"_{len(degradations)}_{degradations[0]}_{degradations[-1]}"
    extra += "" if draw == 1 else f"_draw{draw}"
    name = f"{kind}_{seconds:g}s_{n}{extra}_v{_VERSION}"
    rows_file, sound_file = (cache / split / f"{name}{end}" for end in (".json", ".npy"))
    if not rows_file.exists():
        rows_file.parent.mkdir(parents=True, exist_ok=True)
        made = list(_make((split, draw), seconds, kind, cache, n, degradations, jobs))
        np.save(sound_file, np.stack([sound for _, sound in made]))
        rows_file.write_text(json.dumps([row for row, _ in made]), encoding="utf-8")
    sounds = np.load(sound_file, mmap_mode="r")
    rows = json.loads(rows_file.read_text(encoding="utf-8"))
    return [
        Query(
            row["name"],
            row["offset_s"],
            row["degradation"],
            tuple((place, at_s) for place, at_s in row["places"]),
            sound,
        )
        for row, sound in zip(rows, sounds, strict=True)
    ]


Made = tuple[dict[str, Any], NDArray[np.float16]]
_Task = tuple[tuple[str, int], float, str, Path, int, Any, tuple[str, ...]]


def _make(
    of: tuple[str, int],
    seconds: float,
    kind: str,
    cache: Path,
    n: int,
    degradations: tuple[str, ...],
    jobs: int,
) -> Iterator[Made]:
    drawn = _drawn(load_corpus(cache), of, seconds, kind, n)
    tasks: list[_Task] = [
        (of, seconds, kind, cache, index, what, degradations) for index, what in enumerate(drawn)
    ]
    with ProcessPoolExecutor(jobs) as pool:
        for made in pool.map(_excerpt, tasks, chunksize=4):
            yield from made


def _drawn(corpus: Corpus, of: tuple[str, int], seconds: float, kind: str, n: int) -> list[Any]:
    """Draw what the excerpts are cut from: places, or names and sounds of reels."""
    split, draw = of
    rng = seed(split, draw, kind)
    if kind == "matches":
        # The shorter excerpts are the beginnings of the longest.
        longest = max(seconds, _LONGEST_S)
        return draw_places(corpus.store, corpus.asked_for(split), n, longest, rng)
    if kind == "copies":
        return draw_places(corpus.store, corpus.copies, n, max(seconds, _LONGEST_S), rng)
    sources = corpus.not_there(split)
    places: list[Any] = list(draw_places(corpus.store, sources, n - n // 2, seconds, rng))
    return places + list(draw_reels(corpus.store, sources, n // 2, seconds, rng))


@functools.cache
def _corpus(cache: Path) -> Corpus:
    return load_corpus(cache)


@functools.cache
def _materials(split: str) -> Materials:
    return Materials.load(split)


def _excerpt(task: _Task) -> list[Made]:
    (split, draw), seconds, kind, cache, index, what, degradations = task
    corpus = _corpus(cache)
    n = int(seconds * SR)
    before = int(CONTEXT_S * SR)
    after = int(n * _SPEED_ROOM) + before
    if isinstance(what, Place):
        name, start = what.path, what.start
        sound = corpus.store.read(name, start - before, start + after)
        offset = min(before, start)
    else:
        (name, sound), start, offset = what, 0, 0
    places = [] if kind == "negatives" else _places(corpus, name, start, n)
    if kind == "copies":
        name, degradations = corpus.store.sources[name].copy_of, ("clean",)
    elif kind == "negatives":
        degradations = (degradations[index % len(degradations)],)
    made = []
    for degradation in degradations:
        rng = seed(split, draw, kind, seconds, index, degradation)
        samples = degrade(degradation, sound, rng, _materials(split), start=offset, n_samples=n)
        row = {
            "name": name,
            "offset_s": start / SR,
            "degradation": degradation,
            "places": places,
        }
        made.append((row, samples.astype(np.float16)))
    return made


def _places(corpus: Corpus, name: str, start: int, n: int) -> list[tuple[str, float]]:
    """Find everything that sounds the same: recordings that hold each other, loops in one."""
    original = corpus.store.sources[name].copy_of or name
    excerpt = corpus.store.read(original, start, start + n)
    places = [(original, start / SR)]
    for path in corpus.alike(original):
        recording = corpus.store.read(path)
        places += [(path, at_s) for at_s in true_places(excerpt, recording, outside=0.5)]
    return places

"""The English that the text side learns from: names of sounds, captions, and WordNet."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from indexer.encoders.echoic_mini.text import parts_of

CAPTION_FILES = ("audiocaps_train.csv", "audiocaps_val.csv")
HELD_OUT_FILE = "audiocaps_test.csv"
FRAMES = (
    "sound of {}", "the sound of {}", "{} sound", "{} noise", "{} sounds", "a {}",
    "recording of {}", "{} in the distance", "loud {}", "{} outdoors", "{} in the background",
    "{} nearby", "distant {}", "{} repeatedly",
)  # fmt: skip
# How many phrases of each kind are embedded: a matter of time.
KEPT = {
    "names": 12_000,
    "captions": 12_000,
    "fragments": 40_000,
    "words": 30_000,
    "swapped": 15_000,
}
# WordNet's lexicographer files whose nouns can be heard, seen or stood in.
NOUN_FILES = {4, 5, 6, 8, 10, 11, 13, 15, 17, 18, 19, 27}


def classes(teacher: Path) -> tuple[list[str], list[str]]:
    """Names and descriptions of the 527 classes, in the teacher's order."""
    with (teacher / "audioset_class_labels_indices.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ontology = json.loads((teacher / "audioset_ontology.json").read_text("utf-8"))
    described = {entry["id"]: entry["description"] for entry in ontology}
    return [row["display_name"] for row in rows], [described[row["mid"]] for row in rows]


def held_out(text: Path) -> list[str]:
    """Parts of captions that are never trained on."""
    captions = _captions(text, (HELD_OUT_FILE,))
    return _unique([" ".join(words) for caption in captions for words in parts_of(caption)])


def collect(*, teacher: Path, text: Path, wordnet: Path, seed: int) -> dict[str, list[str]]:
    """Phrases by kind, each kind without repetitions, in a fixed order.

    Phrases of several sounds are left out: whoever reads them cuts them first.

    Parameters
    ----------
    teacher, text : Path
        Folders with the ontology and with the captions.
    wordnet : Path
        WordNet's ``data.noun``, ``data.verb``, ``data.adj`` (Debian's package wordnet-base).
    seed : int

    Returns
    -------
    dict
        ``names``, ``captions``, ``fragments``, ``words``, ``swapped``.
    """
    rng = np.random.default_rng(seed)
    captions = _captions(text, CAPTION_FILES)
    fragments = _fragments(captions)
    synsets = _synsets(wordnet)
    result = {
        "names": _names(teacher),
        "captions": captions,
        "fragments": fragments,
        "words": _words(synsets, rng),
        "swapped": _swapped(fragments, synsets, rng),
    }
    return {
        kind: _some(_of_one_sound(_unique(phrases)), KEPT[kind], rng)
        for kind, phrases in result.items()
    }


def misspell(phrase: str, rng: np.random.Generator) -> str:
    """Drop, double, change or swap one letter of one longer word."""
    words = phrase.split(" ")
    long = [number for number, word in enumerate(words) if len(word) > 3]
    if not long:
        return phrase
    number = int(rng.choice(long))
    word = words[number]
    at = int(rng.integers(1, len(word) - 1))
    letter = "abcdefghijklmnopqrstuvwxyz"[rng.integers(26)]
    words[number] = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )[rng.integers(4)]
    return " ".join(words)


def _some(phrases: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """At most `count` of the phrases, drawn at random, in their order."""
    return [phrases[i] for i in sorted(rng.permutation(len(phrases))[:count])]


def _unique(phrases: list[str]) -> list[str]:
    return list(dict.fromkeys(phrases))


def _of_one_sound(phrases: list[str]) -> list[str]:
    return [phrase for phrase in phrases if len(parts_of(phrase)) == 1]


def _captions(text: Path, names: tuple[str, ...]) -> list[str]:
    captions: list[str] = []
    for name in names:
        with (text / name).open(newline="", encoding="utf-8") as file:
            captions += [row["caption"].strip().lower() for row in csv.DictReader(file)]
    return _unique(captions)


def _names(teacher: Path) -> list[str]:
    ontology = json.loads((teacher / "audioset_ontology.json").read_text("utf-8"))
    phrases: list[str] = []
    for entry in ontology:
        name = entry["name"].lower()
        parts = [re.sub(r"\s*\(.*?\)", "", part).strip() for part in name.split(",")]
        phrases += [name, *parts, *(f"{a} {b}" for a in parts for b in parts if a != b)]
        phrases += [frame.format(part) for frame in FRAMES for part in parts]
        phrases += re.split(r"(?<=\.)\s", entry["description"].lower())
        phrases.append(f"{name}. {entry['description'].lower()}")
    return phrases


def _fragments(captions: list[str]) -> list[str]:
    """Parts of captions between links, and runs of one to four words heard at least thrice."""
    parts: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for caption in captions:
        for words in parts_of(caption):
            if len(words) <= 8:
                parts[" ".join(words)] += 1
            for size in (1, 2, 3, 4):
                runs.update(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
    frequent = [run for run, count in runs.most_common(25_000) if count >= 3]
    return [part for part, _ in parts.most_common(35_000)] + frequent


Synset = tuple[str, int, list[str], str]


def _synsets(wordnet: Path) -> list[Synset]:
    """Part of speech, lexicographer file, lemmas and gloss of every synset."""
    synsets: list[Synset] = []
    for part in ("noun", "verb", "adj"):
        for line in (wordnet / f"data.{part}").read_text("utf-8").splitlines():
            if line.startswith("  "):
                continue
            data, _, gloss = line.partition(" | ")
            fields = data.split(" ")
            count = int(fields[3], 16)
            lemmas = [re.sub(r"\(.*\)", "", fields[4 + 2 * i]) for i in range(count)]
            plain = [lemma.replace("_", " ") for lemma in lemmas if lemma.islower()]
            synsets.append((part, int(fields[1]), plain, gloss.split(";")[0].strip()))
    return synsets


def _words(synsets: list[Synset], rng: np.random.Generator) -> list[str]:
    lemmas: list[str] = []
    glosses: list[str] = []
    for part, file, names, gloss in synsets:
        if part == "noun" and file not in NOUN_FILES:
            continue
        short = [name for name in names if name.count(" ") <= 1 and len(name) < 24]
        if part == "adj":
            short = [name for name in short if " " not in name][:1]
        lemmas += short
        if short and len(gloss) < 90 and part != "adj":
            glosses.append(gloss)
    return _some(_unique(lemmas), 34_000, rng) + _some(glosses, 6_000, rng)


def _swapped(fragments: list[str], synsets: list[Synset], rng: np.random.Generator) -> list[str]:
    """Fragments with one word replaced by a synonym: "pup barks" from "dog barks"."""
    synonyms: dict[str, set[str]] = {}
    for _, _, names, _ in synsets:
        for name in names:
            synonyms.setdefault(name, set()).update(other for other in names if other != name)
    result: list[str] = []
    for number in rng.integers(len(fragments), size=30_000):
        words = fragments[number].split(" ")
        known = [at for at, word in enumerate(words) if synonyms.get(word) and len(word) > 2]
        if not known:
            continue
        at = int(rng.choice(known))
        words[at] = str(rng.choice(sorted(synonyms[words[at]])))
        result.append(" ".join(words))
    return result

"""Lists of sounds that recordings can be tagged with: AudioSet's names, or a user's own."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from search.errors import VocabularyError

AUDIOSET: Final = "audioset"
TAUGHT: Final = "taught"
"""The vocabulary of the sounds that the user has taught."""

_PACKAGED: Final = "audioset.txt"
_MOST_LETTERS: Final = 200
_MOST_LABELS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A list of sounds.

    Attributes
    ----------
    name : str
        Tags are kept under it; a changed list of the same name takes the place of the older.
    labels : tuple of str
        What a recording is tagged with; each once.
    phrases : tuple of str
        What the encoder reads for each label: the label itself, or a description of the sound.
    """

    name: str
    labels: tuple[str, ...]
    phrases: tuple[str, ...]

    def digest(self) -> str:
        """Return 64 hex digits that change exactly when labels or phrases do."""
        text = json.dumps([self.labels, self.phrases], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def audioset() -> Vocabulary:
    """Return the names of the 527 classes of AudioSet, in its order.

    References
    ----------
    .. [1] J. F. Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio
           events", ICASSP 2017. Names: CC BY 4.0, Google LLC.
    """
    text = files("search").joinpath(_PACKAGED).read_text(encoding="utf-8")
    names = tuple(line for line in text.splitlines() if line and not line.startswith("#"))
    return Vocabulary(AUDIOSET, names, names)


def read_vocabulary(path: Path, *, name: str | None = None) -> Vocabulary:
    """Read a list of sounds: one a line, as ``church bell`` or ``label: what it sounds like``.

    Blank lines and lines that begin with ``#`` mean nothing.

    Parameters
    ----------
    name
        What to call it; by default the file's name without its ending.

    Raises
    ------
    VocabularyError
        If it cannot be read or is not such a list; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise VocabularyError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path} is not a text file in UTF-8: save it as one") from error
    phrases: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        label, phrase = _entry(f"{path}, line {number}", line)
        if label.casefold() in seen:
            raise VocabularyError(f"{path}, line {number}: {label!r} is in the list already")
        seen.add(label.casefold())
        phrases[label] = phrase
    if not phrases:
        raise VocabularyError(f"{path} lists no sound: write one a line, as in: church bell")
    if len(phrases) > _MOST_LABELS:
        raise VocabularyError(f"{path} lists {len(phrases):,} sounds; at most {_MOST_LABELS:,} go")
    chosen = path.stem if name is None else name
    if not chosen.strip() or chosen in (AUDIOSET, TAUGHT):
        raise VocabularyError(f"a list of your own cannot be called {chosen!r}: use another name")
    return Vocabulary(chosen, tuple(phrases), tuple(phrases.values()))


def _entry(where: str, line: str) -> tuple[str, str]:
    label, colon, phrase = (part.strip() for part in line.partition(": "))
    if colon and not (label and phrase):
        raise VocabularyError(f"{where}: write a label, a colon and a description, or a label only")
    if len(line) > _MOST_LETTERS or not line.isprintable():
        raise VocabularyError(f"{where} is no phrase: write one of at most {_MOST_LETTERS} letters")
    if not any(letter.isalnum() for letter in label):
        raise VocabularyError(f"{where}: {label!r} holds no word")
    return label, phrase or label

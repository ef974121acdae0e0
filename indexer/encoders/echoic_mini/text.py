"""The text side of echoic-mini: hashed words and letters, a small network, NumPy alone."""

import io
import re
import zlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# The table's rows 0 to WORD_ROWS - 1 hold words and pairs of words, the others runs of letters.
WORD_ROWS = 1 << 15
LETTER_ROWS = 1 << 14
MAX_WORDS = 64

# What joins the sounds of one sentence.
_LINKS = re.compile(
    r"[,;.:!?/|&+]|\b(?:and|or|while|whilst|as|then|with|before|after|when|during|over|plus"
    r"|alongside|followed by|accompanied by)\b"
)
_ONE_SOUND = re.compile(r"\b(drum|rock|rhythm|pots|bow) and (bass|roll|blues|pans|arrow)\b")
# A part made of these alone ("then stops", "in the distance") names no sound.
_FILLER_WORDS = """
a an the it its is are was were be being been can this that there here they he she his her their
someone somebody something some one two three first second last another other others each all
more many several various different same time times once twice again also well very start starts
stop stops begin begins end ends continue continues fade fades go goes come comes occur occurs
happen happens heard hear hears audible present away off on in out up down of at to by from into
near nearby far close distance distant background foreground loud loudly louder quiet quietly
quieter soft softly slow slowly slower fast faster brief briefly short long continuous
continuously constant constantly steady repeated repeatedly occasional occasionally intermittent
intermittently suddenly gradually finally eventually later so do does both too just only
"""
_FILLERS = frozenset(_FILLER_WORDS.split())


def words_of(text: str) -> list[str]:
    """The first 64 words of a phrase, in lower case."""
    return re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("\u2019", ""))[:MAX_WORDS]


def unread(text: str) -> str:
    """Return what comes after the first 64 words of a phrase; empty if there is nothing."""
    words = list(re.finditer(r"[^\W_]+(?:['\u2019]+[^\W_]+)*", text))
    return text[words[MAX_WORDS].start() :].strip() if len(words) > MAX_WORDS else ""


def parts_of(text: str) -> list[list[str]]:
    """The words of every sound that a sentence names, in their order.

    "A man talks while rain falls" has two parts. Each is understood alone, because a sentence
    encoder, and whoever learns from one, hears the louder word of a sentence and misses the rest.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of list of str
        At most 64 words in all; empty if the text holds no letter or digit.
    """
    joined = _ONE_SOUND.sub(r"\1-n-\2", text.lower())
    parts: list[list[str]] = []
    room = MAX_WORDS
    for piece in _LINKS.split(joined):
        words = words_of(piece.replace("-n-", " and "))[:room]
        if words and not _FILLERS.issuperset(words):
            parts.append(words)
            room -= len(words)
    whole = words_of(text)
    return parts or ([whole] if whole else [])


def tokens(words: list[str]) -> Iterator[list[int]]:
    """Rows of the table for every token of a phrase: each word, then each pair of neighbours.

    A word that was never seen, or is misspelt, still shares its runs of three to five letters with
    others. The hash is CRC-32: equal on every machine, unlike Python's own.

    Parameters
    ----------
    words : list of str

    Yields
    ------
    list of int
        The row of the word or pair; for a word, then the rows of its runs of letters.
    """
    for word in words:
        marked = f"<{word}>"
        runs = {
            marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1)
        }
        yield [_word_row(word), *sorted(_letter_row(run) for run in runs)]
    for first, second in pairwise(words):
        yield [_word_row(f"{first} {second}")]


def _word_row(word: str) -> int:
    return zlib.crc32(word.encode()) % WORD_ROWS


def _letter_row(run: str) -> int:
    return WORD_ROWS + zlib.crc32(run.encode()) % LETTER_ROWS


class TextTower:
    """Phrase -> shares of the 527 classes of AudioSet -> unit vector.

    Parameters
    ----------
    weights : bytes
        An npz file, written by ``training.text``.

    Notes
    -----
    A token is the sum of its word's row and the mean of its letters' rows. Tokens are averaged with
    weights that depend on the token, so that "rain" counts more than "the". Two layers lead to a
    sphere on which every class has its place; a softmax over the likeness with the classes gives
    their shares. A sentence that names several sounds is cut at its links, and every part has an
    equal say.
    """

    def __init__(self, weights: bytes) -> None:
        with np.load(io.BytesIO(weights)) as file:
            self._table: NDArray[np.int8] = file["table"]
            part = {name: file[name].astype(np.float32) for name in file.files if name != "table"}
        self._scale = part["table_scale"]
        self._attention = part["attention"]
        self._layers = [(part["weight1"], part["bias1"]), (part["weight2"], part["bias2"])]
        self._classes = part["classes"]
        self._temperature = float(part["temperature"])
        self._basis = part["basis"]

    def shares(self, text: str) -> NDArray[np.float32]:
        """How much of each of the 527 classes a phrase means; they sum to 1.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray, shape (527,), float32

        Raises
        ------
        ValueError
            If the phrase holds no letter or digit.
        """
        parts = parts_of(text)
        if not parts:
            raise ValueError(f"there is no word in {text!r}: describe a sound")
        result: NDArray[np.float32] = np.mean([self._part(words) for words in parts], axis=0)
        return result

    def embed(self, text: str) -> NDArray[np.float32]:
        """The half of a vector that speaks of classes, unit length.

        Parameters
        ----------
        text : str

        Returns
        -------
        ndarray, shape (word_dims,), float32

        Raises
        ------
        ValueError
            If the phrase holds no letter or digit.
        """
        vector = self.shares(text) @ self._basis
        result: NDArray[np.float32] = vector / np.linalg.norm(vector)
        return result

    def _part(self, words: list[str]) -> NDArray[np.float32]:
        """The shares that the words of one sound mean."""
        vectors = np.stack([self._token(rows) for rows in tokens(words)])
        scores = vectors @ self._attention
        attention = np.exp(scores - scores.max())
        hidden = attention @ vectors / attention.sum()
        (weight1, bias1), (weight2, bias2) = self._layers
        hidden = np.maximum(hidden @ weight1 + bias1, np.float32(0)) @ weight2 + bias2
        likeness = self._classes @ (hidden / np.linalg.norm(hidden))
        share = np.exp((likeness - likeness.max()) / np.float32(self._temperature))
        result: NDArray[np.float32] = share / share.sum()
        return result

    def _token(self, rows: list[int]) -> NDArray[np.float32]:
        vectors = self._table[rows] * self._scale[rows, None]
        vector: NDArray[np.float32] = vectors[0]
        if len(rows) > 1:
            vector = vector + vectors[1:].mean(axis=0)
        return vector

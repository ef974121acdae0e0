"""Keyword search: recordings whose names, tags or descriptions hold the words of a query.

A name is the surest thing that is known of a sound, and no word in it may be missed. But a query is
a phrase, ``rain on a tin roof``, of which most names hold a part: so recordings with more of the
words come first, then those with the rarer words, and words that say what something is (name,
folder, title, tags, category) count twice as much as words that tell about it.

References
----------
.. [1] S. Robertson, H. Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond.
   Foundations and Trends in Information Retrieval 3(4), 2009. (The weight of a word.)
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from db.catalogue import Catalogue
from db.columns import Columns
from db.full_text import files_with_stem
from db.words import spellings, words_of

STOP_WORDS: Final = frozenset(
    words_of(
        "a an and are as at be by for from his her in into is it its my no not of on onto or our s "
        "some that the their there these this to was were which while who with"
    )
)
"""Words of a phrase that say nothing by themselves. They are looked for if there are no others."""

_ELSEWHERE: Final = 0.5  # what a word counts that stands in a description only


@dataclass(frozen=True, slots=True)
class KeywordHit:
    """A recording whose texts hold words of a query.

    Attributes
    ----------
    score : float
        The sum of the weights of the words; compares only within one answer.
    share : float
        The share of the query's words that occur, above 0 and at most 1. Stop words do not count.
    naming_share : float
        The share that occurs in name, folder, title, tags or category.
    """

    recording_id: int
    score: float
    share: float
    naming_share: float


@dataclass(frozen=True, slots=True, eq=False)
class KeywordHits:
    """All recordings whose texts hold words of a query, column by column.

    Attributes
    ----------
    ids : ndarray, shape (n,), int64
        Recordings, ascending.
    scores, shares, naming_shares : ndarray, shape (n,), float64
        See `KeywordHit`.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    shares: NDArray[np.float64]
    naming_shares: NDArray[np.float64]


def find_keywords(
    catalogue: Catalogue, words: str, *, allowed: NDArray[np.int64] | None = None
) -> KeywordHits:
    """Find every recording whose name, tags or manifest hold a word, whatever its ending.

    Parameters
    ----------
    words : str
        Any text. Names in it are taken apart: ``DoorCreak`` finds ``door_creak`` as well.
    allowed : ndarray of int64, optional
        Ids of the recordings that may be found.
    """
    terms = _terms(words)
    columns = catalogue.columns()
    n = len(columns.ids)
    n_found, n_naming = np.zeros(n, dtype=np.int16), np.zeros(n, dtype=np.int16)
    scores = np.zeros(n)
    with catalogue.session() as session:
        for term in terms:
            naming, anywhere = _holding(columns, session.connection(), term)
            df = int(np.count_nonzero(anywhere))
            weight = np.log1p((n - df + 0.5) / (df + 0.5))
            n_found += anywhere
            n_naming += naming
            scores += weight * np.where(naming, 1.0, _ELSEWHERE * anywhere)
    found = n_found > 0
    if allowed is not None:
        may = np.zeros(n, dtype=np.bool_)
        may[columns.positions_of(allowed)] = True
        found &= may
    n_terms = max(1, len(terms))
    return KeywordHits(
        columns.ids[found], scores[found], n_found[found] / n_terms, n_naming[found] / n_terms
    )


def search_keywords(
    catalogue: Catalogue, words: str, limit: int, *, allowed: NDArray[np.int64] | None = None
) -> list[KeywordHit]:
    """Find the recordings that hold the most of some words; see `find_keywords`.

    Returns
    -------
    list of KeywordHit
        Those with the most words first, then by score, then by id; at most `limit` of them.
    """
    found = find_keywords(catalogue, words, allowed=allowed)
    best = np.lexsort((found.ids, -found.scores, -found.shares))[: max(0, limit)]
    columns = (found.ids, found.scores, found.shares, found.naming_shares)
    return [KeywordHit(*row) for row in zip(*(c[best].tolist() for c in columns), strict=True)]


def _terms(text: str) -> list[str]:
    """Return the words to look for as they are written, each once."""
    terms = {" ".join(words_of(word)): word for word in re.findall(r"[^\W_]+", text)}
    terms.pop("", None)
    telling = {folded: word for folded, word in terms.items() if folded not in STOP_WORDS}
    return list((telling or terms).values())


def _holding(
    columns: Columns, connection: Connection, term: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which recordings hold a word in what names them, and which anywhere.

    A word that is a name of several, ``DoorCreak``, is held by what holds all of these too.
    """
    naming = np.zeros(len(columns.ids), dtype=np.bool_)
    anywhere = np.zeros(len(columns.ids), dtype=np.bool_)
    for words in spellings(term):
        in_names, in_any = _files_holding(connection, words)
        naming[columns.positions_of_files(in_names)] = True
        anywhere[columns.positions_of_files(in_any)] = True
    return naming, anywhere


def _files_holding(
    connection: Connection, words: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    naming, anywhere = [], []
    for word in words:
        in_names = files_with_stem(connection, word, naming=True)
        elsewhere = files_with_stem(connection, word, naming=False)
        naming.append(in_names)
        anywhere.append(np.concatenate([in_names, elsewhere]))
    return _intersection(naming), _intersection(anywhere)


def _intersection(sets: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    common = sets[0]
    for other in sets[1:]:
        common = np.intersect1d(common, other)
    return common

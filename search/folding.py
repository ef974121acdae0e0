"""Near-copies of one content, folded into one hit.

An archive holds the same sound as a master, a listening copy and an excerpt. In an answer they say
one thing, so they are one hit, which can be unfolded. Whether two recordings are copies is decided
by their fingerprints, as `search.comparison` does for the whole archive; only pairs that the
encoder finds all but equal are looked at.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.errors import UnknownName
from db.records import RecordingInfo
from db.stored_vectors import vector_blocks
from indexer.fingerprint import DEFAULT_FINGERPRINTER, load_fingerprinter
from indexer.fingerprint_places import open_fingerprints
from search.alignment import Line
from search.comparison import Comparison
from search.hits import Hit
from search.seeds import Seed

_ALIKE = 0.9
"""Copies' mean vectors have at least this cosine."""
_LAG_BIN = 8  # frames
_LEAST_KEYS = 8
_MOST_LAGS = 4
_MOST_COMPARED = 8  # of the hits before it, those most like a hit
_REMEMBERED = 100_000  # pairs
_MIN_OVERLAP_S = 1e9  # only copies count, no excerpts


class Folder:
    """Tells which recordings of one catalogue are copies of each other. Threads may share one.

    Parameters
    ----------
    catalogue : Catalogue
    encoder : str
        Whose vectors, of length `dim`, say which pairs are worth a comparison.
    dim : int
    """

    def __init__(self, catalogue: Catalogue, encoder: str, dim: int) -> None:
        self._catalogue = catalogue
        self._encoder = encoder
        self._dim = dim
        self._known: OrderedDict[tuple[int, int], bool] = OrderedDict()
        self._comparison: Comparison | None = None
        self._index: ArchiveFrames | None = None
        self._fingerprinter = load_fingerprinter(DEFAULT_FINGERPRINTER)

    def fold(self, hits: Sequence[Hit]) -> list[Hit]:
        """Put each hit that is a copy of a better one into that.

        Parameters
        ----------
        hits : sequence of Hit
            Best first.
        """
        if len(hits) < 2 or not self._is_open():
            return list(hits)
        means = self._means([hit.recording.id for hit in hits])
        kept: list[int] = []
        copies: dict[int, list[RecordingInfo]] = {}
        for place, hit in enumerate(hits):
            cosines = means[kept] @ means[place]
            likeliest = np.argsort(-cosines, kind="stable")[:_MOST_COMPARED]
            for other in (kept[at] for at in likeliest if cosines[at] >= _ALIKE):
                if self._are_copies(hit.recording.id, hits[other].recording.id):
                    copies.setdefault(other, []).append(hit.recording)
                    break
            else:
                kept.append(place)
        return [
            replace(hits[place], copies=(*hits[place].copies, *copies.get(place, ())))
            for place in kept
        ]

    def _is_open(self) -> bool:
        """Open the index of fingerprints if there is one by now, and bring it up to date."""
        if self._index is None:
            if self._fingerprinter.id not in {scheme.name for scheme in self._catalogue.schemes()}:
                return False
            index = open_fingerprints(self._catalogue, self._fingerprinter)
            self._comparison = Comparison(index, self._fingerprinter.frame_s, _MIN_OVERLAP_S)
            self._index = index
        self._index.refresh()
        return True

    def _means(self, recording_ids: list[int]) -> NDArray[np.float32]:
        """Return recordings' mean vectors, shape (n, dim), unit length; zero if there is none."""
        means = np.zeros((len(recording_ids), self._dim), dtype=np.float32)
        rows = {id_: row for row, id_ in enumerate(recording_ids)}
        # Those found by their names may have no vectors; they are not compared.
        for block in vector_blocks(self._catalogue, self._encoder, recording_ids):
            for id_, vectors in block.each():
                mean = vectors.mean(axis=0)
                means[rows[id_]] = mean / np.linalg.norm(mean)
        return means

    def _are_copies(self, first_id: int, second_id: int) -> bool:
        pair = (min(first_id, second_id), max(first_id, second_id))
        found = self._known.get(pair)
        if found is None:
            try:
                found = self._known[pair] = self._compare(*pair)
            except UnknownName:  # one has no fingerprint: not yet, or it was removed just now
                return False
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _compare(self, first_id: int, second_id: int) -> bool:
        if self._comparison is None:
            return False
        seeds = self._seeds(first_id, second_id)
        return any(shared.is_copy for shared in self._comparison.compare(first_id, seeds))

    def _seeds(self, first_id: int, second_id: int) -> list[Seed]:
        """Return the differences of time that most keys of the two agree on."""
        first_keys, first_moments = self._keys(first_id)
        second_keys, second_moments = self._keys(second_id)
        order = np.argsort(second_keys, kind="stable")
        second_keys, second_moments = second_keys[order], second_moments[order]
        low = np.searchsorted(second_keys, first_keys, side="left")
        counts = np.searchsorted(second_keys, first_keys, side="right") - low
        # A key that is everywhere says little about where.
        counts[counts > 8] = 0
        owners = np.repeat(np.arange(len(first_keys)), counts)
        steps = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        at_first = first_moments[owners].astype(np.int64)
        at_second = second_moments[low[owners] + steps].astype(np.int64)
        lags, votes = np.unique((at_second - at_first) // _LAG_BIN, return_counts=True)
        best = np.argsort(-votes, kind="stable")[:_MOST_LAGS]
        seeds = []
        for lag, n_votes in zip(lags[best].tolist(), votes[best].tolist(), strict=True):
            if n_votes >= _LEAST_KEYS:
                member = int(np.flatnonzero((at_second - at_first) // _LAG_BIN == lag)[0])
                line = Line(float(at_first[member]), float(at_second[member]))
                seeds.append(Seed(first_id, second_id, line, n_votes))
        return seeds

    def _keys(self, recording_id: int) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        if self._index is None:
            return np.empty(0, np.uint32), np.empty(0, np.int32)
        return self._fingerprinter.keys(self._index.landmarks_of(recording_id))

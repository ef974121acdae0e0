"""One search engine for all kinds of query: by words, by example, by what is known, and combined.

Reads only; what other processes commit is found by the next query.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.filters import RecordingFilter
from db.segment_index import SegmentIndex
from db.stored_vectors import vector_blocks
from indexer.encoders import Encoder
from search.advice import advice
from search.archive_calibration import calibration_of
from search.calibration import POSSIBLE, Calibration
from search.candidates import Candidates, find_candidates, heard_in, matching_recordings
from search.copies import Copies, copies_of
from search.encoders import encoder_for, notes_on_vectors
from search.errors import QueryError
from search.folding import Folder
from search.hits import Facet, Hit, Passage, Results, Source, Strength
from search.keywords import Names, named_for
from search.language import parse
from search.query import Query, Sound
from search.ranking import PreparedQuery, Ranking, Scorer
from search.sounds import SoundReader

Ids = NDArray[np.int64]

_SPARE = 8
"""So many more candidates than hits are looked at: some are folded, some are left out."""
_MOST_WANTED = 50_000


class SearchEngine:
    """Answers questions over one catalogue with one encoder. Threads may share one.

    Parameters
    ----------
    encoder
        The encoder's id or family name. By default that which was chosen for the catalogue, else
        the bundled one if the catalogue holds its vectors, else the oldest there.
    calibration
        What its scores mean; by default as `search.archive_calibration.calibration_of` finds it.

    Raises
    ------
    UnknownName
        If the catalogue holds no vectors by this encoder.
    EncoderError
        If this Echoic does not have the encoder, or none that made vectors of the catalogue.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        encoder: str | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self.catalogue = catalogue
        self._encoder: Encoder = encoder_for(catalogue, encoder)
        self._index = SegmentIndex.open(catalogue, self._encoder.id)
        self._calibration = calibration or calibration_of(catalogue, self._encoder)
        self._reader = SoundReader(catalogue, self._encoder, self._calibration)
        self._filter = RecordingFilter(catalogue)
        self._folder: Folder | None = None
        self._folder_lock = threading.Lock()

    @property
    def encoder(self) -> str:
        """The id of the encoder that answers."""
        return self._encoder.id

    @property
    def notes(self) -> list[str]:
        """What is wrong with the index, what lacks vectors, what scores are worth, in words."""
        return [
            *self._index.notes,
            *notes_on_vectors(self.catalogue, self._encoder.id),
            *self._calibration.notes,
        ]

    def search(
        self,
        query: Query | str,
        *,
        k: int = 20,
        ranking: Ranking = Ranking.FUSED,
        fold_copies: bool = True,
        facets: Sequence[str] = (),
    ) -> Results:
        """Answer a question.

        Parameters
        ----------
        query
            A `Query`, or text in the query language (``docs/queries.md``).
        k
            The greatest number of hits, and of near misses.
        ranking
            By sound and keywords together, or by one of them.
        fold_copies
            Make one hit of near-copies of one content.
        facets
            Fields whose values are counted over all recordings that match.

        Returns
        -------
        Results
            No hits if nothing in the archive matches; the nearest misses are given apart.

        Raises
        ------
        QueryError
            If the query asks for nothing, or cannot be understood.
        UnknownName
            If it names a recording or a sound class that is not there.
        AudioError
            If an example cannot be decoded.
        """
        if k < 1:
            raise QueryError(f"{k} hits cannot be shown: ask for at least 1")
        prepared = self._prepare(_asked(query), ranking)
        self._index.refresh()
        copies = [copies_of(self.catalogue, demand.path) for demand in prepared.query.copies]
        allowed = self._allowed(prepared, ranking, copies)
        wanted = k + _SPARE if not prepared.without else 4 * k + _SPARE
        while True:
            found, is_cut = self._found(prepared, allowed, ranking, wanted)
            if fold_copies:
                found = self._fold(found)
            good = [hit for hit in found if hit.score >= POSSIBLE]
            # Copies that were folded, or passages that are barred, leave room for others.
            if len(good) >= k or not is_cut or len(good) < len(found) or wanted >= _MOST_WANTED:
                break
            wanted *= 4
        return Results(
            tuple(good[:k]),
            tuple(hit for hit in found if hit.score < POSSIBLE)[: max(0, k - len(good))],
            self._count(allowed),
            self._facets(prepared, allowed, ranking, found, facets),
            (
                *self.notes,
                *_unread(prepared),
                *dict.fromkeys(note for found in copies for note in found.notes),
                *advice(prepared.query, self._filter, n_hits=len(good)),
            ),
            is_complete=len(good) <= k and (not is_cut or len(good) < len(found)),
        )

    def occurrences(self, query: Query | str, recording_id: int) -> tuple[Passage, ...]:
        """Find every passage of one recording that answers a query.

        Returns
        -------
        tuple of Passage
            Those that are possible or strong, in order of time.
        """
        prepared = self._prepare(_asked(query), Ranking.SOUND)
        if not prepared.sounds:
            raise QueryError("name a sound: without one there is nothing that occurs")
        recording = self.catalogue.recording(recording_id)
        vectors = self.catalogue.vectors(recording_id, self.encoder).astype(np.float32)
        scorer = Scorer(prepared, self._encoder, self._index.encoder)
        passages = scorer.occurrences(recording, vectors)
        return tuple(sorted(passages, key=lambda passage: (passage.onset_s, passage.sound)))

    def vector(self, sound: Sound) -> NDArray[np.float32]:
        """Return what a sound is to the encoder: shape (dim,), unit length."""
        return self._reader.prepare(sound).direction

    # -- inside ----------------------------------------------------------------------------

    def _prepare(self, query: Query, ranking: Ranking) -> PreparedQuery:
        if not (query.sounds or query.without or query.conditions or query.copies):
            raise QueryError('say what to search for, as in: echoic search "dog barking"')
        if not query.within_s > 0:
            raise QueryError(f"a sound cannot follow within {query.within_s:g} s: give more than 0")
        sounds = tuple(self._reader.prepare(sound) for sound in query.sounds)
        if ranking is Ranking.WORDS and not all(sound.keywords for sound in sounds):
            raise QueryError("an example has no words to look for: search by sound, or by both")
        without = tuple(self._reader.prepare(sound) for sound in query.without)
        return PreparedQuery(sounds, without, query)

    def _allowed(
        self, prepared: PreparedQuery, ranking: Ranking, copies: Sequence[Copies]
    ) -> Ids | None:
        """Return the recordings that may answer, ascending; None if all may."""
        query = prepared.query
        barred = [
            np.array(
                [
                    part.recording_id
                    for sound in prepared.sounds
                    for part in sound.parts
                    if part.is_whole
                ],
                dtype=np.int64,
            )
        ]
        if ranking is not Ranking.SOUND:
            barred.append(named_for(self.catalogue, prepared.without))
        barred_ids = np.unique(np.concatenate(barred))
        if not (query.conditions or query.copies or len(barred_ids)):
            return None
        allowed = self._filter.matching(query.conditions)
        for demand, found in zip(query.copies, copies, strict=True):
            allowed = allowed[np.isin(allowed, found.recording_ids, invert=demand.negated)]
        return np.setdiff1d(allowed, barred_ids, assume_unique=True)

    def _found(
        self, prepared: PreparedQuery, allowed: Ids | None, ranking: Ranking, wanted: int
    ) -> tuple[list[Hit], bool]:
        """Return the best hits and near misses, and whether there may be others."""
        if not prepared.sounds:
            return self._listed(prepared, allowed, wanted)
        names = self._names(prepared, allowed, ranking)
        by_sound = Candidates([], False)
        if ranking is not Ranking.WORDS:
            by_sound = find_candidates(self._index, prepared.sounds, allowed, wanted)
        by_name = names.best(wanted)
        chosen = list(dict.fromkeys([*by_sound.likeliest, *by_name]))
        hits = self._scored(prepared, chosen, names, only_words=ranking is Ranking.WORDS)
        # Ties by id, so that the same question gets the same answer.
        hits.sort(key=lambda hit: (-hit.score, hit.recording.id))
        is_cut = by_sound.is_cut or len(by_name) < len(names.ids)
        return hits[:wanted], is_cut or len(hits) > wanted

    def _names(self, prepared: PreparedQuery, allowed: Ids | None, ranking: Ranking) -> Names:
        # A name may say that two sounds are there, never which of them comes first.
        if ranking is Ranking.SOUND or (prepared.query.in_order and len(prepared.sounds) > 1):
            return Names.none(len(prepared.sounds))
        return Names.of(self.catalogue, prepared.sounds, allowed)

    def _scored(
        self,
        prepared: PreparedQuery,
        chosen: Sequence[int],
        names: Names,
        *,
        only_words: bool,
    ) -> list[Hit]:
        """Score recordings, those without vectors by their names alone."""
        scorer = Scorer(prepared, self._encoder, self._index.encoder)
        recordings = self.catalogue.recordings(chosen)
        without_vectors = dict.fromkeys(id_ for id_ in chosen if id_ in recordings)
        hits = []
        for block in vector_blocks(self.catalogue, self.encoder, list(recordings)):
            for id_, vectors in block.each():
                del without_vectors[id_]
                sure = names.of_recording(id_)
                hits.append(scorer.hit(recordings[id_], vectors, sure, only_words=only_words))
        for id_ in without_vectors:
            sure = names.of_recording(id_)
            hits.append(scorer.hit(recordings[id_], None, sure, only_words=only_words))
        return [hit for hit in hits if hit is not None and hit.score > 0.0]

    def _listed(
        self, prepared: PreparedQuery, allowed: Ids | None, wanted: int
    ) -> tuple[list[Hit], bool]:
        """List what meets the conditions, by number, without what must not be heard."""
        ids = self._not_heard(prepared, allowed)
        on_text = any(condition.field == "text" for condition in prepared.query.conditions)
        found_by = (Source.WORDS,) if on_text else ()
        recordings = self.catalogue.recordings(ids[:wanted].tolist())
        hits = [
            Hit(recordings[id_], 1.0, (), Strength.STRONG, found_by) for id_ in sorted(recordings)
        ]
        return hits, len(ids) > wanted

    def _not_heard(self, prepared: PreparedQuery, allowed: Ids | None) -> Ids:
        """Return the allowed recordings in which nothing is heard that must not be."""
        ids = self._filter.matching(()) if allowed is None else allowed
        for sound in prepared.without:
            ids = np.setdiff1d(ids, heard_in(self._index, sound, ids), assume_unique=True)
        return ids

    def _fold(self, hits: list[Hit]) -> list[Hit]:
        with self._folder_lock:
            if self._folder is None:
                self._folder = Folder(self.catalogue, self.encoder, self._encoder.dim)
        return self._folder.fold(hits)

    def _count(self, allowed: Ids | None) -> int:
        return len(self._filter.matching(())) if allowed is None else len(allowed)

    def _facets(
        self,
        prepared: PreparedQuery,
        allowed: Ids | None,
        ranking: Ranking,
        found: Sequence[Hit],
        fields: Sequence[str],
    ) -> tuple[Facet, ...]:
        """Count values among all recordings that match, however many are shown."""
        if not fields:
            return ()
        matching: Ids | None = None
        if not prepared.sounds:
            if allowed is not None or prepared.without:
                matching = self._not_heard(prepared, allowed)
        else:
            # What both witnesses together make a hit is known of the recordings that were scored.
            hits = [
                id_
                for hit in found
                if hit.score >= POSSIBLE
                for id_ in (hit.recording.id, *(copy.id for copy in hit.copies))
            ]
            parts = [np.array(hits, dtype=np.int64)]
            if not prepared.query.in_order:
                parts.append(self._names(prepared, allowed, ranking).matching())
                if ranking is not Ranking.WORDS:
                    sounds = (prepared.sounds, prepared.without)
                    parts.append(matching_recordings(self._index, *sounds, allowed))
            matching = np.unique(np.concatenate(parts))
        counts = self._filter.facets(matching, fields)
        return tuple(Facet(field, tuple(counts[field])) for field in fields)


def _unread(prepared: PreparedQuery) -> list[str]:
    """Say what of the phrases is too long to be read."""
    return [
        f"the encoder does not read so long a phrase to its end; left out is: {sound.unread}"
        for sound in (*prepared.sounds, *prepared.without)
        if sound.unread
    ]


def _asked(query: Query | str) -> Query:
    return parse(query) if isinstance(query, str) else query

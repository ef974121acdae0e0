"""Questions to a catalogue: by words, by example, by what its descriptions say."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.content import content_hash
from db.errors import UnknownName
from db.records import RecordingInfo
from db.segment_index import SegmentIndex
from indexer.encoders import DEFAULT_ENCODER, Encoder, encoder_id, load_encoder
from indexer.errors import AudioError
from indexer.segments import Segmenter
from search.errors import QueryError
from search.hits import Hit, passages_of

MAX_EXAMPLE_S = 600.0
"""The longest example, in seconds; the mean of more than that resembles nothing."""


class SearchEngine:
    """Answers questions over one catalogue with one encoder.

    Reads only; what other processes commit is found by the next query.

    Parameters
    ----------
    encoder
        The encoder's id or family name. By default the bundled one if the catalogue holds its
        vectors, else the one that the catalogue was begun with.

    Raises
    ------
    UnknownName
        If the catalogue holds no vectors by this encoder.
    EncoderError
        If this Echoic does not have the encoder.
    """

    def __init__(self, catalogue: Catalogue, *, encoder: str | None = None) -> None:
        self._catalogue = catalogue
        name = encoder_id(encoder) if encoder else _default_encoder(catalogue)
        self._index = SegmentIndex.open(catalogue, name)
        self._encoder: Encoder = load_encoder(name)

    @property
    def encoder(self) -> str:
        """The id of the encoder that answers."""
        return self._encoder.id

    @property
    def notes(self) -> list[str]:
        """What is wrong with the index, in words; the answers are right all the same."""
        return self._index.notes

    def by_words(self, words: str, *, k: int = 20) -> list[Hit]:
        """Find recordings that sound like a description.

        Parameters
        ----------
        words
            English, as ``"rain on a tin roof"``.
        k
            The greatest number of hits.

        Returns
        -------
        list of Hit
            Best first, each recording once.

        Raises
        ------
        QueryError
            If the words are blank.
        """
        if not words.strip():
            raise QueryError('say what to search for, as in: echoic search "dog barking"')
        try:
            query = self._encoder.embed_text([words])[0]
        except ValueError as error:
            raise QueryError(f"{words!r} holds no word to search for") from error
        return self._hits(query, k, without=None)

    def by_example(
        self, path: Path, *, from_s: float | None = None, to_s: float | None = None, k: int = 20
    ) -> list[Hit]:
        """Find recordings that sound like a file, or like a part of it.

        The file itself, should it be in the catalogue, is left out.

        Parameters
        ----------
        from_s, to_s
            The part, in seconds; by default all of it.

        Raises
        ------
        AudioError
            If the file cannot be decoded, has no such part, or is longer than `MAX_EXAMPLE_S`.
        """
        from indexer.audio import read_mono  # decoders, which a query by words need not load

        sample_rate = self._encoder.sample_rate
        try:
            samples = read_mono(path, sample_rate, from_s=from_s, to_s=to_s, max_s=MAX_EXAMPLE_S)
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from error
        itself = self._catalogue.with_hash(content_hash(path))
        return self._hits(self._embed(samples), k, without=itself)

    def _embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        encoder = self._encoder
        window = round(encoder.window_s * encoder.sample_rate)
        segmenter = Segmenter(window, round(encoder.hop_s * encoder.sample_rate))
        windows = [*segmenter.push(samples), *segmenter.finish()]
        vectors = encoder.embed_audio(np.stack([encoder.pad(window) for window in windows]))
        mean: NDArray[np.float32] = vectors.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _hits(self, query: NDArray[np.float32], k: int, *, without: int | None) -> list[Hit]:
        self._index.refresh()
        chosen = self._best_recordings(query, k if without is None else k + 1)
        recordings = self._catalogue.recordings(chosen)
        hits = [
            hit
            for id_ in chosen
            if id_ != without and id_ in recordings
            if (hit := self._hit(query, recordings[id_])) is not None
        ]
        # Ties by id, so that the same question gets the same answer.
        return sorted(hits, key=lambda hit: (-hit.score, hit.recording.id))[:k]

    def _best_recordings(self, query: NDArray[np.float32], k: int) -> list[int]:
        """Return the `k` recordings with the best segments, asking for more until there are `k`."""
        n_segments = max(4 * k, 64)
        while len(self._index):
            n_segments = min(n_segments, len(self._index))
            _, segments = self._index.search(query[np.newaxis], n_segments)
            found, _ = self._index.locate(segments[0][segments[0] >= 0])
            distinct = list(dict.fromkeys(found.tolist()))
            if len(distinct) >= k or n_segments == len(self._index):
                return distinct[:k]
            n_segments *= 4
        return []

    def _hit(self, query: NDArray[np.float32], recording: RecordingInfo) -> Hit | None:
        try:
            vectors = self._catalogue.vectors(recording.id, self._encoder.id)
        except UnknownName:
            return None  # another process has removed it since the index was read
        scores = vectors.astype(np.float32) @ query
        passages = passages_of(scores, recording.technical.duration_s, self._index.encoder)
        return Hit(recording, passages[0].score, passages)


def by_description(catalogue: Catalogue, words: str, *, k: int = 20) -> list[Hit]:
    """Find recordings whose name, tags or manifest say all the words, whatever their endings.

    Raises
    ------
    QueryError
        If there is no word to look for.
    """
    if not any(character.isalnum() for character in words):
        raise QueryError("give at least one word to look for")
    scores = dict(catalogue.search_descriptions(words, k))
    recordings = catalogue.recordings(scores)
    return [Hit(recordings[id_], score, ()) for id_, score in scores.items() if id_ in recordings]


def _default_encoder(catalogue: Catalogue) -> str:
    held = [encoder.name for encoder in catalogue.encoders()]
    if not held:
        raise QueryError("nothing has been indexed yet: `echoic index FOLDER` does that")
    return DEFAULT_ENCODER if DEFAULT_ENCODER in held else held[0]

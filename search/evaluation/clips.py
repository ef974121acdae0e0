"""Clips and queries as vectors, and how well they match: the same arithmetic as in a search."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.encoders import Encoder, ShippedCalibration
from indexer.errors import AudioError
from search.calibration import BackgroundCalibration, standardise
from search.errors import QueryError

Vectors: TypeAlias = NDArray[np.floating[Any]]

_QUERIES_AT_ONCE = 256


def embed_clips(
    paths: Sequence[Path], encoder: Encoder, *, on_clip: Callable[[int], None] = lambda done: None
) -> list[Vectors]:
    """Embed files as an indexing run does, without a catalogue.

    Parameters
    ----------
    on_clip : callable
        Told after each clip how many are done.

    Returns
    -------
    list of ndarray, shape (n_windows, dim), float16
        One a file: the vectors that a catalogue would hold.

    Raises
    ------
    AudioError
        If a file cannot be decoded; figures without it would be of another set of clips.
    """
    found = []
    for done, path in enumerate(paths, start=1):
        found.append(_embed(path, encoder))
        on_clip(done)
    return found


def _embed(path: Path, encoder: Encoder) -> Vectors:
    from indexer.analysis import EmbeddingStage  # decoders, which the metrics need not load
    from indexer.audio import open_audio

    try:
        with open_audio(path) as reader:
            stage = EmbeddingStage(encoder, reader.info)
            for block in reader.blocks():
                stage.push(block)
            stage.finish()
    except AudioError as error:
        raise AudioError(
            f"{path}: {error}. Mend the file or take it out of the manifest: a figure that leaves "
            "it out silently would be one of other clips"
        ) from error
    return stage.vectors


def embed_phrases(phrases: Sequence[Sequence[str]], encoder: Encoder) -> Vectors:
    """Embed queries of one phrase or several: the mean of the phrases' vectors, at unit length.

    Returns
    -------
    ndarray, shape (n_queries, dim), float32

    Raises
    ------
    QueryError
        If a phrase holds no word.

    References
    ----------
    .. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language
           Supervision", ICML 2021, section 3.1.4 (ensembles of prompts).
    """
    means = np.empty((len(phrases), encoder.dim), dtype=np.float32)
    for row, ensemble in enumerate(phrases):
        try:
            means[row] = encoder.embed_text(list(ensemble)).mean(axis=0)
        except ValueError as error:
            raise QueryError(f"{encoder.id} cannot read {ensemble[0]!r}: {error}") from error
    return _unit(means)


def example_queries(clips: Sequence[Vectors]) -> Vectors:
    """Make queries of clips as ``echoic similar`` does: the mean of the windows, at unit length.

    Returns
    -------
    ndarray, shape (n_clips, dim), float32
    """
    return _unit(np.stack([clip.astype(np.float32).mean(axis=0) for clip in clips]))


def best_window(queries: Vectors, clips: Sequence[Vectors]) -> Vectors:
    """Inner product of each query with the window of each clip that matches it best.

    Parameters
    ----------
    queries : ndarray, shape (n_queries, dim)
    clips : sequence of ndarray, shape (n_windows, dim)
        At least one window each.

    Returns
    -------
    ndarray, shape (n_queries, n_clips), float32
    """
    windows = np.concatenate(clips).astype(np.float32).T
    firsts = np.cumsum([0, *(len(clip) for clip in clips[:-1])])
    scores = np.empty((len(queries), len(clips)), dtype=np.float32)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        some = queries[start : start + _QUERIES_AT_ONCE].astype(np.float32)
        scores[start : start + len(some)] = np.maximum.reduceat(some @ windows, firsts, axis=1)
    return scores


def standardised(queries: Vectors, scores: Vectors, calibration: ShippedCalibration) -> Vectors:
    """Say scores as deviations above those of ordinary sounds.

    Without the levels of the anchors, which tell how sure a hit is and not which name suits best.

    The order of the clips under one query stays; which of several queries suits a clip best may
    not.

    Parameters
    ----------
    queries : ndarray, shape (n_queries, dim), float32
    scores : ndarray, shape (n_queries, n_clips), float32
        As `best_window` gave them.

    Returns
    -------
    ndarray, shape (n_queries, n_clips), float32
    """
    background = BackgroundCalibration(calibration)
    rows = [
        standardise(background, query, row, by_words=False)
        for query, row in zip(queries, scores, strict=True)
    ]
    return np.stack(rows) if rows else scores


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result

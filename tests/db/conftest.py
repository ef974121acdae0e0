"""Catalogues with recordings whose features are drawn at random, for what needs no audio."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.landmarks import Landmarks
from db.records import Analysis, Description, EncoderInfo, FileState, SchemeInfo, Technical
from db.vector_location import put_location
from db.writer import CatalogueWriter

ENCODER = EncoderInfo("test/1", dim=16, sample_rate=32_000, window_s=5.0, hop_s=2.5)
SCHEME = SchemeInfo("test-marks/1", frame_s=0.016)
TECHNICAL = Technical(12.0, 44_100, 2, "WAV", "PCM_16", 16)

MakeAnalysis = Callable[..., Analysis]


def store_location(catalogue: Catalogue, location: str) -> None:
    """Let a catalogue say that its vectors are there, and move none."""
    with catalogue.transaction(of_contents=False) as session:
        put_location(session, location)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(tmp_path / "catalogue", create=True) as opened:
        yield opened


@pytest.fixture
def writer(catalogue: Catalogue) -> Iterator[CatalogueWriter]:
    with CatalogueWriter(catalogue) as opened:
        yield opened


def analysis(
    collection_id: int,
    path: str,
    content: str | None = None,
    *,
    n_segments: int = 3,
    description: Description | None = None,
    known: bool = False,
    encoder: EncoderInfo = ENCODER,
) -> Analysis:
    """Make the analysis of a file; contents of the same name have the same vectors."""
    content = content or path
    rng = np.random.default_rng(list(content.encode()))
    vectors = rng.standard_normal((n_segments, encoder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Analysis(
        collection_id,
        path,
        FileState(1000 + len(content), 5),
        f"sha256:{content}",
        None if known else TECHNICAL,
        description or Description(title=path),
        {},
        None,
        {} if known else {encoder: vectors.astype(np.float16)},
        None if known else {"scheme": "echoic-descriptors/1", "loudness_lufs": -23.0},
    )


def marks(content: str = "x", *, n_landmarks: int = 300, n_frames: int = 750) -> Landmarks:
    """Make landmarks; contents of the same name have the same."""
    rng = np.random.default_rng(list(content.encode()))
    frames = np.sort(rng.integers(0, max(n_frames, 1), n_landmarks)).astype(np.int32)
    frequencies = rng.integers(0, 1000, n_landmarks)
    order = np.lexsort((frequencies, frames))
    return Landmarks(frames, frequencies[order].astype(np.uint16), n_frames)


def fingerprinted(result: Analysis, landmarks: Landmarks | None = None) -> Analysis:
    """Add a fingerprint to the analysis of a file."""
    made = marks(result.content_hash) if landmarks is None else landmarks
    return replace(result, fingerprints={SCHEME: made})


def expand(landmarks: Landmarks) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Make one key of two neighbours: frequency of the first, difference to the second."""
    first, second = landmarks.frequencies[:-1], landmarks.frequencies[1:]
    keys = (first.astype(np.uint32) << 10) | ((second - first) & 1023)
    return keys.astype(np.uint32), landmarks.frames[:-1]


SCHEMES = {SCHEME.name: (expand, 20)}
"""What `db.consistency` has to know of the scheme."""

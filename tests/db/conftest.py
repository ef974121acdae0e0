"""Catalogues with recordings whose vectors are drawn at random, for what needs no audio."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.records import Analysis, Description, EncoderInfo, FileState, Technical
from db.writer import CatalogueWriter

ENCODER = EncoderInfo("test/1", dim=16, sample_rate=32_000, window_s=5.0, hop_s=2.5)
TECHNICAL = Technical(12.0, 44_100, 2, "WAV", "PCM_16", 16)

MakeAnalysis = Callable[..., Analysis]


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

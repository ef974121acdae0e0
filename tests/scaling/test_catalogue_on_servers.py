"""The conformance suite of catalogues on PostgreSQL, with the vectors on a Milvus server."""

from collections.abc import Iterator

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.segment_index import SegmentIndex, save_indexes
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.conformance.test_catalogue import *  # noqa: F403
from tests.milvus import MilvusServerForTests


@pytest.fixture
def catalogue(url: str, milvus: MilvusServerForTests) -> Iterator[Catalogue]:
    """It is also searched at the end of each test: whatever that did is on the server then."""
    with Catalogue.open(url, create=True) as opened:
        with CatalogueWriter(opened) as writer:
            move_vectors(writer, milvus.uri)
        yield opened
        with CatalogueWriter(opened) as writer:
            assert save_indexes(writer) == []
        for encoder in opened.encoders():
            index = SegmentIndex.open(opened, encoder.name)
            whole = index.is_saved()
            for recording_id in opened.recordings_with_vectors(encoder.name) if whole else ():
                vectors = opened.vectors(recording_id, encoder.name).astype(np.float32)
                owners, _ = index.locate(index.search(vectors, 1)[1][:, 0])
                assert set(owners.tolist()) <= {recording_id}


@pytest.fixture
def writer(catalogue: Catalogue) -> Iterator[CatalogueWriter]:
    with CatalogueWriter(catalogue) as opened:
        yield opened

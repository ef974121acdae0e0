"""The same vectors in files and on a Milvus server: the same hits, with filters, and in motion."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.records import EncoderInfo
from db.segment_index import SegmentIndex, save_indexes
from db.vector_location import ENVIRONMENT_VARIABLE, FILES
from db.vector_moving import move_vectors
from db.writer import CatalogueWriter
from tests.conformance.test_vector_index import recall
from tests.db.conftest import analysis
from tests.db.many_readers import Churn, search_while_it_changes, searches_of
from tests.milvus import MilvusServerForTests

ENCODER = EncoderInfo("test/filters", dim=64, sample_rate=32_000, window_s=5.0, hop_s=2.5)
N_RECORDINGS = 4000
SEGMENTS_EACH = 5


@pytest.fixture(scope="module")
def both(
    milvus: MilvusServerForTests, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SegmentIndex, SegmentIndex]]:
    """One archive, searched in files and on a server, after some of it was removed."""
    folder = tmp_path_factory.mktemp("filters") / "catalogue"
    with (
        Catalogue.open(folder, create=True) as catalogue,
        CatalogueWriter(catalogue) as writer,
    ):
        move_vectors(writer, milvus.uri)
        collection = writer.add_collection("tapes", "/tapes").id
        results = [
            analysis(collection, f"{n}.wav", n_segments=SEGMENTS_EACH, encoder=ENCODER)
            for n in range(N_RECORDINGS)
        ]
        writer.store(results)
        save_indexes(writer)
        files = [file.id for file in catalogue.known_files(collection).values()]
        writer.forget_files(files[100:200])
        save_indexes(writer)
        writer.forget_files(files[300:310])  # the server does not know of these
        on_server = SegmentIndex.open(catalogue, ENCODER.name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ENVIRONMENT_VARIABLE, FILES)
            in_files = SegmentIndex.open(catalogue, ENCODER.name)
        yield in_files, on_server


@pytest.mark.parametrize("share", [None, 0.5, 0.05, 0.005, 0.001])
def test_files_and_server_give_the_same_hits_under_any_filter(
    both: tuple[SegmentIndex, SegmentIndex], share: float | None
) -> None:
    in_files, on_server = both
    assert on_server.notes == []
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((20, ENCODER.dim)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    allowed = None
    if share is not None:
        n_allowed = round(share * N_RECORDINGS)
        allowed = np.sort(rng.choice(N_RECORDINGS, n_allowed, replace=False) + 1)
    for k in (1, 20, 300):
        expected = in_files.search(queries, k, recording_ids=allowed)
        found = on_server.search(queries, k, recording_ids=allowed)
        assert recall(found[1], expected[1]) == 1.0
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])


def test_sixteen_readers_find_nothing_that_was_removed_while_a_writer_fills_the_server(
    location: str, machine: Path, milvus: MilvusServerForTests
) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(Catalogue.open(location, create=True)) for _ in range(4)]
        writer = stack.enter_context(CatalogueWriter(opened[0]))
        move_vectors(writer, milvus.uri)
        churn = SavingChurn(writer)
        readers = [searches_of(opened[n % 4])[:1] for n in range(16)]
        search_while_it_changes(churn, readers, n_batches=8)
        assert churn.notes == []


class SavingChurn(Churn):
    """Sends to the server what it adds and removes."""

    notes: list[str]

    def go_on(self) -> None:
        super().go_on()
        self.notes = save_indexes(self._writer)

"""Sixteen search while one indexes, on both databases: no error, and nothing comes back."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.records import Analysis, Description
from db.writer import CatalogueWriter
from indexer.analysis import encoder_geometry
from indexer.encoders import load_encoder
from search.engine import SearchEngine
from tests.db.conftest import analysis
from tests.db.many_readers import Churn, Search, search_while_it_changes, searches_of
from tests.scaling.contents import ENCODER

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine

N_READERS = 16


@pytest.fixture
def opened(location: str, machine: Path) -> Iterator[list[Catalogue]]:
    """The same catalogue four times, as four programs have it."""
    with ExitStack() as stack:
        yield [stack.enter_context(Catalogue.open(location, create=True)) for _ in range(4)]


def test_readers_never_find_what_was_removed_and_never_fail(opened: list[Catalogue]) -> None:
    with CatalogueWriter(opened[0]) as writer:
        churn = Churn(writer)
        readers = [searches_of(opened[n % 4]) for n in range(N_READERS)]
        assert search_while_it_changes(churn, readers, n_batches=8) > 4 * N_READERS


def test_questions_are_answered_while_recordings_come_and_go(opened: list[Catalogue]) -> None:
    geometry = encoder_geometry(load_encoder(ENCODER))

    def recording(collection_id: int, number: int) -> Analysis:
        said = Description(title=f"dog barking {number}")
        name = f"{number:05}.wav"
        return analysis(collection_id, name, n_segments=4, description=said, encoder=geometry)

    def questions(engine: SearchEngine) -> list[Search]:
        def ask(question: str) -> Search:
            return lambda: {
                found.id
                for hit in engine.search(question, k=100).hits
                for found in (hit.recording, *hit.copies)
            }

        return [ask(each) for each in ("dog barking", '"dog barking"', "duration:>1")]

    with CatalogueWriter(opened[0], alone=False) as writer:
        churn = Churn(writer, recording)
        engines = [SearchEngine(catalogue) for catalogue in opened]
        readers = [questions(engines[n % 4]) for n in range(N_READERS)]
        assert search_while_it_changes(churn, readers, n_batches=8) > 3 * N_READERS

"""Sixteen search while others index, on both databases: no error, and nothing comes back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from db import consistency
from db.catalogue import Catalogue
from db.content import content_hash
from db.records import Analysis, Description
from db.writer import CatalogueWriter
from indexer.analysis import encoder_geometry
from indexer.encoders import load_encoder
from search.engine import SearchEngine
from search.query import Example, Query, Sound
from tests.db.conftest import analysis
from tests.db.many_readers import Churn, Search, search_while_it_changes, searches_of
from tests.indexer.conftest import write_sound
from tests.scaling.conftest import echoic
from tests.scaling.contents import ENCODER, SCHEMES

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
        search_while_it_changes(churn, readers, n_batches=8)


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
        search_while_it_changes(churn, readers, n_batches=8)


# -- the real commands ---------------------------------------------------------------------------

N_ROUNDS = 2


class Indexer:
    """A machine that runs `echoic index` on its folder, in which sounds change, come and stay.

    Attributes
    ----------
    gone : frozenset of int
        Recordings whose removal is committed: their files hold other sounds by now.
    """

    def __init__(self, folder: Path, location: str, *, first_seed: int) -> None:
        self.gone: frozenset[int] = frozenset()
        self._folder = folder
        self._location = location
        self._seed = first_seed
        for name in ("stays.wav", "0.wav", "1.wav", "2.wav"):
            self._sing(name)

    def index(self, *options: str) -> None:
        given = ["--catalogue", self._location, "--workers", "1", *options]
        machine = self._folder.parent / f"machine of {self._folder.name}"
        echoic("index", str(self._folder), *given, machine=machine)

    def go_on(self) -> None:
        """Change two sounds, add one, and index."""
        numbers = self._seed % 3, (self._seed + 1) % 3
        changing = [self._folder / f"{number}.wav" for number in numbers]
        with Catalogue.open(self._location) as catalogue:
            replaced = {catalogue.with_hash(content_hash(path)) for path in changing}
        for path in changing:
            self._sing(path.name)
        self._sing(f"new {self._seed}.wav")
        self.index()
        with Catalogue.open(self._location) as catalogue:
            assert not replaced & catalogue.recordings_with_vectors(ENCODER)
        self.gone |= {id_ for id_ in replaced if id_ is not None}

    def _sing(self, name: str) -> None:
        self._seed += 1
        write_sound(self._folder / name, seed=self._seed, length_s=0.6 + self._seed % 3)


def ask_in_each_way(engine: SearchEngine, example: Path, indexers: Sequence[Indexer]) -> None:
    """Fail if nothing is found, if what was gone before is found, or if anything is amiss."""
    (there, *_) = engine.catalogue.find_files("stays.wav")
    for query in (
        f"like:#{there}",
        "a tone in noise format:wav duration:>0.5",
        Query((Sound((Example(example),)),)),
    ):
        gone = frozenset[int]().union(*(indexer.gone for indexer in indexers))
        results = engine.search(query, k=100)
        hits = (*results.hits, *results.near_misses)
        found = {each.id for hit in hits for each in (hit.recording, *hit.copies)}
        assert found, f"{query} finds nothing"
        assert not found & gone, f"{query} finds what was removed"
        assert results.notes == ()


def run_at_once(jobs: Sequence[Callable[[], None]], readers: Sequence[Callable[[], None]]) -> int:
    """Run jobs to their ends and each reader again and again meanwhile; return how often."""
    done = threading.Event()

    def read(reader: Callable[[], None]) -> int:
        n_read = 0
        while not done.is_set() or not n_read:
            reader()
            n_read += 1
            time.sleep(0.2)  # the indexers are to get on, too
        return n_read

    with ThreadPoolExecutor(len(jobs) + len(readers)) as pool:
        reading = [pool.submit(read, reader) for reader in readers]
        working = [pool.submit(job) for job in jobs]
        try:
            for each in working:
                each.result()
        finally:
            done.set()
        return sum(each.result() for each in reading)


@pytest.mark.parametrize("stack", ["sqlite and files", "postgresql and milvus"])
def test_sixteen_readers_ask_in_every_way_while_the_real_command_indexes(
    request: pytest.FixtureRequest, stack: str, tmp_path: Path, machine: Path
) -> None:
    """In a folder one indexes at a time; on servers two do."""
    on_servers = stack == "postgresql and milvus"
    location = request.getfixturevalue("url") if on_servers else str(tmp_path / "catalogue")
    options = ["--vectors", request.getfixturevalue("milvus").uri] if on_servers else []
    indexers = [
        Indexer(tmp_path / f"sounds {number}", location, first_seed=1000 * number)
        for number in range(2 if on_servers else 1)
    ]
    for indexer in indexers:
        indexer.index(*options)
    example = write_sound(tmp_path / "example.wav", seed=3, length_s=2.0)
    with ExitStack() as stack_:
        opened = [stack_.enter_context(Catalogue.open(location)) for _ in range(4)]
        engines = [SearchEngine(catalogue) for catalogue in opened]

        def index(indexer: Indexer) -> None:
            for _ in range(N_ROUNDS):
                indexer.go_on()

        n_asked = run_at_once(
            [partial(index, indexer) for indexer in indexers],
            [partial(ask_in_each_way, engines[n % 4], example, indexers) for n in range(N_READERS)],
        )
        assert n_asked >= N_READERS
        assert all(len(indexer.gone) == 2 * N_ROUNDS for indexer in indexers)
        assert list(consistency.check(opened[0], schemes=SCHEMES)) == []

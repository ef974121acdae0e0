"""Users' own work is written while an indexing run goes on: both take turns, neither fails."""

import threading
import time

import pytest
from sqlalchemy import text

from db import engine as database
from db.catalogue import Catalogue
from db.errors import CatalogueLocked
from db.lists import NewEntry, add_entries, entries
from db.patience import Patience
from db.saved_searches import mark_seen, save_search, saved_search
from db.writer import CatalogueWriter
from tests.db.conftest import analysis


def test_an_indexing_run_and_a_user_write_at_once_and_neither_loses_anything(
    writer: CatalogueWriter,
) -> None:
    catalogue = writer.catalogue
    collection = writer.add_collection("tapes", "/tapes")
    writer.store([analysis(collection.id, "0.wav")])
    save_search(catalogue, "dogs", "dog")
    problems: list[BaseException] = []

    def user() -> None:
        try:
            with Catalogue.open(catalogue.location) as mine:
                for number in range(30):
                    add_entries(mine, "opening", [NewEntry(1, float(number), number + 1.0)])
                    mark_seen(mine, "dogs", number)
        except BaseException as error:  # noqa: BLE001  (handed to the test)
            problems.append(error)

    thread = threading.Thread(target=user)
    thread.start()
    for number in range(1, 31):
        writer.store([analysis(collection.id, f"{number}.wav")])
    thread.join()
    assert problems == []
    assert len(entries(catalogue, "opening")) == 30
    assert saved_search(catalogue, "dogs").last_seen == 29
    assert len(catalogue.known_files(collection.id)) == 31


def test_a_transaction_that_reads_first_does_not_fail_on_what_another_wrote_meanwhile(
    catalogue: Catalogue,
) -> None:
    with Catalogue.open(catalogue.location) as other:
        begun = threading.Event()

        def write() -> None:
            begun.wait()
            save_search(other, "theirs", "cat")

        thread = threading.Thread(target=write)
        thread.start()
        with catalogue.transaction() as session:
            session.execute(text("SELECT count(*) FROM saved_searches")).one()
            begun.set()
            time.sleep(0.2)
            session.execute(text("DELETE FROM lists"))
        thread.join()
    assert saved_search(catalogue, "theirs").query == "cat"


def test_who_waits_in_vain_for_a_turn_is_told_so(catalogue: Catalogue) -> None:
    with Catalogue.open(catalogue.location) as other:
        with other.session() as session:
            session.execute(text("PRAGMA busy_timeout = 50"))
        blocker = database.for_writing(catalogue._engine).connect()
        with blocker, blocker.begin(), pytest.raises(CatalogueLocked, match="another process"):
            save_search(other, "theirs", "cat")


def test_a_run_whose_turn_does_not_come_waits_for_it_and_goes_on(catalogue: Catalogue) -> None:
    blocker = database.for_writing(catalogue._engine).connect()
    said: list[str] = []

    def say(news: str) -> None:
        said.append(news)
        blocker.close()  # the other has finished when the waiting is told of

    patience = Patience(say, threading.Event(), most_s=30.0)
    with Catalogue.open(catalogue.location, patience=patience) as mine, CatalogueWriter(mine) as w:
        with mine.session() as session:
            session.execute(text("PRAGMA busy_timeout = 50"))
        blocker.begin()
        w.add_collection("tapes", "/tapes")
    assert [c.name for c in catalogue.collections()] == ["tapes"]
    assert ["Waiting: another process" in said[0], said[1:]] == [True, ["It is our turn again"]]

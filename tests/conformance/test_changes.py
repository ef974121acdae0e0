"""What readers keep of all recordings is, after any changes, what a new reader would read."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, func, select, update

from db import changes
from db.catalogue import Catalogue
from db.columns import Columns
from db.errors import UnknownName
from db.fields import FACETS, FIELDS, HAS, Kind
from db.fingerprint_index import FingerprintIndex
from db.heard import forget_vocabulary, store_heard
from db.lists import NewEntry, add_entries
from db.records import Analysis, Description, Failure, FileState
from db.schema import ChangeRow, EmbeddingRow, FileRow, RecordingRow
from db.segment_index import SegmentIndex
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, SCHEME, analysis, expand, fingerprinted
from tests.postgres import PostgresServer

WORDS = ("Rain", "rain", "RAIN", "wind", "Heavy rain", "dog", "")
KEYS = np.arange(0, 1 << 20, 3, dtype=np.uint32)


def said(chance: random.Random) -> Description:
    return Description(
        title=chance.choice(WORDS),
        description=chance.choice(WORDS),
        creator=chance.choice(("Zoë", "zoe", "Ann", "")),
        licence=chance.choice(("CC0", "cc0", "")),
        recorded_at=chance.choice(("1962", "1962-05", "2001-02-03T04:05", "soon", "")),
        category=chance.choice(("ANIMALS", "Animals", "")),
        subcategory=chance.choice(("DOG", "")),
        tags=tuple(chance.choice(WORDS) for _ in range(chance.randrange(4))),
    )


class Everything:
    """Does to a catalogue what indexing and its users do, at random, in one collection."""

    def __init__(self, writer: CatalogueWriter, name: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self._writer = writer
        self._name = name
        self._collection = writer.add_collection(name, f"/{name}").id

    def step(self) -> None:
        """Commit one change."""
        one = self.chance.choice(
            [self._store] * 4
            + [self._describe, self._miss, self._return, self._fail, self._forget]
            + [self._hear, self._unhear, self._measure, self._keep, self._damage]
        )
        one()

    def _analysis(self) -> Analysis:
        number = self.chance.randrange(30)
        content = f"{self._name} {self.chance.randrange(60)}"
        result = fingerprinted(
            analysis(
                self._collection,
                f"{number}.wav",
                content,
                n_segments=1 + len(content) % 3,
                description=said(self.chance),
            )
        )
        measured = {
            "scheme": "echoic-descriptors/1",
            "loudness_lufs": self.chance.choice((-23.0, -9.5, None)),
            "tempo_bpm": self.chance.choice((120.0, None)),
            "key": self.chance.choice(("Am", "C", None)),
        }
        return replace(result, descriptors=measured)

    def _store(self) -> None:
        self._writer.store([self._analysis() for _ in range(self.chance.randrange(1, 5))])

    def _files(self, most: int) -> list[int]:
        with self._writer.catalogue.session() as session:
            mine = FileRow.collection_id == self._collection
            ids = list(session.scalars(select(FileRow.id).where(mine).order_by(FileRow.id)))
        return self.chance.sample(ids, min(most, len(ids)))

    def _describe(self) -> None:
        for id_ in self._files(1):
            self._writer.redescribe(id_, said(self.chance), None)

    def _miss(self) -> None:
        self._writer.mark_missing(self._files(3))

    def _return(self) -> None:
        self._writer.mark_present(self._files(3))

    def _fail(self) -> None:
        path = f"{self.chance.randrange(30)}.wav"
        failure = Failure(self._collection, path, "decode", "damaged", FileState(1, 1))
        self._writer.store([failure])
        self._writer.clear_failures(self._collection, [path])

    def _forget(self) -> None:
        self._writer.forget_files(self._files(2))

    def _hear(self) -> None:
        with self._writer.catalogue.session() as session:
            ids = list(session.scalars(select(RecordingRow.id)))
        heard = {
            id_: [("rain", 0.5), ("dog", 0.4)][: self.chance.randrange(3)]
            for id_ in self.chance.sample(ids, min(3, len(ids)))
        }
        digest = self.chance.choice("ab")
        store_heard(self._writer.catalogue, self._name, digest, ENCODER.name, heard)

    def _unhear(self) -> None:
        if self.chance.random() < 0.2:
            with suppress(UnknownName):
                forget_vocabulary(self._writer.catalogue, self._name)

    def _measure(self) -> None:
        with self._writer.catalogue.transaction() as session:  # it says nothing of what it changes
            session.execute(update(RecordingRow).values(duration_s=self.chance.random()))

    def _keep(self) -> None:
        with self._writer.catalogue.session() as session:
            ids = list(session.scalars(select(RecordingRow.id)))
        for id_ in ids[:1]:
            add_entries(self._writer.catalogue, self._name, [NewEntry(id_)])

    def _damage(self) -> None:
        """Drop vectors, as `echoic repair` does."""
        with self._writer.catalogue.transaction() as session:
            for id_ in list(session.scalars(select(EmbeddingRow.recording_id)))[:1]:
                session.execute(delete(EmbeddingRow).where(EmbeddingRow.recording_id == id_))


class Reader:
    """Keeps all that a process that searches keeps."""

    def __init__(self, location: str) -> None:
        self.catalogue = Catalogue.open(location)
        self.segments = SegmentIndex.open(self.catalogue, ENCODER.name)
        self.marks = FingerprintIndex.open(self.catalogue, SCHEME.name, expand, key_bits=20)

    def answers(self) -> dict[str, Any]:
        """Return everything that can be asked, in plain numbers and texts."""
        self.segments.refresh()
        self.marks.refresh()
        columns = self.catalogue.columns()
        query = np.eye(1, ENCODER.dim, dtype=np.float32)
        scores, found = self.segments.search(query, len(self.segments) + 1)
        frames = np.sort(self.marks.lookup(KEYS).frames)
        return {
            **{f"column {name}": get(columns) for name, get in QUESTIONS.items()},
            "scores": scores.tolist(),
            "segments": found.tolist(),
            "owners": [each.tolist() for each in self.segments.locate(found[found >= 0])],
            "notes": [self.segments.notes, self.marks.notes],
            "frames": frames.tolist(),
            "heard in": [each.tolist() for each in self.marks.locate(frames)],
            "fingerprinted": self.marks.recording_ids.tolist(),
        }


def numbers(field: str) -> Callable[[Columns], object]:
    return lambda columns: np.nan_to_num(columns.numbers(field), nan=-1.0).tolist()


def days(field: str) -> Callable[[Columns], object]:
    def ask(columns: Columns) -> object:
        found = columns.days(field)
        return [found.positions.tolist(), found.first.tolist(), found.last.tolist()]

    return ask


def values(field: str) -> Callable[[Columns], object]:
    def ask(columns: Columns) -> object:
        found = columns.values(field)
        pairs = [found.positions.tolist(), found.codes.tolist()]
        return [*pairs, list(found.labels), list(found.folded)]

    return ask


def has(what: str) -> Callable[[Columns], object]:
    return lambda columns: sorted(columns.has(what).tolist())


QUESTIONS: dict[str, Callable[[Columns], object]] = {
    "ids": lambda columns: columns.ids.tolist(),
    "files": lambda columns: columns.positions_of_files(np.arange(200)).tolist(),
    **{name: numbers(name) for name, field in FIELDS.items() if field.kind is Kind.NUMBER},
    **{name: days(name) for name, field in FIELDS.items() if field.kind is Kind.DATE},
    **{f"values of {name}": values(name) for name in FACETS},
    **{f"has {what}": has(what) for what in HAS},
}


@pytest.fixture
def everything(writer: CatalogueWriter) -> Iterator[Everything]:
    made = Everything(writer, "tapes", seed=1)
    writer.store([fingerprinted(analysis(1, "first.wav"))])
    yield made


def assert_like_a_new_one(reader: Reader, location: str, *, but: str = "") -> None:
    new = Reader(location)
    expected, found = new.answers(), reader.answers()
    for name, answer in expected.items():
        assert name == but or found[name] == answer, name
    new.catalogue.close()


def test_after_any_changes_a_reader_answers_as_a_new_one(
    location: str, everything: Everything
) -> None:
    readers = [Reader(location) for _ in range(2)]
    for _ in range(8):
        for _ in range(everything.chance.randrange(1, 6)):
            everything.step()
        # One keeps up, the other asks now and then, and not everything.
        assert_like_a_new_one(readers[0], location)
        readers[1].catalogue.columns().values(everything.chance.choice(FACETS))
    assert_like_a_new_one(readers[1], location)
    for reader in readers:
        reader.catalogue.close()


def test_a_reader_that_asks_while_two_write_answers_as_a_new_one(
    postgres: PostgresServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    location = postgres.new_database()

    def write(number: int) -> None:
        with (
            Catalogue.open(location) as catalogue,
            CatalogueWriter(catalogue, alone=False) as writer,
        ):
            mine = Everything(writer, f"tapes {number}", seed=number)
            for _ in range(20):
                mine.step()

    with (
        Catalogue.open(location, create=True) as catalogue,
        CatalogueWriter(catalogue, alone=False) as writer,
    ):
        collection = writer.add_collection("first", "/first").id
        writer.store([fingerprinted(analysis(collection, "first.wav"))])
    reader = Reader(location)
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in (1, 2)]
        while not all(one.done() for one in writing):
            reader.answers()
        for one in writing:
            one.result()
    assert_like_a_new_one(reader, location)
    reader.catalogue.close()


def test_only_what_changed_is_read_again(
    writer: CatalogueWriter, everything: Everything, location: str
) -> None:
    for _ in range(10):
        everything._store()
    with Catalogue.open(location) as catalogue:
        before = catalogue.columns()
        before.values("tag")
        with catalogue.session() as session:
            number = changes.last_change(session.connection())
        writer.redescribe(1, Description(tags=("new",)), None)
        with catalogue.session() as session:
            found = changes.changes_since(session, number)
            assert found.number > number
            assert found.recording_ids is not None
            assert found.recording_ids.tolist() == [1]
        # What has not been touched is not looked at: a change behind the catalogue's back stays.
        with catalogue.transaction(of_contents=False) as session:
            session.execute(update(FileRow).where(FileRow.id != 1).values(tags=["unseen"]))
        labels = catalogue.columns().values("tag").labels
        assert "new" in labels
        assert "unseen" not in labels


def test_a_transaction_in_which_nothing_changes_is_no_reason_to_read(
    writer: CatalogueWriter, everything: Everything, location: str
) -> None:
    with Catalogue.open(location) as catalogue:
        columns = catalogue.columns()
        writer.mark_missing([])
        writer.clear_failures(1, ["a.wav"])
        writer.add_collection("more", "/more")
        assert catalogue.columns() is columns


def test_whoever_has_not_asked_for_long_reads_all_anew(
    writer: CatalogueWriter,
    everything: Everything,
    location: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "KEPT_CHANGES", 3)
    monkeypatch.setattr(changes, "_PRUNED_EVERY", 1)
    reader = Reader(location)
    reader.answers()
    for _ in range(20):
        everything.step()
    with reader.catalogue.session() as session:
        kept = select(func.count(func.distinct(ChangeRow.number)))
        assert 3 <= (session.scalar(kept) or 0) <= 6  # the steps between them are drawn at random
        assert changes.changes_since(session, 1).recording_ids is None
    assert_like_a_new_one(reader, location)
    reader.catalogue.close()


def test_of_very_many_recordings_it_is_only_said_that_any_may_have_changed(
    writer: CatalogueWriter,
    everything: Everything,
    location: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "MOST_NAMED", 3)
    reader = Reader(location)
    writer.store([fingerprinted(analysis(1, f"more {n}.wav")) for n in range(4)])
    with reader.catalogue.session() as session:
        number = changes.last_change(session.connection())
        assert changes.changes_since(session, number - 1).recording_ids is None
    assert_like_a_new_one(reader, location)
    reader.catalogue.close()


def test_what_was_forgotten_and_made_again_by_the_same_numbers_is_told_apart(
    writer: CatalogueWriter, location: str
) -> None:
    first = writer.add_collection("first", "/first").id
    writer.store([fingerprinted(analysis(first, f"{n}.wav")) for n in range(3)])
    reader = Reader(location)
    reader.answers()
    writer.forget_collection(first)
    writer.forget_encoder(ENCODER.name)
    writer.forget_scheme(SCHEME.name)
    # Another takes the number that the encoder had.
    second = writer.add_collection("second", "/second").id
    writer.store([analysis(second, "other.wav", encoder=replace(ENCODER, name="other/1"))])
    writer.store([fingerprinted(analysis(second, f"{n}.wav", f"other {n}")) for n in range(3)])
    assert_like_a_new_one(reader, location)
    reader.catalogue.close()

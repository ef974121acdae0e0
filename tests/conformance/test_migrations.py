"""A catalogue of an older Echoic is brought to the newest tables and keeps all that is in it."""

import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, insert, inspect, select, text

import db.migrate
from db import consistency
from db.catalogue import Catalogue
from db.conditions import Condition, Text
from db.engine import make_engine, sqlite_url
from db.errors import CatalogueVersionError
from db.filters import RecordingFilter
from db.keywords import search_keywords
from db.location import index_folder
from db.opening import DATABASE_NAME
from db.schema import Base
from db.storing import now
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def engine(location: str) -> Iterator[Engine]:
    """A connection that knows nothing of catalogues."""
    if "://" not in location:
        Path(location).mkdir()
        location = str(sqlite_url(Path(location) / DATABASE_NAME))
    made = make_engine(location)
    yield made
    made.dispose()


def alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(db.migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def reflected(connection: Connection) -> MetaData:
    """Return the tables that are there, without those of full-text search."""
    metadata = MetaData()
    derived = ("files_text", "files_words")
    metadata.reflect(connection, only=lambda name, _: not name.startswith(derived))
    return metadata


def rows(engine: Engine, leaving_out: tuple[str, ...] = ()) -> Rows:
    with engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(select(table))]
            for table in reflected(connection).sorted_tables
            if table.name not in ("alembic_version", *leaving_out)
        }


def fill_first_revision(connection: Connection) -> None:
    """Make the tables of 0001 with a recording in them, as the Echoic of then would have."""
    command.upgrade(alembic(connection), "0001")
    (vectors,) = analysis(1, "a.wav").vectors.values()
    blob = vectors.astype("<f2").tobytes()
    said = ("description", "creator", "licence", "recorded_at", "category", "subcategory")
    values: dict[str, list[dict[str, Any]]] = {
        "catalogue_info": [
            {"key": "format", "value": "1"},
            {"key": "uuid", "value": "u-1"},
        ],
        "collections": [{"name": "tapes", "root": "/tapes", "created_at": now()}],
        "recordings": [
            {
                "content_hash": "sha256:a.wav",
                "size_bytes": 1005,
                "duration_s": 12.0,
                "sample_rate": 44_100,
                "channels": 2,
                "format": "WAV",
                "codec": "PCM_16",
                "warnings": [],
                "indexed_at": now(),
            }
        ],
        "files": [
            {
                "collection_id": 1,
                "path": "a.wav",
                "recording_id": 1,
                "size_bytes": 1005,
                "mtime_ns": 5,
                "first_seen_at": now(),
                "title": "Rooster",
                "tags": [],
                "extra": {},
                "embedded": {},
                **dict.fromkeys(said, ""),
            }
        ],
        "encoders": [{**asdict(ENCODER), "next_segment": 3, "n_removals": 0}],
        "embeddings": [
            {
                "recording_id": 1,
                "encoder_id": 1,
                "first_segment": 0,
                "n_segments": 3,
                "checksum": zlib.crc32(blob),
                "vectors": blob,
            }
        ],
        "descriptors": [{"recording_id": 1, "scheme": "echoic-descriptors/1"}],
        "failures": [
            {
                "collection_id": 1,
                "path": "b.wav",
                "stage": "decode",
                "reason": "damaged",
                "attempts": 2,
                "failed_at": now(),
            }
        ],
    }
    tables = reflected(connection).tables
    for name, of_table in values.items():
        connection.execute(insert(tables[name]), of_table)
    document = "title" if connection.dialect.name == "sqlite" else "document"
    connection.execute(text(f"INSERT INTO files_text (rowid, {document}) VALUES (1, 'Rooster')"))


def test_the_tables_are_those_that_the_models_describe(engine: Engine) -> None:
    with engine.begin() as connection:
        db.migrate.upgrade(connection)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    derived = ("files_text", "files_words")
    assert [step for step in found if not any(name in str(step) for name in derived)] == []


def test_a_catalogue_of_the_first_revision_is_upgraded_by_a_writer_and_keeps_everything(
    engine: Engine, location: str
) -> None:
    with engine.begin() as connection:
        fill_first_revision(connection)
    before = rows(engine, leaving_out=("fingerprints",))
    with pytest.raises(CatalogueVersionError, match="older format"):
        Catalogue.open(location)
    with Catalogue.open(location, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
        new = {name: [] for name in Base.metadata.tables if name not in before}
        assert rows(engine) == {**before, **new}
        assert catalogue.cache.folder == (
            index_folder("u-1") if "://" in location else Path(location)
        )
        assert [hit.recording_id for hit in search_keywords(catalogue, "rooster", 5)] == [1]
        phrase = Condition("title", (Text("ROOSTER"),))
        assert RecordingFilter(catalogue).matching([phrase]).tolist() == [1]
        writer.store([analysis(1, "c.wav")])
        assert catalogue.recordings_with_vectors(ENCODER.name) == {1, 2}
        faults = consistency.check(catalogue, schemes={})
        assert {fault.where for fault in faults} == {"files"}  # there is no /tapes
    Catalogue.open(location).close()


def fill_index_files(connection: Connection) -> None:
    """Put an index file and a postings file in force, as the Echoic of 0004 would have."""
    common = {"checksum": "c", "written_at": now()}
    values: dict[str, dict[str, Any]] = {
        "index_files": {
            "encoder_id": 1,
            "name": "test-1.000001.index",
            "generation": 1,
            "n_vectors": 3,
            "next_segment": 3,
            "n_removals": 0,
        },
        "fingerprint_schemes": {
            "name": "test-marks/1",
            "frame_s": 0.016,
            "next_frame": 9,
            "n_removals": 0,
        },
        "postings_files": {
            "name": "test-marks-1.000001.postings",
            "scheme_id": 1,
            "first_frame": 0,
            "end_frame": 9,
            "n_postings": 9,
        },
    }
    tables = reflected(connection).tables
    for name, row in values.items():
        extra = {} if name == "fingerprint_schemes" else common
        connection.execute(insert(tables[name]), {**row, **extra})


def test_index_files_stay_in_force_where_it_is_known_whose_they_are(
    engine: Engine, location: str
) -> None:
    with engine.begin() as connection:
        fill_first_revision(connection)
        command.upgrade(alembic(connection), "0004")
        fill_index_files(connection)
    before = rows(engine)
    with Catalogue.open(location, create=True) as catalogue:
        names = (catalogue.index_file_names(), catalogue.postings_file_names())
        on_server = "://" in location
        assert names == (
            frozenset() if on_server else {"test-1.000001.index"},
            frozenset() if on_server else {"test-marks-1.000001.postings"},
        )
    with engine.begin() as connection:
        command.downgrade(alembic(connection), "0004")
    after = rows(engine)
    for name in ("index_files", "postings_files"):
        assert after[name] == ([] if on_server else before[name])


def test_a_downgrade_brings_back_the_tables_of_before(engine: Engine) -> None:
    with engine.begin() as connection:
        fill_first_revision(connection)
        columns = {
            name: sorted(column["name"] for column in inspect(connection).get_columns(name))
            for name in reflected(connection).tables
        }
    before = rows(engine)
    with engine.begin() as connection:
        command.upgrade(alembic(connection), "head")
    with engine.begin() as connection:
        command.downgrade(alembic(connection), "0001")
    assert rows(engine) == before
    with engine.connect() as connection:
        for name, expected in columns.items():
            found = inspect(connection).get_columns(name)
            assert sorted(column["name"] for column in found) == expected

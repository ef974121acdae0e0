"""Every query in the description of the query language is read, and answered by the demo."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from db.catalogue import Catalogue
from db.filters import FIELDS
from db.records import RecordingInfo
from indexer.encoders import DEFAULT_ENCODER
from search.engine import SearchEngine
from search.errors import QuerySyntaxError
from search.language import parse, write
from search.query import Example
from search.teaching import teach

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text("utf-8")
BLOCKS = re.findall(r"```query\n(.*?)```", DOCUMENT, re.DOTALL)
QUERIES = [line for block in BLOCKS for line in block.splitlines()]


def table(header: str) -> list[list[str]]:
    """Return the rows of all tables of the document that have this header."""
    rows = re.findall(rf"^\| {re.escape(header)} \|\n\|[-| ]+\|\n((?:\|.*\|\n)+)", DOCUMENT, re.M)
    assert rows, header
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for body in rows
        for line in body.splitlines()
    ]


def queries_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def folder(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the document's queries name."""
    made = tmp_path_factory.mktemp("queries")
    (made / "delivered").mkdir()
    sounds = demo / "sounds"
    for name, source in {
        "clip.wav": "weather/rain-tin-roof.ogg",
        "my clip.wav": "signals/church-bell.flac",
        "delivered/rain.wav": "weather/rain-heavy.flac",
    }.items():
        samples, sr = soundfile.read(sounds / source)
        soundfile.write(made / name, samples, sr)
    return made


@pytest.fixture(scope="module")
def engine(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The demo archive, which has been taught the document's sounds."""
    copy = tmp_path_factory.mktemp("taught") / "catalogue"
    shutil.copytree(demo / "catalogue", copy)
    animals = demo / "sounds" / "animals"
    with Catalogue.open(copy) as catalogue:
        for name, file in {"wren": "bird-warbling.wav", "my dog": "dog-barking.wav"}.items():
            teach(catalogue, name, [Example(animals / file)], [], DEFAULT_ENCODER)
        yield SearchEngine(catalogue)


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_of_the_document_is_answered(text: str, engine: SearchEngine, folder: Path) -> None:
    query = parse(text, relative_to=folder)
    assert parse(write(query)) == query
    results = engine.search(query, k=5)
    assert len(results.hits) <= 5


CHECKS: dict[str, Callable[[RecordingInfo], bool]] = {
    "-format:mp3": lambda found: not found.files[0].path.endswith(".mp3"),
    "-music format:wav": lambda found: found.files[0].path.endswith(".wav"),
    "rain duration:<10": lambda found: found.technical.duration_s < 10,
    "rain duration:5..1:30": lambda found: 5 <= found.technical.duration_s <= 90,
    "size:>1kB": lambda found: found.size_bytes > 1000,
    '"bell"': lambda found: "bell" in str(found).lower(),
    '"tin roof"': lambda found: "tin roof" in re.sub(r"\W", " ", str(found).lower()),
}


@pytest.mark.parametrize("text", CHECKS)
def test_all_hits_of_a_condition_meet_it(text: str, engine: SearchEngine) -> None:
    assert text in QUERIES
    hits = engine.search(text, k=100).hits
    assert hits
    assert all(CHECKS[text](hit.recording) for hit in hits)


def test_a_condition_and_its_negation_share_out_the_archive(engine: SearchEngine) -> None:
    everything = engine.search("size:>=0").n_allowed
    mp3, others = (engine.search(f"{sign}format:mp3").n_allowed for sign in ("", "-"))
    assert mp3 > 0
    assert mp3 + others == everything


def test_a_documented_blend_of_words_is_another_sound_than_either(engine: SearchEngine) -> None:
    blend, one, other = (
        engine.vector(parse(text).sounds[0]) for text in ("rain + wind", "rain", "wind")
    )
    assert min(blend @ one, blend @ other) > one @ other


def test_what_the_document_calls_the_same_is_the_same() -> None:
    for written, same in table("Written | The same as"):
        (one,), (other,) = queries_in(written), queries_in(same)
        assert parse(one) == parse(other), one


def test_the_examples_in_its_tables_can_be_read() -> None:
    rows = table("You want | You write") + table(
        "Field | Kind | Unit | What it asks for | For example"
    )
    for row in rows:
        assert queries_in(row[-1])
        for text in queries_in(row[-1]):
            parse(text)


def test_its_table_of_fields_is_complete_and_true() -> None:
    rows = table("Field | Kind | Unit | What it asks for | For example")
    described = [(name.strip("` "), kind, unit) for name, kind, unit, *_ in rows]
    assert described == [(field.name, field.kind, field.unit) for field in FIELDS.values()]
    for name, *_, examples in rows:
        assert re.match(rf"-?{name.strip('`')}:", queries_in(examples)[0])


def test_what_it_says_to_be_wrong_is_answered_so() -> None:
    for written, answer in table("Written | Answer"):
        with pytest.raises(QuerySyntaxError, match=re.escape(answer)):
            parse(re.fullmatch("`(.*)`", written)[1])


def test_its_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    exec(block, {})

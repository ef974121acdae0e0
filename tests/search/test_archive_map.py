"""The map of an archive: drawn once, kept, and right about what has come and gone since."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.schema import CatalogueInfo
from db.writer import CatalogueWriter
from search.archive_map import MapReader, draw_map, mapped_encoder
from search.export_map import MAP_COLUMNS, map_rows, write_map_csv
from search.map_file import MapError, load_map, map_path
from search.summaries import summaries_of
from tests.db.conftest import ENCODER, analysis

N_KINDS, N_EACH = 6, 12


def sound(collection_id: int, kind: int, number: int) -> object:
    """Make a recording of a kind: five segments around the kind's direction, one of them on it."""
    made = analysis(collection_id, f"kind-{kind}/{number:02}.wav")
    rng = np.random.default_rng([kind, number])
    centre = np.random.default_rng(kind).standard_normal(ENCODER.dim)
    own = centre + 0.3 * rng.standard_normal(ENCODER.dim)
    vectors = own + 0.8 * rng.standard_normal((5, ENCODER.dim))
    vectors[3] = own
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return replace(made, vectors={ENCODER: vectors.astype(np.float16)})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of six kinds of sound, twelve recordings each, and its map."""
    folder = tmp_path_factory.mktemp("map")
    with writing(folder, create=True) as writer:
        root = writer.add_collection("sounds", str(folder)).id
        writer.store([sound(root, kind, n) for kind in range(N_KINDS) for n in range(N_EACH)])
        draw_map(writer.catalogue)
    return folder


@contextmanager
def writing(folder: Path, *, create: bool = False) -> Iterator[CatalogueWriter]:
    with Catalogue.open(folder, create=create) as opened, CatalogueWriter(opened) as writer:
        yield writer


@pytest.fixture
def copy(archive: Path, tmp_path: Path) -> Path:
    """A copy of the catalogue that may be written to."""
    import shutil

    return Path(shutil.copytree(archive, tmp_path / "catalogue"))


def test_a_map_is_kept_and_holds_every_recording(archive: Path) -> None:
    with Catalogue.open(archive) as catalogue:
        points = MapReader(catalogue).points()
    assert points is not None
    assert points.recordings.tolist() == list(range(1, N_KINDS * N_EACH + 1))
    assert (points.n_new, points.n_gone) == (0, 0)
    assert points.places.min() >= 0
    assert points.places.max() <= 1
    assert np.ptp(points.places, axis=0).max() == pytest.approx(1.0)
    # The segment on the recording's own direction is the typical one.
    assert np.mean(points.onsets_s == 3 * ENCODER.hop_s) > 0.9


def test_recordings_of_a_kind_lie_together(archive: Path) -> None:
    with Catalogue.open(archive) as catalogue:
        points = MapReader(catalogue).points()
    assert points is not None
    kinds = np.repeat(np.arange(N_KINDS), N_EACH)
    away = np.linalg.norm(points.places[:, None] - points.places[None], axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = np.argsort(away, axis=1)[:, :5]
    assert np.mean(kinds[nearest] == kinds[:, None]) > 0.9


def test_drawn_anew_of_the_same_archive_it_is_the_same_map(copy: Path) -> None:
    with Catalogue.open(copy) as catalogue:
        path = map_path(catalogue, ENCODER.name)
        before = load_map(path)
        draw_map(catalogue)
        after = load_map(path)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.places, after.places)
    assert after.drawn_at > before.drawn_at


def test_what_comes_later_lies_beside_its_like_and_moves_nothing(copy: Path) -> None:
    with writing(copy) as writer:
        reader = MapReader(writer.catalogue)
        before = reader.points()
        root = writer.catalogue.collections()[0].id
        writer.store([sound(root, kind, 50) for kind in range(N_KINDS)])
        after = reader.points()
        writer.store([sound(root, 0, 51)])
        last = reader.points()
    assert before is not None
    assert after is not None
    assert last is not None
    n = len(before.recordings)
    assert after.n_new == N_KINDS
    assert last.n_new == N_KINDS + 1
    np.testing.assert_array_equal(after.places[:n], before.places)
    np.testing.assert_array_equal(last.places[: n + N_KINDS], after.places)
    kinds = np.repeat(np.arange(N_KINDS), N_EACH)
    for kind, place in enumerate(after.places[n:]):
        nearest = np.argsort(np.linalg.norm(before.places - place, axis=1))[:5]
        assert (kinds[nearest] == kind).sum() >= 4


def test_what_has_gone_is_not_on_the_map(copy: Path) -> None:
    with writing(copy) as writer:
        reader = MapReader(writer.catalogue)
        reader.points()
        file = writer.catalogue.recording(7).files[0]
        writer.forget_files([file.id])
        points = reader.points()
    assert points is not None
    assert points.n_gone == 1
    assert 7 not in points.recordings
    assert len(points.recordings) == N_KINDS * N_EACH - 1


def test_without_a_map_there_are_no_points_and_one_that_is_drawn_is_seen(copy: Path) -> None:
    with Catalogue.open(copy) as catalogue:
        map_path(catalogue, ENCODER.name).unlink()
        reader = MapReader(catalogue)
        assert reader.points() is None
        steps: list[str] = []
        draw_map(catalogue, on_progress=lambda doing, done, of: steps.append(doing))
        assert reader.points() is not None
    assert list(dict.fromkeys(steps)) == ["Reading", "Comparing", "Arranging"]


def test_a_damaged_map_is_told_and_drawn_anew(copy: Path) -> None:
    with Catalogue.open(copy) as catalogue:
        path = map_path(catalogue, ENCODER.name)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(MapError, match="echoic map --anew"):
            MapReader(catalogue).points()
        path.write_bytes(b"no map at all")
        with pytest.raises(MapError, match="echoic map --anew"):
            MapReader(catalogue).points()
        draw_map(catalogue)
        assert MapReader(catalogue).points() is not None


def test_whatever_is_damaged_in_a_map_is_told(copy: Path) -> None:
    """Of a ZIP file's own list, too: a password, a way to pack that nobody knows, another one."""
    with Catalogue.open(copy) as catalogue:
        path = map_path(catalogue, ENCODER.name)
        whole = path.read_bytes()
        listed = whole.index(b"PK\x01\x02")
        for at, value in ((8, 1), (10, 99), (10, 8)):
            content = bytearray(whole)
            content[listed + at] = value
            path.write_bytes(content)
            with pytest.raises(MapError, match="echoic map --anew"):
                load_map(path)


def test_what_fails_while_it_is_drawn_is_not_taken_for_a_folder_that_cannot_be_written(
    copy: Path,
) -> None:
    def told(doing: str, n_done: int, n_all: int) -> None:
        raise BrokenPipeError("nobody listens")

    with Catalogue.open(copy) as catalogue:
        with pytest.raises(BrokenPipeError):
            draw_map(catalogue, on_progress=told)
        draw_map(catalogue)  # nobody holds it any more


def test_two_do_not_draw_at_once(copy: Path) -> None:
    with Catalogue.open(copy) as catalogue:
        lock = map_path(catalogue, ENCODER.name).with_suffix(".lock")
        with FileLock(lock), pytest.raises(MapError, match="another process"):
            draw_map(catalogue)


def test_of_nothing_no_map_is_drawn(tmp_path: Path) -> None:
    with Catalogue.open(tmp_path / "empty", create=True) as catalogue:
        with pytest.raises(MapError, match="nothing has been indexed"):
            draw_map(catalogue)
        with pytest.raises(MapError, match="nothing has been indexed"):
            MapReader(catalogue).points()


def test_an_encoder_that_is_not_there_is_named_with_those_that_are(archive: Path) -> None:
    with Catalogue.open(archive) as catalogue:
        assert MapReader(catalogue, encoder="test").points() is not None
        with pytest.raises(UnknownName, match="it holds: test/1"):
            MapReader(catalogue, encoder="other").points()


def test_a_chosen_encoder_that_is_not_there_is_not_replaced_by_another(copy: Path) -> None:
    with Catalogue.open(copy) as catalogue:
        assert mapped_encoder(catalogue) == ENCODER.name  # this Echoic has it not, nor needs it
        with catalogue.transaction(of_contents=False) as session:  # as no command leaves it
            session.merge(CatalogueInfo(key="default_encoder", value="gone/1"))
        with pytest.raises(UnknownName, match="no vectors by gone/1"):
            mapped_encoder(catalogue)


def test_one_recording_is_a_map_too(tmp_path: Path) -> None:
    with writing(tmp_path / "one", create=True) as writer:
        root = writer.add_collection("sounds", str(tmp_path)).id
        writer.store([sound(root, 0, 0)])
        draw_map(writer.catalogue)
        reader = MapReader(writer.catalogue)
        writer.store([sound(root, 1, 0)])
        points = reader.points()
    assert points is not None
    np.testing.assert_allclose(points.places, 0.5)


def test_the_mean_of_a_recording_has_unit_length(archive: Path) -> None:
    with Catalogue.open(archive) as catalogue:
        found = summaries_of(catalogue, ENCODER.name, [3, 1])
    assert found.ids.tolist() == [1, 3]
    np.testing.assert_allclose(np.linalg.norm(found.vectors.astype(float), axis=1), 1, atol=1e-3)


def test_points_are_exported_with_paths(archive: Path) -> None:
    with Catalogue.open(archive) as catalogue:
        points = MapReader(catalogue).points()
        assert points is not None
        rows = list(map_rows(catalogue, points))
        stream = io.StringIO()
        write_map_csv(catalogue, points, stream)
    assert tuple(rows[0]) == MAP_COLUMNS
    assert rows[0]["path"] == f"{archive}/kind-0/00.wav"
    read = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert len(read) == len(rows) == N_KINDS * N_EACH
    assert float(read[5]["x"]) == rows[5]["x"]

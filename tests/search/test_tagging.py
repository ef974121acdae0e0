"""Tags of recordings: lists of sounds, and the demo archive with the real encoder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.heard import heard_in, vocabularies
from db.stored_vectors import vector_blocks
from indexer.encoders import DEFAULT_ENCODER
from search import tagging
from search.engine import SearchEngine
from search.errors import QueryError, VocabularyError
from search.query import Archived
from search.tagging import MOST_LABELS, tag_recordings, tag_with_taught_sounds
from search.teaching import teach
from search.vocabulary import audioset, read_vocabulary


@pytest.fixture
def catalogue(demo: Path, tmp_path: Path) -> Iterator[Catalogue]:
    """A copy of the demo's catalogue that may be written to."""
    shutil.copytree(demo / "catalogue", tmp_path / "catalogue")
    with Catalogue.open(tmp_path / "catalogue") as opened:
        yield opened


def number_of(catalogue: Catalogue, path: str) -> int:
    (number,) = catalogue.find_files(path)
    return number


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# -- lists -----------------------------------------------------------------------------------


def test_the_names_of_audioset_are_all_there() -> None:
    names = audioset().labels
    assert len(names) == len(set(names)) == 527
    assert (names[0], names[-1]) == ("Speech", "Field recording")


def test_a_list_of_one_s_own_is_read_with_and_without_descriptions(tmp_path: Path) -> None:
    text = "\ufeff# mine\nchurch bell\n\nmy dog: a small dog barking\nratio 3:1\n"
    mine = read_vocabulary(written(tmp_path / "farm.txt", text))
    assert mine.name == "farm"
    assert mine.labels == ("church bell", "my dog", "ratio 3:1")
    assert mine.phrases == ("church bell", "a small dog barking", "ratio 3:1")
    same = read_vocabulary(written(tmp_path / "b.txt", text.replace("# mine", "# other")))
    assert same.digest() == mine.digest()
    changed = read_vocabulary(written(tmp_path / "c.txt", text.replace("small", "big")))
    assert changed.digest() != mine.digest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "lists no sound"),
        ("# only this\n", "lists no sound"),
        ("dog\nDog\n", "line 2: 'Dog' is in the list already"),
        (": a dog\n", "line 1"),
        ("---\n", "holds no word"),
        ("x" * 300, "at most 200"),
        ("a\x07b\n", "no phrase"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(VocabularyError, match=expected):
        read_vocabulary(written(tmp_path / "a.txt", text))


def test_a_list_that_cannot_be_read_or_has_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="No such file"):
        read_vocabulary(tmp_path / "no.txt")
    with pytest.raises(VocabularyError, match="UTF-8"):
        (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xff")
        read_vocabulary(tmp_path / "bad.txt")
    with pytest.raises(VocabularyError, match="another name"):
        read_vocabulary(written(tmp_path / "audioset.txt", "dog\n"))


# -- tagging ---------------------------------------------------------------------------------


def test_recordings_get_the_tags_of_what_is_heard_and_a_second_run_has_nothing_to_do(
    catalogue: Catalogue,
) -> None:
    done = tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)
    with_vectors = catalogue.recordings_with_vectors(DEFAULT_ENCODER)
    assert done.n_recordings == len(with_vectors)
    found = heard_in(catalogue, with_vectors)
    assert 0 < done.n_heard == len(found) < done.n_recordings
    assert max(len(tags) for tags in found.values()) <= MOST_LABELS
    for tags in found.values():
        scores = [tag.score for tag in tags]
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 < score <= 1.0 for score in scores)
    rain = {tag.label for tag in found[number_of(catalogue, "weather/rain-heavy.flac")]}
    assert rain & {"Rain", "Rain on surface", "Raindrop"}
    assert tag_recordings(catalogue, audioset(), DEFAULT_ENCODER).n_recordings == 0
    results = SearchEngine(catalogue).search("heard:rain", k=100, facets=("heard",))
    assert dict(results.facets[0].counts)["Rain"] == len(results.hits) == done.labels["Rain"]


def test_a_run_that_was_cut_off_goes_on_and_ends_as_if_it_had_not_been(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.stored_vectors._BLOBS_AT_ONCE", 10)
    whole = tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)
    expected = heard_in(catalogue, catalogue.recordings_with_vectors(DEFAULT_ENCODER))
    tagging.LEAST_ODDS, before = 1000.0, tagging.LEAST_ODDS
    tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)  # another rule: all anew, none heard
    tagging.LEAST_ODDS = before
    assert heard_in(catalogue, expected) == {}

    def stop(done: int, of: int) -> None:
        if done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_recordings(catalogue, audioset(), DEFAULT_ENCODER, on_progress=stop)
    rest = tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)
    assert rest.n_recordings == whole.n_recordings - 30
    assert heard_in(catalogue, expected) == expected
    assert len(vocabularies(catalogue)) == 1


def test_blocks_and_slices_of_any_size_give_the_same_tags(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)
    ids = catalogue.recordings_with_vectors(DEFAULT_ENCODER)
    expected = heard_in(catalogue, ids)
    for blobs, rows in ((1, 7), (50, 3)):
        monkeypatch.setattr("db.stored_vectors._BLOBS_AT_ONCE", blobs)
        monkeypatch.setattr("search.tagging._ROWS_AT_ONCE", rows)
        monkeypatch.setattr("search.tagging._SCHEME", f"test {blobs}")
        tag_recordings(catalogue, audioset(), DEFAULT_ENCODER)
        found = heard_in(catalogue, ids)
        assert list(found) == list(expected)
        for id_, tags in found.items():
            assert {tag.label for tag in tags} == {tag.label for tag in expected[id_]}


def test_blocks_hold_each_recording_whole_and_leave_damaged_ones_out(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import update

    from db.schema import EmbeddingRow

    monkeypatch.setattr("db.stored_vectors._SEGMENTS_AT_ONCE", 5)
    ids = sorted(catalogue.recordings_with_vectors(DEFAULT_ENCODER))
    with catalogue.transaction() as session:
        damage = update(EmbeddingRow).where(EmbeddingRow.recording_id == ids[3])
        session.execute(damage.values(checksum=1))
    seen: list[int] = []
    for block in vector_blocks(catalogue, DEFAULT_ENCODER, [*ids, 9999]):
        assert block.counts.sum() == len(block.vectors)
        for id_, first, count in zip(block.recording_ids, block.firsts, block.counts, strict=True):
            stored = catalogue.vectors(id_, DEFAULT_ENCODER)
            np.testing.assert_array_equal(block.vectors[first : first + count], stored)
        seen += block.recording_ids
    assert seen == [id_ for id_ in ids if id_ != ids[3]]


def test_taught_sounds_become_tags_just_where_a_search_finds_them(catalogue: Catalogue) -> None:
    with pytest.raises(QueryError, match="echoic teach"):
        tag_with_taught_sounds(catalogue, DEFAULT_ENCODER)
    rain = [f"weather/rain-{kind}" for kind in ("heavy.flac", "light.wav", "tin-roof.ogg")]
    liked = [Archived(number_of(catalogue, path)) for path in rain]
    teach(catalogue, "downpour", liked, [], DEFAULT_ENCODER)
    done = tag_with_taught_sounds(catalogue, DEFAULT_ENCODER)
    assert done.labels["downpour"] > 0
    engine = SearchEngine(catalogue)
    by_tag = engine.search("heard:downpour", k=200, fold_copies=False).hits
    by_sound = engine.search("sound:downpour", k=200, fold_copies=False).hits
    assert {hit.recording.id for hit in by_tag} == {hit.recording.id for hit in by_sound}
    assert tag_with_taught_sounds(catalogue, DEFAULT_ENCODER).n_recordings == 0

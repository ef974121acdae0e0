"""Manifests as the truth of an evaluation."""

from pathlib import Path

import pytest

from indexer.errors import ManifestError
from search.errors import QueryError
from search.evaluation.ground_truth import GroundTruth, read_ground_truth
from search.evaluation.prompts import plain_names, wording
from search.evaluation.questions import Gallery, questions_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abcd":
        (tmp_path / f"{name}.wav").touch()
    return tmp_path


def read(folder: Path, text: str, **options: object) -> GroundTruth:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    return read_ground_truth(folder / "list.csv", **options)  # type: ignore[arg-type]


TABLE = """path,label,fold,freesound_id,Cut
a.wav,dog;bark,1,7,x
b.wav,dog,2,7,x
c.wav,rain,2,8,y
d.wav,,2,,
"""


def test_labels_folds_and_sources_are_read(folder: Path) -> None:
    truth = read(folder, TABLE, where=[("Fold", "2")])
    first, second, third, fourth = truth.clips
    assert first.path == folder / "a.wav"
    assert first.labels == ("dog", "bark")
    assert first.source == second.source != third.source
    assert fourth.labels == ()
    assert [clip.is_chosen for clip in truth.clips] == [False, True, True, True]
    assert (truth.source_column, truth.where) == ("freesound_id", (("fold", "2"),))


def test_clips_without_a_source_are_each_their_own(folder: Path) -> None:
    sources = [clip.source for clip in read(folder, "path,label\na.wav,x\nb.wav,x\n").clips]
    assert len(set(sources)) == 2
    assert read(folder, TABLE).clips[3].source not in {
        c.source for c in read(folder, TABLE).clips[:3]
    }


def test_values_of_one_column_are_alternatives_and_columns_must_all_fit(folder: Path) -> None:
    def chosen(*where: tuple[str, str]) -> list[bool]:
        return [clip.is_chosen for clip in read(folder, TABLE, where=where).clips]

    assert chosen(("fold", "1"), ("fold", "2")) == [True, True, True, True]
    assert chosen(("fold", "2"), ("cut", "x")) == [False, True, False, False]


def test_captions_come_in_columns_and_in_rows(folder: Path) -> None:
    text = (
        "path,caption_1,caption_2\n"
        'a.wav,A dog barks,"A dog, somewhere"\n'
        "a.wav,A dog barks,A bark\n"
        "b.wav,Rain falls,\n"
    )
    first, second = read(folder, text).clips
    assert first.captions == ("A dog barks", "A dog, somewhere", "A bark")
    assert second.captions == ("Rain falls",)


def test_the_gallery_decides_which_clips_and_labels_there_are(folder: Path) -> None:
    truth = read(folder, TABLE, where=[("fold", "2")])
    same, all_ = (questions_of(truth, gallery) for gallery in Gallery)
    assert (len(same.clips), same.labels) == (3, ("dog", "rain"))
    assert same.measured.tolist() == [0, 1]  # d.wav has no label: it is only searched through
    assert (len(all_.clips), all_.labels) == (4, ("bark", "dog", "rain"))
    assert all_.measured.tolist() == [1, 2]
    assert [all_.labels[at] for at in all_.asked] == ["dog", "rain"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("path,label\n", {}, "lists no clip"),
        ("path,class\na.wav,x\n", {}, "--label-column"),
        ("path,label\na.wav,x\n", {"label_column": "class"}, "no column 'class'"),
        ("path,label\na.wav,x\n", {"source_column": "tape"}, "no column 'tape'"),
        ("path,label\na.wav,x\n", {"where": [("fold", "5")]}, "no column 'fold'"),
        (TABLE, {"where": [("fold", "9")]}, "no clip .* fold=9 .*one of: 1, 2"),
        ("path,label\na.wav,\n", {}, "none of the 1 clips"),
        ("path,label\nz.wav,x\n", {}, r"z\.wav: .*--root"),
        ("path,label,freesound_id\na.wav,x,1\na.wav,y,2\n", {}, "on line 2 already"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(
    folder: Path, text: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        read(folder, text, **options)


def test_a_path_that_leads_elsewhere_is_refused(folder: Path) -> None:
    with pytest.raises(ManifestError, match="line 2"):
        read(folder, "path,label\n../a.wav,x\n")


def test_classes_are_put_into_words(tmp_path: Path) -> None:
    assert plain_names(["crackling_fire"]).phrases == (("crackling fire",),)
    own = tmp_path / "own.csv"
    own.write_text("label,prompt\ndog,a bark\nDog,a yap\nrain,drops\n", encoding="utf-8")
    assert wording(str(own), ["rain", "dog"]).phrases == (("drops",), ("a bark", "a yap"))
    with pytest.raises(QueryError, match=r"lacks 1 of the 2 classes \(sea\)"):
        wording(str(own), ["rain", "sea"])
    own.write_text("label,prompt\ndog,\n", encoding="utf-8")
    with pytest.raises(QueryError, match="line 2"):
        wording(str(own), ["dog"])
    with pytest.raises(ManifestError, match="no column 'label'"):
        own.write_text("path,prompt\na,b\n", encoding="utf-8")
        wording(str(own), ["dog"])


def test_every_class_of_esc50_has_descriptions() -> None:
    from indexer.manifest import packaged_manifest

    labels = sorted({label for e in packaged_manifest("esc50").entries for label in e.labels})
    phrases = wording("descriptive", labels).phrases
    assert len(phrases) == 50
    assert all(len(of_class) > 1 for of_class in phrases)
    with pytest.raises(QueryError, match=r"Echoic has no description .*nightingale"):
        wording("descriptive", ["nightingale"])

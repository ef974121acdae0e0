"""Groups of recordings by the most frequent values of a field."""

from collections.abc import Sequence

import numpy as np
import pytest

from db.catalogue import Catalogue
from db.errors import ConditionError
from db.groups import groups_of
from db.records import Description
from db.stored_vectors import count_changes
from db.writer import CatalogueWriter
from tests.db.conftest import ENCODER, analysis


def store(writer: CatalogueWriter, tags: Sequence[Sequence[str]]) -> None:
    root = writer.add_collection("sounds", "/sounds").id
    writer.store(
        [
            analysis(root, f"{n}.wav", description=Description(tags=tuple(own)))
            for n, own in enumerate(tags)
        ]
    )


def test_a_recording_is_in_the_group_of_its_rarest_frequent_value(
    catalogue: Catalogue, writer: CatalogueWriter
) -> None:
    store(writer, [["outside", "birds"], ["outside"], ["outside", "rain"], ["rain"], [], ["owl"]])
    ids = np.arange(1, 7)
    groups = groups_of(catalogue, "tag", ids, limit=4)
    assert dict(zip(groups.labels, groups.sizes.tolist(), strict=True)) == {
        "rain": 2,
        "outside": 1,
        "birds": 1,
        "owl": 1,
    }
    assert [groups.labels[code] if code >= 0 else None for code in groups.codes] == [
        "birds",
        "outside",
        "rain",
        "rain",
        None,
        "owl",
    ]


def test_a_value_that_says_the_same_as_another_gives_way_to_one_that_tells_more(
    catalogue: Catalogue, writer: CatalogueWriter
) -> None:
    store(writer, [["crying", "baby"]] * 3 + [["crying"]] + [["engine"]] * 2)
    groups = groups_of(catalogue, "tag", np.arange(1, 7), limit=2)
    assert groups.labels == ("crying", "engine")
    assert groups.sizes.tolist() == [4, 2]


def test_only_the_recordings_that_are_asked_for_count(
    catalogue: Catalogue, writer: CatalogueWriter
) -> None:
    store(writer, [["a"], ["b"], ["b"]])
    groups = groups_of(catalogue, "tag", np.array([2, 1, 99]), limit=1)
    assert len(groups.labels) == 1
    assert groups.codes[2] == -1  # there is no recording 99
    assert groups.sizes.sum() == 1


def test_groups_of_nothing_are_none(catalogue: Catalogue) -> None:
    groups = groups_of(catalogue, "tag", np.array([1]), limit=8)
    assert groups.labels == ()
    assert groups.codes.tolist() == [-1]


def test_a_field_without_groups_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ConditionError, match="by tag"):
        groups_of(catalogue, "duration", np.array([1]), limit=8)


def test_the_count_of_changes_grows_with_what_comes_and_goes(
    catalogue: Catalogue, writer: CatalogueWriter
) -> None:
    store(writer, [["a"], ["b"]])
    before = count_changes(catalogue, ENCODER.name)
    writer.forget_files([catalogue.recording(1).files[0].id])
    after = count_changes(catalogue, ENCODER.name)
    assert before != after

"""Where a catalogue says that its fingerprints are looked up."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.errors import PostingsError
from db.fingerprint_location import (
    ENVIRONMENT_VARIABLE,
    OnCluster,
    cluster_of_fingerprints,
    store_cluster,
)
from tests.ui.running import as_process


def test_they_are_looked_up_in_files_unless_somebody_says_otherwise(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster_of_fingerprints(catalogue) is None
    store_cluster(catalogue, OnCluster("head:6379", 4))
    with Catalogue.open(catalogue.location) as again:
        assert cluster_of_fingerprints(again) == OnCluster("head:6379", 4)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "files")
    assert cluster_of_fingerprints(catalogue) is None
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "ray:auto?parts=12")
    assert cluster_of_fingerprints(catalogue) == OnCluster("auto", 12)
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    store_cluster(catalogue, None)
    assert cluster_of_fingerprints(catalogue) is None


def test_who_reaches_the_cluster_by_another_name_finds_the_same_parts(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "ray:10.0.0.1:6379")
    assert cluster_of_fingerprints(catalogue) == OnCluster("10.0.0.1:6379", None)
    store_cluster(catalogue, OnCluster("head:6379", 4))
    assert cluster_of_fingerprints(catalogue) == OnCluster("10.0.0.1:6379", 4)


@pytest.mark.parametrize(
    "place",
    ["", "ray", "ray:", "ray:head", "ray://head:10001", "ray:head:6379?parts=0", "head:6379"],
)
def test_a_place_that_cannot_be_one_is_refused(place: str) -> None:
    with pytest.raises(PostingsError, match="ray:HOST:PORT"):
        OnCluster.read(place)


def test_a_place_is_written_as_it_is_read() -> None:
    for place in ("ray:auto", "ray:head:6379?parts=3", "ray:[::1]:6379"):
        assert str(OnCluster.read(place)) == place


def test_a_place_that_cannot_be_one_changes_nothing(tmp_path: Path) -> None:
    location = tmp_path / "catalogue"
    Catalogue.open(location, create=True).close()
    for option, said in (
        ("ray:127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("nonsense", "'nonsense' is no place for fingerprints"),
    ):
        if option.startswith("ray") and find_spec("ray") is None:
            continue
        _, err = as_process("repair", "--fingerprints", option, "--catalogue", location, code=2)
        assert said in err
    with Catalogue.open(location) as catalogue:
        assert cluster_of_fingerprints(catalogue) is None

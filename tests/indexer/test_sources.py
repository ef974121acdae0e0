"""Collections are found or made, also when several indexers make them at once."""

from pathlib import Path

import pytest

from db.catalogue import Catalogue
from db.records import CollectionInfo
from db.writer import CatalogueWriter
from indexer.sources import folder_source


@pytest.mark.parametrize("name", [None, "tapes"])
@pytest.mark.parametrize("is_same", [True, False])
def test_what_another_indexer_adds_between_looking_and_adding_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, is_same: bool
) -> None:
    folder, other = tmp_path / "north", tmp_path / "elsewhere" / "north"
    folder.mkdir()
    other.mkdir(parents=True)
    looked: list[int] = []
    look = Catalogue.collections

    def look_before_another_adds(catalogue: Catalogue) -> list[CollectionInfo]:
        seen = look(catalogue)
        looked.append(len(seen))
        if len(looked) == 1:
            writer.add_collection("north", str(folder if is_same else other))
        return seen

    with Catalogue.open(tmp_path / "catalogue", create=True) as catalogue:
        with CatalogueWriter(catalogue) as writer:
            monkeypatch.setattr(Catalogue, "collections", look_before_another_adds)
            collection = folder_source(writer, folder, name=name).collection
        known = {one.name: one.root for one in look(catalogue)}
    assert looked[0] == 0
    assert collection.root == str(folder)
    if name is not None:
        assert known == {"north": str(folder if is_same else other), name: str(folder)}
    elif is_same:
        assert known == {"north": str(folder)}
    else:
        assert known == {"north": str(other), "north-2": str(folder)}

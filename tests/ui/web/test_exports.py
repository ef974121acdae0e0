"""Files that are made to be taken away."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from db.catalogue import Catalogue
from search.errors import ExportError
from search.export import ExportOptions
from search.hits import Hit, Passage, Strength
from ui.web.archive import Archive
from ui.web.exports import Exports
from ui.web.routes import routes


@pytest.fixture
def hit(catalogue: Path) -> Hit:
    with Catalogue.open(catalogue) as opened:
        return Hit(opened.recording(1), 0.9, (Passage(0.5, 1.0, 0.9),), Strength.STRONG)


def test_a_file_is_made_on_the_disk_and_taken_by_its_address_and_no_other(
    hit: Hit, catalogue: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(catalogue))
    served = Archive(str(catalogue))
    monkeypatch.setattr("ui.web.routes.archive", lambda: served)
    made = served.exports.make([hit], "wav", ExportOptions(), title="Büro & <more>")
    client = TestClient(Starlette(routes=routes()))
    answer = client.get(made.address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert "B%C3%BCro%20%26%20%3Cmore%3E.zip" in answer.headers["content-disposition"]
    assert any(
        name.endswith(".wav") for name in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    )
    name = made.address.split("/")[2]
    for other in (f"0{name[1:-5]}0.zip", "..%2F..%2Fetc%2Fpasswd", f".new-{name}"):
        assert client.get(f"/export/{other}/x.zip").status_code == 404


def test_more_sound_than_fits_is_refused_before_anything_is_written(
    hit: Hit, tmp_path: Path
) -> None:
    long = replace(hit, passages=(Passage(0.0, 20_000.0, 0.9),))
    exports = Exports(tmp_path / "exports")
    with pytest.raises(ExportError, match="echoic lists export"):
        exports.make([long], "wav", ExportOptions(), title="long")
    assert not exports.find("0" * 32 + ".zip")
    assert list(tmp_path.iterdir()) == []
    assert exports.make([long], "csv", ExportOptions(), title="long").n_hits == 1

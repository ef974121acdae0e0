"""Manifests and sidecars: the format, its errors, and what comes of them."""

import json
from pathlib import Path

import pytest

from db.records import Description
from indexer.errors import ManifestError
from indexer.manifest import (
    FolderManifests,
    list_manifests,
    packaged_manifest,
    read_manifest,
    sidecar_metadata,
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_every_column_finds_its_field(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        "\ufeffPath,Title,description,label,tags,creator,attribution,licence,recorded_at,category,"
        "subcategory,url,checksum,fold\n"
        'a/b.wav,Dawn,"Gulls, a foghorn",harbour | sea,port;gulls,A. S.,by A. S.,CC0,1962-05,'
        f"AMBIENCE,SEASIDE,https://example.org/b.wav,MD5:{'A' * 32},3\n"
        "\n"
        "c\\d.wav,,,dog,,,,,some day,,,,,\n",
    )
    manifest = read_manifest(path)
    assert (manifest.name, manifest.root, manifest.warnings) == ("x", tmp_path, ())
    first, second = manifest.entries
    assert first.metadata == Description(
        title="Dawn",
        description="Gulls, a foghorn",
        creator="A. S.",
        licence="CC0",
        recorded_at="1962-05",
        category="AMBIENCE",
        subcategory="SEASIDE",
        tags=("harbour", "sea", "port", "gulls"),
        extra={"attribution": "by A. S.", "fold": "3"},
    )
    assert (first.path, first.labels) == ("a/b.wav", ("harbour", "sea"))
    assert (first.url, first.checksum) == ("https://example.org/b.wav", "md5:" + "a" * 32)
    assert (second.path, second.line) == ("c/d.wav", 4)
    assert second.metadata == Description(
        title="dog", tags=("dog",), extra={"recorded_at": "some day"}
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,label\na.wav,x\n", "line 1: there is no column 'path'"),
        ("", "line 1: there is no column 'path'"),
        ("path,label,label\na.wav,x,y\n", "line 1: the column 'label' is there twice"),
        ("path\na.wav\nb.wav\n./a.wav\n", "line 4: 'a.wav' is on line 2 already"),
        ("path\n/etc/passwd\n", "line 2: '/etc/passwd' is not a path below"),
        ("path\na/../../b.wav\n", "line 2: 'a/../../b.wav' is not a path below"),
        ("path\n..\\b.wav\n", "line 2: .* is not a path below"),
        ("path\nC:\\b.wav\n", "line 2: .* is not a path below"),
        ("path,label\n,dog\n", "line 2: the path is empty"),
        ("path,checksum\na.wav,md5:123\n", "line 2: 'md5:123' is no checksum"),
        ("path,checksum\na.wav,crc:12345678\n", "line 2: .* is no checksum"),
        ("path,checksum\na.wav," + "0" * 32 + "\n", "line 2: .* is no checksum"),
        ("path,label\na.wav,dog,barking\n", "line 2: 3 cells for 2 columns"),
        ('path,label\na.wav,"dog\n', "line 2: unexpected end of data"),
    ],
)
def test_what_breaks_the_format_is_an_error_that_names_the_line(
    text: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=reason):
        read_manifest(write(tmp_path / "x.csv", text))


def test_a_manifest_that_is_not_utf8_or_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("path,label\na.wav,Tür\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="not UTF-8 text"):
        read_manifest(tmp_path / "x.csv")
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "y.csv")


def test_the_header_is_read_and_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "path\na.wav\n")
    assert read_manifest(path).header.archive is None
    header = tmp_path / "x.toml"
    write(header, 'title = "T"\n[archive]\nurl = "https://example.org/z/x.zip?raw=1"\n')
    got = read_manifest(path, root=Path("/elsewhere"))
    assert (got.header.title, got.root) == ("T", Path("/elsewhere"))
    assert got.header.archive is not None
    assert got.header.archive.filename == "x.zip"
    for text, reason in (
        ("title = 3\n", "'title' is not text"),
        ("title = \n", "cannot be read"),
        ("[archive]\n", "needs a url"),
        ('[archive]\nurl = "https://e.org/x"\nfilename = "../x"\n', "not a plain file name"),
        ('[archive]\nurl = "https://e.org/x"\nchecksum = "md5:1"\n', "is no checksum"),
        ('[archive]\nurl = "https://e.org/x"\nsize_bytes = -1\n', "size_bytes"),
    ):
        write(header, text)
        with pytest.raises(ManifestError, match=reason):
            read_manifest(path)


def test_the_manifest_of_esc50_holds_the_facts_of_the_data_set() -> None:
    assert "esc50" in list_manifests()
    manifest = packaged_manifest("esc50")
    assert len(manifest.entries) == 2000
    labels = [entry.labels[0] for entry in manifest.entries]
    assert {labels.count(label) for label in labels} == {40}
    assert len(set(labels)) == 50
    assert all(entry.checksum.startswith("md5:") for entry in manifest.entries)
    for entry in manifest.entries:
        fold, freesound_id, take, _ = Path(entry.path).stem.split("-")
        extra = entry.metadata.extra
        assert (extra["fold"], extra["freesound_id"], extra["take"]) == (fold, freesound_id, take)
        assert entry.metadata.licence == {"yes": "CC BY", "no": "CC BY-NC 3.0"}[extra["esc10"]]
    assert sum(entry.metadata.extra["esc10"] == "yes" for entry in manifest.entries) == 400
    assert manifest.header.archive is not None


def test_esc50_agrees_with_the_real_clips_of_esc10(real_audio: Path) -> None:
    by_clip = {
        "-".join(Path(entry.path).stem.split("-")[:3]): entry.labels
        for entry in packaged_manifest("esc50").entries
    }
    for entry in read_manifest(real_audio / "esc10" / "manifest.csv").entries:
        assert by_clip[Path(entry.path).stem] == entry.labels


def test_real_manifests_are_read(real_audio: Path) -> None:
    paths = sorted(real_audio.glob("*/manifest.csv"))
    assert paths
    for path in paths:
        manifest = read_manifest(path, strict=False)
        assert len(manifest.entries) > 20
        assert all((manifest.root / entry.path).is_file() for entry in manifest.entries)


def test_an_unknown_name_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ManifestError, match="esc50"):
        packaged_manifest("esc51")


def test_the_sidecar_with_the_full_name_goes_first(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = tmp_path / "a.wav"
    assert sidecar_metadata(path, warnings=warnings) is None
    write(tmp_path / "a.json", json.dumps({"title": "short name"}))
    assert sidecar_metadata(path, warnings=warnings) == Description(title="short name")
    content = {
        "title": "Harbour",
        "tags": ["port", "gulls"],
        "recorded_at": "1962",
        "take": 3,
        "nested": {"x": 1},
        "extra": {"tape": "B-117"},
    }
    write(tmp_path / "a.wav.json", json.dumps(content))
    assert sidecar_metadata(path, warnings=warnings) == Description(
        title="Harbour",
        recorded_at="1962",
        tags=("port", "gulls"),
        extra={"take": "3", "tape": "B-117"},
    )
    assert warnings == []


@pytest.mark.parametrize("text", ["{", "[1]", "\ud800", "[" * 100_000, '"x"'])
def test_a_damaged_sidecar_is_a_warning(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    warnings: list[str] = []
    assert sidecar_metadata(tmp_path / "a.wav", warnings=warnings) is None
    assert len(warnings) == 1
    assert "a.wav.json: not" in warnings[0]


def test_folder_manifests_describe_what_is_below_them_the_nearest_first(tmp_path: Path) -> None:
    write(tmp_path / "manifest.csv", "path,label,creator\na/b/x.wav,outer,A\ny.wav,top,B\n")
    write(tmp_path / "a" / "manifest.csv", "path,label\nb/x.wav,inner\n")
    folders = FolderManifests(str(tmp_path))
    assert folders.for_file("a/b/x.wav") == Description(
        title="inner", creator="A", tags=("inner", "outer")
    )
    assert folders.for_file("y.wav") == Description(title="top", creator="B", tags=("top",))
    assert folders.for_file("a/z.wav") is None
    assert folders.warnings == []


def test_broken_folder_manifests_are_warnings_once_and_good_rows_count(tmp_path: Path) -> None:
    write(tmp_path / "manifest.csv", "path,label\nx.wav,dog\n../x.wav,cat\nx.wav,cow\n")
    write(tmp_path / "a" / "manifest.csv", "file\nx.wav\n")
    folders = FolderManifests(str(tmp_path))
    for _ in range(3):
        assert folders.for_file("a/x.wav") is None
        found = folders.for_file("x.wav")
        assert found is not None
        assert found.title == "dog"
    assert len(folders.warnings) == 3
    assert "line 3" in folders.warnings[1] and "line 4" in folders.warnings[2]


def test_the_digest_changes_exactly_when_the_description_does(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    digests = []
    for text in ("path,label\nx.wav,dog\n", "label,path\ndog,x.wav\n", "path,label\nx.wav,cat\n"):
        write(path, text)
        found = FolderManifests(str(tmp_path)).for_file("x.wav")
        assert found is not None
        digests.append(found.digest())
    assert digests[0] == digests[1] != digests[2]

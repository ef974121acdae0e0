"""Descriptions beside the audio: manifests (CSV) and sidecars (JSON). See docs/manifests.md."""

import csv
import io
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from db.errors import StorageError, StorageUnreachable
from db.records import Description
from db.storage import AnyFile, file_at
from indexer.errors import ManifestError, ManifestUnread
from indexer.metadata import merge, metadata_from, split_tags
from indexer.spellings import ByPath

_DIGESTS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_NOT_METADATA = ("path", "url", "checksum")
_MAX_FIELD = 1_000_000
_MAX_SIDECAR_BYTES = 10_000_000

FOLDER_MANIFEST = "manifest.csv"
"""The name under which a folder's manifest is found."""

STAYS = "what it said when it was last read stays"
"""What to tell of a manifest or sidecar that could not be read."""


@dataclass(frozen=True)
class Archive:
    """The one file that a collection is published as.

    Attributes
    ----------
    url : str
    filename : str
        The name under which it is looked for and stored.
    checksum : str
        ``"md5:..."``, ``"sha256:..."``; empty where there is none that stays valid.
    size_bytes : int or None
        About, for the progress bar and the reader.
    strip_prefix : str
        Folder inside the archive that the manifest's paths are relative to, such as
        ``"ESC-50-master/"``.
    """

    url: str
    filename: str
    checksum: str = ""
    size_bytes: int | None = None
    strip_prefix: str = ""


@dataclass(frozen=True)
class ManifestHeader:
    """What ``NAME.toml`` says beside ``NAME.csv``; all of it may be empty."""

    title: str = ""
    description: str = ""
    homepage: str = ""
    source: str = ""
    licence: str = ""
    citation: str = ""
    archive: Archive | None = None


@dataclass(frozen=True)
class ManifestEntry:
    """One row.

    Attributes
    ----------
    path : str
        Relative to the manifest's root, with ``/``.
    metadata : Description
    url, checksum : str
        Empty where the row has none.
    labels : tuple of str
        The classes of the column ``label``; they are among the tags too.
    line : int
        Its line in the CSV file.
    """

    path: str
    metadata: Description
    url: str = ""
    checksum: str = ""
    labels: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Manifest:
    """A manifest and where its paths begin."""

    name: str
    root: Path
    entries: tuple[ManifestEntry, ...]
    header: ManifestHeader = field(default_factory=ManifestHeader)
    warnings: tuple[str, ...] = ()

    @property
    def is_fetchable(self) -> bool:
        """Whether it says where its files are to be had."""
        return self.header.archive is not None or any(entry.url for entry in self.entries)


def read_manifest(path: Path, *, root: Path | None = None, strict: bool = True) -> Manifest:
    """Read a manifest, and the header beside it if there is one.

    Parameters
    ----------
    path : Path
        The CSV file.
    root : Path, optional
        The folder that its paths are relative to; the CSV file's own if not given.
    strict : bool
        Whether a bad row is an error, or else a warning, and the row left out.

    Returns
    -------
    Manifest

    Raises
    ------
    ManifestError
        If it cannot be read or breaks the format; the message names the line.
    """
    warnings: list[str] = []
    entries = tuple(_entries(path, warnings, strict))
    header = _read_header(path.with_suffix(".toml"))
    return Manifest(path.stem, root or path.parent, entries, header, tuple(warnings))


def table_rows(path: AnyFile, *, required: str = "path") -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line of each row, and its cells by column: all columns, names in lower case.

    Raises
    ------
    ManifestError
        If the file cannot be read, is not such a table, or lacks the column that is `required`.
    """
    csv.field_size_limit(_MAX_FIELD)
    try:
        with (
            _opened(path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        ):
            reader = csv.reader(text, strict=True)
            names = [name.strip().casefold() for name in next(reader, [])]
            if required not in names:
                found = ", ".join(names) or "nothing"
                raise ManifestError(
                    f"{path}, line 1: there is no column '{required}' (found: {found}); "
                    "columns are separated by commas"
                )
            if twice := sorted({name for name in names if name and names.count(name) > 1}):
                raise ManifestError(f"{path}, line 1: the column '{twice[0]}' is there twice")
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > len(names):
                    raise ManifestError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells for {len(names)} "
                        "columns; a cell with a comma needs quotes"
                    )
                row = dict.fromkeys(names, "")
                row.update(zip(names, map(str.strip, cells), strict=False))
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text: {error.reason}; save it as UTF-8") from error
    except csv.Error as error:
        raise ManifestError(f"{path}, line {reader.line_num}: {error}") from error


@contextmanager
def _opened(path: AnyFile) -> Iterator[BinaryIO]:
    """Open a table; what goes wrong while it is read is told of it, unless its storage is away."""
    try:
        with path.open("rb") as file:
            yield file
    except StorageUnreachable:
        raise  # nothing is known of it
    except StorageError as error:
        raise ManifestUnread(str(error)) from error
    except OSError as error:
        raise ManifestUnread(f"{path}: cannot be read: {error.strerror}") from error


def _entries(path: AnyFile, warnings: list[str], strict: bool) -> Iterator[ManifestEntry]:
    seen: dict[str, int] = {}
    for line, cells in table_rows(path):
        where = f"{path}, line {line}"
        notes: list[str] = []
        try:
            entry = _entry(cells, where, line, notes)
            if entry.path in seen:
                first = seen[entry.path]
                raise ManifestError(f"{where}: '{entry.path}' is on line {first} already")
        except ManifestError as error:
            if strict:
                raise
            warnings.append(f"{error}; the row is left out")
            continue
        seen[entry.path] = line
        warnings.extend(f"{where}: {note}" for note in notes)
        yield entry


def _entry(cells: Mapping[str, str], where: str, line: int, notes: list[str]) -> ManifestEntry:
    return ManifestEntry(
        path=check_path(cells.get("path", ""), where),
        metadata=metadata_of(cells, notes),
        url=cells.get("url", ""),
        checksum=check_checksum(cells.get("checksum", ""), where),
        labels=tuple(split_tags(cells.get("label", ""))),
        line=line,
    )


def check_path(text: str, where: str) -> str:
    """Give a relative path in its plain form; `ManifestError` if it could lead elsewhere."""
    path = PurePosixPath(text.replace("\\", "/"))
    if not text or str(path) == ".":
        raise ManifestError(f"{where}: the path is empty")
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text) or "\0" in text:
        raise ManifestError(f"{where}: '{text}' is not a path below the manifest's root")
    return str(path)


def check_checksum(text: str, where: str) -> str:
    """Give a checksum in lower case; `ManifestError` if it has not the form ``md5:...``."""
    kind, _, digits = text.casefold().partition(":")
    if text and not re.fullmatch(rf"[0-9a-f]{{{_DIGESTS.get(kind, 0)}}}", digits or "-"):
        raise ManifestError(
            f"{where}: '{text}' is no checksum: write md5:, sha1:, sha256: or sha512: and the "
            "digits in hexadecimal"
        )
    return text.casefold()


def metadata_of(cells: Mapping[str, str], warnings: list[str]) -> Description:
    """Make metadata of a row's or a sidecar's named texts.

    Labels are tags; where there is no title, they are the title too.
    """
    pairs = [(key, text) for key, text in cells.items() if key not in _NOT_METADATA]
    label = ", ".join(split_tags(cells.get("label", "")))
    if label and not cells.get("title"):
        pairs.insert(0, ("title", label))
    return metadata_from(pairs, warnings=warnings)


def _read_header(path: Path) -> ManifestHeader:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ManifestHeader()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read: {error}") from error
    table.setdefault("licence", table.get("license", ""))
    texts = {
        name: _string(table, name, path)
        for name in ("title", "description", "homepage", "source", "licence", "citation")
    }
    return ManifestHeader(**texts, archive=_archive(table.get("archive"), path))


def _string(table: Mapping[str, Any], name: str, path: Path) -> str:
    value = table.get(name, "")
    if not isinstance(value, str):
        raise ManifestError(f"{path}: '{name}' is not text")
    return value.strip()


def _archive(table: object, path: Path) -> Archive | None:
    if table is None:
        return None
    if not isinstance(table, dict) or not table.get("url"):
        raise ManifestError(f"{path}: [archive] needs a url")
    url = _string(table, "url", path)
    size = table.get("size_bytes")
    if size is not None and not (isinstance(size, int) and size > 0):
        raise ManifestError(f"{path}: archive.size_bytes is not a number of bytes")
    name = _string(table, "filename", path) or PurePosixPath(url.partition("?")[0]).name
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise ManifestError(f"{path}: archive.filename '{name}' is not a plain file name")
    return Archive(
        url=url,
        filename=name,
        checksum=check_checksum(_string(table, "checksum", path), str(path)),
        size_bytes=size,
        strip_prefix=_string(table, "strip_prefix", path),
    )


def list_manifests() -> tuple[str, ...]:
    """Name the manifests of public collections that come with Echoic."""
    names = (item.name for item in files("data_manifests").iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


def packaged_manifest(name: str) -> Manifest:
    """Read a manifest that comes with Echoic, by its name.

    Raises
    ------
    ManifestError
        If there is none of that name.
    """
    if name not in list_manifests():
        known = ", ".join(list_manifests())
        raise ManifestError(f"there is no manifest '{name}'; there are: {known}")
    with as_file(files("data_manifests")) as folder:
        return read_manifest(folder / f"{name}.csv")


def put_beside(name: str, folder: Path) -> Path:
    """Copy a packaged manifest into the folder of its files, as that folder's ``manifest.csv``.

    So the folder can be indexed as it is, wherever it goes.

    Returns
    -------
    Path
        The copy.
    """
    copy = folder / FOLDER_MANIFEST
    if copy.exists():
        return copy  # what somebody has put there is not ours to replace
    copy.write_bytes(files("data_manifests").joinpath(f"{name}.csv").read_bytes())
    return copy


IsThere = Callable[[AnyFile], bool]
"""Tells whether there is a file."""


def is_on_disk(file: AnyFile) -> bool:
    """Tell whether a file is there; none that is in remote storage."""
    return isinstance(file, Path) and os.path.isfile(file)  # noqa: PTH113  (never raises)


def sidecar_metadata(
    path: AnyFile,
    *,
    warnings: list[str],
    is_there: IsThere = is_on_disk,
    read: Callable[[AnyFile], bytes] | None = None,
) -> Description | None:
    """Read the JSON file beside a recording: ``NAME.wav.json``, or else ``NAME.json``.

    Parameters
    ----------
    path : Path or RemoteFile
        Of the recording.
    warnings : list of str
        Where damage is noted: a damaged sidecar never fails a recording.
    is_there : callable
        Asked for each of the two.
    read : callable
        Reads them; by default `read_sidecar`.

    Returns
    -------
    Description or None
        None if there is no sidecar, or it is damaged.

    Raises
    ------
    ManifestUnread
        If it is there and cannot be read.
    """
    for sidecar in (path.with_name(path.name + ".json"), path.with_suffix(".json")):
        if not is_there(sidecar):
            continue
        notes: list[str] = []
        description = None
        try:
            description = _sidecar(sidecar, read or read_sidecar, notes)
        except ManifestUnread:
            raise
        except ManifestError as error:
            notes.append(str(error))
        warnings.extend(f"{sidecar}: {note}" for note in notes)
        return description
    return None


def read_sidecar(path: AnyFile) -> bytes:
    """Return what is in a sidecar; of one that is too long, so much that it shows."""
    with path.open("rb") as file:
        return file.read(_MAX_SIDECAR_BYTES + 1)


def _sidecar(path: AnyFile, read: Callable[[AnyFile], bytes], notes: list[str]) -> Description:
    try:
        text = read(path)
        if len(text) > _MAX_SIDECAR_BYTES:
            raise ManifestError(f"larger than {_MAX_SIDECAR_BYTES // 1_000_000} MB")
        content = json.loads(text.decode("utf-8-sig"))
    except StorageUnreachable:
        raise  # nothing is known of it
    except StorageError as error:
        raise ManifestUnread(f"{path}: {error}") from error
    except OSError as error:
        raise ManifestUnread(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested too deeply
        raise ManifestError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError("not a JSON object with named fields")
    further = content.pop("extra", None)
    cells = _texts(content)
    if isinstance(further, dict):
        cells = {**_texts(further), **cells}
    return metadata_of(cells, notes)


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    """Make text of the values; nested objects are no description and are left out."""
    texts = {}
    for key, value in fields.items():
        if isinstance(value, list):
            texts[key.casefold()] = "; ".join(str(v) for v in value if isinstance(v, str | int))
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            texts[key.casefold()] = str(value)
    return texts


class FolderManifests:
    """The ``manifest.csv`` files of a scanned tree, read when first asked for.

    Each describes the files below its own folder; where several do, the nearest wins field by
    field.

    Parameters
    ----------
    root : str
        The scanned folder, or its address: manifests above it are not looked for.
    is_there : callable
        Asked for each file that would be a manifest.

    Attributes
    ----------
    warnings : list of str
        Broken manifests and rows, each once. They never stop a run.
    """

    def __init__(self, root: str, is_there: IsThere = is_on_disk) -> None:
        self._root = root
        self._is_there = is_there
        self._folders: dict[PurePosixPath, ByPath[Description]] = {}
        self._unread: set[PurePosixPath] = set()
        self.warnings: list[str] = []

    def for_file(self, relative_path: str) -> Description | None:
        """Give what the manifests say of a file, or None if they are silent on it."""
        path = PurePosixPath(relative_path)
        found = [
            metadata
            for folder in path.parents
            if (metadata := self._folder(folder).get(str(path.relative_to(folder)))) is not None
        ]
        return merge(*found) if found else None

    def are_read(self, relative_path: str) -> bool:
        """Tell whether all could be read that may say something of a file `for_file` was asked."""
        folders = PurePosixPath(relative_path).parents
        return not self._unread or self._unread.isdisjoint(folders)

    def _folder(self, folder: PurePosixPath) -> ByPath[Description]:
        if folder not in self._folders:
            path = (folder / FOLDER_MANIFEST).as_posix()
            entries: dict[str, Description] = {}
            try:
                entries = self._load(file_at(self._root, path))
            except ManifestUnread as error:
                self._unread.add(folder)
                self.warnings.append(f"{error}; {STAYS}")
            self._folders[folder] = ByPath(entries)
        return self._folders[folder]

    def _load(self, path: AnyFile) -> dict[str, Description]:
        if not self._is_there(path):
            return {}
        warnings: list[str] = []
        try:
            entries = list(_entries(path, warnings, strict=False))
        except ManifestUnread:
            raise
        except ManifestError as error:
            self.warnings.append(str(error))
            return {}
        self.warnings.extend(warnings)
        return {entry.path: entry.metadata for entry in entries}

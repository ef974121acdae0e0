"""What an evaluation takes for the truth: a CSV that says what is heard in which clip."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.manifest import check_path, table_rows
from indexer.metadata import split_tags
from search.errors import QueryError

LABEL_COLUMN = "label"
SOURCE_COLUMN = "freesound_id"
_CAPTION_COLUMN = re.compile(r"captions?(_?\d+)?")
_VALUES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, and what is known to be heard in it.

    Attributes
    ----------
    path : Path
        Where it is.
    labels : tuple of str
        Its classes; empty if it has none, and is there only to be searched through.
    captions : tuple of str
        Sentences that describe it.
    source : str
        The recording that it was cut from; clips of one source are not to find each other.
    is_chosen : bool
        Whether it is among the clips that are measured.
    """

    path: Path
    labels: tuple[str, ...]
    captions: tuple[str, ...]
    source: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """A manifest, read for an evaluation.

    Attributes
    ----------
    manifest : str
        Its path as it was given.
    clips : tuple of Clip
        In the order of the manifest.
    where : tuple of (str, str)
        Columns and values by which the measured clips were chosen; all of them if empty.
    source_column : str or None
        The column that sources were read from; None if there is none, and each clip is its own.
    """

    manifest: str
    clips: tuple[Clip, ...]
    where: tuple[tuple[str, str], ...] = ()
    source_column: str | None = None


@dataclass(slots=True)
class _Gathered:
    """The rows of one path."""

    line: int
    kept: dict[str, str]
    labels: dict[str, None] = field(default_factory=dict)
    captions: dict[str, None] = field(default_factory=dict)


def read_ground_truth(
    manifest: Path,
    *,
    root: Path | None = None,
    where: Sequence[tuple[str, str]] = (),
    label_column: str | None = None,
    source_column: str | None = None,
) -> GroundTruth:
    """Read what is heard in the clips of a manifest.

    Parameters
    ----------
    manifest : Path
        A CSV file with the column ``path`` and labels, captions or both (``caption``,
        ``caption_1`` ...). A path may have several rows: they are taken together.
    root : Path, optional
        The folder of the clips; that of the manifest if not given.
    where : sequence of (column, value)
        Measured are the clips that have one of the values in each column that is named.
    label_column : str, optional
        By default ``label``, if there is one.
    source_column : str, optional
        By default ``freesound_id``, if there is one.

    Raises
    ------
    ManifestError
        If the file cannot be read, or breaks the format of manifests.
    QueryError
        If a column or a value is not there, or there is nothing to measure.
    """
    rows = list(table_rows(manifest))
    if not rows:
        raise QueryError(f"{manifest} lists no clip")
    columns = _Columns(manifest, rows[0][1], label_column, source_column, where)
    gathered: dict[str, _Gathered] = {}
    for line, cells in rows:
        columns.take(cells, line, gathered)
    folder = root if root is not None else manifest.parent
    clips = tuple(columns.clip(folder, path, found) for path, found in gathered.items())
    _check(manifest, clips, where, rows)
    return GroundTruth(
        str(manifest), clips, tuple((c.casefold(), v) for c, v in where), columns.source
    )


class _Columns:
    """Which columns of a table mean what."""

    def __init__(
        self,
        manifest: Path,
        cells: Mapping[str, str],
        label: str | None,
        source: str | None,
        where: Sequence[tuple[str, str]],
    ) -> None:
        self._manifest = manifest
        self._names = list(cells)
        self.label = self._named(label, LABEL_COLUMN)
        self.source = self._named(source, SOURCE_COLUMN)
        self.captions = [name for name in self._names if _CAPTION_COLUMN.fullmatch(name)]
        self.where: dict[str, set[str]] = {}
        for column, value in where:
            self.where.setdefault(self._there(column), set()).add(value)
        if self.label is None and not self.captions:
            raise QueryError(
                f"{manifest} has neither a column 'label' nor 'caption' (it has: {self._list()}): "
                "name the one with the classes with --label-column"
            )

    def take(self, cells: Mapping[str, str], line: int, gathered: dict[str, _Gathered]) -> None:
        """Add a row to what is known of its path."""
        path = check_path(cells.get("path", ""), f"{self._manifest}, line {line}")
        names = [*self.where, *([self.source] if self.source else [])]
        kept = {name: cells.get(name, "") for name in names}
        found = gathered.setdefault(path, _Gathered(line, kept))
        if found.kept != kept:
            raise QueryError(
                f"{self._manifest}, line {line}: {path!r} is on line {found.line} already, with "
                f"another value of {' or '.join(names)}"
            )
        if self.label is not None:
            found.labels.update(dict.fromkeys(split_tags(cells.get(self.label, ""))))
        captions = (cells.get(name, "") for name in self.captions)
        found.captions.update(dict.fromkeys(caption for caption in captions if caption))

    def clip(self, folder: Path, path: str, found: _Gathered) -> Clip:
        """Make a clip of all rows of a path."""
        source = found.kept.get(self.source, "") if self.source else ""
        return Clip(
            folder / path,
            tuple(found.labels),
            tuple(found.captions),
            f"{self.source} {source}" if source else f"path {path}",
            all(found.kept[name] in values for name, values in self.where.items()),
        )

    def _named(self, name: str | None, default: str) -> str | None:
        if name is not None:
            return self._there(name)
        return default if default in self._names else None

    def _there(self, name: str) -> str:
        if name.casefold() not in self._names:
            raise QueryError(f"{self._manifest} has no column {name!r} (it has: {self._list()})")
        return name.casefold()

    def _list(self) -> str:
        return ", ".join(self._names)


def _check(
    manifest: Path,
    clips: Sequence[Clip],
    where: Sequence[tuple[str, str]],
    rows: Sequence[tuple[int, Mapping[str, str]]],
) -> None:
    chosen = [clip for clip in clips if clip.is_chosen]
    if not chosen:
        asked = ", ".join(f"{column}={value}" for column, value in where)
        column = where[0][0].casefold()
        there = sorted({cells.get(column, "") for _, cells in rows})
        more = ", ..." if len(there) > _VALUES_SHOWN else ""
        raise QueryError(
            f"no clip of {manifest} has {asked} "
            f"({column} is one of: {', '.join(there[:_VALUES_SHOWN])}{more})"
        )
    if not any(clip.labels or clip.captions for clip in chosen):
        raise QueryError(f"none of the {len(chosen)} clips of {manifest} has a label or a caption")
    missing = [clip.path for clip in clips if not clip.path.is_file()]
    if missing:
        raise QueryError(
            f"{len(missing)} of the {len(clips)} files of {manifest} are not there, the first is "
            f"{missing[0]}: name the folder that the paths are relative to with --root"
        )

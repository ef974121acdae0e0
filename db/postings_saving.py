"""How postings files come to agree with SQL, and go when they are no longer needed."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select

from db.catalogue import Catalogue
from db.errors import PostingsError
from db.index_folder import slug
from db.postings_file import SUFFIX, PostingsFile, open_postings_file, verify_postings_file
from db.postings_merge import LiveRun, groups_to_merge, merge_to_file
from db.schema import PostingsFileRow
from db.stored_fingerprints import SchemeState, StoredFingerprints, View, in_order
from db.storing import now

_GENERATION: Final = re.compile(rf"\.(\d+){re.escape(SUFFIX)}(?:\.tmp)?$")


def save_runs(stored: StoredFingerprints) -> View:
    """Write what no file holds, merge small files, put that in force, remove the others.

    A crash at any point leaves the old files in force, or the new ones. Who calls this keeps others
    from doing it here meanwhile (`IndexCache.saving`, or the lock of a catalogue's writer).

    Returns
    -------
    View
        What is in force now.

    Raises
    ------
    PostingsError
        If a file cannot be written. Then nothing has changed.
    """
    view = stored.load()
    saving = _Saving(stored, view)
    try:
        runs = saving.write()
    except BaseException:
        saving.undo()
        raise
    try:
        state = saving.put_in_force(runs)
    except PostingsError:  # after any other they may be in force all the same
        saving.undo()
        raise
    for path in stale_postings(stored.catalogue):
        # Where a reader keeps a file from being removed (Windows), a later run removes it.
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return replace(view, state=state, runs=runs)


def stale_postings(catalogue: Catalogue) -> list[Path]:
    """Return the postings files that are not in force: merged, half-written, of no scheme."""
    in_force = catalogue.postings_file_names()
    folder = catalogue.index_folder
    if not folder.is_dir():
        return []
    ours = (path for end in ("", ".tmp") for path in folder.glob(f"*{SUFFIX}{end}"))
    return sorted(path for path in ours if path.is_file() and path.name not in in_force)


def postings_faults(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Read all postings files in force; yield name and fault of each that is not whole."""
    query = (
        select(PostingsFileRow.name, PostingsFileRow.checksum)
        .where(PostingsFileRow.cache == catalogue.cache.id)
        .order_by(PostingsFileRow.name)
    )
    with catalogue.session() as session:
        files = session.execute(query).all()
    for name, checksum in files:
        try:
            verify_postings_file(catalogue.index_folder / name, checksum=checksum)
        except PostingsError as error:
            yield name, str(error)


def forget_postings_files(catalogue: Catalogue) -> None:
    """Remove all postings files of this machine: others look fingerprints up for it from now on."""
    with catalogue.transaction(of_contents=False) as session:
        session.execute(delete(PostingsFileRow).where(PostingsFileRow.cache == catalogue.cache.id))
    for path in stale_postings(catalogue):
        path.unlink(missing_ok=True)


class _Saving:
    """The files that one call of `save_runs` writes."""

    def __init__(self, stored: StoredFingerprints, view: View) -> None:
        self._stored = stored
        self._view = view
        self._folder = stored.catalogue.index_folder
        self._cache = stored.catalogue.cache.id
        self._written: dict[str, PostingsFile] = {}
        self._generation = 0

    def write(self) -> tuple[LiveRun, ...]:
        """Write all files that are needed; return the runs of those that shall be in force."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._generation = max(
                (_generation(path.name) for path in self._folder.iterdir()), default=0
            )
        except OSError as error:
            raise PostingsError(f"cannot make {self._folder}: {error.strerror}") from error
        runs = list(self._view.runs)
        while True:
            for part in self._stored.build(runs):
                runs.append(self._merge([part]))
            groups = groups_to_merge(in_order(runs))
            due = [run for group in groups if _is_due(group) for run in group]
            faulty = [run for run in due if not self._is_whole(run)]
            if not faulty:
                return tuple(self._merge(group) if _is_due(group) else group[0] for group in groups)
            runs = [run for run in runs if run not in faulty]

    def undo(self) -> None:
        """Remove the files that were written."""
        for file in self._written.values():
            with suppress(OSError):
                file.path.unlink(missing_ok=True)

    def put_in_force(self, runs: tuple[LiveRun, ...]) -> SchemeState:
        """Let these files be the ones that readers open."""
        state = self._view.state
        files = frozenset((run.name, run.checksum) for run in runs)
        new = [self._written[run.name] for run in runs if run.name in self._written]
        if files != state.files:
            gone = [name for name, _ in state.files - files]
            with self._stored.catalogue.transaction(of_contents=False) as session:
                # A repair puts files out of force that must not live on in merged ones.
                if self._stored.state(session).files != state.files:
                    raise PostingsError(
                        f"other postings files of {self._stored.scheme} were put in force while "
                        "these were written: `echoic repair --index-only` writes them again"
                    )
                session.execute(
                    delete(PostingsFileRow).where(
                        PostingsFileRow.name.in_(gone), PostingsFileRow.cache == self._cache
                    )
                )
                session.add_all(self._row(file) for file in new)
        return replace(state, files=files)

    def _merge(self, runs: list[LiveRun]) -> LiveRun:
        self._generation += 1
        name = f"{slug(self._stored.scheme)}.{self._generation:06d}{SUFFIX}"
        file = merge_to_file(self._folder / name, runs)
        self._written[name] = file
        run = open_postings_file(file.path, checksum=file.checksum)
        return self._stored.attach(run, name, file.checksum)

    def _is_whole(self, run: LiveRun) -> bool:
        """Tell whether a file can be merged; damage must not get into one that looks whole."""
        if run.name not in self._written:
            try:
                verify_postings_file(self._folder / run.name, checksum=run.checksum)
            except PostingsError as error:
                self._stored.note(f"{error}; made again from the database")
                return False
        return True

    def _row(self, file: PostingsFile) -> PostingsFileRow:
        return PostingsFileRow(
            name=file.path.name,
            cache=self._cache,
            scheme_id=self._stored.scheme_id,
            first_frame=file.layout.first_frame,
            end_frame=file.layout.end_frame,
            n_postings=file.n_postings,
            checksum=file.checksum,
            written_at=now(),
        )


def _is_due(group: list[LiveRun]) -> bool:
    return len(group) > 1 or group[0].is_worn


def _generation(name: str) -> int:
    match = _GENERATION.search(name)
    return int(match[1]) if match else 0

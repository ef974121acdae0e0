"""A run: plan, analyse in worker processes, commit in order of arrival, update the indexes."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from db.errors import (
    IndexFolderUnusable,
    PostingsError,
    TurnMissed,
    UnknownName,
    VectorIndexError,
)
from db.fingerprint_index import save_fingerprint_index
from db.fingerprint_location import cluster_of_fingerprints
from db.overview import has_unsaved_fingerprints, lags_behind
from db.records import Analysis, Failure
from db.segment_index import SegmentIndex
from db.storing import Outcome
from db.vector_location import FILES, vector_location
from db.writer import CatalogueWriter
from indexer.analysis import Analyser, Job, Report
from indexer.fingerprint import load_fingerprinter
from indexer.fingerprint_places import prepare_parts
from indexer.plan import SCAN_STAGE, WORKER_STAGE, KnownContents, Plan, Wanted
from indexer.second_chances import SecondChances, Verdict
from indexer.sources import Source, plan_source
from indexer.workers import WorkerDied, WorkerPool

if TYPE_CHECKING:
    from indexer.ray_pool import RayPool

_COMMIT_AFTER_S = 0.5
_COMMIT_AFTER_FILES = 64
# Readers keep in their memory what the server that searches vectors has not got yet.
_SEGMENTS_TO_SERVER = 50_000
_WORKERS_NEED = (
    "indexer.analysis",
    "indexer.encoders.runtime",
    "indexer.landmarks",
    "scipy.signal",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A source was compared with the catalogue."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Done:
    """A file is committed: it is in the catalogue, whatever happens next."""

    path: str
    outcome: Outcome
    size_bytes: int
    duration_s: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A file could not be indexed; the failure is committed."""

    failure: Failure
    size_bytes: int

    @property
    def was_analysed(self) -> bool:
        """Whether a worker had it; some cannot even be looked at."""
        return self.failure.stage != SCAN_STAGE


@dataclass(frozen=True, slots=True)
class Indexing:
    """All files are committed; the index of an encoder or a fingerprinter is being written."""

    name: str


Event = Planned | Done | Failed | Indexing
"""What a run tells while it goes on."""


@dataclass(frozen=True, slots=True)
class OnRay:
    """Files are analysed on the machines of a Ray cluster; this process commits.

    Attributes
    ----------
    address : str
        See `indexer.ray_cluster.connect`.
    n_workers : int or None
        How many files at once at most; by default as many as the machines have cores to spare.
    say : callable
        Told in a sentence of machines that are lost or cannot be used.
    """

    address: str
    n_workers: int | None
    say: Callable[[str], None]


class Stop(Protocol):
    """Asked between files whether to end the run; `threading.Event` will do."""

    def is_set(self) -> bool: ...


@dataclass(slots=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    outcomes : Counter of Outcome
        Files by what storing them did.
    failures : list of Failure
        Those of this run.
    failed_before : list of Failure
        Known bad files that have not changed and were not tried again.
    duration_s : float
        Audio that was analysed, in seconds.
    elapsed_s : float
    notes : list of str
        What else went wrong, though every file is committed.
    cpu_s : dict of str to float
        CPU time by stage, all workers together.
    stopped : bool
        Whether the run was ended before all was done.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)
    n_found: int = 0
    n_unchanged: int = 0
    n_ignored: int = 0
    n_missing: int = 0
    n_returned: int = 0
    n_redescribed: int = 0
    duration_s: float = 0.0
    elapsed_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False


def run(
    writer: CatalogueWriter,
    sources: Sequence[Source],
    wanted: Wanted,
    *,
    n_workers: int | OnRay,
    on_event: Callable[[Event], None],
    stop: Stop,
) -> Summary:
    """Index sources.

    Every result is committed soon after it arrives; a run that is killed at any moment has lost
    nothing but what was in flight, and the next one goes on from there.

    Parameters
    ----------
    n_workers
        Processes that analyse files, or where else that is to be done.
    on_event
        Told of each step, in the caller's thread.
    stop
        When it is set, no new file is begun; what is in flight is finished and committed.
    """
    return _Run(writer, wanted, n_workers, on_event, stop).over(sources)


class _Run:
    def __init__(
        self,
        writer: CatalogueWriter,
        wanted: Wanted,
        n_workers: int | OnRay,
        on_event: Callable[[Event], None],
        stop: Stop,
    ) -> None:
        self._writer = writer
        self._wanted = wanted
        self._n_workers = n_workers
        self._on_event = on_event
        self._stop = stop
        self._summary = Summary()
        self._warned: set[str] = set()
        self._again: deque[Job] = deque()
        self._chances = SecondChances(self._outlast)
        self._batch: list[tuple[Job, Report]] = []
        self._committed_at = time.monotonic()
        self._n_unsaved = 0
        self._indexes: dict[str, SegmentIndex] = {}
        self._saves_often = vector_location(writer.catalogue) != FILES
        self._save_after = _SEGMENTS_TO_SERVER if self._saves_often else math.inf
        self._contents = writer.catalogue.outlast(lambda: KnownContents(writer.catalogue, wanted))

    def over(self, sources: Sequence[Source]) -> Summary:
        began = time.monotonic()
        plans = [self._prepare(source) for source in sources]
        # Each file once, should two sources overlap.
        jobs = list({(j.collection_id, j.path): j for plan in plans for j in plan.jobs}.values())
        if jobs:
            pool = self._pool(jobs)
            try:
                self._analyse(pool, iter(jobs))
                while self._again and not self._stop.is_set():
                    waiting, self._again = self._again, deque()
                    self._analyse(pool, iter(waiting))
            finally:
                pool.close()
        for why in self._chances.lost.values():
            self._summary.notes.append(f"{why}; the next run goes on with what is left of it")
        self._save_indexes()
        self._indexes.clear()
        for fingerprinter in self._wanted.fingerprinters:
            self._save(partial(self._save_postings, fingerprinter))
        for plan in plans:
            # Some of the vanished have been found again elsewhere.
            catalogue = self._writer.catalogue
            known = catalogue.outlast(partial(catalogue.known_files, plan.collection.id)).values()
            vanished = set(plan.missing)
            self._summary.n_missing += sum(f.missing and f.id in vanished for f in known)
        self._summary.stopped = self._stop.is_set()
        self._summary.elapsed_s = time.monotonic() - began
        return self._summary

    def _prepare(self, source: Source) -> Plan:
        catalogue = self._writer.catalogue
        plan = catalogue.outlast(
            lambda: plan_source(catalogue, source, self._wanted, self._contents)
        )
        # Vanished files first: a file found again elsewhere is recognised by its content then.
        self._writer.mark_missing(plan.missing)
        self._writer.mark_present(plan.returned)
        self._writer.clear_failures(plan.collection.id, plan.gone_failures)
        for change in plan.redescriptions:
            self._writer.redescribe(change.file_id, change.description, change.sidecar_digest)
        summary = self._summary
        summary.n_found += plan.n_found
        summary.n_unchanged += plan.n_unchanged
        summary.n_ignored += plan.n_ignored
        summary.n_returned += len(plan.returned)
        summary.n_redescribed += len(plan.redescriptions)
        summary.failed_before += plan.failed_before
        # What is true of two collections is told once, though both are planned.
        plan.warnings = [one for one in plan.warnings if one not in self._warned]
        self._warned.update(plan.warnings)
        self._on_event(Planned(plan))
        self._writer.store(plan.unreadable)
        for failure in plan.unreadable:
            self._note_failure(failure, 0)
        return plan

    def _pool(self, jobs: Sequence[Job]) -> "WorkerPool[Job, Report] | RayPool":
        if isinstance(self._n_workers, int):
            n_workers = min(self._n_workers, len(jobs))
            return WorkerPool[Job, Report](n_workers, Analyser, preload=_WORKERS_NEED)
        from indexer.ray_pool import RayPool  # Ray is an extra

        wanted = self._n_workers
        return RayPool(
            wanted.address,
            self._wanted.features,
            jobs,
            at_most=wanted.n_workers,
            say=wanted.say,
            stop=self._stop,
        )

    def _analyse(self, pool: "WorkerPool[Job, Report] | RayPool", jobs: Iterator[Job]) -> None:
        for done in pool.run(self._until_stopped(jobs), tick_s=_COMMIT_AFTER_S):
            if done is None:
                self._commit()
                continue
            job, report = done
            if self._is_held_back(job, report):
                continue
            if isinstance(report, WorkerDied):
                failure = Failure(
                    job.collection_id,
                    job.path,
                    WORKER_STAGE,
                    f"the process that analysed it was {report.reason}",
                    job.state,
                )
                self._batch.append((job, Report(failure, {})))
            else:
                for stage, seconds in report.seconds.items():
                    self._summary.cpu_s[stage] = self._summary.cpu_s.get(stage, 0.0) + seconds
                self._batch.append((job, report))
                if isinstance(report.result, Analysis):
                    # A copy that comes next is committed after it, or with it.
                    self._contents.complete(job.state.size_bytes, report.result.content_hash)
            waited_s = time.monotonic() - self._committed_at
            if waited_s > _COMMIT_AFTER_S or len(self._batch) >= _COMMIT_AFTER_FILES:
                self._commit()
        self._commit()

    def _outlast(self, look: Callable[[], None]) -> None:
        """Ask for a storage, as long as it is waited for; what is done does not wait."""
        self._commit()
        self._writer.catalogue.outlast(look)

    def _is_held_back(self, job: Job, report: Report | WorkerDied) -> bool:
        """Tell whether a file is not at fault, so that nothing is recorded of it."""
        if isinstance(report, WorkerDied):
            # It may have been told to end as well: the next run takes its file.
            return self._stop.is_set()
        if not report.is_of_storage:
            self._chances.answered(job.root)
            return False
        verdict = self._chances.judge(job)
        if verdict is Verdict.AGAIN:
            self._again.append(job)
        return verdict is not Verdict.FAILED

    def _until_stopped(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            if self._stop.is_set():
                return
            if job.root in self._chances.lost:
                continue
            likely = self._contents.of_size(job.state.size_bytes)
            # Also anew for the content that it had: a copy may have been completed meanwhile.
            yield replace(job, lacking=self._contents.lacking({*job.lacking, *likely}))

    def _commit(self) -> None:
        batch, self._batch = self._batch, []
        if not batch:
            return
        cpu = time.process_time()
        outcomes = self._writer.store([report.result for _, report in batch])
        spent = time.process_time() - cpu
        self._summary.cpu_s["store"] = self._summary.cpu_s.get("store", 0.0) + spent
        self._committed_at = time.monotonic()
        self._n_unsaved += sum(
            len(vectors)
            for _, report in batch
            if isinstance(report.result, Analysis)
            for vectors in report.result.vectors.values()
        )
        if self._n_unsaved >= self._save_after:
            self._save_indexes()
        for (job, report), outcome in zip(batch, outcomes, strict=True):
            if isinstance(report.result, Failure):
                self._note_failure(report.result, job.state.size_bytes)
            elif outcome is Outcome.VANISHED:
                self._contents.drop(job.state.size_bytes)
                self._again.append(replace(job, lacking={}))
            else:
                self._note_done(job, report.result, outcome, report.audio_s)

    def _note_done(self, job: Job, result: Analysis, outcome: Outcome, audio_s: float) -> None:
        warnings = result.technical.warnings if result.technical else ()
        self._summary.outcomes[outcome] += 1
        self._summary.duration_s += audio_s
        self._on_event(Done(job.path, outcome, job.state.size_bytes, audio_s, warnings))

    def _note_failure(self, failure: Failure, size_bytes: int) -> None:
        self._summary.failures.append(failure)
        self._on_event(Failed(failure, size_bytes))

    def _save_indexes(self) -> None:
        self._n_unsaved = 0
        for encoder in self._wanted.encoders:
            self._save(partial(self._save_index, encoder))

    def _save(self, save: Callable[[], None]) -> None:
        """Save an index; that it cannot be ends no run, for all is committed that it would hold.

        What is wrong with the catalogue itself does.
        """
        try:
            self._writer.catalogue.outlast(save)
        except UnknownName as error:  # it has been forgotten meanwhile
            self._note(str(error))
        except (VectorIndexError, PostingsError, IndexFolderUnusable, TurnMissed) as error:
            self._note(f"{error}; searches go by the database until then")

    def _note(self, note: str) -> None:
        if note not in self._summary.notes:
            self._summary.notes.append(note)

    def _save_index(self, encoder: str) -> None:
        if not lags_behind(self._writer.catalogue, encoder):
            return
        index = self._indexes.get(encoder)
        if index is None:
            index = SegmentIndex.open(self._writer.catalogue, encoder)
        else:
            index.refresh()
        if self._saves_often:  # else all vectors would stay in memory to the end
            self._indexes[encoder] = index
        if not index.is_saved():
            self._on_event(Indexing(encoder))
            index.save(self._writer)

    def _save_postings(self, fingerprinter: str) -> None:
        catalogue = self._writer.catalogue
        if fingerprinter not in (held.name for held in catalogue.schemes()):
            return
        cluster = cluster_of_fingerprints(catalogue)
        if cluster is not None or has_unsaved_fingerprints(catalogue, fingerprinter):
            self._on_event(Indexing(fingerprinter))
        if cluster is not None:
            try:
                notes = prepare_parts(catalogue, cluster, fingerprinter)
            except PostingsError as error:
                notes = [f"{error}; the parts take in what is new when they can"]
        else:
            loaded = load_fingerprinter(fingerprinter)
            notes = save_fingerprint_index(
                self._writer, fingerprinter, loaded.keys, key_bits=loaded.key_bits
            )
            # Files that were at fault have been written anew; what SQL lacks is for people to know.
            notes = [note for note in notes if note.startswith("recording ")]
        for note in notes:
            self._note(note)

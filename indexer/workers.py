"""Work in processes of its own, so that no file can take the run down with it.

A decoder that crashes on a damaged file takes only its worker along. Which file it was is known
for certain, because a worker holds one job at a time; `concurrent.futures` would break the whole
pool and not tell.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from indexer.errors import IndexingError

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE_S = 600.0
"""A worker that tells nothing for so long is ended: a decoder spins, or a disk does not answer."""

_TELL_EVERY_S = 1.0
_TO_END_S = 5.0

# Never forked from this process, whose libraries have threads. On Linux from a server that has
# only the imports done, so that sixteen workers, or one after a crash, do not each import anew.
_CONTEXT: ForkServerContext | SpawnContext = (
    multiprocessing.get_context("forkserver")
    if sys.platform == "linux"
    else multiprocessing.get_context("spawn")
)

# One worker a core: more threads in each would only get in each other's way.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkersUnusable(IndexingError):
    """Worker processes end before they have done anything: the fault is not in the files."""


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker's process ended in the middle of a job.

    Attributes
    ----------
    reason : str
        How it ended, as ``"killed by signal 11 (SIGSEGV)"``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class _GoesOn:
    """What a worker sends while it gets on with its job."""


@dataclass(slots=True)
class _Worker(Generic[Job]):
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    silent_s: float = 0.0


class WorkerPool(Generic[Job, Result]):
    """A fixed number of processes that each do one job at a time.

    Parameters
    ----------
    n_workers : int
        How many, at least 1.
    prepare : callable
        Called once in each process; returns the function that does the jobs. It, the jobs and the
        results must be picklable.
    preload : sequence of str
        Modules that all workers need.
    patience_s : float
        A worker that neither ends its job nor calls `goes_on` for so long, in seconds, is killed.
    """

    def __init__(
        self,
        n_workers: int,
        prepare: Callable[[], Callable[[Job], Result]],
        *,
        preload: Sequence[str] = (),
        patience_s: float = PATIENCE_S,
    ) -> None:
        if n_workers < 1:
            raise ValueError(f"a pool needs at least one worker, not {n_workers}")
        self._n_workers = n_workers
        self._prepare = prepare
        self._patience_s = patience_s
        self._workers: list[_Worker[Job]] = []
        self._n_results = 0
        self._n_deaths = 0
        _CONTEXT.set_forkserver_preload(list(preload))

    def run(
        self, jobs: Iterator[Job], *, tick_s: float
    ) -> Iterator[tuple[Job, Result | WorkerDied] | None]:
        """Do jobs and yield each with its result, in the order in which they are done.

        When nothing is done for `tick_s` seconds, None is yielded, so that whoever takes the
        results can see to those they hold.

        A job is taken from the iterator only when a worker is free for it, so that what is in
        flight stays bounded and whoever owns the iterator can end it at any time.
        """
        self._hand_out(jobs)
        looked_at = time.monotonic()
        while busy := [worker for worker in self._workers if worker.job is not None]:
            ready = set(wait([worker.connection for worker in busy], timeout=tick_s))
            # Not the time in which our caller, or the whole machine, was asleep.
            waited_s = min(time.monotonic() - looked_at, 2 * tick_s)
            looked_at = time.monotonic()
            any_done = False
            for worker in busy:
                job = worker.job
                if worker.connection in ready:
                    result = self._collect(worker)
                else:
                    result = self._wait_for(worker, waited_s)
                if job is None or isinstance(result, _GoesOn):
                    continue
                any_done = True
                self._hand_out(jobs)  # before our caller takes its time
                yield job, result
            if not any_done:
                yield None

    def close(self) -> None:
        """End all workers, at once; what they have in hand is dropped."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()
        for worker in self._workers:
            _see_end(worker.process)
        self._workers.clear()

    def _hand_out(self, jobs: Iterator[Job]) -> None:
        for slot in range(self._n_workers):
            if slot < len(self._workers) and self._workers[slot].job is not None:
                continue
            job = next(jobs, None)
            if job is None:
                return
            if slot == len(self._workers):
                self._workers.append(self._start())
            worker = self._workers[slot]
            worker.job, worker.silent_s = job, 0.0
            try:
                worker.connection.send(job)
            except OSError:  # it died while idle; the job has not begun, so another may do it
                self._workers[slot] = worker = self._start()
                worker.job = job
                with suppress(OSError):  # if this one dies, too, reading its result will tell
                    worker.connection.send(job)

    def _collect(self, worker: _Worker[Job]) -> Result | WorkerDied | _GoesOn:
        worker.silent_s = 0.0
        try:
            result: Result | _GoesOn = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode
            self._n_deaths += 1
            if not self._n_results and self._n_deaths > 2 * self._n_workers:
                raise WorkersUnusable(
                    f"no worker process stays alive ({_describe_exit(code)}): what it printed "
                    "above says why; if a part of Echoic is missing, install it again"
                ) from None
            self._workers[self._workers.index(worker)] = self._start()
            return WorkerDied(_describe_exit(code))
        if isinstance(result, _GoesOn):
            return result
        worker.job = None
        self._n_results += 1
        return result

    def _wait_for(self, worker: _Worker[Job], waited_s: float) -> WorkerDied | _GoesOn:
        """Take note that nothing has come from a worker; end it if that is so for too long."""
        worker.silent_s += waited_s
        if worker.silent_s <= self._patience_s:
            return _GoesOn()
        worker.process.kill()
        worker.connection.close()
        _see_end(worker.process)
        self._workers[self._workers.index(worker)] = self._start()
        return WorkerDied(f"ended after {self._patience_s:g} s without progress")

    def _start(self) -> _Worker[Job]:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(theirs, self._prepare), daemon=True)
        with _environment(_ONE_THREAD):
            process.start()
        theirs.close()  # else the end of the process would not close the pipe
        return _Worker(process, ours)


def _see_end(process: BaseProcess) -> None:
    """Wait for a process that was killed, unless a disk that does not answer keeps it."""
    process.join(_TO_END_S)
    if process.is_alive():
        # Else Python would wait for it without end before it exits itself.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let processes that are started within inherit these variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_TELLER: Callable[[], None] | None = None
"""In a worker, what tells that its job gets on."""


def goes_on() -> None:
    """Tell that a job gets on, now and then, for who waits for it; a job that says so may be long.

    Outside of a worker it does nothing.
    """
    if _TELLER is not None:
        _TELLER()


class _Teller:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._told_at = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            self._connection.send(_GoesOn())


def _serve(connection: Connection, prepare: Callable[[], Callable[[Job], Result]]) -> None:
    global _TELLER
    _TELLER = _Teller(connection)
    # Ctrl-C reaches the whole group of processes, and so does the SIGTERM of who ends a service;
    # what is in flight is to be finished.
    for polite in (signal.SIGINT, signal.SIGTERM):
        signal.signal(polite, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    work = prepare()
    try:
        while True:
            connection.send(work(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the one who gave the jobs has closed the pool, or is gone


def _die_with_parent() -> None:
    """End this process when its parent is gone, however it went: SIGKILL leaves no time to tell."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"killed by signal {-code} ({signal.Signals(-code).name})"
        except ValueError:
            return f"killed by signal {-code}"
    return f"ended with exit code {code}"

"""Work on the machines of a Ray cluster, so that losing some of them costs time and no recording.

Ray starts, watches and ends the actors and carries jobs and results. What is done again, and how
often, is decided here: which file an actor had in hand is known for certain, because it holds one
at a time, and a file that is fatal must be told from a machine that is gone. Results are committed
by who takes them; a result that was lost on the way, or comes twice, does no harm.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from db.errors import StorageError
from db.patience import Stop
from db.records import Failure
from db.storage import file_at, file_state
from indexer.analysis import Features, Job, Report
from indexer.ray_cluster import (
    ClusterUnusable,
    Node,
    connect,
    disconnect,
    end_actor,
    last_line,
    nodes,
    ray,
    start_actor,
)
from indexer.workers import WorkerDied

_MOST_DEATHS = 2
_MOST_LOSSES = 4  # a file may be what brings machine after machine down
_MOST_FALSE_STARTS = 3
_MOST_WRONG = 3
_LOOK_EVERY_S = 5.0
_PATIENCE_S = 30.0


@dataclass(slots=True)
class _Task:
    """A job, and what became of it so far.

    Attributes
    ----------
    deaths : list of str
        Where the process that had it died; the machine went on.
    n_losses : int
        How often it went down with a machine, or its result did.
    failed_on : Node or None
        A machine that had it fail; the file is at fault if another has it fail, too.
    """

    job: Job
    deaths: list[str] = field(default_factory=list)
    n_losses: int = 0
    failed_on: Node | None = None


@dataclass(slots=True, eq=False)
class _Place:
    """An actor, and what it was asked for last."""

    node: Node
    actor: Any
    answer: Any  # nothing while it is idle
    task: _Task | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether it has a job or could have one; else it is still being prepared."""
        return self.task is not None or self.answer is None


class RayPool:
    """Actors on all machines of a cluster that each do one job at a time.

    Machines that join later are given work, too.

    Parameters
    ----------
    address : str
        See `indexer.ray_cluster.connect`.
    features : Features
        What will be wanted of the files.
    jobs : sequence of Job
        All that will be done: each machine has to show that it sees their folders.
    at_most : int or None
        The largest number of actors; by default as many as the machines have cores to spare.
    say : callable
        Told in a sentence of machines that are lost or cannot be used.
    stop : Stop
        When it is set, no new job is begun.

    Raises
    ------
    ClusterUnusable
        If there is no such cluster.
    """

    def __init__(
        self,
        address: str,
        features: Features,
        jobs: Sequence[Job],
        *,
        at_most: int | None,
        say: Callable[[str], None],
        stop: Stop,
    ) -> None:
        connect(address, at_most)
        self._features = features
        self._samples = list({job.collection_id: job for job in jobs}.values())
        self._at_most = min(len(jobs), at_most or len(jobs))
        self._say = say
        self._stop = stop
        self._places: list[_Place] = []
        self._waiting: deque[_Task] = deque()
        self._unusable: dict[str, str] = {}
        self._false_starts: dict[str, int] = {}
        self._n_wrong: dict[str, int] = {}  # failures in succession that were not the file's
        self._names: dict[str, str] = {}  # of the machines when last looked at
        self._looked_at = 0.0
        self._without_since: float | None = time.monotonic()
        self._had_some = False

    def run(
        self, jobs: Iterator[Job], *, tick_s: float
    ) -> Iterator[tuple[Job, Report | WorkerDied] | None]:
        """Do jobs and yield each with its result, in the order in which they are done.

        When nothing is done for `tick_s` seconds, None is yielded. A job is taken from the iterator
        only when an actor is free for it, or to see whether one is left when there is no actor.

        Raises
        ------
        ClusterUnusable
            If no machine can do the work.
        """
        while True:
            self._look_for_machines()
            is_exhausted = self._hand_out(jobs)
            if is_exhausted and not any(place.task for place in self._places):
                return
            answers = {place.answer: place for place in self._places if place.answer is not None}
            ready: list[Any] = []
            if answers:
                ready, _ = ray.wait(list(answers), timeout=tick_s)
            else:
                time.sleep(tick_s)
            if not ready:
                yield None
            for answer in ready:
                done = self._collect(answers[answer])
                if done is not None:
                    self._hand_out(jobs)  # before our caller takes its time
                    yield done

    def close(self) -> None:
        """End all actors, at once, and leave the cluster; what they have in hand is dropped."""
        for place in self._places:
            end_actor(place.actor)
        self._places.clear()
        disconnect()

    # -- machines --------------------------------------------------------------------------

    def _look_for_machines(self) -> None:
        """Fill the free places of all machines."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        found = nodes()
        alive = {node.id for node in found}
        for id_ in self._names.keys() - alive:
            self._say(f"The machine {self._names[id_]} is gone: its files are done elsewhere")
        self._names = {node.id: node.name for node in found}
        for place in [p for p in self._places if p.answer is None and p.node.id not in alive]:
            self._places.remove(place)
        usable = [node for node in found if node.id not in self._unusable]
        while len(self._places) < self._at_most:
            free = [node for node in usable if self._n_places(node) < node.n_places]
            if not free:
                break
            self._start(min(free, key=self._n_places))
        self._looked_at = time.monotonic()
        self._mind_standstill()

    def _n_places(self, node: Node) -> int:
        return sum(place.node.id == node.id for place in self._places)

    def _start(self, node: Node) -> None:
        actor = start_actor(node)
        # What has changed since the jobs were planned proves nothing.
        samples = [job for job in self._samples if _is_as_planned(job)]
        answer = actor.prepare.remote(version("echoic"), self._features, samples)
        self._places.append(_Place(node, actor, answer))

    def _mind_standstill(self) -> None:
        """Tell when no machine works, and give up if none ever can."""
        if any(place.is_at_work for place in self._places):
            self._without_since = None
            return
        if not self._places and not self._had_some:
            reasons = "; ".join(self._unusable.values()) or "none of them has a core to spare"
            raise ClusterUnusable(f"no machine of the Ray cluster can be used: {reasons}")
        if self._without_since is None:
            self._without_since = time.monotonic()
        elif time.monotonic() - self._without_since > _PATIENCE_S:
            self._without_since = float("inf")  # told once
            self._say("No machine of the Ray cluster is free: waiting for one. Ctrl-C ends")

    def _exclude(self, node: Node, reason: str) -> None:
        """Give a machine nothing more."""
        for place in [place for place in self._places if place.node.id == node.id]:
            self._drop(place)
        if node.id not in self._unusable:
            self._unusable[node.id] = f"{node.name}: {reason}"
            self._say(f"The machine {node.name} is not used: {reason}")
        self._looked_at = 0.0

    def _drop(self, place: _Place) -> None:
        if place in self._places:
            self._places.remove(place)
            end_actor(place.actor)
            if place.task is not None:
                self._waiting.appendleft(place.task)

    # -- jobs ------------------------------------------------------------------------------

    def _hand_out(self, jobs: Iterator[Job]) -> bool:
        """Give idle actors something to do; return whether nothing is left to begin."""
        is_exhausted = False
        for place in self._places:
            if place.answer is None:
                task = self._next(jobs, place.node)
                if task is None:
                    is_exhausted = True
                else:
                    place.task = task
                    place.answer = place.actor.analyse.remote(task.job)
        if not self._places and not self._waiting:
            job = next(jobs, None)
            if job is None:
                is_exhausted = True
            else:
                self._waiting.append(_Task(job))
        return self._stop.is_set() or (is_exhausted and not self._waiting)

    def _next(self, jobs: Iterator[Job], node: Node) -> _Task | None:
        if self._stop.is_set():
            return None
        for task in self._waiting:
            if task.failed_on != node or not self._is_there_another(node):
                self._waiting.remove(task)
                return task
        job = next(jobs, None)
        return None if job is None else _Task(job)

    def _collect(self, place: _Place) -> tuple[Job, Report | WorkerDied] | None:
        """Take an answer; return a job that is done with, if it was that."""
        if place not in self._places:
            return None  # its machine has just been excluded
        task, answer = place.task, place.answer
        place.task = place.answer = None
        try:
            result = ray.get(answer)
        except ray.exceptions.RayError as error:
            self._drop(place)
            if not _is_loss(error):
                self._looked_at = 0.0  # the machine is there: replace it at once
            if task is None:
                self._note_false_start(place.node, error)
                return None
            return self._note_trouble(task, place.node, error)
        if task is None:
            if result is not None:
                self._exclude(place.node, result)
            else:
                self._had_some = True
                self._false_starts.pop(place.node.id, None)
            return None
        if self._is_to_be_tried_elsewhere(task, place.node, result):
            self._waiting.append(task)
            return None
        return task.job, result

    def _is_to_be_tried_elsewhere(self, task: _Task, node: Node, report: Report) -> bool:
        """Tell whether it may be the machine that is at fault: a network drive is gone there."""
        failed = isinstance(report.result, Failure)
        before, task.failed_on = task.failed_on, node if failed else None
        if not failed:
            self._n_wrong.pop(node.id, None)
            if before is not None and before != node:
                self._n_wrong[before.id] = self._n_wrong.get(before.id, 0) + 1
                if self._n_wrong[before.id] >= _MOST_WRONG:
                    self._exclude(before, "files failed there that another machine can read")
        return failed and before is None and self._is_there_another(node)

    def _is_there_another(self, node: Node) -> bool:
        # One that is still getting ready counts: it can try the file when it is.
        return any(place.node.id != node.id for place in self._places)

    def _note_false_start(self, node: Node, error: Exception) -> None:
        if _is_loss(error):
            return  # the next look shows whether the machine is there
        n_before = self._false_starts.get(node.id, 0)
        self._false_starts[node.id] = n_before + 1
        died = isinstance(error, ray.exceptions.ActorDiedError) and not error._actor_init_failed
        if not died or n_before + 1 >= _MOST_FALSE_STARTS:
            self._exclude(node, f"{last_line(error)}; is this Echoic installed there?")

    def _note_trouble(
        self, task: _Task, node: Node, error: Exception
    ) -> tuple[Job, WorkerDied] | None:
        if _is_loss(error):
            task.n_losses += 1
        elif isinstance(error, ray.exceptions.OutOfMemoryError):
            task.deaths.append(f"{node.name}, whose memory was full")
        else:
            task.deaths.append(node.name)
        if len(task.deaths) >= _MOST_DEATHS:
            raised = isinstance(error, ray.exceptions.RayTaskError)
            how = f"ended by {last_line(error)}" if raised else "killed, or crashed"
            reason = f"{how}, on {' and again on '.join(task.deaths)}"
        elif task.n_losses >= _MOST_LOSSES:
            reason = f"lost with its machine {task.n_losses} times, last with {node.name}"
        else:
            self._waiting.appendleft(task)
            return None
        return task.job, WorkerDied(reason)


def _is_loss(error: Exception) -> bool:
    """Tell whether a machine or the way to it was lost, and not only a process on it."""
    errors = ray.exceptions
    lost = (
        errors.ActorUnavailableError,
        errors.ActorUnschedulableError,
        errors.NodeDiedError,
        errors.ObjectLostError,
    )
    if isinstance(error, lost):
        return True
    return isinstance(error, errors.ActorDiedError) and "node has died" in str(error)


def _is_as_planned(job: Job) -> bool:
    try:
        return file_state(file_at(job.root, job.path)) == job.state
    except (OSError, StorageError):
        return False

"""What a pool does when no machine is left; no cluster is needed. For others see tests/scaling."""

import threading
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="install echoic[ray] to test on it")

from ray.exceptions import RayTaskError

from db.records import FileState
from indexer import ray_pool
from indexer.analysis import Features, Job
from indexer.ray_cluster import Node
from indexer.ray_pool import RayPool, _Task
from indexer.workers import WorkerDied

FEATURES = Features(("echoic-mini/2",))
JOB = Job(1, str(Path("/tapes")), "a.wav", FileState(1, 1), wanted=FEATURES)
NODE = Node("1", "north", 1)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> RayPool:
    """A pool of a cluster without machines."""
    monkeypatch.setattr(ray_pool, "connect", lambda *_: None)
    return RayPool("", FEATURES, [JOB], at_most=None, say=print, stop=threading.Event())


def test_without_a_machine_a_pool_knows_whether_a_job_is_left(pool: RayPool) -> None:
    jobs = iter([JOB])
    assert not pool._hand_out(jobs)
    assert [task.job for task in pool._waiting] == [JOB]  # not lost: for the next machine
    assert not pool._hand_out(jobs)
    pool._waiting.clear()
    assert pool._hand_out(jobs)


def test_a_file_that_raises_what_nobody_expected_is_recorded_with_it(pool: RayPool) -> None:
    error = RayTaskError("analyse", "Traceback: ...\nValueError: no such chunk", ValueError("x"))
    task = _Task(JOB)
    assert pool._note_trouble(task, NODE, error.as_instanceof_cause()) is None  # tried again
    told = pool._note_trouble(task, NODE, error.as_instanceof_cause())
    reason = "ended by ValueError: no such chunk, on north and again on north"
    assert told == (JOB, WorkerDied(reason))

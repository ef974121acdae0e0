"""Worker processes: what becomes of jobs whose worker dies, and of workers whose parent dies."""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import psutil
import pytest

from db.records import Analysis
from db.storage import file_state
from indexer.analysis import Analyser, Features, Job
from indexer.workers import WorkerDied, WorkerPool, WorkersUnusable, goes_on
from tests.indexer.conftest import write_sound


def prepare() -> Callable[[str], str]:
    return work


def work(job: str) -> str:
    if job == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if job == "exit":
        os._exit(7)
    if job == "slow":
        time.sleep(0.5)
    if job == "still":
        time.sleep(7)
    if job == "hang":
        time.sleep(600)
    if job == "long":
        for _ in range(80):
            time.sleep(0.1)
            goes_on()
    return f"{job} done"


def done(pool: WorkerPool[str, str], jobs: list[str]) -> list[tuple[str, str | WorkerDied]]:
    return [result for result in pool.run(iter(jobs), tick_s=0.01) if result is not None]


@pytest.fixture
def pool() -> Iterator[WorkerPool[str, str]]:
    made = WorkerPool[str, str](2, prepare)
    yield made
    made.close()


def test_every_job_comes_back_with_its_result(pool: WorkerPool[str, str]) -> None:
    jobs = [str(number) for number in range(50)]
    results = dict(done(pool, jobs))
    assert results == {job: f"{job} done" for job in jobs}


def test_a_job_that_kills_its_worker_is_named_and_the_others_go_on(
    pool: WorkerPool[str, str],
) -> None:
    jobs = ["a", "crash", "b", "exit", "c", "d"]
    results = dict(done(pool, jobs))
    assert results["crash"] == WorkerDied("killed by signal 11 (SIGSEGV)")
    assert results["exit"] == WorkerDied("ended with exit code 7")
    assert {job: results[job] for job in "abcd"} == {job: f"{job} done" for job in "abcd"}


def test_a_job_that_gets_nowhere_is_given_up_and_a_long_one_is_not() -> None:
    pool = WorkerPool[str, str](2, prepare, patience_s=5)
    done(pool, ["started", "both"])
    results = dict(done(pool, ["hang", "long", "a"]))
    assert results["hang"] == WorkerDied("ended after 5 s without progress")
    assert (results["long"], results["a"]) == ("long done", "a done")
    pool.close()


def test_the_time_in_which_nobody_listened_is_no_lack_of_progress() -> None:
    pool = WorkerPool[str, str](2, prepare, patience_s=5)
    done(pool, ["started", "both"])
    results = pool.run(iter(["a", "still"]), tick_s=0.1)
    while next(results) is None:
        pass
    time.sleep(6)
    assert [result for result in results if result] == [("still", "still done")]
    pool.close()


def test_an_analysis_tells_that_it_gets_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "a.wav", length_s=25.0)
    told: list[float] = []
    monkeypatch.setattr("indexer.workers._TELLER", lambda: told.append(time.monotonic()))
    job = Job(1, str(tmp_path), "a.wav", file_state(path), wanted=Features(describe=True))
    report = Analyser()(job)
    assert isinstance(report.result, Analysis)
    assert len(told) >= 5  # for its content, three blocks of sound, and the sums of them


def test_a_worker_that_dies_between_jobs_costs_no_job(pool: WorkerPool[str, str]) -> None:
    assert dict(done(pool, ["a", "b"])) == {"a": "a done", "b": "b done"}
    processes = [worker.process for worker in pool._workers]
    assert len(processes) == 2
    for process in processes:
        process.kill()
        process.join(5)
    assert dict(done(pool, ["c", "d"])) == {"c": "c done", "d": "d done"}


def test_no_more_jobs_are_taken_than_there_are_workers(pool: WorkerPool[str, str]) -> None:
    taken = []

    def jobs() -> Iterator[str]:
        for number in range(10):
            taken.append(number)
            yield str(number)

    for n_done, _ in enumerate(pool.run(jobs(), tick_s=60.0), start=1):
        assert len(taken) <= n_done + 2


def test_workers_end_when_their_parent_is_killed() -> None:
    script = textwrap.dedent(
        """
        import os, time
        from indexer.workers import WorkerPool
        from tests.indexer.test_workers import prepare
        if __name__ == "__main__":
            pool = WorkerPool(2, prepare)
            list(pool.run(iter(["a", "b"]), tick_s=60.0))
            print("ready", flush=True)
            time.sleep(60)
        """
    )
    with Popen([sys.executable, "-c", script], stdout=PIPE, text=True) as parent:
        assert parent.stdout and parent.stdout.readline() == "ready\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        parent.kill()
        deadline = time.monotonic() + 20
        while any(child.is_running() for child in children) and time.monotonic() < deadline:
            children = [c for c in children if c.is_running() and c.status() != "zombie"]
            time.sleep(0.05)
    assert children == []


# Stopped by its tracer on its way out, as by a disk that does not answer: SIGKILL does not help.
_HOLD = """
import ctypes, sys
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, WHEN_IT_EXITS = 0x4206, 0x40
print(ptrace(SEIZE, int(sys.argv[1]), None, WHEN_IT_EXITS), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="holds a process as Linux can")
def test_a_worker_that_cannot_be_killed_does_not_keep_the_run_from_ending() -> None:
    script = textwrap.dedent(
        """
        from indexer import workers
        from tests.indexer.test_workers import prepare
        workers._TO_END_S = 0.5
        pool = workers.WorkerPool(1, prepare, patience_s=1.0)
        list(pool.run(iter(["a"]), tick_s=0.1))
        print(pool._workers[0].process.pid, flush=True)
        input()
        list(pool.run(iter(["hang"]), tick_s=0.1))
        pool.close()
        """
    )
    with Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, text=True) as parent:
        assert parent.stdin and parent.stdout
        pid = parent.stdout.readline().strip()
        with Popen([sys.executable, "-c", _HOLD, pid], stdin=PIPE, stdout=PIPE) as holder:
            assert holder.stdout
            is_held = holder.stdout.readline() == b"0\n"
            try:
                parent.stdin.write("go on\n")
                parent.stdin.flush()
                assert parent.wait(timeout=30) == 0
                assert psutil.pid_exists(int(pid)) or not is_held
            finally:
                holder.kill()
                parent.kill()
    if not is_held:
        pytest.skip("no process may be traced here")


def prepare_badly() -> Callable[[str], str]:
    os._exit(3)


def test_workers_that_all_die_before_doing_anything_end_the_run() -> None:
    pool = WorkerPool[str, str](2, prepare_badly)
    with pytest.raises(WorkersUnusable, match="exit code 3"):
        list(pool.run(iter([str(number) for number in range(100)]), tick_s=60.0))
    pool.close()


def test_whoever_waits_is_told_that_nothing_has_come_yet(pool: WorkerPool[str, str]) -> None:
    assert None in list(pool.run(iter(["slow"]), tick_s=0.05))


def test_a_pool_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        WorkerPool[str, str](0, prepare)

"""Indexing on a Ray cluster while processes, machines and the database go away."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.indexer.conftest import write_sound
from tests.postgres import server_for_tests
from tests.s3 import server_for_tests as storage_for_tests
from tests.scaling.conftest import N_SOUNDS, another_machine, echoic, raylet_of
from tests.scaling.contents import Contents, assert_every_recording_stands_once, contents
from tests.scaling.running import Run, held_up, wait_for

N_LONG = 6
DEADLY = "a-deadly.wav"


@pytest.fixture(scope="module")
def folders(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Short sounds, and some that take long enough for an accident, on a fast machine, too."""
    long = tmp_path_factory.mktemp("ray") / "long"
    for number, name in enumerate([DEADLY, *(f"b-{number}.wav" for number in range(N_LONG))]):
        write_sound(long / name, seed=500 + number, length_s=120.0, sr=44_100, channels=2)
    return [str(long), str(sounds / "north"), str(sounds / "south")]


@pytest.fixture(scope="module")
def alone(folders: list[str], tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What processes of this machine make of the files."""
    catalogue = str(tmp_path_factory.mktemp("alone") / "catalogue")
    echoic("index", *folders, "--catalogue", catalogue)
    return contents(catalogue)


def n_alive(cluster: Any) -> int:
    return sum(node["Alive"] for node in cluster.global_state.node_table())


def actors(*, below: psutil.Process | None = None) -> list[psutil.Process]:
    """Return the processes of actors, of all machines or of one."""
    found = psutil.process_iter() if below is None else below.children(recursive=True)
    named = []
    for process in found:
        with suppress(psutil.Error):
            if any("RemoteAnalyser" in word for word in process.cmdline()[:1]):
                named.append(process)
    return named


def reader_of(
    paths: list[Path],
    *,
    below: psutil.Process | None = None,
    other_than: psutil.Process | None = None,
) -> psutil.Process:
    """Wait until an actor has one of the files open."""
    wanted = {str(path) for path in paths}
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in actors(below=below):
            with suppress(psutil.Error):
                if process != other_than and wanted & {f.path for f in process.open_files()}:
                    return process
        time.sleep(0.02)
    raise AssertionError("no actor has read it")


def on_ray(cluster: Any, folders: list[str], location: str) -> Run:
    return Run(folders, location, "--ray", cluster.address, "--workers", "8")


def said_of_a_machine_not_used(run: Run) -> str:
    """Return the one reason that was told; the machine of an earlier test may be gone besides."""
    (reason,) = (line.split(" is not used: ")[1] for line in run.said if "is not used" in line)
    return reason


def test_every_recording_is_there_once_though_processes_and_a_machine_were_killed(
    cluster: Any, second: Any, folders: list[str], alone: Contents, tmp_path: Path
) -> None:
    catalogue = str(tmp_path / "catalogue")
    deadly, *long = sorted(Path(folders[0]).iterdir())
    run = on_ray(cluster, folders, catalogue)
    first = reader_of([deadly])
    first.kill()
    reader_of([deadly], other_than=first).kill()
    reader_of(long).kill()
    with held_up(partial(actors, below=raylet_of(cluster.head_node))):
        reader_of(long, below=raylet_of(second))
        cluster.remove_node(second, allow_graceful=False)
    assert run.finish() == 1, run.said
    (failed,) = (event for event in run.events if event["event"] == "failed")
    assert (failed["path"], failed["stage"]) == (DEADLY, "worker")
    assert "killed, or crashed, on " in str(failed["reason"])
    assert " and again on " in str(failed["reason"])
    all_but_one = {key: held for key, held in alone.items() if key[1] != DEADLY}
    assert contents(catalogue) == all_but_one
    # It was not the file's fault this time: the next run takes it.
    assert "1 to analyse" in echoic("index", *folders, "--catalogue", catalogue).stdout
    assert contents(catalogue) == alone
    assert_every_recording_stands_once(catalogue, N_SOUNDS + 1 + N_LONG + 1)


def test_a_cluster_waits_for_the_database_and_takes_in_a_machine_that_comes_later(
    cluster: Any, folders: list[str], alone: Contents, machine: Path
) -> None:
    of_the_head = partial(actors, below=raylet_of(cluster.head_node))
    with server_for_tests(durable=True) as server:
        url = server.new_database()
        run = on_ray(cluster, [*folders[1:], folders[0]], url)
        wait_for(partial(run.has_done, 1))
        with held_up(of_the_head):
            server.stop()
        wait_for(partial(run.has_waited, 1))
        with another_machine(cluster) as late:
            with held_up(of_the_head):  # something is left for the machine that comes late
                server.start()
                wait_for(lambda: bool(actors(below=raylet_of(late))))
            assert run.finish() == 0, run.said
        assert contents(url) == alone
        assert_every_recording_stands_once(url, N_SOUNDS + 1 + N_LONG + 1)


def test_a_machine_with_another_echoic_is_not_used(
    cluster: Any, folders: list[str], tmp_path: Path
) -> None:
    other = tmp_path / "other" / "echoic-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: echoic\nVersion: 99.0\n")
    with another_machine(cluster, num_cpus=3, env_vars={"PYTHONPATH": str(other.parent)}):
        run = on_ray(cluster, folders[1:2], str(tmp_path / "catalogue"))
        assert run.finish() == 0, run.said
    said = said_of_a_machine_not_used(run)
    assert said.startswith("it has Echoic 99.0, not 0.")


@pytest.fixture
def behind_a_mount(cluster: Any, folders: list[str]) -> Iterator[psutil.Process]:
    """Another machine, whose way to the files can be cut: it has its own table of mounts."""
    start = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--num-cpus=2"]
    command = ["unshare", "--mount", *start, f"--address={cluster.address}"]
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("mounting takes the rights of root")
    n_before = n_alive(cluster)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        try:
            wait_for(lambda: n_alive(cluster) > n_before, 60.0)
            children = psutil.Process(started.pid).children(recursive=True)
            yield next(process for process in children if process.name() == "raylet")
        finally:
            started.terminate()


def cut_off(machine: psutil.Process, folder: str) -> None:
    """Let a machine see an empty folder, as when a network drive is gone."""
    mount = ["mount", "-t", "tmpfs", "none", folder]
    subprocess.run(["nsenter", f"--mount=/proc/{machine.pid}/ns/mnt", *mount], check=True)


def test_a_machine_that_does_not_see_the_files_is_not_used(
    cluster: Any, behind_a_mount: psutil.Process, folders: list[str], tmp_path: Path
) -> None:
    cut_off(behind_a_mount, folders[1])
    run = on_ray(cluster, folders[1:2], str(tmp_path / "catalogue"))
    assert run.finish() == 0, run.said
    said = said_of_a_machine_not_used(run)
    assert "No such file or directory; every machine has to have" in said


def test_files_that_a_machine_cannot_read_any_more_are_done_elsewhere(
    cluster: Any,
    behind_a_mount: psutil.Process,
    folders: list[str],
    alone: Contents,
    tmp_path: Path,
) -> None:
    catalogue = str(tmp_path / "catalogue")
    run = on_ray(cluster, folders, catalogue)
    reader_of(sorted(Path(folders[0]).iterdir()), below=behind_a_mount)
    for folder in folders:
        cut_off(behind_a_mount, folder)
    assert run.finish() == 0, (run.said, run.events)
    said = said_of_a_machine_not_used(run)
    assert said == "files failed there that another machine can read."
    assert contents(catalogue) == alone


@pytest.mark.usefixtures("second")
def test_files_in_object_storage_are_read_by_the_machines_that_have_its_credentials(
    cluster: Any, folders: list[str], alone: Contents, tmp_path: Path
) -> None:
    catalogue = str(tmp_path / "catalogue")
    with (
        storage_for_tests(Path(folders[1]).parent) as storage,
        another_machine(cluster, env_vars=storage.environment),
    ):
        run = on_ray(cluster, ["s3://north"], catalogue)
        assert run.finish() == 0, (run.said, run.events)
    said = [line for line in run.said if "is not used" in line]
    assert len(said) == 2  # the head and the second, which were started before
    assert all("every machine needs the way to that storage" in line for line in said), said
    assert contents(catalogue) == {key: held for key, held in alone.items() if key[0] == "north"}


def test_a_polite_kill_ends_the_run_after_the_files_in_hand(
    cluster: Any, folders: list[str], tmp_path: Path
) -> None:
    run = on_ray(cluster, [*folders[1:], folders[0]], str(tmp_path / "catalogue"))
    wait_for(partial(run.has_done, 1))
    run.process.terminate()
    assert run.finish() == 130
    assert run.events[-1]["stopped"] is True
    assert actors(below=raylet_of(cluster.head_node)) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("nonsense", "is no address of a Ray cluster"),
        ("ray://host:10001", "is no address of a Ray cluster"),
        ("127.0.0.1:99999", "is no address of a Ray cluster"),
    ],
)
def test_where_no_cluster_is_the_run_says_so_at_once_even_with_nothing_to_do(
    tmp_path: Path, address: str, said: str
) -> None:
    catalogue, nothing = str(tmp_path / "catalogue"), tmp_path / "nothing"
    nothing.mkdir()
    ran = echoic("index", str(nothing), "--catalogue", catalogue, "--ray", address, check=False)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_a_port_at_which_something_else_answers_is_told_at_once() -> None:
    from indexer.ray_cluster import ClusterUnusable, assure_that_it_answers

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{other.server_port}"
        with pytest.raises(ClusterUnusable, match=f"answers at {address} is no Ray cluster"):
            assure_that_it_answers(address)
        other.shutdown()


def test_the_port_of_a_cluster_is_recognised(cluster: Any) -> None:
    from indexer.ray_cluster import assure_that_it_answers

    assert assure_that_it_answers(cluster.address) == cluster.address


def test_a_cluster_of_this_machine_alone_can_be_made_for_one_run(
    folders: list[str], alone: Contents, tmp_path: Path
) -> None:
    catalogue = str(tmp_path / "catalogue")
    arguments = ["--ray", "local", "--workers", "1", "--json", "--catalogue", catalogue]
    ran = echoic("index", folders[1], *arguments)
    assert all(json.loads(line) for line in ran.stdout.splitlines())  # Ray prints nothing
    assert contents(catalogue) == {key: held for key, held in alone.items() if key[0] == "north"}

"""A Ray cluster: connecting to it, its machines, and a place on one of them.

Ray is quiet here: it reports nothing to its makers, prints nothing of its own, and leaves signals
to the command.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from indexer.encoders.runtime import PROVIDER_VARIABLE
from indexer.errors import IndexingError


class ClusterUnusable(IndexingError):
    """There is no Ray cluster at an address, or its machines cannot do the work."""


os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import, as a cluster of our own reads it

try:
    import ray
    from ray._private import worker as _ray_worker
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise ClusterUnusable(
        f"a cluster needs Ray ({missing}): `pip install echoic[ray]`"
    ) from missing

LOCAL = "local"
"""The address of a cluster on this machine alone, made for one run."""

_ANSWERS_WITHIN_S = 5.0
_LAST_PORT = 65_535

# How a talk by HTTP/2 begins; the server begins with settings of its own, frames of type 4.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = b"\x04"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes
    ----------
    name : str
        Host name and address.
    n_places : int
        How many actors it is given at most. Each has a core; one core is left free, so that a
        process that died can be replaced and there is something for who commits.
    """

    id: str
    name: str
    n_places: int


def connect(address: str, n_workers: int | None = None) -> None:
    """Connect this process to a cluster, unless it is connected.

    Parameters
    ----------
    address : str
        ``"HOST:PORT"``; ``"auto"`` for the one that this machine belongs to; ``"local"`` for one
        that is made here and ends with this process.
    n_workers : int or None
        How many cores a local cluster is to use; by default all but one.

    Raises
    ------
    ClusterUnusable
        If there is none, or it has another version of Ray or Python.
    """
    if ray.is_initialized():
        return
    options: dict[str, Any] = {"include_dashboard": False, "num_cpus": n_workers and n_workers + 1}
    address = assure_that_it_answers(address)
    if address != LOCAL:
        options = {}
    with _our_own_signals():
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            ray.shutdown()
            raise ClusterUnusable(
                f"no Ray cluster can be used at {address} ({str(error).strip()}): it has to have "
                "the Ray and the Python of this machine, and if it asks for a token this machine "
                "needs RAY_AUTH_MODE=token and the file ~/.ray/auth_token of its head"
            ) from error
    # The switch of Ray's own debugger: what goes wrong would be printed between our JSON lines.
    _ray_worker._worker_logs_enabled = False


def assure_that_it_answers(address: str) -> str:
    """Fail at once where there is no cluster, and Ray would try for many minutes.

    Parameters
    ----------
    address : str
        As `connect` takes it.

    Returns
    -------
    str
        The address that is meant by it.

    Raises
    ------
    ClusterUnusable
        If it is no address, or nothing answers there.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    if address in (LOCAL, "auto"):
        return address  # to be made; or looked for among the processes of this machine
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address or not 0 < int(port) <= _LAST_PORT:
        raise ClusterUnusable(
            f"{address!r} is no address of a Ray cluster: give HOST:PORT, with the port of its "
            "`ray start --head`, 6379 by default; auto for the cluster that this machine belongs "
            "to; or local for one that is made here for one run"
        )
    try:
        speaks = _speaks_as_ray_does(host, int(port))
    except OSError as error:
        raise ClusterUnusable(
            f"no Ray cluster answers at {address} ({error}): look for a slip in it, or begin one "
            f"with `ray start --head --port={port}` on that machine"
        ) from error
    if not speaks:
        raise ClusterUnusable(
            f"what answers at {address} is no Ray cluster: its port is that of `ray start --head`, "
            "6379 by default, and not that of its dashboard"
        )
    return address


def _speaks_as_ray_does(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=_ANSWERS_WITHIN_S) as asked:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return True  # it answers nobody in the clear
        asked.sendall(_HELLO)
        answer = b""
        while len(answer) < 4 and (more := asked.recv(9)):
            answer += more
        return answer[3:4] == _SETTINGS


@contextmanager
def _our_own_signals() -> Iterator[None]:
    """Keep the handlers of signals; Ray sets one that would end a run in its middle."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_on_gpus() -> bool:
    """Tell whether encoders are to run on the GPUs of the cluster."""
    return os.environ.get(PROVIDER_VARIABLE, "").lower() == "cuda"


def nodes() -> list[Node]:
    """Return the machines that can be given work."""
    found = []
    for entry in ray.nodes():
        resources: Mapping[str, float] = entry["Resources"]
        n_cores = int(resources.get("CPU", 0))
        n_places = min(n_cores, max(1, n_cores - 1))
        if is_on_gpus():
            n_places = min(n_places, int(resources.get("GPU", 0)))
        if entry["Alive"] and n_places:
            name = f"{entry['NodeManagerHostname']} ({entry['NodeManagerAddress']})"
            found.append(Node(entry["NodeID"], name, n_places))
    return found


def start_actor(node: Node) -> Any:
    """Begin to start an analyser on a machine; Ray never moves it nor starts it again."""
    from indexer.ray_actor import RemoteAnalyser  # who only looks fingerprints up needs no encoders

    environment = dict.fromkeys(_THREADS, "1")
    if PROVIDER_VARIABLE in os.environ:
        environment[PROVIDER_VARIABLE] = os.environ[PROVIDER_VARIABLE]
    return (
        ray.remote(RemoteAnalyser)
        .options(
            num_cpus=1,
            num_gpus=1 if is_on_gpus() else 0,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            runtime_env={"env_vars": environment},
        )
        .remote()
    )


def end_actor(actor: Any) -> None:
    """End an analyser at once; what it has in hand is dropped."""
    with suppress(ray.exceptions.RayError):
        ray.kill(actor)


def last_line(error: Exception) -> str:
    """Return what was raised, without the way to it."""
    return next(reversed(str(error).strip().splitlines()), type(error).__name__)


def disconnect() -> None:
    """Leave the cluster; a local one ends."""
    ray.shutdown()


__all__ = [
    "LOCAL",
    "ClusterUnusable",
    "Node",
    "NodeAffinitySchedulingStrategy",
    "assure_that_it_answers",
    "connect",
    "disconnect",
    "end_actor",
    "is_on_gpus",
    "last_line",
    "nodes",
    "ray",
    "start_actor",
]

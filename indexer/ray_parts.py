"""The parts of a fingerprint index on the machines of a Ray cluster.

One actor keeps one part. Actors outlive the command that started them, and are found by their names
by all that ask later. Ray starts one that died again, on another machine if its own is gone; what
it needs is in SQL.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from db.catalogue import Catalogue
from db.errors import EchoicError, PostingsError
from db.fingerprint_location import ENVIRONMENT_VARIABLE, FILES, OnCluster
from db.key_parts import Part
from db.partition import Partition, PartSpec
from db.postings_merge import Expand
from indexer.ray_cluster import (
    ClusterUnusable,
    NodeAffinitySchedulingStrategy,
    connect,
    last_line,
    ray,
)

_NAMESPACE: Final = "echoic"
_AT_ONCE: Final = 8  # questions that a part answers at the same time
_PATIENCE_S: Final = 120.0
_AGAIN_AFTER_S: Final = 0.5
_WITHOUT: Final = f"{ENVIRONMENT_VARIABLE}={FILES} looks them up on this machine"


class RayParts:
    """All parts of one index; `db.partitioned_index.Partitions`.

    Those that are not there are started: as many as are said, else as there are already, else one
    on each machine.

    Raises
    ------
    PostingsError
        If there is no such cluster, or no machine in it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        cluster: OnCluster,
        scheme: str,
        expand: Expand,
        *,
        key_bits: int,
    ) -> None:
        _connect(cluster)
        self._stem = _stem(catalogue, scheme)
        self._spec = (catalogue.secret_location, catalogue.uuid, version("echoic"), scheme, expand)
        self._key_bits = key_bits
        self.n_parts = _count(cluster, self._stem)
        self._actors = [self._start(number) for number in range(self.n_parts)]

    def ask(self, method: str, arguments: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Call a method of some parts at once. See `Partitions.ask`.

        A part that was lost is waited for; to be made of the whole database, as by ``prepare``, it
        gets all the time it takes.
        """
        until = None if method == "prepare" else time.monotonic() + _PATIENCE_S
        answers: dict[int, Any] = {}
        while lacking := arguments.keys() - answers.keys():
            asked = {
                number: getattr(self._actors[number], method).remote(*arguments[number])
                for number in sorted(lacking)
            }
            for number, answer in asked.items():
                found = self._answer(number, answer, until)
                if found is not None:
                    answers[number] = found
            if len(answers) < len(arguments):
                time.sleep(_AGAIN_AFTER_S)
        return answers

    def _answer(self, number: int, answer: Any, until: float | None) -> Any:
        """Return what a part says; None if it was lost and is there again."""
        left_s = None if until is None else max(until - time.monotonic(), 0.0)
        try:
            return ray.get(answer, timeout=left_s)
        except ray.exceptions.GetTimeoutError as error:
            raise self._silent(number, "it may still be made of the database") from error
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, PostingsError):
                raise error.cause from None
            if isinstance(error.cause, EchoicError):
                # What ails the machine of a part does not ail this one.
                raise self._silent(number, str(error.cause)) from error
            raise self._silent(number, last_line(error)) from error
        except ray.exceptions.RayError as error:
            if until is not None and time.monotonic() > until:
                raise self._silent(number, last_line(error)) from error
            self._actors[number] = self._start(number)
            return None

    def _silent(self, number: int, why: str) -> PostingsError:
        return PostingsError(
            f"part {number + 1} of {self.n_parts} of the fingerprints gives no answer ({why}): try "
            f"again, or start all of them anew with `echoic repair`; {_WITHOUT}"
        )

    def _start(self, number: int) -> Any:
        """Return the actor of a part, which is started if there is none."""
        part = Part(number, self.n_parts)
        machines = _machines()
        where = NodeAffinitySchedulingStrategy(machines[number % len(machines)], soft=True)
        return (
            ray.remote(Partition)
            .options(
                name=_name(self._stem, number, self.n_parts),
                namespace=_NAMESPACE,
                get_if_exists=True,
                lifetime="detached",
                max_restarts=-1,
                max_task_retries=-1,
                max_concurrency=_AT_ONCE,
                num_cpus=0,
                scheduling_strategy=where,
            )
            .remote(PartSpec(*self._spec, self._key_bits, part))
        )


def part_faults(catalogue: Catalogue, cluster: OnCluster, schemes: Iterable[str]) -> list[str]:
    """Ask the parts of some schemes whether they hold what SQL holds; say what is wrong.

    None is started. Takes long: all fingerprints are read.

    Raises
    ------
    PostingsError
        If there is no such cluster, or no machine in it.
    """
    _connect(cluster)
    ours = f"{_name_of(catalogue)} "
    left = {name: actor for name in _names() if name.startswith(ours) and (actor := _actor(name))}
    faults = []
    for scheme in schemes:
        stem = _stem(catalogue, scheme)
        n_parts = _count(cluster, stem)
        there = {
            n: left.pop(name) for n in range(n_parts) if (name := _name(stem, n, n_parts)) in left
        }
        lacking = ", ".join(str(number + 1) for number in range(n_parts) if number not in there)
        if lacking:
            faults.append(
                f"of the {n_parts} parts of {scheme} on {cluster} these are not there: {lacking}; "
                "who looks something up has to wait until they are made again"
            )
        faults += [
            f"parts of {scheme} on {cluster}: {fault}" for fault in _faults_of(there.values())
        ]
    if left:
        faults.append(f"parts on {cluster} that belong to no index: {', '.join(sorted(left))}")
    return faults


def _faults_of(actors: Iterable[Any]) -> list[str]:
    # To compare takes as long as it takes; who is not even there after a while never will be.
    waiting = {actor.__ray_ready__.remote(): actor for actor in actors}
    ready, silent = [], []
    if waiting:
        ready, silent = ray.wait(list(waiting), num_returns=len(waiting), timeout=_PATIENCE_S)
    faults = [f"{len(silent)} of them do not answer"] if silent else []
    for answer in [waiting[one].faults.remote() for one in ready]:
        try:
            faults += ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            is_ours = isinstance(error.cause, EchoicError)
            faults.append(str(error.cause) if is_ours else last_line(error))
        except ray.exceptions.RayError as error:
            faults.append(last_line(error))
    return faults


def end_parts(
    catalogue: Catalogue, cluster: OnCluster, *, scheme: str | None = None, for_good: bool = False
) -> list[str]:
    """End the parts of a catalogue, however many there are and by whatever Echoic.

    Parameters
    ----------
    scheme
        End those of this one only.
    for_good
        Have them remove their files as well.

    Returns
    -------
    list of str
        What could not be removed, in words.

    Raises
    ------
    PostingsError
        If there is no such cluster.
    """
    _connect(cluster)
    notes = []
    stem = _name_of(catalogue) + ("" if scheme is None else f" {scheme}")
    for name in _names():
        actor = _actor(name) if name.startswith(f"{stem} ") else None
        if actor is None:
            continue
        if for_good:
            try:
                ray.get(actor.clear.remote(), timeout=_PATIENCE_S)
            except (AttributeError, ray.exceptions.RayError) as error:
                notes.append(f"the files of {name} are still on its machine ({last_line(error)})")
        ray.kill(actor)
    return notes


def _actor(name: str) -> Any:
    """Return a part; None if it has just ended."""
    try:
        return ray.get_actor(name, namespace=_NAMESPACE)
    except ValueError:
        return None


def one_part_a_machine(cluster: OnCluster) -> OnCluster:
    """Return a cluster with as many parts as it has machines now.

    Raises
    ------
    PostingsError
        If there is no such cluster, or no machine in it.
    """
    _connect(cluster)
    return OnCluster(cluster.address, len(_machines()))


def _connect(cluster: OnCluster) -> None:
    try:
        connect(cluster.address)
    except ClusterUnusable as error:
        raise PostingsError(f"fingerprints cannot be looked up: {error}. {_WITHOUT}") from error


def _machines() -> list[str]:
    """Return the machines of the cluster that give it a core."""
    found = sorted(
        node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")
    )
    if not found:
        raise PostingsError(
            "no machine of the Ray cluster may be used for fingerprints: start one with at least "
            f"--num-cpus=1. {_WITHOUT}"
        )
    return found


def _names() -> Iterator[str]:
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"] == _NAMESPACE:
            yield actor["name"]


def _count(cluster: OnCluster, stem: str) -> int:
    """Return how many parts a scheme is to have on a cluster."""
    names = (name for name in _names() if name.startswith(f"{stem} "))
    n_known = max((int(name.rpartition(" of ")[2]) for name in names), default=0)
    return cluster.n_parts or n_known or len(_machines())


def _name(stem: str, number: int, n_parts: int) -> str:
    return f"{stem} {number + 1} of {n_parts}"


def _stem(catalogue: Catalogue, scheme: str) -> str:
    """Return what the names of the parts of a scheme begin with; those of another Echoic do not."""
    return f"{_name_of(catalogue)} {scheme} {version('echoic')}"


def _name_of(catalogue: Catalogue) -> str:
    """Return what the names of all its parts begin with; those of a copy elsewhere do not."""
    place = hashlib.sha256(_location(catalogue).encode()).hexdigest()[:8]
    return f"fingerprints {catalogue.uuid} {place}"


def _location(catalogue: Catalogue) -> str:
    location = catalogue.location
    return location if "://" in location else str(Path(location).expanduser().absolute())

"""Fingerprints in parts on a Ray cluster: the same answers as on one machine, come what may."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.errors import PostingsError
from db.fingerprint_location import ENVIRONMENT_VARIABLE, OnCluster
from search.duplicates import find_duplicates
from search.fingerprints import FingerprintEngine, Match
from tests.indexer.conftest import write_sound
from tests.postgres import GUEST_PASSWORD
from tests.scaling.conftest import N_PARTS, echoic, raylet_of, with_password
from tests.scaling.running import wait_for

SR = 8000


def processes(*, below: psutil.Process | None = None) -> list[psutil.Process]:
    """Return the processes of parts, of all machines or of one."""
    found = psutil.process_iter() if below is None else below.children(recursive=True)
    named = []
    for process in found:
        with suppress(psutil.Error):
            if any("ray::Partition" in word for word in process.cmdline()[:1]):
                named.append(process)
    return named


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a catalogue; some of its recordings begin as others do."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(24):
        write_sound(folder / "sounds" / f"{number:02}.wav", seed=number % 20, length_s=8 + number)
    echoic("index", str(folder / "sounds"), "--catalogue", str(folder / "catalogue"))
    return folder


def queries(archive: Path) -> list[NDArray[np.float32]]:
    """Excerpts as they are, in noise, at another speed, repeated, and what is not there."""
    import soundfile

    samples, sr = soundfile.read(archive / "sounds" / "07.wav", dtype="float32")
    times = np.arange(0, 10, 1 / SR)
    excerpt = np.interp(3 + times, np.arange(len(samples)) / sr, samples)
    fast = np.interp(3 + times * 1.012, np.arange(len(samples)) / sr, samples)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(len(times)) * np.abs(excerpt).mean()
    made = (excerpt, excerpt + 2 * noise, fast, np.tile(excerpt[: 2 * SR], 12), noise)
    return [one.astype(np.float32) for one in made]


def answers(
    catalogue: Catalogue, archive: Path, *, at_most: int | None = None
) -> list[list[Match]]:
    """Everything that is said of the queries, or of the first of them, to the last digit."""
    engine = FingerprintEngine(catalogue)
    return [
        engine.identify_samples(query, p_false=0.4, all_occurrences=every)
        for query in queries(archive)[:at_most]
        for every in (False, True)
    ]


@pytest.fixture
def on_ray(
    here: OnCluster, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., list[list[Match]]]]:
    """Asks the parts on the cluster."""
    from indexer.ray_parts import end_parts

    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(here))
    with Catalogue.open(archive / "catalogue") as catalogue:
        yield partial(answers, catalogue, archive)
        end_parts(catalogue, here)


@pytest.fixture(scope="module")
def alone(archive: Path) -> list[list[Match]]:
    """What this machine says by itself."""
    with Catalogue.open(archive / "catalogue") as catalogue:
        said = answers(catalogue, archive)
    # Noise is nobody's, and a loop of two seconds is taken for a beat.
    assert sum(map(bool, said)) >= 4
    return said


def divide(
    second: Any, archive: Path, here: OnCluster, on_ray: Callable[..., list[list[Match]]]
) -> None:
    """Start the parts, on two machines: to a new one Ray gives none, or all, for a moment."""
    from indexer.ray_parts import end_parts

    for _ in range(10):
        on_ray(at_most=1)
        if 0 < len(processes(below=raylet_of(second))) < N_PARTS:
            return
        with Catalogue.open(archive / "catalogue") as catalogue:
            end_parts(catalogue, here)
        time.sleep(1)
    pytest.fail("Ray does not divide the parts among the machines")


def test_parts_on_two_machines_answer_as_one_machine_does(
    second: Any,
    here: OnCluster,
    archive: Path,
    alone: list[list[Match]],
    on_ray: Callable[..., list[list[Match]]],
) -> None:
    divide(second, archive, here, on_ray)
    assert on_ray() == alone
    assert len(processes()) == N_PARTS
    assert 0 < len(processes(below=raylet_of(second))) < N_PARTS


def test_what_is_held_twice_is_the_same_in_parts(
    archive: Path, on_ray: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalogue.open(archive / "catalogue") as catalogue:
        in_parts = find_duplicates(catalogue)
        monkeypatch.delenv(ENVIRONMENT_VARIABLE)
        assert find_duplicates(catalogue) == in_parts
        assert len(in_parts.groups) + len(in_parts.excerpts) >= 4


def test_a_part_that_was_killed_is_made_again_of_its_files(
    archive: Path, alone: list[list[Match]], on_ray: Callable[..., list[list[Match]]]
) -> None:
    assert on_ray(at_most=2) == alone[:4]
    files = set((archive / "catalogue" / "index" / "parts").rglob("*.postings"))
    assert len(files) >= N_PARTS
    one, *others = processes()
    one.kill()
    assert on_ray(at_most=2) == alone[:4]
    for process in others:
        process.kill()
    assert on_ray(at_most=2) == alone[:4]
    assert set((archive / "catalogue" / "index" / "parts").rglob("*.postings")) == files


def test_parts_of_a_machine_that_is_gone_are_made_again_elsewhere(
    cluster: Any,
    second: Any,
    here: OnCluster,
    archive: Path,
    alone: list[list[Match]],
    on_ray: Callable[..., list[list[Match]]],
) -> None:
    divide(second, archive, here, on_ray)
    assert on_ray(at_most=2) == alone[:4]
    cluster.remove_node(second, allow_graceful=False)
    assert on_ray(at_most=2) == alone[:4]
    assert len(processes(below=raylet_of(cluster.head_node))) == N_PARTS


def test_where_no_cluster_is_a_query_says_what_to_do(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "ray:127.0.0.1:1")
    query = str(archive / "sounds" / "07.wav")
    ran = echoic("identify", query, "--catalogue", str(archive / "catalogue"), check=False)
    assert ran.returncode == 2
    assert "no Ray cluster answers at 127.0.0.1:1" in ran.stderr
    assert "ECHOIC_FINGERPRINTS=files" in ran.stderr


def test_a_part_that_does_not_answer_in_time_is_an_error(
    here: OnCluster, archive: Path, on_ray: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalogue.open(archive / "catalogue") as catalogue:
        engine = FingerprintEngine(catalogue)
        engine.identify_samples(queries(archive)[0])
        monkeypatch.setattr("indexer.ray_parts._PATIENCE_S", 2.0)
        stopped = processes()[0]
        stopped.suspend()
        try:
            with pytest.raises(PostingsError, match=r"of 3 of the fingerprints gives no answer"):
                engine.identify_samples(queries(archive)[0])
        finally:
            stopped.resume()


def paths_identified(query: str, catalogue: str) -> list[str]:
    said = json.loads(echoic("identify", query, "--json", "--catalogue", catalogue).stdout)
    return [match["path"] for match in said[0]["matches"]]


def test_a_catalogue_remembers_its_parts_and_commands_keep_them_in_step(
    cluster: Any, second: Any, sounds: Path, tmp_path: Path
) -> None:
    catalogue = str(tmp_path / "catalogue")
    place = f"ray:{cluster.address}"
    echoic("index", str(sounds / "north"), "--catalogue", catalogue)
    said = echoic("repair", "--fingerprints", place, "--catalogue", catalogue).stdout
    assert f"Looking fingerprints up at {place}?parts=2 from now on." in said
    folder = Path(catalogue) / "index"
    assert list(folder.glob("*.postings")) == []
    ran = echoic("index", str(sounds / "south"), "--catalogue", catalogue)
    assert "fingerprints" not in ran.stderr
    assert list(folder.glob("*.postings")) == []
    assert f"index on {place}?parts=2" in echoic("status", "--catalogue", catalogue).stdout
    query = str(sounds / "south" / "08.wav")
    assert paths_identified(query, catalogue) == [query]
    echoic("forget", query, "--yes", "--catalogue", catalogue)
    assert paths_identified(query, catalogue) == []
    assert "up to date" in echoic("repair", "--catalogue", catalogue).stdout
    assert "All is well" in echoic("check", "--catalogue", catalogue, check=False).stdout
    said = echoic("repair", "--fingerprints", "files", "--catalogue", catalogue).stdout
    assert f"Ended the parts on {place}?parts=2." in said
    wait_for(lambda: not processes())
    assert len(list(folder.glob("*.postings"))) == 1


def test_parts_open_a_catalogue_whose_password_is_in_the_url_and_write_it_nowhere(
    cluster: Any, here: OnCluster, guest: str, sounds: Path, machine: Path
) -> None:
    url = with_password(guest, GUEST_PASSWORD)
    place = f"ray:{here.address}?parts=2"
    query = str(sounds / "north" / "01.wav")
    echoic("index", str(sounds / "north"), "--catalogue", url)
    try:
        echoic("repair", "--fingerprints", place, "--catalogue", url)
        assert paths_identified(query, url) == [query]
        said = echoic("status", "--catalogue", url).stdout
        written = Path(cluster.head_node.get_session_dir_path()).rglob("*")
        files = [path for path in written if path.is_file()]
        assert any("worker" in path.name for path in files)
        assert [path for path in files if b"sesame" in path.read_bytes()] == []
        import ray

        named = repr(ray.util.list_named_actors(all_namespaces=True))
        assert "fingerprints" in named
        assert "sesame" not in named + said
    finally:
        echoic("repair", "--fingerprints", "files", "--catalogue", url)


def test_check_asks_the_parts_and_forget_ends_them(
    cluster: Any, second: Any, sounds: Path, tmp_path: Path
) -> None:
    catalogue = str(tmp_path / "catalogue")
    place = f"ray:{cluster.address}"
    echoic("index", str(sounds / "north"), "--catalogue", catalogue)
    echoic("repair", "--fingerprints", place, "--catalogue", catalogue)
    assert "All is well" in echoic("check", "--catalogue", catalogue).stdout
    parts = Path(catalogue) / "index" / "parts"
    file = next(parts.rglob("*.postings"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = echoic("check", "--catalogue", catalogue, check=False)
    assert said.returncode == 1
    assert file.name in said.stdout
    assert "run `echoic repair`" in said.stdout
    echoic("repair", "--catalogue", catalogue)
    assert "All is well" in echoic("check", "--catalogue", catalogue).stdout
    with Catalogue.open(catalogue) as opened:
        from indexer.ray_cluster import connect
        from indexer.ray_parts import end_parts

        connect(cluster.address)
        end_parts(opened, OnCluster(cluster.address, None))
    said = echoic("check", "--catalogue", catalogue, check=False)
    assert "these are not there: 1, 2" in said.stdout
    echoic("identify", str(sounds / "north" / "both.wav"), "--catalogue", catalogue)
    assert "All is well" in echoic("check", "--catalogue", catalogue).stdout
    scheme = "echoic-landmarks/3"
    ran = echoic("forget", "--fingerprinter", scheme, "--yes", "--catalogue", catalogue)
    assert "Note" not in ran.stderr
    wait_for(lambda: not processes())
    assert list(parts.iterdir()) == []
    assert "All is well" in echoic("check", "--catalogue", catalogue).stdout

"""A machine of a cluster shows that it can do the work before it is given any."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from db.storage import file_state
from indexer.analysis import Features, Job
from indexer.errors import IndexingError
from indexer.fingerprint import DEFAULT_FINGERPRINTER
from indexer.ray_actor import RemoteAnalyser
from tests.indexer.conftest import write_sound

HERE = version("echoic")
FEATURES = Features(("echoic-mini/2",), (DEFAULT_FINGERPRINTER,), describe=True)


def sample(root: Path) -> Job:
    path = write_sound(root / "a.wav")
    return Job(1, str(root), "a.wav", file_state(path), wanted=FEATURES)


def test_a_machine_that_has_all_that_is_needed_can_work(tmp_path: Path) -> None:
    job = sample(tmp_path)
    analyser = RemoteAnalyser()
    assert analyser.prepare(HERE, FEATURES, [job]) is None
    assert analyser.analyse(job).audio_s == 1.0


def test_a_machine_with_another_version_or_without_the_encoder_says_so(tmp_path: Path) -> None:
    analyser = RemoteAnalyser()
    assert f"it has Echoic {HERE}, not 99.0" in str(analyser.prepare("99.0", FEATURES, []))
    said = analyser.prepare(HERE, Features(("laion-clap/not-there",)), [])
    assert "there is no encoder 'laion-clap/not-there'" in str(said)


def test_a_machine_that_does_not_see_the_files_as_they_are_says_so(tmp_path: Path) -> None:
    job = sample(tmp_path)
    os.utime(tmp_path / "a.wav", (1, 1))
    assert "another size or time" in str(RemoteAnalyser().prepare(HERE, FEATURES, [job]))
    (tmp_path / "a.wav").unlink()
    assert "No such file" in str(RemoteAnalyser().prepare(HERE, FEATURES, [job]))


def test_who_asks_for_a_cluster_without_ray_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("indexer.ray_pool", "indexer.ray_cluster"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(IndexingError, match=r"pip install echoic\[ray\]"):
        import indexer.ray_pool  # noqa: F401

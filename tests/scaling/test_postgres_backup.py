"""What docs/scaling.md says of backups: pg_dump is enough, index files need none."""

from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.scaling.conftest import N_SOUNDS, echoic
from tests.scaling.contents import assert_every_recording_stands_once, contents

pytestmark = pytest.mark.timeout(900)  # minutes on a busy machine


def test_a_dump_that_is_restored_elsewhere_is_the_same_catalogue(
    url: str,
    postgres: PostgresServer,
    sounds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    echoic("index", str(sounds / "north"), "--catalogue", url)
    restored = postgres.new_database()
    dump = postgres.folder / "catalogue.dump"  # where the server's user may write
    postgres.client("pg_dump", "--format=custom", f"--file={dump}", url)
    postgres.client("pg_restore", "--no-owner", f"--dbname={restored}", str(dump))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another-machine"))
    assert contents(restored) == contents(url)
    assert_every_recording_stands_once(restored, N_SOUNDS // 2 + 1)
    assert (
        "Nothing in this archive matches"
        in echoic("search", "zither", "--catalogue", restored).stdout
    )
    found = echoic("search", '"01"', "--catalogue", restored).stdout
    assert "01.wav" in found
    # It goes on: what comes next is added, and numbers go on where they were.
    echoic("index", str(sounds / "south"), "--catalogue", restored)
    assert_every_recording_stands_once(restored, N_SOUNDS + 1)

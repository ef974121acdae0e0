"""Milvus Lite as a server of its own for tests, on loopback; it can be killed and started again."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_STARTING_S = 60.0


class MilvusServerForTests:
    """A process that keeps its data in a folder.

    Attributes
    ----------
    uri : str
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # It would listen on all addresses of the machine by itself.
        where = ["--host", "127.0.0.1", "--port", str(self._port)]
        where += ["--data-dir", str(self._folder / "data")]
        with (self._folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "milvus_lite", "server", *where]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _STARTING_S
        while not _answers(self._port):
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def stop(self, *, signal_number: int = signal.SIGKILL) -> None:
        """End it; by default as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait()
            self._process = None


@contextmanager
def server_for_tests(folder: Path) -> Iterator[MilvusServerForTests]:
    """Start a server; skip the test where Milvus Lite is not installed."""
    if importlib.util.find_spec("milvus_lite") is None or not importlib.util.find_spec("pymilvus"):
        # Where the tests must not be skipped, this variable is set.
        refuse = pytest.fail if os.environ.get("ECHOIC_REQUIRE_MILVUS") else pytest.skip
        refuse("install echoic[milvus] and milvus-lite to test on Milvus")
    server = MilvusServerForTests(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1.0)
        return asking.connect_ex(("127.0.0.1", port)) == 0

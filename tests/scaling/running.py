"""`echoic index` in a process of its own, and processes that are kept from getting on."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

import psutil

from indexer.pipeline import _COMMIT_AFTER_S


@contextmanager
def held_up(find: Callable[[], Iterable[psutil.Process]]) -> Iterator[None]:
    """Let processes do nothing for a time, so that no machine is too fast for a test.

    Those that `find` finds, and those that it finds later.
    """
    held: set[psutil.Process] = set()
    over = threading.Event()

    def hold() -> None:
        with suppress(psutil.Error):
            for process in set(find()) - held:
                held.add(process)
                with suppress(psutil.Error):
                    process.suspend()

    def go_on_holding() -> None:
        while not over.wait(0.05):
            hold()

    holding = threading.Thread(target=go_on_holding, daemon=True)
    try:
        hold()
        holding.start()
        yield
    finally:
        over.set()
        if holding.is_alive():
            holding.join()
        for process in held:
            with suppress(psutil.Error):
                process.resume()


def wait_for(met: Callable[[], bool], most_s: float = 120.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + most_s
    while not met():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


class Run:
    """``echoic index`` as it goes on.

    Attributes
    ----------
    started : list of Run
        Those of this test.
    """

    started: ClassVar["list[Run]"] = []

    def __init__(self, folders: list[str], url: str, *options: str) -> None:
        command = [sys.executable, "-m", "ui", "index", *folders, "--json", "--workers", "2"]
        self.process = subprocess.Popen(
            [*command, "--catalogue", url, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, object]] = []
        self.said: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.started.append(self)

    def _read_events(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line.strip())

    @property
    def n_done(self) -> int:
        """How many files are committed."""
        return sum(event["event"] == "done" for event in list(self.events))

    def has_done(self, n: int) -> bool:
        """Tell whether so many files are committed."""
        assert self.process.poll() is None, "it ended too early to prove anything"
        return self.n_done >= n

    def has_waited(self, n: int) -> bool:
        """Tell whether it has said so many times that it waits."""
        return sum(line.startswith("Waiting:") for line in list(self.said)) >= n

    def has_gone_on(self, n: int) -> bool:
        """Tell whether it has said so many times that the server is back."""
        return sum("answers again" in line for line in list(self.said)) >= n

    @contextmanager
    def analysing_held_up(self) -> Iterator[None]:
        """Keep its workers from what they do; what commits goes on.

        It lasts until all that was done is committed, and so long that the next file is committed
        alone: a fast machine analyses all of them before the commit after that.
        """
        with held_up(lambda: psutil.Process(self.process.pid).children(recursive=True)):
            yield
            n_done = -1
            while n_done < self.n_done:
                n_done = self.n_done
                time.sleep(2 * _COMMIT_AFTER_S)

    def finish(self) -> int:
        code = self.process.wait(timeout=240)
        for reader in self._readers:
            reader.join()
        return code

    @classmethod
    def kill_all(cls) -> None:
        """End what a test that failed has left: it would keep places of a cluster."""
        for run in cls.started:
            run.process.kill()
            run.process.wait()
        cls.started.clear()

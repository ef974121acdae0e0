"""Indexing from the page: a process of its own, so that neither can harm the other."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from db.errors import EchoicError
from db.location import ENVIRONMENT_VARIABLE, catalogue_location

_LINES_KEPT = 20
_FAILED = 2


class JobError(EchoicError):
    """A run cannot be started."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    doing : str
        In a sentence.
    n_done, n_all : int
        Files that were analysed, of those that have to be.
    failed : tuple of str
        The last files that could not be read, each with the reason.
    is_running : bool
    has_failed : bool
        It has ended, and not as it should.
    said : str
        What a run that went wrong said last.
    """

    doing: str = "Looking at files"
    n_done: int = 0
    n_all: int = 0
    n_failed: int = 0
    failed: tuple[str, ...] = ()
    is_running: bool = True
    has_failed: bool = False
    said: str = ""

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.n_done / self.n_all) if self.n_all else 0.0


@dataclass(slots=True)
class Job:
    """A run of ``echoic index``, and of what has to come before it.

    Attributes
    ----------
    commands : sequence of (str, sequence of str)
        What to say meanwhile, and the words after ``echoic``.
    """

    commands: Sequence[tuple[str, Sequence[str]]]
    progress: Progress = field(default_factory=Progress)
    _process: subprocess.Popen[str] | None = None
    _is_stopped: bool = False

    def run(self) -> None:
        """Run to the end."""
        code = _FAILED
        try:
            code = self._run_all()
        except OSError as error:
            self.progress = replace(self.progress, said=f"It could not be started: {error}")
        finally:  # whatever happens, the next run must be possible
            self._end(code)

    def _run_all(self) -> int:
        code = 0
        for doing, command in self.commands:
            if code == 0 and not self._is_stopped:
                self.progress = replace(self.progress, doing=doing)
                code = self._run(command)
        return code

    def _end(self, code: int) -> None:
        doing = "Stopped. What is done is kept." if self._is_stopped else "Done."
        # 1: some files failed, and are listed.
        has_failed = not self._is_stopped and code not in (0, 1)
        self.progress = replace(self.progress, is_running=False, has_failed=has_failed, doing=doing)

    def stop(self) -> None:
        """Let it end after the files in hand."""
        self._is_stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def _run(self, command: Sequence[str]) -> int:
        with subprocess.Popen(
            [sys.executable, "-m", "ui", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, ENVIRONMENT_VARIABLE: catalogue_location()},
        ) as self._process:
            said: list[str] = []
            for line in self._process.stdout or ():
                self._take(line, said)
        return self._process.returncode

    def _take(self, line: str, said: list[str]) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self.progress = _after(self.progress, event)
            return
        said.append(line.rstrip())
        del said[:-_LINES_KEPT]
        self.progress = replace(self.progress, said="\n".join(said).strip())


def _after(progress: Progress, event: dict[str, Any]) -> Progress:
    """Return the progress after a line that ``echoic index --json`` has printed."""
    kind = event.get("event")
    if kind == "planned":
        n_all = progress.n_all + event["to_do"]
        return replace(progress, n_all=n_all, doing=f"Listening to the sounds in {event['root']}")
    if kind == "done":
        return replace(progress, n_done=progress.n_done + 1)
    if kind == "failed":
        failed = (*progress.failed, f"{event['path']}: {event['reason']}")[-_LINES_KEPT:]
        n_failed = progress.n_failed + 1
        return replace(progress, n_done=progress.n_done + 1, n_failed=n_failed, failed=failed)
    if kind == "drawing":  # of `echoic map`
        return replace(progress, doing=event["doing"], n_done=event["n_done"], n_all=event["n_all"])
    if kind == "indexing":
        return replace(progress, doing="Writing the index")
    return progress


class Jobs:
    """The one run that may go on at a time.

    Parameters
    ----------
    busy : str
        What to say to those who ask for another.
    """

    def __init__(self, busy: str) -> None:
        self._busy = busy
        self._lock = threading.Lock()
        self.job: Job | None = None

    def start(self, commands: Sequence[tuple[str, Sequence[str]]]) -> Job:
        """Start a run.

        Raises
        ------
        JobError
            If one is going on.
        """
        with self._lock:
            if self.job is not None and self.job.progress.is_running:
                raise JobError(self._busy)
            self.job = Job(commands)
        threading.Thread(target=self.job.run, name="job", daemon=True).start()
        return self.job


jobs = Jobs("a folder is being indexed already: wait until it is done")
"""Of this server."""

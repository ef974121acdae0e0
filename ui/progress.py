"""What is shown while a run or a download goes on: a bar, plain lines, or JSON lines."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from ui.commands.common import count_text, duration_text, failure_texts, printable, size_text

if TYPE_CHECKING:
    from indexer.pipeline import Event, Summary

_PLAIN_LINE_EVERY_S = 10.0
_TELL_EVERY_S = 5.0
_REWRITE_EVERY_S = 0.2
_SHARE_TO_JUDGE_BY = 0.005  # of the bytes: the first file may be a small one that fails at once


class Display(Protocol):
    """Shows a run."""

    def event(self, event: "Event") -> None:
        """Take note of a step."""
        ...

    def finish(self, summary: "Summary", location: str) -> None:
        """Say what the run did."""
        ...


@contextmanager
def progress(*, as_json: bool) -> Iterator[Display]:
    """Choose the display that fits: JSON if asked for, a bar on a terminal, else plain lines."""
    if as_json:
        yield JsonDisplay()
    elif sys.stdout.isatty():
        with BarDisplay() as display:
            yield display
    else:
        yield PlainDisplay()


class JsonDisplay:
    """One JSON object a line; the key ``event`` says what it is."""

    def event(self, event: "Event") -> None:
        """Print a step."""
        from indexer.pipeline import Done, Failed, Planned

        if isinstance(event, Planned):
            plan = event.plan
            self._print(
                "planned",
                collection=plan.collection.name,
                root=plan.collection.root,
                found=plan.n_found,
                to_do=len(plan.jobs),
                unchanged=plan.n_unchanged,
                missing=len(plan.missing),
                warnings=plan.warnings,
            )
        elif isinstance(event, Done):
            self._print(
                "done",
                path=event.path,
                outcome=event.outcome.value,
                duration_s=round(event.duration_s, 3),
                warnings=event.warnings,
            )
        elif isinstance(event, Failed):
            failure = event.failure
            self._print("failed", path=failure.path, stage=failure.stage, reason=failure.reason)
        else:
            self._print("indexing", index=event.name)

    def finish(self, summary: "Summary", location: str) -> None:
        """Print the sums."""
        self._print(
            "finished",
            catalogue=location,
            found=summary.n_found,
            unchanged=summary.n_unchanged,
            missing=summary.n_missing,
            failed=len(summary.failures),
            failed_before=len(summary.failed_before),
            audio_s=round(summary.duration_s, 3),
            elapsed_s=round(summary.elapsed_s, 3),
            stopped=summary.stopped,
            outcomes={outcome.value: n for outcome, n in summary.outcomes.items()},
            notes=summary.notes,
            cpu_s={stage: round(seconds, 3) for stage, seconds in summary.cpu_s.items()},
        )

    @staticmethod
    def _print(event: str, **values: object) -> None:
        click.echo(json.dumps({"event": event, **values}, ensure_ascii=False))


class _Tally:
    """Counts what the displays for people show."""

    def __init__(self) -> None:
        self.n_jobs = 0
        self.n_done = 0
        self.n_failed = 0
        self.bytes_total = 0
        self.bytes_done = 0
        self.audio_s = 0.0
        self.began = time.monotonic()
        self._names: dict[int, str] = {}

    def take(self, event: "Event") -> str | None:
        """Count a step; return a line that people must see, if there is one."""
        from indexer.pipeline import Done, Failed, Indexing, Planned

        if isinstance(event, Planned):
            plan = event.plan
            self.n_jobs += len(plan.jobs)
            self.bytes_total += sum(job.state.size_bytes for job in plan.jobs)
            name = self._names[plan.collection.id] = plan.collection.name
            warnings = [f"Warning: {warning}" for warning in plan.warnings]
            found = f"{name}: {count_text(plan.n_found, 'audio file')} in {plan.collection.root}"
            return "\n".join([*warnings, f"{found}, {len(plan.jobs):,} to analyse"])
        if isinstance(event, Done):
            self.n_done += 1
            self.bytes_done += event.size_bytes
            self.audio_s += event.duration_s
            said = (printable(f"Warning: {event.path}: {w}") for w in event.warnings)
            return "\n".join(said) or None
        if isinstance(event, Failed):
            self.n_failed += 1
            self.n_done += event.was_analysed
            self.bytes_done += event.size_bytes
            failure = event.failure
            whose = f"{self._names[failure.collection_id]}: " if len(self._names) > 1 else ""
            return printable(f"Failed: {whose}{failure.path}: {failure.reason} ({failure.stage})")
        if isinstance(event, Indexing):
            return f"Writing the index of {event.name}"
        return None

    def line(self) -> str:
        """Say how far the run is."""
        elapsed_s = max(time.monotonic() - self.began, 1e-3)
        failed = f", {count_text(self.n_failed, 'failure')}" if self.n_failed else ""
        left = ""
        if self.bytes_total * _SHARE_TO_JUDGE_BY < self.bytes_done < self.bytes_total:
            # By bytes: how long a file plays is known only once it has been decoded.
            left_s = elapsed_s * (self.bytes_total / self.bytes_done - 1)
            left = f", {duration_text(left_s)} left"
        return (
            f"{self.n_done:,} of {count_text(self.n_jobs, 'file')}, "
            f"{duration_text(self.audio_s)} of audio, "
            f"{self.audio_s / elapsed_s:.0f} times real time{left}{failed}"
        )


class PlainDisplay:
    """A line now and then: for logs and pipes."""

    def __init__(self) -> None:
        self._tally = _Tally()
        self._spoke_at = time.monotonic()

    def event(self, event: "Event") -> None:
        """Print what must be seen, and now and then how far the run is."""
        line = self._tally.take(event)
        if line:
            click.echo(line)
        if time.monotonic() - self._spoke_at > _PLAIN_LINE_EVERY_S:
            self._spoke_at = time.monotonic()
            click.echo(self._tally.line())

    def finish(self, summary: "Summary", location: str) -> None:
        """Print the sums."""
        click.echo(summary_text(summary, location))


class BarDisplay:
    """A progress bar with the figures beside it, on a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._tally = _Tally()
        self._bar = Progress(BarColumn(bar_width=30), TextColumn("{task.description}"))
        self._task = self._bar.add_task("looking at files", total=None)

    def __enter__(self) -> "BarDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def event(self, event: "Event") -> None:
        """Move the bar; lines that must be seen scroll past above it."""
        line = self._tally.take(event)
        if line:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._bar.update(
            self._task,
            total=max(self._tally.n_jobs, 1),
            completed=self._tally.n_done if self._tally.n_jobs else 1,
            description=self._tally.line(),
        )

    def finish(self, summary: "Summary", location: str) -> None:
        """Put the sums in the place of the bar."""
        self._bar.stop()
        click.echo(summary_text(summary, location))


def summary_text(summary: "Summary", location: str) -> str:
    """Say in a few lines what a run did, and what to do about what it could not do."""
    outcomes = {outcome.value: n for outcome, n in summary.outcomes.items()}
    speed = summary.duration_s / max(summary.elapsed_s, 1e-3)
    counts = [
        (outcomes.get("added", 0), "new"),
        (outcomes.get("replaced", 0), "changed"),
        (outcomes.get("moved", 0), "moved"),
        (outcomes.get("linked", 0), "with known content"),
        (outcomes.get("updated", 0), "updated"),
        (summary.n_redescribed, "with new descriptions"),
        (summary.n_unchanged, "unchanged"),
        (summary.n_returned, "back again"),
        (summary.n_missing, "now missing"),
    ]
    n_listed = sum(failure.state is not None for failure in summary.failures)
    counts += [(n_listed + len(summary.failed_before), "not indexed")]
    said = ", ".join(f"{n:,} {what}" for n, what in counts if n) or "nothing to do"
    lines = [f"{count_text(summary.n_found, 'audio file')}: {said}."]
    if not summary.n_found:
        lines = ["No audio files found."]
    if summary.duration_s:
        lines.append(
            f"Analysed {duration_text(summary.duration_s)} of audio in "
            f"{duration_text(summary.elapsed_s)} ({speed:.0f} times real time)."
        )
    if summary.n_ignored:
        lines.append(f"{count_text(summary.n_ignored, 'other file')} passed over.")
    lines += _failure_lines(summary)
    lines += [f"Note: {note}." for note in summary.notes]
    if summary.stopped:
        lines.append("Stopped early; run the same command again to go on.")
    lines.append(f"Catalogue: {location}")
    return "\n".join(lines)


def _failure_lines(summary: "Summary") -> list[str]:
    lines = []
    if summary.failures:
        lines += [f"{text}, as told above." for text in failure_texts(summary.failures)]
    if summary.failed_before:
        n_before = count_text(len(summary.failed_before), "file")
        lines.append(f"{n_before} failed before, unchanged since: not tried again.")
    if lines:
        lines.append("`echoic failures` lists them, `echoic failures --retry` tries again.")
    return lines


class Teller:
    """Says now and then how far a download is; on a terminal in one line that is written anew."""

    def __init__(self) -> None:
        self._told_at = 0.0
        self._on_terminal = sys.stderr.isatty()
        self._every_s = _REWRITE_EVERY_S if self._on_terminal else _TELL_EVERY_S

    def __enter__(self) -> "Teller":
        return self

    def __exit__(self, *_: object) -> None:
        if self._on_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take note of what is being done, the bytes done and, if known, the bytes in all."""
        now = time.monotonic()
        if now - self._told_at < self._every_s and done != total:
            return
        self._told_at = now
        share = f" {100 * done // total} %" if total else f" {size_text(done)}" if done else ""
        if self._on_terminal:
            click.echo(f"\r\x1b[K{what}:{share}", nl=False, err=True)
        else:
            click.echo(f"{what}:{share}", err=True)

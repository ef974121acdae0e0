"""How ``echoic identify`` shows what it found: lines for people, JSON, CSV, a cue sheet."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.commands.common import (
    count_text,
    exact_span_text,
    print_json,
    print_notes,
    printable,
)

if TYPE_CHECKING:
    from db.records import RecordingInfo
    from search.fingerprints import Match

STANDARD_INPUT = "-"
MOST_CHANGE = 10.0
USUAL_P = 1e-3


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and the recording in the archive that is the very file asked about.

    `too_little` says why nothing could be found, if the query itself is to blame; `unread`, why
    recordings that may match could not be read; `is_long`, that the query was looked at in parts,
    less hard than a short one; `warnings` say what is wrong with it though it could be read.
    """

    identical: "RecordingInfo | None"
    matches: "list[Match]"
    too_little: str = ""
    unread: "Sequence[tuple[RecordingInfo, str]]" = ()
    is_long: bool = False
    warnings: "Sequence[str]" = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A file that is asked about; `name` is what the user calls it."""

    name: str
    path: Path
    fault: str | None = None

    @property
    def title(self) -> str:
        return "standard input" if self.name == STANDARD_INPUT else printable(self.name)


class Display:
    """Prints answers as they come."""

    def answer(self, query: Query, answer: Answer) -> None:
        """Print, or keep, the answer to a query."""
        raise NotImplementedError

    def failed(self, query: Query, reason: str) -> None:
        """Take note of a query that could not be read; people are told already."""

    def finish(self) -> None:
        """Print what comes after all answers."""


class JsonDisplay(Display):
    """One document: a list of queries, each with its matches or what was wrong with it."""

    def __init__(self) -> None:
        self._answers: list[dict[str, Any]] = []

    def answer(self, query: Query, answer: Answer) -> None:
        from search.export import recording_values
        from search.export_matches import match_values

        itself = answer.identical
        self._answers.append(
            {
                "query": query.name,
                "error": None,
                "identical": None if itself is None else recording_values(itself),
                "matches": [match_values(match) for match in answer.matches],
                "too_little": answer.too_little or None,
                "unread": [
                    {
                        "recording_id": recording.id,
                        "path": recording_values(recording)["path"],
                        "reason": reason,
                    }
                    for recording, reason in answer.unread
                ],
                "warnings": list(answer.warnings),
            }
        )

    def failed(self, query: Query, reason: str) -> None:
        self._answers.append(
            {
                "query": query.name,
                "error": reason,
                "identical": None,
                "matches": [],
                "too_little": None,
                "unread": [],
                "warnings": [],
            }
        )

    def finish(self) -> None:
        print_json(self._answers)


class CsvDisplay(Display):
    """One match a row; a query without one is a row, too, and one that failed."""

    def __init__(self) -> None:
        from search.export_matches import MatchTable

        self._table = MatchTable(sys.stdout)

    def answer(self, query: Query, answer: Answer) -> None:
        self._table.add(
            query.name,
            answer.matches,
            identical=answer.identical,
            too_little=answer.too_little,
            n_unread=len(answer.unread),
            warnings=answer.warnings,
        )

    def failed(self, query: Query, reason: str) -> None:
        self._table.add_failed(query.name, reason)


class CueDisplay(Display):
    """One cue sheet of all queries."""

    def __init__(self) -> None:
        from search.cue_sheet import CueSheet

        self._sheet = CueSheet()
        self._folder = _folder_of_output()
        self._notes: list[str] = []

    def answer(self, query: Query, answer: Answer) -> None:
        from indexer.stretches import length_s  # decoders, which other displays need not load
        from search.cue_sheet import seen_from

        text = self._sheet.add(
            seen_from(query.path, self._folder),
            answer.matches,
            length_s=length_s(query.path),
            identical=answer.identical,
        )
        click.echo(text, nl=False)
        if answer.too_little and answer.identical is None:
            self._notes.append(f"{query.title}: nothing can be recognised: {answer.too_little}")

    def finish(self) -> None:
        print_notes([*self._notes, *self._sheet.notes])


class TableDisplay(Display):
    """A line a match, below the name of its query if there are several.

    `hints` are what else may help where nothing was found, `hints_for_short` where that was asked
    for with 15 s or less.
    """

    def __init__(
        self, *, named: bool, hints: Sequence[str], hints_for_short: Sequence[str]
    ) -> None:
        self._named = named
        self._hints, self._hints_for_short = hints, hints_for_short
        self._n_with = self._n_without = self._n_failed = 0
        self._short_unfound = self._long_unfound = self._begun = False

    def answer(self, query: Query, answer: Answer) -> None:
        matches = answer.matches
        if self._named:
            self._begin()
            click.echo(query.title)
        if answer.identical is not None:
            click.echo(f"This very file is in the archive: {_place(answer.identical)}")
        elif not matches:
            why = f": {answer.too_little}" if answer.too_little else ""
            click.echo(f"Nothing in the archive matches{why}.")
        if answer.identical is not None or matches:
            self._n_with += 1
        else:
            self._n_without += 1
            if not answer.too_little:
                self._long_unfound |= answer.is_long
                self._short_unfound |= not answer.is_long
        if matches:
            self._begin()
        for match in matches:
            click.echo(_line(match))

    def failed(self, query: Query, reason: str) -> None:
        self._n_failed += 1

    def _begin(self) -> None:
        """Print the heads of the columns, once."""
        if not self._begun:
            click.echo(
                f"{'in the query':>17}{'in the recording':>19}{'score':>7}  "
                f"{'by chance':<21}  recording"
            )
            self._begun = True

    def finish(self) -> None:
        if self._named:
            n_queries = self._n_with + self._n_without + self._n_failed
            click.echo(
                f"{count_text(n_queries, 'query', 'queries')}: {self._n_with} found, "
                f"{self._n_without} not, {self._n_failed} failed."
            )
        if self._short_unfound or self._long_unfound:
            hints = (
                ["an excerpt of up to 15 s with more sound in it"] if self._short_unfound else []
            )
            if self._long_unfound:
                hints.append(
                    "of a query above 15 s, a part of 10 to 15 s (--from, --to), which is searched "
                    "for harder"
                )
            hints += self._hints
            if self._short_unfound:
                hints += self._hints_for_short
            click.echo(f"What may help: {', or '.join(hints)}.")


def _folder_of_output() -> Path | None:
    """Return the folder of the file that standard output goes to, where the system tells it."""
    try:
        file = Path(f"/proc/self/fd/{sys.stdout.fileno()}").resolve(strict=True)
    except (OSError, ValueError):
        return None  # a pipe, a system that does not tell, or no file at all
    return file.parent if file.is_file() else None


def _place(recording: "RecordingInfo") -> str:
    from search.export import recording_values

    values = recording_values(recording)
    missing = "  [missing]" if values["missing"] else ""
    return printable(values["path"] or f"recording {recording.id}") + missing


def _line(match: "Match") -> str:
    from search.export_matches import match_values

    values = match_values(match)
    here = exact_span_text(values["query_onset_s"], values["query_offset_s"])
    there = exact_span_text(values["onset_s"], values["offset_s"])
    changed = change_text(values["speed"], values["pitch"])
    notes = "".join(f"  [{note}]" for note in (changed, values["missing"] and "missing") if note)
    return (
        f"{here:>17}{there:>19}{values['score']:>7.1f}  {odds_text(values['p_false']):<21}  "
        f"{printable(values['path'])}{notes}"
    )


def change_text(speed: float, pitch: float) -> str:
    """Say how a sound differs from its original: ``"2.0 % fast"``; nothing if it does not."""
    speed_percent, pitch_percent = round(100 * (speed - 1), 1), round(100 * (pitch - 1), 1)
    if speed_percent and speed_percent == pitch_percent:
        return f"{abs(speed_percent)} % {'fast' if speed_percent > 0 else 'slow'}"
    said = []
    if speed_percent:
        said.append(f"tempo {abs(speed_percent)} % {'fast' if speed_percent > 0 else 'slow'}")
    if pitch_percent:
        said.append(f"pitch {abs(pitch_percent)} % {'high' if pitch_percent > 0 else 'low'}")
    return ", ".join(said)


def odds_text(p: float) -> str:
    """Say a small probability: ``"1 in 10 million"``, rounded so as not to promise too much."""
    if p < 1e-12:
        return "under 1 in a trillion"
    odds = 1 / p * (1 + 1e-9)  # 1 / 1e-3 may be a hair below 1000
    step = 10 ** (len(str(int(odds))) - 1)
    whole = int(odds // step * step)
    for unit, name in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if whole >= unit:
            return f"1 in {whole // unit} {name}"
    return f"1 in {whole:,}"
